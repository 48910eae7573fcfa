//! The keys that Microsoft Entra ID signs tokens with, for judging the tokens of deliveries.
//!
//! Read by OpenID discovery, without any token, from the authorities of the cloud and from nowhere else. A set is kept
//! for each token version: its own discovery document names the issuer, so that the issuer's name and its keys come from
//! one place and cannot be mixed. Source: Microsoft identity platform, access tokens and signing key rollover.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use certroll_core::event::{KeyAnswer, KeysUnavailable, SigningKey, SigningKeys, TokenVersion};
use certroll_core::ports::{Clock, FaultKind};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue, USER_AGENT};
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use crate::call::json;
use crate::transport::guard::plain_https_host;
use crate::transport::{Answer, Outgoing, Sent, Transport, TransportFault};
use crate::words::printable;

/// A set older than this is read again when it is next used. Entra publishes keys days before it signs with them.
const REFRESH: SignedDuration = SignedDuration::from_hours(24);
/// A set older than this is not believed any more. While the authority cannot be reached the old keys serve, but a key
/// that was withdrawn must not count for ever. Deliveries then get 503, and the poll goes on.
const STALE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A key that is not in the set has it read again, but not sooner than this after the last time: anybody can invent ids.
const PAUSE: SignedDuration = SignedDuration::from_mins(5);
/// After an attempt that failed, the next one begins this much later at the soonest.
const PAUSE_AFTER_FAILURE: SignedDuration = SignedDuration::from_secs(30);
/// For discovery and keys together. Event Grid waits 30 s for an answer.
const WITHIN: Duration = Duration::from_secs(10);
/// Keys of one set. Entra publishes about ten.
const KEYS: usize = 100;
/// Largest document. A key with its certificate has some 3 KB.
const DOCUMENT: usize = 512 * 1024;
/// Longest text that is taken from a document: ids, issuers, addresses.
const TEXT: usize = 1024;

/// A transport that only talks https to the authorities of one cloud.
#[derive(Debug)]
pub(crate) struct AuthorityHosts {
    /// The authority that is asked, and its aliases.
    hosts: Vec<String>,
    inner: Arc<dyn Transport>,
}

impl AuthorityHosts {
    pub(crate) fn new(hosts: Vec<String>, inner: Arc<dyn Transport>) -> Self {
        Self { hosts, inner }
    }
}

#[async_trait]
impl Transport for AuthorityHosts {
    async fn send(&self, request: Outgoing) -> Result<Answer, TransportFault> {
        let foreign = |message| TransportFault::new(FaultKind::ForeignHost, Sent::No, message);
        let host = plain_https_host(&request.url).map_err(foreign)?;
        if !self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)) {
            return Err(foreign(format!("`{}` is no token authority of the cloud", printable(host))));
        }
        self.inner.send(request).await
    }
}

/// The keys of one version.
#[derive(Default)]
struct Kept {
    keys: BTreeMap<String, SigningKey>,
    read_at: Option<Timestamp>,
    /// The last attempt, and why it failed if it did.
    tried: Option<(Timestamp, Option<String>)>,
}

impl Kept {
    fn age(&self, now: Timestamp) -> Option<SignedDuration> {
        self.read_at.map(|read| now.duration_since(read))
    }

    /// How long no attempt is made yet.
    fn pause(&self, now: Timestamp) -> Option<(Duration, String)> {
        let (tried, failure) = self.tried.as_ref()?;
        let pause = if failure.is_some() { PAUSE_AFTER_FAILURE } else { PAUSE };
        let left =
            Duration::try_from(pause - now.duration_since(*tried)).ok().filter(|left| !left.is_zero())?;
        let reason = failure.clone().unwrap_or_else(|| "they were read a moment ago".to_owned());
        // A clock that was set back must not draw the pause out.
        Some((left.min(pause.unsigned_abs()), reason))
    }
}

#[derive(Default)]
struct Set {
    kept: Mutex<Kept>,
    /// One reads, the others wait for it.
    reading: tokio::sync::Mutex<()>,
}

impl Set {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // What it guards is whole after each statement.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// [`SigningKeys`] of one tenant.
pub(crate) struct TenantKeys {
    /// The host that is asked first.
    pub(crate) authority_host: String,
    /// Talks to the authorities only.
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) tenant: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) user_agent: HeaderValue,
    sets: [Set; 2],
}

impl TenantKeys {
    pub(crate) fn new(
        authority_host: String,
        transport: Arc<dyn Transport>,
        tenant: String,
        clock: Arc<dyn Clock>,
        user_agent: HeaderValue,
    ) -> Self {
        Self { authority_host, transport, tenant, clock, user_agent, sets: Default::default() }
    }

    /// Reads the keys again, and notes the attempt.
    async fn refresh(&self, version: TokenVersion, set: &Set) -> Result<(), String> {
        // Noted before, so that an attempt that is given up halfway counts.
        set.kept().tried = Some((self.clock.now(), Some("the last attempt was given up".to_owned())));
        let read = match tokio::time::timeout(WITHIN, self.read(version)).await {
            Ok(read) => read,
            Err(_) => Err(format!("no answer within {} s", WITHIN.as_secs())),
        };
        let now = self.clock.now();
        let mut kept = set.kept();
        match read {
            Ok(keys) => {
                tracing::debug!(keys = keys.len(), "signing keys read");
                *kept = Kept { keys, read_at: Some(now), tried: Some((now, None)) };
                Ok(())
            }
            Err(reason) => {
                tracing::debug!(reason, "signing keys not read");
                kept.tried = Some((now, Some(reason.clone())));
                Err(reason)
            }
        }
    }

    async fn read(&self, version: TokenVersion) -> Result<BTreeMap<String, SigningKey>, String> {
        let (host, tenant) = (&self.authority_host, &self.tenant);
        let middle = match version {
            TokenVersion::V1 => "",
            TokenVersion::V2 => "v2.0/",
        };
        let discovery = format!("https://{host}/{tenant}/{middle}.well-known/openid-configuration");
        let document = self.document(&discovery).await?;
        let text = |name: &str| {
            let found = document[name].as_str().filter(|text| text.len() <= TEXT);
            found.ok_or_else(|| format!("the discovery document has no `{name}`"))
        };
        let issuer = text("issuer")?.to_owned();
        // The document of several tenants has a placeholder here: no token has that issuer.
        if !issuer.to_ascii_lowercase().contains(&tenant.to_ascii_lowercase()) {
            return Err("the discovery document is of another tenant".to_owned());
        }
        let document = self.document(text("jwks_uri")?).await?;
        let keys = document["keys"].as_array().ok_or("the document of keys has no `keys`")?;
        let keys: BTreeMap<_, _> = keys
            .iter()
            .take(KEYS)
            .filter_map(|key| signing_key(key, &issuer))
            .map(|key| (key.id.clone(), key))
            .collect();
        if keys.is_empty() { Err("the document of keys has no usable key".to_owned()) } else { Ok(keys) }
    }

    async fn document(&self, url: &str) -> Result<Value, String> {
        let url = Url::parse(url).map_err(|_| "the discovery document names an address that is none")?;
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, self.user_agent.clone());
        let request = Outgoing { method: Method::GET, url, headers, body: Zeroizing::default() };
        let answer = self.transport.send(request).await.map_err(|fault| printable(&fault.to_string()))?;
        if !answer.is_success() {
            return Err(format!("the authority answered {}", answer.status));
        }
        if answer.body.len() > DOCUMENT {
            return Err(format!("a document has more than {DOCUMENT} bytes"));
        }
        json::parse(&answer.body).map_err(|misread| misread.to_string())
    }
}

/// An RSA key for signatures; none of any other kind. A key that cannot be read is as good as absent.
fn signing_key(key: &Value, issuer: &str) -> Option<SigningKey> {
    let text = |name: &str| key[name].as_str().filter(|text| !text.is_empty() && text.len() <= TEXT);
    if text("kty")? != "RSA" || text("use").is_some_and(|usage| usage != "sig") {
        return None;
    }
    let number = |name: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(text(name)?.trim_end_matches('=')).ok()?;
        // Some encoders write a sign byte; a number begins with what counts.
        let from = bytes.iter().position(|byte| *byte != 0)?;
        Some(bytes[from..].to_vec())
    };
    Some(SigningKey {
        issuer: issuer.to_owned(),
        id: text("kid")?.to_owned(),
        modulus: number("n")?,
        exponent: number("e")?,
    })
}

#[async_trait]
impl SigningKeys for TenantKeys {
    async fn key(&self, version: TokenVersion, id: &str) -> Result<KeyAnswer, KeysUnavailable> {
        let asked = self.clock.now();
        let set = &self.sets[match version {
            TokenVersion::V1 => 0,
            TokenVersion::V2 => 1,
        }];
        let kept = |now: Timestamp| {
            let kept = set.kept();
            let age = kept.age(now)?;
            let key = kept.keys.get(id).filter(|_| age < STALE)?;
            Some((key.clone(), age))
        };
        match kept(asked) {
            Some((key, age)) if age < REFRESH => return Ok(KeyAnswer::Known(key)),
            Some((key, _)) => {
                // Due, but good enough for now: nobody waits for somebody else's attempt.
                if let Ok(_one) = set.reading.try_lock()
                    && set.kept().pause(asked).is_none()
                    && self.refresh(version, set).await.is_ok()
                {
                    return Ok(
                        kept(self.clock.now()).map_or(KeyAnswer::Foreign, |(key, _)| KeyAnswer::Known(key))
                    );
                }
                return Ok(KeyAnswer::Known(key));
            }
            None => {}
        }
        let _one = set.reading.lock().await;
        // Somebody may have read them meanwhile.
        let now = self.clock.now();
        if let Some((key, _)) = kept(now) {
            return Ok(KeyAnswer::Known(key));
        }
        if set.kept().read_at.is_some_and(|read| read >= asked) {
            return Ok(KeyAnswer::Foreign);
        }
        if let Some((retry_after, reason)) = set.kept().pause(now) {
            return Err(KeysUnavailable { reason, retry_after });
        }
        match self.refresh(version, set).await {
            Ok(()) => Ok(kept(self.clock.now()).map_or(KeyAnswer::Foreign, |(key, _)| KeyAnswer::Known(key))),
            Err(reason) => Err(KeysUnavailable { reason, retry_after: PAUSE_AFTER_FAILURE.unsigned_abs() }),
        }
    }
}

#[cfg(test)]
mod tests;
