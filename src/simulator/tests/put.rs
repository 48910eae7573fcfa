//! What a PUT may not carry, and what the unsettled facts make of one.

use std::time::Duration;

use certroll_simulator::pki::LeafRequest;
use certroll_simulator::scenario::{self, Data, shop};
use certroll_simulator::switches::{
    ManualOperation, MissingThumbprints, OsProfileOmitted, PutWhileUpdating, SecretErrors, Switches,
    TagsOmitted,
};
use serde_json::{Value, json};

use crate::support::{World, code, message};

/// A change of the body and what it is refused with.
type Spoilt = (fn(&mut Value), u16, &'static str, &'static str);

#[test]
fn a_body_that_does_not_fit_is_refused_by_name() {
    let cases: &[Spoilt] = &[
        (|body| body["id"] = json!("x"), 400, "InvalidRequestContent", "'id'"),
        (
            |body| body["properties"]["uniqueId"] = json!("x"),
            400,
            "InvalidRequestContent",
            "properties.uniqueId",
        ),
        (|body| body["properties"]["colour"] = json!(1), 400, "InvalidRequestContent", "properties.colour"),
        (
            |body| {
                body.as_object_mut().unwrap().remove("location");
            },
            400,
            "InvalidParameter",
            "location",
        ),
        (|body| body["location"] = json!("chinanorth"), 409, "InvalidResourceLocation", "chinaeast2"),
        (|body| body["zones"] = json!(["1"]), 400, "ResourceZonesCannotBeModified", "zones"),
        (|body| body["properties"]["packageUrl"] = json!(""), 400, "InvalidParameter", "packageUrl"),
        (
            |body| body["properties"]["upgradeMode"] = json!("Sometimes"),
            400,
            "InvalidParameter",
            "upgradeMode",
        ),
        (|body| body["properties"]["configuration"] = json!("<a"), 400, "InvalidParameter", "not XML"),
        (
            |body| rewrite(body, "\"ShopTls\"", "\"Other\""),
            400,
            "InvalidParameter",
            "certificate 'Other' for role 'Web'",
        ),
        (|body| rewrite(body, "\"Worker\"", "\"Other\""), 400, "InvalidParameter", "No role named Other"),
        (|body| rewrite(body, "count=\"2\"", "count=\"3\""), 400, "InvalidParameter", "instance count"),
        (|body| rewrite(body, "sha1", "sha256"), 400, "InvalidParameter", "sha256"),
        (repeat_vault, 400, "InvalidParameter", "repeated instances of /SUBSCRIPTIONS/"),
        (
            |body| vault(body, "/subscriptions/x/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v"),
            400,
            "InvalidParameter",
            "SubscriptionId 'x' contained in the Key Vault Id",
        ),
        (|body| vault(body, "shop-kv"), 400, "InvalidParameter", "shop-kv"),
        (
            |body| url(body, "https://shop-kv.vault.azure.cn/secrets/shop-tls"),
            400,
            "InvalidParameter",
            "versioned",
        ),
        (
            |body| url(body, "https://shop-kv.vault.azure.net/secrets/shop-tls/1"),
            400,
            "InvalidParameter",
            "versioned",
        ),
    ];
    for (spoil, status, expected, part) in cases {
        let mut world = World::new();
        world.renew();
        let mut body = world.update_body();
        spoil(&mut body);
        let reply = world.put(&body);
        assert_eq!((reply.status, code(&reply)), (*status, *expected), "{reply:?}");
        assert!(message(&reply).contains(part), "{part}: {reply:?}");
        assert_eq!(world.cloud.service("shop").unwrap().operation(), None);
    }
    let mut world = World::new();
    let path = world.path("");
    let mut request = world.request("PUT", &path, None);
    request.body = b"location".to_vec();
    let certroll_simulator::cloud::Outcome::Answered(reply) = world.cloud.answer(&request) else { panic!() };
    assert_eq!((reply.status, code(&reply)), (400, "InvalidRequestContent"));
    request.headers.retain(|(name, _)| name != "content-type");
    let certroll_simulator::cloud::Outcome::Answered(reply) = world.cloud.answer(&request) else { panic!() };
    assert_eq!((reply.status, code(&reply)), (415, "UnsupportedMediaType"));
}

fn rewrite(body: &mut Value, from: &str, to: &str) {
    let text = body["properties"]["configuration"].as_str().unwrap();
    assert!(text.contains(from));
    body["properties"]["configuration"] = json!(text.replace(from, to));
}

fn repeat_vault(body: &mut Value) {
    let groups = body["properties"]["osProfile"]["secrets"].as_array_mut().unwrap();
    let mut again = groups[0].clone();
    again["sourceVault"]["id"] = json!(again["sourceVault"]["id"].as_str().unwrap().to_uppercase());
    groups.push(again);
}

fn vault(body: &mut Value, id: &str) {
    body["properties"]["osProfile"]["secrets"][0]["sourceVault"]["id"] = json!(id);
}

fn url(body: &mut Value, url: &str) {
    body["properties"]["osProfile"]["secrets"][0]["vaultCertificates"][0]["certificateUrl"] = json!(url);
}

/// The error that a PUT meets, at once or in its operation.
fn error_of(world: &mut World, body: &Value) -> (bool, String, String) {
    let reply = world.put(body);
    if reply.status != 200 {
        return (true, code(&reply).to_owned(), message(&reply).to_owned());
    }
    let path = World::poll_path(&reply);
    world.cloud.finish();
    let poll = world.poll(&path);
    let error =
        if poll["error"]["details"].is_array() { &poll["error"]["details"][0] } else { &poll["error"] };
    assert_eq!(
        world.get("")["properties"]["provisioningState"],
        json!(if error.is_null() { "Succeeded" } else { "Failed" })
    );
    (
        false,
        error["code"].as_str().unwrap_or_default().to_owned(),
        error["message"].as_str().unwrap_or_default().to_owned(),
    )
}

#[test]
fn a_thumbprint_without_a_secret_is_refused_in_microsofts_words() {
    for (at_once, answer) in [(true, MissingThumbprints::Sync), (false, MissingThumbprints::Operation)] {
        let mut world = World::new();
        world.cloud.switches.missing_thumbprints = answer;
        world.renew();
        let mut body = world.update_body();
        body["properties"]["osProfile"]["secrets"][0]["vaultCertificates"].as_array_mut().unwrap().remove(0);
        let old = world.leaves();
        let (sync, _, text) = error_of(&mut world, &body);
        let leaf = &world.shop.stored_leaf.thumbprint;
        assert_eq!(sync, at_once);
        assert_eq!(
            text,
            format!(
                "The thumbprints specified in the CSCFG do not have corresponding certificates in osProfile.secrets. \
                 Add the missing certificates in osProfile.secrets. Missing thumbprints: Web|{leaf}, Worker|{leaf}. To \
                 understand more about how to use KeyVault for certificates, please follow the documentation at \
                 https://aka.ms/cses-kv"
            )
        );
        assert_eq!(world.leaves(), old);
    }
}

#[test]
fn vaults_and_secrets_that_cannot_be_used_are_refused() {
    type Case = (fn(&mut World), &'static str, &'static str);
    let cases: [Case; 5] = [
        (
            |world| world.cloud.vault_mut("shop-kv").unwrap().enabled_for_deployment = false,
            "KeyVaultAccessForbidden",
            "not been enabled",
        ),
        (
            |world| world.cloud.vault_mut("shop-kv").unwrap().resource_group = "other".to_owned(),
            "KeyVaultAccessForbidden",
            "true resource id",
        ),
        (
            |world| world.cloud.vault_mut("shop-kv").unwrap().location = "chinanorth".to_owned(),
            "InvalidParameter",
            "same location",
        ),
        (
            |world| {
                world.cloud.vault_mut("shop-kv").unwrap().delete(shop::LEAF);
            },
            "KeyVaultSecretDoesNotExist",
            "shop-tls",
        ),
        (
            |world| {
                let now = world.cloud.now();
                let kv = world.cloud.vault_mut("shop-kv").unwrap();
                let version = kv.set_secret("not-json", "bm8ganNvbg==", None, now);
                let url = kv.secret_url("not-json", &version);
                world.shop.stored_leaf.url = url;
            },
            "CertificateImproperlyFormatted",
            "JSON",
        ),
    ];
    for (spoil, expected, part) in cases {
        for at_once in [SecretErrors::Sync, SecretErrors::Operation] {
            let mut world = World::new();
            world.cloud.switches.secret_errors = at_once;
            world.renew();
            let body = world.update_body();
            spoil(&mut world);
            let body = if part == "JSON" { world.update_body() } else { body };
            let (sync, code, text) = error_of(&mut world, &body);
            assert_eq!((sync, code.as_str()), (at_once == SecretErrors::Sync, expected), "{text}");
            assert!(text.contains(part), "{text}");
        }
    }
}

#[test]
fn what_is_left_out_is_kept_or_reset_as_the_switches_say() {
    let bare = |world: &mut World| {
        let configuration = world.get("")["properties"]["configuration"].clone();
        json!({ "location": "chinaeast2", "properties": { "configuration": configuration } })
    };
    let mut world = World::with(|plan| {
        plan.zone("1").extension(json!({ "name": "rdp", "properties": {
        "publisher": "p", "type": "RDP", "settings": "<a/>", "protectedSettings": "sesame" } }))
    });
    let before = world.get("");
    assert!(!before.to_string().contains("sesame"));
    let body = bare(&mut world);
    let after = world.put(&body).body.unwrap();
    for member in ["roleProfile", "networkProfile", "extensionProfile", "osProfile"] {
        assert_eq!(after["properties"][member], before["properties"][member], "{member}");
    }
    assert_eq!(after["zones"], before["zones"]);
    assert_eq!(after.get("tags"), None);

    let mut world = World::new();
    world.cloud.switches.tags_omitted = TagsOmitted::Kept;
    world.cloud.switches.os_profile_omitted = OsProfileOmitted::Wiped;
    let body = bare(&mut world);
    let reply = world.put(&body);
    assert!(message(&reply).contains("Missing thumbprints: Web|"), "{reply:?}");
}

#[test]
fn an_empty_list_of_extensions_deletes_them() {
    let mut world =
        World::with(|plan| plan.extension(json!({ "name": "rdp", "properties": { "type": "RDP" } })));
    let mut body = world.update_body();
    body["properties"]["extensionProfile"] = json!({ "extensions": [] });
    let reply = world.put(&body);
    assert_eq!(reply.body.unwrap()["properties"]["extensionProfile"], json!({ "extensions": [] }));
    assert_eq!(world.get("")["properties"].get("extensionProfile"), None);
}

#[test]
fn a_second_put_is_refused_or_takes_the_place_of_the_first() {
    let mut world = World::new();
    let old = world.update_body();
    world.renew();
    let new = world.update_body();
    let first = World::poll_path(&world.put(&new));
    world.cloud.advance(Duration::from_millis(2500));
    let refused = world.put(&old);
    assert_eq!((refused.status, code(&refused)), (409, "OperationNotAllowed"));
    world.cloud.switches.put_while_updating = PutWhileUpdating::Replaces;
    let second = World::poll_path(&world.put(&old));
    assert_eq!(world.poll(&first)["status"], "Canceled");
    world.cloud.finish();
    assert_eq!(world.poll(&second)["status"], "Succeeded");
    let leaf = world.cloud.service("shop").unwrap().cscfg.roles[0].certificates[0].thumbprint.clone();
    assert!(world.leaves().iter().all(|one| *one == leaf));
    assert_eq!(world.states(), ["RoleStateStarted"; 4]);
}

#[test]
fn a_renewal_succeeds_under_every_reading_of_the_unsettled_facts() {
    let mut all = Switches::each_turned();
    all.push(("documented", Switches::documented()));
    all.push((
        "other",
        Switches { manual_operation: ManualOperation::CompletesBeforeWalk, ..Switches::other() },
    ));
    for (name, switches) in all {
        let mut world = World::new();
        world.cloud.switches = switches;
        world.renew();
        let leaf = world.shop.stored_leaf.thumbprint.clone();
        // Lists may leave the configuration out, a GET never does.
        let body = world.update_body();
        let reply = world.put(&body);
        assert_eq!(reply.status, 200, "{name}: {reply:?}");
        world.cloud.finish();
        assert!(world.leaves().iter().all(|one| *one == leaf), "{name}");
    }
}

#[test]
fn a_bare_certificate_in_a_json_secret_is_accepted_or_not() {
    use certroll_simulator::switches::BareCertificateInPfx;
    for (answer, accepted) in [(BareCertificateInPfx::Accepted, true), (BareCertificateInPfx::Refused, false)]
    {
        let mut world = World::new();
        world.cloud.switches.bare_certificate_in_pfx = answer;
        world.cloud.switches.secret_errors = SecretErrors::Sync;
        world.renew();
        let issued = world.shop.root.issued();
        world.shop.stored_root =
            scenario::json_secret(&mut world.cloud, shop::VAULT, shop::ROOT, &issued, Data::Bare);
        let body = world.update_body();
        let reply = world.put(&body);
        assert_eq!(reply.status == 200, accepted, "{reply:?}");
    }
}

#[test]
fn a_renewed_leaf_with_other_names_is_no_concern_of_the_services() {
    let mut world = World::new();
    let now = world.cloud.now();
    world.shop.renew_leaf_as(
        &mut world.cloud,
        &LeafRequest::server("other.contoso.com", now).without_server_auth(),
    );
    let body = world.update_body();
    assert_eq!(world.put(&body).status, 200);
}
