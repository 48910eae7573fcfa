//! The record on disk, and its one writer.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use certroll_core::id::{CloudServiceId, RolloutId};
use certroll_core::ports::{JournalError, JournalFault, Recorded, RolloutJournal};
use certroll_core::standing::{Decided, Standings};
use jiff::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::directory::{Directory, JOURNAL};
use crate::entry::{Draft, Entry};
use crate::lock::{Lock, Writer};
use crate::reader::{JournalReader, off_thread};
use crate::retention::{self, Dropped};
use crate::table::Table;
use crate::verify::{Damage, Verified};
use crate::{fault, file};

/// The journal of a directory, for the one process that writes it. What was appended is on the disk when the call returns;
/// what could not be appended may be appended again.
#[derive(Clone, Debug)]
pub struct DurableJournal {
    // Dropped before the writer: the last connection to close that may write tidies up.
    reader: JournalReader,
    writing: Arc<Mutex<Writing>>,
}

#[derive(Debug)]
struct Writing {
    connection: Connection,
    path: PathBuf,
    /// What the entries amount to; not known after a write of which it is not known whether it took place.
    standings: Option<Standings>,
    // The last to go: nobody may write before the connection is closed.
    _lock: Lock,
}

impl DurableJournal {
    /// Opens the journal in a directory to write it, and makes both where they are not there. `who` is what another
    /// process is told that wants it too. Blocks until what matters of the record is read.
    ///
    /// # Errors
    /// Another process holds it; it may not be opened or written; it is damaged, or of a later format. Then it is left as
    /// it is.
    pub fn open(directory: &Path, who: &Writer) -> Result<Self, JournalError> {
        let directory = Directory::prepare(directory)?;
        let lock = Lock::take(&directory, who)?;
        let connection = file::open_writing(&directory)?;
        let path = directory.file(JOURNAL);
        let mut writing = Writing { connection, path, standings: None, _lock: lock };
        let standings = writing.change(|table| {
            table.head()?;
            table.standings()
        })?;
        writing.standings = Some(standings);
        let reader = JournalReader::of(&directory)?;
        Ok(Self { reader, writing: Arc::new(Mutex::new(writing)) })
    }

    /// Opens the journal in a directory to read it, whoever writes it.
    ///
    /// # Errors
    /// There is none, it may not be read, it is of a later format, or it is no journal.
    pub fn read(directory: &Path) -> Result<JournalReader, JournalError> {
        JournalReader::open(directory)
    }

    /// Drops what rollouts said that ended before `keep_since`: their events stay in the chain without their bodies, and
    /// the oldest of them go altogether. Kept are a rollout without an ending, one that is stuck or in quarantine, the
    /// latest of each service and the latest that ended verified, and whatever is needed so that [`Standings`] stay what
    /// they are. Holds up the writer for as long as it takes.
    ///
    /// # Errors
    /// The journal cannot be written or is damaged; nothing is dropped then.
    pub async fn retain(&self, keep_since: Timestamp, now: Timestamp) -> Result<Dropped, JournalError> {
        self.write(move |writing| {
            let known = writing.standings()?;
            let dropped = writing.change(|table| retention::retain(table, &known, keep_since, now))?;
            if dropped != Dropped::default() {
                // The space can be used again in any case; that it goes back to the disk is a bonus.
                let _ = retention::give_back(&writing.connection);
            }
            Ok(dropped)
        })
        .await
    }

    /// Checks all of it, and names every place that is not as it was written. Reads the whole file.
    ///
    /// # Errors
    /// Everything that is damaged.
    pub async fn verify(&self) -> Result<Verified, Vec<Damage>> {
        self.reader.verify().await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writing) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let writing = Arc::clone(&self.writing);
        off_thread(move || work(&mut writing.lock().unwrap_or_else(PoisonError::into_inner))).await
    }

    /// The connection that writes, for tests that make it fail.
    #[cfg(test)]
    pub(crate) fn with_connection<T>(&self, work: impl FnOnce(&Connection) -> T) -> T {
        work(&self.writing.lock().unwrap_or_else(PoisonError::into_inner).connection)
    }
}

impl Writing {
    /// Carries out one transaction: all of it is on the disk, or nothing was changed.
    fn change<T>(
        &mut self,
        work: impl FnOnce(&Table<'_>) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let fault = |error| fault::sqlite(&self.path, "writing the journal", &error);
        let transaction =
            Transaction::new(&mut self.connection, TransactionBehavior::Immediate).map_err(fault)?;
        let done = work(&Table::new(&transaction, &self.path))?;
        if let Err(error) = transaction.commit() {
            // It may have taken place all the same.
            self.standings = None;
            return Err(fault(error));
        }
        Ok(done)
    }

    fn standings(&mut self) -> Result<Standings, JournalError> {
        if let Some(standings) = &self.standings {
            return Ok(standings.clone());
        }
        let standings = self.change(|table| table.standings())?;
        self.standings = Some(standings.clone());
        Ok(standings)
    }

    fn append(&mut self, record: &Recorded) -> Result<(), JournalError> {
        let draft = Draft::event(record)?;
        let added = self.change(|table| {
            let rollout = record.rollout.as_str();
            match table.last_of_rollout(rollout)? {
                // An earlier attempt failed after its commit.
                Some(last) if is_same(&last, &draft) => return Ok(false),
                last => may_follow(last.as_ref(), &draft, rollout)?,
            }
            table.insert(&draft)?;
            Ok(true)
        })?;
        self.took_in(added, |standings| standings.record(record));
        Ok(())
    }

    fn decide(&mut self, decided: &Decided) -> Result<(), JournalError> {
        let draft = Draft::decision(decided)?;
        let added = self.change(|table| {
            let last = table.last_decision(draft.service.as_deref().unwrap_or_default())?;
            if last.is_some_and(|last| is_same(&last, &draft)) {
                return Ok(false);
            }
            table.insert(&draft)?;
            Ok(true)
        })?;
        self.took_in(added, |standings| standings.decide(decided));
        Ok(())
    }

    /// What an entry means for the standings. One that was there already may or may not be in them.
    fn took_in(&mut self, added: bool, apply: impl FnOnce(&mut Standings)) {
        match &mut self.standings {
            Some(standings) if added => apply(standings),
            standings => *standings = None,
        }
    }
}

fn is_same(last: &Entry, draft: &Draft) -> bool {
    last.at == draft.at && last.word == draft.word && last.digest == draft.digest
}

/// An order that a single process cannot write: two write, or the record was changed.
fn may_follow(last: Option<&Entry>, draft: &Draft, rollout: &str) -> Result<(), JournalError> {
    let why = match last {
        None if draft.word == "opened" => return Ok(()),
        None => "that rollout is not known".to_owned(),
        Some(last) if last.word == "ended" => format!("it ended at {}", last.at),
        Some(last) if draft.word == "opened" => format!("it is known already: {last}"),
        Some(_) => return Ok(()),
    };
    let message = format!("the event `{}` cannot be written to the rollout {rollout}: {why}", draft.word);
    Err(JournalError::new(JournalFault::Failed, message)
        .hint("`certroll history --verify` tells whether the journal is damaged"))
}

#[async_trait]
impl RolloutJournal for DurableJournal {
    async fn append(&self, record: &Recorded) -> Result<(), JournalError> {
        let record = record.clone();
        self.write(move |writing| writing.append(&record)).await
    }

    async fn decide(&self, decided: &Decided) -> Result<(), JournalError> {
        let decided = decided.clone();
        self.write(move |writing| writing.decide(&decided)).await
    }

    async fn unfinished(&self) -> Result<Vec<Vec<Recorded>>, JournalError> {
        self.reader.unfinished().await
    }

    async fn history(
        &self,
        service: Option<&CloudServiceId>,
        rollouts: usize,
    ) -> Result<Vec<Vec<Recorded>>, JournalError> {
        self.reader.history(service, rollouts).await
    }

    async fn rollout(&self, rollout: &RolloutId) -> Result<Vec<Recorded>, JournalError> {
        self.reader.rollout(rollout).await
    }

    async fn standings(&self) -> Result<Standings, JournalError> {
        self.write(Writing::standings).await
    }
}
