//! The table of answers, for each way to be believed.

use serde_json::{Value, json};

use super::client::{Message, Reply};
use super::entra::{bearer, first_form, second_form};
use super::world::{
    HEADER, PREVIOUS, SECRET, Wanted, World, cloud_event, delivery, event_grid, preflight, validation, world,
};
use crate::http::authentication::Credential;
use crate::http::events::Outcome;

/// A way to be believed: what is configured, and what a message carries.
struct Way {
    name: &'static str,
    wanted: fn() -> Wanted,
    proof: fn(Message) -> Message,
    credential: Credential,
}

fn secret() -> Wanted {
    Wanted { secret: true, ..Wanted::default() }
}

fn entra() -> Wanted {
    Wanted { entra: true, ..Wanted::default() }
}

fn both() -> Wanted {
    Wanted { secret: true, entra: true, ..Wanted::default() }
}

fn in_query(message: Message, secret: &str) -> Message {
    let target = format!("{}?a=b&code={secret}", message.target);
    message.to(&target)
}

const WAYS: [Way; 9] = [
    Way { name: "nothing is asked for", wanted: Wanted::default, proof: |m| m, credential: Credential::None },
    Way { name: "header", wanted: secret, proof: |m| m.with(HEADER, SECRET), credential: Credential::Secret },
    Way {
        name: "previous header",
        wanted: secret,
        proof: |m| m.with(&HEADER.to_lowercase(), PREVIOUS),
        credential: Credential::PreviousSecret,
    },
    Way { name: "query", wanted: secret, proof: |m| in_query(m, SECRET), credential: Credential::Secret },
    Way {
        name: "previous query",
        wanted: secret,
        proof: |m| in_query(m, PREVIOUS),
        credential: Credential::PreviousSecret,
    },
    Way {
        name: "token of version 1",
        wanted: entra,
        proof: |m| m.with("Authorization", &bearer(&first_form())),
        credential: Credential::Entra,
    },
    Way {
        name: "token of version 2",
        wanted: entra,
        proof: |m| m.with("authorization", &bearer(&second_form())),
        credential: Credential::Entra,
    },
    Way {
        name: "both, by secret",
        wanted: both,
        proof: |m| m.with(HEADER, SECRET),
        credential: Credential::Secret,
    },
    Way {
        name: "both, by token",
        wanted: both,
        proof: |m| m.with("Authorization", &bearer(&second_form())).with(HEADER, "wrong-but-of-no-account"),
        credential: Credential::Entra,
    },
];

/// What every problem must and must not say.
pub(super) fn assert_problem(reply: &Reply, context: &str) {
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{context}");
    let body = reply.json();
    assert_eq!(body["status"], reply.status, "{context}");
    assert!(body["title"].is_string() && body["detail"].is_string(), "{context}: {body}");
    let text = body.to_string();
    for canary in ["canary", "eyJ", "kv-", "0b1f6471"] {
        assert!(!text.contains(canary), "{context}: {text}");
    }
}

#[tokio::test]
async fn the_table_is_the_same_for_everyone_who_is_believed() {
    for Way { name, wanted, proof, credential } in WAYS {
        let mut world = world(wanted()).await;
        let batch = json!([
            event_grid("shop-kv"),
            event_grid("EDGE-KV"),
            event_grid("other-kv"),
            cloud_event("shop-kv")
        ]);
        let foreign_type = json!([{ "eventType": "Microsoft.Storage.BlobCreated", "topic": "/x" }]);
        let rows: [(Message, Outcome, u16, &[&str]); 14] = [
            (delivery("shop-kv"), Outcome::Activated, 200, &["shop-kv"]),
            (delivery("edge-kv").to("/events/"), Outcome::Activated, 200, &["edge-kv"]),
            (Message::post(batch.to_string()), Outcome::Activated, 200, &["edge-kv", "shop-kv"]),
            (Message::post(cloud_event("shop-kv").to_string()), Outcome::Activated, 200, &["shop-kv"]),
            (delivery("other-kv"), Outcome::Ignored, 200, &[]),
            (Message::post(foreign_type.to_string()), Outcome::Ignored, 200, &[]),
            (Message::post("[]"), Outcome::Ignored, 200, &[]),
            (
                Message::post("[]").with("aeg-event-type", "SubscriptionDeletion"),
                Outcome::Unsubscribed,
                200,
                &[],
            ),
            (Message::post("{"), Outcome::Malformed, 400, &[]),
            (Message::post(""), Outcome::Malformed, 400, &[]),
            (Message::post(vec![b' '; 1280 * 1024 + 1]), Outcome::TooLarge, 413, &[]),
            (validation("shop-kv"), Outcome::Consented, 200, &[]),
            (validation("other-kv"), Outcome::ConsentRefused, 403, &[]),
            (preflight(), Outcome::Consented, 200, &[]),
        ];
        for (message, outcome, status, activated) in rows {
            let reply = world.send(&proof(message)).await;
            let context = format!("{name}: {outcome:?}");
            assert_eq!(reply.status, status, "{context}");
            let answered = world.answered();
            assert_eq!((answered.outcome, answered.credential), (outcome, Some(credential)), "{context}");
            assert_eq!(world.activated(), activated, "{context}");
            if status != 200 {
                assert_problem(&reply, &context);
            }
        }
        assert_not_judged(name, &mut world, proof).await;
    }
}

/// What is answered before the first look and while everything stops.
async fn assert_not_judged(name: &str, world: &mut World, proof: fn(Message) -> Message) {
    let stopping = {
        world.close();
        world.send(&proof(delivery("shop-kv"))).await
    };
    assert_eq!((stopping.status, world.outcome()), (503, Outcome::Stopping), "{name}");
    assert!(stopping.header("retry-after").is_some(), "{name}");
    assert_problem(&stopping, name);
    // What is of no account is not worth a second time either.
    assert_eq!(world.send(&proof(delivery("other-kv"))).await.status, 200, "{name}");
}

#[tokio::test]
async fn before_the_first_look_nothing_is_given_up() {
    let mut world = world(Wanted { looked: false, ..Wanted::default() }).await;
    for message in [delivery("edge-kv"), validation("edge-kv")] {
        let reply = world.send(&message).await;
        assert_eq!((reply.status, world.outcome()), (503, Outcome::NotReady));
        assert!(reply.header("retry-after").is_some());
        assert_problem(&reply, "not ready");
    }
    // What the configuration names is known from the start.
    assert_eq!(world.send(&delivery("shop-kv")).await.status, 200);
    assert_eq!(world.activated(), ["shop-kv"]);
}

#[tokio::test]
async fn methods_and_paths_that_are_not_ours() {
    let mut world = world(secret()).await;
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        let reply = world.send(&Message::options().method(method)).await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some("POST, OPTIONS")), "{method}");
        assert_problem(&reply, method);
    }
    for path in ["/", "/event", "/events/azure", "/EVENTS", "/events//", "/.well-known/x", "/events%2f"] {
        let reply = world.send(&delivery("shop-kv").to(path).with(HEADER, SECRET)).await;
        assert_eq!((reply.status, world.outcome()), (503, Outcome::Elsewhere), "{path}");
        assert_problem(&reply, path);
    }
    assert_eq!(world.activated(), Vec::<String>::new());
}

#[tokio::test]
async fn every_schema_and_mode_is_read() {
    let mut world = world(Wanted::default()).await;
    let structured = |body: Value, kind: &str| {
        let mut message = Message::post(body.to_string());
        message.headers[0].1 = format!("application/{kind}; charset=utf-8");
        message
    };
    let binary = Message::post(cloud_event("shop-kv")["data"].to_string())
        .with("ce-specversion", "1.0")
        .with("CE-Type", "Microsoft.KeyVault.SecretNewVersionCreated")
        .with("ce-id", "1")
        .with("ce-source", "/x/vaults/shop-kv");
    let upper =
        json!([{ "EVENTTYPE ": " Microsoft.KeyVault.SecretExpired", "data": { " vaultname": " SHOP-KV " } }]);
    for message in [
        structured(json!([event_grid("shop-kv")]), "json"),
        structured(cloud_event("shop-kv"), "cloudevents+json"),
        structured(json!([cloud_event("shop-kv"), cloud_event("shop-kv")]), "cloudevents-batch+json"),
        binary,
        structured(upper, "json"),
    ] {
        assert_eq!(world.send(&message).await.status, 200, "{message:?}");
        assert_eq!(world.activated(), ["shop-kv"], "{message:?}");
    }
    let heard = world.vaults.last_heard(&"shop-kv".parse().unwrap());
    assert_eq!(heard.map(jiff::Timestamp::as_second), Some(super::world::NOW));
}

#[tokio::test]
async fn five_thousand_events_are_one_look_a_vault() {
    let mut world = world(Wanted { body_limit: 8192 * 1024, ..Wanted::default() }).await;
    let events: Vec<Value> =
        (0..5000).map(|number| event_grid(["shop-kv", "edge-kv", "other-kv"][number % 3])).collect();
    let reply = world.send(&Message::post(json!(events).to_string())).await;
    assert_eq!((reply.status, reply.header("content-length")), (200, Some("0")));
    let answered = world.answered();
    assert_eq!((answered.events, answered.ignored), (3334, 1666));
    assert_eq!(world.activated(), ["edge-kv", "shop-kv"]);
    assert_eq!(world.activated(), Vec::<String>::new());
}
