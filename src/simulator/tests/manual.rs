//! Updates whose update domains are walked by hand.

use certroll_simulator::call::Call;
use certroll_simulator::faults::{Effect, Fault};
use certroll_simulator::service::model::UpgradeMode;
use certroll_simulator::service::operation::End;
use certroll_simulator::switches::ManualOperation;

use crate::support::{World, code, header};

fn walk(world: &mut World, domain: u32) -> certroll_simulator::message::Reply {
    let path = world.path(&format!("/updateDomains/{domain}"));
    world.send("PUT", &path, None)
}

#[test]
fn nothing_reaches_an_instance_before_its_domain_is_walked() {
    for operation in [ManualOperation::CompletesBeforeWalk, ManualOperation::WaitsForWalk] {
        let mut world = World::with(|plan| plan.upgrade_mode(UpgradeMode::Manual));
        world.cloud.switches.manual_operation = operation;
        world.renew();
        let body = world.update_body();
        let path = World::poll_path(&world.put(&body));
        world.cloud.finish();
        let early = operation == ManualOperation::CompletesBeforeWalk;
        assert_eq!(world.poll(&path)["status"], if early { "Succeeded" } else { "InProgress" });
        let new = world.shop.stored_leaf.thumbprint.clone();
        assert!(world.leaves().iter().all(|leaf| *leaf != new));
        assert_eq!(world.get("/updateDomains")["value"].as_array().unwrap().len(), 2);

        let reply = walk(&mut world, 0);
        assert_eq!((reply.status, &reply.body), (202, &None));
        let location = header(&reply, "location").unwrap();
        assert!(location.contains("monitor=true"));
        let busy = walk(&mut world, 1);
        assert_eq!((busy.status, code(&busy)), (409, "OperationNotAllowed"));
        world.cloud.finish();
        assert_eq!(world.poll(&World::poll_path(&reply))["status"], "Succeeded");
        assert_eq!(world.leaves().iter().filter(|leaf| **leaf == new).count(), 2);
        assert_eq!(world.cloud.service("shop").unwrap().domains_to_walk(), [1]);

        assert_eq!(walk(&mut world, 1).status, 202);
        world.cloud.finish();
        assert!(world.leaves().iter().all(|leaf| *leaf == new));
        assert_eq!(world.poll(&path)["status"], "Succeeded");
        assert_eq!(world.get("")["properties"]["provisioningState"], "Succeeded");
        assert_eq!(walk(&mut world, 2).status, 400);
    }
}

#[test]
fn an_update_can_be_taken_back_between_two_domains() {
    for operation in [ManualOperation::CompletesBeforeWalk, ManualOperation::WaitsForWalk] {
        let mut world = World::with(|plan| plan.upgrade_mode(UpgradeMode::Manual));
        world.cloud.switches.manual_operation = operation;
        let old_leaf = world.leaves()[0].clone();
        let old = world.update_body();
        world.renew();
        let new = world.update_body();
        let path = World::poll_path(&world.put(&new));
        world.cloud.finish();
        walk(&mut world, 0);
        world.cloud.finish();
        assert_eq!(world.put(&old).status, 200);
        world.cloud.finish();
        if operation == ManualOperation::WaitsForWalk {
            assert_eq!(world.poll(&path)["status"], "Canceled");
        }
        for domain in 0..2 {
            walk(&mut world, domain);
            world.cloud.finish();
        }
        assert!(world.leaves().iter().all(|leaf| *leaf == old_leaf));
    }
}

#[test]
fn an_operation_that_waits_for_the_walk_may_never_end() {
    let mut world = World::with(|plan| plan.upgrade_mode(UpgradeMode::Manual));
    world.cloud.switches.manual_operation = ManualOperation::WaitsForWalk;
    world.renew();
    let body = world.update_body();
    world.cloud.fault(Fault::next(Call::PutCloudService, Effect::OperationNeverEnds));
    let path = World::poll_path(&world.put(&body));
    for domain in 0..2 {
        let reply = walk(&mut world, domain);
        world.cloud.finish();
        assert_eq!(world.poll(&World::poll_path(&reply))["status"], "Succeeded");
    }
    assert_eq!(world.poll(&path)["status"], "InProgress");
    assert_eq!(world.get("")["properties"]["provisioningState"], "Updating");
    world.cloud.end_operation("shop", End::Succeeded);
    assert_eq!(world.poll(&path)["status"], "Succeeded");
    assert_eq!(world.get("")["properties"]["provisioningState"], "Succeeded");
}
