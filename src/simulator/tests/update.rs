//! A renewed set of certificates on its way through an update.

use std::time::Duration;

use certroll_simulator::endpoint::presented;
use certroll_simulator::scenario::shop;
use serde_json::json;

use crate::support::{World, header};

#[test]
fn a_put_is_answered_as_recorded_and_done_only_when_its_operation_is() {
    let mut world = World::new();
    world.renew();
    let body = world.update_body();
    let before = world.get("");
    let reply = world.put(&body);
    assert_eq!(reply.status, 200, "{reply:?}");
    let model = reply.body.clone().unwrap();
    assert_eq!(model["properties"]["provisioningState"], "Updating");
    assert_eq!(model["properties"]["configuration"], body["properties"]["configuration"]);
    assert_eq!(model["properties"]["osProfile"], body["properties"]["osProfile"]);
    assert_ne!(model["systemData"]["lastModifiedAt"], before["systemData"]["lastModifiedAt"]);
    assert_eq!(model["systemData"]["createdAt"], before["systemData"]["createdAt"]);
    assert!(model["id"].as_str().unwrap().contains("/resourceGroups/SHOP/"));
    assert_eq!(header(&reply, "location"), None);
    assert_eq!(header(&reply, "retry-after"), None);
    assert_eq!(header(&reply, "x-ms-async-operation-timeout"), Some("PT8H20M"));
    let id = header(&reply, "x-ms-request-id").unwrap();
    assert!(header(&reply, "azure-asyncoperation").unwrap().contains(&format!("/CsOperations/{id}?")));

    let path = World::poll_path(&reply);
    let running = world.poll(&path);
    assert_eq!(running["status"], "InProgress");
    assert_eq!(running.get("endTime"), None);
    let old = world.leaves();
    world.cloud.advance(Duration::from_millis(2100));
    assert_eq!(
        world.states(),
        ["RoleStateStopping", "RoleStateStarted", "RoleStateStopping", "RoleStateStarted"]
    );
    assert_eq!(world.leaves(), old);
    assert_eq!(world.get("/instanceView")["statuses"][2]["code"], "CurrentUpgradeDomain/0");
    world.cloud.finish();
    assert_eq!(world.poll(&path)["status"], "Succeeded");
    assert!(world.poll(&path)["endTime"].is_string());
    assert_eq!(world.states(), ["RoleStateStarted"; 4]);
    assert!(world.leaves().iter().all(|leaf| *leaf == world.shop.stored_leaf.thumbprint));
    assert_eq!(world.get("")["properties"]["provisioningState"], "Succeeded");
    assert_eq!(world.get("/instanceView")["statuses"][2]["code"], "CurrentUpgradeDomain/-1");
}

#[test]
fn an_endpoint_presents_what_the_instance_holds_while_the_walk_goes_on() {
    let mut world = World::new();
    let old = world.shop.clone();
    world.renew();
    let body = world.update_body();
    world.put(&body);
    let leaf_at = |world: &World, turn| presented(&world.cloud, "shop", shop::ENDPOINT, turn).unwrap();
    // The first domain is being walked: the balancer knows one instance only, with the old certificate.
    world.cloud.advance(Duration::from_millis(2100));
    for turn in 0..2 {
        assert_eq!(leaf_at(&world, turn).instance, "Web_IN_1");
        assert_eq!(
            leaf_at(&world, turn).chain,
            [old.leaf.der.clone(), old.intermediate.certificate_der().to_vec()]
        );
    }
    world.cloud.finish();
    for turn in 0..2 {
        let new = &world.shop;
        assert_eq!(leaf_at(&world, turn).instance, format!("Web_IN_{turn}"));
        assert_eq!(
            leaf_at(&world, turn).chain,
            [new.leaf.der.clone(), new.intermediate.certificate_der().to_vec()]
        );
    }
}

#[test]
fn a_simultaneous_update_takes_every_instance_down_at_once() {
    let mut world = World::new();
    world.renew();
    let mut body = world.update_body();
    body["properties"]["upgradeMode"] = json!("Simultaneous");
    assert_eq!(world.put(&body).status, 200);
    world.cloud.advance(Duration::from_millis(2100));
    assert_eq!(world.states(), ["RoleStateStopping"; 4]);
    assert_eq!(presented(&world.cloud, "shop", shop::ENDPOINT, 0), None);
    world.cloud.finish();
    assert_eq!(world.states(), ["RoleStateStarted"; 4]);
}

#[test]
fn a_service_that_is_off_is_updated_and_stays_off() {
    let mut world = World::with(certroll_simulator::scenario::ServicePlan::powered_off);
    world.renew();
    let body = world.update_body();
    let path = World::poll_path(&world.put(&body));
    world.cloud.finish();
    assert_eq!(world.poll(&path)["status"], "Succeeded");
    let view = world.get("/instanceView");
    assert_eq!(view["statuses"][1]["code"], "PowerState/stopped");
    assert_eq!(world.states(), ["RoleStateStopped"; 4]);
    assert_eq!(world.leaves()[0], world.shop.stored_leaf.thumbprint);
}

#[test]
fn two_puts_in_the_same_instant_still_move_last_modified() {
    let mut world = World::new();
    let body = world.update_body();
    let seen = |world: &mut World| world.get("")["systemData"]["lastModifiedAt"].as_str().unwrap().to_owned();
    let before = seen(&mut world);
    world.put(&body);
    assert_ne!(seen(&mut world), before);
}
