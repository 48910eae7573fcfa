//! What endpoints present decides, if they are to decide.

use std::sync::Arc;

use certroll_core::rollout::{Cause, Ending, Event};
use certroll_core::verify::judge;
use certroll_engine::rollout::Outcome;
use certroll_simulator::call::Call;
use certroll_simulator::faults::{Effect, Fault, Times, Which};
use certroll_simulator::scenario::shop;

use crate::support::azure::{Azure, renewed_shop, shop_service_probed};

/// One instance starts with the certificates that it had.
fn one_keeps_the_old() -> Fault {
    let which = Which::Named(vec!["Web_IN_1".to_owned()]);
    Fault::next(Call::PutCloudService, Effect::OldCertificatePresented(which)).times(Times::Next(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_instance_with_the_old_certificate_turns_the_rollout_back() {
    let (mut cloud, shop) = renewed_shop();
    cloud.fault(one_keeps_the_old());
    let azure = Azure::shop(cloud).await;
    let before = azure.deployed();
    let old = azure.leaves().into_iter().next().unwrap();
    let update = azure.planned().await;
    let Ending::Restored { cause } = azure.roll_out(update).await else { panic!("not restored") };
    let message = cause.to_string();
    assert!(
        message.contains(&format!("expected leaf {}, found {old}", shop.stored_leaf.thumbprint)),
        "{message}"
    );
    assert_eq!(azure.deployed(), before);
    assert_eq!((azure.puts(), azure.puts_into_an_operation()), (2, 0));
}

/// The configuration gives instances ten minutes and endpoints five: a certificate that is not served goes after five.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_does_not_stay_for_as_long_as_instances_may_take() {
    let (mut cloud, _) = renewed_shop();
    cloud.fault(one_keeps_the_old());
    let azure = Azure::shop(cloud).await;
    let update = azure.planned().await;
    azure.roll_out(update).await;
    let records = azure.journal.records();
    let at = |fits: fn(&Event) -> bool| records.iter().find(|record| fits(&record.event)).unwrap().at;
    let ended = at(|event| matches!(event, Event::OperationEnded { .. }));
    let back = at(|event| matches!(event, Event::TurnedBack { .. }));
    let waited = back.duration_since(ended).as_secs();
    assert!((300..360).contains(&waited), "{waited} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_closed_turns_the_rollout_back() {
    let (cloud, _) = renewed_shop();
    let azure = Azure::shop(cloud).await;
    let before = azure.deployed();
    let update = azure.planned().await;
    // The listener stays, and closes every connection, while the endpoint is gone from the service.
    let simulator = Arc::clone(&azure.simulator);
    azure.heard.once("put accepted", move || {
        simulator.with(|cloud| cloud.service_mut(shop::SERVICE).unwrap().endpoints.clear());
    });
    let ending = azure.roll_out(update).await;
    // It is closed before and after, so that the old state cannot be seen to work either.
    let Ending::Stuck { cause: Cause::RestoreFailed { first, then } } = &ending else { panic!("{ending:?}") };
    for cause in [first, then] {
        assert!(cause.to_string().contains("found none"), "{cause}");
    }
    assert_eq!(azure.deployed(), before, "the old state is back all the same");
    assert_eq!(azure.puts(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_closed_by_the_new_certificate_alone_is_restored() {
    let (cloud, _) = renewed_shop();
    let azure = Azure::shop(cloud).await;
    let before = azure.deployed();
    let endpoints = azure.with(|cloud| cloud.service(shop::SERVICE).unwrap().endpoints.clone());
    let update = azure.planned().await;
    azure.with(|cloud| cloud.service_mut(shop::SERVICE).unwrap().endpoints.clear());
    let simulator = Arc::clone(&azure.simulator);
    azure.heard.once("turned back", move || {
        simulator.with(|cloud| cloud.service_mut(shop::SERVICE).unwrap().endpoints = endpoints);
    });
    let ending = azure.roll_out(update).await;
    let Ending::Restored { cause: Cause::Mismatch { .. } } = &ending else { panic!("{ending:?}") };
    assert_eq!(azure.deployed(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_does_not_decide_leaves_a_doubt() {
    let (mut cloud, shop) = renewed_shop();
    cloud.fault(one_keeps_the_old());
    let azure = Azure::start(cloud, |simulator| shop_service_probed(simulator, "", false)).await;
    let update = azure.planned().await;
    let Outcome::Ended { rollout, ending, journal_lost } = azure.drive(update).await else {
        panic!("interrupted")
    };
    assert_eq!((ending, journal_lost), (Ending::Verified, None));
    assert_eq!(azure.puts(), 1);
    let evidence = azure.journal.records().into_iter().find_map(|record| match record.event {
        Event::Examined { evidence } => Some(*evidence),
        _ => None,
    });
    let verified = judge(&rollout.expected().unwrap(), evidence.unwrap()).unwrap();
    assert!(!verified.doubts().is_empty());
    for doubt in verified.doubts() {
        assert!(doubt.to_string().contains(&shop.stored_leaf.thumbprint), "{doubt}");
    }
}
