//! Everybody who is not believed.

use std::cell::RefCell;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use certroll_core::event::{Denied, TokenError};
use serde_json::{Value, json};

use super::answers::assert_problem;
use super::client::Message;
use super::entra::{Key, Mood, bearer, first_form, second_form};
use super::world::{HEADER, NOW, PREVIOUS, SECRET, Wanted, delivery, preflight, validation, world};
use crate::http::authentication::{Authentication, Refusal};
use crate::http::events::Outcome;

#[tokio::test]
async fn wrong_secrets_are_refused_for_every_message() {
    let mut world = world(Wanted { secret: true, ..Wanted::default() }).await;
    let longer = format!("{SECRET}x");
    let cases: [(&str, Message, Refusal); 10] = [
        ("nothing", delivery("shop-kv"), Refusal::Missing),
        ("wrong", delivery("shop-kv").with(HEADER, "wrong"), Refusal::Secret),
        ("empty", delivery("shop-kv").with(HEADER, ""), Refusal::Secret),
        ("longer", delivery("shop-kv").with(HEADER, &longer), Refusal::Secret),
        ("shorter", delivery("shop-kv").with(HEADER, &SECRET[1..]), Refusal::Secret),
        ("other case", delivery("shop-kv").with(HEADER, &SECRET.to_uppercase()), Refusal::Secret),
        ("another header", delivery("shop-kv").with("X-Secret", SECRET), Refusal::Missing),
        ("another parameter", delivery("shop-kv").to(&format!("/events?key={SECRET}")), Refusal::Missing),
        ("wrong parameter", delivery("shop-kv").to("/events?code=wrong"), Refusal::Secret),
        (
            "a token, which nobody asked for",
            delivery("shop-kv").with("Authorization", &bearer(&first_form())),
            Refusal::Missing,
        ),
    ];
    for (name, message, refusal) in cases {
        let reply = world.send(&message).await;
        assert_eq!((reply.status, world.outcome()), (401, Outcome::Refused(refusal)), "{name}");
        assert_problem(&reply, name);
    }
    for message in
        [validation("shop-kv"), preflight(), Message::post("{"), Message::post(vec![b' '; 2_000_000])]
    {
        assert_eq!(world.send(&message).await.status, 401, "credentials come before everything else");
    }
    assert_eq!(world.activated(), Vec::<String>::new());
    // One right value among several is enough, in any place.
    for message in [
        delivery("shop-kv").with(HEADER, "wrong").with(HEADER, SECRET),
        delivery("shop-kv").with(HEADER, "wrong").to(&format!("/events?code=wrong&code={PREVIOUS}")),
    ] {
        assert_eq!(world.send(&message).await.status, 200);
    }
}

fn changed(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn wrong_tokens_are_refused_by_reason() {
    let mut world = world(Wanted { entra: true, ..Wanted::default() }).await;
    for form in [first_form(), second_form()] {
        let caller = if form["ver"] == "1.0" { "appid" } else { "azp" };
        let stranger = json!("11111111-0000-4000-8000-000000000001");
        for (name, value, denied, status) in [
            (
                "iss",
                json!("https://sts.windows.net/11111111-0000-4000-8000-000000000001/"),
                Denied::Issuer,
                401,
            ),
            ("aud", json!("api://somebody-else"), Denied::Audience, 401),
            ("tid", stranger.clone(), Denied::Tenant, 401),
            (caller, stranger.clone(), Denied::Application, 403),
            (caller, Value::Null, Denied::Application, 403),
            ("roles", json!([]), Denied::Role, 403),
            ("exp", json!(NOW - 3600), Denied::Expired, 401),
            ("exp", Value::Null, Denied::NotYetValid, 401),
            ("nbf", json!(NOW + 3600), Denied::NotYetValid, 401),
        ] {
            let token = bearer(&changed(form.clone(), name, value.clone()));
            let reply = world.send(&delivery("shop-kv").with("Authorization", &token)).await;
            let context = format!("{} {name} {value}", form["ver"]);
            assert_eq!(world.outcome(), Outcome::Refused(Refusal::Denied(denied)), "{context}");
            assert_eq!(reply.status, status, "{context}");
            assert_eq!(reply.header("www-authenticate").is_some(), status == 401, "{context}");
            assert_problem(&reply, &context);
        }
        // The other form's issuer, with the same keys.
        let other = if form["ver"] == "1.0" { second_form() } else { first_form() };
        let token = bearer(&changed(form.clone(), "iss", other["iss"].clone()));
        world.send(&delivery("shop-kv").with("Authorization", &token)).await;
        assert_eq!(world.outcome(), Outcome::Refused(Refusal::Denied(Denied::Issuer)));
    }
    assert_eq!(world.activated(), Vec::<String>::new());
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let mut world = world(Wanted { entra: true, ..Wanted::default() }).await;
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = |alg: &str| json!({ "alg": alg, "kid": "first" });
    let good = bearer(&first_form());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let other_claims = format!("Bearer {}.{}.{signature}", part(&header("RS256")), part(&second_form()));
    let unsigned = format!("Bearer {}.{}.", part(&header("none")), part(&first_form()));
    let hashed = format!("Bearer {}", Key::First.sign(&header("HS256"), &first_form()));
    let other_key = format!("Bearer {}", Key::Second.sign(&header("RS256"), &first_form()));
    let nameless = format!("Bearer {}", Key::First.sign(&json!({ "alg": "RS256" }), &first_form()));
    for (name, value, refusal) in [
        ("another's claims", other_claims.as_str(), Denied::Signature.into()),
        ("another's key under the name of ours", &other_key, Denied::Signature.into()),
        ("no signature", &format!("{signed}."), Denied::Signature.into()),
        ("unsigned", &unsigned, TokenError::Algorithm.into()),
        ("hashed", &hashed, TokenError::Algorithm.into()),
        ("nameless", &nameless, TokenError::Key.into()),
        ("no token", "Bearer x", TokenError::Malformed.into()),
        ("endless", &format!("Bearer {}", "e".repeat(20_000)), TokenError::TooLong.into()),
        ("another scheme", "Basic Zm9vOmJhcg==", Refusal::Missing),
        ("no scheme", "Bearer", Refusal::Missing),
    ] {
        let reply = world.send(&delivery("shop-kv").with("Authorization", value)).await;
        assert_eq!((reply.status, world.outcome()), (401, Outcome::Refused(refusal)), "{name}");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"), "{name}");
        assert_problem(&reply, name);
    }
    for message in [delivery("shop-kv"), validation("shop-kv"), preflight()] {
        assert_eq!(world.send(&message).await.status, 401);
    }
    assert_eq!(world.activated(), Vec::<String>::new());
}

#[tokio::test]
async fn a_key_that_is_not_published_is_looked_for_once() {
    let world = world(Wanted { entra: true, ..Wanted::default() }).await;
    let unknown = Key::Second.sign(&json!({ "alg": "RS256", "kid": "second" }), &first_form());
    let message = delivery("shop-kv").with("Authorization", &format!("Bearer {unknown}"));
    let reply = world.send(&message).await;
    assert_eq!((reply.status, world.outcome()), (401, Outcome::Refused(Refusal::Key)));
    let requests = world.authority.requests();
    for _ in 0..10 {
        world.send(&message).await;
    }
    assert_eq!(world.authority.requests(), requests);
}

#[tokio::test]
async fn without_keys_nothing_is_refused() {
    let mut world = world(Wanted { entra: true, ..Wanted::default() }).await;
    world.authority.is(Mood::Down);
    let forged = Key::Second.sign(&json!({ "alg": "RS256", "kid": "first" }), &first_form());
    for token in [bearer(&first_form()), bearer(&second_form()), format!("Bearer {forged}")] {
        for message in [delivery("shop-kv"), validation("shop-kv"), preflight()] {
            let reply = world.send(&message.with("Authorization", &token)).await;
            assert_eq!((reply.status, world.outcome()), (503, Outcome::Undecided));
            assert_eq!(reply.header("retry-after"), Some("30"));
            assert_problem(&reply, "undecided");
        }
    }
    // What is no token needs no key to be refused.
    assert_eq!(world.send(&delivery("shop-kv").with("Authorization", "Bearer x")).await.status, 401);
    assert_eq!(world.activated(), Vec::<String>::new());
}

#[tokio::test]
async fn another_configuration_counts_from_the_next_request() {
    let world = world(Wanted { secret: true, ..Wanted::default() }).await;
    let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    assert_eq!(delivery("shop-kv").exchange(&mut stream).await.unwrap().status, 401);
    world.reconfigured(Authentication::default());
    assert_eq!(delivery("shop-kv").exchange(&mut stream).await.unwrap().status, 200);
    assert_eq!(Message::post(vec![b' '; 1001]).exchange(&mut stream).await.unwrap().status, 413);
}

thread_local! {
    /// What was logged on this thread, which is one test's.
    static LOGGED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Logged;

impl std::io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOGGED.with_borrow_mut(|logged| logged.extend(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_that_proves_anything_is_logged() {
    // For the whole process: one that is a thread's own hears nothing of what another thread was first to say to nobody.
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(|| Logged).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let world = world(Wanted { secret: true, entra: true, ..Wanted::default() }).await;
    let token = bearer(&first_form());
    let wrong = bearer(&changed(first_form(), "aud", json!("canary-audience")));
    for message in [
        delivery("shop-kv").with(HEADER, SECRET),
        delivery("shop-kv").to(&format!("/events?code={PREVIOUS}")),
        delivery("shop-kv").to("/events?code=canary-wrong").with(HEADER, "canary-wrong"),
        delivery("shop-kv").to("/canary-elsewhere?code=canary-elsewhere"),
        delivery("shop-kv").with("Authorization", &token),
        delivery("shop-kv").with("Authorization", &wrong),
        Message::post("canary-body").with(HEADER, SECRET),
        validation("shop-kv").with(HEADER, SECRET),
    ] {
        world.send(&message).await;
    }
    let text = String::from_utf8(LOGGED.take()).unwrap();
    assert!(text.matches("request answered").count() == 8, "{text}");
    for canary in ["canary", "eyJ", "512d38b6", "code="] {
        assert!(!text.contains(canary), "{canary}: {text}");
    }
}
