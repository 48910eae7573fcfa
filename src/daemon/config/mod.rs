//! The configuration: files and environment in, checked [`Settings`] out.
//!
//! Each text is read into a fragment (a tree whose values know their place), the fragments are merged, what does
//! not fit the schema is reported and taken out, and the rest is checked value by value. Nothing stops at the first
//! problem: [`load`] reports all of them. Only [`Settings`] leaves this module. Nothing here talks to a network.

mod at;
mod check;
mod cron;
mod duration;
mod environment;
mod file;
mod fragment;
mod load;
mod merge;
mod place;
mod problem;
mod schema;
mod secret;
mod section;
mod settings;
mod structure;

pub use cron::{CronSchedule, ParseCronError};
pub use duration::{ParseDurationError, parse_duration, show_duration};
pub use environment::Environment;
pub(crate) use file::{read_limited, read_stream_limited};
pub use load::{admin, load, load_if_present};
pub use place::{Origin, Place};
pub(crate) use problem::nearest;
pub use problem::{ConfigError, Problem, Severity};
pub use schema::published as json_schema;
pub use secret::Secret;
pub use section::{
    AdminSettings, ChannelKind, ChannelSettings, ClientCertificate, EmailSettings, EntraSettings,
    EventsSettings, HttpSettings, IdentitySettings, JournalSettings, LogFormat, LogLevel, LogSettings,
    MailSecurity, ManagedIdentity, MonitoringSettings, NotifySettings, PollSettings, PollTrigger,
    ProxySettings, RolloutSettings, SharedSecretSettings,
};
pub use settings::Settings;

/// `config/certroll.toml`: the reference that people read is the source of the defaults.
pub const DEFAULTS: &str = include_str!("../../../config/certroll.toml");
