//! Events as the journal keeps them: journals of earlier versions stay readable, so these texts may not change.

use serde_json::json;

use super::super::{Cause, Ending, Event, Phase};
use super::*;
use crate::verify::Mismatch;

fn every_cause() -> Vec<Cause> {
    let message = || "m".to_owned();
    let first = Cause::Refused { message: message() };
    vec![
        Cause::NotReadable { message: message() },
        Cause::Changed { differences: vec![message()] },
        Cause::Busy { state: message() },
        first.clone(),
        Cause::NotSent { message: message() },
        Cause::OperationFailed { failure: failure() },
        Cause::TooLong { waited_for: message() },
        Cause::Mismatch {
            mismatches: vec![
                Mismatch::Instance { name: "Web_IN_0".to_owned(), state: "RoleStateBusy".to_owned() },
                Mismatch::Endpoint {
                    endpoint: "e".to_owned(),
                    address: "a".to_owned(),
                    expected: update().probes[0].after.clone(),
                    found: Ok(update().probes[0].before[0]),
                },
            ],
        },
        Cause::ChangedByOthers { differences: vec![message()] },
        Cause::Journal { message: message() },
        Cause::RestoreFailed { first: Box::new(first.clone()), then: Box::new(first) },
    ]
}

fn every_event() -> Vec<Event> {
    let rollout = fold(&forward());
    let mut events = vec![
        opened(),
        captured(false),
        put(Phase::Forward),
        put(Phase::Back),
        accepted(),
        Event::PutAccepted { operation: OperationHandle::ProvisioningState, request_id: None },
        Event::PutAccepted {
            operation: OperationHandle::Location("https://x/y".to_owned()),
            request_id: None,
        },
        refused(),
        deferred(),
        ambiguous(),
        Event::WalkStarted { domain: 3 },
        Event::DomainDone { domain: 3, last: true },
        succeeded(),
        failed(),
        too_long(),
        examined(right(&rollout)),
        examined(unhealthy(&rollout)),
        Event::Ended { ending: Ending::Verified },
    ];
    events.extend(every_found().into_iter().map(looked));
    for cause in every_cause() {
        assert!(!cause.to_string().is_empty());
        events.push(Event::TurnedBack { cause: cause.clone() });
        events.push(Event::Ended { ending: Ending::Restored { cause: cause.clone() } });
        events.push(Event::Ended { ending: Ending::Stuck { cause: cause.clone() } });
        events.push(Event::Ended { ending: Ending::Abandoned { cause } });
    }
    events
}

#[test]
fn every_event_reads_back_as_it_was_written() {
    for event in every_event() {
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event, "{text}");
        // Also by way of a value, as another program may hand it over.
        let value = serde_json::to_value(&event).unwrap();
        assert_eq!(serde_json::from_value::<Event>(value).unwrap(), event);
    }
}

#[test]
fn the_words_on_disk() {
    for (event, expected) in [
        (looked(busy()), json!({ "event": "looked", "found": { "found": "busy", "state": "Updating" } })),
        (looked(Found::WantedFailed), json!({ "event": "looked", "found": { "found": "wanted_failed" } })),
        (put(Phase::Back), json!({ "event": "put_started", "phase": "back" })),
        (
            accepted(),
            json!({
                "event": "put_accepted",
                "operation": { "by": "async_operation", "url": "https://management.chinacloudapi.cn/op/1" },
                "request_id": "r-1"
            }),
        ),
        (deferred(), json!({ "event": "put_deferred", "message": "429", "wait_seconds": 60 })),
        (
            failed(),
            json!({
                "event": "operation_ended",
                "outcome": "failed",
                "failure": { "code": "CertificateImproperlyFormatted", "message": "no PFX" }
            }),
        ),
        (
            Event::Ended { ending: Ending::Stuck { cause: Cause::Busy { state: "Updating".to_owned() } } },
            json!({ "event": "ended", "ending": "stuck", "cause": { "because": "busy", "state": "Updating" } }),
        ),
        (Event::Ended { ending: Ending::Verified }, json!({ "event": "ended", "ending": "verified" })),
        (
            Event::DomainDone { domain: 1, last: false },
            json!({ "event": "domain_done", "domain": 1, "last": false }),
        ),
    ] {
        assert_eq!(serde_json::to_value(&event).unwrap(), expected);
    }
}
