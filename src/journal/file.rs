//! The database file: how it is made, opened and recognised.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use certroll_core::ports::{JournalError, JournalFault};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::directory::{BESIDE, Directory, JOURNAL, NEW_JOURNAL};
use crate::entry::BODY_LIMIT;
use crate::fault;

/// "crjl": tells our file from any other SQLite database.
const APPLICATION_ID: i32 = 0x6372_6a6c;
/// The number of the format that this version writes. The module doc of the crate says when it is raised.
pub(crate) const FORMAT: i32 = 1;

/// How long another program's short lock is waited for: a backup by the `sqlite3` shell takes less.
const BUSY: Duration = Duration::from_secs(5);

/// Pages kept in memory by each connection, in KiB. Rollouts are read one after the other, so little is read twice.
const CACHE_KIB: i32 = 512;

/// How long the write-ahead log may stay after it was copied into the database. It is emptied every thousand pages.
const LOG_LIMIT: i64 = 4 * 1024 * 1024;

/// The schema of format 1, statement by statement, as SQLite keeps it. An open compares it text by text.
const SCHEMA: [&str; 5] = [
    "CREATE TABLE entries (
  seq INTEGER PRIMARY KEY CHECK (seq > 0),
  at TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('event', 'decision', 'dropped')),
  rollout TEXT,
  service TEXT,
  word TEXT NOT NULL,
  body TEXT,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  chain BLOB NOT NULL CHECK (length(chain) = 32)
) STRICT",
    "CREATE TABLE marks (
  name TEXT PRIMARY KEY CHECK (name IN ('base', 'head')),
  seq INTEGER NOT NULL,
  chain BLOB NOT NULL CHECK (length(chain) = 32)
) STRICT, WITHOUT ROWID",
    "CREATE INDEX entries_by_rollout ON entries (rollout, word) WHERE rollout IS NOT NULL",
    "CREATE INDEX entries_by_service ON entries (service, word) WHERE service IS NOT NULL",
    "CREATE INDEX entries_by_word ON entries (kind, word)",
];

/// Opens the journal to write, and makes it where there is none. The lock must be held.
pub(crate) fn open_writing(directory: &Directory) -> Result<Connection, JournalError> {
    if directory.size(JOURNAL)?.is_none() {
        create(directory)?;
    }
    let path = directory.file(JOURNAL);
    let doing = "opening the journal";
    directory.make_private(JOURNAL)?;
    // Looked at first without the right to write, so that a journal that is not ours stays as it is.
    let looked = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    recognise(&looked, &path)?;
    drop(looked);
    let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    recognise(&connection, &path)?;
    let fault = |error| fault::sqlite(&path, doing, &error);
    if connection.is_readonly("main").map_err(fault)? {
        let message = format!("`{}`: {doing}: it cannot be written", path.display());
        let hint = "let this user write it, on a disk that is mounted for writing";
        return Err(JournalError::new(JournalFault::ReadOnly, message).hint(hint));
    }
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)).map_err(fault)?;
    if mode != "wal" {
        let message =
            format!("`{}`: {doing}: expected the journal mode `wal`, found `{mode}`", path.display());
        return Err(JournalError::new(JournalFault::Failed, message));
    }
    // Every commit is on the disk before it returns.
    connection.pragma_update(None, "synchronous", "full").map_err(fault)?;
    // What retention drops is overwritten: cscfg text may hold secrets.
    connection.pragma_update(None, "secure_delete", true).map_err(fault)?;
    connection
        .pragma_update_and_check(None, "journal_size_limit", LOG_LIMIT, |row| row.get::<_, i64>(0))
        .map_err(fault)?;
    Ok(connection)
}

/// Makes an empty journal under another name and gives it its own when it is whole.
fn create(directory: &Directory) -> Result<(), JournalError> {
    let path = directory.file(JOURNAL);
    for beside in BESIDE {
        // SQLite would replay it into the new database.
        if directory.size(&format!("{JOURNAL}{beside}"))?.is_some_and(|size| size > 0) && beside != "-shm" {
            return Err(fault::corrupt(
                &path,
                format!("it is missing, while `{JOURNAL}{beside}` that belongs to it is there"),
            ));
        }
    }
    // What a process left behind that died right here.
    for name in
        std::iter::once(NEW_JOURNAL.to_owned()).chain(BESIDE.map(|beside| format!("{NEW_JOURNAL}{beside}")))
    {
        if directory.size(&name)?.is_some() {
            let left = directory.file(&name);
            fs::remove_file(&left).map_err(|error| fault::system(&left, "removing what was left", &error))?;
        }
    }
    let new = directory.file(NEW_JOURNAL);
    let file = directory.private_file(NEW_JOURNAL)?;
    let fault = |error| fault::sqlite(&new, "making the journal", &error);
    let connection = connect(&new, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let statements = format!(
        "PRAGMA page_size = 4096; PRAGMA auto_vacuum = incremental; PRAGMA application_id = {APPLICATION_ID}; \
         PRAGMA user_version = {FORMAT}; BEGIN; {}; \
         INSERT INTO marks VALUES ('base', 0, zeroblob(32)), ('head', 0, zeroblob(32)); COMMIT;",
        SCHEMA.join(";")
    );
    connection.execute_batch(&statements).map_err(fault)?;
    connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))
        .map_err(fault)?;
    connection.close().map_err(|(_, error)| fault(error))?;
    file.sync_all().map_err(|error| fault::system(&new, "syncing the journal", &error))?;
    drop(file);
    fs::rename(&new, &path).map_err(|error| fault::system(&path, "making the journal", &error))?;
    directory.sync()
}

/// A connection that only reads.
#[derive(Debug)]
pub(crate) struct ReadOnly {
    pub(crate) connection: Connection,
    pub(crate) path: PathBuf,
    /// Set where the file is read without locks, since its directory cannot be written.
    unlocked: Option<Stamp>,
}

/// By which a change of a file shows.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
    log: u64,
}

impl Stamp {
    fn of(directory: &Directory) -> Result<Self, JournalError> {
        let modified = fs::metadata(directory.file(JOURNAL)).and_then(|found| found.modified()).ok();
        let log = directory.size(&format!("{JOURNAL}-wal"))?.unwrap_or(0);
        Ok(Self { size: directory.size(JOURNAL)?.unwrap_or(0), modified, log })
    }
}

impl ReadOnly {
    /// Opens the journal beside a process that writes it, or without one; on a disk that cannot be written, too.
    pub(crate) fn open(directory: &Directory) -> Result<Self, JournalError> {
        let path = directory.file(JOURNAL);
        if directory.size(JOURNAL)?.is_none() {
            let message = format!("there is no journal: `{}` does not exist", path.display());
            return Err(JournalError::new(JournalFault::Absent, message));
        }
        let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        match touch(&connection) {
            Err(error) if needs_shared_memory(&error) => Self::open_unlocked(directory, path),
            Err(error) => Err(fault::sqlite(&path, "reading the journal", &error)),
            Ok(()) => {
                recognise(&connection, &path)?;
                Ok(Self { connection, path, unlocked: None })
            }
        }
    }

    /// Where SQLite cannot make the files by which readers and a writer agree. That is right as long as nobody writes,
    /// which [`ReadOnly::settled`] looks at.
    fn open_unlocked(directory: &Directory, path: PathBuf) -> Result<Self, JournalError> {
        let stamp = Stamp::of(directory)?;
        if stamp.log > 0 {
            let message = format!(
                "`{}-wal` has entries that are not in `{JOURNAL}` yet, and this user cannot read them without writing \
                 to the directory",
                path.display()
            );
            return Err(JournalError::new(JournalFault::Denied, message)
                .hint("copy the directory to a place that can be written, and read it there"));
        }
        let connection = connect_uri(&path)?;
        recognise(&connection, &path)?;
        Ok(Self { connection, path, unlocked: Some(stamp) })
    }

    /// Whether what was just read was read from a file at rest.
    pub(crate) fn settled(&self) -> Result<(), JournalError> {
        let (Some(stamp), Some(directory)) = (&self.unlocked, self.path.parent()) else {
            return Ok(());
        };
        if Stamp::of(&Directory::find(directory)?)? == *stamp {
            return Ok(());
        }
        let message = format!("`{}` was written while it was read without locks", self.path.display());
        Err(JournalError::new(JournalFault::Held, message).hint("try again"))
    }
}

/// The first statement that reads the file.
fn touch(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

fn needs_shared_memory(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, JournalError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let fault = |error| fault::sqlite(path, "opening the file", &error);
    let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    settings(&connection).map_err(fault)?;
    Ok(connection)
}

fn connect_uri(path: &Path) -> Result<Connection, JournalError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_URI;
    let escaped: String = path
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .map(|byte| match byte {
            b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                char::from(*byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    let fault = |error| fault::sqlite(path, "opening the file", &error);
    let connection =
        Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags).map_err(fault)?;
    settings(&connection).map_err(fault)?;
    Ok(connection)
}

/// What holds for every connection: nothing in the file is trusted, and little of it is kept in memory.
pub(crate) fn settings(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(BUSY)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.query_row("PRAGMA mmap_size = 0", [], |_| Ok(())).or_else(no_row)?;
    // A damaged length must not be believed: no value is larger than a body and what SQLite puts around it.
    let longest = i32::try_from(2 * BODY_LIMIT).unwrap_or(i32::MAX);
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, longest)?;
    Ok(())
}

fn no_row(error: rusqlite::Error) -> Result<(), rusqlite::Error> {
    if error == rusqlite::Error::QueryReturnedNoRows { Ok(()) } else { Err(error) }
}

/// Whether the file is a journal of this format.
fn recognise(connection: &Connection, path: &Path) -> Result<(), JournalError> {
    let fault = |error| fault::sqlite(path, "reading the journal", &error);
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(fault);
    let (application, format) = (number("application_id")?, number("user_version")?);
    if application != APPLICATION_ID {
        let what = format!(
            "expected a journal of certroll (application id {APPLICATION_ID:#010x}), found another SQLite database, or \
             an empty one ({application:#010x})"
        );
        return Err(fault::corrupt(path, what));
    }
    if format > FORMAT {
        let message = format!(
            "`{}` was written by a later version of certroll: expected format {FORMAT} or earlier, found {format}",
            path.display()
        );
        return Err(JournalError::new(JournalFault::Newer, message)
            .hint("use the version that wrote it, or a later one; nothing was changed"));
    }
    if format < FORMAT {
        return Err(fault::corrupt(path, format!("expected format {FORMAT}, found {format}")));
    }
    let mut statement = connection
        .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")
        .map_err(fault)?;
    let found: Vec<String> =
        statement.query_map([], |row| row.get(0)).and_then(Iterator::collect).map_err(fault)?;
    if found != SCHEMA {
        return Err(fault::corrupt(path, format!("its tables are not those of format {FORMAT}")));
    }
    Ok(())
}
