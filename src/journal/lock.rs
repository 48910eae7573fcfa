//! One process writes a journal. Which one stands in the lock, for the others.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use certroll_core::ports::{JournalError, JournalFault};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::directory::{Directory, LOCK};
use crate::fault;

/// Longest text about a holder that is read: a program's name, a number, a host's name and a time.
const HOLDER_LIMIT: u64 = 4096;

/// The process that writes a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// The program, such as `certroll run`.
    pub program: String,
    /// Its process id.
    pub pid: u32,
    /// The host that it runs on: the directory may be shared between containers.
    pub host: String,
    /// Since when.
    pub since: Timestamp,
}

impl Writer {
    /// Who wrote himself into the lock of a journal, by reading alone: the lock is not asked, since asking takes it for a
    /// moment. A process that was killed stays written there until the next one comes.
    pub fn named_in(directory: &Path) -> Option<Self> {
        holder(&mut File::open(directory.join(LOCK)).ok()?)
    }
}

/// The right to write, until it is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Takes it, or says who has it.
    pub(crate) fn take(directory: &Directory, who: &Writer) -> Result<Self, JournalError> {
        let path = directory.file(LOCK);
        let mut file = directory.private_file(LOCK)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(directory.path(), holder(&mut file).as_ref())),
            Err(TryLockError::Error(error)) => {
                return Err(fault::system(&path, "locking", &error)
                    .hint("a journal must lie on a disk of this machine that knows locks"));
            }
        }
        // The text is for people: the lock itself is the operating system's, so that it ends with its process.
        let text = serde_json::to_string(who).unwrap_or_default() + "\n";
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(|error| fault::system(&path, "writing who holds the journal", &error))?;
        Ok(Self { file })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Nobody must be named who does not hold it. If this fails, the next holder writes over it.
        let _ = self.file.set_len(0);
    }
}

/// Who wrote himself into the lock. Nobody, for a moment, when a process has just taken it.
fn holder(file: &mut File) -> Option<Writer> {
    let mut text = String::new();
    file.take(HOLDER_LIMIT).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn held(directory: &Path, holder: Option<&Writer>) -> JournalError {
    let by = match holder {
        Some(Writer { program, pid, host, since }) => {
            let since = since.strftime("%FT%TZ");
            format!("{program} (process {pid} on host `{host}`) since {since}")
        }
        None => "another process".to_owned(),
    };
    JournalError::new(JournalFault::Held, format!("the journal in `{}` is held by {by}", directory.display()))
        .hint("one process at a time writes a journal: let it finish or end it, or name another directory")
}
