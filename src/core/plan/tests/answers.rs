//! What planning asks for, what it says of endpoints.

use super::world::{World, change, changed, leaf, renewed, url};
use crate::id::ObjectKind;
use crate::plan::{Need, ObjectKey, needs};
use crate::policy::Guard;

#[test]
fn a_settled_service_asks_for_what_it_serves_and_opens_no_key() {
    let (mut world, ..) = renewed();
    world.object("shop-kv", "tls").versions.pop();
    let (mut observation, asked) = world.observe();
    let object = Need::Object(ObjectKey::from(&url("tls/1")));
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), [object, Need::Certificate(url("tls/1"))]);
    // Whatever comes of it, it is not asked for again.
    observation.contents.insert(url("tls/1"), Err(super::world::forbidden("no")));
    assert!(needs(&world.policy, &observation).is_empty());
}

#[test]
fn a_settled_service_without_certificates_asks_for_no_content() {
    let (mut world, ..) = renewed();
    world.object("shop-kv", "tls").versions.pop();
    world.roles[0].certificates.clear();
    let (_, asked) = world.observe();
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), [Need::Object(ObjectKey::from(&url("tls/1")))]);
}

#[test]
fn a_settled_service_opens_secrets_only_where_vault_certificates_do_not_explain_the_cscfg() {
    let (mut world, ..) = renewed();
    world.object("shop-kv", "tls").versions.pop();
    let root = super::world::ca("Root", None);
    world.holds_secret("root/1", &root.certificate).delivers(&["root/1"]);
    let (_, asked) = world.observe();
    assert!(!asked.contains(&Need::Secret(url("root/1"))), "{asked:#?}");
    let entry = ("Root".to_owned(), root.certificate.thumbprint().to_string());
    world.roles[0].certificates.push(entry);
    let (_, asked) = world.observe();
    assert!(asked.contains(&Need::Secret(url("root/1"))), "{asked:#?}");
}

#[test]
fn what_is_served_is_told_whatever_the_answer() {
    let (mut world, old, new) = renewed();
    let of = |world: &World| {
        let report = world.service();
        assert_eq!(report.serves.len(), 1, "{report:#?}");
        report.serves[0].clone()
    };
    // A renewal is planned.
    let served = of(&world);
    assert_eq!((served.role.as_str(), served.name.as_str()), ("Web", "ShopTls"));
    assert_eq!(served.thumbprint, old.thumbprint());
    assert_eq!((served.version, served.newest), (Some(url("tls/1")), Some(url("tls/2"))));
    let certificate = served.certificate.unwrap();
    assert_eq!((certificate.not_before, certificate.not_after), (old.not_before(), old.not_after()));
    // It was made.
    let served = of(&world.after(&world.planned()));
    assert_eq!((served.version.clone(), served.newest), (Some(url("tls/2")), Some(url("tls/2"))));
    assert_eq!(served.certificate.unwrap().not_after, new.not_after());
    // The vault cannot be read for a moment, but what the version holds is known.
    world.object("shop-kv", "tls").unreadable = Some(super::world::forbidden("no"));
    let served = of(&world);
    assert_eq!((served.version, served.newest), (Some(url("tls/1")), None));
    assert!(served.certificate.is_some());
    // The service cannot.
    world.unreadable = Some(super::world::forbidden("no"));
    assert_eq!(world.service().serves, []);
}

#[test]
fn a_current_service_of_which_something_cannot_be_read_says_so() {
    let (mut world, ..) = renewed();
    world.object("shop-kv", "tls").versions.pop();
    world.version("tls/1").content = Err(super::world::forbidden("no"));
    let notes = world.assert_current();
    assert_eq!(notes.len(), 1);
    assert!(notes[0].ends_with("cannot be read (no); when its certificate ends is not known"), "{notes:?}");
    assert_eq!(world.service().serves[0].certificate, None);
}

#[test]
fn a_settled_mapping_asks_for_metadata_only() {
    let (mut world, ..) = renewed();
    world.object("shop-kv", "tls").versions.pop();
    world.map("ShopTls", "shop-kv/certificates/tls");
    let (_, asked) = world.observe();
    let contents: Vec<_> = asked.iter().filter(|need| !matches!(need, Need::Object(_))).collect();
    assert_eq!(contents, [&Need::Certificate(url("tls/1"))]);
}

#[test]
fn what_comes_is_opened_and_what_stays_is_not() {
    let (mut world, ..) = renewed();
    let (root, api) = (super::world::ca("Root", None), leaf("api.contoso.com", 2025));
    world.holds_secret("root/1", &root.certificate).holds("api/1", &api).delivers(&["root/1", "api/1"]).roles
        [0]
    .certificates
    .extend([
        ("Root".to_owned(), root.certificate.thumbprint().to_string()),
        ("Api".to_owned(), api.thumbprint().to_string()),
    ]);
    let (_, asked) = world.observe();
    assert!(asked.contains(&Need::Secret(url("tls/2"))), "{asked:#?}");
    assert!(asked.contains(&Need::Certificate(url("tls/1"))), "{asked:#?}");
    assert!(
        asked.contains(&Need::Certificate(url("api/1"))),
        "no key is read that does not move: {asked:#?}"
    );
    assert!(asked.contains(&Need::Secret(url("root/1"))), "a secret has no metadata to read");
    assert!(asked.iter().any(|need| matches!(need, Need::Vault(_))));
    world.relax(Guard::Placement);
    let (_, asked) = world.observe();
    assert!(!asked.iter().any(|need| matches!(need, Need::Vault(_))));
}

#[test]
fn an_unreadable_service_asks_for_nothing() {
    let (mut world, ..) = renewed();
    world.unreadable = Some(super::world::forbidden("no"));
    assert!(world.observe().1.is_empty());
}

#[test]
fn a_mapped_secret_is_not_looked_for_among_the_certificates() {
    let (mut world, old, new) = renewed();
    world.holds_secret("other/1", &new);
    world.map("ShopTls", "shop-kv/secrets/other");
    let (observation, _) = world.observe();
    assert!(observation.objects.keys().any(|key| key.kind == Some(ObjectKind::Secret)));
    assert_eq!(changed(&world.planned()), [change("Web", "ShopTls", &new)]);
    assert_ne!(old, new);
}

/// The leaves that the only endpoint may present before and must present afterwards.
fn probed(world: &World) -> (Vec<crate::id::Thumbprint>, Vec<crate::id::Thumbprint>) {
    let update = world.planned();
    (update.probes[0].before.clone(), update.probes[0].after.clone())
}

#[test]
fn an_endpoint_presents_the_leaf_that_covers_its_name() {
    let (mut world, old, new) = renewed();
    let (api, root) = (leaf("api.contoso.com", 2025), super::world::ca("Root", None));
    world.holds("api/1", &api).holds_secret("root/1", &root.certificate).delivers(&["api/1", "root/1"]).roles
        [0]
    .certificates
    .extend([
        ("Api".to_owned(), api.thumbprint().to_string()),
        ("Root".to_owned(), root.certificate.thumbprint().to_string()),
    ]);
    world.probe("SHOP.contoso.com", None);
    assert_eq!(probed(&world), (vec![old.thumbprint()], vec![new.thumbprint()]));

    // Nothing covers it: any leaf will do, but no CA.
    world.policy.probe.endpoints.clear();
    world.probe("10.0.0.1", None);
    assert_eq!(
        probed(&world),
        (vec![old.thumbprint(), api.thumbprint()], vec![new.thumbprint(), api.thumbprint()])
    );

    // Named: that one.
    world.policy.probe.endpoints.clear();
    world.probe("10.0.0.1", Some("shoptls"));
    assert_eq!(probed(&world), (vec![old.thumbprint()], vec![new.thumbprint()]));

    // A name that the cscfg lacks: nothing to expect, and a warning.
    world.policy.probe.endpoints.clear();
    world.probe("10.0.0.1", Some("Nothing"));
    let update = world.planned();
    assert_eq!(update.probes, []);
    assert!(update.warnings[0].contains("10.0.0.1:443"), "{:?}", update.warnings);
}

#[test]
fn an_endpoint_of_several_roles_may_present_each_of_their_leaves() {
    let (mut world, old, new) = renewed();
    let (old2, new2) = (leaf("shop.contoso.com", 2025), leaf("shop.contoso.com", 2026));
    world.holds("two/1", &old2).holds("two/2", &new2).role("Two", &[("ShopTls", &old2)]).delivers(&["two/1"]);
    world.probe("shop.contoso.com", None);
    assert_eq!(
        probed(&world),
        (vec![old.thumbprint(), old2.thumbprint()], vec![new.thumbprint(), new2.thumbprint()])
    );
}
