//! What the record of earlier rollouts holds back: quarantine, stuck services, approval, stages.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::world::{Make, SERVICE, World, leaf, now, renewed, url};
use crate::id::RolloutId;
use crate::plan::{
    ApprovedUpdate, NotApproved, Observation, Occasion, PlanReport, PlannedUpdate, ServiceReport,
    StageTrouble, Status, Wait, plan,
};
use crate::policy::{Mode, Policy};
use crate::ports::Recorded;
use crate::rollout::{Cause, Ending, Event, Initiator};
use crate::standing::{Decided, Decision, Held, Standings};

fn at(minutes: i64) -> Timestamp {
    now() + SignedDuration::from_mins(minutes)
}

fn failed() -> Cause {
    Cause::Refused { message: "no PFX".to_owned() }
}

fn restored() -> Ending {
    Ending::Restored { cause: failed() }
}

fn stuck() -> Ending {
    Ending::Stuck { cause: failed() }
}

/// Records a rollout of an update from its beginning to its end, if it has one.
fn record(
    standings: &mut Standings,
    update: &PlannedUpdate,
    ending: Option<Ending>,
    minutes: i64,
) -> RolloutId {
    record_as(standings, update, ending, minutes, Initiator::Unattended, None)
}

fn record_as(
    standings: &mut Standings,
    update: &PlannedUpdate,
    ending: Option<Ending>,
    minutes: i64,
    by: Initiator,
    undoes: Option<RolloutId>,
) -> RolloutId {
    let rollout = RolloutId::new(at(minutes), &update.service);
    let opened = Event::Opened { rollout: rollout.clone(), update: Box::new(update.clone()), by, undoes };
    let events = [Some(opened), ending.map(|ending| Event::Ended { ending })];
    for event in events.into_iter().flatten() {
        standings.record(&Recorded { at: at(minutes), rollout: rollout.clone(), event });
    }
    rollout
}

fn release(standings: &mut Standings, world: &World) {
    let service = world.policy.service.clone();
    standings.decide(&Decided { at: at(99), service, decision: Decision::Released });
}

fn guard(world: &World) -> String {
    world.blocked()[0].guard.clone()
}

/// A leaf and an intermediate, both renewed.
fn renewed_pair() -> World {
    let (mut world, ..) = renewed();
    let (old, new) = (
        super::world::ca("ca", None).certificate,
        Make { ca: true, common_name: "ca", names: &[], years: (2021, 2041), ..Make::default() }.made(),
    );
    world.holds_secret("ca/1", &old).holds_secret("ca/2", &new).delivers(&["ca/1"]);
    world.roles[0].certificates.push(("Ca".to_owned(), old.thumbprint().to_string()));
    world
}

#[test]
fn a_set_that_was_put_back_is_not_planned_again_by_anybody() {
    let (mut world, ..) = renewed();
    let update = world.planned();
    record(&mut world.standings, &update, Some(restored()), 0);
    for occasion in [Occasion::Unattended, Occasion::Person] {
        let report = world.report(occasion);
        let Status::Blocked { violations } = &report.services[0].status else { panic!("{report:#?}") };
        assert_eq!(violations[0].guard, "quarantine");
        assert!(violations[0].found.contains("no PFX"), "{violations:#?}");
        assert!(violations[0].hint.contains("certroll release shop"), "{violations:#?}");
    }
}

#[test]
fn quarantine_ends_when_a_member_is_superseded_and_not_when_the_set_grows() {
    let mut world = renewed_pair();
    let update = world.planned();
    assert_eq!(update.versions().len(), 2);
    record(&mut world.standings, &update, Some(restored()), 0);
    assert_eq!(guard(&world), "quarantine");

    let mut grown = world.clone();
    let (old, new) = (leaf("api.contoso.com", 2025), leaf("api.contoso.com", 2026));
    grown.holds("api/1", &old).holds("api/2", &new).delivers(&["api/1"]);
    grown.roles[0].certificates.push(("ApiTls".to_owned(), old.thumbprint().to_string()));
    assert_eq!(guard(&grown), "quarantine");

    let mut superseded = world.clone();
    let corrected =
        Make { ca: true, common_name: "ca", names: &[], years: (2022, 2042), ..Make::default() }.made();
    superseded.holds_secret("ca/3", &corrected);
    superseded.planned();
}

#[test]
fn quarantine_ends_when_a_member_is_disabled_and_the_rest_is_planned() {
    let mut world = renewed_pair();
    let update = world.planned();
    record(&mut world.standings, &update, Some(restored()), 0);
    world.version("tls/2").enabled = false;
    let rest = world.planned();
    assert_eq!(rest.versions(), [url("ca/2")].into());
}

#[test]
fn a_change_that_has_nothing_of_the_set_is_planned() {
    let (mut world, ..) = renewed();
    let update = world.planned();
    record(&mut world.standings, &update, Some(restored()), 0);
    let mut other = world.clone();
    other.policy.certificates.clear();
    let (old, new) = (leaf("api.contoso.com", 2025), leaf("api.contoso.com", 2026));
    other.roles.clear();
    other.groups.clear();
    other.holds("api/1", &old).holds("api/2", &new).role("Api", &[("ApiTls", &old)]).delivers(&["api/1"]);
    other.planned();
}

#[test]
fn a_stuck_service_is_left_alone_whatever_is_superseded_until_it_is_released() {
    let (mut world, ..) = renewed();
    let update = world.planned();
    record(&mut world.standings, &update, Some(stuck()), 0);
    world.holds("tls/3", &Make { years: (2026, 2029), ..Make::default() }.made());
    assert_eq!(guard(&world), "stuck");
    let current = world.after(&world_without_standings(&world).planned());
    assert!(current.assert_current()[0].contains("ended stuck"), "a person is told all the same");
    release(&mut world.standings.clone(), &world);
    let mut standings = world.standings.clone();
    release(&mut standings, &world);
    world.standings = standings;
    world.planned();
}

fn world_without_standings(world: &World) -> World {
    World { standings: Standings::default(), ..world.clone() }
}

#[test]
fn a_release_ends_quarantine() {
    let (mut world, ..) = renewed();
    let update = world.planned();
    record(&mut world.standings, &update, Some(restored()), 0);
    let mut standings = world.standings.clone();
    release(&mut standings, &world);
    world.standings = standings;
    assert_eq!(world.planned().versions(), update.versions());
}

#[test]
fn abandoned_and_verified_rollouts_hold_nothing() {
    let (mut world, ..) = renewed();
    let update = world.planned();
    record(&mut world.standings, &update, Some(Ending::Abandoned { cause: failed() }), 0);
    world.planned();
    record(&mut world.standings, &update, Some(Ending::Verified), 1);
    world.planned();
    assert_eq!(world.standings.needed(), [].into());
}

#[test]
fn a_rollout_without_an_ending_is_waited_for_by_everybody() {
    let (mut world, ..) = renewed();
    let update = world.planned();
    let rollout = record(&mut world.standings, &update, None, 0);
    for occasion in [Occasion::Unattended, Occasion::Person] {
        let report = world.report(occasion);
        let Status::Waiting { reason, .. } = &report.services[0].status else { panic!("{report:#?}") };
        assert_eq!(*reason, Wait::Rollout { rollout: rollout.clone() });
    }
    assert_eq!(world.standings.needed(), [rollout].into());
}

#[test]
fn without_a_record_nothing_is_changed() {
    let (mut world, ..) = renewed();
    world.standings = Standings::unknown("disk image is malformed");
    let violations = world.blocked();
    assert_eq!(violations[0].guard, "journal");
    assert!(violations[0].found.contains("malformed"), "{violations:#?}");
}

#[test]
fn what_a_person_put_back_is_not_rolled_forward_again() {
    let (mut world, ..) = renewed();
    let update = world.planned();
    let mut standings = Standings::default();
    let forward = record(&mut standings, &update, Some(Ending::Verified), 0);
    let mut back = update.clone();
    for change in &mut back.secrets {
        std::mem::swap(&mut change.from, &mut change.to);
    }
    for change in &mut back.certificates {
        change.secret = url("tls/1");
    }
    record_as(&mut standings, &back, Some(Ending::Verified), 1, Initiator::Person, Some(forward));
    world.standings = standings;
    assert_eq!(guard(&world), "quarantine");
    assert!(world.blocked()[0].found.contains("a person put the old state back"));
}

#[test]
fn a_way_back_that_ends_verified_ends_being_stuck_and_keeps_the_quarantine() {
    let (mut world, ..) = renewed();
    let update = world.planned();
    let forward = record(&mut world.standings, &update, Some(stuck()), 0);
    assert_eq!(guard(&world), "stuck");
    let undoing =
        ApprovedUpdate::undoing(forward.clone(), update.clone(), Mode::Auto, &world.standings).unwrap();
    assert_eq!(undoing.undoes(), Some(&forward));
    let mut standings = world.standings.clone();
    record_as(&mut standings, &update, Some(Ending::Verified), 1, Initiator::Person, Some(forward));
    world.standings = standings;
    assert_eq!(guard(&world), "quarantine");
}

#[test]
fn a_person_must_approve_exactly_this_plan() {
    let (mut world, ..) = renewed();
    world.policy.mode = Mode::Approve;
    let Status::Waiting { until: None, reason: Wait::Approval { plan }, update } = world.status() else {
        panic!("{:#?}", world.status())
    };
    assert_eq!(plan, update.digest());
    let service = world.policy.service.clone();
    let decision = Decision::Approved { plan };
    world.standings.decide(&Decided { at: at(0), service, decision });
    world.planned();
    // A newer version makes another plan, which nobody has seen.
    let mut newer = world.clone();
    newer.holds("tls/3", &Make { years: (2026, 2029), ..Make::default() }.made());
    assert!(matches!(newer.status(), Status::Waiting { reason: Wait::Approval { .. }, .. }));
    // An approval is good for one rollout.
    let update = world.planned();
    record(&mut world.standings, &update, Some(Ending::Abandoned { cause: failed() }), 1);
    assert!(matches!(world.status(), Status::Waiting { reason: Wait::Approval { .. }, .. }));
    // Whoever applies by hand has said yes.
    assert!(matches!(world.report(Occasion::Person).services[0].status, Status::Planned { .. }));
}

#[test]
fn only_what_may_be_changed_is_approved() {
    let (mut world, ..) = renewed();
    let update = world.planned();
    let standings = Standings::default();
    assert_eq!(ApprovedUpdate::saved(update.clone(), Mode::Observe, &standings), Err(NotApproved::Observed));
    assert_eq!(
        ApprovedUpdate::saved(update.clone(), Mode::Approve, &standings).unwrap().by(),
        Initiator::Person
    );
    record(&mut world.standings, &update, Some(restored()), 0);
    let refused = ApprovedUpdate::saved(update.clone(), Mode::Auto, &world.standings);
    assert!(matches!(refused, Err(NotApproved::Held(Held::Quarantined(_)))), "{refused:?}");
    let unknown = ApprovedUpdate::saved(update.clone(), Mode::Auto, &Standings::unknown("no disk"));
    assert!(matches!(unknown, Err(NotApproved::Held(Held::Unknown { .. }))), "{unknown:?}");
    let mut running = Standings::default();
    let rollout = record(&mut running, &update, None, 0);
    let undoing = ApprovedUpdate::undoing(rollout, update, Mode::Auto, &running);
    assert!(matches!(undoing, Err(NotApproved::Held(Held::Unfinished { .. }))), "{undoing:?}");
    world.policy.mode = Mode::Observe;
    world.standings = Standings::default();
    let observed = ApprovedUpdate::planned(&world.service(), Initiator::Unattended);
    assert_eq!(observed, Some(Err(NotApproved::Observed)));
}

#[test]
fn an_expiry_close_by_goes_before_the_window_and_says_so() {
    let (mut world, ..) = renewed();
    world.policy.window = Some(crate::policy::Window {
        weekly: vec!["Fri 02:00-04:00".parse().unwrap()],
        time_zone: jiff::tz::TimeZone::UTC,
    });
    world.now = "2026-12-29T00:00:00Z".parse().unwrap();
    let update = world.planned();
    let said = update.warnings.iter().find(|warning| warning.contains("2027-01-01")).unwrap();
    assert!(said.contains("window is closed"), "{said}");
}

/// Several services, each with a renewed leaf of its own.
fn fleet(names: &[(&str, u32)], change: impl Fn(&str, &mut World)) -> (Policy, Observation) {
    let mut services = Vec::new();
    let mut observation = Observation::default();
    for (name, stage) in names {
        let (old, new) = (leaf("shop.contoso.com", 2025), leaf("shop.contoso.com", 2026));
        let mut world = World::new();
        world
            .holds(&format!("{name}/1"), &old)
            .holds(&format!("{name}/2"), &new)
            .role("Web", &[("Tls", &old)])
            .delivers(&[&format!("{name}/1")]);
        world.policy.service =
            SERVICE.replace("cloudServices/shop", &format!("cloudServices/{name}")).parse().unwrap();
        world.policy.stage = *stage;
        change(name, &mut world);
        let (seen, _) = world.observe();
        observation.services.extend(seen.services);
        observation.objects.extend(seen.objects);
        observation.contents.extend(seen.contents);
        services.push(world.policy.clone());
    }
    let policy =
        Policy { services, settle: Duration::ZERO, urgent_before_expiry: Duration::from_secs(3 * 86400) };
    (policy, observation)
}

fn held(report: &ServiceReport) -> Option<(u32, StageTrouble)> {
    match &report.status {
        Status::Waiting { reason: Wait::Stage { stage, because, .. }, .. } => Some((*stage, *because)),
        _ => None,
    }
}

const CANARY: &[(&str, u32)] = &[("canary", 0), ("beside", 0), ("later", 1), ("last", 2)];

#[test]
fn a_canary_whose_change_did_not_work_holds_back_the_later_stages_for_good() {
    let (mut policy, mut observation) = fleet(CANARY, |_, _| {});
    let report = plan(&policy, &observation, now(), Occasion::Unattended);
    assert_eq!(report.planned().count(), 4);
    let canary = report.planned().find(|update| update.service.name() == "canary").unwrap().clone();
    record(&mut observation.standings, &canary, Some(restored()), 0);
    // Nor does one of them seem to wait for its window.
    policy.services[3].window = Some(crate::policy::Window {
        weekly: vec!["Fri 02:00-04:00".parse().unwrap()],
        time_zone: jiff::tz::TimeZone::UTC,
    });
    let mut urgent = now();
    for _ in 0..2 {
        let report: PlanReport = plan(&policy, &observation, urgent, Occasion::Unattended);
        let held: Vec<_> = report.services.iter().map(held).collect();
        let failed = Some((0, StageTrouble::Failed));
        assert_eq!(held, [None, None, failed, failed], "{report:#?}");
        assert_eq!(report.planned().count(), 1);
        // Not even an expiry close by lets them go: what failed on the canary fails on them.
        urgent = "2026-12-30T00:00:00Z".parse().unwrap();
    }
}

#[test]
fn a_canary_that_waits_is_waited_for_unless_a_certificate_ends_soon() {
    let window = crate::policy::Window {
        weekly: vec!["Fri 02:00-04:00".parse().unwrap()],
        time_zone: jiff::tz::TimeZone::UTC,
    };
    let (policy, observation) = fleet(CANARY, |name, world| {
        if name == "canary" {
            world.policy.window = Some(window.clone());
            // Its own certificate lives longer, so that nothing makes it urgent.
            let old = Make { years: (2025, 2030), ..Make::default() }.made();
            world.objects.clear();
            world.roles.clear();
            world.groups.clear();
            let new = Make { years: (2026, 2031), ..Make::default() }.made();
            world.holds("canary/1", &old).holds("canary/2", &new).role("Web", &[("Tls", &old)]);
            world.delivers(&["canary/1"]);
        }
    });
    let report = plan(&policy, &observation, now(), Occasion::Unattended);
    let waiting = Some((0, StageTrouble::Waiting));
    assert_eq!(report.services.iter().map(held).collect::<Vec<_>>(), [None, None, waiting, waiting]);
    let soon = "2026-12-30T00:00:00Z".parse().unwrap();
    let report = plan(&policy, &observation, soon, Occasion::Unattended);
    assert_eq!(report.planned().count(), 3, "{report:#?}");
    let later = report.planned().find(|update| update.service.name() == "later").unwrap();
    assert!(later.warnings.iter().any(|warning| warning.contains("does not wait for stage 0")));
}

#[test]
fn a_canary_that_a_guard_refuses_or_that_is_observed_holds_nobody_back() {
    for observed in [false, true] {
        let (policy, mut observation) = fleet(CANARY, |name, world| {
            if name == "canary" && observed {
                world.policy.mode = Mode::Observe;
            } else if name == "canary" {
                world.version("canary/2").enabled = false;
                world.version("canary/1").enabled = false;
            }
        });
        if observed {
            let report = plan(&policy, &observation, now(), Occasion::Unattended);
            let canary = report.planned().find(|one| one.service.name() == "canary").unwrap().clone();
            record(&mut observation.standings, &canary, Some(restored()), 0);
        }
        let report = plan(&policy, &observation, now(), Occasion::Unattended);
        assert!(matches!(
            report.services.iter().find(|one| one.service.name() == "canary").unwrap().status,
            Status::Blocked { .. }
        ));
        assert_eq!(report.planned().count(), 3, "{report:#?}");
    }
}
