//! The file that a configuration is written to: a new one, or the end of one that is there. Nothing that somebody wrote
//! is ever lost.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use certroll_core::id::CloudServiceId;
use toml::{Table, Value};

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::config::read_limited;

/// Largest file that is added to: what the configuration itself may be.
const FILE_LIMIT: u64 = 1024 * 1024;

/// A file that is there.
pub(super) struct Existing {
    /// Where it really is, whatever links lead there.
    path: PathBuf,
    text: String,
    /// The services that it has.
    pub(super) services: BTreeSet<CloudServiceId>,
}

/// Reads a file, if it is there.
///
/// # Errors
/// It is there, and cannot be read or is not TOML.
pub(super) fn existing(path: &Path) -> Result<Option<Existing>, Failure> {
    let failed = |error: io::Error| {
        Failure::new(Exit::NoInput, format!("`{}` cannot be read: {error}", path.display()))
    };
    let real = match path.canonicalize() {
        Ok(real) => real,
        // A link to nothing is found by writing.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // A device or a pipe cannot be added to by a new file in its place.
    if fs::metadata(&real).is_ok_and(|meta| !meta.is_file()) {
        return Err(failed(io::Error::other("it is not a file")));
    }
    let bytes = read_limited(&real, FILE_LIMIT).map_err(failed)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| failed(io::Error::other("it is not UTF-8, as a configuration is")))?;
    let services = services_in(&text).map_err(|reason| {
        Failure::new(Exit::DataErr, format!("`{}` is no configuration: {reason}", path.display()))
            .hint(format!("see `certroll check --config {}`, or name a new file", path.display()))
    })?;
    Ok(Some(Existing { path: real, text, services }))
}

/// The services that a text lists. What else is wrong with it is `certroll check`'s to tell.
fn services_in(text: &str) -> Result<BTreeSet<CloudServiceId>, String> {
    let table: Table =
        text.strip_prefix('\u{feff}').unwrap_or(text).parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| {
                text.as_bytes()[..span.start.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
                    + 1
            });
            format!("line {line}: {}", error.message())
        })?;
    let listed = table.get("service").and_then(Value::as_array).into_iter().flatten();
    Ok(listed.filter_map(|service| service.get("id")?.as_str()?.parse().ok()).collect())
}

/// Writes a new file. It holds no secret, so that its mode is the usual one.
///
/// # Errors
/// There is a file already, or it cannot be written.
pub(super) fn create(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::new(Exit::CantCreat, format!("`{}` cannot be written: {error}", path.display()))
            .hint("name another file with `--out`")
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|error| {
        let _ = fs::remove_file(path);
        failed(error)
    })
}

/// Adds to the end of a file: a new one with the old bytes and the new takes its place, or nothing happens.
///
/// # Errors
/// The text does not fit to what is there, the file has changed since it was read, or it cannot be written.
pub(super) fn append(
    existing: &Existing,
    proposed: &str,
    services: &BTreeSet<CloudServiceId>,
) -> Result<(), Failure> {
    let path = &existing.path;
    let whole = joined(&existing.text, proposed);
    let expected: BTreeSet<CloudServiceId> = existing.services.union(services).cloned().collect();
    let refused = |reason: &str| {
        Failure::new(Exit::DataErr, format!("nothing can be added to `{}`: {reason}", path.display()))
            .hint("write its services as `[[service]]`, or put what is new into a file of the directory `certroll.d`")
    };
    match services_in(&whole) {
        Ok(found) if found == expected => {}
        Ok(_) => return Err(refused("its services would not be those that are expected")),
        Err(reason) => return Err(refused(&reason)),
    }
    let failed = |error: io::Error| {
        Failure::new(Exit::CantCreat, format!("`{}` cannot be written: {error}", path.display()))
    };
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    let replaced = replace(existing, &beside, &whole);
    if replaced.is_err() {
        let _ = fs::remove_file(&beside);
    }
    match replaced.map_err(failed)? {
        Replaced::Done => Ok(()),
        Replaced::Changed => Err(Failure::new(
            Exit::TempFail,
            format!("`{}` has changed in the meantime, and is left as it is", path.display()),
        )),
    }
}

enum Replaced {
    Done,
    Changed,
}

fn replace(existing: &Existing, beside: &Path, whole: &str) -> io::Result<Replaced> {
    let path = &existing.path;
    match fs::remove_file(beside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(beside)?;
    keep_owner_and_mode(&fs::metadata(path)?, &file, beside)?;
    file.write_all(whole.as_bytes())?;
    file.sync_all()?;
    if read_limited(path, FILE_LIMIT)? != existing.text.as_bytes() {
        fs::remove_file(beside)?;
        return Ok(Replaced::Changed);
    }
    fs::rename(beside, path)?;
    Ok(Replaced::Done)
}

fn keep_owner_and_mode(old: &fs::Metadata, file: &File, path: &Path) -> io::Result<()> {
    file.set_permissions(old.permissions())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            std::os::unix::fs::chown(path, Some(old.uid()), Some(old.gid()))?;
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// The old text, byte for byte, and the new one after it, in the old one's line ends.
fn joined(old: &str, new: &str) -> String {
    let end = if old.contains("\r\n") { "\r\n" } else { "\n" };
    let mut whole = old.to_owned();
    if !whole.is_empty() && !whole.ends_with('\n') {
        whole.push_str(end);
    }
    if !whole.is_empty() {
        whole.push_str(end);
    }
    whole.push_str(&new.trim_start_matches('\n').replace('\n', end));
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/cloudServices/shop";
    const DESK: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/cloudServices/desk";

    fn service(id: &str) -> String {
        format!("[[service]]\nid = \"{id}\"\n")
    }

    fn desk() -> BTreeSet<CloudServiceId> {
        BTreeSet::from([DESK.parse().unwrap()])
    }

    #[test]
    fn a_new_file_is_written_and_never_over_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("certroll.toml");
        assert!(existing(&path).unwrap().is_none());
        create(&path, "a = 1\n").unwrap();
        let refused = create(&path, "b = 2\n").unwrap_err();
        assert_eq!(refused.exit, Exit::CantCreat);
        assert_eq!(fs::read_to_string(&path).unwrap(), "a = 1\n");
    }

    #[test]
    fn what_is_there_stays_byte_for_byte() {
        let directory = tempfile::tempdir().unwrap();
        for (name, old, between) in [
            ("plain.toml", service(SHOP), "\n"),
            ("open.toml", format!("{}# the end", service(SHOP)), "\n\n"),
            ("windows.toml", format!("\u{feff}{}", service(SHOP).replace('\n', "\r\n")), "\r\n"),
            ("empty.toml", String::new(), ""),
        ] {
            let path = directory.path().join(name);
            fs::write(&path, &old).unwrap();
            let found = existing(&path).unwrap().unwrap();
            assert_eq!(found.services.len(), usize::from(!old.is_empty()), "{name}");
            append(&found, &service(DESK), &desk()).unwrap();
            let end = if old.contains('\r') { "\r\n" } else { "\n" };
            let expected = format!("{old}{between}{}", service(DESK).replace('\n', end));
            assert_eq!(fs::read_to_string(&path).unwrap(), expected, "{name}");
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 4, "nothing is left beside");
    }

    #[test]
    fn a_file_that_does_not_fit_is_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("certroll.toml");
        fs::write(&path, "service = [").unwrap();
        assert_eq!(existing(&path).err().unwrap().exit, Exit::DataErr);
        let inline = format!("service = [{{ id = \"{SHOP}\" }}]\n");
        fs::write(&path, &inline).unwrap();
        let found = existing(&path).unwrap().unwrap();
        assert_eq!(append(&found, &service(DESK), &desk()).unwrap_err().exit, Exit::DataErr);
        assert_eq!(fs::read_to_string(&path).unwrap(), inline);

        fs::write(&path, service(SHOP)).unwrap();
        let found = existing(&path).unwrap().unwrap();
        let edited = format!("{}# edited\n", service(SHOP));
        fs::write(&path, &edited).unwrap();
        assert_eq!(append(&found, &service(DESK), &desk()).unwrap_err().exit, Exit::TempFail);
        assert_eq!(fs::read_to_string(&path).unwrap(), edited);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_a_file_is_not_added_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("certroll.toml");
        let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let refused = existing(&path).err().unwrap();
        assert_eq!(refused.exit, Exit::NoInput);
        assert!(refused.error.to_string().contains("it is not a file"), "{}", refused.error);
        assert_eq!(existing(Path::new("/dev/null")).err().unwrap().exit, Exit::NoInput);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_modes_are_kept() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let (real, link) = (directory.path().join("real.toml"), directory.path().join("link.toml"));
        fs::write(&real, service(SHOP)).unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        append(&existing(&link).unwrap().unwrap(), &service(DESK), &desk()).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::read_to_string(&real).unwrap().contains(DESK));
    }
}
