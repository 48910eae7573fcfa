//! `[log]`: what is logged, and how.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::at::At;

/// `[log]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogKeys {
    /// The least important messages that are written.
    level: At<LogLevel>,
    /// The form of a message.
    format: At<LogFormat>,
}

/// What is logged, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The least important messages that are written.
    pub level: LogLevel,
    /// The form of a message.
    pub format: LogFormat,
}

/// Levels of messages.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Deserialize,
    Serialize,
    JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// A person is needed.
    Error,
    /// Something will be tried again.
    Warn,
    /// Transitions that an operator would tell a colleague.
    #[default]
    Info,
    /// What is needed to understand a fault.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Forms of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, the journal where standard error goes there, JSON elsewhere.
    #[default]
    Auto,
    /// Text for people.
    Text,
    /// A JSON object a line.
    Json,
    /// The systemd journal, with its fields.
    Journald,
}

pub(crate) fn check(keys: &LogKeys) -> LogSettings {
    LogSettings { level: keys.level.value, format: keys.format.value }
}
