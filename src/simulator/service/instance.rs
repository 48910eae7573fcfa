//! Role instances: their names, states and the certificates that each of them holds now.

use std::sync::Arc;

use jiff::Timestamp;

/// One role instance.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Role.
    pub role: String,
    /// Number within the role, from zero.
    pub number: u32,
    /// Update domain.
    pub domain: u32,
    /// State.
    pub state: InstanceState,
    /// Since when.
    pub since: Timestamp,
    /// What its machine holds: delivered when its update domain was walked.
    pub holds: Arc<Holdings>,
}

/// State of a role instance. Names seen in Microsoft's documents and support queries, but for `Stopped`, for which
/// none was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InstanceState {
    /// Serves.
    Started,
    /// On its way down.
    Stopping,
    /// Does not serve yet.
    Busy,
    /// On its way up.
    Starting,
    /// Does not answer.
    Unresponsive,
    /// Powered off.
    Stopped,
}

/// The certificates of one role, by their names in the cscfg.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Name in the cscfg and what was delivered for it.
    pub certificates: Vec<(String, Arc<Delivered>)>,
}

/// A certificate that the service fetched from a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Thumbprint, upper case.
    pub thumbprint: String,
    /// The certificate.
    pub der: Vec<u8>,
    /// Its key, PKCS#8.
    pub key_pkcs8: Option<Vec<u8>>,
}

impl Instance {
    /// `Web_IN_0`.
    pub fn name(&self) -> String {
        format!("{}_IN_{}", self.role, self.number)
    }
}

impl InstanceState {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            InstanceState::Started => "RoleStateStarted",
            InstanceState::Stopping => "RoleStateStopping",
            InstanceState::Busy => "RoleStateBusy",
            InstanceState::Starting => "RoleStateStarting",
            InstanceState::Unresponsive => "RoleStateUnresponsive",
            InstanceState::Stopped => "RoleStateStopped",
        }
    }
}

impl Holdings {
    /// What is held under a name of the cscfg.
    pub fn certificate(&self, name: &str) -> Option<&Arc<Delivered>> {
        self.certificates.iter().find(|(held, _)| held.eq_ignore_ascii_case(name)).map(|(_, one)| one)
    }
}
