//! Certificates of the cscfg that a mapping binds to a vault object.

use super::world::{World, ca, change, changed, leaf, renewed, secrets, source_vault, vault_id};
use crate::id::RoleName;
use crate::policy::Follow;

#[test]
fn a_secret_named_after_its_thumbprint_gives_way_to_one_of_another_name() {
    let (old, new) = (leaf("shop.contoso.com", 2025), leaf("shop.contoso.com", 2026));
    let (a, b) = (old.thumbprint().to_string(), new.thumbprint().to_string());
    let mut world = World::new();
    world
        .holds_secret(&format!("{a}/1"), &old)
        .holds_secret(&format!("{b}/1"), &new)
        .role("Web", &[("ShopTls", &old)])
        .delivers(&[&format!("{a}/1")]);
    world.assert_current();
    world.map("shoptls", &format!("shop-kv/secrets/{b}"));
    let update = world.planned();
    assert_eq!(changed(&update), [change("Web", "ShopTls", &new)]);
    assert_eq!(secrets(&update), [format!("shop-kv/{b}/1")]);
    assert_eq!(update.secrets.len(), 2, "one goes, one comes: {:?}", update.secrets);
    world.after(&update).assert_current();
}

#[test]
fn listed_follows_nothing_but_what_is_mapped() {
    let (mut world, old, new) = renewed();
    let (root1, root2) = (ca("Root", None), ca("Root", None));
    world
        .holds_secret("root/1", &root1.certificate)
        .holds_secret("root/2", &root2.certificate)
        .delivers(&["root/1"])
        .roles[0]
        .certificates
        .push(("Root".to_owned(), root1.certificate.thumbprint().to_string()));
    world.policy.follow = Follow::Listed;
    world.assert_current();
    world.map("ShopTls", "shop-kv/certificates/tls");
    let update = world.planned();
    assert_eq!(changed(&update), [change("Web", "ShopTls", &new)]);
    assert_eq!(secrets(&update), ["shop-kv/tls/2", "shop-kv/root/1"]);
    assert_eq!(update.certificates[0].from, Some(old.thumbprint()));
}

#[test]
fn an_old_secret_stays_while_another_certificate_holds_it() {
    let (old, other) = (leaf("shop.contoso.com", 2025), leaf("shop.contoso.com", 2026));
    let mut world = World::new();
    world
        .holds("tls/1", &old)
        .holds("web/1", &other)
        .role("Web", &[("ShopTls", &old)])
        .role("Worker", &[("ShopTls", &old)])
        .delivers(&["tls/1"]);
    world.map("ShopTls", "shop-kv/certificates/web").role = Some(RoleName::new("web"));
    let update = world.planned();
    assert_eq!(changed(&update), [change("Web", "ShopTls", &other)]);
    assert_eq!(secrets(&update), ["shop-kv/tls/1", "shop-kv/web/1"]);
    world.after(&update).assert_current();
}

#[test]
fn a_mapping_of_a_role_goes_before_one_of_all_roles() {
    let old = leaf("shop.contoso.com", 2025);
    let (all, web) = (leaf("shop.contoso.com", 2026), leaf("shop.contoso.com", 2026));
    let mut world = World::new();
    world
        .holds("tls/1", &old)
        .holds("all/1", &all)
        .holds("web/1", &web)
        .role("Web", &[("ShopTls", &old)])
        .role("Worker", &[("ShopTls", &old)])
        .delivers(&["tls/1"]);
    world.map("ShopTls", "shop-kv/certificates/all");
    world.map("ShopTls", "shop-kv/certificates/web").role = Some(RoleName::new("Web"));
    let update = world.planned();
    assert_eq!(changed(&update), [change("Web", "ShopTls", &web), change("Worker", "ShopTls", &all)]);
    let mut wanted = secrets(&update);
    wanted.sort();
    assert_eq!(wanted, ["shop-kv/all/1", "shop-kv/web/1"]);
}

#[test]
fn another_vault_gets_a_group_of_its_own() {
    let (mut world, _, _) = renewed();
    let moved = leaf("shop.contoso.com", 2026);
    world.holds("new-kv/tls/1", &moved);
    world.map("ShopTls", "new-kv/certificates/tls");
    let violations = world.blocked();
    assert!(violations[0].hint.contains("source_vault"), "{violations:#?}");

    // A resource id of another vault is no answer.
    world.policy.certificates[0].source_vault = Some(source_vault("other-kv"));
    assert!(world.blocked()[0].hint.contains("source_vault"));

    world.policy.certificates[0].source_vault = Some(source_vault("new-kv"));
    let update = world.planned();
    assert_eq!(secrets(&update), ["new-kv/tls/1"]);
    let groups = update.wanted.os_profile.groups();
    assert_eq!(groups.len(), 1, "the group of the vault that nothing is left of is gone");
    assert_eq!(groups[0].source_vault().as_str(), vault_id("new-kv"));
    world.after(&update).assert_current();
}

#[test]
fn another_vault_that_the_service_has_already_joins_its_group() {
    let (mut world, _, _) = renewed();
    let (moved, other) = (leaf("shop.contoso.com", 2026), leaf("api.contoso.com", 2025));
    world.holds("new-kv/tls/1", &moved).holds("new-kv/api/1", &other);
    world.roles[0].certificates.push(("Api".to_owned(), other.thumbprint().to_string()));
    world.deliver(
        &vault_id("NEW-KV").to_uppercase(),
        serde_json::json!({ "certificateUrl": "https://new-kv.vault.azure.cn/secrets/api/1" }),
    );
    world.map("ShopTls", "new-kv/certificates/tls").source_vault = Some(source_vault("new-kv"));
    let update = world.planned();
    assert_eq!(update.wanted.os_profile.groups().len(), 1);
    assert_eq!(secrets(&update), ["new-kv/api/1", "new-kv/tls/1"]);
}

#[test]
fn a_mapping_that_names_no_certificate_is_blocked_at_once() {
    let (mut world, ..) = renewed();
    world.object("shop-kv", "tls").versions.pop();
    world.map("ShopTsl", "shop-kv/certificates/tls").role = Some(RoleName::new("Web"));
    let violations = world.blocked();
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].subject, "the mapping of certificate `ShopTsl` of role `Web`");
    assert_eq!(violations[0].found, "`ShopTls` of role `Web`");
}

#[test]
fn a_mapped_version_that_is_delivered_already_but_not_named_is_taken_up() {
    // Both secrets are there and both are the newest of their objects; only the cscfg holds the old thumbprint.
    let (old, new) = (leaf("shop.contoso.com", 2025), leaf("shop.contoso.com", 2026));
    let (api, third) = (leaf("api.contoso.com", 2025), leaf("third.contoso.com", 2025));
    let mut world = World::new();
    world
        .holds("old/1", &old)
        .holds("new/1", &new)
        .holds("api/1", &api)
        .holds("third/1", &third)
        .role("Web", &[("ShopTls", &old), ("Api", &api), ("Third", &third)])
        .delivers(&["old/1", "new/1", "api/1", "third/1"]);
    world.map("ShopTls", "shop-kv/certificates/new");
    let update = world.planned();
    assert_eq!(changed(&update), [change("Web", "ShopTls", &new)]);
    assert_eq!(secrets(&update), ["shop-kv/new/1", "shop-kv/api/1", "shop-kv/third/1"]);
    world.after(&update).assert_current();
}
