//! The directory that a run writes into: private, and never somebody else's.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// First line of a configuration that the demo wrote: by it a directory is known again.
pub(crate) const MARK: &str = "# Written by certroll-demo; a later run may replace it.";
/// The configuration.
pub(crate) const CONFIG: &str = "certroll.toml";
/// The authority of the simulated Azure.
pub(crate) const CA: &str = "ca.pem";
/// The secret that certroll logs in with.
pub(crate) const CLIENT_SECRET: &str = "client-secret";
/// The journal, as the configuration names it.
pub(crate) const JOURNAL_DIRECTORY: &str = "journal";
/// Every exchange with the simulated Azure, one JSON object a line.
pub(crate) const LEDGER: &str = "ledger.ndjson";
/// The leaf with its key and chain, for `certroll inspect`.
pub(crate) const PFX: &str = "shop-tls.pfx";
/// What an authority sends for the next renewal, to be uploaded by hand: leaf with key, its password, and what is above it.
pub(crate) const NEXT: [&str; 4] = ["next.pfx", "next.password", "next-intermediate.cer", "next-root.cer"];
/// Variables for a shell, by which certroll finds the simulated Azure without a configuration.
pub(crate) const VARIABLES: &str = "azure.env";
/// The journal of those who begin without a configuration.
pub(crate) const OWN_JOURNAL: &str = "own-journal";

/// Names shown of a directory that is refused: enough to recognise it.
const SHOWN: usize = 3;

/// A directory with mode 0700 whose files have mode 0600.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Removed with everything in it when this is dropped.
    temporary: Option<TempDir>,
}

impl Directory {
    /// One that is removed at the end.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn temporary() -> Result<Self> {
        let temporary = tempfile::Builder::new()
            .prefix("certroll-demo-")
            .tempdir()
            .context("a temporary directory cannot be made")?;
        make_private(temporary.path())?;
        Ok(Self { path: temporary.path().to_owned(), temporary: Some(temporary) })
    }

    /// One that stays. It may be there already if it is empty, or if an earlier run of the demo made it.
    ///
    /// # Errors
    /// It has files that the demo did not write, or cannot be made.
    pub(crate) fn kept(path: &Path) -> Result<Self> {
        let shown = path.display();
        match fs::read_dir(path) {
            Ok(entries) => {
                let mut names: Vec<String> = entries
                    .map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()))
                    .collect::<std::io::Result<_>>()
                    .with_context(|| format!("`{shown}` cannot be read"))?;
                names.sort();
                if !names.is_empty() && !is_ours(path) {
                    let more = if names.len() > SHOWN { ", …" } else { "" };
                    names.truncate(SHOWN);
                    bail!(
                        "`{shown}` has files that certroll-demo did not write ({}{more}); name a new or empty directory",
                        names.join(", ")
                    );
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::create_dir_all(path).with_context(|| format!("`{shown}` cannot be made"))?;
            }
            Err(error) => {
                return Err(error).with_context(|| format!("`{shown}` cannot be used as a directory"));
            }
        }
        make_private(path)?;
        let path = path.canonicalize().with_context(|| format!("`{shown}` cannot be found again"))?;
        Ok(Self { path, temporary: None })
    }

    /// Empties the directory in it of the journal that an earlier run left: the Azure that it tells of has ended.
    ///
    /// # Errors
    /// It cannot be emptied.
    pub(crate) fn without_journal(&self) -> Result<()> {
        for journal in [JOURNAL_DIRECTORY, OWN_JOURNAL] {
            match fs::remove_dir_all(self.path.join(journal)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(error).context("the journal of an earlier run cannot be removed");
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Its absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it stays after the run.
    pub(crate) fn stays(&self) -> bool {
        self.temporary.is_none()
    }

    /// Writes a file, in place of one that an earlier run wrote.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.path.join(name);
        write_private(&path, content.as_ref())?;
        Ok(path)
    }
}

/// Writes a file that its owner alone can read. One that is there is replaced, not written into: others might have it
/// open, and its name might be a link.
///
/// # Errors
/// It cannot be written.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let written = || -> std::io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path)?.write_all(content)
    };
    written().with_context(|| format!("`{}` cannot be written", path.display()))
}

fn is_ours(path: &Path) -> bool {
    fs::read_to_string(path.join(CONFIG)).is_ok_and(|text| text.lines().next() == Some(MARK))
}

fn make_private(path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .with_context(|| format!("`{}` cannot be made private", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_somebody_else_is_left_alone() {
        let place = TempDir::new().unwrap();
        fs::write(place.path().join("diary.txt"), "mine").unwrap();
        let error = Directory::kept(place.path()).unwrap_err().to_string();
        assert!(error.contains("files that certroll-demo did not write (diary.txt)"), "{error}");
        // A configuration that the demo did not write does not make it ours either.
        fs::write(place.path().join(CONFIG), "cloud = \"china\"\n").unwrap();
        assert!(Directory::kept(place.path()).is_err());
        assert!(Directory::kept(&place.path().join("diary.txt")).is_err());
    }

    #[test]
    fn a_new_directory_and_one_of_an_earlier_run_are_taken_and_private() {
        let place = TempDir::new().unwrap();
        let path = place.path().join("new/demo");
        for _ in 0..2 {
            let directory = Directory::kept(&path).unwrap();
            let file = directory.write(CONFIG, format!("{MARK}\n")).unwrap();
            assert!(directory.stays() && file.is_absolute());
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
                assert_eq!((mode(&path), mode(&file)), (0o700, 0o600));
            }
        }
    }
}
