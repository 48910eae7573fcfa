//! Whether a delivery is from whom it has to be: a shared secret, or a token of Microsoft Entra ID. Each method that is
//! configured suffices. Judged by the head alone, so that no body of a stranger is read into memory.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use certroll_core::event::{Denied, KeyAnswer, SigningKeys, TokenError, TokenPolicy, UnverifiedToken};
use certroll_core::ports::Clock;
use http::header::{AUTHORIZATION, HeaderName};
use http::request::Parts;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::config::Secret;

/// Values of one header or parameter that are looked at. Nobody who means well sends it twice.
const VALUES: usize = 4;
/// Deliveries that wait for the issuer's keys at once. More are told to come back: anybody can invent a token.
const WAITING: usize = 64;
/// After this time, where nothing better is known, it is worth coming back. Event Grid itself waits at least 30 s.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// How deliveries prove whom they are from. Without any method all of them are believed.
#[derive(Debug, Default)]
pub struct Authentication {
    /// By a secret that both sides know.
    pub secret: Option<SharedSecret>,
    /// By a token of Microsoft Entra ID.
    pub entra: Option<EntraTokens>,
}

/// By what a delivery was believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Credential {
    /// Nothing was asked for.
    None,
    /// The shared secret.
    Secret,
    /// The secret before it: a subscription has not been changed yet.
    PreviousSecret,
    /// A token.
    Entra,
}

impl Credential {
    /// The word in logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Secret => "secret",
            Self::PreviousSecret => "previous_secret",
            Self::Entra => "entra",
        }
    }
}

/// Why a delivery is not believed. Names nothing that was sent.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// It carries nothing.
    #[error("credentials are missing")]
    Missing,
    /// A secret, and the wrong one.
    #[error("the secret is wrong")]
    Secret,
    /// No token that could be believed.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A key that is not the issuer's.
    #[error("the token is signed with a key that is not the issuer's")]
    Key,
    /// A token that is not meant for us, or that proves somebody else.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl Refusal {
    /// The word in logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Secret => "secret",
            Self::Token(TokenError::TooLong | TokenError::Malformed) => "token_malformed",
            Self::Token(TokenError::Algorithm | TokenError::Critical) => "token_algorithm",
            Self::Token(TokenError::Version) => "token_version",
            Self::Token(TokenError::Key) | Self::Key => "token_key",
            Self::Denied(Denied::Signature) => "token_signature",
            Self::Denied(Denied::Issuer) => "token_issuer",
            Self::Denied(Denied::Audience) => "token_audience",
            Self::Denied(Denied::Tenant) => "token_tenant",
            Self::Denied(Denied::Application) => "token_application",
            Self::Denied(Denied::Role) => "token_role",
            Self::Denied(Denied::Expired) => "token_expired",
            Self::Denied(Denied::NotYetValid) => "token_not_yet_valid",
        }
    }

    /// Whether it is known who asks, and that they may not: 403, not 401.
    pub fn is_forbidden(self) -> bool {
        matches!(self, Self::Denied(Denied::Application | Denied::Role))
    }
}

/// A delivery that is not believed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// Its credentials are positively wrong.
    Refused(Refusal),
    /// It cannot be told.
    Undecided {
        /// It is worth coming back after this time.
        retry_after: Duration,
    },
}

impl Authentication {
    /// Judges the head of a request.
    ///
    /// # Errors
    /// No method that is configured believes it.
    pub async fn judge(&self, head: &Parts) -> Result<Credential, Unproven> {
        if self.secret.is_none() && self.entra.is_none() {
            return Ok(Credential::None);
        }
        let mut refusal = Refusal::Missing;
        if let Some(secret) = &self.secret {
            match secret.judge(head) {
                Ok(credential) => return Ok(credential),
                Err(refused) => refusal = refused,
            }
        }
        if let Some(entra) = &self.entra {
            match bearer(head) {
                Some(token) => return entra.judge(token).await,
                None => return Err(Unproven::Refused(refusal)),
            }
        }
        Err(Unproven::Refused(refusal))
    }
}

/// The token of an `Authorization` header.
fn bearer(head: &Parts) -> Option<&str> {
    let (scheme, token) = head.headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// A secret that a subscription sends with each delivery.
pub struct SharedSecret {
    header: Option<HeaderName>,
    query: Option<String>,
    current: [u8; 32],
    previous: Option<[u8; 32]>,
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedSecret").field("header", &self.header).finish_non_exhaustive()
    }
}

impl SharedSecret {
    /// The secret is expected in that header or in that parameter of the query. The previous one is believed as well, so
    /// that subscriptions can be changed one after the other.
    pub fn new(
        current: &Secret,
        previous: Option<&Secret>,
        header: Option<HeaderName>,
        query: Option<String>,
    ) -> Self {
        let digest = |secret: &Secret| digest(secret.reveal().as_bytes());
        Self { header, query, current: digest(current), previous: previous.map(digest) }
    }

    fn judge(&self, head: &Parts) -> Result<Credential, Refusal> {
        let mut offered = Vec::new();
        if let Some(header) = &self.header {
            let values = head.headers.get_all(header).iter().take(VALUES);
            offered.extend(values.map(|value| digest(value.as_bytes().trim_ascii())));
        }
        if let (Some(name), Some(query)) = (&self.query, head.uri.query()) {
            let pairs = url::form_urlencoded::parse(query.as_bytes());
            let values = pairs.filter(|(key, _)| key == name).take(VALUES);
            offered.extend(values.map(|(_, value)| digest(value.as_bytes())));
        }
        if offered.is_empty() {
            return Err(Refusal::Missing);
        }
        // Both secrets and all values are compared to their end, so that time tells nothing of any.
        let (mut is_current, mut is_previous) = (Choice::from(0), Choice::from(0));
        for value in &offered {
            is_current |= value.ct_eq(&self.current);
            is_previous |= value.ct_eq(self.previous.as_ref().unwrap_or(&self.current));
        }
        if bool::from(is_current) {
            Ok(Credential::Secret)
        } else if bool::from(is_previous) {
            Ok(Credential::PreviousSecret)
        } else {
            Err(Refusal::Secret)
        }
    }
}

/// Digests are of one length: comparing them tells nothing of the secret's.
fn digest(value: &[u8]) -> [u8; 32] {
    Sha256::digest(value).into()
}

/// Tokens of Microsoft Entra ID.
pub struct EntraTokens {
    policy: TokenPolicy,
    keys: Arc<dyn SigningKeys>,
    clock: Arc<dyn Clock>,
    waiting: Semaphore,
}

impl fmt::Debug for EntraTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntraTokens").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl EntraTokens {
    /// Tokens that this policy believes, signed with these keys.
    pub fn new(policy: TokenPolicy, keys: Arc<dyn SigningKeys>, clock: Arc<dyn Clock>) -> Self {
        Self { policy, keys, clock, waiting: Semaphore::new(WAITING) }
    }

    async fn judge(&self, token: &str) -> Result<Credential, Unproven> {
        let refused = |refusal: Refusal| Unproven::Refused(refusal);
        let token = UnverifiedToken::read(token).map_err(|error| refused(error.into()))?;
        let Ok(_place) = self.waiting.try_acquire() else {
            return Err(Unproven::Undecided { retry_after: RETRY_AFTER });
        };
        let key = match self.keys.key(token.version(), token.key()).await {
            Ok(KeyAnswer::Known(key)) => key,
            Ok(KeyAnswer::Foreign) => return Err(refused(Refusal::Key)),
            Err(unavailable) => {
                tracing::debug!(reason = unavailable.reason, "token cannot be judged");
                return Err(Unproven::Undecided { retry_after: unavailable.retry_after });
            }
        };
        match token.verify(&key, &self.policy, self.clock.now()) {
            Ok(_verified) => Ok(Credential::Entra),
            Err(denied) => Err(refused(denied.into())),
        }
    }
}
