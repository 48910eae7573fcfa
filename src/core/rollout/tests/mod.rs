//! Rollouts as lists of events.

mod actions;
mod format;
mod model;
mod order;

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};

use super::{Event, Found, Initiator, OperationOutcome, Phase, Rollout};
use crate::id::RolloutId;
use crate::plan::tests::world::{now, renewed};
use crate::plan::{PlannedUpdate, ServiceState};
use crate::ports::Presentation;
use crate::target::cloud_service::{
    CloudServiceModel, InstanceState, OperationFailure, OperationHandle, RoleInstance,
};
use crate::verify::{Evidence, ProbeEvidence};

/// The update that all of them make, and the service before it, in both modes.
static MADE: LazyLock<(PlannedUpdate, CloudServiceModel, CloudServiceModel)> = LazyLock::new(|| {
    let (mut world, ..) = renewed();
    world.probe("shop.contoso.com", None);
    world.policy.probe.binding = true;
    let auto = world.model();
    let update = world.planned();
    world.upgrade_mode = "Manual";
    (update, auto, world.model())
});

fn update() -> PlannedUpdate {
    MADE.0.clone()
}

fn opened() -> Event {
    let update = update();
    Event::Opened {
        rollout: RolloutId::new(now(), &update.service),
        update: Box::new(update),
        by: Initiator::Unattended,
        undoes: None,
    }
}

fn captured(manual: bool) -> Event {
    let model = if manual { MADE.2.clone() } else { MADE.1.clone() };
    Event::Captured {
        model: Box::new(model),
        started: vec!["Web_IN_0".to_owned(), "Web_IN_1".to_owned()],
        presented: Vec::new(),
    }
}

fn looked(found: Found) -> Event {
    Event::Looked { found }
}

fn unchanged() -> Event {
    looked(Found::Unchanged)
}

fn busy() -> Found {
    Found::Busy { state: "Updating".to_owned() }
}

fn other() -> Found {
    Found::Other { differences: vec!["`tags.team` differs".to_owned()] }
}

fn every_found() -> [Found; 6] {
    [Found::Wanted, Found::WantedFailed, Found::WantedBusy, Found::Unchanged, busy(), other()]
}

fn put(phase: Phase) -> Event {
    Event::PutStarted { phase }
}

fn accepted() -> Event {
    Event::PutAccepted { operation: handle(), request_id: Some("r-1".to_owned()) }
}

fn refused() -> Event {
    Event::PutRefused { message: "400 InvalidParameter".to_owned() }
}

fn deferred() -> Event {
    Event::PutDeferred { message: "429".to_owned(), wait_seconds: 60 }
}

fn ambiguous() -> Event {
    Event::PutAmbiguous { message: "no answer in time".to_owned() }
}

fn handle() -> OperationHandle {
    OperationHandle::AsyncOperation("https://management.chinacloudapi.cn/op/1".to_owned())
}

fn failure() -> OperationFailure {
    OperationFailure { code: "CertificateImproperlyFormatted".to_owned(), message: "no PFX".to_owned() }
}

fn ended(outcome: OperationOutcome) -> Event {
    Event::OperationEnded { outcome }
}

fn succeeded() -> Event {
    ended(OperationOutcome::Succeeded)
}

fn failed() -> Event {
    ended(OperationOutcome::Failed { failure: failure() })
}

fn too_long() -> Event {
    ended(OperationOutcome::TooLong { waited_for: "the operation".to_owned() })
}

fn instance(n: u32, state: InstanceState) -> RoleInstance {
    RoleInstance { name: format!("Web_IN_{n}"), update_domain: Some(n), state }
}

/// Evidence that all is as a state wants it, and as endpoints must present it in a phase.
fn right(rollout: &Rollout) -> Evidence {
    let update = rollout.update();
    let state: ServiceState = rollout.wanted().unwrap().clone();
    let probes = update
        .probes
        .iter()
        .map(|probe| {
            let leaves = match rollout.phase() {
                Phase::Forward => &probe.after,
                Phase::Back => &probe.before,
            };
            let presented =
                vec![Presentation { address: probe.endpoint.address.clone(), outcome: Ok(leaves.clone()) }];
            ProbeEvidence { probe: probe.clone(), presented }
        })
        .collect();
    Evidence { state, instances: (0..2).map(|n| instance(n, InstanceState::Started)).collect(), probes }
}

fn examined(evidence: Evidence) -> Event {
    Event::Examined { evidence: Box::new(evidence) }
}

/// An instance that does not come back.
fn unhealthy(rollout: &Rollout) -> Evidence {
    let mut evidence = right(rollout);
    evidence.instances[0].state = InstanceState::Other("RoleStateUnresponsive".to_owned());
    evidence
}

fn foreign(rollout: &Rollout) -> Evidence {
    let mut evidence = right(rollout);
    evidence.state.rest["tags"]["team"] = "api".into();
    evidence
}

fn at(seconds: i64) -> Timestamp {
    now() + SignedDuration::from_secs(seconds)
}

/// The events, one second apart.
fn fold(events: &[Event]) -> Rollout {
    Rollout::fold(events.iter().enumerate().map(|(n, event)| (at(n as i64), event))).unwrap()
}

/// The events up to the operation's end and what led there.
fn forward() -> Vec<Event> {
    vec![opened(), captured(false), unchanged(), put(Phase::Forward), accepted()]
}

/// Turned back after a failed operation.
fn turned_back() -> Vec<Event> {
    let mut events = forward();
    events.push(failed());
    let cause = super::Cause::OperationFailed { failure: failure() };
    events.push(Event::TurnedBack { cause });
    events
}
