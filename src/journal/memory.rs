//! A journal that lives as long as its process.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use certroll_core::id::RolloutId;
use certroll_core::ports::{JournalError, Recorded, RolloutJournal};
use certroll_core::rollout::Event;

/// Events in the order in which they were appended.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    records: Mutex<Vec<Recorded>>,
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every record, oldest first.
    pub fn records(&self) -> Vec<Recorded> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The events of each rollout, in the order in which the rollouts were opened.
    fn rollouts(&self) -> Vec<Vec<Recorded>> {
        let mut order: Vec<RolloutId> = Vec::new();
        let mut rollouts: Vec<Vec<Recorded>> = Vec::new();
        for record in self.records() {
            match order.iter().position(|id| *id == record.rollout) {
                Some(place) => rollouts[place].push(record),
                None => {
                    order.push(record.rollout.clone());
                    rollouts.push(vec![record]);
                }
            }
        }
        rollouts
    }
}

#[async_trait]
impl RolloutJournal for MemoryJournal {
    async fn append(&self, record: &Recorded) -> Result<(), JournalError> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner).push(record.clone());
        Ok(())
    }

    async fn unfinished(&self) -> Result<Vec<Vec<Recorded>>, JournalError> {
        let ended = |events: &Vec<Recorded>| events.iter().any(|record| matches!(record.event, Event::Ended { .. }));
        Ok(self.rollouts().into_iter().filter(|events| !ended(events)).collect())
    }

    async fn history(&self, rollouts: usize) -> Result<Vec<Vec<Recorded>>, JournalError> {
        Ok(self.rollouts().into_iter().rev().take(rollouts).collect())
    }
}
