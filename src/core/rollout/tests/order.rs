//! Which event may follow which: every other order is an error, never a panic.

use std::collections::BTreeSet;

use super::super::{Cause, Ending, Event, FoldError, Found, Initiator, Phase, Rollout, Stage};
use super::*;

fn cause() -> Cause {
    Cause::NotSent { message: "x".to_owned() }
}

/// One event of each kind that the fold tells apart.
fn alphabet(rollout: &Rollout) -> Vec<(&'static str, Event)> {
    let evidence = match rollout.wanted() {
        Some(_) => right(rollout),
        None => right(&fold(&forward())),
    };
    let end = |ending| Event::Ended { ending };
    vec![
        ("opened", opened()),
        ("captured", captured(false)),
        ("looked", unchanged()),
        ("put forward", put(Phase::Forward)),
        ("put back", put(Phase::Back)),
        ("accepted", accepted()),
        ("refused", refused()),
        ("deferred", deferred()),
        ("ambiguous", ambiguous()),
        ("walk 0", Event::WalkStarted { domain: 0 }),
        ("walk 1", Event::WalkStarted { domain: 1 }),
        ("done 0", Event::DomainDone { domain: 0, last: false }),
        ("done max", Event::DomainDone { domain: u32::MAX, last: false }),
        ("succeeded", succeeded()),
        ("failed", failed()),
        ("too long", too_long()),
        ("examined", examined(evidence)),
        ("turned back", Event::TurnedBack { cause: cause() }),
        ("verified", end(Ending::Verified)),
        ("restored", end(Ending::Restored { cause: cause() })),
        ("stuck", end(Ending::Stuck { cause: cause() })),
        ("abandoned", end(Ending::Abandoned { cause: cause() })),
    ]
}

#[test]
fn only_what_can_happen_follows() {
    let manual = || vec![opened(), captured(true), unchanged(), put(Phase::Forward), accepted()];
    let and = |mut events: Vec<Event>, more: &[Event]| {
        events.extend(more.iter().cloned());
        events
    };
    let back = |more: &[Event]| and(turned_back(), more);
    let examined_forward = || {
        let events = and(forward(), &[succeeded()]);
        let evidence = right(&fold(&events));
        and(events, &[examined(evidence)])
    };
    let examined_back = || {
        let events = back(&[unchanged(), put(Phase::Back), accepted(), succeeded()]);
        let evidence = right(&fold(&events));
        and(events, &[examined(evidence)])
    };
    let before = |events: &[Event], n: usize| events[..n].to_vec();
    for (what, events, follow) in [
        ("opened", vec![opened()], "captured abandoned"),
        ("before the put", before(&forward(), 2), "looked abandoned"),
        ("was busy", and(before(&forward(), 2), &[looked(busy()), unchanged()]), "captured abandoned"),
        ("ready", before(&forward(), 3), "looked put_forward abandoned"),
        ("sent", before(&forward(), 4), "accepted refused deferred ambiguous looked stuck"),
        ("sent, looked", and(before(&forward(), 4), &[unchanged()]), "looked stuck"),
        ("sent, busy", and(before(&forward(), 4), &[looked(busy())]), "looked stuck"),
        ("ambiguous", and(before(&forward(), 4), &[ambiguous()]), "looked stuck"),
        (
            "accepted, no operation named",
            and(
                before(&forward(), 4),
                &[Event::PutAccepted { operation: OperationHandle::ProvisioningState, request_id: None }],
            ),
            "looked stuck",
        ),
        ("refused", and(before(&forward(), 4), &[refused()]), "looked abandoned"),
        ("deferred", and(before(&forward(), 4), &[deferred()]), "looked abandoned"),
        ("operating", forward(), "succeeded failed too_long stuck"),
        ("walking", manual(), "walk_0 done_0 failed too_long stuck"),
        (
            "walked 0",
            and(manual(), &[Event::WalkStarted { domain: 0 }]),
            "walk_0 done_0 failed too_long stuck",
        ),
        (
            "walked all",
            and(manual(), &[Event::WalkStarted { domain: 0 }, Event::DomainDone { domain: 0, last: true }]),
            "succeeded failed too_long stuck",
        ),
        ("succeeded", and(forward(), &[succeeded()]), "examined turned_back stuck"),
        ("failed", and(forward(), &[failed()]), "turned_back stuck"),
        ("too long", and(forward(), &[too_long()]), "turned_back stuck"),
        ("examined", examined_forward(), "turned_back verified stuck"),
        ("turned back", turned_back(), "looked stuck"),
        ("back, ready", back(&[unchanged()]), "looked put_back stuck"),
        (
            "back, sent",
            back(&[unchanged(), put(Phase::Back)]),
            "accepted refused deferred ambiguous looked stuck",
        ),
        ("back, refused", back(&[unchanged(), put(Phase::Back), refused()]), "looked stuck"),
        ("back, deferred", back(&[unchanged(), put(Phase::Back), deferred()]), "looked stuck"),
        ("back, failed", back(&[unchanged(), put(Phase::Back), accepted(), failed()]), "looked stuck"),
        ("back, too long", back(&[unchanged(), put(Phase::Back), accepted(), too_long()]), "stuck"),
        (
            "back, succeeded",
            back(&[unchanged(), put(Phase::Back), accepted(), succeeded()]),
            "examined stuck",
        ),
        ("back, examined", examined_back(), "restored stuck"),
        ("changed by others", and(before(&forward(), 2), &[looked(other())]), "abandoned"),
        ("changed by others after", back(&[looked(other())]), "stuck"),
        ("over", and(examined_forward(), &[Event::Ended { ending: Ending::Verified }]), ""),
    ] {
        let rollout = fold(&events);
        let allowed: BTreeSet<String> = alphabet(&rollout)
            .into_iter()
            .filter(|(_, event)| match rollout.clone().apply(at(100), event) {
                Ok(_) => true,
                Err(error) => {
                    assert!(matches!(error, FoldError::Order { .. }), "{what}: {error}");
                    assert!(error.to_string().contains(event.word()), "{error}");
                    false
                }
            })
            .map(|(name, _)| name.replace(' ', "_"))
            .collect();
        let expected: BTreeSet<String> = follow.split_whitespace().map(str::to_owned).collect();
        assert_eq!(allowed, expected, "{what}");
    }
}

#[test]
fn a_record_begins_with_its_plan() {
    assert_eq!(Rollout::fold([]), Err(FoldError::Empty));
    assert_eq!(Rollout::fold([(at(0), &captured(false))]), Err(FoldError::NotOpened("captured")));
    let broken = CloudServiceModel::new(serde_json::json!({})).unwrap();
    let captured = Event::Captured { model: Box::new(broken), started: Vec::new(), presented: Vec::new() };
    let fault = Rollout::fold([(at(0), &opened()), (at(1), &captured)]).unwrap_err();
    assert!(matches!(fault, FoldError::Captured(_)), "{fault}");
}

#[test]
fn what_is_known_of_a_rollout() {
    let rollout = fold(&turned_back());
    assert_eq!(rollout.update(), &update());
    assert_eq!(rollout.by(), Initiator::Unattended);
    assert_eq!(rollout.opened(), at(0));
    assert!(rollout.id().as_str().contains("Z-shop-"));
    assert_eq!(rollout.phase(), Phase::Back);
    assert!(rollout.may_have_changed() && rollout.turned_back().is_some() && rollout.ending().is_none());
    // Back wants what was captured, and starts from what was wanted.
    assert_eq!(rollout.wanted().unwrap(), &ServiceState::of(rollout.captured().unwrap()).unwrap());
    assert_eq!(rollout.start(), &update().wanted);
}

#[test]
fn a_definite_no_leaves_nothing_changed_but_an_earlier_doubt_stays() {
    let sent = || forward()[..4].to_vec();
    let and = |more: &[Event]| {
        let mut events = sent();
        events.extend(more.iter().cloned());
        fold(&events).may_have_changed()
    };
    assert!(and(&[]));
    assert!(!and(&[refused()]));
    assert!(!and(&[deferred()]));
    assert!(and(&[refused(), looked(Found::WantedBusy)]), "it took effect all the same");
    let again = [ambiguous(), unchanged(), unchanged(), unchanged(), unchanged(), put(Phase::Forward)];
    assert!(and(&[again.as_slice(), &[refused()]].concat()));
    assert!(and(&[again.as_slice(), &[deferred()]].concat()));
}

#[test]
fn a_service_is_compared_with_both_sides() {
    let rollout = fold(&forward());
    let model = |state: &ServiceState, provisioning: Option<&str>| {
        let mut value = MADE.1.value().clone();
        value["properties"]["configuration"] = state.configuration.clone().into();
        value["properties"]["osProfile"] = state.os_profile.to_value();
        match provisioning {
            Some(word) => value["properties"]["provisioningState"] = word.into(),
            None => value["properties"]["provisioningState"] = serde_json::Value::Null,
        }
        CloudServiceModel::new(value).unwrap()
    };
    let (old, new) = (update().expected, update().wanted);
    for (state, provisioning, found) in [
        (&new, Some("Succeeded"), Found::Wanted),
        (&new, None, Found::Wanted),
        (&new, Some("Failed"), Found::WantedFailed),
        (&new, Some("Updating"), Found::WantedBusy),
        (&old, Some("Succeeded"), Found::Unchanged),
        (&old, Some("Failed"), Found::Unchanged),
        (&old, Some("Updating"), busy()),
    ] {
        assert_eq!(rollout.compare(&model(state, provisioning)).unwrap(), found);
    }
    let mut foreign = model(&old, Some("Succeeded")).value().clone();
    foreign["tags"]["team"] = "api".into();
    let foreign = CloudServiceModel::new(foreign).unwrap();
    assert_eq!(rollout.compare(&foreign).unwrap(), other());
    // The way back looks at it from the other side.
    let back = fold(&turned_back());
    assert_eq!(back.compare(&model(&old, Some("Succeeded"))).unwrap(), Found::Wanted);
    assert_eq!(back.compare(&model(&new, Some("Failed"))).unwrap(), Found::Unchanged);
}

#[test]
fn looks_at_a_busy_service_are_written_once() {
    let sent = |more: &[Event]| {
        let mut events = forward()[..4].to_vec();
        events.extend(more.iter().cloned());
        fold(&events)
    };
    for (rollout, repeated) in [
        (fold(&forward()[..2]), false),
        (fold(&[opened(), captured(false), looked(busy())]), true),
        (sent(&[]), false),
        (sent(&[looked(busy())]), true),
        (sent(&[refused()]), false),
        (sent(&[refused(), looked(busy())]), true),
    ] {
        assert_eq!(rollout.is_repetition(&looked(busy())), repeated, "{:?}", rollout.stage());
        assert!(!rollout.is_repetition(&unchanged()));
    }
}

#[test]
fn the_end_of_domains_does_not_overflow() {
    let mut rollout = fold(&[opened(), captured(true), unchanged(), put(Phase::Forward), accepted()]);
    rollout.stage = Stage::Operating { operation: handle(), since: at(0), next_domain: Some(u32::MAX) };
    let done = Event::DomainDone { domain: u32::MAX, last: false };
    assert!(rollout.apply(at(9), &done).is_ok());
}
