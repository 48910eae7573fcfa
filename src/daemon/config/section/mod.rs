//! The tables of the configuration, one file each: the keys as they are written, the checked settings, and the step
//! from the one to the other. A new key goes into the struct that has the keys and into `config/certroll.toml`.

mod admin;
mod cloud;
mod events;
mod http;
mod identity;
mod journal;
mod log;
mod notify;
mod plan;
mod poll;
mod rollout;
mod service;

pub use admin::{AdminSettings, MonitoringSettings};
pub use events::{EntraSettings, EventsSettings, SharedSecretSettings};
pub use http::{HttpSettings, ProxySettings};
pub use identity::{ClientCertificate, IdentitySettings, ManagedIdentity};
pub use journal::JournalSettings;
pub use log::{LogFormat, LogLevel, LogSettings};
pub use notify::{ChannelKind, ChannelSettings, EmailSettings, MailSecurity, NotifySettings};
pub use poll::{PollSettings, PollTrigger};
pub use rollout::RolloutSettings;

pub(crate) use admin::{AdminKeys, MonitoringKeys};
pub(crate) use cloud::{ApiKeys, CloudName, CustomCloudKeys};
pub(crate) use events::EventsKeys;
pub(crate) use http::HttpKeys;
pub(crate) use identity::IdentityKeys;
pub(crate) use journal::JournalKeys;
pub(crate) use log::LogKeys;
pub(crate) use notify::NotifyKeys;
pub(crate) use plan::PlanKeys;
pub(crate) use poll::PollKeys;
pub(crate) use rollout::RolloutKeys;
pub(crate) use service::ServiceKeys;

pub(crate) use admin::{check_admin, check_monitoring};
pub(crate) use cloud::check as check_cloud;
pub(crate) use events::check as check_events;
pub(crate) use http::check as check_http;
pub(crate) use identity::{authority_host as check_authority_host, check as check_identity};
pub(crate) use journal::check as check_journal;
pub(crate) use log::check as check_log;
pub(crate) use notify::check as check_notify;
pub(crate) use plan::check as check_plan;
pub(crate) use poll::check as check_poll;
pub(crate) use rollout::check as check_rollout;
pub(crate) use service::check as check_services;

use schemars::JsonSchema;
use serde::Deserialize;

use super::at::At;

/// The whole configuration after merging, unchecked but for its structure.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Merged {
    /// The Azure cloud that vaults and services are in.
    pub(crate) cloud: At<CloudName>,
    /// The hosts of a cloud that is none of the known ones; needed with `cloud = "custom"`.
    pub(crate) custom_cloud: Option<At<CustomCloudKeys>>,
    /// Versions of Azure's interfaces, where others are needed than the cloud's own.
    pub(crate) api: ApiKeys,
    /// Who certroll is to Azure.
    pub(crate) identity: IdentityKeys,
    /// When certroll looks.
    pub(crate) poll: PollKeys,
    /// How certroll reaches Azure.
    pub(crate) http: HttpKeys,
    /// The webhook that Event Grid delivers to.
    pub(crate) events: EventsKeys,
    /// When a change is planned.
    pub(crate) plan: PlanKeys,
    /// How long a rollout may take, and how many run at once.
    pub(crate) rollout: RolloutKeys,
    /// Where rollouts are recorded.
    pub(crate) journal: JournalKeys,
    /// Where people ask the running daemon.
    pub(crate) admin: AdminKeys,
    /// Where monitoring asks the running daemon.
    pub(crate) monitoring: MonitoringKeys,
    /// What is logged, and how.
    pub(crate) log: LogKeys,
    /// What people are told, and how.
    pub(crate) notify: NotifyKeys,
    /// The cloud services that certroll looks after.
    pub(crate) service: Option<Vec<At<ServiceKeys>>>,
}
