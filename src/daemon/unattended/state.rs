//! What the daemon knows of itself. The reconciler and the rollouts write it; status, metrics, readiness and notices read
//! it. Nothing is decided by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use certroll_core::id::{CloudServiceId, RolloutId, VaultName};
use certroll_core::plan::{PlanReport, PlannedUpdate, ServedCertificate, ServiceReport, Status, Wait};
use certroll_core::policy::Policy;
use certroll_core::ports::{Progress, Recorded, RolloutObserver};
use certroll_core::rollout::{Event, Phase, Rollout};
use jiff::Timestamp;
use tokio::sync::watch;

use super::pauses::Pauses;
use crate::cli::watch::said;
use crate::http::vaults::{Coverage, KnownVaults};
use crate::status::{FORMAT, RolloutView, ServedView, ServiceView, ServiceWord, StatusView, VaultView};

/// What the daemon knows of itself.
#[derive(Debug)]
pub struct State {
    inner: Mutex<Inner>,
    known: Arc<KnownVaults>,
    changes: watch::Sender<()>,
}

#[derive(Debug)]
struct Inner {
    since: Timestamp,
    cloud: String,
    policy: Policy,
    configured: Timestamp,
    refused_configuration: Option<String>,
    stopping: bool,
    looking: Option<Timestamp>,
    last_look: Option<Timestamp>,
    next_look: Option<Timestamp>,
    report: Option<PlanReport>,
    rollouts: BTreeMap<RolloutId, Running>,
    vaults: BTreeMap<VaultName, Vault>,
    pauses: Pauses,
}

#[derive(Debug)]
struct Running {
    service: CloudServiceId,
    since: Timestamp,
    phase: Phase,
    step: String,
    waits: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct Vault {
    last_read: Option<Timestamp>,
    fault: Option<String>,
}

impl State {
    /// At the start, with what is configured and paused.
    pub fn new(cloud: String, policy: Policy, pauses: Pauses, now: Timestamp) -> Self {
        let inner = Inner {
            since: now,
            cloud,
            policy,
            configured: now,
            refused_configuration: None,
            stopping: false,
            looking: None,
            last_look: None,
            next_look: None,
            report: None,
            rollouts: BTreeMap::new(),
            vaults: BTreeMap::new(),
            pauses,
        };
        Self { inner: Mutex::new(inner), known: Arc::default(), changes: watch::Sender::new(()) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Each statement leaves what is guarded whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on what is known, and lets everybody know who waits for changes.
    fn change<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        let done = work(&mut self.inner());
        self.changes.send_replace(());
        done
    }

    /// Changes whenever something does.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// A look begins.
    pub fn looking(&self, now: Timestamp) {
        self.change(|inner| inner.looking = Some(now));
    }

    /// A look has ended; without a report if it was given up.
    pub fn looked(&self, report: Option<&PlanReport>, now: Timestamp) {
        self.change(|inner| self.take(inner, report, now));
    }

    fn take(&self, inner: &mut Inner, report: Option<&PlanReport>, now: Timestamp) {
        inner.looking = None;
        let Some(report) = report else { return };
        inner.last_look = Some(now);
        inner.report = Some(report.clone());
        for (name, reading) in &report.vaults {
            let vault = inner.vaults.entry(name.clone()).or_default();
            vault.fault = reading.fault.as_ref().map(|fault| fault.message.clone());
            if reading.fault.is_none() {
                vault.last_read = Some(now);
            }
        }
        // Vaults that nobody follows any more.
        inner.vaults.retain(|name, _| report.vaults.contains_key(name));
        let unread = |report: &ServiceReport| matches!(report.status, Status::Unreadable { .. });
        let coverage = if report.services.iter().any(unread) { Coverage::Partial } else { Coverage::Whole };
        self.known.referenced(report.vaults.keys().cloned().collect(), coverage);
    }

    /// When the schedule looks next.
    pub fn next_look(&self, next: Timestamp) {
        self.change(|inner| inner.next_look = Some(next));
    }

    /// A configuration is in force.
    pub fn configured(&self, cloud: String, policy: Policy, now: Timestamp) {
        self.change(|inner| {
            inner.cloud = cloud;
            inner.policy = policy;
            inner.configured = now;
            inner.refused_configuration = None;
        });
    }

    /// A configuration was refused; the old one stays in force.
    pub fn refused_configuration(&self, why: String) {
        self.change(|inner| inner.refused_configuration = Some(why));
    }

    /// Nothing begins any more.
    pub fn stopping(&self) {
        self.change(|inner| inner.stopping = true);
    }

    /// Whether nothing begins any more.
    pub fn is_stopping(&self) -> bool {
        self.inner().stopping
    }

    /// The vaults that are looked at, and when they told of changes.
    pub fn known(&self) -> &Arc<KnownVaults> {
        &self.known
    }

    /// Vaults told of changes, which [`KnownVaults`] keeps.
    pub fn heard(&self) {
        self.changes.send_replace(());
    }

    /// Asks the pauses.
    pub fn pauses<T>(&self, ask: impl FnOnce(&Pauses) -> T) -> T {
        ask(&self.inner().pauses)
    }

    /// Changes the pauses.
    pub fn change_pauses<T>(&self, work: impl FnOnce(&mut Pauses) -> T) -> T {
        self.change(|inner| work(&mut inner.pauses))
    }

    /// The last report on one service.
    pub fn report(&self, service: &CloudServiceId) -> Option<ServiceReport> {
        let inner = self.inner();
        inner.report.as_ref()?.services.iter().find(|report| report.service == *service).cloned()
    }

    /// The policy in force.
    pub fn policy(&self) -> Policy {
        self.inner().policy.clone()
    }

    /// Nothing works on a service any more.
    pub fn left(&self, service: &CloudServiceId) {
        self.change(|inner| inner.rollouts.retain(|_, running| running.service != *service));
    }

    /// The service of a running rollout, by its name, and whether the rollout goes forward or back.
    pub fn rollout(&self, rollout: &RolloutId) -> Option<(String, Phase)> {
        let inner = self.inner();
        let running = inner.rollouts.get(rollout)?;
        Some((running.service.name().to_owned(), running.phase))
    }

    /// When the last of the versions was first seen that an update brings, as far as the last look knows.
    pub fn first_seen(&self, update: &PlannedUpdate) -> Option<Timestamp> {
        let inner = self.inner();
        let vaults = &inner.report.as_ref()?.vaults;
        let coming = update.versions();
        let seen = coming
            .iter()
            .filter_map(|version| Some(vaults.get(version.vault())?.newest.get(version)?.first_seen));
        seen.max()
    }

    /// Services with a running rollout.
    pub fn running(&self) -> BTreeSet<CloudServiceId> {
        self.inner().rollouts.values().map(|running| running.service.clone()).collect()
    }

    /// Whether a look has ended in which something could be read, or there is nothing to read.
    pub fn has_looked(&self) -> bool {
        let inner = self.inner();
        let Some(report) = &inner.report else { return false };
        report.services.is_empty()
            || report.services.iter().any(|report| !matches!(report.status, Status::Unreadable { .. }))
    }

    /// Everything at a glance.
    pub fn view(&self, now: Timestamp) -> StatusView {
        let inner = self.inner();
        let reports = inner.report.iter().flat_map(|report| &report.services);
        let mut services: Vec<ServiceView> = reports.map(|report| inner.service(report, now)).collect();
        for policy in &inner.policy.services {
            if !services.iter().any(|known| known.service == policy.service) {
                services.push(ServiceView {
                    service: policy.service.clone(),
                    mode: policy.mode,
                    stage: policy.stage,
                    state: ServiceWord::Unknown,
                    why: vec!["it was not looked at yet".to_owned()],
                    until: None,
                    plan: None,
                    paused: inner.pauses.of(&policy.service, now).cloned(),
                    rollout: inner.rollout(&policy.service),
                    serves: Vec::new(),
                });
            }
        }
        let vaults = inner.vaults.iter().map(|(name, vault)| VaultView {
            vault: name.clone(),
            last_read: vault.last_read,
            fault: vault.fault.clone(),
            last_event: self.known.last_heard(name),
        });
        StatusView {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            since: inner.since,
            cloud: inner.cloud.clone(),
            stopping: inner.stopping,
            paused: inner.pauses.of_everything(now).cloned(),
            looking: inner.looking,
            last_look: inner.last_look,
            next_look: inner.next_look,
            configured: inner.configured,
            refused_configuration: inner.refused_configuration.clone(),
            services,
            vaults: vaults.collect(),
        }
    }
}

impl Inner {
    fn recorded(&mut self, record: &Recorded) {
        match &record.event {
            Event::Opened { update, .. } => {
                let running = Running {
                    service: update.service.clone(),
                    since: record.at,
                    phase: Phase::Forward,
                    step: said(&record.event, Phase::Forward),
                    waits: None,
                };
                self.rollouts.insert(record.rollout.clone(), running);
            }
            Event::Ended { .. } => {
                self.rollouts.remove(&record.rollout);
            }
            event => {
                let Some(running) = self.rollouts.get_mut(&record.rollout) else { return };
                if matches!(event, Event::TurnedBack { .. }) {
                    running.phase = Phase::Back;
                }
                running.step = said(event, running.phase);
                running.waits = None;
            }
        }
    }

    fn rollout(&self, service: &CloudServiceId) -> Option<RolloutView> {
        let (rollout, running) = self.rollouts.iter().find(|(_, running)| running.service == *service)?;
        Some(RolloutView {
            rollout: rollout.clone(),
            since: running.since,
            step: running.step.clone(),
            waits: running.waits.clone(),
        })
    }

    fn service(&self, report: &ServiceReport, now: Timestamp) -> ServiceView {
        let rollout = self.rollout(&report.service);
        let (mut state, mut why, mut until, mut plan) = answer(&report.status);
        if let Some(rollout) = &rollout {
            // What the last look said is older than the rollout.
            (state, until, plan) = (ServiceWord::Running, None, None);
            why = vec![rollout.waits.clone().unwrap_or_else(|| rollout.step.clone())];
        }
        ServiceView {
            service: report.service.clone(),
            mode: report.mode,
            stage: report.stage,
            state,
            why,
            until,
            plan,
            paused: self.pauses.of(&report.service, now).cloned(),
            rollout,
            serves: report.serves.iter().map(served).collect(),
        }
    }
}

type Answer = (ServiceWord, Vec<String>, Option<Timestamp>, Option<certroll_core::plan::PlanDigest>);

fn answer(status: &Status) -> Answer {
    match status {
        Status::Current => (ServiceWord::Current, Vec::new(), None, None),
        Status::Planned { update } => {
            let names: BTreeSet<String> =
                update.certificates.iter().map(|change| format!("`{}`", change.name)).collect();
            let names: Vec<String> = names.into_iter().collect();
            (ServiceWord::Planned, vec![format!("changes {}", names.join(", "))], None, None)
        }
        Status::Waiting { until, reason, .. } => {
            let plan = match reason {
                Wait::Approval { plan } => Some(plan.clone()),
                Wait::Settling | Wait::Window | Wait::Rollout { .. } | Wait::Stage { .. } => None,
            };
            (ServiceWord::Waiting, vec![reason.to_string()], *until, plan)
        }
        Status::Blocked { violations } => {
            let why = violations.iter().map(|violation| format!("{}: {violation}", violation.guard));
            (ServiceWord::Blocked, why.collect(), None, None)
        }
        Status::Unreadable { reasons } => {
            let why = reasons.iter().map(|reason| reason.message.clone());
            (ServiceWord::Unreadable, why.collect(), None, None)
        }
    }
}

fn served(served: &ServedCertificate) -> ServedView {
    ServedView {
        role: served.role.as_str().to_owned(),
        name: served.name.clone(),
        thumbprint: served.thumbprint,
        leaf: served.certificate.as_ref().map(|certificate| !certificate.ca),
        not_after: served.certificate.as_ref().map(|certificate| certificate.not_after),
        not_before: served.certificate.as_ref().map(|certificate| certificate.not_before),
    }
}

impl RolloutObserver for State {
    fn resumed(&self, rollout: &Rollout) {
        if rollout.ending().is_some() {
            return;
        }
        let running = Running {
            service: rollout.update().service.clone(),
            since: rollout.opened(),
            phase: rollout.phase(),
            step: rollout.stage().word().to_owned(),
            waits: None,
        };
        self.change(|inner| inner.rollouts.insert(rollout.id().clone(), running));
    }

    fn recorded(&self, record: &Recorded) {
        self.change(|inner| inner.recorded(record));
    }

    fn waiting(&self, rollout: &RolloutId, progress: &Progress) {
        if let Some(running) = self.inner().rollouts.get_mut(rollout) {
            running.waits = Some(progress.to_string());
        }
    }
}
