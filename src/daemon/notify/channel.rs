//! What all channels have in common: how one is made, and what it says when it does not take a notice.

use std::time::Duration;

use certroll_core::notice::Notice;
use thiserror::Error;

use super::client::Client;
use super::{desktop, email::Mail, slack, teams, webhook};
use crate::config::{ChannelKind, ChannelSettings, HttpSettings};

/// Why a channel cannot be set up. All of it is a fault of the configuration or of a file that it names.
#[derive(Debug, Error)]
#[error("the channel `{channel}` cannot be set up: {reason}")]
pub struct SetupError {
    /// The channel.
    pub channel: String,
    /// Why.
    pub reason: String,
}

/// Why a notice was not taken. The words never hold a URL or a password.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct SendError {
    /// What happened.
    pub message: String,
    /// How long the other side asked to wait, unclamped.
    pub after: Option<Duration>,
}

impl SendError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), after: None }
    }
}

/// A channel that is ready to send.
pub(super) enum Channel {
    /// Pop-ups.
    Desktop,
    /// JSON of our own.
    Webhook(Client, Option<crate::config::Secret>),
    /// Slack's blocks.
    Slack(Client),
    /// A card for a workflow.
    Teams(Client),
    /// Mail.
    Email(Box<Mail>),
}

impl Channel {
    /// Makes it ready. Nothing is connected yet.
    pub(super) fn new(settings: &ChannelSettings, http: &HttpSettings) -> Result<Self, SetupError> {
        let failed = |reason: String| SetupError { channel: settings.name.clone(), reason };
        Ok(match &settings.kind {
            ChannelKind::Desktop => Self::Desktop,
            ChannelKind::Webhook { url, signing_secret } => {
                Self::Webhook(Client::new(url, http).map_err(failed)?, signing_secret.clone())
            }
            ChannelKind::Slack { url } => Self::Slack(Client::new(url, http).map_err(failed)?),
            ChannelKind::Teams { url } => Self::Teams(Client::new(url, http).map_err(failed)?),
            ChannelKind::Email(mail) => {
                Self::Email(Box::new(Mail::new(mail, http, settings.timeout).map_err(failed)?))
            }
        })
    }

    /// Sends a notice, within a time.
    pub(super) async fn send(&self, notice: &Notice, timeout: Duration) -> Result<(), SendError> {
        let sent = tokio::time::timeout(timeout, async {
            match self {
                Self::Desktop => desktop::send(notice).await,
                Self::Webhook(client, secret) => webhook::send(client, secret.as_ref(), notice).await,
                Self::Slack(client) => client.post(slack::body(notice), &[]).await,
                Self::Teams(client) => client.post(teams::body(notice), &[]).await,
                Self::Email(mail) => mail.send(notice).await,
            }
        });
        sent.await.unwrap_or_else(|_| {
            Err(SendError::new(format!("no answer within {}", crate::config::show_duration(timeout))))
        })
    }
}
