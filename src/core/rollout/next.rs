//! What is to be done now.

use jiff::Timestamp;

use super::ending::{Cause, Ending};
use super::event::{Event, OperationOutcome, Phase};
use super::limits::Limits;
use super::state::{Rollout, Stage, Trace};
use crate::target::cloud_service::OperationHandle;
use crate::verify::{Mismatch, judge};

/// What the engine is to do. Each action ends in at least one event.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Read the service and its instances, to return to.
    Capture,
    /// Read the service and compare.
    Look {
        /// Not before this time.
        not_before: Timestamp,
    },
    /// Send what the phase wants.
    Put {
        /// Which way.
        phase: Phase,
    },
    /// Follow the operation to its end.
    Follow {
        /// How.
        operation: OperationHandle,
        /// Since when it runs.
        since: Timestamp,
    },
    /// Walk the update domains of a service in Manual mode, from this one on.
    Walk {
        /// The operation of the PUT, which may fail meanwhile.
        operation: OperationHandle,
        /// Since when it runs.
        since: Timestamp,
        /// The first domain to walk to.
        from: u32,
    },
    /// Look at the service, its instances and endpoints until they are right, or until this time.
    Examine {
        /// The last moment.
        until: Timestamp,
    },
    /// Write this down: it follows from what is known.
    Record(Event),
    /// Nothing more.
    Done(Ending),
}

/// The steps that reach the outside. What is tried of a rollout is tried of each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// What to return to.
    Capture,
    /// The comparison right before a PUT, or after one whose fate is not known.
    Look,
    /// The PUT.
    Put,
    /// The operation.
    Operation,
    /// The update domains, in Manual mode.
    Walk,
    /// The service, its instances and endpoints, judged.
    Examine,
}

impl Step {
    /// Every step, in the order of the way.
    pub const ALL: [Self; 6] =
        [Self::Capture, Self::Look, Self::Put, Self::Operation, Self::Walk, Self::Examine];

    /// The step's word, the same in messages, metrics and docs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Look => "look",
            Self::Put => "put",
            Self::Operation => "operation",
            Self::Walk => "walk",
            Self::Examine => "examine",
        }
    }
}

impl Action {
    /// The step that it is; none where nothing outside is reached.
    pub fn step(&self) -> Option<Step> {
        match self {
            Self::Capture => Some(Step::Capture),
            Self::Look { .. } => Some(Step::Look),
            Self::Put { .. } => Some(Step::Put),
            Self::Follow { .. } => Some(Step::Operation),
            Self::Walk { .. } => Some(Step::Walk),
            Self::Examine { .. } => Some(Step::Examine),
            Self::Record(_) | Self::Done(_) => None,
        }
    }
}

/// PUTs that may be put off in one phase: with a minute's wait for each, this is a quarter of an hour of throttling.
const DEFERRALS: u32 = 15;

/// The next action of a rollout, from its events alone and the time.
pub fn next_action(rollout: &Rollout, now: Timestamp, limits: &Limits) -> Action {
    match &rollout.stage {
        Stage::Opened => Action::Capture,
        Stage::BeforePut { not_before, busy_since } => {
            before_put(rollout, *not_before, *busy_since, now, limits)
        }
        Stage::Ready => Action::Put { phase: rollout.phase },
        Stage::Refused { at, busy: false, .. } => Action::Look { not_before: *at },
        Stage::Refused { at, message, busy: true } => {
            if elapsed(*at, now) > limits.busy {
                return over(rollout, Cause::Refused { message: message.clone() });
            }
            Action::Look { not_before: later(now, limits.poll_interval) }
        }
        Stage::Unknown { message, since, trace } => {
            if elapsed(*since, now) > limits.operation {
                return over(
                    rollout,
                    Cause::TooLong { waited_for: format!("a trace of the update ({message})") },
                );
            }
            let not_before = match trace {
                Trace::Awaited | Trace::Lost => now,
                Trace::Busy => later(now, limits.poll_interval),
                Trace::None { last, .. } => later(*last, limits.poll_interval),
            };
            Action::Look { not_before }
        }
        Stage::Operating { operation, since, next_domain: Some(from) } => {
            Action::Walk { operation: operation.clone(), since: *since, from: *from }
        }
        Stage::Operating { operation, since, next_domain: None } => {
            Action::Follow { operation: operation.clone(), since: *since }
        }
        Stage::Ended { outcome, at } => after_operation(rollout, outcome, *at, limits),
        Stage::Examined { evidence } => judged(rollout, evidence),
        Stage::Over { ending, recorded: false } => Action::Record(Event::Ended { ending: ending.clone() }),
        Stage::Over { ending, recorded: true } => Action::Done(ending.clone()),
    }
}

fn before_put(
    rollout: &Rollout,
    not_before: Timestamp,
    busy_since: Option<Timestamp>,
    now: Timestamp,
    limits: &Limits,
) -> Action {
    if rollout.deferrals > DEFERRALS {
        let message = format!("the service put it off {DEFERRALS} times");
        return over(rollout, Cause::NotSent { message });
    }
    if let Some(since) = busy_since {
        // A restore waits as long as an operation may take: there is nothing better to do for the service. In Manual
        // mode the operation may be waiting for a walk that will never come, so a person is called earlier.
        let longest = match rollout.phase {
            Phase::Back if !rollout.is_manual() => limits.operation,
            Phase::Forward | Phase::Back => limits.busy,
        };
        if elapsed(since, now) > longest {
            return over(rollout, Cause::Busy { state: format!("for {} s", elapsed(since, now).as_secs()) });
        }
        return Action::Look { not_before: later(now, limits.poll_interval) };
    }
    Action::Look { not_before }
}

fn after_operation(rollout: &Rollout, outcome: &OperationOutcome, at: Timestamp, limits: &Limits) -> Action {
    let cause = match outcome {
        OperationOutcome::Succeeded => return Action::Examine { until: later(at, limits.settle) },
        OperationOutcome::Failed { failure } => Cause::OperationFailed { failure: failure.clone() },
        OperationOutcome::TooLong { waited_for } => Cause::TooLong { waited_for: waited_for.clone() },
    };
    match (rollout.phase, outcome) {
        (Phase::Forward, _) => Action::Record(Event::TurnedBack { cause }),
        (Phase::Back, OperationOutcome::Failed { .. }) if rollout.puts < Limits::PUTS => {
            Action::Look { not_before: later(at, limits.poll_interval) }
        }
        (Phase::Back, _) => over(rollout, cause),
    }
}

fn judged(rollout: &Rollout, evidence: &crate::verify::Evidence) -> Action {
    let Some(expected) = rollout.expected() else {
        return over(rollout, Cause::NotReadable { message: "nothing was captured".to_owned() });
    };
    let Err(mismatches) = judge(&expected, evidence.clone()) else {
        let ending = match &rollout.turned_back {
            None => Ending::Verified,
            Some(cause) => Ending::Restored { cause: cause.clone() },
        };
        return Action::Record(Event::Ended { ending });
    };
    // Somebody else wrote after us. Putting the old state back would undo what they did.
    let foreign: Vec<String> = mismatches
        .iter()
        .filter_map(|mismatch| match mismatch {
            Mismatch::Model(difference) => Some(difference.to_string()),
            Mismatch::Instance { .. } | Mismatch::Endpoint { .. } => None,
        })
        .collect();
    if !foreign.is_empty() {
        return over(rollout, Cause::ChangedByOthers { differences: foreign });
    }
    let cause = Cause::Mismatch { mismatches };
    match rollout.phase {
        Phase::Forward if rollout.changed => Action::Record(Event::TurnedBack { cause }),
        Phase::Forward | Phase::Back => over(rollout, cause),
    }
}

/// The end for a rollout that can go no further: abandoned where nothing was changed, stuck otherwise.
pub fn give_up(rollout: &Rollout, cause: Cause) -> Event {
    let ending = if rollout.phase == Phase::Forward && !rollout.changed {
        Ending::Abandoned { cause }
    } else {
        rollout.stuck(cause)
    };
    Event::Ended { ending }
}

fn over(rollout: &Rollout, cause: Cause) -> Action {
    Action::Record(give_up(rollout, cause))
}

fn elapsed(since: Timestamp, now: Timestamp) -> std::time::Duration {
    std::time::Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

fn later(at: Timestamp, wait: std::time::Duration) -> Timestamp {
    at.checked_add(wait).unwrap_or(at)
}
