//! What happened. Each is written before the next thing is done.

use serde::{Deserialize, Serialize};

use super::ending::{Cause, Ending};
use crate::id::{RolloutId, Thumbprint};
use crate::plan::PlannedUpdate;
use crate::target::cloud_service::{CloudServiceModel, OperationFailure, OperationHandle};
use crate::verify::Evidence;

pub use crate::verify::Generation;

/// Which way a rollout goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// To the new certificates.
    Forward,
    /// Back to what was captured.
    Back,
}

/// Who decided that a change is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initiator {
    /// certroll by itself.
    Unattended,
    /// A person.
    Person,
}

/// What a look at a service found, compared with both sides of the change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "found")]
pub enum Found {
    /// What this phase wants is there, and nothing runs.
    Wanted,
    /// What this phase wants is there, and the last operation failed.
    WantedFailed,
    /// What this phase wants is there, and an operation runs.
    WantedBusy,
    /// What was there before this phase's update is there still, and nothing runs.
    Unchanged,
    /// An operation runs, with something else.
    Busy {
        /// Its state, in the service's word.
        state: String,
    },
    /// Something else is there, and nothing runs.
    Other {
        /// Where it differs from what this phase started from.
        differences: Vec<String>,
    },
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum OperationOutcome {
    /// Well.
    Succeeded,
    /// Badly.
    Failed {
        /// The service's code and message.
        failure: OperationFailure,
    },
    /// It did not end within the limits.
    TooLong {
        /// What was waited for, and how long.
        waited_for: String,
    },
}

/// One event of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// It was decided on. Carries the whole plan.
    Opened {
        /// Its name.
        rollout: RolloutId,
        /// The plan.
        update: Box<PlannedUpdate>,
        /// Who decided.
        by: Initiator,
        /// The rollout that it puts back, where a person asked for that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undoes: Option<RolloutId>,
    },
    /// The service as it was, to return to.
    Captured {
        /// The whole resource.
        model: Box<CloudServiceModel>,
        /// The instances that were started, by name.
        started: Vec<String>,
        /// Leaves that endpoints presented and that the plan does not know: instances that were left with something
        /// else go on with it until the update reaches them. Looked for in Manual mode only, where that is judged.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        presented: Vec<Thumbprint>,
    },
    /// The service was looked at, right before a PUT or after one whose fate is not known.
    Looked {
        /// What was found.
        found: Found,
    },
    /// The PUT is about to be sent.
    PutStarted {
        /// Which way.
        phase: Phase,
    },
    /// The service took it.
    PutAccepted {
        /// How to follow the operation.
        operation: OperationHandle,
        /// The service's name for the request.
        request_id: Option<String>,
    },
    /// The service refused it: nothing was changed.
    PutRefused {
        /// Its message.
        message: String,
    },
    /// It was not taken, for a reason that may pass: nothing was changed.
    PutDeferred {
        /// The port's message.
        message: String,
        /// Seconds to wait before the next look.
        wait_seconds: u64,
    },
    /// Its fate is not known.
    PutAmbiguous {
        /// The port's message.
        message: String,
    },
    /// A walk to an update domain is about to be asked for.
    WalkStarted {
        /// The domain.
        domain: u32,
    },
    /// The update reached an update domain, and its instances are fine.
    DomainDone {
        /// The domain.
        domain: u32,
        /// Whether it was the last one.
        last: bool,
    },
    /// The operation ended.
    OperationEnded {
        /// How.
        #[serde(flatten)]
        outcome: OperationOutcome,
    },
    /// The service, its instances and endpoints were looked at after the operation.
    Examined {
        /// What was seen.
        evidence: Box<Evidence>,
    },
    /// The change is to be undone.
    TurnedBack {
        /// Why.
        cause: Cause,
    },
    /// It is over.
    Ended {
        /// How.
        #[serde(flatten)]
        ending: Ending,
    },
}

impl Event {
    /// The event's word in messages.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::Captured { .. } => "captured",
            Self::Looked { .. } => "looked",
            Self::PutStarted { .. } => "put started",
            Self::PutAccepted { .. } => "put accepted",
            Self::PutRefused { .. } => "put refused",
            Self::PutDeferred { .. } => "put deferred",
            Self::PutAmbiguous { .. } => "put ambiguous",
            Self::WalkStarted { .. } => "walk started",
            Self::DomainDone { .. } => "update domain done",
            Self::OperationEnded { .. } => "operation ended",
            Self::Examined { .. } => "examined",
            Self::TurnedBack { .. } => "turned back",
            Self::Ended { .. } => "ended",
        }
    }
}
