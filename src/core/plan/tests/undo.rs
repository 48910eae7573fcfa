//! The way back that a person asks for.

use std::collections::BTreeSet;

use super::world::{World, change, changed, leaf, now, renewed, secrets, url};
use crate::certificate::Certificate;
use crate::id::RolloutId;
use crate::plan::{Need, Observation, PlannedUpdate, Status, Violation, undo, undo_needs};
use crate::policy::Guard;
use crate::rollout::{Event, Initiator, Rollout};

/// A rollout of the update that a world plans, captured, as far as planning a way back reads it.
fn rolled_out(before: &World, update: &PlannedUpdate) -> Rollout {
    let rollout = RolloutId::new(now(), &update.service);
    let by = Initiator::Unattended;
    let opened = Event::Opened { rollout, update: Box::new(update.clone()), by, undoes: None };
    let captured = Event::Captured { model: Box::new(before.model()), started: Vec::new() };
    Rollout::fold([(now(), &opened), (now(), &captured)]).unwrap()
}

/// What planning the way back in a world says, and what it asked for.
fn undone(world: &World, rollout: &Rollout) -> (Status, BTreeSet<Need>) {
    let mut observation = Observation::default();
    observation.services.insert(world.policy.service.clone(), Ok(world.model()));
    let mut asked = BTreeSet::new();
    for _ in 0..3 {
        let needs = undo_needs(rollout, &observation);
        for need in &needs {
            world.answer(need, &mut observation);
        }
        asked.extend(needs);
    }
    assert!(undo_needs(rollout, &observation).is_empty());
    (undo(&world.policy, rollout, &observation, world.now).status, asked)
}

fn planned(world: &World, rollout: &Rollout) -> PlannedUpdate {
    match undone(world, rollout).0 {
        Status::Planned { update } => *update,
        other => panic!("{other:#?}"),
    }
}

fn blocked(world: &World, rollout: &Rollout) -> Vec<Violation> {
    match undone(world, rollout).0 {
        Status::Blocked { violations } => violations,
        other => panic!("{other:#?}"),
    }
}

/// The world before and after its renewal, with the rollout that lies between.
fn rotated() -> (World, World, Rollout, Certificate) {
    let (mut before, old, _) = renewed();
    before.setting("Web", "Shop.Tls", &old.thumbprint().to_string());
    before.map("ShopTls", "shop-kv/certificates/tls").settings.push("Shop.Tls".to_owned());
    before.probe("shop.contoso.com", None);
    let update = before.planned();
    let rollout = rolled_out(&before, &update);
    let after = before.after(&update);
    (before, after, rollout, old)
}

#[test]
fn it_wants_exactly_what_was_captured() {
    let (before, after, rollout, old) = rotated();
    let (_, asked) = undone(&after, &rollout);
    assert!(asked.contains(&Need::Secret(url("tls/1"))), "{asked:?}");
    let update = planned(&after, &rollout);
    assert_eq!(update.wanted.configuration, before.cscfg());
    assert_eq!(update.expected.configuration, rollout.update().wanted.configuration);
    assert_eq!(secrets(&update), ["shop-kv/tls/1"]);
    assert_eq!(changed(&update), [change("Web", "ShopTls", &old)]);
    assert_eq!(update.settings.len(), 1);
    assert_eq!(update.leaving(), [url("tls/2")].into());
    let (forward, back) = (&rollout.update().probes[0], &update.probes[0]);
    assert_eq!((&forward.before, &forward.after), (&back.after, &back.before));
    assert_eq!(before.after(&update).assert_current_or_planned(), "planned");
}

impl World {
    fn assert_current_or_planned(&self) -> &'static str {
        match self.status() {
            Status::Current => "current",
            Status::Planned { .. } => "planned",
            other => panic!("{other:#?}"),
        }
    }
}

#[test]
fn where_nothing_of_it_is_left_there_is_nothing_to_do() {
    let (before, _, rollout, _) = rotated();
    assert_eq!(undone(&before, &rollout).0, Status::Current);
}

#[test]
fn edits_of_others_since_then_stay() {
    let (_, after, rollout, old) = rotated();
    let mut edited = after.clone();
    let mut value = after.model().value().clone();
    let text = value["properties"]["configuration"].as_str().unwrap().replace("count=\"2\"", "count=\"5\"");
    value["properties"]["configuration"] = text.clone().into();
    edited.model = Some(crate::target::cloud_service::CloudServiceModel::new(value).unwrap());
    let update = planned(&edited, &rollout);
    let (new, old) = (rollout.update().certificates[0].to.to_string(), old.thumbprint().to_string());
    assert_eq!(update.wanted.configuration, text.replace(&new, &old));
    assert_eq!(secrets(&update), ["shop-kv/tls/1"]);
}

#[test]
fn a_certificate_that_somebody_changed_since_is_left_to_people() {
    let (_, after, rollout, _) = rotated();
    let third = leaf("shop.contoso.com", 2027);
    let mut edited = after.clone();
    let mut value = after.model().value().clone();
    let new = rollout.update().certificates[0].to.to_string();
    let text = value["properties"]["configuration"].as_str().unwrap();
    value["properties"]["configuration"] = text.replace(&new, &third.thumbprint().to_string()).into();
    edited.model = Some(crate::target::cloud_service::CloudServiceModel::new(value).unwrap());
    let violations = blocked(&edited, &rollout);
    assert!(violations[0].found.contains(&third.thumbprint().to_string()), "{violations:#?}");
}

#[test]
fn a_version_that_is_disabled_cannot_come_back() {
    let (_, mut after, rollout, _) = rotated();
    after.version("tls/1").enabled = false;
    let violations = blocked(&after, &rollout);
    assert_eq!(violations[0].guard, "enabled");
    assert!(violations[0].subject.contains("tls/1"), "{violations:#?}");
    after.relax(Guard::Enabled);
    let update = planned(&after, &rollout);
    assert!(update.warnings.iter().any(|warning| warning.contains("disabled")), "{:?}", update.warnings);
}

#[test]
fn an_old_certificate_that_has_ended_is_told() {
    let (_, mut after, rollout, _) = rotated();
    after.now = "2027-06-01T00:00:00Z".parse().unwrap();
    let update = planned(&after, &rollout);
    assert!(update.warnings.iter().any(|warning| warning.contains("ended at")), "{:?}", update.warnings);
}

#[test]
fn a_rollout_that_changed_nothing_has_no_way_back() {
    let (_, after, rollout, _) = rotated();
    let update = rollout.update();
    let opened = Event::Opened {
        rollout: rollout.id().clone(),
        update: Box::new(update.clone()),
        by: Initiator::Unattended,
        undoes: None,
    };
    let nothing = Rollout::fold([(now(), &opened)]).unwrap();
    assert!(blocked(&after, &nothing)[0].hint.contains("nothing to put back"));
}

#[test]
fn a_certificate_that_came_since_and_needs_the_new_secret_is_left_to_people() {
    let (_, after, rollout, _) = rotated();
    // Somebody bound a second name to the new certificate meanwhile.
    let mut edited = after.clone();
    let mut value = after.model().value().clone();
    let new = rollout.update().certificates[0].to.to_string();
    let entry = format!("<Certificate thumbprintAlgorithm='sha1' name=\"Second\" thumbprint='{new}' />");
    let text = value["properties"]["configuration"].as_str().unwrap();
    value["properties"]["configuration"] =
        text.replace("    </Certificates>", &format!("    {entry}\r\n    </Certificates>")).into();
    edited.model = Some(crate::target::cloud_service::CloudServiceModel::new(value).unwrap());
    let violations = blocked(&edited, &rollout);
    assert!(violations[0].subject.contains("Second"), "{violations:#?}");
}
