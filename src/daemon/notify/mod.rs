//! Telling people: notices to channels, each by itself, until each has taken them.
//!
//! [`Notifier`] takes notices, routes them and keeps them in the outbox; a task for each channel delivers. What a channel
//! is stands in a file of its own. `docs/notices.md` tells it from the operator's side.

mod channel;
pub(crate) mod client;
mod desktop;
mod email;
mod notifier;
mod route;
mod slack;
mod teams;
mod webhook;

#[cfg(test)]
mod tests;

pub use channel::{SendError, SetupError};
pub use notifier::{Channels, Notifier};
pub use webhook::{ID_HEADER, SIGNATURE_HEADER, SIGNATURE_VERSION, TIMESTAMP_HEADER, signature};

use certroll_core::notice::{Notice, NoticeKind, Severity, Subject};
use jiff::Timestamp;
use thiserror::Error;

use crate::config::Settings;
use channel::Channel;

/// Why a channel could not be tried.
#[derive(Debug, Error)]
pub enum TestError {
    /// The configuration has no such channel.
    #[error("there is no channel `{name}`; expected one of {known}")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names that there are, for people.
        known: String,
    },
    /// It cannot be set up.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// It did not take the notice.
    #[error("the channel did not take the notice: {0}")]
    Send(SendError),
}

/// Sends one notice that is marked as a test to a channel, whatever kinds it is for, and waits for its answer.
///
/// # Errors
/// There is no such channel, or it did not take the notice.
pub async fn send_test(settings: &Settings, name: &str, now: Timestamp) -> Result<(), TestError> {
    let channels = &settings.notify.channels;
    let Some(found) = channels.iter().find(|channel| channel.name == name) else {
        let known: Vec<String> = channels.iter().map(|channel| format!("`{}`", channel.name)).collect();
        let known = if known.is_empty() {
            "none: no `[[notify.channel]]` is set up".to_owned()
        } else {
            known.join(", ")
        };
        return Err(TestError::Unknown { name: name.to_owned(), known });
    };
    let channel = Channel::new(found, &settings.http)?;
    channel.send(&test_notice(name, now), found.timeout).await.map_err(TestError::Send)
}

fn test_notice(channel: &str, now: Timestamp) -> Notice {
    Notice {
        kind: NoticeKind::Recovered,
        severity: Severity::Info,
        subject: Subject::Configuration,
        at: now,
        title: format!("test of the channel {channel}: nothing has happened"),
        text: "A person asked certroll to try this channel. Nothing needs to be done.".to_owned(),
        facts: Vec::new(),
        key: format!("test/{channel}/{}", now.as_millisecond()),
    }
}
