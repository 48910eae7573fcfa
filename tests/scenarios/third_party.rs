//! Somebody else works on the same service: portal, pipeline, autoscale.

use std::sync::Arc;
use std::time::Duration;

use certroll_core::ports::Progress;
use certroll_core::rollout::{Cause, Ending};
use certroll_simulator::cloud::Cloud;
use certroll_simulator::scenario::shop;
use certroll_simulator::switches::{PutWhileUpdating, Switches};
use serde_json::json;

use crate::support::azure::{Azure, renewed_shop, restart_by_somebody_else, somebody_else};

/// Does something to the cloud at the first event of this word.
fn when(azure: &Azure, word: &'static str, change: impl FnOnce(&mut Cloud) + Send + 'static) {
    let simulator = Arc::clone(&azure.simulator);
    azure.heard.once(word, move || simulator.with(change));
}

fn scale_out(cloud: &mut Cloud) {
    let now = cloud.now();
    cloud.service_mut(shop::SERVICE).unwrap().scale("Web", 3, now).unwrap();
}

fn retag(cloud: &mut Cloud) {
    let reply = somebody_else(cloud, "PATCH", "", Some(&json!({ "tags": { "owner": "platform" } })));
    assert_eq!(reply.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_was_scaled_since_the_plan_is_left_alone_and_planned_anew() {
    let (cloud, _) = renewed_shop();
    let azure = Azure::shop(cloud).await;
    let update = azure.planned().await;
    azure.with(scale_out);
    let Ending::Abandoned { cause } = azure.roll_out(update).await else { panic!("not abandoned") };
    assert!(cause.to_string().contains("the cscfg differs, first in line"), "{cause}");
    assert_eq!(azure.puts(), 0);

    let update = azure.planned().await;
    assert_eq!(azure.roll_out(update).await, Ending::Verified);
    assert_eq!(azure.puts(), 1);
    assert!(azure.deployed().configuration.contains("<Instances count=\"3\" />"));
    assert_eq!(azure.deployed().held.iter().filter(|(instance, ..)| instance == "Web_IN_2").count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_changed_between_capture_and_put_is_left_alone() {
    for (change, word) in
        [(scale_out as fn(&mut Cloud), "the cscfg differs"), (retag, "`tags.owner` differs")]
    {
        let (cloud, _) = renewed_shop();
        let azure = Azure::shop(cloud).await;
        let update = azure.planned().await;
        when(&azure, "captured", change);
        let Ending::Abandoned { cause: Cause::Changed { differences } } = azure.roll_out(update).await else {
            panic!("not abandoned")
        };
        assert!(differences.join("\n").contains(word), "{differences:?}");
        assert_eq!(azure.puts(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_changes_while_the_operation_runs_needs_a_person() {
    for (change, word) in
        [(scale_out as fn(&mut Cloud), "the cscfg differs"), (retag, "`tags.owner` differs")]
    {
        let (cloud, _) = renewed_shop();
        let azure = Azure::shop(cloud).await;
        let update = azure.planned().await;
        when(&azure, "put accepted", change);
        let Ending::Stuck { cause } = azure.roll_out(update).await else { panic!("not stuck") };
        assert!(matches!(cause, Cause::ChangedByOthers { .. }), "{cause}");
        assert!(cause.to_string().contains(word), "{cause}");
        assert_eq!(azure.puts(), 1, "what somebody else did is not undone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_service_is_waited_for() {
    let (cloud, _) = renewed_shop();
    let azure = Azure::shop(cloud).await;
    let update = azure.planned().await;
    azure.with(|cloud| {
        cloud.durations.operation = Duration::from_secs(300);
        restart_by_somebody_else(cloud);
    });
    assert_eq!(azure.roll_out(update).await, Ending::Verified);
    assert_eq!((azure.puts(), azure.puts_into_an_operation()), (1, 0));
    let busy = |progress: &Progress| matches!(progress, Progress::Busy { state } if state == "Updating");
    assert!(azure.heard.progress.lock().unwrap().iter().any(busy));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stays_busy_for_too_long_is_left_alone() {
    let (cloud, _) = renewed_shop();
    let azure = Azure::shop(cloud).await;
    let update = azure.planned().await;
    azure.with(|cloud| {
        cloud.durations.operation = Duration::from_secs(24 * 60 * 60);
        restart_by_somebody_else(cloud);
    });
    let Ending::Abandoned { cause: Cause::Busy { .. } } = azure.roll_out(update).await else {
        panic!("not abandoned")
    };
    assert_eq!(azure.puts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_starts_right_before_the_put_puts_it_off() {
    let (cloud, _) = renewed_shop();
    let azure = Azure::shop(cloud).await;
    let update = azure.planned().await;
    when(&azure, "put started", restart_by_somebody_else);
    assert_eq!(azure.roll_out(update).await, Ending::Verified);
    assert_eq!((azure.puts(), azure.puts_into_an_operation(), azure.puts_in_effect()), (2, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_takes_the_place_of_ours_needs_a_person_and_is_not_undone() {
    for replaces in [PutWhileUpdating::Replaces, PutWhileUpdating::Refused] {
        let (mut cloud, _) = renewed_shop();
        cloud.switches = Switches { put_while_updating: replaces, ..Switches::documented() };
        let azure = Azure::shop(cloud).await;
        let before = azure.deployed();
        let old = azure.with(|cloud| somebody_else(cloud, "GET", "", None)).body.unwrap();
        let update = azure.planned().await;
        when(&azure, "put accepted", move |cloud| {
            let body = json!({ "location": old["location"], "tags": old["tags"], "properties": {
                "configuration": old["properties"]["configuration"], "osProfile": old["properties"]["osProfile"],
                "upgradeMode": "Auto" } });
            somebody_else(cloud, "PUT", "", Some(&body));
        });
        let ending = azure.roll_out(update).await;
        match replaces {
            PutWhileUpdating::Refused => assert_eq!(ending, Ending::Verified),
            PutWhileUpdating::Replaces => {
                // The old state is there already: it is the one that was to be put back, and it was seen to work.
                let Ending::Restored { cause: Cause::OperationFailed { failure } } = &ending else {
                    panic!("{ending:?}")
                };
                assert_eq!(failure.code, "OperationPreempted");
                azure.with(Cloud::finish);
                assert_eq!(azure.deployed(), before);
            }
        }
        assert_eq!(azure.puts(), 1);
    }
}
