//! Passes without a person: what one of them learned holds back the next ones.

use certroll_core::plan::{Status, Wait};
use certroll_core::standing::Decision;
use certroll_engine::pass::Pass;
use certroll_engine::rollout::Outcome;
use certroll_engine::rollouts::Carried;
use certroll_simulator::Simulator;
use certroll_simulator::call::Call;
use certroll_simulator::clock::Pace;
use certroll_simulator::cloud::Cloud;
use certroll_simulator::faults::{Effect, Fault, Which};
use certroll_simulator::pki::{Authority, LeafRequest};
use certroll_simulator::scenario;
use certroll_simulator::scenario::fleet::{self, fleet};
use jiff::Timestamp;

use crate::support::azure::{Azure, HOUR, renew, renewed_shop, shop_service};

fn endings(pass: &Pass) -> Vec<(&str, &str)> {
    let word = |carried: &Carried| match carried {
        Carried::Begun(Outcome::Ended { ending, .. }) => ending.word(),
        Carried::Begun(Outcome::Interrupted { .. }) => "interrupted",
        Carried::NotBegun(_) | Carried::Locked | Carried::WindowClosed => "not begun",
        Carried::HeldBack { .. } => "held back",
    };
    pass.carried.iter().map(|(service, carried)| (service.name(), word(carried))).collect()
}

/// The pass after one that may have been the first to see a new version: uploads have settled by now.
async fn settled(azure: &Azure) -> Pass {
    let first = azure.pass().await;
    assert_eq!(endings(&first), [], "a version that was just seen settles first");
    azure.with(|cloud| cloud.advance(HOUR));
    azure.pass().await
}

fn guard(pass: &Pass, service: &str) -> String {
    let report = pass.report.services.iter().find(|report| report.service.name() == service).unwrap();
    match &report.status {
        Status::Blocked { violations } => violations[0].guard.clone(),
        other => panic!("{other:#?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_put_back_is_tried_again_only_when_a_version_is_superseded_or_somebody_releases_it() {
    let (mut cloud, mut shop) = renewed_shop();
    cloud.fault(Fault::next(Call::PutCloudService, Effect::OldCertificatePresented(Which::All)));
    let azure = Azure::shop(cloud).await;
    assert_eq!(endings(&settled(&azure).await), [("shop", "restored")]);
    assert_eq!(azure.puts(), 2);
    for _ in 0..3 {
        azure.with(|cloud| cloud.advance(HOUR));
        let pass = azure.pass().await;
        assert_eq!((endings(&pass), guard(&pass, "shop")), (Vec::new(), "quarantine".to_owned()));
    }
    assert_eq!(azure.puts(), 2);
    // A new leaf supersedes the set, and the fault is gone.
    azure.with(|cloud| renew(cloud, &mut shop));
    assert_eq!(endings(&settled(&azure).await), [("shop", "verified")]);
    assert_eq!((azure.puts(), azure.leaves()), (3, [shop.stored_leaf.thumbprint.clone()].into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_lets_the_same_set_be_tried_again() {
    let (mut cloud, shop) = renewed_shop();
    cloud.fault(Fault::next(Call::PutCloudService, Effect::OldCertificatePresented(Which::All)));
    let azure = Azure::shop(cloud).await;
    assert_eq!(endings(&settled(&azure).await), [("shop", "restored")]);
    azure.decide(Decision::Released).await;
    assert_eq!(endings(&azure.pass().await), [("shop", "verified")]);
    assert_eq!(azure.leaves(), [shop.stored_leaf.thumbprint.clone()].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_service_is_left_alone() {
    let (mut cloud, mut shop) = renewed_shop();
    cloud.fault(Fault::next(Call::PutCloudService, Effect::OperationNeverEnds));
    let azure = Azure::shop(cloud).await;
    assert_eq!(endings(&settled(&azure).await), [("shop", "stuck")]);
    let puts = azure.puts();
    azure.with(|cloud| renew(cloud, &mut shop));
    let pass = settled(&azure).await;
    assert_eq!((endings(&pass), guard(&pass, "shop")), (Vec::new(), "stuck".to_owned()));
    assert_eq!(azure.puts(), puts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_in_approve_mode_waits_for_exactly_this_plan() {
    let (cloud, mut shop) = renewed_shop();
    let azure = Azure::start(cloud, |simulator| shop_service(simulator, "mode = \"approve\"")).await;
    let asked = |pass: &Pass| match &pass.report.services[0].status {
        Status::Waiting { reason: Wait::Approval { plan }, .. } => plan.clone(),
        other => panic!("{other:#?}"),
    };
    let first = asked(&settled(&azure).await);
    // What was approved is no longer what is planned.
    azure.with(|cloud| renew(cloud, &mut shop));
    azure.decide(Decision::Approved { plan: first.clone() }).await;
    let second = asked(&settled(&azure).await);
    assert_ne!(first, second);
    assert_eq!(azure.puts(), 0);
    azure.decide(Decision::Approved { plan: second }).await;
    assert_eq!(endings(&azure.pass().await), [("shop", "verified")]);
    assert_eq!((azure.puts(), azure.leaves()), (1, [shop.stored_leaf.thumbprint.clone()].into()));
}

/// Three services that have one certificate, which was renewed.
fn fleet_of_three() -> Cloud {
    let (mut cloud, _) = fleet(1, 0, 3, Pace::Stepped, Timestamp::now());
    cloud.advance(HOUR);
    renew_fleet(&mut cloud);
    cloud
}

fn renew_fleet(cloud: &mut Cloud) {
    let now = cloud.now();
    let issuer = Authority::root("Contoso Fleet", now);
    let issued = issuer.issue(&LeafRequest::server("svc-0000.contoso.com", now));
    scenario::certificate(cloud, fleet::VAULT, "tls-0000", &issued);
    cloud.advance(HOUR);
}

/// The first is the canary, the others come after it.
fn staged(simulator: &Simulator) -> String {
    simulator.with(|cloud| {
        let service = |(number, id): (usize, String)| {
            format!("[[service]]\nid = \"{id}\"\nstage = {}\n", number.min(1))
        };
        cloud.services.iter().map(|one| one.id.resource_id()).enumerate().map(service).collect()
    })
}

fn puts(azure: &Azure) -> Vec<usize> {
    let ledger = azure.simulator.ledger();
    (0..3).map(|number| ledger.puts_of(&format!("svc-{number:04}")).len()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_failed_holds_back_the_others_in_this_pass_and_in_the_next_ones() {
    let mut cloud = fleet_of_three();
    let failed =
        Effect::OperationFails { code: "InternalExecutionError".to_owned(), message: "no".to_owned() };
    cloud.fault(Fault::next(Call::PutCloudService, failed).on_path("svc-0000"));
    let azure = Azure::start(cloud, staged).await;
    let pass = azure.pass().await;
    let held = [("svc-0000", "restored"), ("svc-0001", "held back"), ("svc-0002", "held back")];
    assert_eq!(endings(&pass), held);
    for _ in 0..2 {
        azure.with(|cloud| cloud.advance(HOUR));
        let pass = azure.pass().await;
        assert_eq!(endings(&pass), []);
        let waits = pass.report.services.iter().skip(1).all(|report| {
            matches!(&report.status, Status::Waiting { reason: Wait::Stage { stage: 0, .. }, .. })
        });
        assert!(waits, "{:#?}", pass.report);
    }
    assert_eq!(puts(&azure), [2, 0, 0]);
    // A corrected certificate goes to the canary first, then to the others.
    azure.with(renew_fleet);
    let pass = settled(&azure).await;
    let mut verified = endings(&pass);
    verified.sort_unstable();
    assert_eq!(verified, ["svc-0000", "svc-0001", "svc-0002"].map(|name| (name, "verified")));
    assert_eq!(puts(&azure), [3, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_that_finds_nothing_to_do_does_nothing() {
    let (cloud, _) = renewed_shop();
    let azure = Azure::shop(cloud).await;
    assert_eq!(endings(&settled(&azure).await), [("shop", "verified")]);
    let pass = azure.pass().await;
    assert_eq!(pass.report.services[0].status, Status::Current);
    assert_eq!((endings(&pass), azure.puts()), (Vec::new(), 1));
    let ended = azure.journal.records().iter().filter(|record| record.event.word() == "ended").count();
    assert_eq!(ended, 1);
    assert!(azure.recover().await.is_empty());
}
