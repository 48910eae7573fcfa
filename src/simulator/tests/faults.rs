//! Each fault does what it says.

use std::time::Duration;

use certroll_simulator::call::Call;
use certroll_simulator::cloud::Outcome;
use certroll_simulator::endpoint::presented;
use certroll_simulator::faults::catalogue::{self, Leaves, Named};
use certroll_simulator::faults::{Effect, Fault, Times, Unready, Which};
use certroll_simulator::message::Request;
use certroll_simulator::scenario::TENANT;
use certroll_simulator::service::operation::End;

use crate::support::{World, code, header};

/// A world whose next PUT renews everything, struck by this.
fn struck(effect: Effect) -> (World, serde_json::Value) {
    let mut world = World::new();
    world.renew();
    let body = world.update_body();
    world.cloud.fault(Fault::next(Call::PutCloudService, effect));
    (world, body)
}

fn changed(world: &World) -> bool {
    world.cloud.service("shop").unwrap().operation().is_some()
}

#[test]
fn an_exchange_is_answered_otherwise_cut_or_delayed() {
    let reply = Effect::Reply { status: 429, code: "TooManyRequests".to_owned(), retry_after: Some(7) };
    let applied = Effect::AppliedButReply { status: 500, code: "InternalOperationError".to_owned() };
    for (effect, takes_effect) in [
        (reply, false),
        (Effect::CutBefore, false),
        (Effect::CutAfter, true),
        (applied, true),
        (Effect::Delay(Duration::from_secs(5)), true),
        (Effect::MalformedJson, true),
        (Effect::Oversized(1000), true),
    ] {
        let (mut world, body) = struck(effect.clone());
        let path = world.path("");
        let outcome = world.outcome("PUT", &path, Some(&body));
        assert_eq!(changed(&world), takes_effect, "{effect:?}");
        let fits = match (&effect, &outcome) {
            (Effect::Reply { .. }, Outcome::Answered(reply)) => header(reply, "retry-after") == Some("7"),
            (Effect::CutBefore | Effect::CutAfter, Outcome::Cut) => true,
            (Effect::AppliedButReply { .. }, Outcome::Answered(reply)) => {
                code(reply) == "InternalOperationError"
            }
            (Effect::Delay(by), Outcome::Delayed(_, at)) => *at == world.cloud.now() + *by,
            (Effect::MalformedJson, Outcome::Garbled(..)) => true,
            (Effect::Oversized(_), Outcome::Answered(reply)) => {
                reply.body.as_ref().unwrap().to_string().len() > 1000
            }
            _ => false,
        };
        assert!(fits, "{effect:?}: {outcome:?}");
        let last = world.cloud.ledger.puts_of("shop").last().unwrap().to_json();
        assert!(last["fault"].is_string());
    }
}

#[test]
fn the_catalogue_leaves_what_it_says() {
    let call = Call::PutCloudService;
    for Named { name, fault, leaves } in
        catalogue::on_the_way(call).into_iter().chain(catalogue::of_the_operation(call))
    {
        let mut world = World::new();
        world.renew();
        let body = world.update_body();
        world.cloud.fault(fault);
        let path = world.path("");
        world.outcome("PUT", &path, Some(&body));
        assert_eq!(changed(&world), leaves != Leaves::Nothing, "{name}");
        world.cloud.finish();
        let new = world.shop.stored_leaf.thumbprint.clone();
        let delivered = world.leaves().iter().all(|leaf| *leaf == new);
        let up = world.states() == ["RoleStateStarted"; 4];
        let state = world.get("")["properties"]["provisioningState"] == "Succeeded";
        assert_eq!(delivered && up && state, leaves == Leaves::Done, "{name}");
    }
}

#[test]
fn an_operation_fails_hangs_or_is_late() {
    let failing = Effect::OperationFails {
        code: "OverconstrainedAllocationRequest".to_owned(),
        message: "no".to_owned(),
    };
    let (mut world, body) = struck(failing);
    let path = World::poll_path(&world.put(&body));
    world.cloud.finish();
    let poll = world.poll(&path);
    assert_eq!(poll["error"]["code"], "ResourceDeploymentFailure");
    assert_eq!(poll["error"]["details"][0]["code"], "OverconstrainedAllocationRequest");
    assert_eq!(world.get("")["properties"]["provisioningState"], "Failed");

    let (mut world, body) = struck(Effect::OperationNeverEnds);
    let path = World::poll_path(&world.put(&body));
    world.cloud.finish();
    world.cloud.advance(Duration::from_secs(100_000));
    assert_eq!(world.poll(&path)["status"], "InProgress");
    assert_eq!(world.states(), ["RoleStateStarted"; 4]);
    world.cloud.end_operation("shop", End::Succeeded);
    assert_eq!(world.poll(&path)["status"], "Succeeded");

    let (mut world, body) = struck(Effect::OperationLate(Duration::from_secs(600)));
    let path = World::poll_path(&world.put(&body));
    world.cloud.advance(Duration::from_secs(60));
    assert_eq!(world.poll(&path)["status"], "InProgress");
    world.cloud.advance(Duration::from_secs(600));
    assert_eq!(world.poll(&path)["status"], "Succeeded");

    let (mut world, body) = struck(Effect::StateFailed);
    let path = World::poll_path(&world.put(&body));
    world.cloud.finish();
    assert_eq!(world.poll(&path)["status"], "Succeeded");
    assert_eq!(world.get("")["properties"]["provisioningState"], "Failed");

    let (mut world, body) = struck(Effect::ForeignPollUrl("evil.example".to_owned()));
    let reply = world.put(&body);
    assert!(header(&reply, "azure-asyncoperation").unwrap().starts_with("https://evil.example/"));
}

#[test]
fn answers_say_less_more_or_something_else() {
    let (mut world, body) = struck(Effect::PollByLocation);
    let reply = world.put(&body);
    assert_eq!(header(&reply, "azure-asyncoperation"), None);
    assert!(header(&reply, "location").unwrap().contains("monitor=true"));

    let (mut world, body) = struck(Effect::DropHeader("Azure-AsyncOperation".to_owned()));
    world.cloud.fault(Fault::next(Call::PutCloudService, Effect::Status(201)));
    let reply = world.put(&body);
    assert_eq!((reply.status, header(&reply, "azure-asyncoperation")), (201, None));
    world.cloud.fault(Fault::next(
        Call::GetCloudService,
        Effect::AddHeader("Retry-After".to_owned(), "9999".to_owned()),
    ));
    let path = world.path("");
    assert_eq!(header(&world.send("GET", &path, None), "retry-after"), Some("9999"));

    let mut world = World::new();
    world.cloud.page_size = 1;
    world
        .cloud
        .fault(Fault::next(Call::ListRoleInstances, Effect::ForeignNextLink("evil.example".to_owned())));
    let path = world.path("/roleInstances");
    let body = world.send("GET", &path, None).body.unwrap();
    assert!(body["nextLink"].as_str().unwrap().starts_with("https://evil.example/"));
}

#[test]
fn instances_stay_down_or_keep_what_they_had() {
    let named = |name: &str| Which::Named(vec![name.to_owned()]);
    let (mut world, body) = struck(Effect::InstanceNeverReady(named("Web_IN_1"), Unready::Busy));
    let path = World::poll_path(&world.put(&body));
    world.cloud.advance(Duration::from_secs(29 * 60));
    assert_eq!(world.poll(&path)["status"], "InProgress");
    world.cloud.finish();
    assert_eq!(world.poll(&path)["status"], "Succeeded");
    assert_eq!(world.states(), ["RoleStateStarted", "RoleStateBusy", "RoleStateStarted", "RoleStateStarted"]);

    let old = World::new().leaves()[0].len();
    let (mut world, body) = struck(Effect::OldCertificatePresented(named("Web_IN_0")));
    let before = world.leaves()[0].clone();
    assert_eq!(before.len(), old);
    world.put(&body);
    world.cloud.finish();
    let new = world.shop.stored_leaf.thumbprint.clone();
    assert_eq!(world.leaves(), [before, new.clone(), new.clone(), new]);
    let first = presented(&world.cloud, "shop", "https", 0).unwrap();
    assert_ne!(first.chain[0], world.shop.leaf.der);
}

#[test]
fn a_fault_can_come_after_others_were_let_through_and_stay() {
    let mut world = World::new();
    let effect = Effect::Reply { status: 503, code: "ServiceUnavailable".to_owned(), retry_after: None };
    world.cloud.fault(Fault::next(Call::GetCloudService, effect).after(1).times(Times::Next(2)));
    let path = world.path("");
    let statuses: Vec<u16> = (0..4).map(|_| world.send("GET", &path, None).status).collect();
    assert_eq!(statuses, [200, 503, 503, 200]);
}

#[test]
fn the_documents_of_entra_are_struck_apart_from_its_tokens() {
    let mut world = World::new();
    let documents = [
        (Call::OpenIdConfiguration, "v2.0/.well-known/openid-configuration"),
        (Call::SigningKeys, "discovery/keys"),
    ];
    for (call, path) in documents {
        let request = Request {
            method: "GET".to_owned(),
            url: format!("https://{}/{TENANT}/{path}", world.cloud.names.login[0]).parse().unwrap(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        world.cloud.fault(Fault::always(Call::Token, Effect::CutBefore));
        assert!(matches!(world.cloud.answer(&request), Outcome::Answered(reply) if reply.status == 200));
        world.cloud.fault(Fault::next(call, Effect::CutBefore));
        assert_eq!(world.cloud.answer(&request), Outcome::Cut, "{call:?}");
    }
}
