//! References that follow their own vault object.

use serde_json::json;

use super::world::{RDP, World, ca, change, changed, leaf, renewed, secrets, vault_id};
use crate::plan::Status;

#[test]
fn a_renewed_certificate_takes_the_place_of_the_old_one() {
    let (world, old, new) = renewed();
    let update = world.planned();
    assert_eq!(changed(&update), [change("Web", "ShopTls", &new)]);
    assert_eq!(update.certificates[0].from, Some(old.thumbprint()));
    assert_eq!(update.certificates[0].source, "shop-kv/certificates/tls");
    assert_eq!(secrets(&update), ["shop-kv/tls/2"]);
    assert_eq!(
        update.wanted.configuration,
        world.cscfg().replace(&old.thumbprint().to_string(), &new.thumbprint().to_string())
    );
    assert_eq!(update.expected.configuration, world.cscfg());
    assert_eq!(update.expected.rest, update.wanted.rest);
    assert_eq!(update.warnings, [] as [String; 0]);
    world.after(&update).assert_current();
}

#[test]
fn a_set_goes_in_one_update() {
    let root = ca("Root", None);
    let (issuing1, issuing2) = (ca("Issuing 1", Some(&root)), ca("Issuing 2", Some(&root)));
    let make = |issuer, years| {
        super::world::Make { years, issuer: Some(issuer), ..super::world::Make::default() }.made()
    };
    let (old, new) = (make(&issuing1, (2025, 2027)), make(&issuing2, (2026, 2028)));
    let mut world = World::new();
    world
        .holds("tls/1", &old)
        .holds("tls/2", &new)
        .holds_secret("issuing/1", &issuing1.certificate)
        .holds_secret("issuing/2", &issuing2.certificate)
        .holds_secret("root/1", &root.certificate)
        .role("Web", &[("Tls", &old), ("Issuing", &issuing1.certificate), ("Root", &root.certificate)])
        .delivers(&["tls/1", "issuing/1", "root/1"]);
    let update = world.planned();
    assert_eq!(
        changed(&update),
        [change("Web", "Tls", &new), change("Web", "Issuing", &issuing2.certificate)]
    );
    assert_eq!(secrets(&update), ["shop-kv/tls/2", "shop-kv/issuing/2", "shop-kv/root/1"]);
    assert_eq!(update.certificates[1].source, "shop-kv/secrets/issuing");

    // Without the new intermediate the chain would break: the whole service waits for it.
    world.object("shop-kv", "issuing").versions.pop();
    let violations = world.blocked();
    assert_eq!(violations.len(), 1, "{violations:#?}");
    assert_eq!(violations[0].guard, "chain");
    assert!(violations[0].found.contains("CN=Issuing 2"), "{}", violations[0]);
}

#[test]
fn one_certificate_in_several_roles_and_names_changes_everywhere() {
    let (mut world, old, new) = renewed();
    world.role("Api", &[("ApiTls", &old), ("Client", &old)]);
    let update = world.planned();
    assert_eq!(
        changed(&update),
        [change("Web", "ShopTls", &new), change("Api", "ApiTls", &new), change("Api", "Client", &new)]
    );
    assert_eq!(secrets(&update), ["shop-kv/tls/2"]);
    assert_eq!(update.secrets.len(), 1);
}

#[test]
fn lower_case_and_spaced_thumbprints_are_read_and_upper_case_is_written() {
    for spell in [
        |text: &str| text.to_lowercase(),
        |text: &str| format!("\u{200e}{}", text.to_lowercase()),
        |text: &str| {
            text.as_bytes()
                .chunks(2)
                .map(|pair| std::str::from_utf8(pair).unwrap())
                .collect::<Vec<_>>()
                .join(" ")
        },
    ] {
        let (mut world, old, new) = renewed();
        let written = spell(&old.thumbprint().to_string());
        world.roles[0].certificates[0].1 = written.clone();
        let update = world.planned();
        assert_eq!(
            update.wanted.configuration,
            world.cscfg().replace(&written, &new.thumbprint().to_string()),
            "{written}"
        );
    }
}

#[test]
fn an_empty_thumbprint_is_left_alone_unless_it_is_mapped() {
    let (mut world, _, new) = renewed();
    world.roles[0].certificates.push(("Template".to_owned(), " ".to_owned()));
    assert_eq!(changed(&world.planned()), [change("Web", "ShopTls", &new)]);
    world.map("Template", "shop-kv/certificates/tls");
    let update = world.planned();
    assert_eq!(changed(&update), [change("Web", "ShopTls", &new), change("Web", "Template", &new)]);
    assert_eq!(update.certificates[1].from, None);
    assert_eq!(secrets(&update), ["shop-kv/tls/2"]);
}

#[test]
fn a_thumbprint_that_is_none_blocks_the_change_and_nothing_else() {
    let (mut world, ..) = renewed();
    world.roles[0].certificates.push(("Template".to_owned(), "[later]".to_owned()));
    let violations = world.blocked();
    assert!(violations[0].subject.contains("`Template`"), "{}", violations[0]);
    assert!(violations[0].found.contains("[later]"), "{}", violations[0]);
    world.object("shop-kv", "tls").versions.pop();
    world.assert_current();
}

#[test]
fn the_remote_desktop_certificate_is_left_alone_unless_it_is_mapped() {
    let (old, new) = (leaf("rdp", 2025), leaf("rdp", 2026));
    let mut world = World::new();
    world.holds("rdp/1", &old).holds("rdp/2", &new).role("Web", &[(RDP, &old)]).delivers(&["rdp/1"]);
    world.assert_current();
    world.map(RDP, "shop-kv/certificates/rdp");
    assert_eq!(changed(&world.planned()), [change("Web", RDP, &new)]);
}

#[test]
fn the_remote_desktop_certificate_is_not_followed_and_must_be_there_still() {
    let rdp = leaf("rdp", 2025);
    let (mut world, _, new) = renewed();
    world.holds("rdp/1", &rdp).delivers(&["rdp/1"]).roles[0]
        .certificates
        .push((RDP.to_owned(), rdp.thumbprint().to_string()));
    world.version("rdp/1").enabled = false;
    // The service fetches every reference at every update: one that is gone would fail this one, and its way back.
    world.assert_kept_refused("rdp/1");
    let update = world.planned();
    assert_eq!(changed(&update), [change("Web", "ShopTls", &new)]);
    assert_eq!(secrets(&update), ["shop-kv/tls/2", "shop-kv/rdp/1"]);
}

#[test]
fn a_secret_that_no_certificate_names_follows_too_and_keeps_its_members() {
    let (old, new) = (leaf("bootstrap", 2025), leaf("bootstrap", 2026));
    let mut world = World::new();
    world.holds("boot/1", &old).holds("boot/2", &new).role("Web", &[]).deliver(
        &vault_id("shop-kv"),
        json!({
            "certificateUrl": "https://shop-kv.vault.azure.cn:443/secrets/boot/1",
            "isBootstrapCertificate": "true"
        }),
    );
    let update = world.planned();
    assert_eq!(changed(&update), []);
    assert_eq!(update.wanted.configuration, update.expected.configuration);
    let value = update.wanted.os_profile.to_value();
    let entry = &value["secrets"][0]["vaultCertificates"][0];
    assert_eq!(entry["certificateUrl"], "https://shop-kv.vault.azure.cn/secrets/boot/2");
    assert_eq!(entry["isBootstrapCertificate"], "true");
    world.after(&update).assert_current();
    world.policy.follow = crate::policy::Follow::Listed;
    world.assert_current();
}

#[test]
fn a_newer_version_with_the_same_certificate_changes_nothing_and_is_told() {
    let old = leaf("shop.contoso.com", 2025);
    let mut world = World::new();
    world.holds("tls/1", &old).holds("tls/2", &old).role("Web", &[("ShopTls", &old)]).delivers(&["tls/1"]);
    let notes = world.assert_current();
    assert_eq!(
        notes,
        ["the newest version of `shop-kv/secrets/tls` holds the certificate that is deployed already"]
    );
}

#[test]
fn a_disabled_newest_version_falls_back_to_the_one_before() {
    let (mut world, ..) = renewed();
    world.version("tls/2").enabled = false;
    world.assert_current();
    world.version("tls/1").enabled = false;
    let violations = world.blocked();
    assert_eq!(violations[0].guard, "enabled");
    assert!(violations[0].found.contains("2 versions, all disabled"), "{}", violations[0]);
    world.relax(crate::policy::Guard::Enabled);
    world.assert_current();
}

#[test]
fn a_vault_listed_twice_in_another_case_becomes_one_group() {
    let (mut world, _, new) = renewed();
    let other = leaf("api.contoso.com", 2025);
    world.holds("api/1", &other).roles[0]
        .certificates
        .push(("Api".to_owned(), other.thumbprint().to_string()));
    world.deliver(
        &vault_id("shop-kv").to_uppercase(),
        json!({ "certificateUrl": "https://SHOP-KV.vault.azure.cn:443/secrets/API/1" }),
    );
    let update = world.planned();
    assert_eq!(changed(&update), [change("Web", "ShopTls", &new)]);
    assert_eq!(update.wanted.os_profile.groups().len(), 1);
    assert_eq!(secrets(&update), ["shop-kv/tls/2", "shop-kv/API/1"]);
    world.after(&update).assert_current();
}

#[test]
fn a_thumbprint_that_no_secret_carries_blocks_a_change() {
    let (mut world, ..) = renewed();
    let nowhere = leaf("nowhere.contoso.com", 2025);
    world.roles[0].certificates.push(("Nowhere".to_owned(), nowhere.thumbprint().to_string()));
    let violations = world.blocked();
    assert_eq!(violations.len(), 1, "{violations:#?}");
    assert!(violations[0].subject.contains("`Nowhere`"), "{}", violations[0]);
    assert_eq!(violations[0].found, "no secret");
    // What the hint says helps.
    world.map("Nowhere", "shop-kv/certificates/tls");
    assert_eq!(secrets(&world.planned()), ["shop-kv/tls/2"]);
}

#[test]
fn a_thumbprint_that_two_secrets_carry_blocks_where_they_part() {
    let (mut world, old, _) = renewed();
    world.holds_secret("copy/1", &old).delivers(&["copy/1"]);
    let violations = world.blocked();
    assert!(violations[0].found.contains("hold different certificates"), "{violations:#?}");
    assert!(violations[0].hint.contains("name = \"ShopTls\""), "{violations:#?}");
    world.map("ShopTls", "shop-kv/certificates/tls");
    assert_eq!(secrets(&world.planned()), ["shop-kv/tls/2"]);
}

#[test]
fn a_copy_that_was_renewed_is_not_overlooked() {
    // The reference that sorts first is not the one that was renewed.
    let (mut world, old, _) = renewed();
    world.holds_secret("a-copy/1", &old).delivers(&["a-copy/1"]);
    assert!(matches!(world.status(), Status::Blocked { .. }));
}

#[test]
fn two_copies_that_were_renewed_alike_become_one() {
    let (mut world, old, new) = renewed();
    world.holds_secret("copy/1", &old).holds_secret("copy/2", &new).delivers(&["copy/1"]);
    let update = world.planned();
    assert_eq!(secrets(&update).len(), 1);
    world.after(&update).assert_current();
}

#[test]
fn a_new_version_that_somebody_added_by_hand_is_taken_up() {
    let (mut world, _, new) = renewed();
    world.delivers(&["tls/2"]);
    let update = world.planned();
    assert_eq!(changed(&update), [change("Web", "ShopTls", &new)]);
    assert_eq!(secrets(&update), ["shop-kv/tls/2"]);
}

#[test]
fn the_blast_radius_tells_what_goes_down() {
    let (mut world, ..) = renewed();
    world.role("Worker", &[]).roles[1].instances = 1;
    let update = world.planned();
    let roles: Vec<_> = update
        .blast_radius
        .roles
        .iter()
        .map(|role| (role.role.as_str(), role.instances, role.changes, role.goes_down()))
        .collect();
    assert_eq!(roles, [("Web", 2, true, false), ("Worker", 1, false, true)]);
    assert_eq!(update.blast_radius.update_domains, Some(2));
}
