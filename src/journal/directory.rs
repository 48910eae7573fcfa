//! The directory of the journal: nobody but its owner may enter it, since entries hold cscfg text.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use certroll_core::ports::{JournalError, JournalFault};

use crate::fault;

/// The record.
pub(crate) const JOURNAL: &str = "journal.db";
/// The record while it is made for the first time.
pub(crate) const NEW_JOURNAL: &str = "journal.db.new";
/// What is remembered of vault versions.
pub(crate) const VERSIONS: &str = "versions.db";
/// Notices that are to be delivered.
pub(crate) const OUTBOX: &str = "outbox.db";
/// Held by the one process that writes the record.
pub(crate) const LOCK: &str = "lock";
/// What a person paused: the daemon's, kept beside the journal.
const PAUSED: &str = "paused.json";
/// The same while it is being replaced.
const NEW_PAUSED: &str = "paused.json.new";
/// What SQLite puts beside a database.
pub(crate) const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A directory that is there, by its path without symbolic links.
#[derive(Clone, Debug)]
pub(crate) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Finds the directory or makes it, and sees that nobody else may enter it.
    pub(crate) fn prepare(path: &Path) -> Result<Self, JournalError> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => Self::canonical(path)?.tightened(),
            Ok(_) => Err(not_a_directory(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut builder = DirBuilder::new();
                builder.recursive(true);
                #[cfg(unix)]
                std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
                builder.create(path).map_err(|error| fault::system(path, "making the directory", &error))?;
                Self::canonical(path)
            }
            Err(error) => Err(fault::system(path, "looking at the directory", &error)),
        }
    }

    /// Finds the directory, to read.
    pub(crate) fn find(path: &Path) -> Result<Self, JournalError> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => Self::canonical(path),
            Ok(_) => Err(not_a_directory(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let message = format!("there is no journal: `{}` does not exist", path.display());
                Err(JournalError::new(JournalFault::Absent, message))
            }
            Err(error) => Err(fault::system(path, "looking at the directory", &error)),
        }
    }

    fn canonical(path: &Path) -> Result<Self, JournalError> {
        let path = fs::canonicalize(path)
            .map_err(|error| fault::system(path, "looking at the directory", &error))?;
        Ok(Self { path })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The size of a file in it, if there is one. A symbolic link or anything else that is no file is refused.
    pub(crate) fn size(&self, name: &str) -> Result<Option<u64>, JournalError> {
        let path = self.file(name);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => Ok(Some(found.len())),
            Ok(_) => {
                let message = format!("`{}` is not a plain file; expected one of certroll's", path.display());
                Err(JournalError::new(JournalFault::Denied, message)
                    .hint("see who put it there, and remove it"))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(fault::system(&path, "looking at the file", &error)),
        }
    }

    /// Opens a file for reading and writing, and makes it where there is none: for this user alone, and never through a
    /// symbolic link.
    ///
    /// Not for a database that is open: closing any descriptor of a file ends the locks that SQLite has on it.
    pub(crate) fn private_file(&self, name: &str) -> Result<File, JournalError> {
        let path = self.file(name);
        let fault = |error: io::Error| fault::system(&path, "opening the file", &error);
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        if self.size(name)?.is_some() {
            let file = options.open(&path).map_err(fault)?;
            self.make_private(name)?;
            return Ok(file);
        }
        options.create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = match options.open(&path) {
            Ok(file) => file,
            // Another process was faster. It is looked at again: only a plain file is opened.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.size(name)?.is_some() => {
                options.create_new(false).open(&path).map_err(fault)?
            }
            Err(error) => return Err(fault(error)),
        };
        self.give_to_owner(&file, &path)?;
        Ok(file)
    }

    /// Takes everybody else's rights to a file away, as after it was put back from a backup.
    pub(crate) fn make_private(&self, name: &str) -> Result<(), JournalError> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let path = self.file(name);
            let fault = |error: io::Error| fault::system(&path, "setting the file's mode", &error);
            let mut permissions = fs::symlink_metadata(&path).map_err(fault)?.permissions();
            if permissions.mode() & 0o077 != 0 {
                permissions.set_mode(0o600);
                fs::set_permissions(&path, permissions).map_err(fault)?;
            }
        }
        #[cfg(not(unix))]
        let _ = name;
        Ok(())
    }

    /// A command that root runs by hand must not leave files that the daemon cannot open.
    fn give_to_owner(&self, file: &File, path: &Path) -> Result<(), JournalError> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let fault =
                |error: io::Error| fault::system(path, "giving the file to the directory's owner", &error);
            let owner = fs::metadata(&self.path).map_err(fault)?;
            if file.metadata().map_err(fault)?.uid() != owner.uid() {
                std::os::unix::fs::fchown(file, Some(owner.uid()), Some(owner.gid())).map_err(fault)?;
            }
        }
        #[cfg(not(unix))]
        let _ = (file, path);
        Ok(())
    }

    /// Makes names that were made or changed in it durable.
    pub(crate) fn sync(&self) -> Result<(), JournalError> {
        File::open(&self.path)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| fault::system(&self.path, "syncing the directory", &error))
    }

    /// Closes a directory that others may enter, if it is ours alone; a directory that somebody uses is left as it is.
    fn tightened(self) -> Result<Self, JournalError> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let fault = |error: io::Error| fault::system(&self.path, "looking at the directory", &error);
            let mut permissions = fs::metadata(&self.path).map_err(fault)?.permissions();
            let mode = permissions.mode() & 0o777;
            if mode & 0o077 != 0 {
                let at = self.path.display();
                for entry in fs::read_dir(&self.path).map_err(fault)? {
                    let name = entry.map_err(fault)?.file_name();
                    if !name.to_str().is_some_and(is_ours) {
                        let message = format!(
                            "`{at}` has the mode {mode:04o} and holds `{}`, which is not the journal's; expected a \
                             directory of the mode 0700",
                            name.display()
                        );
                        let hint =
                            format!("name another directory, or run `chmod 700 {at}` if it is certroll's");
                        return Err(JournalError::new(JournalFault::Denied, message).hint(hint));
                    }
                }
                permissions.set_mode(0o700);
                fs::set_permissions(&self.path, permissions).map_err(|error| {
                    let message =
                        format!("`{at}` has the mode {mode:04o}, expected 0700; closing it: {error}");
                    JournalError::new(JournalFault::Denied, message).hint(format!("run `chmod 700 {at}`"))
                })?;
            }
        }
        Ok(self)
    }
}

/// Whether a file of this name is one of those that are written here.
fn is_ours(name: &str) -> bool {
    [LOCK, PAUSED, NEW_PAUSED].contains(&name)
        || [JOURNAL, NEW_JOURNAL, VERSIONS, OUTBOX].iter().any(|database| {
            name.strip_prefix(database).is_some_and(|rest| rest.is_empty() || BESIDE.contains(&rest))
        })
}

fn not_a_directory(path: &Path) -> JournalError {
    JournalError::new(JournalFault::Failed, format!("`{}` is not a directory", path.display()))
        .hint("the journal is a directory of its own")
}
