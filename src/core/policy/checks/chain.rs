//! The guard about the chain within a service's set.

use super::{Findings, GuardPolicy, Objection};
use crate::certificate::{Certificate, order};
use crate::id::RoleName;
use crate::policy::Guard;

/// Windows builds the chain that a role presents from the certificates in the role's stores. So a chain that the set
/// held before must be held by the set afterwards: for each leaf, whether or not it changes, since an intermediate may
/// be taken from under it.
pub fn chain(role: &RoleName, before: &[Certificate], after: &[Certificate], policy: &GuardPolicy, findings: &mut Findings) {
    let held = Held::of(before);
    for leaf in after.iter().filter(|certificate| !certificate.is_ca()) {
        let issuers = order(leaf, after);
        let top = issuers.last().map_or(leaf, |top| top);
        let reaches_root = top.is_self_issued();
        let enough = reaches_root || (issuers.len() >= held.shortest && !held.every_root);
        if enough || held.shortest == 0 {
            if !enough || (issuers.is_empty() && !leaf.is_self_issued() && held.shortest == 0) {
                findings.warn(format!(
                    "role `{role}` holds no issuer of `{}` ({}); clients must find the intermediate certificate by themselves",
                    leaf.subject(),
                    leaf.thumbprint()
                ));
            }
            continue;
        }
        let expected = if held.every_root {
            "its chain up to the root within the service's set, as the deployed certificates have it".to_owned()
        } else {
            format!("{} of its issuers within the service's set, as the deployed certificates have them", held.shortest)
        };
        findings.add(
            Guard::Chain,
            &format!("`{}` ({}) in role `{role}`", leaf.subject(), leaf.thumbprint()),
            Objection {
                expected,
                found: format!("no certificate of issuer `{}`", top.issuer()),
                way_out: "add a renewed version of the intermediate or root to its vault object",
            },
            policy,
        );
    }
}

/// How much of a chain every leaf of the deployed set has.
struct Held {
    /// The fewest issuers that a leaf has within the set.
    shortest: usize,
    /// Whether every chain ends in a root.
    every_root: bool,
}

impl Held {
    fn of(set: &[Certificate]) -> Self {
        let chains: Vec<(usize, bool)> = set
            .iter()
            .filter(|certificate| !certificate.is_ca() && !certificate.is_self_issued())
            .map(|leaf| {
                let issuers = order(leaf, set);
                (issuers.len(), issuers.last().is_some_and(|top| top.is_self_issued()))
            })
            .collect();
        if chains.is_empty() {
            // The deployed leaf could not be read. CA certificates beside it show that a chain is wanted.
            let cas = set.iter().filter(|certificate| certificate.is_ca()).count();
            let roots = set.iter().any(|certificate| certificate.is_ca() && certificate.is_self_issued());
            return Self { shortest: cas.min(1), every_root: roots };
        }
        Self {
            shortest: chains.iter().map(|(length, _)| *length).min().unwrap_or(0),
            every_root: chains.iter().all(|(_, root)| *root),
        }
    }
}
