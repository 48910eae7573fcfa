//! Which version of a vault object counts. Version lists come in no order, and the vault itself does not fall back
//! when somebody disables the current version, which is how people take a bad one back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::id::VersionId;

/// What a version list says about one version of a vault certificate or secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionFacts {
    /// Which version.
    pub version: VersionId,
    /// Whether the vault hands it out.
    pub enabled: bool,
    /// When it was made; very old secrets do not say.
    pub created: Option<Timestamp>,
    /// When its attributes changed last.
    pub updated: Option<Timestamp>,
    /// When it may be used from.
    pub not_before: Option<Timestamp>,
    /// When it may be used until.
    pub expires: Option<Timestamp>,
}

/// Nothing to follow: each version is disabled, or there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "no version is enabled ({disabled} disabled); expected at least one: enable or add a version in the vault"
)]
pub struct NoneEnabled {
    /// How many versions are disabled.
    pub disabled: usize,
}

/// The enabled version that was created last. Of two created in the same second, the one updated last; then the one
/// whose id sorts last, so that the answer does not depend on the order of the list.
///
/// # Errors
/// No version is enabled.
pub fn newest(versions: &[VersionFacts]) -> Result<&VersionFacts, NoneEnabled> {
    versions
        .iter()
        .filter(|facts| facts.enabled)
        .max_by_key(|facts| (facts.created, facts.updated, &facts.version))
        .ok_or(NoneEnabled { disabled: versions.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(id: &str, enabled: bool, created: i64, updated: i64) -> VersionFacts {
        VersionFacts {
            version: id.parse().unwrap(),
            enabled,
            created: (created > 0).then(|| Timestamp::from_second(created).unwrap()),
            updated: (updated > 0).then(|| Timestamp::from_second(updated).unwrap()),
            not_before: None,
            expires: None,
        }
    }

    #[test]
    fn the_latest_enabled_version_counts() {
        let old = version("aa", true, 100, 900);
        let current = version("bb", true, 200, 200);
        let withdrawn = version("cc", false, 300, 300);
        let ancient = version("dd", true, 0, 0);
        let list = [ancient.clone(), current.clone(), withdrawn.clone(), old.clone()];
        assert_eq!(newest(&list), Ok(&current));
        assert_eq!(newest(&[withdrawn.clone(), ancient.clone()]), Ok(&ancient));
        assert_eq!(newest(&[withdrawn]), Err(NoneEnabled { disabled: 1 }));
        assert_eq!(
            newest(&[]).unwrap_err().to_string(),
            "no version is enabled (0 disabled); expected at least one: enable or add a version in the vault"
        );
    }

    #[test]
    fn ties_do_not_depend_on_the_order_of_the_list() {
        let a = version("aa", true, 100, 500);
        let b = version("bb", true, 100, 400);
        let c = version("cc", true, 100, 400);
        for list in [[&a, &b], [&b, &a]] {
            assert_eq!(newest(&list.map(Clone::clone)), Ok(&a));
        }
        for list in [[&b, &c], [&c, &b]] {
            assert_eq!(newest(&list.map(Clone::clone)), Ok(&c));
        }
    }

    #[test]
    fn facts_survive_the_journal() {
        let facts = version("0f3a", true, 1_795_422_330, 0);
        let text = serde_json::to_string(&facts).unwrap();
        assert_eq!(serde_json::from_str::<VersionFacts>(&text).unwrap(), facts);
    }
}
