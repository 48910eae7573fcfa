//! Carries one rollout to its ending: asks core for the next action, does it, writes down what happened, and asks
//! again. A rollout that another process began is continued by the same path.

use std::collections::VecDeque;

use certroll_core::id::RolloutId;
use certroll_core::plan::ApprovedUpdate;
use certroll_core::ports::{JournalError, Progress, Recorded};
use certroll_core::rollout::{
    Action, Cause, Ending, Event, FoldError, Limits, Rollout, give_up, next_action,
};
use certroll_core::target::cloud_service::CloudServiceModel;
use thiserror::Error;
use tokio::sync::watch;

use crate::locks::ServicePermit;
use crate::outside::Outside;
use crate::steps;

/// Why a rollout has no ending.
#[derive(Debug, Error)]
pub enum RolloutError {
    /// The journal cannot be written: no rollout starts without it.
    #[error("no rollout starts, since the journal cannot be written: {0}")]
    Journal(#[from] JournalError),
    /// Its record cannot be continued.
    #[error("the rollout cannot be continued: {0}")]
    Record(#[from] FoldError),
    /// The permit is for another service.
    #[error("the permit is for `{held}`; expected `{wanted}`")]
    Permit {
        /// The service of the permit.
        held: String,
        /// The service of the update.
        wanted: String,
    },
}

/// How driving a rollout came to its end.
#[derive(Debug)]
pub enum Outcome {
    /// It has an ending.
    Ended {
        /// The rollout, with everything that it learned.
        rollout: Box<Rollout>,
        /// The ending.
        ending: Ending,
        /// Why the journal lacks the last events, if it does.
        journal_lost: Option<JournalError>,
    },
    /// It was asked to stop. The journal has everything that is needed to go on.
    Interrupted {
        /// The rollout as it was left.
        rollout: Box<Rollout>,
    },
}

/// Opens a rollout and carries it to its ending.
///
/// # Errors
/// The journal cannot take it: then nothing was done.
pub async fn start(
    permit: &ServicePermit,
    approved: ApprovedUpdate,
    limits: &Limits,
    outside: &Outside,
    stop: watch::Receiver<bool>,
) -> Result<Outcome, RolloutError> {
    let (update, by, undoes) = approved.into_parts();
    if permit.service() != &update.service {
        return Err(RolloutError::Permit {
            held: permit.service().to_string(),
            wanted: update.service.to_string(),
        });
    }
    let at = outside.clock.now();
    let id = RolloutId::new(at, &update.service);
    let event = Event::Opened { rollout: id.clone(), update, by, undoes };
    let rollout = Rollout::open(at, &event)?;
    let record = Recorded { at, rollout: id, event };
    outside.journal.append(&record).await?;
    outside.observer.recorded(&record);
    Drive::new(rollout, limits, outside, stop).until_the_end().await
}

/// Continues a rollout from its record.
///
/// # Errors
/// The record is damaged.
pub async fn resume(
    permit: &ServicePermit,
    records: &[Recorded],
    limits: &Limits,
    outside: &Outside,
    stop: watch::Receiver<bool>,
) -> Result<Outcome, RolloutError> {
    let rollout = Rollout::fold(records.iter().map(|record| (record.at, &record.event)))?;
    if permit.service() != &rollout.update().service {
        return Err(RolloutError::Permit {
            held: permit.service().to_string(),
            wanted: rollout.update().service.to_string(),
        });
    }
    outside.observer.resumed(&rollout);
    Drive::new(rollout, limits, outside, stop).until_the_end().await
}

/// One rollout being driven.
pub(crate) struct Drive<'a> {
    pub(crate) rollout: Rollout,
    pub(crate) limits: &'a Limits,
    pub(crate) outside: &'a Outside,
    pub(crate) stop: watch::Receiver<bool>,
    /// The service as the last look read it: a PUT is made from nothing older.
    pub(crate) fresh: Option<CloudServiceModel>,
    /// Events that the journal could not take yet, oldest first. A rollout has a bounded number of events.
    unwritten: VecDeque<Recorded>,
    journal_lost: Option<JournalError>,
}

/// Somebody asked the process to end.
#[derive(Debug)]
pub(crate) struct Stopped;

impl<'a> Drive<'a> {
    fn new(rollout: Rollout, limits: &'a Limits, outside: &'a Outside, stop: watch::Receiver<bool>) -> Self {
        Self { rollout, limits, outside, stop, fresh: None, unwritten: VecDeque::new(), journal_lost: None }
    }

    async fn until_the_end(mut self) -> Result<Outcome, RolloutError> {
        loop {
            let action = next_action(&self.rollout, self.outside.clock.now(), self.limits);
            if let Action::Done(ending) = action {
                return Ok(Outcome::Ended {
                    rollout: Box::new(self.rollout),
                    ending,
                    journal_lost: self.journal_lost,
                });
            }
            if *self.stop.borrow() && !matches!(action, Action::Record(_)) {
                return Ok(Outcome::Interrupted { rollout: Box::new(self.rollout) });
            }
            match self.perform(action).await {
                Ok(()) => {}
                Err(Interruption::Stopped) => {
                    return Ok(Outcome::Interrupted { rollout: Box::new(self.rollout) });
                }
                Err(Interruption::Record(error)) => return Err(error.into()),
                Err(Interruption::Journal(error)) => return Err(error.into()),
            }
        }
    }

    async fn perform(&mut self, action: Action) -> Result<(), Interruption> {
        match action {
            Action::Capture => steps::capture::capture(self).await,
            Action::Look { not_before } => steps::look::look(self, not_before).await,
            Action::Put { phase } => steps::put::put(self, phase).await,
            Action::Follow { operation, since } => steps::operation::follow(self, &operation, since).await,
            Action::Walk { operation, since, from } => steps::walk::walk(self, &operation, since, from).await,
            Action::Examine { until } => steps::examine::examine(self, until).await,
            Action::Record(event) => self.record(event).await,
            Action::Done(_) => Ok(()),
        }
    }

    /// Writes an event down, then takes it in. Before anything was changed, a journal that fails ends the rollout;
    /// afterwards the service matters more than the record: the rollout is led to its end, and what the journal did not
    /// take is offered to it again with each event.
    pub(crate) async fn record(&mut self, event: Event) -> Result<(), Interruption> {
        if self.rollout.is_repetition(&event) {
            return Ok(());
        }
        let at = self.outside.clock.now();
        let next = self.rollout.clone().apply(at, &event).map_err(Interruption::Record)?;
        let record = Recorded { at, rollout: self.rollout.id().clone(), event };
        self.unwritten.push_back(record.clone());
        if let Err(error) = self.write().await {
            // The event `put started` is written before the PUT is sent: here nothing was sent yet.
            if !self.rollout.may_have_changed() {
                return Err(Interruption::Journal(error));
            }
            if self.journal_lost.is_none() {
                tracing::error!(rollout = %self.rollout.id(), error = %error, "the journal cannot be written, the rollout goes on without it");
            }
            self.journal_lost = Some(error);
        }
        // Whoever observes says it to people.
        tracing::debug!(
            rollout = %self.rollout.id(),
            cloud_service = %self.rollout.update().service,
            event = record.event.word(),
            "rollout"
        );
        self.rollout = next;
        self.outside.observer.recorded(&record);
        Ok(())
    }

    /// Offers the journal what it has not taken, in order.
    async fn write(&mut self) -> Result<(), JournalError> {
        while let Some(record) = self.unwritten.front() {
            self.outside.journal.append(record).await?;
            self.unwritten.pop_front();
        }
        if self.journal_lost.take().is_some() {
            tracing::warn!(rollout = %self.rollout.id(), "the journal is written again, nothing is missing in it");
        }
        Ok(())
    }

    /// Records the ending of a rollout that can go no further.
    pub(crate) async fn give_up(&mut self, cause: Cause) -> Result<(), Interruption> {
        let event = give_up(&self.rollout, cause);
        self.record(event).await
    }

    /// Waits until a time, unless the process is asked to end.
    pub(crate) async fn sleep_until(&mut self, until: jiff::Timestamp) -> Result<(), Interruption> {
        if until <= self.outside.clock.now() {
            return Ok(());
        }
        tokio::select! {
            () = self.outside.clock.sleep_until(until) => Ok(()),
            stopped = stopped(&mut self.stop) => { let Stopped = stopped; Err(Interruption::Stopped) }
        }
    }

    /// Waits one interval.
    pub(crate) async fn pause(&mut self, interval: std::time::Duration) -> Result<(), Interruption> {
        let now = self.outside.clock.now();
        self.sleep_until(now.checked_add(interval).unwrap_or(now)).await
    }

    /// Tells whoever watches what is waited for.
    pub(crate) fn waiting(&self, progress: &Progress) {
        self.outside.observer.waiting(self.rollout.id(), progress);
    }

    /// The rollout's name.
    pub(crate) fn id(&self) -> RolloutId {
        self.rollout.id().clone()
    }
}

/// Returns once a stop is asked for; never if nobody can ask any more.
async fn stopped(stop: &mut watch::Receiver<bool>) -> Stopped {
    // The guard that `wait_for` gives must not live across the next wait: it cannot go to another thread.
    let asked = stop.wait_for(|stop| *stop).await.is_ok();
    if asked { Stopped } else { std::future::pending().await }
}

/// Why a step did not come to its end.
#[derive(Debug)]
pub(crate) enum Interruption {
    /// The process is to end.
    Stopped,
    /// An event did not fit.
    Record(FoldError),
    /// The journal failed before anything was changed.
    Journal(JournalError),
}
