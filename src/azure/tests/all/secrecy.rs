//! What must not be seen: tokens, secrets and bodies in logs and errors.

use std::io::Write;
use std::sync::{Arc, Mutex};

use certroll_core::ports::PortError;
use certroll_core::target::cloud_service::PutBody;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::fake::Reply;
use crate::world::{VAULT, world};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn nothing_secret_is_logged_even_at_trace() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(lines.clone())
        .finish();
    // While there is one dispatcher only, tracing asks the thread that meets a call site first whether anybody listens,
    // which may be another test's.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::default());
    let guard = tracing::subscriber::set_default(subscriber);

    let world = world(|seen, before| match (seen.method.as_str(), seen.path()) {
        ("GET", "/secrets/shop-tls") if before == 0 => Reply::text(503, "canary-body"),
        ("GET", "/secrets/shop-tls") => Reply::json(
            200,
            &json!({ "id": format!("https://{VAULT}/secrets/shop-tls/0f3a"), "value": "canary-value" }),
        ),
        ("GET", "/secrets/broken") => Reply::text(200, r#"{"value":"canary-value"#),
        ("GET", "/secrets") => Reply::json(
            200,
            &json!({ "value": [], "nextLink": format!("https://{VAULT}/other?$skiptoken=canary-skip") }),
        ),
        ("GET", "/other") => Reply::text(200, "\"canary-body\""),
        _ => Reply::json(
            400,
            &json!({ "error": { "code": "Bad",
                "message": format!("token eyJ{} https://x/?sig=canary-sig", "canary".repeat(20)) } }),
        ),
    })
    .await;
    let reader = world.azure.vault_reader();
    let vault = "shop-kv".parse().unwrap();
    let secret = reader.secret(&vault, &"shop-tls".parse().unwrap(), None).await.unwrap();
    assert_eq!(secret.value.as_str(), "canary-value");
    let mut faults: Vec<PortError> = Vec::new();
    faults.extend(reader.secret(&vault, &"broken".parse().unwrap(), None).await.err());
    faults.extend(reader.list(&vault, certroll_core::id::ObjectKind::Secret).await.err());
    let body: PutBody =
        serde_json::from_value(json!({ "properties": { "configuration": "canary-cscfg" } })).unwrap();
    let service =
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/cloudServices/shop".parse().unwrap();
    faults.extend(world.azure.cloud_services().put(&service, &body).await.err());
    assert_eq!(faults.len(), 3);
    drop(guard);

    let shown = format!("{faults:?} {secret:?} {:?}", world.azure);
    assert!(!shown.contains("canary"), "{shown}");
    let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let ours: Vec<&str> = logged.lines().filter(|line| line.contains("certroll_azure")).collect();
    assert!(
        ours.iter().any(|line| line.contains("vault_secret") && line.contains("status=503")),
        "no line of ours"
    );
    let leak = logged.lines().find(|line| line.contains("canary"));
    assert!(leak.is_none(), "{leak:?}");
}
