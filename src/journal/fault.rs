//! What SQLite and the operating system say, as errors that name the file and the way out.

use std::fmt;
use std::io;
use std::path::Path;

use certroll_core::ports::{JournalError, JournalFault};
use rusqlite::{Error, ErrorCode, ffi};

/// What SQLite says about a file.
pub(crate) fn sqlite(path: &Path, doing: &str, error: &Error) -> JournalError {
    let kind = match error {
        Error::SqliteFailure(failure, _) => kind(failure),
        // A column of another type than it was written with, text that is not UTF-8, a row that must be there and is not.
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..)
        | Error::InvalidColumnType(..)
        | Error::QueryReturnedNoRows
        | Error::SqlInputError { .. } => JournalFault::Corrupt,
        _ => JournalFault::Failed,
    };
    fault(kind, path, doing, error)
}

fn kind(failure: &ffi::Error) -> JournalFault {
    match failure.code {
        ErrorCode::DiskFull => JournalFault::Full,
        ErrorCode::ReadOnly => JournalFault::ReadOnly,
        // The format is right, so a statement that does not fit the tables means that these were changed; a limit on
        // lengths is passed only by a length that nobody wrote.
        ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
        | ErrorCode::Unknown
        | ErrorCode::SchemaChanged
        | ErrorCode::ConstraintViolation
        | ErrorCode::TypeMismatch
        | ErrorCode::TooBig => JournalFault::Corrupt,
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => {
            JournalFault::Held
        }
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
            JournalFault::Denied
        }
        _ => JournalFault::Failed,
    }
}

/// What the operating system says about a file or directory.
pub(crate) fn system(path: &Path, doing: &str, error: &io::Error) -> JournalError {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => JournalFault::Full,
        io::ErrorKind::ReadOnlyFilesystem => JournalFault::ReadOnly,
        io::ErrorKind::PermissionDenied => JournalFault::Denied,
        _ => JournalFault::Failed,
    };
    fault(kind, path, doing, error)
}

/// Content that is not what was written.
pub(crate) fn corrupt(path: &Path, what: impl fmt::Display) -> JournalError {
    with_way_out(JournalError::new(JournalFault::Corrupt, format!("`{}`: {what}", path.display())), path)
}

fn fault(kind: JournalFault, path: &Path, doing: &str, error: &dyn fmt::Display) -> JournalError {
    let what = match kind {
        JournalFault::Full => "the disk is full",
        JournalFault::ReadOnly => "it cannot be written",
        JournalFault::Corrupt => "it is damaged",
        JournalFault::Held => "another program keeps it busy",
        JournalFault::Denied => "it cannot be opened",
        JournalFault::Absent | JournalFault::Newer | JournalFault::Failed => "failed",
    };
    let message = format!("`{}`: {doing}: {what}: {error}", path.display());
    with_way_out(JournalError::new(kind, message), path)
}

fn with_way_out(error: JournalError, path: &Path) -> JournalError {
    let at = path.display();
    let hint = match error.kind {
        JournalFault::Full => {
            format!("make room on the disk of `{at}`; the journal is written again as soon as there is some")
        }
        JournalFault::ReadOnly => {
            format!("let this user write `{at}` and its directory, on a disk that is mounted for writing")
        }
        JournalFault::Corrupt => format!(
            "`certroll history --verify` names every place that is damaged. Put the directory back from a backup, or \
             move `{at}` away: then nothing is known of rollouts without an ending, so look at the services first"
        ),
        JournalFault::Held => format!("end the program that has `{at}` open, then try again"),
        JournalFault::Denied => "run certroll as the user that owns the directory".to_owned(),
        JournalFault::Absent | JournalFault::Newer | JournalFault::Failed => return error,
    };
    error.hint(hint)
}
