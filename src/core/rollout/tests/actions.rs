//! What is to be done at every stage.

use std::time::Duration;

use super::super::{Action, Cause, Ending, Event, Found, Limits, Phase, give_up, next_action};
use super::*;

fn limits() -> Limits {
    Limits::default()
}

fn after(events: &[Event], seconds: i64) -> Action {
    next_action(&fold(events), at(seconds), &limits())
}

fn and(mut events: Vec<Event>, more: &[Event]) -> Vec<Event> {
    events.extend(more.iter().cloned());
    events
}

fn sent() -> Vec<Event> {
    forward()[..4].to_vec()
}

#[track_caller]
fn assert_ends(action: Action, word: &str) -> Cause {
    match action {
        Action::Record(Event::Ended { ending }) => {
            assert_eq!(ending.word(), word, "{ending:?}");
            ending.cause().cloned().unwrap_or(Cause::NotSent { message: String::new() })
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_way_forward() {
    let mut events = vec![opened()];
    assert_eq!(after(&events, 0), Action::Capture);
    events.push(captured(false));
    assert_eq!(after(&events, 1), Action::Look { not_before: at(1) });
    events.push(unchanged());
    assert_eq!(after(&events, 2), Action::Put { phase: Phase::Forward });
    events.push(put(Phase::Forward));
    events.push(accepted());
    assert_eq!(after(&events, 4), Action::Follow { operation: handle(), since: at(4) });
    events.push(succeeded());
    assert_eq!(after(&events, 5), Action::Examine { until: at(5 + 15 * 60) });
    events.push(examined(right(&fold(&events))));
    assert_eq!(after(&events, 6), Action::Record(Event::Ended { ending: Ending::Verified }));
    events.push(Event::Ended { ending: Ending::Verified });
    assert_eq!(after(&events, 7), Action::Done(Ending::Verified));
}

#[test]
fn the_way_back() {
    let mut events = forward();
    events.push(failed());
    let cause = Cause::OperationFailed { failure: failure() };
    assert_eq!(after(&events, 6), Action::Record(Event::TurnedBack { cause: cause.clone() }));
    events.push(Event::TurnedBack { cause: cause.clone() });
    assert_eq!(after(&events, 7), Action::Look { not_before: at(6) });
    events.push(unchanged());
    assert_eq!(after(&events, 8), Action::Put { phase: Phase::Back });
    events.extend([put(Phase::Back), accepted(), succeeded()]);
    events.push(examined(right(&fold(&events))));
    assert_eq!(after(&events, 12), Action::Record(Event::Ended { ending: Ending::Restored { cause } }));
}

#[test]
fn what_is_there_already_is_examined_without_a_put() {
    let events = [opened(), captured(false), looked(Found::Wanted)];
    assert!(matches!(after(&events, 3), Action::Examine { .. }));
    // It does not work: it was not this rollout that made it so, and there is nothing to put back.
    let events = and(events.to_vec(), &[examined(unhealthy(&fold(&events)))]);
    assert_ends(after(&events, 4), "abandoned");
}

#[test]
fn a_changed_service_abandons_the_plan() {
    for found in [other(), Found::WantedFailed] {
        assert_ends(after(&[opened(), captured(false), looked(found)], 3), "abandoned");
    }
}

#[test]
fn a_busy_service_is_waited_for_within_its_limit() {
    for found in [busy(), Found::WantedBusy] {
        let events = [opened(), captured(false), looked(found)];
        let Action::Look { not_before } = after(&events, 2) else { panic!() };
        assert_eq!(not_before, at(12));
        assert!(matches!(after(&events, 2 + 3600), Action::Look { .. }));
        assert_ends(after(&events, 3 + 3600), "abandoned");
    }
    // On the way back there is nothing better to do, unless the operation waits for a walk.
    let back = and(turned_back(), &[looked(busy())]);
    assert!(matches!(after(&back, 8 * 3600), Action::Look { .. }));
    let cause = assert_ends(after(&back, 10 * 3600), "stuck");
    assert!(
        matches!(&cause, Cause::RestoreFailed { then, .. } if matches!(**then, Cause::Busy { .. })),
        "{cause}"
    );
    let mut manual = back.clone();
    manual[1] = captured(true);
    manual[5] = failed();
    assert_ends(after(&manual, 2 * 3600), "stuck");
}

#[test]
fn a_service_that_was_busy_is_captured_again() {
    // Which instances are started is not known while somebody else's operation runs.
    let was_busy = [opened(), captured(false), looked(busy()), unchanged()];
    assert_eq!(after(&was_busy, 20), Action::Capture);
    let again = and(was_busy.to_vec(), &[captured(false), unchanged()]);
    assert_eq!(after(&again, 20), Action::Put { phase: Phase::Forward });
    let Event::Captured { model, started, .. } = captured(false) else { panic!() };
    let mut value = model.value().clone();
    value["properties"]["provisioningState"] = "Updating".into();
    let model = Box::new(CloudServiceModel::new(value).unwrap());
    for found in [Found::Unchanged, Found::Wanted] {
        let while_busy =
            Event::Captured { model: model.clone(), started: started.clone(), presented: Vec::new() };
        assert_eq!(after(&[opened(), while_busy, looked(found)], 20), Action::Capture);
    }
    // Whoever never leaves it alone is left to it.
    let once = [looked(busy()), unchanged(), captured(false)];
    let thrice = and(and(was_busy.to_vec(), &[captured(false)]), &[&once[..], &once[..2]].concat());
    let Action::Record(Event::Ended { ending: Ending::Abandoned { cause } }) = after(&thrice, 20) else {
        panic!("{:?}", after(&thrice, 20))
    };
    assert!(cause.to_string().contains("3 operations"), "{cause}");
    // Once a PUT may have changed the service, what was captured before it is what counts.
    let lost = [ambiguous(), unchanged(), unchanged(), unchanged(), looked(busy()), unchanged()];
    assert_eq!(after(&and(sent(), &lost), 99), Action::Put { phase: Phase::Forward });
}

#[test]
fn what_a_failed_restore_left_is_no_trace_of_the_next() {
    let again = [unchanged(), put(Phase::Back), accepted(), failed(), looked(Found::WantedFailed)];
    let lost = and(and(turned_back(), &again), &[put(Phase::Back), ambiguous()]);
    for found in [Found::Wanted, Found::WantedFailed, Found::WantedBusy] {
        let mut events = lost.clone();
        for _ in 1..Limits::LOOKS {
            events.push(looked(found.clone()));
            let Action::Look { not_before } = after(&events, 99) else { panic!("{found:?}") };
            assert_eq!(not_before, at(events.len() as i64 - 1 + 10), "an interval after the last look");
        }
        // Now the PUT is no longer on its way: what is there is its work, or all that there will be.
        events.push(looked(found));
        assert!(matches!(
            after(&events, 99),
            Action::Follow { operation: OperationHandle::ProvisioningState, .. }
        ));
    }
}

#[test]
fn an_update_that_names_no_operation_is_looked_for() {
    let taken = Event::PutAccepted { operation: OperationHandle::ProvisioningState, request_id: None };
    let taken = and(sent(), &[taken]);
    assert_eq!(after(&taken, 9), Action::Look { not_before: at(9) });
    assert_eq!(after(&and(taken.clone(), &[unchanged()]), 9), Action::Look { not_before: at(5 + 10) });
    for found in [Found::Wanted, Found::WantedFailed, Found::WantedBusy] {
        assert!(matches!(after(&and(taken.clone(), &[looked(found)]), 9), Action::Follow { .. }));
    }
}

#[test]
fn a_put_whose_fate_is_unknown_is_looked_for() {
    assert_eq!(after(&sent(), 9), Action::Look { not_before: at(9) });
    let lost = and(sent(), &[ambiguous()]);
    assert_eq!(after(&lost, 9), Action::Look { not_before: at(9) });
    // Without a trace: again, an interval later, three times; then the next attempt.
    let once = and(lost.clone(), &[unchanged()]);
    assert_eq!(after(&once, 9), Action::Look { not_before: at(5 + 10) });
    let thrice = and(once, &[unchanged(), unchanged()]);
    assert_eq!(after(&thrice, 9), Action::Look { not_before: at(7) });
    let again = and(thrice, &[unchanged()]);
    assert_eq!(after(&again, 9), Action::Put { phase: Phase::Forward });
    // An operation begins the count anew, and is not asked for without a pause.
    let running = and(lost.clone(), &[unchanged(), unchanged(), looked(busy())]);
    assert_eq!(after(&running, 9), Action::Look { not_before: at(19) });
    assert_eq!(after(&and(running, &[unchanged()]), 9), Action::Look { not_before: at(18) });
    // It took effect.
    for found in [Found::Wanted, Found::WantedBusy, Found::WantedFailed] {
        let taken = and(lost.clone(), &[looked(found)]);
        assert_eq!(
            after(&taken, 9),
            Action::Follow { operation: OperationHandle::ProvisioningState, since: at(3) }
        );
    }
    // Somebody else was faster.
    let cause = assert_ends(after(&and(lost.clone(), &[looked(other())]), 9), "stuck");
    assert!(matches!(cause, Cause::ChangedByOthers { .. }));
    // For hours nothing: a person.
    assert_ends(after(&and(lost, &[looked(busy())]), 10 * 3600), "stuck");
}

#[test]
fn puts_without_effect_are_counted() {
    let attempt = [put(Phase::Forward), ambiguous(), unchanged(), unchanged(), unchanged()];
    let mut events = forward()[..3].to_vec();
    for n in 1..=3 {
        events.extend(attempt.iter().cloned());
        if n < 3 {
            assert!(matches!(after(&events, 99), Action::Look { .. }), "{n}");
            events.push(unchanged());
        }
    }
    let cause = assert_ends(after(&events, 99), "stuck");
    assert!(matches!(cause, Cause::NotSent { .. }), "{cause}");
}

#[test]
fn a_refused_put_is_believed_after_a_look() {
    let refused = and(sent(), &[refused()]);
    assert_eq!(after(&refused, 9), Action::Look { not_before: at(4) });
    for found in [Found::Unchanged, other()] {
        let cause = assert_ends(after(&and(refused.clone(), &[looked(found)]), 9), "abandoned");
        assert!(matches!(cause, Cause::Refused { .. }));
    }
    let taken = and(refused.clone(), &[looked(Found::WantedBusy)]);
    assert!(matches!(after(&taken, 9), Action::Follow { .. }));
    // Busy: neither without a pause nor for ever.
    let busy = and(refused, &[looked(busy())]);
    assert_eq!(after(&busy, 9), Action::Look { not_before: at(19) });
    let cause = assert_ends(after(&busy, 2 * 3600), "abandoned");
    assert!(matches!(cause, Cause::Refused { .. }));
    let back = and(turned_back(), &[unchanged(), put(Phase::Back), super::refused(), unchanged()]);
    assert_ends(after(&back, 99), "stuck");
}

#[test]
fn a_put_that_is_put_off_is_tried_again_within_limits() {
    let deferred = and(sent(), &[super::deferred()]);
    assert_eq!(after(&deferred, 9), Action::Look { not_before: at(4 + 60) });
    let mut events = forward()[..3].to_vec();
    let mut times = 0;
    loop {
        events.extend([put(Phase::Forward), super::deferred()]);
        times += 1;
        if matches!(after(&events, 99), Action::Record(_)) {
            break;
        }
        events.push(unchanged());
        assert!(times < 30);
    }
    assert_eq!(times, 16);
    assert_ends(after(&events, 99), "abandoned");
}

#[test]
fn a_restore_that_fails_is_sent_again_within_limits() {
    let mut events = turned_back();
    for n in 1..=3 {
        events.extend([unchanged(), put(Phase::Back), accepted(), failed()]);
        if n < 3 {
            assert!(matches!(after(&events, 99), Action::Look { .. }), "{n}");
        }
    }
    let cause = assert_ends(after(&events, 99), "stuck");
    assert!(cause.to_string().contains("could not be put back"), "{cause}");
    assert!(cause.to_string().contains("it was to be put back because"), "{cause}");
}

#[test]
fn a_restore_that_takes_too_long_needs_a_person() {
    let events = and(turned_back(), &[unchanged(), put(Phase::Back), accepted(), too_long()]);
    assert_ends(after(&events, 99), "stuck");
}

#[test]
fn what_was_examined_decides() {
    let end = and(forward(), &[succeeded()]);
    let judged = |events: &[Event], evidence| after(&and(events.to_vec(), &[examined(evidence)]), 99);
    let rollout = fold(&end);
    let action = judged(&end, unhealthy(&rollout));
    assert!(
        matches!(action, Action::Record(Event::TurnedBack { cause: Cause::Mismatch { .. } })),
        "{action:?}"
    );
    // What somebody else wrote is not undone.
    let cause = assert_ends(judged(&end, foreign(&rollout)), "stuck");
    assert!(matches!(cause, Cause::ChangedByOthers { .. }));

    let back = and(turned_back(), &[unchanged(), put(Phase::Back), accepted(), succeeded()]);
    let rollout = fold(&back);
    assert_ends(judged(&back, right(&rollout)), "restored");
    assert_ends(judged(&back, unhealthy(&rollout)), "stuck");
    assert_ends(judged(&back, foreign(&rollout)), "stuck");
    // The new leaves are wrong on the way back.
    let mut evidence = right(&rollout);
    evidence.probes[0].presented[0].outcome = Ok(update().probes[0].after.clone());
    assert_ends(judged(&back, evidence), "stuck");
}

#[test]
fn manual_mode_walks_domain_by_domain() {
    let events = vec![opened(), captured(true), unchanged(), put(Phase::Forward), accepted()];
    let walk = |from| Action::Walk { operation: handle(), since: at(4), from };
    assert_eq!(after(&events, 9), walk(0));
    let events = and(events, &[Event::WalkStarted { domain: 0 }]);
    assert_eq!(after(&events, 9), walk(0), "a walk that broke off is asked for again");
    let events = and(events, &[Event::DomainDone { domain: 0, last: false }]);
    assert_eq!(after(&events, 9), walk(1));
    let events = and(events, &[Event::DomainDone { domain: 1, last: true }]);
    assert_eq!(after(&events, 9), Action::Follow { operation: handle(), since: at(4) });
}

#[test]
fn giving_up_depends_on_what_may_have_changed() {
    let cause = Cause::NotReadable { message: "403".to_owned() };
    for (events, word) in [
        (vec![opened()], "abandoned"),
        (forward()[..3].to_vec(), "abandoned"),
        (sent(), "stuck"),
        (and(sent(), &[refused()]), "abandoned"),
        (forward(), "stuck"),
        (turned_back(), "stuck"),
    ] {
        let rollout = fold(&events);
        let event = give_up(&rollout, cause.clone());
        assert_ends(Action::Record(event.clone()), word);
        let over = rollout.apply(at(99), &event).unwrap();
        assert!(over.ending().unwrap().cause().is_some());
    }
}

#[test]
fn a_clock_that_goes_backwards_harms_nothing() {
    let events = [opened(), captured(false), looked(busy())];
    assert!(matches!(after(&events, -99_999), Action::Look { .. }));
    assert!(matches!(after(&and(sent(), &[ambiguous()]), -99_999), Action::Look { .. }));
    let long = Limits { settle: Duration::MAX, poll_interval: Duration::MAX, ..limits() };
    let rollout = fold(&and(forward(), &[succeeded()]));
    assert!(matches!(next_action(&rollout, at(0), &long), Action::Examine { .. }));
    let rollout = fold(&events);
    assert!(matches!(next_action(&rollout, at(0), &long), Action::Look { .. }));
}
