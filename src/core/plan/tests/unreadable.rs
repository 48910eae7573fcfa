//! What cannot be read: matched where nothing else is left, told where not, and never in the way of others.

use std::time::Duration;

use super::world::{
    World, change, changed, forbidden, gone, leaf, now, renewed, secrets, service_policy, source_vault, url,
};
use crate::id::ObjectKind;
use crate::plan::{Need, Occasion, Status, Unreadable, plan};
use crate::policy::{Follow, Policy};

/// Two leaves whose deployed versions can be read no more, and their renewals.
fn two_lost() -> (World, [crate::certificate::Certificate; 4]) {
    let certificates = [
        leaf("shop.contoso.com", 2025),
        leaf("shop.contoso.com", 2026),
        leaf("api.contoso.com", 2025),
        leaf("api.contoso.com", 2026),
    ];
    let [shop1, shop2, api1, api2] = &certificates;
    let mut world = World::new();
    world
        .holds("shop/1", shop1)
        .holds("shop/2", shop2)
        .holds("api/1", api1)
        .holds("api/2", api2)
        .role("Web", &[("Shop", shop1), ("Api", api1)])
        .delivers(&["shop/1", "api/1"]);
    (world, certificates)
}

fn lose(world: &mut World, short: &str) {
    world.version(short).content = Err(gone(&format!("`{short}` is disabled")));
}

#[test]
fn one_lost_reference_is_matched_by_elimination() {
    let (mut world, [_, shop2, _, api2]) = two_lost();
    lose(&mut world, "shop/1");
    let update = world.planned();
    assert_eq!(changed(&update), [change("Web", "Shop", &shop2), change("Web", "Api", &api2)]);
    assert_eq!(secrets(&update), ["shop-kv/shop/2", "shop-kv/api/2"]);
    assert!(update.warnings[0].contains("could not be read"), "{:?}", update.warnings);
    assert_eq!(update.certificates[0].before, None);
}

#[test]
fn a_vault_that_does_not_answer_does_not_pass_for_a_lost_version() {
    let (mut world, [_, shop2, ..]) = two_lost();
    world.version("shop/1").content = Err(forbidden("too many calls"));
    let Status::Unreadable { reasons } = world.status() else { panic!("{:#?}", world.status()) };
    assert_eq!(reasons[0].message, "too many calls");
    // Who maps the certificate says where it comes from, whatever the old version held.
    world.map("Shop", "shop-kv/certificates/shop");
    assert_eq!(changed(&world.planned())[0], change("Web", "Shop", &shop2));
    // What is no certificate at all stays so.
    world.policy.certificates.clear();
    world.version("shop/1").content = Err(Unreadable::content("it holds no PKCS#12", None));
    assert_eq!(changed(&world.planned())[0], change("Web", "Shop", &shop2));
}

#[test]
fn two_lost_references_are_blocked_with_the_setting_that_resolves_it() {
    let (mut world, [_, shop2, _, api2]) = two_lost();
    lose(&mut world, "shop/1");
    lose(&mut world, "api/1");
    let violations = world.blocked();
    assert_eq!(violations.len(), 2);
    assert!(violations[0].found.contains("2 references that cannot be read"), "{}", violations[0]);
    assert!(violations[0].found.contains("`api/1` is disabled"), "{}", violations[0]);
    assert!(violations[0].hint.contains("name = \"Shop\"`, `role = \"Web\""), "{}", violations[0].hint);
    world.map("Shop", "shop-kv/certificates/shop");
    let violations = world.blocked();
    assert_eq!(violations.len(), 1, "what is mapped is not asked for again");
    world.map("Api", "shop-kv/certificates/api");
    let update = world.planned();
    assert_eq!(changed(&update), [change("Web", "Shop", &shop2), change("Web", "Api", &api2)]);
    let mut wanted = secrets(&update);
    wanted.sort();
    assert_eq!(wanted, ["shop-kv/api/2", "shop-kv/shop/2"]);
    world.after(&update).assert_current();
}

#[test]
fn a_lost_reference_that_nothing_is_left_for_stays() {
    // Two references are lost, one thumbprint is open: the other reference carries nothing that the cscfg names.
    let (mut world, [_, shop2, ..]) = two_lost();
    world.roles[0].certificates.pop();
    lose(&mut world, "shop/1");
    world.objects.remove(&("shop-kv".to_owned(), "api".to_owned()));
    let violations = world.blocked();
    assert!(violations[0].hint.contains("name = \"Shop\""), "{violations:#?}");
    world.map("Shop", "shop-kv/certificates/shop");
    world.assert_kept_refused("api/1");
    let report = world.service();
    let Status::Planned { update } = report.status else { panic!("{report:#?}") };
    assert_eq!(changed(&update), [change("Web", "Shop", &shop2)]);
    assert_eq!(secrets(&update), ["shop-kv/api/1", "shop-kv/shop/2"]);
    let stays = report.notes.iter().filter(|note| note.contains("stays in `osProfile.secrets`"));
    assert_eq!(stays.count(), 1, "{:?}", report.notes);
}

#[test]
fn a_lost_reference_makes_room_for_the_same_certificate_from_elsewhere() {
    let old = leaf("shop.contoso.com", 2025);
    let mut world = World::new();
    world
        .holds("old-kv/tls/1", &old)
        .holds("tls/1", &old)
        .role("Web", &[("ShopTls", &old)])
        .delivers(&["old-kv/tls/1"]);
    world.object("old-kv", "tls").unreadable = Some(forbidden("the vault's firewall refused this address"));
    lose(&mut world, "old-kv/tls/1");
    assert!(matches!(world.status(), Status::Unreadable { .. }));
    world.map("ShopTls", "shop-kv/certificates/tls").source_vault = Some(source_vault("shop-kv"));
    let update = world.planned();
    assert_eq!(secrets(&update), ["shop-kv/tls/1"]);
    assert_eq!(update.wanted.configuration, update.expected.configuration);
    assert_eq!(update.settings, []);
    world.after(&update).assert_current();
}

#[test]
fn an_object_that_no_certificate_follows_may_be_unreadable() {
    let (mut world, _, _) = renewed();
    let moved = leaf("shop.contoso.com", 2026);
    world.holds("moved/1", &moved);
    world.map("ShopTls", "shop-kv/certificates/moved");
    world.object("shop-kv", "tls").unreadable = Some(forbidden("a permission is missing"));
    let report = world.service();
    let Status::Planned { update } = &report.status else { panic!("{report:#?}") };
    assert_eq!(changed(update), [change("Web", "ShopTls", &moved)]);
    assert!(report.notes[0].contains("a permission is missing"), "{:?}", report.notes);
    // The same where every version is disabled.
    world.object("shop-kv", "tls").unreadable = None;
    world.version("tls/1").enabled = false;
    world.version("tls/2").enabled = false;
    world.planned();
}

#[test]
fn an_unreadable_object_or_version_is_told_with_its_reason() {
    let (mut world, ..) = renewed();
    world.object("shop-kv", "tls").unreadable = Some(forbidden("a permission is missing"));
    let Status::Unreadable { reasons } = world.status() else { panic!() };
    assert_eq!(reasons.len(), 1);
    assert_eq!(reasons[0].message, "a permission is missing");
    assert_eq!(reasons[0].hint.as_deref(), Some("grant it"));

    let (mut world, old, _) = renewed();
    world.role("Worker", &[("ShopTls", &old)]);
    world.version("tls/2").content = Err(forbidden("it holds no PKCS#12"));
    let Status::Unreadable { reasons } = world.status() else { panic!() };
    assert_eq!(reasons.len(), 1, "said once, though two certificates wait for it");
    assert_eq!(reasons[0].message, "it holds no PKCS#12");
}

#[test]
fn an_object_that_is_gone_stops_nothing_but_an_update_that_keeps_it() {
    let (mut world, [_, shop2, ..]) = two_lost();
    world.object("shop-kv", "api").unreadable = Some(gone("it was deleted"));
    // What its version holds is known from earlier.
    world.assert_kept_refused("api/1");
    let report = world.service();
    let Status::Planned { update } = &report.status else { panic!("{report:#?}") };
    assert_eq!(changed(update), [change("Web", "Shop", &shop2)]);
    assert!(report.notes[0].contains("it was deleted"), "{:?}", report.notes);
}

#[test]
fn a_secret_that_no_certificate_names_must_be_readable_while_its_version_is() {
    let (mut world, ..) = renewed();
    world.holds("boot/1", &leaf("bootstrap", 2025)).delivers(&["boot/1"]);
    world.object("shop-kv", "boot").unreadable = Some(forbidden("a permission is missing"));
    assert!(matches!(world.status(), Status::Unreadable { .. }));
}

#[test]
fn a_mapped_source_that_is_gone_is_unreadable() {
    let (mut world, ..) = renewed();
    world.map("ShopTls", "shop-kv/secrets/nothing");
    assert!(matches!(world.status(), Status::Unreadable { .. }));
}

#[test]
fn an_unreadable_service_stops_no_other() {
    let (world, _, new) = renewed();
    let (mut observation, _) = world.observe();
    let other = crate::plan::tests::world::SERVICE.replace("cloudServices/shop", "cloudServices/api");
    let lost = crate::plan::tests::world::SERVICE.replace("cloudServices/shop", "cloudServices/lost");
    let broken = crate::plan::tests::world::SERVICE.replace("cloudServices/shop", "cloudServices/broken");
    let model = crate::target::cloud_service::CloudServiceModel::new(serde_json::json!({
        "location": "chinaeast2", "properties": { "configuration": "<oops" }
    }));
    observation.services.insert(other.parse().unwrap(), Err(forbidden("a permission is missing")));
    observation.services.insert(broken.parse().unwrap(), Ok(model.unwrap()));
    let services =
        vec![service_policy(&other), service_policy(&lost), service_policy(&broken), world.policy.clone()];
    let policy = Policy { services, settle: Duration::ZERO, urgent_before_expiry: Duration::ZERO };
    let report = plan(&policy, &observation, now(), Occasion::Unattended);
    assert!(report.has_trouble());
    assert_eq!(report.planned().count(), 1);
    assert_eq!(changed(report.planned().next().unwrap()), [change("Web", "ShopTls", &new)]);
    let said: Vec<String> = report
        .services
        .iter()
        .filter_map(|service| match &service.status {
            Status::Unreadable { reasons } => Some(reasons[0].message.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(said.len(), 3);
    assert_eq!(said[0], "a permission is missing");
    assert_eq!(said[1], "the service was not looked at");
    assert!(said[2].contains("cscfg"), "{}", said[2]);
}

#[test]
fn what_is_not_followed_must_be_there_still() {
    let (mut world, [_, shop2, ..]) = two_lost();
    lose(&mut world, "api/1");
    world.object("shop-kv", "api").unreadable = Some(forbidden("a permission is missing"));
    world.policy.follow = Follow::Listed;
    world.map("Shop", "shop-kv/certificates/shop");
    world.assert_kept_refused("api/1");
    let update = world.planned();
    assert_eq!(changed(&update), [change("Web", "Shop", &shop2)]);
    assert_eq!(secrets(&update), ["shop-kv/shop/2", "shop-kv/api/1"]);
}

#[test]
fn a_secret_whose_deployed_certificate_had_no_key_needs_none() {
    // A partner's certificate that is only trusted.
    let (old, new) = (leaf("partner.contoso.com", 2025), leaf("partner.contoso.com", 2026));
    let without_key = |leaf| {
        let mut content = super::world::opened(leaf);
        content.key = crate::plan::KeyPresence::Absent;
        Ok(content)
    };
    let mut world = World::new();
    world
        .holds_as("partner/1", ObjectKind::Secret, without_key(&old))
        .holds_as("partner/2", ObjectKind::Secret, without_key(&new))
        .role("Web", &[("Partner", &old)])
        .delivers(&["partner/1"]);
    assert_eq!(changed(&world.planned()), [change("Web", "Partner", &new)]);
    world.version("partner/1").content = Ok(super::world::opened(&old));
    assert_eq!(world.blocked()[0].guard, "key");
}

#[test]
fn a_version_that_stays_must_be_there_now_whatever_is_remembered_of_it() {
    // The root is not followed; its content is known from earlier.
    let (mut world, _, new) = renewed();
    let root = super::world::ca("root", None).certificate;
    world.holds_secret("root/1", &root).delivers(&["root/1"]);
    world.roles[0].certificates.push(("Root".to_owned(), root.thumbprint().to_string()));
    assert_eq!(changed(&world.planned()), [change("Web", "ShopTls", &new)]);
    let planned = |kept: Option<Unreadable>| {
        let (mut observation, asked) = world.observe();
        assert!(asked.contains(&Need::Kept(url("root/1"))), "{asked:?}");
        assert!(!asked.contains(&Need::Kept(url("tls/1"))), "what leaves need not stay");
        if let Some(kept) = kept {
            observation.kept.insert(url("root/1"), Err(kept));
        }
        let policy = Policy {
            services: vec![world.policy.clone()],
            settle: Duration::ZERO,
            urgent_before_expiry: Duration::ZERO,
        };
        plan(&policy, &observation, world.now, Occasion::Person).services.remove(0).status
    };
    assert!(matches!(planned(None), Status::Planned { .. }));
    // A list that may not be read says nothing of the version.
    assert!(matches!(planned(Some(forbidden("a permission is missing"))), Status::Planned { .. }));
    let Status::Blocked { violations } = planned(Some(gone("it is disabled"))) else { panic!("planned") };
    assert!(violations[0].subject.contains("root/1") && violations[0].subject.ends_with("which stays"));
}
