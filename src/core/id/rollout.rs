//! The name of one rollout.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::CloudServiceId;

/// Names one rollout: the millisecond in which it was opened and the service it is for, so that names sort by time and a
/// person who reads one knows what it was. One service has one rollout at a time, which keeps names apart; services of one
/// name in several resource groups are told apart by the end of the name, which is made of the whole resource id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RolloutId(String);

impl RolloutId {
    /// The name of a rollout of `service` that is opened at `at`.
    pub fn new(at: Timestamp, service: &CloudServiceId) -> Self {
        let digest = Sha256::digest(service.to_string().to_ascii_lowercase());
        let apart: String = digest.iter().take(3).map(|byte| format!("{byte:02x}")).collect();
        let (time, name) = (at.strftime("%Y%m%dT%H%M%S%3fZ"), service.name().to_ascii_lowercase());
        Self(format!("{time}-{name}-{apart}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_time_and_service_and_keep_resource_groups_apart() {
        let service = |group: &str| -> CloudServiceId {
            format!("/subscriptions/s/resourceGroups/{group}/providers/Microsoft.Compute/cloudServices/Shop")
                .parse()
                .unwrap()
        };
        let at = "2026-11-23T02:01:14.512Z".parse().unwrap();
        let names = ["east", "EAST", "west"].map(|group| RolloutId::new(at, &service(group)).to_string());
        assert!(names.iter().all(|name| name.starts_with("20261123T020114512Z-shop-")), "{names:?}");
        assert_eq!(names[0], names[1]);
        assert_ne!(names[0], names[2]);
    }
}
