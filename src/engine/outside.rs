//! The ports, together.

use std::sync::Arc;

use certroll_core::ports::{
    Clock, CloudServices, EndpointProbe, RolloutJournal, RolloutObserver, VaultReader, VersionMemory,
};

/// Everything that the engine reaches the outside by.
#[derive(Clone)]
pub struct Outside {
    /// Key vaults.
    pub vaults: Arc<dyn VaultReader>,
    /// Resource Manager.
    pub services: Arc<dyn CloudServices>,
    /// The record of rollouts.
    pub journal: Arc<dyn RolloutJournal>,
    /// What is remembered of immutable versions, besides what this process remembers.
    pub versions: Option<Arc<dyn VersionMemory>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// TLS endpoints.
    pub probe: Arc<dyn EndpointProbe>,
    /// Whoever watches.
    pub observer: Arc<dyn RolloutObserver>,
}
