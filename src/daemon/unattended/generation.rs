//! What one configuration amounts to: settings and the program put together from them. A reload makes the next one; what
//! runs goes on with the one that it began with.

use std::sync::Arc;

use certroll_azure::Azure;
use certroll_core::ports::{Clock, RolloutObserver};
use certroll_engine::locks::ServiceLocks;
use certroll_engine::rollouts::Rollouts;
use certroll_engine::world::World;

use crate::assembly::{Assembled, AssemblyError, assemble};
use crate::config::Settings;
use crate::records::Records;

/// One configuration in force.
pub struct Generation {
    /// The settings.
    pub settings: Settings,
    /// The clients, for counters and quota.
    pub azure: Azure,
    /// What rollouts are led with.
    pub rollouts: Rollouts,
    /// What is remembered from look to look.
    pub world: Arc<World>,
}

/// What outlives a configuration.
#[derive(Clone)]
pub struct Lasting {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The journal.
    pub records: Records,
    /// Whoever hears of rollouts.
    pub observer: Arc<dyn RolloutObserver>,
    /// Which services are being changed: by whatever configuration.
    pub locks: ServiceLocks,
}

impl Generation {
    /// Puts the program together. What was remembered is kept where the cloud and the identity stay the same: another
    /// identity may not be allowed to see what was seen.
    ///
    /// # Errors
    /// A file that the settings name cannot be used, or the settings do not fit together.
    pub fn new(settings: Settings, lasting: &Lasting, before: Option<&Self>) -> Result<Self, AssemblyError> {
        let Assembled { azure, outside, limits } = assemble(
            &settings,
            Arc::clone(&lasting.clock),
            lasting.records.clone(),
            Arc::clone(&lasting.observer),
        )?;
        let at_once = settings.rollout.concurrency;
        let rollouts = Rollouts { outside, limits, locks: lasting.locks.clone(), at_once };
        let same = before.filter(|before| {
            before.settings.cloud == settings.cloud && before.settings.identity == settings.identity
        });
        let world = same.map_or_else(|| Arc::new(World::new()), |before| Arc::clone(&before.world));
        Ok(Self { settings, azure, rollouts, world })
    }
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation").finish_non_exhaustive()
    }
}
