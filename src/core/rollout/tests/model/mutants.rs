//! Mistakes, planted one at a time: the search must find each, and report the property that it violates.

use super::super::super::{
    Action, Ending, Event, Found, Limits, OperationOutcome, Phase, Rollout, Stage, Trace, next_action,
};
use super::azure::{Facts, IntoRunning, Mode, Shown};
use super::explore;
use super::functions::{Functions, Habits};
use super::properties::Property;
use super::world::Budget;
use crate::target::cloud_service::OperationHandle;

/// Something done wrongly, and what it violates.
type Mutant = (&'static str, Functions, Habits, Property);

const REAL: Functions = Functions::REAL;
const CAREFUL: Habits = Habits::REAL;

fn functions() -> Vec<Mutant> {
    vec![
        (
            "puts again without a look after an ambiguous answer",
            Functions {
                apply: |rollout, at, event| {
                    let mut next = rollout.apply(at, event)?;
                    if matches!(event, Event::PutAmbiguous { .. }) {
                        next.stage = Stage::Ready;
                    }
                    Ok(next)
                },
                ..REAL
            },
            Habits { sends_what_it_just_read: false, ..CAREFUL },
            Property::NoPutIntoOperation,
        ),
        (
            "puts again after one look",
            Functions { apply: |rollout, at, event| after_looks(rollout, at, event, 1), ..REAL },
            CAREFUL,
            Property::OnePutInFlight,
        ),
        (
            "puts again after one look too few",
            Functions {
                apply: |rollout, at, event| after_looks(rollout, at, event, Limits::LOOKS - 1),
                ..REAL
            },
            CAREFUL,
            Property::OnePutInFlight,
        ),
        (
            "restores into a running operation",
            Functions {
                apply: |rollout, at, event| {
                    let before = matches!(rollout.stage, Stage::BeforePut { .. });
                    let busy = matches!(event, Event::Looked { found: Found::Busy { .. } });
                    if rollout.phase == Phase::Back && before && busy {
                        return rollout.apply(at, &Event::Looked { found: Found::Unchanged });
                    }
                    rollout.apply(at, event)
                },
                ..REAL
            },
            CAREFUL,
            Property::NoPutIntoOperation,
        ),
        (
            "sends before it captured",
            Functions {
                next_action: |rollout, now, limits| match rollout.stage {
                    Stage::Opened => Action::Look { not_before: now },
                    _ => next_action(rollout, now, limits),
                },
                apply: |mut rollout, at, event| {
                    if rollout.stage == Stage::Opened && matches!(event, Event::Looked { .. }) {
                        rollout.stage = Stage::BeforePut { not_before: at, busy_since: None };
                    }
                    rollout.apply(at, event)
                },
                ..REAL
            },
            CAREFUL,
            Property::CapturedFirst,
        ),
        (
            "captures while an operation of others has an instance down",
            Functions {
                apply: |rollout, at, event| {
                    let before = matches!(rollout.stage, Stage::BeforePut { .. });
                    let mut next = rollout.apply(at, event)?;
                    if before && next.stage == Stage::Opened {
                        next.stage = match event {
                            Event::Looked { found: Found::Wanted } => {
                                Stage::Ended { outcome: OperationOutcome::Succeeded, at }
                            }
                            _ => Stage::Ready,
                        };
                    }
                    Ok(next)
                },
                ..REAL
            },
            CAREFUL,
            Property::VerifiedIsTrue,
        ),
        (
            "takes what an earlier restore left for a trace of the later",
            Functions {
                apply: |rollout, at, event| {
                    let unknown = matches!(rollout.stage, Stage::Unknown { .. });
                    let mut next = rollout.apply(at, event)?;
                    let failed = matches!(event, Event::Looked { found: Found::WantedFailed });
                    if unknown && next.phase == Phase::Back && failed {
                        next.stage = operating(at);
                    }
                    Ok(next)
                },
                ..REAL
            },
            CAREFUL,
            Property::OnePutInFlight,
        ),
        (
            "follows the service before it shows the update",
            Functions {
                apply: |rollout, at, event| {
                    let mut next = rollout.apply(at, event)?;
                    if matches!(
                        event,
                        Event::PutAccepted { operation: OperationHandle::ProvisioningState, .. }
                    ) {
                        next.stage = operating(at);
                    }
                    Ok(next)
                },
                ..REAL
            },
            CAREFUL,
            Property::OnePutInFlight,
        ),
        (
            "takes a failed update for none",
            Functions {
                compare: |rollout, model| {
                    let sent = rollout.puts > 0 && !matches!(rollout.stage, Stage::Refused { .. });
                    Ok(match rollout.compare(model)? {
                        Found::WantedFailed if rollout.phase == Phase::Forward && sent => Found::Unchanged,
                        found => found,
                    })
                },
                ..REAL
            },
            CAREFUL,
            Property::OneForwardEffect,
        ),
        (
            "overlooks what others changed",
            Functions {
                compare: |rollout, model| {
                    Ok(match rollout.compare(model)? {
                        Found::Other { .. } => Found::Unchanged,
                        found => found,
                    })
                },
                ..REAL
            },
            CAREFUL,
            Property::WorkOfOthersStays,
        ),
        (
            "overlooks an operation that runs",
            Functions {
                compare: |rollout, model| {
                    Ok(match rollout.compare(model)? {
                        Found::Busy { .. } => Found::Unchanged,
                        found => found,
                    })
                },
                ..REAL
            },
            CAREFUL,
            Property::NoPutIntoOperation,
        ),
    ]
}

fn endings() -> Vec<Mutant> {
    vec![
        (
            "believes a success without examining",
            Functions {
                next_action: |rollout, now, limits| match rollout.stage {
                    Stage::Ended { outcome: OperationOutcome::Succeeded, .. }
                        if rollout.phase == Phase::Forward =>
                    {
                        Action::Record(Event::Ended { ending: Ending::Verified })
                    }
                    _ => next_action(rollout, now, limits),
                },
                apply: ends_anyhow,
                ..REAL
            },
            CAREFUL,
            Property::VerifiedIsTrue,
        ),
        (
            "calls every examination a success",
            Functions {
                next_action: |rollout, now, limits| match (&rollout.stage, &rollout.turned_back) {
                    (Stage::Examined { .. }, Some(cause)) => {
                        Action::Record(Event::Ended { ending: Ending::Restored { cause: cause.clone() } })
                    }
                    _ => next_action(rollout, now, limits),
                },
                ..REAL
            },
            CAREFUL,
            Property::RestoredIsTrue,
        ),
        (
            "abandons after a change",
            Functions {
                give_up: |_, cause| Event::Ended { ending: Ending::Abandoned { cause } },
                apply: ends_anyhow,
                ..REAL
            },
            CAREFUL,
            Property::NothingLeftChanged,
        ),
        (
            "counts a crash as a refusal",
            Functions {
                apply: |mut rollout, at, event| {
                    let awaited = matches!(rollout.stage, Stage::Unknown { trace: Trace::Awaited, .. });
                    if awaited && matches!(event, Event::Looked { .. }) {
                        rollout = rollout.apply(at, &Event::PutRefused { message: "none".to_owned() })?;
                    }
                    rollout.apply(at, event)
                },
                ..REAL
            },
            CAREFUL,
            Property::NothingLeftChanged,
        ),
        (
            "calls a person though nothing was sent",
            Functions {
                give_up: |rollout, cause| Event::Ended { ending: rollout.stuck(cause) },
                apply: ends_anyhow,
                ..REAL
            },
            CAREFUL,
            Property::NobodyIsCalledForNothing,
        ),
        (
            "forgets the ending and looks again",
            Functions {
                next_action: |rollout, now, limits| match rollout.stage {
                    Stage::Over { recorded: true, .. } => Action::Look { not_before: now },
                    _ => next_action(rollout, now, limits),
                },
                ..REAL
            },
            CAREFUL,
            Property::EveryPathEnds,
        ),
        (
            "waits for a busy service for ever",
            Functions {
                next_action: |rollout, now, limits| match rollout.stage {
                    Stage::BeforePut { busy_since: Some(_), .. } => {
                        Action::Look { not_before: now + limits.poll_interval }
                    }
                    _ => next_action(rollout, now, limits),
                },
                ..REAL
            },
            CAREFUL,
            Property::EveryPathEnds,
        ),
        (
            "writes nothing of what it finds",
            Functions { is_repetition: |_, event| matches!(event, Event::Looked { .. }), ..REAL },
            CAREFUL,
            Property::EveryPathEnds,
        ),
    ]
}

fn habits() -> Vec<Mutant> {
    vec![
        (
            "sends before it writes that it will",
            REAL,
            Habits { writes_before_it_sends: false, ..CAREFUL },
            Property::NothingLeftChanged,
        ),
        (
            "sends what a process read that is gone",
            REAL,
            Habits { sends_what_it_just_read: false, ..CAREFUL },
            Property::LookedRightBefore,
        ),
    ]
}

/// Looks that tell as much as several.
fn after_looks(
    mut rollout: Rollout,
    at: jiff::Timestamp,
    event: &Event,
    enough: u32,
) -> Result<Rollout, super::super::super::FoldError> {
    if let Stage::Unknown { trace, .. } = &mut rollout.stage
        && matches!(event, Event::Looked { found: Found::Unchanged })
    {
        let looks = match trace {
            Trace::None { looks, .. } => *looks,
            Trace::Awaited | Trace::Lost | Trace::Busy => 0,
        };
        if looks + 1 >= enough {
            *trace = Trace::None { looks: Limits::LOOKS, last: at };
        }
    }
    rollout.apply(at, event)
}

/// A fold that takes every ending.
fn ends_anyhow(
    mut rollout: Rollout,
    at: jiff::Timestamp,
    event: &Event,
) -> Result<Rollout, super::super::super::FoldError> {
    match event {
        Event::Ended { ending } => {
            rollout.stage = Stage::Over { ending: ending.clone(), recorded: true };
            Ok(rollout)
        }
        _ => rollout.apply(at, event),
    }
}

fn operating(since: jiff::Timestamp) -> Stage {
    Stage::Operating { operation: OperationHandle::ProvisioningState, since, next_domain: None }
}

/// What earlier rollouts hold back.
fn standings() -> Vec<Mutant> {
    vec![
        (
            "plans versions again that were put back",
            Functions { held: |standings, update, _| (REAL.held)(standings, update, true), ..REAL },
            CAREFUL,
            Property::QuarantineHolds,
        ),
        (
            "takes a newer version for the end of being stuck",
            Functions {
                held: |standings, update, superseded| !superseded && (REAL.held)(standings, update, false),
                ..REAL
            },
            CAREFUL,
            // The PUT that was stuck may yet take effect, under a rollout that knows nothing of it.
            Property::NothingLeftChanged,
        ),
    ]
}

#[test]
fn each_planted_mistake_is_found() {
    let facts = Facts { mode: Mode::Auto, running: IntoRunning::Refused, shown: Shown::PerhapsLater };
    let mut wrong = Vec::new();
    let nothing_before = [(0, functions()), (1, endings()), (1, habits())]
        .map(|(crashes, mutants)| (Budget { crashes, others: 1, rollouts: 0 }, mutants));
    let after_another = (Budget { crashes: 0, others: 0, rollouts: 1 }, standings());
    for (budget, mutants) in nothing_before.into_iter().chain([after_another]) {
        for (name, functions, habits, expected) in mutants {
            match explore(facts, &functions, habits, budget) {
                Err(violation) if violation.property == expected => {}
                Err(violation) => wrong.push(format!("{name}: expected {expected:?}; found {violation}")),
                Ok(_) => wrong.push(format!("{name}: expected {expected:?}; found nothing wrong")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
