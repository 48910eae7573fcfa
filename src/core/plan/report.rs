//! What planning says of each service.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::update::PlannedUpdate;
use crate::id::CloudServiceId;
use crate::policy::Mode;

/// The answer for every service of the policy, in the order in which they are to be changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlanReport {
    /// When the look was made.
    pub at: Timestamp,
    /// One entry a service.
    pub services: Vec<ServiceReport>,
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
        /// Not before this time.
        until: Timestamp,
        /// What is waited for.
        reason: String,
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

/// One reason to refuse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The guard's name, or `plan` where the change itself cannot be made out.
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
