use std::time::Duration;

use certroll_simulator::entra::{DeliveryToken, Deviation, TokenVersion};
use certroll_simulator::publisher::switches::{Callback, ChunkedValidation, RequestRate, ValidationData};
use certroll_simulator::publisher::{
    NotValidated, Provisioning, Schema, SubscriptionRefused, SubscriptionRequest,
};
use certroll_simulator::scenario::TENANT;
use serde_json::{Value, json};

use super::{NAME, Stage};
use crate::receiver::{Answer, obliging, status};
use crate::support::start;

#[tokio::test]
async fn a_validation_event_is_answered_by_its_code() {
    let stage = Stage::new().await;
    let request = stage.request().header("x-team", "shop");
    assert_eq!(stage.publisher().subscribe(request).await, Ok(Provisioning::Succeeded));
    let [validation] = &stage.receiver.take()[..] else { panic!("one request") };
    assert_eq!((validation.method.as_str(), validation.target.as_str()), ("POST", "/events"));
    assert_eq!(validation.header("aeg-event-type"), Some("SubscriptionValidation"));
    assert_eq!(validation.header("aeg-subscription-name"), Some("SHOP-EVENTS"));
    assert_eq!(validation.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(validation.header("host"), Some(stage.receiver.address.to_string().as_str()));
    assert_eq!(validation.header("x-team"), Some("shop"));
    let body = validation.json();
    assert_eq!(body.as_array().unwrap().len(), 1);
    let event = &body[0];
    assert_eq!(event["eventType"], "Microsoft.EventGrid.SubscriptionValidationEvent");
    assert_eq!(event["eventTime"], "2026-11-23T12:00:00.0000000Z");
    assert!(event["topic"].as_str().unwrap().ends_with("/providers/Microsoft.KeyVault/vaults/shop-kv"));
    let url = event["data"]["validationUrl"].as_str().unwrap();
    assert!(url.starts_with("https://rp-chinaeast2.eventgrid.azure.cn:553/eventsubscriptions/"), "{url}");
}

#[tokio::test]
async fn a_subscription_is_refused_unless_the_endpoint_validates() {
    let stage = Stage::new().await;
    let other = json!({ "validationResponse": "another" }).to_string();
    for (answer, expected) in [
        (status(202), NotValidated::Status(202)),
        (status(401), NotValidated::Status(401)),
        (status(503), NotValidated::Status(503)),
        (Answer::Whole(200, Vec::new(), other), NotValidated::WrongCode),
    ] {
        stage.receiver.answers(move |_| answer.clone());
        let refused = stage.publisher().subscribe(stage.request()).await;
        assert_eq!(refused, Err(SubscriptionRefused::NotValidated(expected)));
    }
    stage.receiver.answers(|_| Answer::Cut);
    let refused = stage.publisher().subscribe(stage.request()).await;
    assert!(
        matches!(refused, Err(SubscriptionRefused::NotValidated(NotValidated::NoAnswer(_)))),
        "{refused:?}"
    );
    stage.simulator.with(|cloud| {
        assert!(cloud.publisher.subscriptions().is_empty());
        let statuses: Vec<_> = cloud.publisher.validations().iter().map(|one| one.status).collect();
        assert_eq!(statuses, [Some(202), Some(401), Some(503), Some(200), None]);
    });
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_holds_a_handshake_up_to_the_limit() {
    let stage = Stage::new().await;
    stage.receiver.answers(|_| Answer::Nothing);
    let (publisher, request) = (stage.publisher(), stage.request());
    let creating = tokio::spawn(async move { publisher.subscribe(request).await });
    stage.receiver.wait_for(1).await;
    stage.simulator.with(|cloud| cloud.advance(Duration::from_secs(29)));
    tokio::task::yield_now().await;
    assert!(!creating.is_finished());
    stage.simulator.with(|cloud| cloud.advance(Duration::from_secs(1)));
    let refused = creating.await.unwrap();
    assert!(
        matches!(refused, Err(SubscriptionRefused::NotValidated(NotValidated::NoAnswer(_)))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_validation_url_can_be_opened_within_ten_minutes() {
    for (waited, expected) in [(599, Provisioning::Succeeded), (600, Provisioning::Failed)] {
        let mut stage = Stage::new().await;
        stage.receiver.answers(|_| status(200));
        let until = start() + Duration::from_secs(600);
        let created = stage.publisher().subscribe(stage.request()).await;
        assert_eq!(created, Ok(Provisioning::AwaitingManualAction(until)));
        stage.renew();
        assert!(stage.publisher().deliver_due().await.is_empty());
        let body = stage.receiver.take()[0].json();
        let url = body[0]["data"]["validationUrl"].as_str().unwrap().to_owned();
        stage.simulator.with(|cloud| {
            cloud.advance(Duration::from_secs(waited));
            assert!(!cloud.publisher.open_validation_url("https://rp.example/validate?id=guess"));
            let opened = cloud.publisher.open_validation_url(&url);
            assert_eq!(opened, expected == Provisioning::Succeeded);
            assert_eq!(cloud.publisher.subscription(NAME).unwrap().provisioning, expected);
        });
    }
}

#[tokio::test]
async fn cloud_events_ask_for_consent_by_origin() {
    let stage = Stage::new().await;
    let request = || stage.request().schema(Schema::CloudEvents);
    let allow = |origin: &str| {
        let origin = origin.to_owned();
        stage.receiver.answers(move |_| {
            Answer::Whole(405, vec![("WebHook-Allowed-Origin", origin.clone())], String::new())
        });
    };
    for origin in ["eventgrid.azure.cn", "*"] {
        allow(origin);
        assert_eq!(stage.publisher().subscribe(request()).await, Ok(Provisioning::Succeeded), "{origin}");
    }
    allow("eventgrid.azure.net");
    let refused = stage.publisher().subscribe(request()).await;
    let expected = NotValidated::NoConsent(Some("eventgrid.azure.net".to_owned()));
    assert_eq!(refused, Err(SubscriptionRefused::NotValidated(expected)));
    stage.receiver.answers(|_| status(200));
    let refused = stage.publisher().subscribe(request()).await;
    assert_eq!(refused, Err(SubscriptionRefused::NotValidated(NotValidated::NoConsent(None))));
    let arrived = stage.receiver.take();
    assert_eq!(arrived.len(), 4);
    assert!(arrived.iter().all(|one| one.method == "OPTIONS"
        && one.body.is_empty()
        && one.header("webhook-request-origin") == Some("eventgrid.azure.cn")
        && one.header("webhook-request-rate").is_none()
        && one.header("webhook-request-callback").is_none()));
}

#[tokio::test]
async fn a_rate_that_is_asked_for_must_be_allowed_and_a_callback_consents_later() {
    let stage = Stage::new().await;
    let request = || stage.request().schema(Schema::CloudEvents);
    stage.simulator.with(|cloud| cloud.publisher.switches.request_rate = RequestRate::Requested);
    for (rate, allowed) in [(None, false), (Some("0"), false), (Some("120"), true), (Some("*"), true)] {
        stage.receiver.answers(move |_| {
            let rate = rate.map(|rate| ("webhook-allowed-rate", rate.to_owned()));
            let origin = ("webhook-allowed-origin", "*".to_owned());
            Answer::Whole(200, std::iter::once(origin).chain(rate).collect(), String::new())
        });
        assert_eq!(stage.publisher().subscribe(request()).await.is_ok(), allowed, "{rate:?}");
        assert_eq!(stage.receiver.take()[0].header("webhook-request-rate"), Some("120"));
    }
    stage.simulator.with(|cloud| cloud.publisher.switches.callback = Callback::Offered);
    stage.receiver.answers(|_| status(200));
    let created = stage.publisher().subscribe(request()).await;
    assert!(matches!(created, Ok(Provisioning::AwaitingManualAction(_))), "{created:?}");
    let callback = stage.receiver.take()[0].header("webhook-request-callback").unwrap().to_owned();
    stage.simulator.with(|cloud| assert!(cloud.publisher.open_validation_url(&callback)));
}

#[tokio::test]
async fn a_validation_is_written_and_its_answer_read_as_the_switches_say() {
    let stage = Stage::new().await;
    stage.simulator.with(|cloud| cloud.publisher.switches.validation_data = ValidationData::Text);
    stage.receiver.answers(|arrived| {
        let body = arrived.json();
        let data: Value = serde_json::from_str(body[0]["data"].as_str().unwrap()).unwrap();
        let body = json!({ "validationResponse": data["validationCode"] });
        Answer::Whole(200, Vec::new(), body.to_string())
    });
    assert_eq!(stage.publisher().subscribe(stage.request()).await, Ok(Provisioning::Succeeded));
    stage.simulator.with(|cloud| {
        cloud.publisher.switches.validation_data = ValidationData::Object;
        cloud.publisher.switches.chunked_validation = ChunkedValidation::Refused;
    });
    stage.receiver.answers(obliging);
    assert_eq!(stage.publisher().subscribe(stage.request()).await, Ok(Provisioning::Succeeded));
    stage.receiver.answers(|arrived| match obliging(arrived) {
        Answer::Whole(status, mut headers, body) => {
            headers.push(("transfer-encoding", "chunked".to_owned()));
            Answer::Whole(status, headers, body)
        }
        other => other,
    });
    let refused = stage.publisher().subscribe(stage.request()).await;
    assert_eq!(refused, Err(SubscriptionRefused::NotValidated(NotValidated::Chunked)));
}

#[tokio::test]
async fn the_token_comes_with_the_handshake_and_with_every_delivery() {
    let mut stage = Stage::new().await;
    let token = DeliveryToken::new(TokenVersion::Two, TENANT, "api-of-the-webhook");
    stage.publisher().subscribe(stage.request().token(token)).await.unwrap();
    stage.renew();
    stage.publisher().deliver_due().await;
    let arrived = stage.receiver.take();
    assert_eq!(arrived.len(), 4);
    let issued: Vec<String> =
        stage.simulator.with(|cloud| cloud.entra.issued_tokens().map(str::to_owned).collect());
    for one in &arrived {
        let token = one.header("authorization").unwrap().strip_prefix("Bearer ").unwrap();
        assert!(issued.iter().any(|issued| issued == token));
    }
    stage.simulator.with(|cloud| {
        let token = &mut cloud.publisher.subscription_mut(NAME).unwrap().request.token;
        token.as_mut().unwrap().deviation = Some(Deviation::NotAToken);
    });
    stage.renew();
    stage.publisher().deliver_due().await;
    assert_eq!(stage.receiver.take()[0].header("authorization"), Some("Bearer neither.a.token"));
}

#[tokio::test]
async fn an_update_validates_again_and_keeps_what_waits() {
    let mut stage = Stage::subscribed().await;
    stage.renew();
    stage.receiver.answers(|_| status(500));
    let mut elsewhere = stage.request();
    elsewhere.endpoint = stage.receiver.url("/events?code=sesame");
    assert!(stage.publisher().subscribe(elsewhere.clone()).await.is_err());
    stage.receiver.answers(obliging);
    stage.publisher().deliver_next().await;
    assert!(stage.receiver.take()[1..].iter().all(|one| one.target == "/events"));
    stage.renew();
    stage.publisher().subscribe(elsewhere).await.unwrap();
    assert_eq!(stage.publisher().deliver_due().await.len(), 3);
    assert!(stage.receiver.take().iter().all(|one| one.target == "/events?code=sesame"));
    stage.simulator.with(|cloud| assert_eq!(cloud.publisher.subscriptions().len(), 1));
}

#[tokio::test]
async fn a_deletion_is_told() {
    let mut stage = Stage::subscribed().await;
    stage.renew();
    assert!(stage.publisher().unsubscribe(NAME).await);
    assert!(!stage.publisher().unsubscribe(NAME).await);
    let [told] = &stage.receiver.take()[..] else { panic!("one request") };
    assert_eq!(told.header("aeg-event-type"), Some("SubscriptionDeletion"));
    assert_eq!(told.json()[0]["eventType"], "Microsoft.EventGrid.SubscriptionDeletedEvent");
    assert!(stage.publisher().deliver_due().await.is_empty());
}

#[tokio::test]
async fn what_azure_would_refuse_is_refused_before_any_request() {
    let stage = Stage::new().await;
    let changed = |change: &dyn Fn(&mut SubscriptionRequest)| {
        let mut request = stage.request();
        change(&mut request);
        request
    };
    let endpoint = |url: &str| changed(&|one| one.endpoint = url.parse().unwrap());
    let token = |tenant| DeliveryToken::new(TokenVersion::One, tenant, "app");
    let two = stage.request().token(token(TENANT)).header("Authorization", "Basic eDp5");
    let eleven = (0..11).fold(stage.request(), |one, at| one.header(&format!("x-{at}"), ""));
    for (name, request) in [
        ("vault", changed(&|one| one.vault = "other-kv".to_owned())),
        ("short name", changed(&|one| one.name = "ab".to_owned())),
        ("name", changed(&|one| one.name = "shop_events".to_owned())),
        ("life", changed(&|one| one.time_to_live = 1441)),
        ("attempts", changed(&|one| one.max_attempts = 31)),
        ("beyond loopback", endpoint("https://203.0.113.7/events")),
        ("name without address", endpoint("https://hooks.contoso.com/events")),
        ("scheme", endpoint("ftp://127.0.0.1/events")),
        ("tenant", stage.request().token(token("other"))),
        ("two authorizations", two),
        ("long header", stage.request().header("x-long", &"x".repeat(4097))),
        ("eleven headers", eleven),
        ("no events", stage.request().batched(0, 1)),
        ("many kilobytes", stage.request().batched(1, 1025)),
    ] {
        let refused = stage.publisher().subscribe(request).await.unwrap_err();
        assert!(!matches!(refused, SubscriptionRefused::NotValidated(_)), "{name}: {refused}");
    }
    assert!(stage.receiver.take().is_empty());
}
