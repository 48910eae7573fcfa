//! Which vaults events may be of, and when each was last heard of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use certroll_core::id::VaultName;
use jiff::Timestamp;

/// Whether a vault is one that certroll looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Familiarity {
    /// It is.
    Known,
    /// It is not.
    Unknown,
    /// The services have not been read since the start, and one of them may reference it.
    NotYetTold,
}

/// What a look has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Every service.
    Whole,
    /// Some services could not be read: what they referenced before is still theirs.
    Partial,
}

#[derive(Debug, Default)]
struct Sets {
    configured: BTreeSet<VaultName>,
    /// None before the first look.
    referenced: Option<BTreeSet<VaultName>>,
    /// Of known vaults only, whose number is that of the services' references.
    heard: BTreeMap<VaultName, Timestamp>,
}

impl Sets {
    fn knows(&self, vault: &VaultName) -> bool {
        self.configured.contains(vault)
            || self.referenced.as_ref().is_some_and(|referenced| referenced.contains(vault))
    }
}

/// The vaults that certroll looks at: those that the configuration names, and those that services reference. Shared by the
/// webhook, which asks, and by whoever loads configurations and looks, who tell.
#[derive(Debug, Default)]
pub struct KnownVaults {
    sets: Mutex<Sets>,
}

impl KnownVaults {
    fn sets(&self) -> MutexGuard<'_, Sets> {
        // Nothing panics while the lock is held, and what it guards is whole after each statement.
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The vaults that the configuration names, in place of those that it named before.
    pub fn configured(&self, vaults: BTreeSet<VaultName>) {
        let mut sets = self.sets();
        sets.configured = vaults;
        forget(&mut sets);
    }

    /// The vaults that services were seen to reference.
    pub fn referenced(&self, vaults: BTreeSet<VaultName>, coverage: Coverage) {
        let mut sets = self.sets();
        let before = sets.referenced.take().unwrap_or_default();
        sets.referenced = Some(match coverage {
            Coverage::Whole => vaults,
            Coverage::Partial => before.into_iter().chain(vaults).collect(),
        });
        forget(&mut sets);
    }

    /// Whether a vault is one of them.
    pub fn familiarity(&self, vault: &VaultName) -> Familiarity {
        let sets = self.sets();
        if sets.knows(vault) {
            Familiarity::Known
        } else if sets.referenced.is_none() {
            Familiarity::NotYetTold
        } else {
            Familiarity::Unknown
        }
    }

    /// An event of the vault was delivered.
    pub fn heard(&self, vault: &VaultName, at: Timestamp) {
        let mut sets = self.sets();
        if sets.knows(vault) {
            sets.heard.insert(vault.clone(), at);
        }
    }

    /// When an event of the vault was last delivered, since the start.
    pub fn last_heard(&self, vault: &VaultName) -> Option<Timestamp> {
        self.sets().heard.get(vault).copied()
    }
}

fn forget(sets: &mut Sets) {
    let mut heard = std::mem::take(&mut sets.heard);
    heard.retain(|vault, _| sets.knows(vault));
    sets.heard = heard;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<VaultName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn familiar(vaults: &KnownVaults, name: &str) -> Familiarity {
        vaults.familiarity(&name.parse().unwrap())
    }

    #[test]
    fn before_the_first_look_nothing_is_unknown() {
        let vaults = KnownVaults::default();
        vaults.configured(set(&["shop-kv"]));
        assert_eq!(familiar(&vaults, "SHOP-kv"), Familiarity::Known);
        assert_eq!(familiar(&vaults, "other-kv"), Familiarity::NotYetTold);
        vaults.referenced(set(&["edge-kv"]), Coverage::Whole);
        assert_eq!(familiar(&vaults, "edge-kv"), Familiarity::Known);
        assert_eq!(familiar(&vaults, "other-kv"), Familiarity::Unknown);
    }

    #[test]
    fn a_service_that_cannot_be_read_keeps_its_vaults() {
        let vaults = KnownVaults::default();
        vaults.referenced(set(&["edge-kv"]), Coverage::Whole);
        vaults.referenced(set(&["shop-kv"]), Coverage::Partial);
        assert_eq!(familiar(&vaults, "edge-kv"), Familiarity::Known);
        vaults.referenced(set(&["shop-kv"]), Coverage::Whole);
        assert_eq!(familiar(&vaults, "edge-kv"), Familiarity::Unknown);
    }

    #[test]
    fn only_known_vaults_are_remembered() {
        let vaults = KnownVaults::default();
        let (name, other) = ("shop-kv".parse().unwrap(), "other-kv".parse().unwrap());
        let at = Timestamp::from_second(1_795_421_730).unwrap();
        vaults.configured(set(&["shop-kv"]));
        vaults.heard(&name, at);
        vaults.heard(&other, at);
        assert_eq!((vaults.last_heard(&name), vaults.last_heard(&other)), (Some(at), None));
        vaults.configured(set(&["other-kv"]));
        assert_eq!(vaults.last_heard(&name), None);
    }
}
