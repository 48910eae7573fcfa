//! What a test works with: the clients, the fake behind them, and a clock that steps.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use certroll_azure::{Azure, AzureOptions, Environment, IdentityKind, Proxy};
use certroll_core::cloud::AzureCloud;
use certroll_core::ports::Clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use zeroize::Zeroizing;

use crate::fake::{Fake, Reply, Seen};

pub(crate) const VAULT: &str = "shop-kv.vault.azure.cn";
pub(crate) const MANAGEMENT: &str = "management.chinacloudapi.cn";
pub(crate) const CLIENT_SECRET: &str = "canary-client-secret";

/// A clock on which nobody waits: sleeping moves it.
pub(crate) struct StepClock {
    now: Mutex<Timestamp>,
    slept: Mutex<Vec<Duration>>,
}

impl StepClock {
    pub(crate) fn new() -> Arc<Self> {
        let now = "2026-11-23T08:00:00Z".parse().unwrap();
        Arc::new(Self { now: Mutex::new(now), slept: Mutex::default() })
    }

    pub(crate) fn step(&self, seconds: i64) {
        *self.now.lock().unwrap() += SignedDuration::from_secs(seconds);
    }

    /// How long callers wanted to sleep.
    pub(crate) fn slept(&self) -> Vec<Duration> {
        self.slept.lock().unwrap().clone()
    }
}

#[async_trait]
impl Clock for StepClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    async fn sleep_until(&self, until: Timestamp) {
        let mut now = self.now.lock().unwrap();
        self.slept.lock().unwrap().push(Duration::try_from(until.duration_since(*now)).unwrap());
        *now = until;
    }
}

pub(crate) struct World {
    pub(crate) azure: Azure,
    pub(crate) fake: Fake,
    pub(crate) clock: Arc<StepClock>,
}

pub(crate) fn options(fake: &Fake, clock: &Arc<StepClock>) -> AzureOptions {
    let clock: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
    let mut options = AzureOptions::new(AzureCloud::china(), clock);
    options.identity.environment = Environment::default();
    options.identity.kind = IdentityKind::ClientSecret {
        tenant_id: "tenant".to_owned(),
        client_id: "client".to_owned(),
        secret: Zeroizing::new(CLIENT_SECRET.to_owned()),
    };
    options.network.proxy = Proxy::Url(format!("http://127.0.0.1:{}", fake.port).parse().unwrap());
    options.network.ca_pem = fake.ca_pem.clone().into_bytes();
    options
}

/// Clients with a client secret, over a fake that answers for tokens by itself.
pub(crate) async fn world(script: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> World {
    world_with(|_| {}, script).await
}

pub(crate) async fn world_with(
    change: impl FnOnce(&mut AzureOptions),
    script: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
) -> World {
    let tokens = AtomicUsize::new(0);
    let fake = Fake::start(Box::new(move |seen, before| {
        if seen.host.starts_with("login.") {
            token(tokens.fetch_add(1, Ordering::SeqCst) + 1, 3600)
        } else {
            script(seen, before)
        }
    }))
    .await;
    let clock = StepClock::new();
    let mut options = options(&fake, &clock);
    change(&mut options);
    World { azure: Azure::new(&options).unwrap(), fake, clock }
}

/// The answer of the token authority: the text of the token is `canary-token-<number>`.
pub(crate) fn token(number: usize, expires_in: u32) -> Reply {
    Reply::json(
        200,
        &json!({ "token_type": "Bearer", "expires_in": expires_in, "ext_expires_in": expires_in,
            "access_token": format!("canary-token-{number}") }),
    )
}
