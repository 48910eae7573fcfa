//! What was planted, and whether it is what an ending names as its reason.

use std::collections::BTreeSet;

use certroll_core::rollout::Cause;

use super::fleet::Sickness;

/// Something that was planted and may make a rollout end otherwise than verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// A host could not be reached or refused.
    Outage,
    /// An exchange was refused, cut, delayed or garbled.
    OnTheWay,
    /// An operation failed, hung, or did not bring the instances up.
    Operation,
    /// The same, because of the version that came.
    Sick(Sickness),
    /// Somebody else changed the service.
    Edit,
    /// Somebody else restarted it.
    Restart,
    /// An instance went down by itself.
    InstanceDown,
    /// A version was disabled, or its object deleted.
    Disabled,
    /// The process ended.
    Crash,
}

/// Whether an ending's reason is one that what was planted can have.
pub(super) fn explained(cause: &Cause, troubles: &BTreeSet<Trouble>) -> bool {
    use Trouble::{Crash, Disabled, Edit, InstanceDown, OnTheWay, Operation, Outage, Restart, Sick};
    let any = |wanted: &dyn Fn(Trouble) -> bool| troubles.iter().any(|one| wanted(*one));
    let operation = |one: Trouble| matches!(one, Operation | Sick(_));
    match cause {
        Cause::NotReadable { .. } => any(&|one| matches!(one, Outage | OnTheWay)),
        Cause::Changed { .. } | Cause::ChangedByOthers { .. } => any(&|one| one == Edit),
        // An operation that hangs, or one that somebody else started.
        Cause::Busy { .. } => any(&|one| one == Restart || operation(one)),
        Cause::Refused { .. } => any(&|one| matches!(one, Disabled | OnTheWay | Outage)),
        Cause::NotSent { .. } => any(&|one| matches!(one, OnTheWay | Outage | Crash)),
        Cause::OperationFailed { .. } => any(&|one| one == Disabled || operation(one)),
        Cause::TooLong { .. } => any(&|one| one == Outage || operation(one)),
        Cause::Mismatch { .. } => any(&|one| matches!(one, InstanceDown | Restart | Edit) || operation(one)),
        Cause::RestoreFailed { first, then } => explained(first, troubles) && explained(then, troubles),
        // The journal never fails here.
        Cause::Journal { .. } | Cause::Record { .. } => false,
    }
}
