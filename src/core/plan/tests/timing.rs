//! When an update may start, and which goes first.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::world::{Make, SERVICE, World, leaf, now, renewed};
use crate::plan::{Observation, Occasion, PlanReport, Status, plan};
use crate::policy::{Policy, Window};

fn window(weekly: &str) -> Option<Window> {
    Some(Window { weekly: vec![weekly.parse().unwrap()], time_zone: TimeZone::UTC })
}

fn waiting(world: &World) -> (Timestamp, String) {
    match world.status() {
        Status::Waiting { until: Some(until), reason, .. } => (until, reason.to_string()),
        other => panic!("{other:#?}"),
    }
}

#[test]
fn a_batch_of_uploads_settles_first() {
    let (mut world, ..) = renewed();
    world.version("tls/2").first_seen = now() - SignedDuration::from_secs(20);
    let (until, reason) = waiting(&world);
    assert_eq!(until, now() + SignedDuration::from_secs(40));
    assert!(reason.contains("uploads"), "{reason}");
    world.now = until;
    world.planned();
}

#[test]
fn a_closed_window_is_waited_for() {
    // 1 June 2026 is a Monday; it is noon.
    let (mut world, ..) = renewed();
    world.policy.window = window("Tue-Thu 02:00-04:00");
    let (until, reason) = waiting(&world);
    assert_eq!(until.to_string(), "2026-06-02T02:00:00Z");
    assert!(reason.contains("window"), "{reason}");
    world.now = until;
    world.planned();
    world.policy.window = Some(Window { weekly: Vec::new(), time_zone: TimeZone::UTC });
    assert!(world.blocked()[0].hint.contains("weekly"));
}

#[test]
fn a_person_waits_for_neither() {
    let (mut world, ..) = renewed();
    world.version("tls/2").first_seen = now();
    world.policy.window = window("Tue 02:00-04:00");
    let report = world.report(Occasion::Person);
    assert!(matches!(report.services[0].status, Status::Planned { .. }), "{report:#?}");
}

#[test]
fn an_expiry_close_by_waits_for_neither() {
    let (mut world, ..) = renewed();
    world.policy.window = window("Fri 02:00-04:00");
    // The deployed leaf ends on 1 January 2027.
    for (at, waits) in
        [("2026-12-28T23:59:59Z", true), ("2026-12-29T00:00:00Z", false), ("2027-01-05T00:00:00Z", false)]
    {
        world.now = at.parse().unwrap();
        world.version("tls/2").first_seen = world.now;
        assert_eq!(matches!(world.status(), Status::Waiting { .. }), waits, "{at}: {:?}", world.status());
    }
}

#[test]
fn an_expiry_that_the_update_does_not_mend_is_no_hurry() {
    let (mut world, ..) = renewed();
    let old = Make { names: &["rdp"], years: (2020, 2022), ..Make::default() }.made();
    world.holds("rdp/1", &old).delivers(&["rdp/1"]).roles[0]
        .certificates
        .push((super::world::RDP.to_owned(), old.thumbprint().to_string()));
    world.policy.window = window("Tue 02:00-04:00");
    waiting(&world);
}

#[test]
fn stages_go_in_their_order_and_within_one_the_nearest_expiry_first() {
    let mut services = Vec::new();
    let mut observation = Observation::default();
    for (name, stage, year) in
        [("late", 1, 2026), ("soon", 1, 2025), ("canary", 0, 2026), ("settled", 0, 2026)]
    {
        let old = Make { years: (year - 1, year + 1), ..Make::default() }.made();
        let new = leaf("shop.contoso.com", 2026);
        let mut world = World::new();
        world
            .holds(&format!("{name}/1"), &old)
            .role("Web", &[("Tls", &old)])
            .delivers(&[&format!("{name}/1")]);
        if name != "settled" {
            world.holds(&format!("{name}/2"), &new);
        }
        world.policy.service =
            SERVICE.replace("cloudServices/shop", &format!("cloudServices/{name}")).parse().unwrap();
        world.policy.stage = stage;
        let (seen, _) = world.observe();
        observation.services.extend(seen.services);
        observation.objects.extend(seen.objects);
        observation.contents.extend(seen.contents);
        services.push(world.policy.clone());
    }
    let policy = Policy { services, settle: Duration::ZERO, urgent_before_expiry: Duration::ZERO };
    let report: PlanReport = plan(&policy, &observation, now(), Occasion::Unattended);
    let order: Vec<&str> = report.services.iter().map(|service| service.service.name()).collect();
    assert_eq!(order, ["canary", "settled", "soon", "late"]);
    assert_eq!(report.planned().count(), 3);
}
