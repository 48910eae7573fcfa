//! Long-running operations and what a poll of one says. Shapes: the recordings of Update- and Restart-AzCloudService.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::clock::utc_with_offset;
use crate::switches::FailedOperation;

/// The service's own limit, as its header `x-ms-async-operation-timeout` names it.
pub(crate) const OPERATION_TIMEOUT: &str = "PT8H20M";

/// One long-running operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Its id, which is also the request id of the request that started it.
    pub id: String,
    /// Subscription.
    pub subscription: String,
    /// Region, as in the poll URL.
    pub location: String,
    /// When it started.
    pub started: Timestamp,
    /// How it ended, and when.
    pub ended: Option<(Timestamp, End)>,
}

/// How an operation ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// `Succeeded`.
    Succeeded,
    /// `Failed`.
    Failed {
        /// Error code.
        code: String,
        /// Error message.
        message: String,
    },
    /// `Canceled`, because another update took its place.
    Canceled,
}

impl Operation {
    /// What a poll says.
    pub(crate) fn to_json(&self, shape: FailedOperation) -> Value {
        let started = utc_with_offset(self.started);
        let Some((at, end)) = &self.ended else {
            return json!({ "startTime": started, "status": "InProgress", "name": self.id });
        };
        let status = match end {
            End::Succeeded => "Succeeded",
            End::Failed { .. } => "Failed",
            End::Canceled => "Canceled",
        };
        let mut body = json!({ "startTime": started, "endTime": utc_with_offset(*at), "status": status });
        match end {
            End::Succeeded => {}
            End::Failed { code, message } => body["error"] = failure(code, message, shape),
            End::Canceled => {
                body["error"] = json!({ "code": "OperationPreempted", "message":
                    "The operation has been preempted by a more recent operation." });
            }
        }
        body["name"] = json!(self.id);
        body
    }
}

/// The wrapped form is that of the nearest real sample, a virtual machine's.
fn failure(code: &str, message: &str, shape: FailedOperation) -> Value {
    let cause = json!({ "code": code, "message": message });
    match shape {
        FailedOperation::Plain => cause,
        FailedOperation::Wrapped => json!({
            "code": "ResourceDeploymentFailure",
            "message": "The resource operation completed with terminal provisioning state 'Failed'.",
            "details": [cause],
        }),
    }
}
