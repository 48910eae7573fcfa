use std::collections::BTreeSet;
use std::time::Duration;

use certroll_simulator::Simulator;
use certroll_simulator::clock::Pace;
use certroll_simulator::pki::{Authority, LeafRequest};
use certroll_simulator::publisher::switches::{Duplicates, NotFound, Order, Probation, RetryTimes};
use certroll_simulator::publisher::{
    Answered, Outcome, Provisioning, Reason, Schema, SubscriptionRefused, SubscriptionRequest,
};
use certroll_simulator::scenario::shop;
use jiff::Timestamp;

use super::{NAME, Stage, versions};
use crate::receiver::{Answer, Receiver, obliging, status};
use crate::support::start;

#[tokio::test]
async fn a_failed_delivery_is_tried_again_by_the_schedule() {
    let stage = Stage::subscribed().await;
    stage.receiver.answer(status(503));
    stage.secrets(1);
    let mut waits = Vec::new();
    for _ in 0..6 {
        let [one] = &stage.publisher().deliver_next().await[..] else { panic!("one delivery") };
        let Outcome::RetriedAt(at) = one.outcome else { panic!("{one:?}") };
        assert_eq!(one.answered, Some(Answered::Status(503)));
        waits.push(at.duration_since(one.at).as_secs());
        assert!(stage.publisher().deliver_due().await.is_empty(), "not before its time");
    }
    assert_eq!(waits, [30, 30, 60, 300, 600, 1800]);
    stage.receiver.answer(status(204));
    let [one] = &stage.publisher().deliver_next().await[..] else { panic!("one delivery") };
    assert_eq!((one.attempt, one.outcome), (7, Outcome::Delivered));
    let counts: Vec<String> = stage
        .receiver
        .take()
        .iter()
        .map(|one| one.header("aeg-delivery-count").unwrap().to_owned())
        .collect();
    assert_eq!(counts, ["0", "1", "2", "3", "4", "5", "6"]);
    assert!(stage.publisher().deliver_all().await.is_empty());
    stage.simulator.with(|cloud| assert_eq!(cloud.publisher.deliveries().count(), 7));
}

#[tokio::test]
async fn some_answers_end_an_event_at_once() {
    for (answer, expected) in [
        (400, Outcome::Dropped(Reason::FinalAnswer)),
        (401, Outcome::Dropped(Reason::FinalAnswer)),
        (403, Outcome::Dropped(Reason::FinalAnswer)),
        (404, Outcome::Dropped(Reason::FinalAnswer)),
        (413, Outcome::Dropped(Reason::FinalAnswer)),
        (200, Outcome::Delivered),
        (201, Outcome::Delivered),
        (202, Outcome::Delivered),
        (203, Outcome::Delivered),
        (204, Outcome::Delivered),
        (206, Outcome::RetriedAt(start() + Duration::from_secs(11))),
        (302, Outcome::RetriedAt(start() + Duration::from_secs(11))),
        (408, Outcome::RetriedAt(start() + Duration::from_secs(121))),
        (429, Outcome::RetriedAt(start() + Duration::from_secs(11))),
    ] {
        let stage = Stage::subscribed().await;
        stage.receiver.answer(Answer::Whole(
            answer,
            vec![("location", "/elsewhere".to_owned())],
            String::new(),
        ));
        stage.secrets(1);
        assert_eq!(stage.publisher().deliver_due().await[0].outcome, expected, "{answer}");
        assert_eq!(stage.receiver.take().len(), 1, "no redirect is followed");
    }
    let stage = Stage::subscribed().await;
    stage.simulator.with(|cloud| cloud.publisher.switches.not_found = NotFound::Retried);
    stage.receiver.answer(status(404));
    stage.secrets(1);
    let at = start() + Duration::from_secs(301);
    assert_eq!(stage.publisher().deliver_due().await[0].outcome, Outcome::RetriedAt(at));
}

#[tokio::test]
async fn an_event_ends_after_its_attempts_or_its_life() {
    let attempts = |request: SubscriptionRequest| SubscriptionRequest { max_attempts: 3, ..request };
    let life = |request: SubscriptionRequest| SubscriptionRequest { time_to_live: 1, ..request };
    for (dead_lettering, few, reason) in [
        (true, true, Reason::MaxDeliveryAttemptsExceeded),
        (false, true, Reason::MaxDeliveryAttemptsExceeded),
        (true, false, Reason::TimeToLiveExceeded),
    ] {
        let stage = Stage::subscribed_as(|request| {
            let request = if few { attempts(request) } else { life(request) };
            if dead_lettering { request.dead_lettering() } else { request }
        })
        .await;
        stage.receiver.answer(status(500));
        stage.secrets(1);
        let deliveries = stage.publisher().deliver_all().await;
        let last = deliveries.last().unwrap();
        let (expected, letters) =
            if dead_lettering { (Outcome::DeadLettered(reason), 1) } else { (Outcome::Dropped(reason), 0) };
        assert_eq!(last.outcome, expected);
        assert_eq!(stage.receiver.take().len(), 3);
        assert_eq!(last.at.duration_since(start()).as_secs(), if few { 41 } else { 61 });
        stage.simulator.with(|cloud| {
            let kept: Vec<_> = cloud.publisher.dead_letters().collect();
            assert_eq!(kept.len(), letters);
            for letter in kept {
                assert_eq!(letter.at, last.at + Duration::from_secs(300));
                assert_eq!(letter.record["deliveryAttempts"], 3);
                assert_eq!(letter.record["deadLetterReason"], format!("{reason:?}"));
                assert_eq!(letter.record["subject"], "plain");
            }
            assert_eq!(cloud.publisher.subscription(NAME).unwrap().waiting(), 0);
        });
    }
}

#[tokio::test]
async fn an_endpoint_that_is_silent_or_gone_is_tried_again() {
    let stage = Stage::subscribed().await;
    stage.receiver.answer(Answer::Cut);
    stage.secrets(1);
    let deliveries = stage.publisher().deliver_next().await;
    assert!(matches!(deliveries[0].answered, Some(Answered::Failed(_))), "{deliveries:?}");
    assert!(!deliveries[0].outcome.is_final());
    stage.receiver.take();
    stage.receiver.answer(Answer::Nothing);
    let publisher = stage.publisher();
    let delivering = tokio::spawn(async move { publisher.deliver_next().await });
    stage.receiver.wait_for(1).await;
    stage.simulator.with(|cloud| cloud.advance(Duration::from_secs(30)));
    let deliveries = delivering.await.unwrap();
    assert_eq!(deliveries[0].answered, Some(Answered::TimedOut));
    stage.receiver.answer(status(200));
    assert_eq!(stage.publisher().deliver_next().await[0].outcome, Outcome::Delivered);
    let Stage { simulator, receiver, .. } = stage;
    let gone = receiver.address;
    drop(receiver);
    while tokio::net::TcpStream::connect(gone).await.is_ok() {
        tokio::task::yield_now().await;
    }
    simulator.with(|cloud| {
        let now = cloud.now();
        cloud.vault_mut(shop::VAULT).unwrap().set_secret("other", "value", None, now);
    });
    let deliveries = simulator.publisher().deliver_due().await;
    assert!(matches!(deliveries[0].answered, Some(Answered::Failed(_))), "{deliveries:?}");
}

#[tokio::test]
async fn a_delivery_that_nobody_concludes_is_due_again() {
    let stage = Stage::subscribed().await;
    stage.receiver.answer(Answer::Nothing);
    stage.secrets(1);
    let publisher = stage.publisher();
    let delivering = tokio::spawn(async move { publisher.deliver_due().await });
    stage.receiver.wait_for(1).await;
    assert!(stage.publisher().deliver_due().await.is_empty(), "it is under way");
    delivering.abort();
    assert!(delivering.await.unwrap_err().is_cancelled());
    stage.receiver.answer(status(200));
    let deliveries = stage.publisher().deliver_next().await;
    assert_eq!((deliveries[0].attempt, deliveries[0].outcome), (2, Outcome::Delivered));
}

#[tokio::test]
async fn a_lost_answer_brings_a_delivery_twice() {
    let stage = Stage::subscribed().await;
    stage.simulator.with(|cloud| cloud.publisher.lost_answers = 1);
    stage.secrets(1);
    let outcomes: Vec<bool> =
        stage.publisher().deliver_all().await.iter().map(|one| one.outcome == Outcome::Delivered).collect();
    assert_eq!(outcomes, [false, true]);
    assert_eq!(stage.receiver.take().len(), 2);
}

#[tokio::test]
async fn events_may_come_out_of_order_and_twice() {
    let stage = Stage::subscribed().await;
    let expected = stage.secrets(3);
    assert_eq!(versions(&stage.publisher().deliver_due().await), expected);
    stage.simulator.with(|cloud| cloud.publisher.disturbances.order = Order::Reversed);
    let mut expected = stage.secrets(3);
    expected.reverse();
    assert_eq!(versions(&stage.publisher().deliver_due().await), expected);
    stage.simulator.with(|cloud| cloud.publisher.disturbances.duplicates = Duplicates::Present);
    stage.receiver.take();
    let version = stage.secrets(1).remove(0);
    assert_eq!(versions(&stage.publisher().deliver_all().await), [version.clone(), version]);
    let ids: BTreeSet<String> =
        stage.receiver.take().iter().map(|one| one.json()[0]["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn a_duplicate_that_fails_is_no_loss() {
    let stage = Stage::subscribed_as(SubscriptionRequest::dead_lettering).await;
    stage.simulator.with(|cloud| cloud.publisher.disturbances.duplicates = Duplicates::Present);
    stage.secrets(1);
    assert_eq!(stage.publisher().deliver_due().await[0].outcome, Outcome::Delivered);
    stage.receiver.answer(status(400));
    assert_eq!(stage.publisher().deliver_next().await[0].outcome, Outcome::Dropped(Reason::FinalAnswer));
    stage.simulator.with(|cloud| assert_eq!(cloud.publisher.dead_letters().count(), 0));
}

#[tokio::test]
async fn an_endpoint_on_probation_gets_nothing_for_an_hour_not_even_what_is_new() {
    let stage = Stage::subscribed().await;
    stage.simulator.with(|cloud| cloud.publisher.disturbances.probation = Probation::Present);
    stage.receiver.answer(status(500));
    stage.secrets(10);
    let last = stage.publisher().deliver_due().await.pop().unwrap();
    let until = last.at + Duration::from_secs(3600);
    assert_eq!(last.outcome, Outcome::RetriedAt(until));
    stage.receiver.answer(status(200));
    stage.secrets(1);
    assert!(stage.publisher().deliver_due().await.is_empty());
    let deliveries = stage.publisher().deliver_next().await;
    assert_eq!((deliveries.len(), deliveries[0].at), (11, until));
    stage.secrets(1);
    assert_eq!(stage.publisher().deliver_due().await.len(), 1, "a success ends it");
}

#[tokio::test]
async fn retries_may_be_spread() {
    let stage = Stage::subscribed().await;
    stage.simulator.with(|cloud| cloud.publisher.switches.retry_times = RetryTimes::Spread);
    stage.receiver.answer(status(500));
    stage.secrets(20);
    let waits: BTreeSet<i128> = stage
        .publisher()
        .deliver_due()
        .await
        .iter()
        .map(|one| match one.outcome {
            Outcome::RetriedAt(at) => at.duration_since(one.at).as_millis(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(waits.len() > 1 && waits.iter().all(|wait| (10_000..11_000).contains(wait)), "{waits:?}");
}

#[tokio::test]
async fn a_batch_has_its_limits_and_stands_or_falls_as_one() {
    for (schema, kind) in [
        (Schema::EventGrid, "application/json; charset=utf-8"),
        (Schema::CloudEvents, "application/cloudevents-batch+json; charset=utf-8"),
    ] {
        let stage = Stage::subscribed_as(|request| request.schema(schema).batched(3, 1024)).await;
        let expected = stage.secrets(7);
        stage.receiver.answer(status(500));
        assert!(stage.publisher().deliver_due().await.iter().all(|one| !one.outcome.is_final()));
        stage.receiver.take();
        stage.receiver.answer(status(200));
        let deliveries = stage.publisher().deliver_next().await;
        assert_eq!(versions(&deliveries), expected);
        assert_eq!(deliveries.iter().map(|one| one.request).collect::<BTreeSet<_>>().len(), 3);
        let arrived = stage.receiver.take();
        let sizes: Vec<usize> = arrived.iter().map(|one| one.json().as_array().unwrap().len()).collect();
        assert_eq!(sizes, [3, 3, 1]);
        assert!(arrived.iter().all(|one| one.header("content-type") == Some(kind)));
    }
    let stage = Stage::subscribed_as(|request| request.batched(100, 1)).await;
    stage.secrets(4);
    stage.publisher().deliver_due().await;
    for one in stage.receiver.take() {
        assert!(
            one.body.len() <= 1024 + 16 || one.json().as_array().unwrap().len() == 1,
            "{}",
            one.body.len()
        );
    }
}

#[tokio::test]
async fn https_needs_a_trusted_root_and_the_right_name() {
    const HOOKS: &str = "hooks.contoso.com";
    let stage = Stage::new().await;
    let now = Timestamp::now();
    let root = Authority::root("Contoso Web Root", now);
    let certificate = root.intermediate("Contoso Web", now).issue(&LeafRequest::server(HOOKS, now));
    let receiver = Receiver::start_tls(&certificate).await;
    let request = |host: &str| {
        let url = format!("https://{host}/events").parse().unwrap();
        SubscriptionRequest::new(NAME, shop::VAULT, url).reached_at(receiver.address)
    };
    let refused = stage.publisher().subscribe(request(HOOKS)).await;
    assert!(matches!(refused, Err(SubscriptionRefused::NotValidated(_))), "{refused:?}");
    stage.simulator.with(|cloud| cloud.publisher.trusted_roots.push(root.certificate_der().to_vec()));
    assert!(stage.publisher().subscribe(request("other.contoso.com")).await.is_err());
    assert!(receiver.take().is_empty());
    assert_eq!(stage.publisher().subscribe(request(HOOKS)).await, Ok(Provisioning::Succeeded));
    stage.secrets(1);
    assert_eq!(stage.publisher().deliver_due().await[0].outcome, Outcome::Delivered);
    assert!(receiver.take().iter().all(|one| one.header("host") == Some(HOOKS)));
}

#[tokio::test]
async fn a_clock_that_runs_delivers_without_being_told() {
    let (cloud, mut shop) = shop::shop(Pace::Automatic, Timestamp::now());
    let simulator = Simulator::start(cloud).await.unwrap();
    let receiver = Receiver::start().await;
    let request = SubscriptionRequest::new(NAME, shop::VAULT, receiver.url("/events"));
    simulator.publisher().subscribe(request).await.unwrap();
    receiver.take();
    receiver.answers({
        let mut first = true;
        move |arrived| if std::mem::take(&mut first) { status(500) } else { obliging(arrived) }
    });
    simulator.with(|cloud| shop.renew_leaf(cloud));
    assert_eq!(receiver.wait_for(3).await.len(), 3);
    simulator.with(|cloud| cloud.advance(Duration::from_secs(10)));
    let again = receiver.wait_for(1).await;
    assert_eq!(again[0].header("aeg-delivery-count"), Some("1"));
}
