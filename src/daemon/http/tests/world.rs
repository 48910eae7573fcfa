//! A webhook on a socket, and what is behind it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use certroll_core::event::TokenPolicy;
use certroll_core::ports::Clock;
use futures::FutureExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::client::{Message, Reply};
use super::entra::{AUDIENCE, Authority, EVENT_GRID, ROLE, TENANT};
use crate::activation::{Activations, Activator, Reason, activations};
use crate::config::Secret;
use crate::http::authentication::{Authentication, EntraTokens, SharedSecret};
use crate::http::events::{Answered, Outcome, Webhook, Witness, router};
use crate::http::listener::{Listener, ListenerLimits, ListenerSettings, serve};
use crate::http::tls::{ServerCertificate, TlsFiles};
use crate::http::vaults::{Coverage, KnownVaults};

pub(super) const NOW: i64 = 1_795_421_730;
pub(super) const SECRET: &str = "canary-current-secret";
pub(super) const PREVIOUS: &str = "canary-previous-secret";
pub(super) const HEADER: &str = "X-Certroll-Secret";

/// It is always the same time.
pub(super) struct StoppedClock;

#[async_trait]
impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(NOW).unwrap()
    }

    async fn sleep_until(&self, _: Timestamp) {}
}

#[derive(Default)]
struct Heard(Mutex<Vec<Answered>>);

impl Witness for Heard {
    fn answered(&self, answer: &Answered) {
        self.0.lock().unwrap().push(answer.clone());
    }
}

/// How a webhook is asked to be.
pub(super) struct Wanted {
    pub(super) secret: bool,
    pub(super) entra: bool,
    /// Whether the services were read.
    pub(super) looked: bool,
    pub(super) body_limit: usize,
    pub(super) limits: ListenerLimits,
    pub(super) tls: Option<TlsFiles>,
}

impl Default for Wanted {
    fn default() -> Self {
        let limits = ListenerLimits::default();
        Self { secret: false, entra: false, looked: true, body_limit: 1280 * 1024, limits, tls: None }
    }
}

pub(super) struct World {
    pub(super) address: SocketAddr,
    pub(super) authority: Arc<Authority>,
    pub(super) vaults: Arc<KnownVaults>,
    pub(super) certificate: Option<Arc<ServerCertificate>>,
    activations: Activations,
    heard: Arc<Heard>,
    stop: watch::Sender<bool>,
    served: JoinHandle<()>,
    webhook: watch::Sender<Arc<Webhook>>,
    activator: Activator,
}

/// A webhook that knows `shop-kv` by its configuration and `edge-kv` by a service.
pub(super) async fn world(wanted: Wanted) -> World {
    let vaults = Arc::new(KnownVaults::default());
    vaults.configured(set("shop-kv"));
    if wanted.looked {
        vaults.referenced(set("edge-kv"), Coverage::Whole);
    }
    let authority = Arc::new(Authority::default());
    let clock: Arc<dyn Clock> = Arc::new(StoppedClock);
    let secret = wanted.secret.then(|| {
        let (header, query) = (Some(HEADER.parse().unwrap()), Some("code".to_owned()));
        SharedSecret::new(&Secret::new(SECRET), Some(&Secret::new(PREVIOUS)), header, query)
    });
    let entra = wanted.entra.then(|| {
        let policy = TokenPolicy {
            tenant: TENANT.to_owned(),
            audiences: vec!["1f9a4c33-6c0e-4b0e-9d8b-6f4c1a52b7aa".to_owned(), AUDIENCE.to_owned()],
            applications: vec![EVENT_GRID.to_owned()],
            role: ROLE.to_owned(),
        };
        EntraTokens::new(policy, authority.azure().signing_keys(TENANT), Arc::clone(&clock))
    });
    let (activator, activations) = activations();
    let heard = Arc::new(Heard::default());
    let webhook = Webhook {
        authentication: Authentication { secret, entra },
        vaults: Arc::clone(&vaults),
        activator: activator.clone(),
        origins: vec!["eventgrid.azure.net".to_owned()],
        body_limit: wanted.body_limit,
        witness: Arc::clone(&heard) as Arc<dyn Witness>,
        clock,
    };
    let address = "127.0.0.1:0".parse().unwrap();
    let settings = ListenerSettings { address, tls: wanted.tls, limits: wanted.limits };
    let listener = Listener::bind(&settings).await.unwrap();
    let (address, certificate) = (listener.address(), listener.certificate());
    let (stop, stopping) = watch::channel(false);
    let (webhook, webhooks) = watch::channel(Arc::new(webhook));
    let served = tokio::spawn(serve(listener, router(webhooks), stopping));
    World { address, authority, vaults, certificate, activations, heard, stop, served, webhook, activator }
}

fn set(name: &str) -> BTreeSet<certroll_core::id::VaultName> {
    [name.parse().unwrap()].into()
}

impl World {
    pub(super) async fn send(&self, message: &Message) -> Reply {
        message.send(self.address).await
    }

    /// The vaults that a look is due of, since the last time that this was asked.
    pub(super) fn activated(&mut self) -> Vec<String> {
        let reasons = self.activations.next(tokio::time::Instant::now()).now_or_never().unwrap_or_default();
        let vault = |reason| match reason {
            Reason::Event { vault } => vault.as_str().to_owned(),
            other => panic!("{other:?}"),
        };
        reasons.into_iter().map(vault).collect()
    }

    /// Nothing is activated any more.
    pub(super) fn close(&mut self) {
        self.activations.close();
    }

    /// The last answer that was told of.
    pub(super) fn answered(&self) -> Answered {
        self.heard.0.lock().unwrap().last().unwrap().clone()
    }

    pub(super) fn outcome(&self) -> Outcome {
        self.answered().outcome
    }

    /// Another configuration, on the same socket.
    pub(super) fn reconfigured(&self, authentication: Authentication) {
        let webhook = Webhook {
            authentication,
            vaults: Arc::clone(&self.vaults),
            activator: self.activator.clone(),
            origins: Vec::new(),
            body_limit: 1000,
            witness: Arc::clone(&self.heard) as Arc<dyn Witness>,
            clock: Arc::new(StoppedClock),
        };
        self.webhook.send_replace(Arc::new(webhook));
    }

    pub(super) fn begin_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until everything has stopped.
    pub(super) async fn stopped(self) {
        self.served.await.unwrap();
    }
}

fn topic(vault: &str) -> String {
    format!(
        "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/{vault}"
    )
}

pub(super) fn event_grid(vault: &str) -> Value {
    json!({
        "id": "1", "topic": topic(vault), "subject": "site-tls", "dataVersion": "1", "metadataVersion": "1",
        "eventType": "Microsoft.KeyVault.CertificateNewVersionCreated", "eventTime": "2026-11-23T08:15:30.1234567Z",
        "data": {
            "Id": format!("https://{vault}.vault.azure.net/certificates/site-tls/0f3a9c1d2b4e5f60718293a4b5c6d7e8"),
            "VaultName": vault, "ObjectType": "Certificate", "ObjectName": "site-tls",
            "Version": "0f3a9c1d2b4e5f60718293a4b5c6d7e8", "NBF": null, "EXP": "1812701730"
        }
    })
}

pub(super) fn cloud_event(vault: &str) -> Value {
    json!({
        "specversion": "1.0", "id": "1", "source": topic(vault), "subject": "site-tls",
        "type": "Microsoft.KeyVault.SecretNewVersionCreated", "time": "2026-11-23T08:15:30.1234567Z",
        "data": { "Id": format!("https://{vault}.vault.azure.net/secrets/site-tls/1"), "NBF": 1_795_421_730.0 }
    })
}

/// One event of a vault, as Event Grid delivers it.
pub(super) fn delivery(vault: &str) -> Message {
    Message::post(json!([event_grid(vault)]).to_string()).with("aeg-event-type", "Notification")
}

/// The handshake of the Event Grid schema.
pub(super) fn validation(vault: &str) -> Message {
    let body = json!([{
        "id": "1", "topic": topic(vault), "subject": "", "eventTime": "2026-11-23T08:00:00.0Z",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "metadataVersion": "1", "dataVersion": "2",
        "data": { "validationCode": "512d38b6-0000-4000-8000-000000000002", "validationUrl": "https://evil.example/" }
    }]);
    Message::post(body.to_string()).with("aeg-event-type", "SubscriptionValidation")
}

/// The handshake of the CloudEvents schema.
pub(super) fn preflight() -> Message {
    Message::options()
        .with("WebHook-Request-Origin", "eventgrid.azure.net")
        .with("WebHook-Request-Callback", "https://evil.example/")
        .with("WebHook-Request-Rate", "120")
}
