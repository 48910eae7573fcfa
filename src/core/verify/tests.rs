//! What judging sees and what it lets pass.

use super::{Evidence, Expected, Generation, Mismatch, ProbeEvidence, judge};
use crate::plan::tests::world::{renewed, url};
use crate::plan::{Difference, PlannedUpdate};
use crate::ports::Presentation;
use crate::target::cloud_service::{InstanceState, RoleInstance};

fn update() -> PlannedUpdate {
    let (mut world, ..) = renewed();
    world.probe("shop.contoso.com", None);
    world.planned()
}

fn started() -> Vec<String> {
    vec!["Web_IN_0".to_owned(), "Web_IN_1".to_owned()]
}

fn instance(name: &str, state: InstanceState) -> RoleInstance {
    RoleInstance { name: name.to_owned(), update_domain: Some(0), state }
}

/// Everything as wanted.
fn right(update: &PlannedUpdate) -> Evidence {
    let presented = vec![Presentation {
        address: "10.0.0.1:443".to_owned(),
        outcome: Ok(update.probes[0].after.clone()),
    }];
    Evidence {
        state: update.wanted.clone(),
        instances: started().iter().map(|name| instance(name, InstanceState::Started)).collect(),
        probes: vec![ProbeEvidence { probe: update.probes[0].clone(), presented }],
    }
}

fn expected<'a>(update: &'a PlannedUpdate, started: &'a [String]) -> Expected<'a> {
    Expected {
        state: &update.wanted,
        started,
        probes: &update.probes,
        generation: Generation::After,
        probe_binding: true,
    }
}

#[test]
fn what_is_as_wanted_is_verified() {
    let update = update();
    let verified = judge(&expected(&update, &started()), right(&update)).unwrap();
    assert_eq!(verified.evidence(), &right(&update));
    assert_eq!(verified.doubts(), []);
}

#[test]
fn each_thing_that_is_not_is_named() {
    let update = update();
    let old = update.probes[0].before[0];
    type Alter<'a> = Box<dyn Fn(&mut Evidence) + 'a>;
    let cases: Vec<(Alter<'_>, &str)> = vec![
        (
            Box::new(|e| e.state.configuration = update.expected.configuration.clone()),
            "read back, the cscfg differs, first in line 9",
        ),
        (
            Box::new(|e| e.state.configuration = e.state.configuration.replace("\r\n", "\n")),
            "the cscfg differs, first in line 1",
        ),
        (
            Box::new(|e| e.state.os_profile = update.expected.os_profile.clone()),
            "`osProfile.secrets` differs; expected `https://shop-kv.vault.azure.cn/secrets/tls/2`; found `https://shop-kv.vault.azure.cn/secrets/tls/1`",
        ),
        (
            Box::new(|e| e.state.os_profile = e.state.os_profile.without(&url("tls/2"))),
            "`osProfile.secrets` differs; expected `https://shop-kv.vault.azure.cn/secrets/tls/2`",
        ),
        (Box::new(|e| e.state.rest["tags"]["team"] = "api".into()), "read back, `tags.team` differs"),
        (
            Box::new(|e| e.instances[0].state = InstanceState::Other("RoleStateBusy".to_owned())),
            "instance `Web_IN_0`: expected RoleStateStarted as before, found RoleStateBusy",
        ),
        (
            Box::new(|e| e.instances[1].state = InstanceState::Unknown),
            "instance `Web_IN_1`: expected RoleStateStarted as before, found unknown",
        ),
        (
            Box::new(|e| e.instances.truncate(1)),
            "instance `Web_IN_1`: expected RoleStateStarted as before, found no such instance",
        ),
        (
            Box::new(|e| e.probes[0].presented[0].outcome = Ok(vec![old])),
            "endpoint shop.contoso.com:443 (10.0.0.1:443): expected leaf",
        ),
        (
            Box::new(|e| e.probes[0].presented[0].outcome = Ok(vec![])),
            "found none: no certificate was presented",
        ),
        (Box::new(|e| e.probes[0].presented[0].outcome = Err("refused".to_owned())), "found none: refused"),
        (Box::new(|e| e.probes[0].presented.clear()), "found none: no connection was made"),
        (Box::new(|e| e.probes.clear()), "found none: no connection was made"),
        // Evidence cannot bring its own idea of what it had to show.
        (
            Box::new(|e| {
                e.probes[0].probe.after = vec![old];
                e.probes[0].presented[0].outcome = Ok(vec![old]);
            }),
            "expected leaf",
        ),
        // One address of several is enough.
        (
            Box::new(|e| {
                e.probes[0]
                    .presented
                    .push(Presentation { address: "10.0.0.2:443".to_owned(), outcome: Ok(vec![old]) });
            }),
            "10.0.0.2:443",
        ),
    ];
    for (alter, said) in cases {
        let mut evidence = right(&update);
        alter(&mut evidence);
        let started = started();
        let mismatches = judge(&expected(&update, &started), evidence).unwrap_err();
        assert_eq!(mismatches.len(), 1, "{mismatches:?}");
        let text = mismatches[0].to_string();
        assert!(text.contains(said), "{text}");
        let json = serde_json::to_string(&mismatches).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Mismatch>>(&json).unwrap(), mismatches);
    }
}

#[test]
fn everything_wrong_is_named_at_once() {
    let update = update();
    let mut evidence = right(&update);
    evidence.state = update.expected.clone();
    evidence.instances.clear();
    evidence.probes.clear();
    let mismatches = judge(&expected(&update, &started()), evidence).unwrap_err();
    let models = mismatches.iter().filter(|mismatch| matches!(mismatch, Mismatch::Model(_))).count();
    assert_eq!((models, mismatches.len()), (2, 5), "{mismatches:?}");
    assert!(matches!(mismatches[0], Mismatch::Model(Difference::Configuration(9))));
}

#[test]
fn an_instance_that_is_new_or_was_stopped_does_not_count() {
    let update = update();
    let mut evidence = right(&update);
    evidence.instances.push(instance("Web_IN_2", InstanceState::Other("RoleStateStarting".to_owned())));
    evidence.instances[1].state = InstanceState::Other("RoleStateStopped".to_owned());
    let started = vec!["web_in_0".to_owned()];
    assert!(judge(&expected(&update, &started), evidence).is_ok());
}

#[test]
fn probes_that_do_not_bind_are_doubts() {
    let update = update();
    let mut evidence = right(&update);
    evidence.probes[0].presented[0].outcome = Err("refused".to_owned());
    let started = started();
    let expected = Expected { probe_binding: false, ..expected(&update, &started) };
    let verified = judge(&expected, evidence).unwrap();
    assert_eq!(verified.doubts().len(), 1);
    // What else is wrong still counts.
    let mut evidence = right(&update);
    evidence.instances.clear();
    assert!(judge(&expected, evidence).is_err());
}

#[test]
fn generations() {
    let update = update();
    let started = started();
    let (before, after) = (update.probes[0].before[0], update.probes[0].after[0]);
    for (generation, leaf, right_leaf) in [
        (Generation::After, after, true),
        (Generation::After, before, false),
        (Generation::Before, before, true),
        (Generation::Before, after, false),
        (Generation::Either, before, true),
        (Generation::Either, after, true),
    ] {
        let mut evidence = right(&update);
        evidence.probes[0].presented[0].outcome = Ok(vec![leaf]);
        let expected = Expected { generation, ..expected(&update, &started) };
        assert_eq!(judge(&expected, evidence).is_ok(), right_leaf, "{generation:?} {leaf}");
    }
}
