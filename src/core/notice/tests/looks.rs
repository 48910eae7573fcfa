//! One service, from look to look.

use super::{HOUR, after, kinds, report, restarted, watch};
use crate::id::RolloutId;
use crate::notice::{Notice, NoticeKind, Severity, Subject};
use crate::plan::tests::world::{Make, World, forbidden, leaf, now, renewed};
use crate::policy::{Mode, Window};
use crate::ports::Recorded;
use crate::rollout::{Cause, Ending, Event, Initiator};

#[test]
fn a_service_that_is_current_and_far_from_its_end_is_not_worth_a_word() {
    let (mut world, ..) = renewed();
    world.object("shop-kv", "tls").versions.pop();
    assert_eq!(watch().look(&report(&world), now()), []);
}

#[test]
fn what_cannot_be_read_is_told_once_it_lasts_then_reminded_of_and_its_end_is_told() {
    let (mut world, ..) = renewed();
    world.unreadable = Some(forbidden("reading the service: a permission is missing"));
    let down = report(&world);
    let mut watch = watch();
    assert_eq!(watch.look(&down, now()), [], "it may pass");
    let told = watch.look(&down, after(1));
    assert_eq!(kinds(&told), [NoticeKind::Unreadable]);
    assert_eq!(told[0].severity, Severity::Warning);
    assert!(
        told[0].text.starts_with("reading the service: a permission is missing.\nWay out: grant it.\n"),
        "{}",
        told[0].text
    );
    // Neither the next look nor a restart tells it again.
    assert_eq!(watch.look(&down, after(2)), []);
    let mut watch = restarted(&watch);
    assert_eq!(watch.look(&down, after(3)), []);
    let reminded = watch.look(&down, after(25));
    assert_eq!(kinds(&reminded), [NoticeKind::Unreadable]);
    assert_eq!(reminded[0].key, told[0].key);
    assert!(
        reminded[0].facts.iter().any(|fact| fact.label == "Lasts" && fact.value == "25 hours"),
        "{reminded:?}"
    );
    // It is right again, which is told once.
    world.unreadable = None;
    world.object("shop-kv", "tls").versions.pop();
    let told = watch.look(&report(&world), after(26));
    assert_eq!(kinds(&told), [NoticeKind::Recovered]);
    assert_eq!(
        (told[0].title.as_str(), told[0].text.as_str()),
        ("shop: it can be read again", "It was not for 26 hours.")
    );
    assert_eq!(watch.look(&report(&world), after(27)), []);
}

#[test]
fn what_was_never_told_is_not_told_as_right_again() {
    let (mut world, ..) = renewed();
    world.object("shop-kv", "tls").versions.pop();
    let up = report(&world);
    world.unreadable = Some(forbidden("no"));
    let mut watch = watch();
    watch.look(&report(&world), now());
    assert_eq!(watch.look(&up, after(2)), []);
    // Nor does the time before count for the next fault.
    assert_eq!(watch.look(&report(&world), after(3)), []);
}

/// A service whose newest version a guard refuses.
fn blocked(name: &str) -> World {
    let (old, wrong) = (leaf("shop.contoso.com", 2025), leaf(name, 2026));
    let mut world = World::new();
    world.holds("tls/1", &old).holds("tls/2", &wrong).role("Web", &[("ShopTls", &old)]).delivers(&["tls/1"]);
    world
}

#[test]
fn a_block_is_told_with_expected_found_and_the_way_out_and_another_one_anew() {
    let mut watch = watch();
    let told = watch.look(&report(&blocked("api.contoso.com")), now());
    assert_eq!(kinds(&told), [NoticeKind::Blocked]);
    assert_eq!(told[0].title, "shop: a renewal is blocked, guard `names` refuses");
    for part in ["expected", "found", "Way out: "] {
        assert!(told[0].text.contains(part), "{}", told[0].text);
    }
    assert_eq!(watch.look(&report(&blocked("api.contoso.com")), after(1)), []);
    let other = watch.look(&report(&blocked("www.contoso.com")), after(2));
    assert_eq!(kinds(&other), [NoticeKind::Blocked]);
    assert_ne!(other[0].key, told[0].key);
    // A service that cannot be read for a moment is blocked still.
    let mut down = blocked("www.contoso.com");
    down.unreadable = Some(forbidden("no"));
    watch.look(&report(&down), after(3));
    assert_eq!(watch.look(&report(&blocked("www.contoso.com")), after(4)), []);
}

#[test]
fn a_plan_that_waits_for_a_person_is_told_once_and_another_plan_anew() {
    let (mut world, ..) = renewed();
    world.policy.mode = Mode::Approve;
    let mut watch = watch();
    let told = watch.look(&report(&world), now());
    assert_eq!(kinds(&told), [NoticeKind::ApprovalNeeded]);
    assert!(told[0].text.contains("`certroll approve shop`"), "{}", told[0].text);
    assert_eq!(watch.look(&report(&world), after(1)), []);
    world.holds("tls/3", &Make { years: (2026, 2029), ..Make::default() }.made());
    assert_eq!(kinds(&watch.look(&report(&world), after(2))), [NoticeKind::ApprovalNeeded]);
}

#[test]
fn a_closed_window_that_is_not_waited_for_is_told() {
    let old = Make { years: (2025, 2027), ..Make::default() }.made();
    let new = Make { years: (2026, 2028), ..Make::default() }.made();
    let mut world = World::new();
    world.holds("tls/1", &old).holds("tls/2", &new).role("Web", &[("ShopTls", &old)]).delivers(&["tls/1"]);
    world.policy.window =
        Some(Window { weekly: vec!["Sun 02:00-03:00".parse().unwrap()], time_zone: jiff::tz::TimeZone::UTC });
    // Two days before the end, a Wednesday.
    world.now = "2026-12-30T12:00:00Z".parse().unwrap();
    let told = watch().look(&report(&world), world.now);
    assert_eq!(kinds(&told), [NoticeKind::WindowOverridden, NoticeKind::NearExpiry]);
    assert!(told[0].text.contains("which opens 2027-01-03 02:00 UTC"), "{}", told[0].text);
    assert!(told[1].text.contains("the change is about to be made"), "{}", told[1].text);
}

/// Everything that a service is told of from some day on, by day.
fn days(world: &mut World, from: &str, days: i64) -> Vec<(i64, Notice)> {
    let mut watch = watch();
    let from: jiff::Timestamp = from.parse().unwrap();
    let mut told = Vec::new();
    for day in 0..days {
        world.now = from + jiff::SignedDuration::from_hours(24 * day);
        told.extend(watch.look(&report(world), world.now).into_iter().map(|notice| (day, notice)));
        watch = restarted(&watch);
    }
    told
}

#[test]
fn a_certificate_that_nobody_renews_is_told_in_steps_with_a_reminder_between() {
    let mut world = World::new();
    let tls = Make { years: (2025, 2027), ..Make::default() }.made();
    world.holds("tls/1", &tls).role("Web", &[("ShopTls", &tls)]).delivers(&["tls/1"]);
    // Its last second is that of 2026.
    let told = days(&mut world, "2026-11-01T12:00:00Z", 70);
    assert!(told.iter().all(|(_, notice)| notice.kind == NoticeKind::NearExpiry));
    let mut keys: Vec<(i64, &str, Severity)> = Vec::new();
    for (day, notice) in &told {
        let step = notice.key.rsplit('/').next().unwrap();
        if keys.last().is_none_or(|(_, last, _)| *last != step) {
            keys.push((*day, step, notice.severity));
        }
    }
    use Severity::{Critical, Warning};
    assert_eq!(
        keys,
        [
            (31, "near", Warning),
            (46, "half", Warning),
            (53, "quarter", Critical),
            (60, "day", Critical),
            (61, "ended", Critical)
        ]
    );
    assert_eq!(told.len(), 70 - 31, "a reminder a day");
    let first = &told[0].1;
    assert_eq!(first.title, "ShopTls ends in 29 days and is not renewed");
    assert_eq!(
        first.text,
        "shop: the vault has no newer version than the deployed one. Renew `shop-kv/tls` in the vault."
    );
    assert_eq!(first.subject, Subject::Certificate { thumbprint: tls.thumbprint() });
    let facts: Vec<(&str, &str)> =
        first.facts.iter().map(|fact| (fact.label.as_str(), fact.value.as_str())).collect();
    let thumbprint = tls.thumbprint().to_string();
    assert_eq!(
        facts,
        [
            ("Ends", "2027-01-01 00:00 UTC"),
            ("Thumbprint", thumbprint.as_str()),
            ("Subject", "CN=shop"),
            ("Names", "shop.contoso.com"),
            ("ShopTls in role Web", "shop (shop)"),
        ]
    );
    assert_eq!(told.last().unwrap().1.title, "ShopTls has ended and is still served");
}

#[test]
fn a_certificate_whose_renewal_is_under_way_is_told_only_when_it_gets_late() {
    let (old, new) = (Make::default().made(), Make { years: (2026, 2028), ..Make::default() }.made());
    let mut world = World::new();
    world.holds("tls/1", &old).holds("tls/2", &new).role("Web", &[("ShopTls", &old)]).delivers(&["tls/1"]);
    let told = days(&mut world, "2026-11-01T12:00:00Z", 58);
    assert_eq!(told.first().map(|(day, notice)| (*day, notice.severity)), Some((53, Severity::Critical)));
    // One that is only observed is nobody's business but people's.
    world.policy.mode = Mode::Observe;
    let told = days(&mut world, "2026-11-01T12:00:00Z", 40);
    assert_eq!(told[0].0, 31);
    assert!(told[0].1.text.contains("the service is only observed"), "{}", told[0].1.text);
}

#[test]
fn a_stuck_service_is_told_by_its_ending_or_else_by_the_next_look_and_reminded_of() {
    let (mut world, ..) = renewed();
    let update = world.planned();
    let rollout = RolloutId::new(now(), &update.service);
    let recorded = |event| Recorded { at: now(), rollout: rollout.clone(), event };
    let opened = Event::Opened {
        rollout: rollout.clone(),
        update: Box::new(update),
        by: Initiator::Unattended,
        undoes: None,
    };
    let ending = Ending::Stuck { cause: Cause::NotSent { message: "no answer in time".to_owned() } };
    let folded = crate::rollout::Rollout::fold([(now(), &opened)]).unwrap();
    world.standings.record(&recorded(opened));
    world.standings.record(&recorded(Event::Ended { ending: ending.clone() }));

    // The process lived to tell its ending.
    let mut lived = watch();
    let told = lived.ended(&folded, &ending, now());
    assert_eq!((told.kind, told.severity), (NoticeKind::UpdateStuck, Severity::Critical));
    assert_eq!(lived.look(&report(&world), after(1)), []);
    assert_eq!(kinds(&lived.look(&report(&world), after(24))), [NoticeKind::UpdateStuck]);
    // It died between the record and the telling.
    let mut died = watch();
    let found = died.look(&report(&world), after(1));
    assert_eq!(kinds(&found), [NoticeKind::UpdateStuck]);
    assert_eq!(found[0].key, told.key, "a channel that was told already is not told again");
    assert!(found[0].text.contains("`certroll release shop`"), "{}", found[0].text);
}

#[test]
fn a_set_in_quarantine_is_told_by_the_rollout_that_failed() {
    let (mut world, ..) = renewed();
    let update = world.planned();
    let rollout = RolloutId::new(now(), &update.service);
    let recorded = |event| Recorded { at: now(), rollout: rollout.clone(), event };
    let opened = Event::Opened {
        rollout: rollout.clone(),
        update: Box::new(update),
        by: Initiator::Unattended,
        undoes: None,
    };
    let ending = Ending::Restored { cause: Cause::Refused { message: "400".to_owned() } };
    let folded = crate::rollout::Rollout::fold([(now(), &opened)]).unwrap();
    world.standings.record(&recorded(opened));
    world.standings.record(&recorded(Event::Ended { ending: ending.clone() }));
    let mut watch = watch();
    let told = watch.ended(&folded, &ending, now());
    assert_eq!(told.kind, NoticeKind::UpdateRestored);
    assert_eq!(watch.look(&report(&world), after(1)), []);
    let reminded = watch.look(&report(&world), after(24));
    assert_eq!(kinds(&reminded), [NoticeKind::Blocked]);
    assert_eq!(reminded[0].key, told.key);
}

#[test]
fn credentials_that_fail_are_told_once_it_lasts_and_when_they_are_right_again() {
    let mut watch = watch();
    let at = |quarters: u32| now() + HOUR / 4 * quarters;
    assert_eq!(watch.credentials(Err("no identity gave a token"), at(0)), None);
    let told = watch.credentials(Err("no identity gave a token"), at(1)).unwrap();
    assert_eq!((told.kind, told.severity), (NoticeKind::CredentialsFailing, Severity::Critical));
    assert_eq!(watch.credentials(Err("another reason"), at(2)), None);
    // A look does not end what it knows nothing of.
    watch.look(&report(&World::new()), at(2));
    let mut watch = restarted(&watch);
    let told = watch.credentials(Ok(()), at(4)).unwrap();
    assert_eq!((told.kind, told.text.as_str()), (NoticeKind::Recovered, "It was not for 60 minutes."));
    assert_eq!(watch.credentials(Ok(()), at(5)), None);
}

#[test]
fn a_journal_that_cannot_be_used_is_told_once_whoever_finds_it() {
    let (mut world, ..) = renewed();
    world.standings = crate::standing::Standings::unknown("the disk is gone");
    let mut watch = watch();
    let told = watch.look(&report(&world), now());
    assert_eq!(kinds(&told), [NoticeKind::JournalFailing]);
    assert!(told[0].text.contains("the disk is gone"), "{}", told[0].text);
    assert_eq!(watch.journal(Err(("the disk is gone", Some("mend it"))), after(1)), None);
    assert_eq!(watch.journal(Ok(()), after(2)).map(|notice| notice.kind), Some(NoticeKind::Recovered));
}

#[test]
fn a_gap_of_events_is_told_once_until_an_event_comes() {
    let mut watch = watch();
    let vault = "shop-kv".parse().unwrap();
    let objects = ["certificates/tls".to_owned()];
    let told = watch.event_gap(&vault, &objects, now()).unwrap();
    assert!(told.text.starts_with("Changed without an event: certificates/tls.\n"), "{}", told.text);
    assert_eq!(watch.event_gap(&vault, &objects, after(1)), None);
    watch.event_came(&"SHOP-KV".parse().unwrap());
    assert!(watch.event_gap(&vault, &objects, after(2)).is_some());
}
