//! What is remembered of vault versions. Versions never change, so what was read of one once is right for ever; and
//! everything may be lost at any time, so nothing here is worth an error, let alone a rollout.
//!
//! A row that is damaged must not be believed, though: a thumbprint comes from it. Each carries a digest.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use certroll_core::certificate::Certificate;
use certroll_core::id::SecretIdentifier;
use certroll_core::plan::{Form, KeyPresence, VaultContent};
use certroll_core::ports::{JournalError, VersionMemory};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};
use sha2::{Digest, Sha256};

use crate::directory::{BESIDE, Directory, VERSIONS};
use crate::entry::Hash;
use crate::{fault, file};

/// "crvm".
const APPLICATION_ID: i32 = 0x6372_766d;
/// The number of the format; another one is begun anew. Raised, too, when another conclusion is drawn from a secret than
/// before (its form, its key), since conclusions are what is remembered.
const FORMAT: i32 = 1;

/// Versions that are remembered: a hundred services with a set of ten, renewed ten times. A version has some 5 KiB.
const LIMIT: i64 = 10_000;

/// How long another process's write is waited for before something is simply not remembered.
const BUSY: Duration = Duration::from_millis(250);

const SCHEMA: &str = "CREATE TABLE versions (
  secret TEXT PRIMARY KEY,
  used INTEGER NOT NULL,
  content BLOB NOT NULL,
  digest BLOB NOT NULL
) STRICT";

/// What earlier processes found in vault versions, in the journal's directory. Several processes may use it at a time.
#[derive(Clone, Debug)]
pub struct VersionStore {
    store: Arc<Mutex<Store>>,
}

#[derive(Debug)]
struct Store {
    directory: Directory,
    /// None once the file could not be mended.
    connection: Option<Connection>,
    limit: i64,
}

impl VersionStore {
    /// Opens it, and begins it anew where it is of another format or damaged. On a disk that cannot be written what is
    /// there is recalled and nothing is remembered. Blocks for as long as opening a file takes.
    ///
    /// # Errors
    /// It can be neither opened nor begun anew: whoever calls does without.
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        Self::with_limit(directory, LIMIT)
    }

    pub(crate) fn with_limit(directory: &Path, limit: i64) -> Result<Self, JournalError> {
        let directory = Directory::prepare(directory)?;
        let connection = open_or_begin(&directory)?;
        let store = Store { directory, connection: Some(connection), limit };
        Ok(Self { store: Arc::new(Mutex::new(store)) })
    }

    /// Works with the database off the threads that others wait for. What fails is forgotten.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection, i64) -> Result<Option<T>, rusqlite::Error> + Send + 'static,
    ) -> Option<T> {
        let store = Arc::clone(&self.store);
        let done = tokio::task::spawn_blocking(move || {
            store.lock().unwrap_or_else(PoisonError::into_inner).with(work)
        });
        done.await.ok().flatten()
    }
}

impl Store {
    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Connection, i64) -> Result<Option<T>, rusqlite::Error>,
    ) -> Option<T> {
        match work(self.connection.as_mut()?, self.limit) {
            Ok(found) => found,
            Err(error) => {
                if is_damaged(&error) {
                    self.connection = None;
                    self.connection = begin(&self.directory).ok();
                }
                None
            }
        }
    }
}

#[async_trait]
impl VersionMemory for VersionStore {
    async fn recall(&self, version: &SecretIdentifier) -> Option<VaultContent> {
        let secret = key(version);
        let blob = self.with(move |connection, limit| recall(connection, &secret, limit)).await?;
        decode(&blob)
    }

    async fn remember(&self, version: &SecretIdentifier, content: &VaultContent) {
        let (secret, blob) = (key(version), encode(content));
        self.with(move |connection, limit| remember(connection, &secret, &blob, limit)).await;
    }
}

/// A version as Azure compares it: without case and without the default port.
fn key(version: &SecretIdentifier) -> String {
    let (vault, suffix, name) = (version.vault(), version.dns_suffix(), version.name());
    format!("{vault}.{suffix}/{name}/{}", version.version()).to_ascii_lowercase()
}

fn recall(connection: &mut Connection, secret: &str, limit: i64) -> Result<Option<Vec<u8>>, rusqlite::Error> {
    let sql =
        "SELECT content, digest, used, (SELECT max(used) FROM versions) FROM versions WHERE secret = ?1";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let found: Option<(Vec<u8>, Vec<u8>, i64, i64)> = connection.query_row(sql, [secret], row).optional()?;
    let Some((content, digest, used, newest)) = found else { return Ok(None) };
    if digest != seal(secret, &content) {
        connection.execute("DELETE FROM versions WHERE secret = ?1", [secret])?;
        return Ok(None);
    }
    // Not at each use: a poll that recalls everything would write everything. Nor is what was found lost if this fails.
    if newest.saturating_sub(used) > limit / 10 {
        let _ = connection
            .execute("UPDATE versions SET used = ?2 WHERE secret = ?1", params![secret, newest + 1]);
    }
    Ok(Some(content))
}

fn remember(
    connection: &mut Connection,
    secret: &str,
    content: &[u8],
    limit: i64,
) -> Result<Option<()>, rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute(
        "INSERT OR REPLACE INTO versions VALUES (?1, (SELECT coalesce(max(used), 0) + 1 FROM versions), ?2, ?3)",
        params![secret, content, seal(secret, content)],
    )?;
    transaction.execute(
        "DELETE FROM versions WHERE secret IN (SELECT secret FROM versions ORDER BY used \
         LIMIT max(0, (SELECT count(*) FROM versions) - ?1))",
        [limit],
    )?;
    transaction.commit()?;
    Ok(Some(()))
}

/// The digest of a row: of what it holds and of whom.
fn seal(secret: &str, content: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update((secret.len() as u64).to_be_bytes());
    hasher.update(secret);
    hasher.update(content);
    hasher.finalize().into()
}

/// Key presence and form, a byte each; then, each behind its length: the reason of the form, the leaf, what lies beside.
fn encode(content: &VaultContent) -> Vec<u8> {
    let key = match content.key {
        KeyPresence::NotRead => 0,
        KeyPresence::Absent => 1,
        KeyPresence::Matches => 2,
    };
    let (form, reason) = match &content.form {
        Form::NotRead => (0, ""),
        Form::Accepted => (1, ""),
        Form::Uncertain(reason) => (2, reason.as_str()),
        Form::Refused(reason) => (3, reason.as_str()),
    };
    let mut blob = vec![key, form];
    let certificates = std::iter::once(&content.leaf).chain(&content.bundled).map(Certificate::der);
    for part in std::iter::once(reason.as_bytes()).chain(certificates) {
        blob.extend((part.len() as u64).to_be_bytes());
        blob.extend(part);
    }
    blob
}

fn decode(blob: &[u8]) -> Option<VaultContent> {
    let ([key, form], mut rest) = blob.split_first_chunk::<2>()?;
    let mut parts = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk::<8>() {
        let (part, behind) = behind.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
        parts.push(part);
        rest = behind;
    }
    let [reason, leaf, bundled @ ..] = parts.as_slice() else { return None };
    if !rest.is_empty() {
        return None;
    }
    let reason = std::str::from_utf8(reason).ok()?.to_owned();
    Some(VaultContent {
        leaf: Certificate::parse(leaf).ok()?,
        bundled: bundled.iter().map(|der| Certificate::parse(der).ok()).collect::<Option<_>>()?,
        key: match key {
            0 => KeyPresence::NotRead,
            1 => KeyPresence::Absent,
            2 => KeyPresence::Matches,
            _ => return None,
        },
        form: match form {
            0 => Form::NotRead,
            1 => Form::Accepted,
            2 => Form::Uncertain(reason),
            3 => Form::Refused(reason),
            _ => return None,
        },
    })
}

fn open_or_begin(directory: &Directory) -> Result<Connection, JournalError> {
    let path = directory.file(VERSIONS);
    let readable = match directory.size(VERSIONS)? {
        None => Ok(None),
        Some(_) => recognised(&path),
    };
    match readable {
        Ok(Some(connection)) => Ok(connection),
        Ok(None) => begin(directory),
        Err(error) if is_damaged(&error) => begin(directory),
        Err(error) => Err(fault::sqlite(&path, "opening what is remembered of versions", &error)),
    }
}

/// The database that is there, if it is one of this format.
fn recognised(path: &Path) -> Result<Option<Connection>, rusqlite::Error> {
    let connection = connect(path)?;
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    if (number("application_id")?, number("user_version")?) != (APPLICATION_ID, FORMAT) {
        return Ok(None);
    }
    let sql = "SELECT sql FROM sqlite_schema WHERE name = 'versions'";
    let schema: Option<String> = connection.query_row(sql, [], |row| row.get(0)).optional()?;
    Ok((schema.as_deref() == Some(SCHEMA)).then_some(connection))
}

/// Removes what is there and makes an empty one. Another process that has the old one open goes on with a file without a
/// name, and remembers for itself.
fn begin(directory: &Directory) -> Result<Connection, JournalError> {
    let path = directory.file(VERSIONS);
    for name in BESIDE.map(|beside| format!("{VERSIONS}{beside}")).into_iter().chain([VERSIONS.to_owned()]) {
        if directory.size(&name)?.is_some() {
            let file = directory.file(&name);
            fs::remove_file(&file).map_err(|error| fault::system(&file, "removing it", &error))?;
        }
    }
    drop(directory.private_file(VERSIONS)?);
    let fault = |error| fault::sqlite(&path, "beginning what is remembered of versions", &error);
    let connection = connect(&path).map_err(fault)?;
    connection
        .execute_batch(&format!(
            "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; {SCHEMA};"
        ))
        .map_err(fault)?;
    Ok(connection)
}

fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    file::settings(&connection)?;
    connection.busy_timeout(BUSY)?;
    // What a power failure takes away is fetched again.
    connection.pragma_update(None, "synchronous", "normal")?;
    Ok(connection)
}

/// Whether a file must be begun anew.
pub(crate) fn is_damaged(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown | ErrorCode::TooBig)
    ) || matches!(
        error,
        rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::Utf8Error(..)
    )
}
