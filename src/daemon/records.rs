//! The journal of the settings, opened for what a command is about to do.

use std::fmt;
use std::sync::Arc;

use certroll_core::ports::{JournalError, JournalFault, RolloutJournal, VersionMemory};
use certroll_journal::memory::MemoryJournal;
use certroll_journal::{DurableJournal, JournalReader, VersionStore, Writer};
use jiff::{SignedDuration, Timestamp};

use crate::config::JournalSettings;

/// Where rollouts are recorded, and what is remembered of immutable versions.
#[derive(Clone)]
pub struct Records {
    /// The record of rollouts.
    pub journal: Arc<dyn RolloutJournal>,
    /// What is remembered of versions. Without it they are read again.
    pub versions: Option<Arc<dyn VersionMemory>>,
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").finish_non_exhaustive()
    }
}

impl Records {
    /// To be written: the journal of the settings, for this process alone. What is older than it is to be is dropped.
    ///
    /// # Errors
    /// Another process writes it, or it cannot be used.
    pub async fn write(settings: &JournalSettings, program: &str) -> Result<Self, JournalError> {
        let now = Timestamp::now();
        let who = Writer { program: program.to_owned(), pid: std::process::id(), host: host(), since: now };
        let directory = settings.directory.clone();
        let opened = tokio::task::spawn_blocking(move || DurableJournal::open(&directory, &who)).await;
        let journal = opened.unwrap_or_else(|error| {
            Err(JournalError::new(JournalFault::Failed, format!("opening the journal broke off: {error}")))
        })?;
        let keep = SignedDuration::try_from(settings.keep_for).unwrap_or(SignedDuration::MAX);
        if let Ok(keep_since) = now.checked_sub(keep)
            && let Err(error) = journal.retain(keep_since, now).await
        {
            // Too much is kept, which harms nobody.
            tracing::warn!(error = %error, "old rollouts cannot be dropped from the journal");
        }
        Ok(Self { journal: Arc::new(journal), versions: versions(settings) })
    }

    /// To be read, for a command that changes nothing. A journal that is not there says nothing.
    ///
    /// # Errors
    /// It is there and cannot be read: what it holds back is not known.
    pub fn read(settings: &JournalSettings) -> Result<Self, JournalError> {
        let journal: Arc<dyn RolloutJournal> = match reader(settings) {
            Ok(reader) => Arc::new(reader),
            Err(error) if error.kind == JournalFault::Absent => return Ok(Self::in_memory()),
            Err(error) => return Err(error),
        };
        Ok(Self { journal, versions: versions(settings) })
    }

    /// Records that live as long as the process.
    pub fn in_memory() -> Self {
        Self { journal: Arc::new(MemoryJournal::new()), versions: None }
    }
}

/// The journal of the settings, to be read whoever writes it.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn reader(settings: &JournalSettings) -> Result<JournalReader, JournalError> {
    DurableJournal::read(&settings.directory)
}

fn versions(settings: &JournalSettings) -> Option<Arc<dyn VersionMemory>> {
    match VersionStore::open(&settings.directory) {
        Ok(store) => Some(Arc::new(store)),
        Err(error) => {
            tracing::debug!(error = %error, "what is remembered of versions cannot be used");
            None
        }
    }
}

/// The name of this machine, for the message that another process holds the journal.
fn host() -> String {
    let read = std::fs::read_to_string("/proc/sys/kernel/hostname");
    read.map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}
