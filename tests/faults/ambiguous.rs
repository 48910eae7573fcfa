//! A PUT whose fate is not known is looked for before anything else is done.

use std::time::Duration;

use certroll_core::rollout::{Ending, Event, Found, Limits};
use certroll_simulator::call::Call;
use certroll_simulator::faults::{Effect, Fault, Times};

use crate::support::azure::{Azure, renewed_shop, shop_service};

/// Carries the renewed set while this happens to PUTs; the looks between a PUT and the next thing done.
async fn with(fault: Fault, timeout: &str) -> (Azure, Ending) {
    let (mut cloud, _) = renewed_shop();
    cloud.fault(fault);
    let azure = Azure::start_waiting(cloud, |simulator| shop_service(simulator, ""), timeout).await;
    let update = azure.planned().await;
    let ending = azure.roll_out(update).await;
    (azure, ending)
}

/// What was found by the looks after the first PUT.
fn found_after_the_put(azure: &Azure) -> Vec<Found> {
    let records = azure.journal.records();
    let after = records.iter().skip_while(|one| !matches!(one.event, Event::PutAmbiguous { .. }));
    after
        .filter_map(|one| match &one.event {
            Event::Looked { found } => Some(found.clone()),
            _ => None,
        })
        .collect()
}

fn put(effect: Effect) -> Fault {
    Fault::next(Call::PutCloudService, effect)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_after_the_effect_is_found_and_not_sent_again() {
    for effect in [
        Effect::CutAfter,
        Effect::AppliedButReply { status: 500, code: "InternalOperationError".to_owned() },
        Effect::AppliedButReply { status: 504, code: "GatewayTimeout".to_owned() },
        Effect::Oversized(20 * 1024 * 1024),
    ] {
        let (azure, ending) = with(put(effect.clone()), "60s").await;
        assert_eq!(ending, Ending::Verified, "{effect:?}");
        assert_eq!((azure.puts(), azure.puts_in_effect()), (1, 1));
        assert_eq!(found_after_the_put(&azure), [Found::WantedBusy]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_too_late_is_not_waited_for() {
    let (azure, ending) = with(put(Effect::Delay(Duration::from_secs(600))), "1s").await;
    assert_eq!(ending, Ending::Verified);
    assert_eq!((azure.puts(), azure.puts_in_effect()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_left_no_trace_is_looked_for_several_times_and_then_sent_again() {
    for effect in [
        Effect::CutBefore,
        Effect::Reply { status: 500, code: "InternalOperationError".to_owned(), retry_after: None },
        Effect::Reply { status: 503, code: "ServiceUnavailable".to_owned(), retry_after: Some(1) },
    ] {
        let (azure, ending) = with(put(effect.clone()), "60s").await;
        assert_eq!(ending, Ending::Verified, "{effect:?}");
        assert_eq!((azure.puts(), azure.puts_in_effect()), (2, 1));
        let looks = found_after_the_put(&azure);
        assert!(looks.len() >= Limits::LOOKS as usize, "{looks:?}");
        assert!(looks.iter().all(|found| *found == Found::Unchanged), "{looks:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_never_arrives_is_sent_no_more_than_three_times_and_a_person_is_called() {
    let (azure, ending) = with(put(Effect::CutBefore).times(Times::Always), "60s").await;
    assert!(matches!(ending, Ending::Stuck { .. }), "{ending:?}");
    assert_eq!((azure.puts(), azure.puts_in_effect()), (Limits::PUTS as usize, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_put_may_be_answered_201() {
    let (azure, ending) = with(put(Effect::Status(201)), "60s").await;
    assert_eq!(ending, Ending::Verified);
    assert_eq!(azure.puts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_waited_for_as_long_as_the_service_asks() {
    let reply = Effect::Reply { status: 429, code: "TooManyRequests".to_owned(), retry_after: Some(45) };
    let (azure, ending) = with(put(reply), "60s").await;
    assert_eq!(ending, Ending::Verified);
    assert_eq!((azure.puts(), azure.puts_in_effect()), (2, 1));
    let records = azure.journal.records();
    let at = |word: &str| {
        records.iter().filter(|one| one.event.word() == word).map(|one| one.at).collect::<Vec<_>>()
    };
    let (deferred, started) = (at("put deferred"), at("put started"));
    assert!(started[1].duration_since(deferred[0]).as_secs() >= 45);
}
