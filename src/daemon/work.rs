//! One look, and the rollouts that follow from it: what `plan`, `apply`, `restore` and the demo have in common.

use std::sync::Arc;

use certroll_azure::Azure;
use certroll_core::id::CloudServiceId;
use certroll_core::ports::{JournalError, RolloutJournal, RolloutObserver};
use certroll_engine::locks::ServiceLocks;
use certroll_engine::pass;
use certroll_engine::world::World;
use tokio::sync::watch;

pub use certroll_core::plan::{ApprovedUpdate, Occasion, PlanReport, PlannedUpdate, ServiceReport, Status};
pub use certroll_core::policy::{Policy, ServicePolicy};
pub use certroll_core::rollout::{Ending, Initiator, Rollout};
pub use certroll_engine::rollout::Outcome;
pub use certroll_engine::rollouts::{Carried, Recovered, Rollouts};

use crate::adapters::SystemClock;
use crate::assembly::{Assembled, AssemblyError, assemble};
use crate::config::Settings;
use crate::records::Records;

/// The program put together for a person who waits for it.
pub struct Work {
    azure: Azure,
    rollouts: Rollouts,
    world: World,
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").finish_non_exhaustive()
    }
}

impl Work {
    /// Puts the program together.
    ///
    /// # Errors
    /// A file that the settings name cannot be used, or the settings do not fit together.
    pub fn new(
        settings: &Settings,
        records: Records,
        observer: Arc<dyn RolloutObserver>,
    ) -> Result<Self, AssemblyError> {
        let Assembled { azure, outside, limits } =
            assemble(settings, Arc::new(SystemClock), records, observer)?;
        let at_once = settings.rollout.concurrency;
        let rollouts = Rollouts { outside, limits, locks: ServiceLocks::new(), at_once };
        Ok(Self { azure, rollouts, world: World::new() })
    }

    /// The clients, for their counters.
    pub fn azure(&self) -> &Azure {
        &self.azure
    }

    /// Looks at the services of a policy and plans, as a person asks for it.
    pub async fn look(&self, policy: &Policy) -> PlanReport {
        pass::look(policy, &self.rollouts.outside, &self.world, Occasion::Person).await
    }

    /// Looks at a service for the way back from one of its rollouts, and plans that.
    pub async fn look_back(&self, policy: &ServicePolicy, rollout: &Rollout) -> ServiceReport {
        pass::look_back(policy, rollout, &self.rollouts.outside).await
    }

    /// Carries updates to their endings, by stage. `stop` ends them at their next safe point.
    pub async fn carry_out(
        &self,
        updates: Vec<ApprovedUpdate>,
        stop: &watch::Receiver<bool>,
    ) -> Vec<(CloudServiceId, Carried)> {
        self.rollouts.carry_out(updates, stop).await
    }

    /// Leads on what an earlier process left without an ending.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn recover(&self, stop: &watch::Receiver<bool>) -> Result<Vec<Recovered>, JournalError> {
        self.rollouts.recover(stop).await
    }

    /// The record of rollouts.
    pub fn journal(&self) -> &dyn RolloutJournal {
        self.rollouts.outside.journal.as_ref()
    }
}
