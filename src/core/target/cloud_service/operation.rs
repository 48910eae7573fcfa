//! A long-running operation of Resource Manager, as far as a rollout needs to know it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How an operation is followed. Kept in the journal, so that a restarted process can go on following it.
///
/// Source: Microsoft's guide to asynchronous Resource Manager operations; recorded PUTs of cloud services answer 200
/// with `Azure-AsyncOperation` only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by", content = "url")]
pub enum OperationHandle {
    /// Poll this URL, whose body carries a `status`.
    AsyncOperation(String),
    /// Poll this URL until it answers something else than 202.
    Location(String),
    /// No URL was given: read the resource until `provisioningState` is terminal.
    ProvisioningState,
}

/// Where an operation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationStatus {
    /// Still running; how long the service asks to wait before the next poll.
    InProgress {
        /// The answer's `Retry-After`, unclamped.
        retry_after: Option<Duration>,
    },
    /// Ended well.
    Succeeded,
    /// Ended badly, or was cancelled.
    Failed(OperationFailure),
}

/// Why an operation failed, in the service's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationFailure {
    /// The most specific code: of the first of `details` if there are any, else of the error itself.
    pub code: String,
    /// Its message.
    pub message: String,
}

impl fmt::Display for OperationFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}
