//! The name of one rollout.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::CloudServiceId;

/// Names one rollout: the millisecond in which it was opened and the service it is for, so that names sort by time and a
/// person who reads one knows what it was. One service has one rollout at a time, which keeps names apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RolloutId(String);

impl RolloutId {
    /// The name of a rollout of `service` that is opened at `at`.
    pub fn new(at: Timestamp, service: &CloudServiceId) -> Self {
        Self(format!("{}-{}", at.strftime("%Y%m%dT%H%M%S%3fZ"), service.name().to_ascii_lowercase()))
    }

    /// The name that somebody typed. Whether there is such a rollout is for the journal to say.
    pub fn named(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RolloutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
