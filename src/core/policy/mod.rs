//! What the operator asked for: which services, how they follow their certificates, and what refuses a change.

pub mod checks;
mod guard;
mod window;

pub use guard::{Guard, GuardPolicy, UnknownGuard};
pub use window::{ParseWindowError, WeeklyWindow, Window};

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{CloudServiceId, RoleName, SourceVaultId, VaultObject};
use crate::ports::ProbeEndpoint;

/// Everything that planning needs to know from the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The services, in the order of the configuration.
    pub services: Vec<ServicePolicy>,
    /// How long a newest version rests after it was first seen, so that a batch of uploads is taken together.
    pub settle: Duration,
    /// A deployed certificate that ends within this time overrides settling and windows.
    pub urgent_before_expiry: Duration,
}

/// What is asked for one service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServicePolicy {
    /// The service.
    pub service: CloudServiceId,
    /// Which references follow.
    pub follow: Follow,
    /// Who decides that a change is made.
    pub mode: Mode,
    /// Explicit mappings.
    pub certificates: Vec<CertificateMapping>,
    /// What is looked at after a change.
    pub probe: ProbePolicy,
    /// What refuses a change.
    pub guards: GuardPolicy,
    /// When a change may start; `None` is always.
    pub window: Option<Window>,
    /// Services of a lower stage go first.
    pub stage: u32,
}

/// Which references follow the newest version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Follow {
    /// Every `certificateUrl` that the service has follows its own vault object.
    References,
    /// Only what is mapped.
    Listed,
}

/// Who decides that a change is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// certroll.
    Auto,
    /// A person says yes to each change.
    Approve,
    /// Nobody: report only.
    Observe,
}

/// Binds a certificate of the cscfg to a vault object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateMapping {
    /// The certificate's name in the cscfg.
    pub name: String,
    /// The role; `None` is every role that has the name.
    pub role: Option<RoleName>,
    /// The vault object that is followed.
    pub source: VaultObject,
    /// The resource id of the source's vault, needed only where the service references no secret of that vault yet.
    pub source_vault: Option<SourceVaultId>,
    /// Names of ConfigurationSettings that repeat the thumbprint and change with it.
    pub settings: Vec<String>,
}

/// What is looked at after a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbePolicy {
    /// Endpoints that must present the new leaf, each with the cscfg certificate that it serves where several leaves
    /// change.
    pub endpoints: Vec<ProbedEndpoint>,
    /// Whether a probe that fails turns the rollout back.
    pub binding: bool,
}

/// One endpoint to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbedEndpoint {
    /// Where.
    pub endpoint: ProbeEndpoint,
    /// The cscfg certificate that it presents. `None`: any leaf of the service that covers the endpoint's name.
    pub certificate: Option<String>,
}
