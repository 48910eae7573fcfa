//! The checked configuration.

use std::path::PathBuf;

use certroll_core::cloud::AzureCloud;
use certroll_core::policy::Policy;

use super::check::Checker;
use super::problem::Problem;
use super::section::{
    self, AdminSettings, EventsSettings, HttpSettings, IdentitySettings, JournalSettings, LogSettings,
    Merged, MonitoringSettings, NotifySettings, PollSettings, RolloutSettings,
};

/// Everything that was asked for, checked. The only form of the configuration that the rest of the program sees.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cloud, with the authority host and the versions that the configuration asks for.
    pub cloud: AzureCloud,
    /// Who certroll is to Azure.
    pub identity: IdentitySettings,
    /// When certroll looks.
    pub poll: PollSettings,
    /// How certroll reaches Azure.
    pub http: HttpSettings,
    /// The webhook that Event Grid delivers to, if one is wanted.
    pub events: Option<EventsSettings>,
    /// The services, and what planning needs to know.
    pub policy: Policy,
    /// How long a rollout may take, and how many run at once.
    pub rollout: RolloutSettings,
    /// Where rollouts are recorded.
    pub journal: JournalSettings,
    /// Where people ask the running daemon.
    pub admin: AdminSettings,
    /// Where monitoring asks the running daemon.
    pub monitoring: MonitoringSettings,
    /// What is logged, and how.
    pub log: LogSettings,
    /// What people are told, and how.
    pub notify: NotifySettings,
    /// The files that were read, in their order.
    pub files: Vec<PathBuf>,
    /// What somebody should look at. Not errors.
    pub warnings: Vec<Problem>,
}

/// Checks what was merged. `None` only with an error among the checker's problems.
pub(super) fn check(merged: &Merged, checker: &mut Checker<'_>) -> Option<Settings> {
    let cloud = section::check_cloud(&merged.cloud, merged.custom_cloud.as_ref(), &merged.api, checker);
    let authority_host = section::check_authority_host(&merged.identity, checker);
    let identity = section::check_identity(&merged.identity, checker);
    let poll = section::check_poll(&merged.poll, checker);
    let http = section::check_http(&merged.http, checker);
    let events = section::check_events(&merged.events, cloud.as_ref(), checker);
    let plan = section::check_plan(&merged.plan, checker);
    let rollout = section::check_rollout(&merged.rollout, checker);
    let journal = section::check_journal(&merged.journal, checker);
    let admin = section::check_admin(&merged.admin, checker);
    let monitoring = section::check_monitoring(&merged.monitoring, checker);
    let log = section::check_log(&merged.log);
    let notify = section::check_notify(&merged.notify, checker);
    let services = section::check_services(merged.service.as_deref().unwrap_or_default(), checker);
    let mut cloud = cloud?;
    if let Some(host) = authority_host {
        cloud.authority_host = host;
    }
    let (settle, urgent_before_expiry) = plan?;
    Some(Settings {
        cloud,
        identity: identity?,
        poll: poll?,
        http: http?,
        events: events?,
        policy: Policy { services, settle, urgent_before_expiry },
        rollout: rollout?,
        journal: journal?,
        admin: admin?,
        monitoring: monitoring?,
        log,
        notify: notify?,
        files: checker.sources.files(),
        warnings: Vec::new(),
    })
}
