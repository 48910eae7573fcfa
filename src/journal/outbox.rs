//! Notices that are still to be delivered, each to its channels, and what each channel was told. A notice is on the disk
//! when [`OutboxStore::push`] returns, and stays until it was delivered or given up: a process that dies in between sends
//! it again.
//!
//! Nothing here is worth a rollout. A file that is damaged or of another format is begun anew, and what lasts is told
//! again.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use certroll_core::notice::Notice;
use certroll_core::ports::{JournalError, JournalFault};
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::directory::{BESIDE, Directory, OUTBOX};
use crate::fault;
use crate::file::{self, SAFE};
use crate::versions::is_damaged;

/// "crob".
const APPLICATION_ID: i32 = 0x6372_6f62;
/// The number of the format; another one is begun anew.
const FORMAT: i32 = 1;

/// Notices that are kept for delivery. A channel that is down for days collects some tens a day; at some 2 KiB each this
/// is 10 MiB.
const NOTICES: i64 = 5_000;
/// Keys that are remembered as told: as many conditions as some hundred services can have on ten channels.
const TOLD: i64 = 50_000;
/// How long another process's write is waited for: only `sqlite3` of somebody curious is one.
const BUSY: Duration = Duration::from_secs(1);

const SCHEMA: [&str; 5] = [
    "CREATE TABLE notices (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  severity INTEGER NOT NULL,
  body TEXT NOT NULL
) STRICT",
    "CREATE TABLE deliveries (
  channel TEXT NOT NULL,
  notice INTEGER NOT NULL,
  due INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  since INTEGER NOT NULL,
  PRIMARY KEY (channel, notice)
) STRICT, WITHOUT ROWID",
    "CREATE INDEX deliveries_by_due ON deliveries (channel, due)",
    "CREATE TABLE told (
  channel TEXT NOT NULL,
  key TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (channel, key)
) STRICT, WITHOUT ROWID",
    "CREATE TABLE memory (
  name TEXT PRIMARY KEY,
  text TEXT NOT NULL
) STRICT, WITHOUT ROWID",
];

/// A channel that a notice is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The channel's name.
    pub channel: String,
    /// The same thing is not told to it again within this time.
    pub silent_for: Duration,
}

/// What became of a notice that was pushed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Channels that it will be delivered to.
    pub queued: Vec<String>,
    /// Channels that were told the same thing not long ago.
    pub silenced: Vec<String>,
    /// Older notices that were dropped undelivered to make room, those for information first.
    pub dropped: usize,
}

/// A notice that is due on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The number of the notice in the outbox.
    pub number: i64,
    /// The channel.
    pub channel: String,
    /// The notice.
    pub notice: Notice,
    /// Attempts that failed.
    pub attempts: u32,
    /// When it was pushed.
    pub since: Timestamp,
}

/// The outbox in the journal's directory. One process delivers from it.
#[derive(Clone, Debug)]
pub struct OutboxStore {
    store: Arc<Mutex<Store>>,
}

#[derive(Debug)]
struct Store {
    directory: Directory,
    connection: Connection,
    /// Why what was there before was lost.
    lost: Option<String>,
    limit: i64,
}

impl OutboxStore {
    /// Opens it, and begins it anew where it is of another format or damaged: [`OutboxStore::lost`] says so. Blocks for
    /// as long as opening a file takes.
    ///
    /// # Errors
    /// It can be neither opened nor begun anew.
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        Self::with_limit(directory, NOTICES)
    }

    pub(crate) fn with_limit(directory: &Path, limit: i64) -> Result<Self, JournalError> {
        let directory = Directory::prepare(directory)?;
        let path = directory.file(OUTBOX);
        let recognised = match directory.size(OUTBOX)? {
            None => Ok(None),
            Some(_) => {
                directory.make_private(OUTBOX)?;
                recognised(&path)
            }
        };
        let (connection, lost) = match recognised {
            Ok(Some(connection)) => (connection, None),
            Ok(None) => {
                let was_there = directory.size(OUTBOX)?.is_some();
                let lost = was_there.then(|| format!("`{}` is of another format", path.display()));
                (begin(&directory)?, lost)
            }
            Err(error) if is_damaged(&error) => {
                (begin(&directory)?, Some(format!("`{}` is damaged: {error}", path.display())))
            }
            Err(error) => return Err(fault::sqlite(&path, "opening the outbox", &error)),
        };
        let store = Store { directory, connection, lost, limit };
        Ok(Self { store: Arc::new(Mutex::new(store)) })
    }

    /// Why what an earlier process had put in was lost, if it was.
    pub fn lost(&self) -> Option<String> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner).lost.clone()
    }

    /// Puts a notice in for the channels that were not told the same thing lately. All of it is on the disk when this
    /// returns, or nothing is.
    ///
    /// # Errors
    /// The outbox cannot be written.
    pub async fn push(&self, notice: &Notice, routes: Vec<Route>) -> Result<Pushed, JournalError> {
        let notice = notice.clone();
        self.with("putting a notice into the outbox", move |transaction, limit| {
            push(transaction, &notice, routes, limit)
        })
        .await
    }

    /// What is due on a channel, the oldest first.
    ///
    /// # Errors
    /// The outbox cannot be read.
    pub async fn due(
        &self,
        channel: &str,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<Delivery>, JournalError> {
        let channel = channel.to_owned();
        self.with("reading the outbox", move |transaction, _| due(transaction, &channel, now, most)).await
    }

    /// When the next delivery of a channel is due, if there is one.
    ///
    /// # Errors
    /// The outbox cannot be read.
    pub async fn next_due(&self, channel: &str) -> Result<Option<Timestamp>, JournalError> {
        let channel = channel.to_owned();
        self.with("reading the outbox", move |transaction, _| {
            let sql = "SELECT min(due) FROM deliveries WHERE channel = ?1";
            let due: Option<i64> = transaction.query_row(sql, [channel], |row| row.get(0))?;
            Ok(due.map(moment))
        })
        .await
    }

    /// A delivery was made: it is taken out.
    ///
    /// # Errors
    /// The outbox cannot be written: the notice will be sent again.
    pub async fn delivered(&self, delivery: &Delivery) -> Result<(), JournalError> {
        let (number, channel) = (delivery.number, delivery.channel.clone());
        self.with("taking a notice out of the outbox", move |transaction, _| {
            take_out(transaction, number, &channel)
        })
        .await
    }

    /// A delivery failed, and is tried again.
    ///
    /// # Errors
    /// The outbox cannot be written.
    pub async fn failed(&self, delivery: &Delivery, again: Timestamp) -> Result<(), JournalError> {
        let (number, channel) = (delivery.number, delivery.channel.clone());
        self.with("putting a delivery off", move |transaction, _| {
            let sql =
                "UPDATE deliveries SET attempts = attempts + 1, due = ?3 WHERE notice = ?1 AND channel = ?2";
            transaction.execute(sql, params![number, channel, again.as_millisecond()])?;
            Ok(())
        })
        .await
    }

    /// A delivery is given up: the channel was not told, so that the next notice of the same key is no repetition.
    ///
    /// # Errors
    /// The outbox cannot be written.
    pub async fn given_up(&self, delivery: &Delivery) -> Result<(), JournalError> {
        let Delivery { number, channel, notice, .. } = delivery.clone();
        self.with("giving a delivery up", move |transaction, _| {
            transaction
                .execute("DELETE FROM told WHERE channel = ?1 AND key = ?2", params![channel, notice.key])?;
            take_out(transaction, number, &channel)
        })
        .await
    }

    /// When a channel was told a key last.
    ///
    /// # Errors
    /// The outbox cannot be read.
    pub async fn last_told(&self, channel: &str, key: &str) -> Result<Option<Timestamp>, JournalError> {
        let (channel, key) = (channel.to_owned(), key.to_owned());
        self.with("reading the outbox", move |transaction, _| {
            Ok(told_at(transaction, &channel, &key)?.map(moment))
        })
        .await
    }

    /// Forgets what is for channels other than these, as after the configuration has changed. Returns how many deliveries
    /// were dropped.
    ///
    /// # Errors
    /// The outbox cannot be written.
    pub async fn keep_channels(&self, channels: Vec<String>) -> Result<usize, JournalError> {
        self.with("forgetting channels", move |transaction, _| {
            let mut statement = transaction.prepare("SELECT DISTINCT channel FROM deliveries")?;
            let found: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            let mut dropped = 0;
            for channel in found.iter().filter(|found| !channels.contains(found)) {
                dropped += transaction.execute("DELETE FROM deliveries WHERE channel = ?1", [channel])?;
                transaction.execute("DELETE FROM told WHERE channel = ?1", [channel])?;
            }
            drop_orphans(transaction)?;
            Ok(dropped)
        })
        .await
    }

    /// Remembers a text under a name, in the order of the pushes.
    ///
    /// # Errors
    /// The outbox cannot be written.
    pub async fn remember(&self, name: &str, text: String) -> Result<(), JournalError> {
        let name = name.to_owned();
        self.with("writing the outbox", move |transaction, _| {
            transaction.execute("INSERT OR REPLACE INTO memory VALUES (?1, ?2)", params![name, text])?;
            Ok(())
        })
        .await
    }

    /// What was remembered under a name.
    ///
    /// # Errors
    /// The outbox cannot be read.
    pub async fn recall(&self, name: &str) -> Result<Option<String>, JournalError> {
        let name = name.to_owned();
        self.with("reading the outbox", move |transaction, _| {
            let sql = "SELECT text FROM memory WHERE name = ?1";
            transaction.query_row(sql, [name], |row| row.get(0)).optional()
        })
        .await
    }

    /// One transaction, off the threads that others wait for.
    async fn with<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>, i64) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, JournalError> {
        let store = Arc::clone(&self.store);
        let done = tokio::task::spawn_blocking(move || {
            store.lock().unwrap_or_else(PoisonError::into_inner).with(doing, work)
        });
        done.await.unwrap_or_else(|error| {
            Err(JournalError::new(JournalFault::Failed, format!("{doing} broke off: {error}")))
        })
    }

    /// The connection, for tests that make it fail.
    #[cfg(test)]
    pub(crate) fn with_connection<T>(&self, work: impl FnOnce(&Connection) -> T) -> T {
        work(&self.store.lock().unwrap_or_else(PoisonError::into_inner).connection)
    }
}

impl Store {
    fn with<T>(
        &mut self,
        doing: &str,
        work: impl FnOnce(&Transaction<'_>, i64) -> Result<T, rusqlite::Error>,
    ) -> Result<T, JournalError> {
        let limit = self.limit;
        let done =
            Transaction::new(&mut self.connection, TransactionBehavior::Immediate).and_then(|transaction| {
                let done = work(&transaction, limit)?;
                transaction.commit()?;
                Ok(done)
            });
        done.map_err(|error| {
            if is_damaged(&error)
                && let Ok(connection) = begin(&self.directory)
            {
                self.connection = connection;
                self.lost = Some(error.to_string());
            }
            fault::sqlite(&self.directory.file(OUTBOX), doing, &error)
        })
    }
}

fn moment(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX)
}

fn push(
    transaction: &Transaction<'_>,
    notice: &Notice,
    routes: Vec<Route>,
    limit: i64,
) -> Result<Pushed, rusqlite::Error> {
    let mut pushed = Pushed::default();
    let at = notice.at.as_millisecond();
    for Route { channel, silent_for } in routes {
        let silent = i64::try_from(silent_for.as_millis()).unwrap_or(i64::MAX);
        // A clock that was set back must not silence a channel for long: what was told in the future does not count.
        let told = told_at(transaction, &channel, &notice.key)?;
        if told.is_some_and(|told| told <= at && at - told < silent) {
            pushed.silenced.push(channel);
        } else {
            pushed.queued.push(channel);
        }
    }
    if pushed.queued.is_empty() {
        return Ok(pushed);
    }
    // A value of our own types always serializes.
    let body = serde_json::to_string(notice).unwrap_or_default();
    transaction.execute(
        "INSERT INTO notices (severity, body) VALUES (?1, ?2)",
        params![notice.severity as i64, body],
    )?;
    let number = transaction.last_insert_rowid();
    for channel in &pushed.queued {
        transaction
            .execute("INSERT INTO deliveries VALUES (?1, ?2, ?3, 0, ?3)", params![channel, number, at])?;
        transaction
            .execute("INSERT OR REPLACE INTO told VALUES (?1, ?2, ?3)", params![channel, notice.key, at])?;
    }
    let count: i64 = transaction.query_row("SELECT count(*) FROM notices", [], |row| row.get(0))?;
    if count > limit {
        pushed.dropped = transaction.execute(
            "DELETE FROM notices WHERE id IN (SELECT id FROM notices ORDER BY severity, id LIMIT ?1)",
            [count - limit],
        )?;
        transaction.execute("DELETE FROM deliveries WHERE notice NOT IN (SELECT id FROM notices)", [])?;
    }
    transaction.execute(
        "DELETE FROM told WHERE (channel, key) IN (SELECT channel, key FROM told ORDER BY at \
         LIMIT max(0, (SELECT count(*) FROM told) - ?1))",
        [TOLD],
    )?;
    Ok(pushed)
}

fn told_at(transaction: &Transaction<'_>, channel: &str, key: &str) -> Result<Option<i64>, rusqlite::Error> {
    let sql = "SELECT at FROM told WHERE channel = ?1 AND key = ?2";
    transaction.query_row(sql, [channel, key], |row| row.get(0)).optional()
}

fn due(
    transaction: &Transaction<'_>,
    channel: &str,
    now: Timestamp,
    most: usize,
) -> Result<Vec<Delivery>, rusqlite::Error> {
    let sql = "SELECT notice, attempts, since, body FROM deliveries JOIN notices ON id = notice \
               WHERE channel = ?1 AND due <= ?2 ORDER BY due, notice LIMIT ?3";
    let mut statement = transaction.prepare(sql)?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![channel, now.as_millisecond(), most], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, u32>(1)?, row.get::<_, i64>(2)?, row.get::<_, String>(3)?))
    })?;
    let mut found = Vec::new();
    for row in rows {
        let (number, attempts, since, body) = row?;
        match serde_json::from_str(&body) {
            Ok(notice) => found.push(Delivery {
                number,
                channel: channel.to_owned(),
                notice,
                attempts,
                since: moment(since),
            }),
            // Nobody can be told what cannot be read; what lasts is told again.
            Err(_) => take_out(transaction, number, channel)?,
        }
    }
    Ok(found)
}

fn take_out(transaction: &Transaction<'_>, number: i64, channel: &str) -> Result<(), rusqlite::Error> {
    transaction
        .execute("DELETE FROM deliveries WHERE notice = ?1 AND channel = ?2", params![number, channel])?;
    drop_orphans(transaction)
}

/// Drops notices that no channel waits for.
fn drop_orphans(transaction: &Transaction<'_>) -> Result<(), rusqlite::Error> {
    transaction.execute("DELETE FROM notices WHERE id NOT IN (SELECT notice FROM deliveries)", [])?;
    Ok(())
}

/// The database that is there, if it is one of this format.
fn recognised(path: &Path) -> Result<Option<Connection>, rusqlite::Error> {
    let connection = connect(path)?;
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    if (number("application_id")?, number("user_version")?) != (APPLICATION_ID, FORMAT) {
        return Ok(None);
    }
    let sql =
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid";
    let mut statement = connection.prepare(sql)?;
    let found: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    drop(statement);
    Ok((found == SCHEMA).then_some(connection))
}

/// Removes what is there and makes an empty one.
fn begin(directory: &Directory) -> Result<Connection, JournalError> {
    let path = directory.file(OUTBOX);
    for name in BESIDE.map(|beside| format!("{OUTBOX}{beside}")).into_iter().chain([OUTBOX.to_owned()]) {
        if directory.size(&name)?.is_some() {
            let file = directory.file(&name);
            fs::remove_file(&file).map_err(|error| fault::system(&file, "removing it", &error))?;
        }
    }
    drop(directory.private_file(OUTBOX)?);
    let fault = |error| fault::sqlite(&path, "beginning the outbox", &error);
    let connection = connect(&path).map_err(fault)?;
    let statements = format!(
        "PRAGMA application_id = {APPLICATION_ID}; BEGIN; {}; PRAGMA user_version = {FORMAT}; COMMIT;",
        SCHEMA.join(";")
    );
    connection.execute_batch(&statements).map_err(fault)?;
    directory.sync()?;
    Ok(connection)
}

fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | SAFE)?;
    file::settings(&connection)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))?;
    // A notice is on the disk when its push returns.
    connection.pragma_update(None, "synchronous", "full")?;
    Ok(connection)
}
