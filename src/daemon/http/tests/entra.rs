//! A token authority: keys of our own, published by discovery, and tokens signed with them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use certroll_azure::{
    Answer, Azure, AzureOptions, Environment, IdentityKind, Outgoing, Sent, Transport, TransportFault, Wires,
};
use certroll_core::cloud::AzureCloud;
use certroll_core::ports::{Clock, FaultKind};
use rcgen::{KeyPair, PublicKeyData, SigningKey};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::world::{NOW, StoppedClock};

pub(super) const TENANT: &str = "0b1f6471-1bf0-4dda-aec3-cb9272f09590";
pub(super) const AUDIENCE: &str = "api://certroll-events";
pub(super) const EVENT_GRID: &str = "4962773b-9cdb-44cf-a8bf-237846a00ab7";
pub(super) const ROLE: &str = "AzureEventGridSecureWebhookSubscriber";

/// What the authority does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mood {
    #[default]
    Well,
    Down,
    /// Answers once [`Authority::release`] is called.
    Slow,
}

#[derive(Debug, Default)]
pub(super) struct Authority {
    mood: Mutex<Mood>,
    arrived: Notify,
    released: Notify,
    requests: AtomicUsize,
}

impl Authority {
    pub(super) fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Waits until a request has come.
    pub(super) async fn asked(&self) {
        self.arrived.notified().await;
    }

    pub(super) fn release(&self) {
        self.is(Mood::Well);
        self.released.notify_one();
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    pub(super) fn azure(self: &Arc<Self>) -> Azure {
        let clock: Arc<dyn Clock> = Arc::new(StoppedClock);
        let mut options = AzureOptions::new(AzureCloud::public(), clock);
        options.identity.environment = Environment::default();
        options.identity.kind =
            IdentityKind::ManagedIdentity(certroll_azure::ManagedIdentity::SystemAssigned);
        let cloud = Arc::clone(self) as Arc<dyn Transport>;
        Azure::over(&options, Wires { cloud, ..Wires::new(&options).unwrap() }).unwrap()
    }
}

#[async_trait]
impl Transport for Authority {
    async fn send(&self, request: Outgoing) -> Result<Answer, TransportFault> {
        self.requests.fetch_add(1, Ordering::SeqCst);
        self.arrived.notify_one();
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Well => {}
            Mood::Slow => self.released.notified().await,
            Mood::Down => {
                let message = "connection refused".to_owned();
                return Err(TransportFault { kind: FaultKind::Unreachable, sent: Sent::No, message });
            }
        }
        assert!(!request.headers.contains_key("authorization"), "a token went to the authority");
        let path = request.url.path();
        let authority = format!("https://login.microsoftonline.com/{TENANT}");
        let body = match path.strip_prefix(&format!("/{TENANT}/")).unwrap() {
            ".well-known/openid-configuration" => json!({
                "issuer": format!("https://sts.windows.net/{TENANT}/"),
                "jwks_uri": format!("{authority}/discovery/keys"),
            }),
            "v2.0/.well-known/openid-configuration" => json!({
                "issuer": format!("{authority}/v2.0"),
                "jwks_uri": format!("{authority}/discovery/v2.0/keys"),
            }),
            "discovery/keys" | "discovery/v2.0/keys" => json!({ "keys": [Key::First.published()] }),
            other => panic!("{other}"),
        };
        let body = body.to_string().into_bytes().into();
        Ok(Answer { status: 200, headers: Default::default(), body })
    }
}

/// Keys of RSA 2048. The authority publishes the first.
#[derive(Clone, Copy, Debug)]
pub(super) enum Key {
    First,
    Second,
}

impl Key {
    fn pair(self) -> KeyPair {
        let der: &[u8] = match self {
            Self::First => include_bytes!("keys/first.der"),
            Self::Second => include_bytes!("keys/second.der"),
        };
        KeyPair::from_pkcs8_der_and_sign_algo(&der.into(), &rcgen::PKCS_RSA_SHA256).unwrap()
    }

    fn published(self) -> Value {
        // SEQUENCE { INTEGER of 257 bytes with its sign, INTEGER 65537 }
        let pair = self.pair();
        let modulus = &pair.der_bytes()[9..265];
        json!({
            "kty": "RSA", "use": "sig", "kid": "first", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB",
            "x5t": "first", "x5c": [], "cloud_instance_name": "microsoftonline.com"
        })
    }

    pub(super) fn sign(self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.pair().sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

pub(super) fn first_form() -> Value {
    json!({
        "ver": "1.0", "iss": format!("https://sts.windows.net/{TENANT}/"), "aud": AUDIENCE, "appid": EVENT_GRID,
        "tid": TENANT, "roles": [ROLE], "exp": NOW + 3600, "nbf": NOW - 300, "iat": NOW - 300
    })
}

pub(super) fn second_form() -> Value {
    json!({
        "ver": "2.0", "iss": format!("https://login.microsoftonline.com/{TENANT}/v2.0"), "aud": AUDIENCE,
        "azp": EVENT_GRID, "tid": TENANT, "roles": [ROLE], "exp": NOW + 3600, "nbf": NOW - 300
    })
}

/// The value of an `Authorization` header.
pub(super) fn bearer(claims: &Value) -> String {
    format!("Bearer {}", Key::First.sign(&json!({ "typ": "JWT", "alg": "RS256", "kid": "first" }), claims))
}
