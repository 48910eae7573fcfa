//! What planning says of each service.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::update::{CertificateSummary, PlanDigest, PlannedUpdate};
use super::vaults::VaultReading;
use crate::id::{CloudServiceId, RoleName, RolloutId, SecretIdentifier, Thumbprint, VaultName};
use crate::policy::Mode;
use crate::standing::Standing;

/// The answer for every service of the policy, in the order in which they are to be changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanReport {
    /// When the look was made.
    pub at: Timestamp,
    /// One entry a service.
    pub services: Vec<ServiceReport>,
    /// The vaults that were asked. Not part of the JSON form of a plan.
    #[serde(skip)]
    pub vaults: BTreeMap<VaultName, VaultReading>,
}

impl PlanReport {
    /// The updates that may start now.
    pub fn planned(&self) -> impl Iterator<Item = &PlannedUpdate> {
        self.services.iter().filter_map(|service| match &service.status {
            Status::Planned { update, .. } => Some(update.as_ref()),
            _ => None,
        })
    }

    /// Whether a service is blocked or could not be read.
    pub fn has_trouble(&self) -> bool {
        self.services
            .iter()
            .any(|service| matches!(service.status, Status::Blocked { .. } | Status::Unreadable { .. }))
    }
}

/// What planning says of one service.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceReport {
    /// The service.
    pub service: CloudServiceId,
    /// Who decides that a change is made.
    pub mode: Mode,
    /// Its stage.
    pub stage: u32,
    /// The answer.
    #[serde(flatten)]
    pub status: Status,
    /// What else a person should know.
    pub notes: Vec<String>,
    /// When a planned change may no longer begin without a person: its window closes then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closes: Option<Timestamp>,
    /// The certificates that its cscfg names, in the order of the cscfg, whatever the answer is; empty where the service
    /// could not be read. Not part of the JSON form of a plan.
    #[serde(skip)]
    pub serves: Vec<ServedCertificate>,
    /// What the record of earlier rollouts says of it. Not part of the JSON form of a plan.
    #[serde(skip)]
    pub standing: Standing,
    /// When the service's window opens, where a planned change does not wait for it since a deployed certificate ends
    /// soon. Not part of the JSON form of a plan, whose warnings tell it.
    #[serde(skip)]
    pub overrides_window: Option<Timestamp>,
}

/// One certificate that the cscfg of a service names by its thumbprint.
#[derive(Clone, Debug, PartialEq)]
pub struct ServedCertificate {
    /// The role.
    pub role: RoleName,
    /// The certificate's name in the cscfg.
    pub name: String,
    /// The thumbprint that the cscfg names.
    pub thumbprint: Thumbprint,
    /// The version among the service's secrets that carries it, where that is known.
    pub version: Option<SecretIdentifier>,
    /// The newest version of the vault object that it follows, where that was looked at.
    pub newest: Option<SecretIdentifier>,
    /// What the certificate is, with its validity, where it could be read.
    pub certificate: Option<CertificateSummary>,
}

/// The five answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum Status {
    /// It has the newest versions.
    Current,
    /// It is to be changed.
    Planned {
        /// How.
        update: Box<PlannedUpdate>,
    },
    /// It is to be changed later.
    Waiting {
        /// Not before this time, where it is the time that is waited for.
        until: Option<Timestamp>,
        /// What is waited for.
        reason: Wait,
        /// How it would be changed now.
        update: Box<PlannedUpdate>,
    },
    /// It must not be changed like this.
    Blocked {
        /// Every reason.
        violations: Vec<Violation>,
    },
    /// It, or what it references, could not be read.
    Unreadable {
        /// Every reason.
        reasons: Vec<Reason>,
    },
}

/// What a planned change waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "for")]
pub enum Wait {
    /// A batch of uploads to complete.
    Settling,
    /// The service's window.
    Window,
    /// A person, in `mode = "approve"`.
    Approval {
        /// What is to be approved.
        plan: PlanDigest,
    },
    /// A rollout of the service that has no ending yet.
    Rollout {
        /// Which.
        rollout: RolloutId,
    },
    /// A service of an earlier stage.
    Stage {
        /// That stage.
        stage: u32,
        /// The service.
        service: CloudServiceId,
        /// What is the matter with it.
        because: StageTrouble,
    },
}

/// Why an earlier stage holds back the later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StageTrouble {
    /// Its change did not work.
    Failed,
    /// Its change waits.
    Waiting,
}

impl std::fmt::Display for Wait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Settling => f.write_str("a batch of uploads may not be complete yet"),
            Self::Window => f.write_str("the service's window is closed"),
            Self::Approval { .. } => f.write_str("a person must approve it"),
            Self::Rollout { rollout } => write!(f, "the rollout {rollout} has no ending yet"),
            Self::Stage { stage, service, because: StageTrouble::Failed } => {
                write!(f, "the change of `{}` in stage {stage} did not work", service.name())
            }
            Self::Stage { stage, service, because: StageTrouble::Waiting } => {
                write!(f, "`{}` in stage {stage} goes first and waits", service.name())
            }
        }
    }
}

/// The change itself cannot be made out.
pub(super) const PLAN: &str = "plan";
/// The record of earlier rollouts cannot be read.
pub(super) const JOURNAL: &str = "journal";
/// The last rollout of the service needs a person.
pub(super) const STUCK: &str = "stuck";
/// The versions failed on the service before.
pub(super) const QUARANTINE: &str = "quarantine";

/// One reason to refuse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The guard's name; `plan` where the change itself cannot be made out; `stuck`, `quarantine` or `journal` where the
    /// record of earlier rollouts holds it.
    pub guard: String,
    /// What it is about, such as "certificate `ShopTls` of role `Web`".
    pub subject: String,
    /// What was expected.
    pub expected: String,
    /// What was found.
    pub found: String,
    /// The way out.
    pub hint: String,
}

impl Violation {
    /// What stands in place of a guard's name where no guard refuses.
    pub const NO_GUARDS: [&'static str; 4] = [PLAN, JOURNAL, STUCK, QUARANTINE];
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: expected {}, found {}", self.subject, self.expected, self.found)
    }
}

/// Why something could not be read, and what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Place and finding.
    pub message: String,
    /// The way out, where it is known.
    pub hint: Option<String>,
}
