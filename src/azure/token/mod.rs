//! Tokens: one cache by scope over a chain of identities.
//!
//! A token is renewed early, by one caller at a time; while renewing fails, the old token serves as long as it is valid.
//! The first link of the chain that gives a token is used from then on: an unattended program does not change who it
//! is halfway. A chain that fails names every link with its reason.

mod assertion;
mod chain;
mod identity;
mod link;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderValue;
use serde_json::Value;

pub use assertion::{ClientCertificate, ClientCertificateError};
pub(crate) use chain::links;
pub use identity::{Environment, IdentityKind, IdentityOptions, ManagedIdentity};
pub(crate) use identity::{authorities, with_authority};
pub(crate) use link::{Command, Link, METADATA, Means};

/// A token with less life left than this is renewed, in seconds: a PUT with its waiting fits into it.
const EARLY: i64 = 300;
/// Tokens that live longer than this are renewed at half their life, in seconds, as Microsoft's libraries do it: the
/// token of a managed identity lives a day, and an outage of the authority is then noticed half a day before it hurts.
const LONG: i64 = 2 * 3600;
/// After a failed renewal the old token serves this long before the next attempt, and after a renewed token was refused
/// no other is asked for, in seconds.
const PAUSE: i64 = 30;

/// A token, ready to be sent.
pub(crate) struct Token {
    /// `Bearer …`, marked sensitive.
    pub(crate) header: HeaderValue,
    /// When it was received.
    pub(crate) obtained: Timestamp,
    /// When it expires.
    pub(crate) until: Timestamp,
    /// From this time on it is renewed.
    renew_at: Timestamp,
    /// Who it says it is.
    pub(crate) holder: TokenHolder,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("until", &self.until).finish_non_exhaustive()
    }
}

/// Whom a token speaks for, read from the token itself without checking its signature: for people, not for decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenHolder {
    /// Which identity gave it, as the configuration names it.
    pub identity: &'static str,
    /// The tenant (`tid`).
    pub tenant: Option<String>,
    /// The application (`appid` or `azp`).
    pub application: Option<String>,
    /// The object id to which roles are assigned (`oid`).
    pub object: Option<String>,
}

/// Why no link gave a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NoToken {
    /// Every link that was tried, with its reason.
    pub(crate) reasons: Vec<(&'static str, String)>,
    /// Whether one of the reasons may pass.
    pub(crate) transient: bool,
}

impl fmt::Display for NoToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (link, reason)) in self.reasons.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{link}: {reason}")?;
        }
        Ok(())
    }
}

/// One scope's token and the right to renew it.
#[derive(Default)]
struct Slot {
    current: Mutex<Current>,
    /// Held by the one caller that renews.
    renewing: tokio::sync::Mutex<()>,
    /// When a token was last renewed because a service had refused it.
    refused: Mutex<Option<Timestamp>>,
    /// How many renewals have ended, well or badly: who waited for one takes its result.
    ended: AtomicU64,
}

#[derive(Default)]
struct Current {
    token: Option<Arc<Token>>,
    failure: Option<NoToken>,
    not_before: Option<Timestamp>,
}

/// All tokens.
pub(crate) struct Tokens {
    means: Means,
    links: Vec<Link>,
    chosen: Mutex<Option<usize>>,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
}

impl Tokens {
    pub(crate) fn new(means: Means, links: Vec<Link>) -> Self {
        Self { means, links, chosen: Mutex::default(), slots: Mutex::default() }
    }

    /// A valid token for a scope.
    ///
    /// # Errors
    /// No link gave one.
    pub(crate) async fn token(&self, scope: &str) -> Result<Arc<Token>, NoToken> {
        let slot = self.slot(scope);
        let now = self.means.clock.now();
        let (valid, due) = {
            let current = locked(&slot.current);
            let valid = current.token.clone().filter(|token| token.until > now);
            let due = valid.as_ref().is_none_or(|token| now >= token.renew_at)
                && (valid.is_none() || current.not_before.is_none_or(|time| now >= time));
            (valid, due)
        };
        match valid {
            Some(token) if !due => Ok(token),
            Some(token) => match slot.renewing.try_lock() {
                Ok(_permit) => {
                    // Somebody may have renewed it between the look and the lock.
                    let newer = locked(&slot.current).token.clone().filter(|now| !Arc::ptr_eq(now, &token));
                    match newer {
                        Some(newer) => Ok(newer),
                        None => Ok(self.renew(&slot, scope).await.unwrap_or(token)),
                    }
                }
                Err(_) => Ok(token),
            },
            None => {
                let seen = slot.ended.load(Ordering::Acquire);
                let _permit = slot.renewing.lock().await;
                if slot.ended.load(Ordering::Acquire) != seen {
                    let current = locked(&slot.current);
                    if let Some(token) = &current.token {
                        return Ok(Arc::clone(token));
                    }
                    if let Some(failure) = &current.failure {
                        return Err(failure.clone());
                    }
                }
                self.renew(&slot, scope).await
            }
        }
    }

    /// Another token than `refused`, which a service did not take. `None` where that was tried a moment ago: a service
    /// that takes none (another tenant, another audience) must not turn each call into a call to the authority too.
    ///
    /// # Errors
    /// No link gave one.
    pub(crate) async fn instead_of(
        &self,
        scope: &str,
        refused: &Arc<Token>,
    ) -> Result<Option<Arc<Token>>, NoToken> {
        let slot = self.slot(scope);
        let _permit = slot.renewing.lock().await;
        if let Some(token) = &locked(&slot.current).token
            && !Arc::ptr_eq(token, refused)
        {
            return Ok(Some(Arc::clone(token)));
        }
        {
            let now = self.means.clock.now();
            let mut last = locked(&slot.refused);
            if last.is_some_and(|last| now < later(last, PAUSE)) {
                return Ok(None);
            }
            *last = Some(now);
        }
        self.renew(&slot, scope).await.map(Some)
    }

    /// Lets the next call fetch a new token, if `refused` is still the current one.
    pub(crate) fn forget(&self, scope: &str, refused: &Arc<Token>) {
        let slot = self.slot(scope);
        let mut current = locked(&slot.current);
        if current.token.as_ref().is_some_and(|token| Arc::ptr_eq(token, refused)) {
            current.token = None;
        }
    }

    fn slot(&self, scope: &str) -> Arc<Slot> {
        Arc::clone(locked(&self.slots).entry(scope.to_owned()).or_default())
    }

    /// Fetches a token and keeps it. Only under the slot's `renewing` lock.
    async fn renew(&self, slot: &Slot, scope: &str) -> Result<Arc<Token>, NoToken> {
        let fetched = self.fetch(scope).await;
        {
            let mut current = locked(&slot.current);
            match &fetched {
                Ok(token) => {
                    *current = Current { token: Some(Arc::clone(token)), failure: None, not_before: None };
                }
                Err(failure) => {
                    let now = self.means.clock.now();
                    if current.token.as_ref().is_some_and(|token| token.until > now) {
                        tracing::warn!(reason = %failure, "a token could not be renewed, the old one serves on");
                    } else {
                        current.token = None;
                    }
                    current.failure = Some(failure.clone());
                    current.not_before = Some(later(now, PAUSE));
                }
            }
        }
        slot.ended.fetch_add(1, Ordering::Release);
        fetched
    }

    async fn fetch(&self, scope: &str) -> Result<Arc<Token>, NoToken> {
        let chosen = *locked(&self.chosen);
        let mut failure = NoToken { reasons: Vec::new(), transient: false };
        for (index, link) in self.links.iter().enumerate() {
            if chosen.is_some_and(|chosen| chosen != index) {
                continue;
            }
            match link.fetch(&self.means, scope).await {
                Ok(token) => {
                    let value = token.token.secret();
                    // By the system's clock, by which azure_identity has turned a lifetime into a time; from here on
                    // by ours.
                    let left = token.expires_on.unix_timestamp()
                        - azure_core::time::OffsetDateTime::now_utc().unix_timestamp();
                    let Ok(mut header) = HeaderValue::from_str(&format!("Bearer {value}")) else {
                        failure
                            .reasons
                            .push((link.name(), "its token cannot be put into a header".to_owned()));
                        continue;
                    };
                    header.set_sensitive(true);
                    *locked(&self.chosen) = Some(index);
                    if chosen.is_none() {
                        tracing::info!(identity = link.name(), "identity chosen");
                    }
                    let obtained = self.means.clock.now();
                    let lead = if left > LONG { left / 2 } else { EARLY.min(left / 2) };
                    return Ok(Arc::new(Token {
                        header,
                        obtained,
                        until: later(obtained, left),
                        renew_at: later(obtained, left - lead),
                        holder: holder(link.name(), value),
                    }));
                }
                Err(refusal) => {
                    tracing::debug!(identity = link.name(), reason = %refusal.reason, "identity gave no token");
                    failure.transient |= refusal.transient;
                    failure.reasons.push((link.name(), refusal.reason));
                }
            }
        }
        Err(failure)
    }

    /// The name of the cloud, for hints.
    pub(crate) fn cloud_name(&self) -> &str {
        &self.means.cloud_name
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn later(time: Timestamp, seconds: i64) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

fn holder(identity: &'static str, token: &str) -> TokenHolder {
    let claims: Value = token
        .split('.')
        .nth(1)
        .and_then(|part| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok())
        .and_then(|json| serde_json::from_slice(&json).ok())
        .unwrap_or_default();
    let claim = |name: &str| {
        let text = claims.get(name)?.as_str()?;
        let plain =
            text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        plain.then(|| text.to_owned())
    };
    TokenHolder {
        identity,
        tenant: claim("tid"),
        application: claim("appid").or_else(|| claim("azp")),
        object: claim("oid"),
    }
}
