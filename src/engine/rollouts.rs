//! Several rollouts: by stage, a limited number at once. A stage in which one does not end well holds back the later
//! ones, so that a canary protects the rest.

use std::collections::BTreeMap;

use certroll_core::id::CloudServiceId;
use certroll_core::plan::PlannedUpdate;
use certroll_core::rollout::{Ending, Initiator, Limits};
use futures::StreamExt;
use tokio::sync::watch;

use crate::locks::ServiceLocks;
use crate::outside::Outside;
use crate::rollout::{Outcome, RolloutError, start};

/// What became of one update.
#[derive(Debug)]
pub enum Carried {
    /// It was begun.
    Begun(Outcome),
    /// It could not be begun: nothing was done.
    NotBegun(RolloutError),
    /// Another rollout of the service is under way in this process.
    Locked,
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

/// Carries all updates to their endings, in the order of their stages.
pub async fn carry_out(
    updates: Vec<PlannedUpdate>,
    by: Initiator,
    at_once: usize,
    limits: &Limits,
    outside: &Outside,
    locks: &ServiceLocks,
    stop: &watch::Receiver<bool>,
) -> Vec<(CloudServiceId, Carried)> {
    let mut stages: BTreeMap<u32, Vec<PlannedUpdate>> = BTreeMap::new();
    for update in updates {
        stages.entry(update.stage).or_default().push(update);
    }
    let mut all = Vec::new();
    let mut failed = None;
    for (stage, updates) in stages {
        if let Some(failed) = failed {
            all.extend(
                updates.into_iter().map(|update| (update.service, Carried::HeldBack { stage: failed })),
            );
            continue;
        }
        let carried: Vec<(CloudServiceId, Carried)> = futures::stream::iter(updates)
            .map(|update| async move {
                let service = update.service.clone();
                let carried = match locks.acquire(&service) {
                    None => Carried::Locked,
                    Some(permit) => match start(&permit, update, by, limits, outside, stop.clone()).await {
                        Ok(outcome) => Carried::Begun(outcome),
                        Err(error) => Carried::NotBegun(error),
                    },
                };
                (service, carried)
            })
            .buffer_unordered(at_once.max(1))
            .collect()
            .await;
        if !carried.iter().all(|(_, carried)| carried.is_well()) {
            failed = Some(stage);
        }
        all.extend(carried);
    }
    all
}
