//! Named faults to loop over, so that a fault test covers one that is added here on the day it is added.

use std::time::Duration;

use super::{Effect, Fault, Times, Unready, Which};
use crate::call::Call;

/// A fault with a name for test output.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Name.
    pub name: String,
    /// The fault.
    pub fault: Fault,
    /// What it leaves behind.
    pub leaves: Leaves,
}

/// What a fault leaves behind once it has struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// Nothing was done: the same request succeeds the next time.
    Nothing,
    /// It was done, though the answer did not say so.
    Done,
    /// It was accepted and does not end well, or not at all.
    Broken,
}

/// What can happen to any call: refused, cut before and after, late, garbled.
pub fn on_the_way(call: Call) -> Vec<Named> {
    let reply =
        |status, code: &str, retry_after| Effect::Reply { status, code: code.to_owned(), retry_after };
    let failed = Effect::AppliedButReply { status: 500, code: "InternalOperationError".to_owned() };
    let all = [
        ("429 with Retry-After", reply(429, "TooManyRequests", Some(2)), Leaves::Nothing),
        ("429 without Retry-After", reply(429, "TooManyRequests", None), Leaves::Nothing),
        ("500 without effect", reply(500, "InternalOperationError", None), Leaves::Nothing),
        ("503 without effect", reply(503, "ServiceUnavailable", None), Leaves::Nothing),
        ("cut before the effect", Effect::CutBefore, Leaves::Nothing),
        ("cut after the effect", Effect::CutAfter, Leaves::Done),
        ("500 after the effect", failed, Leaves::Done),
        ("malformed answer", Effect::MalformedJson, Leaves::Done),
        ("late answer", Effect::Delay(Duration::from_secs(600)), Leaves::Done),
    ];
    all.into_iter().map(|(name, effect, leaves)| named(call, name, effect, leaves)).collect()
}

/// What can happen to the operation that a PUT or a walk starts.
pub fn of_the_operation(call: Call) -> Vec<Named> {
    let failure = Effect::OperationFails {
        code: "InternalExecutionError".to_owned(),
        message: "An internal execution error occurred. Please retry later.".to_owned(),
    };
    let all = [
        ("operation fails", failure, Leaves::Broken),
        ("operation never ends", Effect::OperationNeverEnds, Leaves::Broken),
        ("operation is late", Effect::OperationLate(Duration::from_secs(3600)), Leaves::Done),
        ("state is Failed", Effect::StateFailed, Leaves::Broken),
        ("no instance starts", Effect::InstanceNeverReady(Which::All, Unready::Busy), Leaves::Broken),
        (
            "no instance answers",
            Effect::InstanceNeverReady(Which::All, Unready::Unresponsive),
            Leaves::Broken,
        ),
        ("old certificates stay", Effect::OldCertificatePresented(Which::All), Leaves::Broken),
        ("poll URL elsewhere", Effect::ForeignPollUrl("operations.example".to_owned()), Leaves::Done),
        ("poll by Location", Effect::PollByLocation, Leaves::Done),
        ("no poll URL", Effect::DropHeader("azure-asyncoperation".to_owned()), Leaves::Done),
    ];
    all.into_iter().map(|(name, effect, leaves)| named(call, name, effect, leaves)).collect()
}

fn named(call: Call, name: &str, effect: Effect, leaves: Leaves) -> Named {
    Named {
        name: format!("{call:?}: {name}"),
        fault: Fault::next(call, effect).times(Times::Next(1)),
        leaves,
    }
}
