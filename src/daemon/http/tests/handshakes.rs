//! Both handshakes.

use serde_json::json;

use super::answers::assert_problem;
use super::client::Message;
use super::world::{HEADER, SECRET, Wanted, preflight, validation, world};
use crate::http::events::Outcome;

#[tokio::test]
async fn the_event_grid_schema_gets_its_code_back() {
    let world = world(Wanted::default()).await;
    for vault in ["shop-kv", "EDGE-kv"] {
        let reply = world.send(&validation(vault)).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.json(), json!({ "validationResponse": "512d38b6-0000-4000-8000-000000000002" }));
    }
    let mut elsewhere = validation("shop-kv");
    elsewhere.body = String::from_utf8(elsewhere.body)
        .unwrap()
        .replace("Microsoft.KeyVault/vaults/shop-kv", "Microsoft.Storage/storageAccounts/shop")
        .into_bytes();
    for message in [validation("other-kv"), elsewhere] {
        let reply = world.send(&message).await;
        assert_eq!((reply.status, world.outcome()), (403, Outcome::ConsentRefused));
        assert!(!String::from_utf8_lossy(&reply.body).contains("512d38b6"));
    }
}

#[tokio::test]
async fn cloud_events_get_consent_by_header() {
    let world = world(Wanted { secret: true, ..Wanted::default() }).await;
    let reply = world.send(&preflight().with(HEADER, SECRET)).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("webhook-allowed-origin"), Some("eventgrid.azure.net"));
    assert_eq!(reply.header("webhook-allowed-rate"), Some("*"));
    assert_eq!(reply.header("allow"), Some("POST, OPTIONS"));
    // Who is not believed, who is another and who does not ask get none.
    let no_consent = |reply: &super::client::Reply| reply.header("webhook-allowed-origin").is_none();
    let reply = world.send(&preflight()).await;
    assert!(reply.status == 401 && no_consent(&reply));
    for origin in ["eventgrid.azure.cn", "evil.example", "*", "eventgrid.azure.net.evil.example", ""] {
        let message = Message::options().with(HEADER, SECRET).with("WebHook-Request-Origin", origin);
        let reply = world.send(&message).await;
        assert!(reply.status == 403 && no_consent(&reply), "{origin}");
        assert_problem(&reply, origin);
    }
    let reply = world.send(&Message::options().with(HEADER, SECRET)).await;
    assert!(reply.status == 200 && no_consent(&reply));
    assert_eq!(world.outcome(), Outcome::Told);
}
