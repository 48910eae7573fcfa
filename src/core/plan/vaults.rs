//! How the vaults stand that a look asked: what is newest in each, and what kept it from being read.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::observation::Observation;
use super::report::Reason;
use crate::id::{SecretIdentifier, VaultName};

/// What a look found in one vault.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VaultReading {
    /// Why something that is followed could not be read. What is known to be deleted or disabled is a state of the vault
    /// and no such reason.
    pub fault: Option<Reason>,
    /// The newest version of each object that is followed.
    pub newest: BTreeMap<SecretIdentifier, NewestVersion>,
}

/// When a version came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewestVersion {
    /// When certroll first saw that it is the newest.
    pub first_seen: Timestamp,
    /// When the vault says it was made.
    pub created: Option<Timestamp>,
}

/// Every vault that was asked for an object.
pub(super) fn readings(observation: &Observation) -> BTreeMap<VaultName, VaultReading> {
    let mut vaults: BTreeMap<VaultName, VaultReading> = BTreeMap::new();
    for (key, object) in &observation.objects {
        let reading = vaults.entry(key.vault.clone()).or_default();
        match object {
            Ok(object) => {
                if let Ok(version) = &object.newest {
                    let (first_seen, created) = (version.first_seen, version.facts.created);
                    reading.newest.insert(version.secret.clone(), NewestVersion { first_seen, created });
                }
            }
            Err(unreadable) if unreadable.gone => {}
            Err(unreadable) => {
                reading.fault.get_or_insert_with(|| Reason {
                    message: unreadable.reason.clone(),
                    hint: unreadable.hint.clone(),
                });
            }
        }
    }
    vaults
}
