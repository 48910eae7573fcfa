//! The guards: one small function for each reason to refuse a change. Each is given what it judges and the time, and
//! returns what it expected and what it found, or nothing.

mod chain;
mod identity;
mod lifetime;
mod service;
mod stored;
mod strength;

#[cfg(test)]
mod tests;

pub use chain::chain;
pub use service::{extension, kept, placement};
pub use stored::{stored, succession};

use std::borrow::Cow;

use jiff::Timestamp;

use super::{Guard, GuardPolicy};
use crate::certificate::{Certificate, VersionFacts};
use crate::plan::{VaultContent, Violation};

/// A certificate that is to take another's place.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// What is replaced, as messages name it.
    pub subject: String,
    /// The vault object that the new one comes from.
    pub source: String,
    /// What it replaces, where that could be read.
    pub old: Option<&'a VaultContent>,
    /// The new one.
    pub new: &'a VaultContent,
    /// What the vault says of the new version.
    pub facts: &'a VersionFacts,
    /// The time.
    pub now: Timestamp,
}

impl<'a> Candidate<'a> {
    fn old_leaf(&self) -> Option<&'a Certificate> {
        self.old.map(|old| &old.leaf)
    }

    /// What a violation is about.
    fn whole_subject(&self) -> String {
        format!("{}{}", self.subject, from(&self.source))
    }
}

/// Where a violation says that the new certificate comes from.
fn from(source: &str) -> String {
    format!(", from `{source}`")
}

/// Whether a violation is about a certificate of that vault object, as messages name it.
pub fn is_about(violation: &Violation, source: &str) -> bool {
    violation.subject.ends_with(&from(source))
}

/// What the guards said: a guard that is relaxed warns.
#[derive(Debug, Default)]
pub struct Findings {
    /// Reasons to refuse.
    pub violations: Vec<Violation>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// What one guard expected and found.
pub(crate) struct Objection {
    pub(crate) expected: String,
    pub(crate) found: String,
    /// What to do about it, besides relaxing the guard.
    pub(crate) way_out: Cow<'static, str>,
}

impl Findings {
    fn add(&mut self, guard: Guard, subject: &str, objection: Objection, policy: &GuardPolicy) {
        let Objection { expected, found, way_out } = objection;
        let hint = format!(
            "{way_out}; or let it pass with `relax = [\"{guard}\"]` in the service's `[service.guards]`"
        );
        let violation =
            Violation { guard: guard.name().to_owned(), subject: subject.to_owned(), expected, found, hint };
        if policy.holds(guard) {
            if !self.violations.contains(&violation) {
                self.violations.push(violation);
            }
        } else {
            self.warn(format!("guard `{guard}` is relaxed: {violation}"));
        }
    }

    fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// Asks every guard that judges one certificate.
pub fn evaluate(candidate: &Candidate<'_>, policy: &GuardPolicy, findings: &mut Findings) {
    judge(candidate, policy, findings);
    if candidate.old.is_none() {
        findings.warn(format!(
            "{}: the certificate that is deployed could not be read, so names, key and strength were not compared",
            candidate.whole_subject()
        ));
    }
}

fn judge(candidate: &Candidate<'_>, policy: &GuardPolicy, findings: &mut Findings) {
    let objections = [
        (Guard::Enabled, lifetime::enabled(candidate)),
        (Guard::Validity, lifetime::validity(candidate, policy.minimum_remaining)),
        (Guard::Age, lifetime::age(candidate)),
        (Guard::Key, identity::key(candidate)),
        (Guard::Names, identity::names(candidate)),
        (Guard::ServerAuth, identity::server_auth(candidate)),
        (Guard::Role, identity::role(candidate)),
        (Guard::Strength, strength::strength(candidate)),
        (Guard::Form, identity::form(candidate)),
    ];
    let subject = candidate.whole_subject();
    for (guard, objection) in objections {
        if let Some(objection) = objection {
            findings.add(guard, &subject, objection, policy);
        }
    }
    if let Some(doubt) = identity::doubtful_form(candidate) {
        findings.warn(format!("{subject}: {doubt}"));
    }
}
