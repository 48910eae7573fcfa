//! The guards by name. Each can be relaxed for a service by its name.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;

/// One reason to refuse a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// The version is enabled, and so is every reference that stays.
    Enabled,
    /// The certificate is within its validity, with a minimum of life left.
    Validity,
    /// The new certificate does not end earlier than the deployed one.
    Age,
    /// A private key is there and matches, where there was one.
    Key,
    /// Every name that was served is served still.
    Names,
    /// Still fit for TLS servers where it was.
    ServerAuth,
    /// A leaf stays a leaf, a CA stays a CA.
    Role,
    /// Signature and key are not weaker; no SHA-1 or MD5 signature.
    Strength,
    /// The chain that a role held is held afterwards.
    Chain,
    /// The secret is in a form that Cloud Services accept.
    Form,
    /// The vault is in the service's subscription and region, and enabled for deployment.
    Placement,
    /// No Key Vault extension rotates the same service.
    Extension,
}

/// Every guard, in the order in which they are asked.
const ALL: [Guard; 12] = [
    Guard::Enabled,
    Guard::Validity,
    Guard::Age,
    Guard::Key,
    Guard::Names,
    Guard::ServerAuth,
    Guard::Role,
    Guard::Strength,
    Guard::Chain,
    Guard::Form,
    Guard::Placement,
    Guard::Extension,
];

impl Guard {
    /// Every guard, in the order in which they are asked.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.into_iter()
    }

    /// The name in the configuration and in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Validity => "validity",
            Self::Age => "age",
            Self::Key => "key",
            Self::Names => "names",
            Self::ServerAuth => "server_auth",
            Self::Role => "role",
            Self::Strength => "strength",
            Self::Chain => "chain",
            Self::Form => "form",
            Self::Placement => "placement",
            Self::Extension => "extension",
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no guard has.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "`{0}` is no guard; expected one of enabled, validity, age, key, names, server_auth, role, strength, chain, form, placement, extension"
)]
pub struct UnknownGuard(pub String);

impl FromStr for Guard {
    type Err = UnknownGuard;

    /// # Errors
    /// No guard has the name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::all().find(|guard| guard.name() == text).ok_or_else(|| UnknownGuard(text.to_owned()))
    }
}

/// Which guards hold for a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardPolicy {
    /// Guards that warn instead of refusing.
    pub relaxed: BTreeSet<Guard>,
    /// Least life that a new certificate must have left.
    pub minimum_remaining: Duration,
}

/// A certificate with less than a day left would be deployed only to be replaced at once.
const MINIMUM_REMAINING: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for GuardPolicy {
    fn default() -> Self {
        Self { relaxed: BTreeSet::new(), minimum_remaining: MINIMUM_REMAINING }
    }
}

impl GuardPolicy {
    /// Whether a guard refuses.
    pub fn holds(&self, guard: Guard) -> bool {
        !self.relaxed.contains(&guard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guard_is_found_by_its_name_and_named_in_the_hint() {
        let hint = UnknownGuard(String::new()).to_string();
        for guard in Guard::all() {
            assert_eq!(guard.name().parse::<Guard>().unwrap(), guard);
            assert!(hint.contains(guard.name()), "{guard}");
        }
    }
}
