//! Reading the record, beside a process that writes it or without one.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use certroll_core::id::{CloudServiceId, RolloutId};
use certroll_core::ports::{JournalError, JournalFault, Recorded, RolloutJournal};
use certroll_core::standing::{Decided, Standings};

use crate::directory::Directory;
use crate::fault;
use crate::file::ReadOnly;
use crate::table::Table;
use crate::verify::{self, Damage, Verified};

/// A journal that is read and never written. Each call sees the record as it is at one moment.
#[derive(Clone, Debug)]
pub struct JournalReader {
    file: Arc<Mutex<ReadOnly>>,
}

impl JournalReader {
    /// Opens the journal in a directory. Blocks for as long as opening a file takes.
    ///
    /// # Errors
    /// There is none, it may not be read, it is of a later format, or it is no journal.
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        Self::of(&Directory::find(directory)?)
    }

    pub(crate) fn of(directory: &Directory) -> Result<Self, JournalError> {
        Ok(Self { file: Arc::new(Mutex::new(ReadOnly::open(directory)?)) })
    }

    /// Checks all of it, and names every place that is not as it was written. Reads the whole file.
    ///
    /// # Errors
    /// Everything that is damaged.
    pub async fn verify(&self) -> Result<Verified, Vec<Damage>> {
        let checked = self.run(|table| Ok(verify::verify(table))).await;
        checked.unwrap_or_else(|error| Err(vec![Damage::of(error.message)]))
    }

    /// Works with the entries as they are at one moment, off the threads that others wait for.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Table<'_>) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let file = Arc::clone(&self.file);
        off_thread(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let ReadOnly { connection, path, .. } = &mut *file;
            let transaction = connection
                .transaction()
                .map_err(|error| fault::sqlite(path, "reading the journal", &error))?;
            let done = work(&Table::new(&transaction, path));
            drop(transaction);
            file.settled()?;
            done
        })
        .await
    }
}

/// Runs what blocks on a thread for that.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, JournalError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        let message = format!("the journal's work broke off: {error}");
        Err(JournalError::new(JournalFault::Failed, message))
    })
}

#[async_trait]
impl RolloutJournal for JournalReader {
    async fn append(&self, _record: &Recorded) -> Result<(), JournalError> {
        Err(only_read())
    }

    async fn decide(&self, _decided: &Decided) -> Result<(), JournalError> {
        Err(only_read())
    }

    async fn unfinished(&self) -> Result<Vec<Vec<Recorded>>, JournalError> {
        self.run(|table| {
            let mut entries = table.entries()?;
            let mut rollouts = Vec::new();
            for seq in table.unfinished()? {
                rollouts.push(entries.opened_by(seq)?);
            }
            Ok(rollouts)
        })
        .await
    }

    async fn history(
        &self,
        service: Option<&CloudServiceId>,
        rollouts: usize,
    ) -> Result<Vec<Vec<Recorded>>, JournalError> {
        let service = service.cloned();
        self.run(move |table| {
            let mut entries = table.entries()?;
            let mut found = Vec::new();
            for seq in table.openings(service.as_ref())? {
                if found.len() == rollouts {
                    break;
                }
                let events = entries.opened_by(seq)?;
                if !events.is_empty() {
                    found.push(events);
                }
            }
            Ok(found)
        })
        .await
    }

    async fn rollout(&self, rollout: &RolloutId) -> Result<Vec<Recorded>, JournalError> {
        let rollout = rollout.clone();
        self.run(move |table| table.entries()?.rollout(rollout.as_str())).await
    }

    async fn standings(&self) -> Result<Standings, JournalError> {
        self.run(|table| table.standings()).await
    }
}

fn only_read() -> JournalError {
    JournalError::new(JournalFault::ReadOnly, "the journal was opened to read it only")
}
