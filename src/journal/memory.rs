//! A journal that lives as long as its process.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use certroll_core::id::{CloudServiceId, RolloutId};
use certroll_core::ports::{JournalError, Recorded, RolloutJournal};
use certroll_core::rollout::Event;
use certroll_core::standing::{Decided, Standings};

/// Entries in the order in which they were written.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    records: Vec<Recorded>,
    standings: Standings,
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every record, oldest first.
    pub fn records(&self) -> Vec<Recorded> {
        self.with(|entries| entries.records.clone())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Entries) -> T) -> T {
        work(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner))
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

/// Whether the events are of a rollout of this service.
fn is_of(events: &[Recorded], service: &CloudServiceId) -> bool {
    matches!(
        events.first().map(|first| &first.event),
        Some(Event::Opened { update, .. }) if update.service == *service
    )
}

#[async_trait]
impl RolloutJournal for MemoryJournal {
    async fn append(&self, record: &Recorded) -> Result<(), JournalError> {
        self.with(|entries| {
            entries.standings.record(record);
            entries.records.push(record.clone());
        });
        Ok(())
    }

    async fn decide(&self, decided: &Decided) -> Result<(), JournalError> {
        self.with(|entries| entries.standings.decide(decided));
        Ok(())
    }

    async fn unfinished(&self) -> Result<Vec<Vec<Recorded>>, JournalError> {
        let ended =
            |events: &Vec<Recorded>| events.iter().any(|record| matches!(record.event, Event::Ended { .. }));
        Ok(self.rollouts().into_iter().filter(|events| !ended(events)).collect())
    }

    async fn history(
        &self,
        service: Option<&CloudServiceId>,
        rollouts: usize,
    ) -> Result<Vec<Vec<Recorded>>, JournalError> {
        let wanted = |events: &Vec<Recorded>| service.is_none_or(|service| is_of(events, service));
        Ok(self.rollouts().into_iter().rev().filter(wanted).take(rollouts).collect())
    }

    async fn rollout(&self, rollout: &RolloutId) -> Result<Vec<Recorded>, JournalError> {
        Ok(self.records().into_iter().filter(|record| record.rollout == *rollout).collect())
    }

    async fn standings(&self) -> Result<Standings, JournalError> {
        Ok(self.with(|entries| entries.standings.clone()))
    }
}
