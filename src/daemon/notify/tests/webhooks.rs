//! Webhooks: what is sent, and what an answer means.

use std::time::Duration;

use super::pki::Pki;
use super::web::{Answer, Web};
use super::{channel, http, notice, now, settings, webhook};
use crate::config::{ChannelKind, ChannelSettings, Secret};
use crate::notify::channel::Channel;
use crate::notify::{ID_HEADER, SIGNATURE_HEADER, SendError, TIMESTAMP_HEADER, signature};

async fn send(settings: &ChannelSettings) -> Result<(), SendError> {
    Channel::new(settings, &http(None)).unwrap().send(&notice("a"), settings.timeout).await
}

#[test]
fn a_signature_is_what_the_recipe_says() {
    // printf '1795435200.{"format":1}' | openssl dgst -sha256 -hmac 'correct horse battery staple'
    assert_eq!(
        signature(&Secret::new("correct horse battery staple"), "1795435200", b"{\"format\":1}"),
        "v1=4b809174478aae1a88ab559629eda0a215dfd3c96e9f8b6f0f4ddc5f65ff4e5f"
    );
}

#[tokio::test]
async fn a_request_is_signed_over_the_very_bytes_that_are_sent() {
    let mut web = Web::start(None).await;
    let secret = Secret::new("correct horse battery staple");
    let kind = ChannelKind::Webhook { url: Secret::new(&*web.url), signing_secret: Some(secret.clone()) };
    send(&channel("hook", kind)).await.unwrap();
    let request = web.request().await;
    assert_eq!(request.head, "POST /hook/T0KEN HTTP/1.1");
    assert_eq!(request.headers["content-type"], "application/json");
    let expected = signature(&secret, &request.headers[TIMESTAMP_HEADER], &request.body);
    assert_eq!(request.headers[SIGNATURE_HEADER], expected);
    assert_eq!(request.headers[ID_HEADER], notice("a").id());
    let body = request.json();
    assert_eq!((&body["format"], &body["id"]), (&1.into(), &notice("a").id().into()));
    assert_eq!(body["notice"]["kind"], "update_stuck");
    assert_eq!(body["notice"]["subject"]["type"], "service");
}

#[tokio::test]
async fn one_without_a_secret_is_not_signed_and_a_repetition_has_the_same_name() {
    let mut web = Web::start(None).await;
    let hook = webhook("hook", &web.url);
    for _ in 0..2 {
        send(&hook).await.unwrap();
    }
    let (first, second) = (web.request().await, web.request().await);
    assert!(!first.headers.contains_key(SIGNATURE_HEADER));
    assert_eq!(first.headers[ID_HEADER], second.headers[ID_HEADER]);
}

#[tokio::test]
async fn any_success_counts_and_nothing_else_does() {
    let web = Web::start(None).await;
    let hook = webhook("hook", &web.url);
    for (line, taken) in [
        ("200 OK", true),
        ("202 Accepted", true),
        ("204 No Content", true),
        ("400 Bad Request", false),
        ("410 Gone", false),
        ("503 Busy", false),
    ] {
        web.answers(Answer::status(line, "", ""));
        assert_eq!(send(&hook).await.is_ok(), taken, "{line}");
    }
}

#[tokio::test]
async fn a_refusal_says_why_without_the_url_and_how_long_to_wait() {
    let web = Web::start(None).await;
    let hook = webhook("hook", &web.url);
    web.answers(Answer::status("429 Too Many Requests", "retry-after: 30\r\n", "rate_limited\r\n"));
    let error = send(&hook).await.unwrap_err();
    assert_eq!(error.to_string(), "expected an answer of success (2xx), found 429: rate_limited");
    assert_eq!(error.after, Some(Duration::from_secs(30)));
    let echoed = format!("no such hook: {} {}", web.url, "x".repeat(100_000));
    web.answers(Answer::status("404 Not Found", "", &echoed));
    let error = send(&hook).await.unwrap_err().to_string();
    assert!(!error.contains("T0KEN") && error.len() < 300, "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (mut web, mut other) = (Web::start(None).await, Web::start(None).await);
    web.answers(Answer::status("307 Temporary Redirect", &format!("location: {}\r\n", other.url), ""));
    let error = send(&webhook("hook", &web.url)).await.unwrap_err().to_string();
    assert!(error.contains("found 307"), "{error}");
    web.request().await;
    other.nothing_more();
}

#[tokio::test]
async fn nobody_there_and_no_answer_are_errors_that_name_no_url() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook/T0KEN", listener.local_addr().unwrap());
    drop(listener);
    let error = send(&webhook("hook", &url)).await.unwrap_err().to_string();
    assert!(!error.contains("T0KEN"), "{error}");
    let web = Web::start(None).await;
    web.answers(Answer::Hang);
    let hook = ChannelSettings { timeout: Duration::from_millis(20), ..webhook("hook", &web.url) };
    assert_eq!(send(&hook).await.unwrap_err().to_string(), "no answer within 20ms");
}

#[tokio::test]
async fn an_authority_of_the_configuration_is_trusted_and_no_other() {
    let pki = Pki::new();
    let mut web = Web::start(Some(pki.acceptor.clone())).await;
    let hook = webhook("hook", &web.url);
    let error = send(&hook).await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
    let channel = Channel::new(&hook, &http(Some(&pki.ca_file()))).unwrap();
    channel.send(&notice("a"), hook.timeout).await.unwrap();
    assert_eq!(web.request().await.json()["notice"]["kind"], "update_stuck");
}

#[tokio::test]
async fn slack_and_teams_get_their_forms() {
    let mut web = Web::start(None).await;
    let url = Secret::new(&*web.url);
    send(&channel("slack", ChannelKind::Slack { url: url.clone() })).await.unwrap();
    assert_eq!(web.request().await.json()["blocks"][0]["type"], "header");
    send(&channel("teams", ChannelKind::Teams { url })).await.unwrap();
    assert_eq!(web.request().await.json()["attachments"][0]["content"]["type"], "AdaptiveCard");
}

#[test]
fn no_way_of_printing_settings_shows_a_url_or_a_secret() {
    let kind = ChannelKind::Webhook {
        url: Secret::new("https://hooks.example/T0KEN"),
        signing_secret: Some(Secret::new("T0KEN")),
    };
    let shown = format!("{:?}", settings(vec![channel("hook", kind)]));
    assert!(!shown.contains("T0KEN"), "{shown}");
}

#[tokio::test]
async fn a_test_of_a_channel_tells_what_became_of_it() {
    let place = tempfile::tempdir().unwrap();
    let mut web = Web::start(None).await;
    std::fs::write(place.path().join("url"), &web.url).unwrap();
    let text = "[[notify.channel]]\nname = \"hook\"\nkind = \"webhook\"\nurl_file = \"url\"\nkinds = [\"update_stuck\"]\n";
    std::fs::write(place.path().join("certroll.toml"), text).unwrap();
    let settings = crate::config::load(
        &place.path().join("certroll.toml"),
        &crate::config::Environment::default(),
        now(),
    )
    .unwrap();
    crate::notify::send_test(&settings, "hook", now()).await.unwrap();
    let told = web.request().await.json();
    assert_eq!(told["notice"]["title"], "test of the channel hook: nothing has happened");
    web.answers(Answer::status("500 Oops", "", ""));
    let failed = crate::notify::send_test(&settings, "hook", now()).await.unwrap_err();
    assert!(failed.to_string().contains("found 500"), "{failed}");
    let unknown = crate::notify::send_test(&settings, "chat", now()).await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no channel `chat`; expected one of `hook`");
}
