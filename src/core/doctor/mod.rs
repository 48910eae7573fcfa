//! What `certroll doctor` looks for: from evidence that somebody else gathered to findings, each with what it means and
//! the command that mends it. Pure; asks nobody and changes nothing.
//!
//! [`Check`] is the list of everything that is looked at; `docs/doctor.md` is made from it. Read next: `permission` for
//! what Resource Manager says that a caller may do, `mend` for the commands.

mod check;
pub mod events;
pub mod life;
mod mend;
pub mod permission;
pub mod process;
pub mod service;
pub mod vault;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Serialize, Serializer};

pub use check::Check;
pub use mend::{Access, Az, Mend, Principal, role, seen_address};

use crate::id::{CloudServiceId, VaultName};
use crate::ports::{FaultKind, PortError};

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Who certroll is to Azure.
    Identity,
    /// A key vault.
    Vault(VaultName),
    /// A cloud service.
    Service(CloudServiceId),
    /// The webhook and the event subscriptions that deliver to it.
    Webhook,
    /// This machine: its clock and the journal.
    Machine,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => f.write_str("identity"),
            Self::Vault(vault) => write!(f, "vault {vault}"),
            Self::Service(service) => write!(f, "service {}", service.name()),
            Self::Webhook => f.write_str("webhook"),
            Self::Machine => f.write_str("machine"),
        }
    }
}

impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How bad a finding is, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it must be.
    Good,
    /// Right, and worth knowing.
    Notice,
    /// It works today and will hurt, or works worse than it could.
    Warning,
    /// It could not be looked at. Never a pass.
    NotChecked,
    /// certroll cannot do its work.
    Failure,
}

impl Verdict {
    /// All of them, the worst first.
    pub const WORST_FIRST: [Self; 5] =
        [Self::Failure, Self::NotChecked, Self::Warning, Self::Notice, Self::Good];

    /// The word that people read.
    pub fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::NotChecked => "not checked",
            Self::Failure => "failure",
        }
    }
}

/// What one check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check.
    pub check: Check,
    /// What it is about.
    pub subject: Subject,
    /// How bad it is.
    pub verdict: Verdict,
    /// What was found; for [`Verdict::NotChecked`] why nothing was.
    pub what: String,
    /// How it is mended, where something must be.
    pub mend: Option<Mend>,
}

impl Finding {
    /// A finding without a mend.
    pub fn new(check: Check, subject: &Subject, verdict: Verdict, what: impl Into<String>) -> Self {
        Self { check, subject: subject.clone(), verdict, what: what.into(), mend: None }
    }

    /// As it must be.
    pub fn good(check: Check, subject: &Subject, what: impl Into<String>) -> Self {
        Self::new(check, subject, Verdict::Good, what)
    }

    /// It could not be looked at.
    pub fn not_checked(check: Check, subject: &Subject, why: impl Into<String>) -> Self {
        Self::new(check, subject, Verdict::NotChecked, why)
    }

    /// The same with a mend.
    #[must_use]
    pub fn mend(mut self, mend: Mend) -> Self {
        self.mend = Some(mend);
        self
    }

    /// Why it matters.
    pub fn why(&self) -> &'static str {
        self.check.why()
    }
}

/// The worst verdict of some findings; good where there are none.
pub fn worst<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Verdict {
    findings.into_iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Good)
}

/// What a call that failed comes to, where the failure is not the answer that was looked for. What may pass, and what
/// says nothing of the thing itself, is not a failure of it: it was not checked.
fn failed(check: Check, subject: &Subject, error: &PortError) -> Finding {
    let fault = error.fault();
    let verdict = match fault.kind {
        FaultKind::Forbidden
        | FaultKind::Firewall
        | FaultKind::NotFound
        | FaultKind::Unauthorized
        | FaultKind::Refused
        | FaultKind::Unreachable
        | FaultKind::ForeignHost => Verdict::Failure,
        FaultKind::NoToken
        | FaultKind::Disabled
        | FaultKind::Throttled
        | FaultKind::Conflict
        | FaultKind::ServiceFault
        | FaultKind::TimedOut
        | FaultKind::Malformed => Verdict::NotChecked,
    };
    let what = match fault.kind {
        // A token that nobody gave is a finding of its own, with all its reasons.
        FaultKind::NoToken => fault.kind.to_string(),
        // The check and the command say more than the service's paragraph.
        FaultKind::Forbidden | FaultKind::Firewall => fault.brief(),
        _ => fault.to_string(),
    };
    let finding = Finding::new(check, subject, verdict, what);
    match &fault.hint {
        Some(hint) if verdict == Verdict::Failure => finding.mend(Mend::Words(hint.clone())),
        _ => finding,
    }
}
