//! Several rollouts: by stage, a limited number at once. A stage in which one does not end well holds back the later
//! ones, so that a canary protects the rest. Those that an earlier process left without an ending are led on by the same
//! path as new ones.

use std::collections::BTreeMap;

use certroll_core::id::{CloudServiceId, RolloutId};
use certroll_core::plan::ApprovedUpdate;
use certroll_core::ports::{JournalError, Recorded};
use certroll_core::rollout::{Cause, Ending, Event, FoldError, Limits};
use futures::StreamExt;
use tokio::sync::watch;

use crate::locks::ServiceLocks;
use crate::outside::Outside;
use crate::rollout::{Outcome, RolloutError, resume, start};

/// What rollouts are led with.
#[derive(Clone)]
pub struct Rollouts {
    /// The ports.
    pub outside: Outside,
    /// How long and how often.
    pub limits: Limits,
    /// Which services are being changed.
    pub locks: ServiceLocks,
    /// Rollouts at once, in all.
    pub at_once: usize,
}

/// What became of one update.
#[derive(Debug)]
pub enum Carried {
    /// It was begun.
    Begun(Outcome),
    /// It could not be begun: nothing was done.
    NotBegun(RolloutError),
    /// Another rollout of the service is under way in this process.
    Locked,
    /// Its window closed before its turn came.
    WindowClosed,
    /// An earlier stage did not end well.
    HeldBack {
        /// The stage that did not.
        stage: u32,
    },
}

impl Carried {
    /// Whether later stages may go on.
    pub fn is_well(&self) -> bool {
        matches!(self, Self::Begun(Outcome::Ended { ending: Ending::Verified, .. }))
    }
}

/// What became of a rollout that an earlier process left without an ending.
#[derive(Debug)]
pub struct Recovered {
    /// The rollout.
    pub rollout: RolloutId,
    /// Its service, where the record tells.
    pub service: Option<CloudServiceId>,
    /// What became of it.
    pub carried: Carried,
}

impl Rollouts {
    /// Carries all updates to their endings, in the order of their stages.
    pub async fn carry_out(
        &self,
        updates: Vec<ApprovedUpdate>,
        stop: &watch::Receiver<bool>,
    ) -> Vec<(CloudServiceId, Carried)> {
        let mut stages: BTreeMap<u32, Vec<ApprovedUpdate>> = BTreeMap::new();
        for update in updates {
            stages.entry(update.update().stage).or_default().push(update);
        }
        let mut all = Vec::new();
        let mut failed = None;
        for (stage, updates) in stages {
            if let Some(failed) = failed {
                all.extend(
                    updates
                        .into_iter()
                        .map(|update| (update.update().service.clone(), Carried::HeldBack { stage: failed })),
                );
                continue;
            }
            let carried: Vec<(CloudServiceId, Carried)> = futures::stream::iter(updates)
                .map(|update| async move {
                    let service = update.update().service.clone();
                    let now = self.outside.clock.now();
                    let carried = match self.locks.acquire(&service) {
                        None => Carried::Locked,
                        Some(_) if update.until().is_some_and(|until| until <= now) => Carried::WindowClosed,
                        Some(permit) => {
                            start(&permit, update, &self.limits, &self.outside, stop.clone()).await.into()
                        }
                    };
                    (service, carried)
                })
                .buffer_unordered(self.at_once.max(1))
                .collect()
                .await;
            if !carried.iter().all(|(_, carried)| carried.is_well()) {
                failed = Some(stage);
            }
            all.extend(carried);
        }
        all
    }

    /// Leads on every rollout of the journal that has no ending, oldest first. They were allowed to begin, so that
    /// neither stages nor windows hold them.
    ///
    /// # Errors
    /// The journal cannot be read: then it is not known what is half done.
    pub async fn recover(&self, stop: &watch::Receiver<bool>) -> Result<Vec<Recovered>, JournalError> {
        let unfinished = self.outside.journal.unfinished().await?;
        Ok(futures::stream::iter(unfinished)
            .map(|records| self.lead_on(records, stop))
            .buffered(self.at_once.max(1))
            .filter_map(|recovered| async move { recovered })
            .collect()
            .await)
    }

    /// Leads on one rollout that has no ending, from its records; nothing if there are none.
    pub async fn lead_on(&self, records: Vec<Recorded>, stop: &watch::Receiver<bool>) -> Option<Recovered> {
        let first = records.first()?;
        let rollout = first.rollout.clone();
        let Event::Opened { update, .. } = &first.event else {
            let error = FoldError::NotOpened(first.event.word());
            let carried = self.damaged(&rollout, error).await;
            return Some(Recovered { rollout, service: None, carried });
        };
        let service = update.service.clone();
        tracing::info!(rollout = %rollout, cloud_service = %service, "a rollout without an ending is led on");
        let carried = match self.locks.acquire(&service) {
            None => Carried::Locked,
            Some(permit) => {
                match resume(&permit, &records, &self.limits, &self.outside, stop.clone()).await {
                    Err(RolloutError::Record(error)) => self.damaged(&rollout, error).await,
                    ended => ended.into(),
                }
            }
        };
        Some(Recovered { rollout, service: Some(service), carried })
    }

    /// A record that cannot be continued. What was done is not known: a person is needed, and the service is left alone.
    async fn damaged(&self, rollout: &RolloutId, error: FoldError) -> Carried {
        tracing::error!(rollout = %rollout, error = %error, "the record of a rollout is damaged");
        let ending = Ending::Stuck { cause: Cause::Record { message: error.to_string() } };
        let at = self.outside.clock.now();
        let record = Recorded { at, rollout: rollout.clone(), event: Event::Ended { ending } };
        match self.outside.journal.append(&record).await {
            Ok(()) => {
                self.outside.observer.recorded(&record);
                Carried::NotBegun(RolloutError::Record(error))
            }
            Err(error) => Carried::NotBegun(RolloutError::Journal(error)),
        }
    }
}

impl From<Result<Outcome, RolloutError>> for Carried {
    fn from(ended: Result<Outcome, RolloutError>) -> Self {
        match ended {
            Ok(outcome) => Self::Begun(outcome),
            Err(error) => Self::NotBegun(error),
        }
    }
}
