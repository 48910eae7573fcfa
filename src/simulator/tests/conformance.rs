//! A ledger with every kind of exchange, written to the file that `CERTROLL_SIMULATOR_LEDGER` names: it can then be
//! judged against Microsoft's OpenAPI documents.

use certroll_simulator::scenario::{RESOURCE_GROUP, SUBSCRIPTION};
use certroll_simulator::service::model::UpgradeMode;
use serde_json::json;

use crate::support::World;

#[test]
fn the_ledger_holds_an_object_a_line_with_the_agreed_members() {
    let mut ndjson = String::new();
    for version in ["2022-04-04", "2022-09-04"] {
        let mut world = World::with(|plan| {
            plan.upgrade_mode(UpgradeMode::Manual).extension(json!({
            "name": "rdp", "properties": { "publisher": "Microsoft.Windows.Azure.Extensions", "type": "RDP",
            "typeHandlerVersion": "1.2", "autoUpgradeMinorVersion": false, "rolesAppliedTo": ["*"],
            "settings": {}, "protectedSettings": "sesame" } }))
        });
        world.version = version;
        world.renew();
        let body = world.update_body();
        let path = World::poll_path(&world.put(&body));
        world.cloud.finish();
        world.poll(&path);
        for below in [
            "",
            "/instanceView",
            "/roleInstances",
            "/roleInstances?$expand=instanceView",
            "/roleInstances/Web_IN_0",
            "/roleInstances/Web_IN_0/instanceView",
            "/roles",
            "/updateDomains",
            "/updateDomains/0",
        ] {
            world.get(below);
        }
        for domain in 0..2 {
            let path = world.path(&format!("/updateDomains/{domain}"));
            assert_eq!(world.send("PUT", &path, None).status, 202);
            world.get("/instanceView");
            world.cloud.finish();
        }
        let mut auto = world.update_body();
        auto["properties"]["upgradeMode"] = json!("Auto");
        auto["properties"]["extensionProfile"] = json!({ "extensions": [] });
        world.put(&auto);
        world.cloud.finish();
        let path = world.path("");
        world.send("PATCH", &path, Some(&json!({ "tags": { "a": "b" } })));
        let restart = world.path("/restart");
        world.send("POST", &restart, Some(&json!({ "roleInstances": ["Web_IN_0"] })));
        let base = "providers/Microsoft.Compute/cloudServices?api-version";
        for list in [
            format!("/subscriptions/{SUBSCRIPTION}/{base}={version}"),
            format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/{base}={version}"),
        ] {
            assert_eq!(world.send("GET", &list, None).status, 200);
        }
        ndjson.push_str(&world.cloud.ledger.to_ndjson());
    }
    assert!(!ndjson.contains("sesame"));
    for line in ndjson.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let members: Vec<&String> = line.as_object().unwrap().keys().collect();
        assert_eq!(
            members,
            [
                "method",
                "url",
                "request_headers",
                "request_body",
                "status",
                "response_headers",
                "response_body"
            ]
        );
        assert_eq!(line["request_headers"]["authorization"], "[redacted]");
    }
    if let Ok(path) = std::env::var("CERTROLL_SIMULATOR_LEDGER") {
        std::fs::write(path, ndjson).unwrap();
    }
}
