//! The resource: what is read from it, what is sent, and by what a change of somebody else shows.

use serde_json::{Value, json};

use super::{CloudServiceModel, OsProfile, ProvisioningState, RoleInstance, UpgradeMode};
use crate::cscfg::ServiceConfiguration;
use crate::target::cloud_service::InstanceState;

const CSCFG: &str = "<ServiceConfiguration serviceName=\"Shop\" \
     xmlns=\"http://schemas.microsoft.com/ServiceHosting/2008/10/ServiceConfiguration\"/>";

fn whole() -> Value {
    json!({
        "id": "/subscriptions/s/resourceGroups/SHOP/providers/Microsoft.Compute/cloudServices/shop",
        "name": "shop",
        "type": "Microsoft.Compute/cloudServices",
        "location": "chinaeast2",
        "etag": "W/1",
        "tags": { "team": "shop" },
        "zones": ["1"],
        "systemData": { "lastModifiedAt": "2026-05-01T00:00:00Z" },
        "properties": {
            "configuration": CSCFG,
            "osProfile": { "secrets": [], "later": 1 },
            "upgradeMode": "Manual",
            "roleProfile": { "roles": [{ "name": "Web", "sku": { "name": "D1", "capacity": 3 } }, { "name": "X" }] },
            "networkProfile": { "loadBalancerConfigurations": [] },
            "extensionProfile": { "extensions": [
                { "name": "RDP", "properties": { "type": "RDP", "settings": "", "provisioningState": "Succeeded" } }
            ] },
            "provisioningState": "Succeeded",
            "uniqueId": "c0ffee",
            "notYetKnown": true
        }
    })
}

fn model(value: Value) -> CloudServiceModel {
    CloudServiceModel::new(value).unwrap()
}

/// The whole resource with one member set, or taken out.
fn with(path: &str, value: Option<Value>) -> CloudServiceModel {
    let mut whole = whole();
    let (parent, key) = path.rsplit_once('/').unwrap();
    let members = whole.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => members.insert(key.to_owned(), value),
        None => members.remove(key),
    };
    model(whole)
}

fn body(model: &CloudServiceModel) -> Value {
    let configuration = ServiceConfiguration::parse(CSCFG).unwrap();
    let profile = model.os_profile().unwrap();
    model.put_body(&configuration, &profile).unwrap().value().clone()
}

#[test]
fn a_put_carries_what_it_must_and_nothing_else() {
    assert_eq!(
        body(&model(whole())),
        json!({
            "location": "chinaeast2",
            "tags": { "team": "shop" },
            "zones": ["1"],
            "properties": {
                "configuration": CSCFG,
                "osProfile": { "secrets": [], "later": 1 },
                "upgradeMode": "Manual"
            }
        })
    );
}

#[test]
fn a_put_makes_nothing_up() {
    for (path, absent) in
        [("/zones", "/zones"), ("/tags", "/tags"), ("/properties/upgradeMode", "/properties/upgradeMode")]
    {
        let body = body(&with(path, None));
        assert_eq!(body.pointer(absent), None);
        assert!(body.pointer("/properties/osProfile").is_some());
    }
    let nowhere = with("/location", None);
    let configuration = ServiceConfiguration::parse(CSCFG).unwrap();
    let fault = nowhere.put_body(&configuration, &nowhere.os_profile().unwrap()).unwrap_err();
    assert!(fault.to_string().contains("`location` is missing"), "{fault}");
    // A mode that is not known is sent back as it came.
    let rolling = with("/properties/upgradeMode", Some("Rolling".into()));
    assert_eq!(rolling.upgrade_mode(), UpgradeMode::Auto);
    assert_eq!(body(&rolling)["properties"]["upgradeMode"], "Rolling");
}

#[test]
fn what_moves_by_itself_is_no_change() {
    let before = model(whole()).untouched_members();
    for (path, value) in [
        ("/systemData", json!({ "lastModifiedAt": "2026-06-01T00:00:00Z" })),
        ("/id", json!("/subscriptions/S/resourceGroups/shop/providers/Microsoft.Compute/cloudServices/shop")),
        ("/etag", json!("W/2")),
        ("/properties/provisioningState", json!("Updating")),
        ("/properties/configuration", json!("other")),
        ("/properties/osProfile", json!({})),
        (
            "/properties/extensionProfile",
            json!({ "extensions": [
                { "name": "RDP", "properties": { "type": "RDP", "settings": "", "provisioningState": "Updating" } }
            ] }),
        ),
    ] {
        assert_eq!(with(path, Some(value)).untouched_members(), before, "{path}");
        if path != "/properties/extensionProfile" {
            assert_eq!(with(path, None).untouched_members(), before, "{path}");
        }
    }
}

#[test]
fn what_somebody_else_changes_shows() {
    let before = model(whole()).untouched_members();
    for (path, value) in [
        ("/tags", json!({ "team": "api" })),
        ("/location", json!("chinanorth2")),
        ("/properties/upgradeMode", json!("Auto")),
        ("/properties/uniqueId", json!("decaf")),
        ("/properties/notYetKnown", json!(false)),
        ("/properties/new", json!(1)),
        ("/properties/networkProfile", json!({})),
        (
            "/properties/roleProfile",
            json!({ "roles": [{ "name": "Web", "sku": { "name": "D1", "capacity": 4 } }] }),
        ),
        ("/properties/extensionProfile", json!({ "extensions": [] })),
    ] {
        assert_ne!(with(path, Some(value)).untouched_members(), before, "{path}");
    }
}

#[test]
fn provisioning_states() {
    for (word, expected) in [
        ("Succeeded", ProvisioningState::Succeeded),
        ("succeeded", ProvisioningState::Succeeded),
        ("Failed", ProvisioningState::Failed),
        ("Canceled", ProvisioningState::Failed),
        ("Cancelled", ProvisioningState::Failed),
        ("Creating", ProvisioningState::Busy("Creating".to_owned())),
        ("Updating", ProvisioningState::Busy("Updating".to_owned())),
        ("Deleting", ProvisioningState::Busy("Deleting".to_owned())),
        ("Whatever", ProvisioningState::Busy("Whatever".to_owned())),
    ] {
        assert_eq!(with("/properties/provisioningState", Some(word.into())).provisioning_state(), expected);
    }
    assert_eq!(with("/properties/provisioningState", None).provisioning_state(), ProvisioningState::Unknown);
}

#[test]
fn regions_compare_without_case_and_spaces() {
    for text in ["China East 2", "chinaeast2", "ChinaEast2"] {
        assert_eq!(with("/location", Some(text.into())).location().as_deref(), Some("chinaeast2"));
    }
    // What is sent is what was read.
    assert_eq!(body(&with("/location", Some("China East 2".into())))["location"], "China East 2");
    assert_eq!(with("/location", None).location(), None);
}

#[test]
fn views_of_parts() {
    let model = model(whole());
    assert_eq!(model.id().unwrap().name(), "shop");
    assert_eq!(model.last_modified(), Some("2026-05-01T00:00:00Z"));
    assert_eq!(model.role_capacities(), [("Web".to_owned(), 3)]);
    assert!(model.has_configuration() && !model.has_key_vault_extension());
    for (path, value, said) in [
        (
            "/properties/configuration",
            Some(json!(1)),
            "`properties.configuration` of the cloud service is a number",
        ),
        ("/properties/configuration", None, "`properties.configuration` is missing"),
        ("/properties/configuration", Some(json!("<x")), "(the cscfg)"),
        ("/id", Some(json!("shop")), "`id` of the cloud service"),
    ] {
        let model = with(path, value);
        let faults = [model.configuration().err(), model.id().err()];
        let texts: Vec<String> = faults.iter().flatten().map(ToString::to_string).collect();
        assert!(texts.iter().any(|text| text.contains(said)), "{texts:?}");
    }
    assert!(CloudServiceModel::new(json!([])).is_err());
}

#[test]
fn instances_and_their_states() {
    for (code, state) in [
        ("RoleState/RoleStateStarted", InstanceState::Started),
        ("rolestatestarted", InstanceState::Started),
        ("RoleState/RoleStateBusy", InstanceState::Other("RoleStateBusy".to_owned())),
        ("", InstanceState::Other(String::new())),
    ] {
        assert_eq!(InstanceState::from_code(code), state);
    }
    let instance = |name: &str| RoleInstance {
        name: name.to_owned(),
        update_domain: None,
        state: InstanceState::Unknown,
    };
    assert_eq!(instance("Web_IN_Front_IN_12").role().as_str(), "Web_IN_Front");
    assert_eq!(instance("odd").role().as_str(), "odd");
}

#[test]
fn members_that_a_service_fills_in_are_no_difference() {
    let vault = "/subscriptions/s/resourceGroups/shop/providers/Microsoft.KeyVault/vaults/shop-kv";
    let profile = |vault: &str, members: Value| {
        let mut entry = json!({ "certificateUrl": "https://shop-kv.vault.azure.cn/secrets/tls/1" });
        entry.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        OsProfile::read(Some(
            &json!({ "secrets": [{ "sourceVault": { "id": vault }, "vaultCertificates": [entry] }] }),
        ))
        .unwrap()
    };
    let plain = profile(vault, json!({}));
    let flagged = profile(vault, json!({ "isBootstrapCertificate": "true" }));
    for (a, b, differs) in [
        (&plain, profile(&vault.to_uppercase(), json!({})), false),
        (&plain, profile(vault, json!({ "isBootstrapCertificate": false })), false),
        (&plain, profile(vault, json!({ "isBootstrapCertificate": null })), false),
        (&flagged, profile(vault, json!({ "isBootstrapCertificate": true })), false),
        (&flagged, plain.clone(), true),
        (&plain, flagged.clone(), true),
        (&plain, profile(vault, json!({ "later": [1] })), true),
        (&plain, profile(&vault.replace("resourceGroups/shop", "resourceGroups/other"), json!({})), true),
    ] {
        assert_eq!(!a.members_that_differ(&b).is_empty(), differs, "{a:?} {b:?}");
    }
}

#[test]
fn groups_put_together_keep_the_members_of_each() {
    let vault = "/subscriptions/s/resourceGroups/shop/providers/Microsoft.KeyVault/vaults/shop-kv";
    let entry =
        |name: &str| json!({ "certificateUrl": format!("https://shop-kv.vault.azure.cn/secrets/{name}/1") });
    let profile = OsProfile::read(Some(&json!({ "secrets": [
        { "sourceVault": { "id": vault }, "vaultCertificates": [entry("a")], "one": 1 },
        { "sourceVault": { "id": vault.to_uppercase(), "x": 3 }, "vaultCertificates": [entry("a"), entry("b")], "one": 2, "two": 2 }
    ] })));
    let value = profile.unwrap().to_value();
    assert_eq!(
        value["secrets"],
        json!([{ "sourceVault": { "id": vault, "x": 3 }, "vaultCertificates": [entry("a"), entry("b")], "one": 1, "two": 2 }])
    );
}
