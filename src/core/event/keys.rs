//! The port to the keys that tokens are signed with.

use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use super::token::{SigningKey, TokenVersion};

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyAnswer {
    /// It is one of the issuer's.
    Known(SigningKey),
    /// It is none of the issuer's: the published set, read after the question was asked, does not have it.
    Foreign,
}

/// Whether a key is one of the issuer's cannot be told now.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the issuer's keys are not available: {reason}")]
pub struct KeysUnavailable {
    /// Why, without addresses.
    pub reason: String,
    /// After this time it is worth asking again.
    pub retry_after: Duration,
}

/// The keys of the token issuer of one tenant, by their ids.
#[async_trait]
pub trait SigningKeys: Send + Sync {
    /// The key that a token says it is signed with.
    ///
    /// # Errors
    /// Nothing can be said of it now. That is no reason to refuse a token.
    async fn key(&self, version: TokenVersion, id: &str) -> Result<KeyAnswer, KeysUnavailable>;
}
