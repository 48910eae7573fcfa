//! The admin socket: HTTP over a Unix socket of mode 0600, by which people ask and tell a running daemon. Whoever may open
//! it may do everything that the daemon may.
//!
//! `server` answers, `client` asks, and both share the forms in [`crate::status`] and here.

pub mod client;
pub mod server;

use certroll_core::id::CloudServiceId;
use certroll_core::plan::PlanDigest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Largest body of a request: the names of thousands of services.
const REQUEST: usize = 1024 * 1024;
/// Largest body of an answer: the status of thousands of services, or a cscfg twice.
const ANSWER: usize = 64 * 1024 * 1024;

/// Pauses services, or everything where none is named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// Names or resource ids.
    pub services: Vec<String>,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// Why.
    pub reason: Option<String>,
}

/// Ends pauses of services, or of everything where none is named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    /// Names or resource ids.
    pub services: Vec<String>,
}

/// What a pause or its end touched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PauseAnswer {
    /// The services; none where it is everything.
    pub services: Vec<CloudServiceId>,
    /// How many pauses ended.
    pub ended: usize,
}

/// Approves the plan of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    /// The service.
    pub service: CloudServiceId,
    /// Exactly this plan.
    pub plan: PlanDigest,
}

/// Releases a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// The service.
    pub service: CloudServiceId,
}

/// What another configuration changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReloadAnswer {
    /// A line for each; none where it is the same.
    pub changes: Vec<String>,
}

/// Why a request was refused: RFC 9457, with the way out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// The HTTP status' phrase.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is the matter.
    pub detail: String,
    /// What can be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
