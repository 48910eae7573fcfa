//! What goes wrong, as data: a condition, an effect and how often. A test or a table of tests loops over these.

pub mod catalogue;

use std::time::Duration;

use jiff::Timestamp;

use crate::call::Call;
use crate::names::Host;

/// One fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Which exchanges it strikes.
    pub when: When,
    /// What it does to them.
    pub effect: Effect,
    /// How often.
    pub times: Times,
}

/// Which exchanges a fault strikes. Everything given must hold; the default matches all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct When {
    /// Kind of host.
    pub host: Option<HostKind>,
    /// What is asked for.
    pub call: Option<Call>,
    /// Upper-case method.
    pub method: Option<String>,
    /// Part of the path, compared without case.
    pub path: Option<String>,
    /// Not before this time.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// How many that match are let through first.
    pub after: u32,
}

/// Kind of host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKind {
    /// Login hosts.
    Entra,
    /// Vaults.
    Vault,
    /// Azure Resource Manager.
    ResourceManager,
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The next so many that match.
    Next(u32),
    /// Always.
    Always,
}

/// Which instances of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// The named ones, such as `Web_IN_0`.
    Named(Vec<String>),
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Answers this without doing anything.
    Reply {
        /// HTTP status.
        status: u16,
        /// Error code.
        code: String,
        /// `Retry-After`, in seconds.
        retry_after: Option<u32>,
    },
    /// Does what was asked and answers this instead.
    AppliedButReply {
        /// HTTP status.
        status: u16,
        /// Error code.
        code: String,
    },
    /// Answers later, in simulated time.
    Delay(Duration),
    /// Cuts the connection before anything is done.
    CutBefore,
    /// Does what was asked and cuts the connection instead of answering.
    CutAfter,
    /// Answers with a body that is not JSON.
    MalformedJson,
    /// Answers with a body of about so many bytes more.
    Oversized(usize),
    /// Adds a header to the answer, such as `retry-after` to a poll's.
    AddHeader(String, String),
    /// Leaves a header out of the answer, such as `azure-asyncoperation`, whose loss leaves `provisioningState` alone
    /// to look at.
    DropHeader(String),
    /// Answers what it would, with another status: a PUT may be answered 201.
    Status(u16),
    /// Names another host in the `nextLink` of a list.
    ForeignNextLink(String),
    /// Names another host in the poll URL.
    ForeignPollUrl(String),
    /// Answers a PUT with `Location` in place of `Azure-AsyncOperation`.
    PollByLocation,
    /// The operation that this starts fails; the model stays the new one.
    OperationFails {
        /// Error code.
        code: String,
        /// Error message.
        message: String,
    },
    /// The operation that this starts never ends.
    OperationNeverEnds,
    /// The operation that this starts ends so much later than its work.
    OperationLate(Duration),
    /// These instances stop at `Busy` or become unresponsive when they are walked.
    InstanceNeverReady(Which, Unready),
    /// These instances start with the certificates they had.
    OldCertificatePresented(Which),
    /// The operation succeeds, `provisioningState` is `Failed`.
    StateFailed,
}

/// How an instance is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unready {
    /// `RoleStateBusy`.
    Busy,
    /// `RoleStateUnresponsive`.
    Unresponsive,
}

/// The faults that wait for their exchanges.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    waiting: Vec<Waiting>,
}

#[derive(Clone, Debug)]
struct Waiting {
    fault: Fault,
    let_through: u32,
    struck: u32,
}

impl Fault {
    /// An effect on the next call of this kind.
    pub fn next(call: Call, effect: Effect) -> Self {
        Self { when: When { call: Some(call), ..When::default() }, effect, times: Times::Next(1) }
    }

    /// An effect on every call of this kind.
    pub fn always(call: Call, effect: Effect) -> Self {
        Self { when: When { call: Some(call), ..When::default() }, effect, times: Times::Always }
    }

    /// The same fault, once `count` that match were let through.
    #[must_use]
    pub fn after(mut self, count: u32) -> Self {
        self.when.after = count;
        self
    }

    /// The same fault for paths that contain this.
    #[must_use]
    pub fn on_path(mut self, part: &str) -> Self {
        self.when.path = Some(part.to_owned());
        self
    }

    /// The same fault, so many times.
    #[must_use]
    pub fn times(mut self, times: Times) -> Self {
        self.times = times;
        self
    }
}

impl Which {
    /// Whether an instance is meant.
    pub fn includes(&self, instance: &str) -> bool {
        match self {
            Which::All => true,
            Which::Named(names) => names.iter().any(|name| name.eq_ignore_ascii_case(instance)),
        }
    }
}

impl Effect {
    /// A short name for the ledger.
    pub fn name(&self) -> String {
        match self {
            Effect::Reply { status, code, .. } => format!("answered {status} {code} without effect"),
            Effect::AppliedButReply { status, code } => format!("applied, answered {status} {code}"),
            Effect::Delay(by) => format!("delayed by {by:?}"),
            Effect::CutBefore => "connection cut before the effect".to_owned(),
            Effect::CutAfter => "applied, connection cut".to_owned(),
            Effect::MalformedJson => "malformed body".to_owned(),
            Effect::Oversized(by) => format!("body {by} bytes too long"),
            Effect::AddHeader(name, value) => format!("header {name}: {value} added"),
            Effect::DropHeader(name) => format!("header {name} left out"),
            Effect::Status(status) => format!("answered with status {status}"),
            Effect::ForeignNextLink(host) => format!("next page at {host}"),
            Effect::ForeignPollUrl(host) => format!("poll URL at {host}"),
            Effect::PollByLocation => "Location in place of Azure-AsyncOperation".to_owned(),
            Effect::OperationFails { code, .. } => format!("operation will fail with {code}"),
            Effect::OperationNeverEnds => "operation will never end".to_owned(),
            Effect::OperationLate(by) => format!("operation will end {by:?} late"),
            Effect::InstanceNeverReady(..) => "instances will not become ready".to_owned(),
            Effect::OldCertificatePresented(_) => "instances will keep the old certificates".to_owned(),
            Effect::StateFailed => "provisioning state will be Failed".to_owned(),
        }
    }

    /// Whether it only makes sense for a request that starts an operation.
    fn needs_operation(&self) -> bool {
        match self {
            Effect::ForeignPollUrl(_)
            | Effect::PollByLocation
            | Effect::OperationFails { .. }
            | Effect::OperationNeverEnds
            | Effect::OperationLate(_)
            | Effect::InstanceNeverReady(..)
            | Effect::OldCertificatePresented(_)
            | Effect::StateFailed => true,
            Effect::Reply { .. }
            | Effect::AppliedButReply { .. }
            | Effect::Delay(_)
            | Effect::CutBefore
            | Effect::CutAfter
            | Effect::MalformedJson
            | Effect::Oversized(_)
            | Effect::AddHeader(..)
            | Effect::DropHeader(_)
            | Effect::Status(_)
            | Effect::ForeignNextLink(_) => false,
        }
    }
}

impl Faults {
    /// Adds a fault.
    pub fn add(&mut self, fault: Fault) {
        self.waiting.push(Waiting { fault, let_through: 0, struck: 0 });
    }

    /// Takes a fault away. What already struck stays as it is.
    pub fn end(&mut self, fault: &Fault) {
        self.waiting.retain(|waiting| waiting.fault != *fault);
    }

    /// Takes every fault away. What already struck stays as it is.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Every fault and how often it has struck.
    pub fn struck(&self) -> Vec<(Fault, u32)> {
        self.waiting.iter().map(|one| (one.fault.clone(), one.struck)).collect()
    }

    pub(crate) fn strike(
        &mut self,
        host: &Host,
        call: Call,
        method: &str,
        path: &str,
        now: Timestamp,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        for waiting in &mut self.waiting {
            if !waiting.fault.matches(host, call, method, path, now) {
                continue;
            }
            if waiting.let_through < waiting.fault.when.after {
                waiting.let_through += 1;
                continue;
            }
            match waiting.fault.times {
                Times::Next(count) if waiting.struck >= count => continue,
                Times::Next(_) | Times::Always => waiting.struck += 1,
            }
            effects.push(waiting.fault.effect.clone());
        }
        effects
    }
}

impl Fault {
    fn matches(&self, host: &Host, call: Call, method: &str, path: &str, now: Timestamp) -> bool {
        let kind = match host {
            Host::Login => HostKind::Entra,
            Host::ResourceManager => HostKind::ResourceManager,
            Host::Vault(_) => HostKind::Vault,
        };
        let when = &self.when;
        when.host.is_none_or(|wanted| wanted == kind)
            && when.call.is_none_or(|wanted| wanted == call)
            && when.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && when
                .path
                .as_deref()
                .is_none_or(|part| path.to_ascii_lowercase().contains(&part.to_ascii_lowercase()))
            && when.from.is_none_or(|from| now >= from)
            && when.until.is_none_or(|until| now < until)
            && (!self.effect.needs_operation() || call.starts_operation())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_the_nth_that_matches_and_no_more() {
        let mut faults = Faults::default();
        faults.add(Fault::next(Call::GetOperation, Effect::CutBefore).after(1).on_path("csoperations"));
        let now = Timestamp::UNIX_EPOCH;
        let mut strike =
            |call| faults.strike(&Host::ResourceManager, call, "GET", "/x/CsOperations/1", now).len();
        assert_eq!(strike(Call::GetOperation), 0);
        assert_eq!(strike(Call::GetCloudService), 0);
        assert_eq!(strike(Call::GetOperation), 1);
        assert_eq!(strike(Call::GetOperation), 0);
    }

    #[test]
    fn a_fault_that_ended_strikes_no_more_and_the_others_do() {
        let mut faults = Faults::default();
        let (cut, late) = (
            Fault::always(Call::GetOperation, Effect::CutBefore),
            Fault::always(Call::GetOperation, Effect::Delay(Duration::from_secs(1))),
        );
        faults.add(cut.clone());
        faults.add(late.clone());
        faults.end(&cut);
        let now = Timestamp::UNIX_EPOCH;
        let struck = faults.strike(&Host::ResourceManager, Call::GetOperation, "GET", "/x", now);
        assert_eq!(struck, [late.effect]);
    }
}
