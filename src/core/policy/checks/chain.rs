//! The guard about the chain within a service's set.

use super::{Findings, GuardPolicy, Objection};
use crate::certificate::{Certificate, order};
use crate::id::RoleName;
use crate::policy::Guard;

/// Windows builds the chain that a role presents from the certificates in the role's stores. So a chain that the role
/// held before must be held afterwards: for each leaf, whether or not it changes, since an intermediate may be taken
/// from under it. `before` and `after` hold the role's certificates, entry by entry of its cscfg; `None` could not be
/// read.
pub fn chain(
    role: &RoleName,
    before: &[Option<Certificate>],
    after: &[Option<Certificate>],
    policy: &GuardPolicy,
    findings: &mut Findings,
) {
    let old: Vec<Certificate> = before.iter().flatten().cloned().collect();
    let new: Vec<Certificate> = after.iter().flatten().cloned().collect();
    let entries = after.iter().enumerate().filter_map(|(place, leaf)| Some((place, leaf.as_ref()?)));
    for (place, leaf) in entries.filter(|(_, leaf)| !leaf.is_ca()) {
        let predecessor = before.get(place).and_then(Option::as_ref);
        let held = match predecessor {
            Some(predecessor) => Held::by(predecessor, &old),
            None => Held::beside(&old),
        };
        let issuers = order(leaf, &new);
        let top = issuers.last().map_or(leaf, |top| top);
        if top.is_self_issued() {
            continue;
        }
        // A role that never held an issuer and is not worse off than before is no news.
        if issuers.is_empty() && held.issuers == 0 && predecessor.is_none() {
            findings.warn(format!(
                "role `{role}` holds no issuer of `{}` ({}); clients must find the intermediate certificate by themselves",
                leaf.subject(),
                leaf.thumbprint()
            ));
        }
        if issuers.len() >= held.issuers && !held.root {
            continue;
        }
        let expected = if held.root {
            "its chain up to the root among the role's certificates, as the deployed one has it".to_owned()
        } else {
            format!("{} of its issuers among the role's certificates, as the deployed one has", held.issuers)
        };
        findings.add(
            Guard::Chain,
            &format!("certificate `{}` ({}) of role `{role}`", leaf.subject(), leaf.thumbprint()),
            Objection {
                expected,
                found: format!("no certificate of issuer `{}`", top.issuer()),
                way_out: "add that issuer's certificate to the vault object that the role's intermediate or root follows".into(),
            },
            policy,
        );
    }
}

/// How much of a chain a leaf has.
struct Held {
    /// The issuers that it has within the set.
    issuers: usize,
    /// Whether the last of them is a root.
    root: bool,
}

impl Held {
    fn by(leaf: &Certificate, set: &[Certificate]) -> Self {
        let issuers = order(leaf, set);
        Self { issuers: issuers.len(), root: issuers.last().is_some_and(|top| top.is_self_issued()) }
    }

    /// For a leaf that could not be read: CA certificates beside it show that a chain is wanted.
    fn beside(set: &[Certificate]) -> Self {
        let cas = || set.iter().filter(|certificate| certificate.is_ca());
        Self { issuers: cas().count().min(1), root: cas().any(Certificate::is_self_issued) }
    }
}
