//! One look, and the rollouts that follow from it: what `plan`, `apply` and the demo have in common.

use std::sync::Arc;

use certroll_core::id::CloudServiceId;
use certroll_core::ports::{Recorded, RolloutJournal, RolloutObserver};
use certroll_engine::locks::ServiceLocks;
use certroll_engine::pass;
use certroll_engine::rollouts::carry_out;
use certroll_engine::world::World;
use certroll_journal::memory::MemoryJournal;
use tokio::sync::watch;

pub use certroll_core::plan::{Occasion, PlanReport, PlannedUpdate, Status};
pub use certroll_core::policy::Policy;
pub use certroll_core::rollout::{Ending, Initiator};
pub use certroll_engine::rollout::Outcome;
pub use certroll_engine::rollouts::Carried;

use crate::adapters::SystemClock;
use crate::assembly::{Assembled, AssemblyError, assemble};
use crate::config::Settings;

/// The program put together for a person who waits for it. Its journal lives as long as it does.
pub struct Work {
    assembled: Assembled,
    journal: Arc<MemoryJournal>,
    world: World,
    locks: ServiceLocks,
    at_once: usize,
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
    pub fn new(settings: &Settings, observer: Arc<dyn RolloutObserver>) -> Result<Self, AssemblyError> {
        let journal = Arc::new(MemoryJournal::new());
        let kept: Arc<dyn RolloutJournal> = Arc::<MemoryJournal>::clone(&journal);
        let assembled = assemble(settings, Arc::new(SystemClock), kept, observer)?;
        let at_once = settings.rollout.concurrency;
        Ok(Self { assembled, journal, world: World::new(), locks: ServiceLocks::new(), at_once })
    }

    /// Looks at the services of a policy and plans, as a person asks for it.
    pub async fn look(&self, policy: &Policy) -> PlanReport {
        pass::look(policy, &self.assembled.outside, &self.world, Occasion::Person).await
    }

    /// Carries updates to their endings, by stage. `stop` ends them at their next safe point.
    pub async fn carry_out(
        &self,
        updates: Vec<PlannedUpdate>,
        stop: &watch::Receiver<bool>,
    ) -> Vec<(CloudServiceId, Carried)> {
        let Assembled { outside, limits, .. } = &self.assembled;
        carry_out(updates, Initiator::Person, self.at_once, limits, outside, &self.locks, stop).await
    }

    /// What was done so far, oldest first.
    pub fn journal(&self) -> Vec<Recorded> {
        self.journal.records()
    }
}
