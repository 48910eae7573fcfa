//! Guards about a new version of a vault object, judged against the newest one that the object has: what is asked
//! before anything is put into a vault.

use super::{Candidate, Findings, GuardPolicy, Objection, judge};
use crate::certificate::order;
use crate::plan::{Form, KeyPresence, VaultContent};
use crate::policy::Guard;

/// Asks every guard that judges one certificate, and those of [`succession`]. `old` is the newest version of the object;
/// without one the object is new, or its newest version could not be read.
pub fn stored(candidate: &Candidate<'_>, policy: &GuardPolicy, findings: &mut Findings) {
    judge(candidate, policy, findings);
    succession(candidate, policy, findings);
}

/// Asks what only a vault object can be asked, whoever follows it: that its next version is not the same once more, and
/// brings as much of its chain with it.
pub fn succession(candidate: &Candidate<'_>, policy: &GuardPolicy, findings: &mut Findings) {
    let subject = candidate.whole_subject();
    let bundled = (Guard::Chain, bundled(candidate));
    for (guard, objection) in [(Guard::Age, repeated(candidate)), bundled] {
        if let Some(objection) = objection {
            findings.add(guard, &subject, objection, policy);
        }
    }
}

/// The same certificate once more would be another version to roll out, which changes nothing. Unless the one that is
/// there is in a form that may not be accepted, or has no key: then it is stored again in a better one.
fn repeated(candidate: &Candidate<'_>) -> Option<Objection> {
    let old = candidate.old?;
    let form =
        matches!(old.form, Form::Uncertain(_) | Form::Refused(_)) && candidate.new.form == Form::Accepted;
    let key = old.key == KeyPresence::Absent && candidate.new.key == KeyPresence::Matches;
    let better = form || key;
    (old.thumbprint() == candidate.new.thumbprint() && !better).then(|| Objection {
        expected: "another certificate than the newest version holds".to_owned(),
        found: format!("the same one, {}", old.thumbprint()),
        way_out: "there is nothing to do: the vault has it".into(),
    })
}

/// A version that brought its issuers with it is followed by one that does.
fn bundled(candidate: &Candidate<'_>) -> Option<Objection> {
    let issuers = |content: &VaultContent| {
        let issuers = order(&content.leaf, &content.bundled);
        // A root beside the others adds nothing that those who trust it do not have.
        issuers.iter().filter(|issuer| !issuer.is_self_issued()).count()
    };
    let old = candidate.old.map_or(0, issuers);
    let new = issuers(candidate.new);
    // A leaf that the same root issues directly has no intermediate to bring.
    let complete = order(&candidate.new.leaf, &candidate.new.bundled)
        .last()
        .map_or(&candidate.new.leaf, |top| top)
        .is_self_issued();
    (new < old && !complete).then(|| Objection {
        expected: format!("{old} of its issuers in the same file, as the newest version has"),
        found: format!("{new}"),
        way_out: "add the intermediate certificates to the file".into(),
    })
}
