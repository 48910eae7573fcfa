//! The conditions that one look finds, each with what would be told of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::ending::{restored_key, stuck_key, way_out_of_stuck, what};
use super::near_expiry::Step;
use super::watch::WatchLimits;
use super::wording::{listed, moment, span};
use super::{Draft, Notice, NoticeKind, Severity, Subject, digest, service_key};
use crate::id::{CloudServiceId, Thumbprint};
use crate::plan::{
    CertificateSummary, PlanReport, Reason, ServedCertificate, ServiceReport, Status, Violation, Wait,
};
use crate::policy::Mode;

/// The key of a journal that cannot be used.
pub(super) const JOURNAL: &str = "journal_failing";
/// Reasons that a notice spells out: who has read five goes to the program for the rest.
pub(super) const REASONS: usize = 5;
/// Places that a notice of a certificate lists.
const PLACES: usize = 12;

/// A condition that was found.
pub(super) struct Candidate {
    /// What would be told of it; its key is the condition's.
    pub(super) notice: Notice,
    /// The services that it is about.
    pub(super) services: BTreeSet<CloudServiceId>,
    /// How long it must have lasted before it is told.
    pub(super) after: Duration,
}

/// Everything that a look finds.
pub(super) fn of(report: &PlanReport, limits: &WatchLimits, now: Timestamp) -> Vec<Candidate> {
    let mut found: Vec<Candidate> =
        report.services.iter().flat_map(|service| of_service(service, limits, now)).collect();
    found.extend(near_expiry(report, limits, now));
    found
}

fn of_service(report: &ServiceReport, limits: &WatchLimits, now: Timestamp) -> Vec<Candidate> {
    let mut notices = Vec::new();
    let mut after = Duration::ZERO;
    if let Some(stuck) = &report.standing.stuck {
        let key = stuck_key(&report.service, &stuck.rollout);
        let notice = draft(report, NoticeKind::UpdateStuck, Severity::Critical, key, now)
            .title(&format!("{}: a person is needed, its last rollout is stuck", report.service.name()))
            .line(&format!("Why: {}.", stuck.why))
            .line("certroll leaves the service alone until it is released.")
            .line(&way_out_of_stuck(&report.service))
            .service(&report.service)
            .fact("Rollout", &stuck.rollout)
            .fact("Since", moment(stuck.since))
            .made();
        notices.push(notice);
    }
    match &report.status {
        Status::Current => {}
        Status::Planned { update } => {
            if let Some(opens) = report.overrides_window {
                let key = format!("window_overridden/{}/{}", service_key(&report.service), update.digest());
                let ends = update.deployed_until.map_or_else(|| "soon".to_owned(), moment);
                let notice = draft(report, NoticeKind::WindowOverridden, Severity::Warning, key, now)
                    .title(&format!(
                        "{}: {} is renewed outside the service's window",
                        report.service.name(),
                        what(update)
                    ))
                    .line(&format!(
                        "A deployed certificate ends {ends}: the change does not wait for the window, which opens {}.",
                        moment(opens)
                    ))
                    .service(&report.service)
                    .made();
                notices.push(notice);
            }
        }
        Status::Waiting { reason: Wait::Approval { plan }, update, .. } => {
            let key = format!("approval_needed/{}/{plan}", service_key(&report.service));
            let name = report.service.name();
            let mut made = draft(report, NoticeKind::ApprovalNeeded, Severity::Warning, key, now)
                .title(&format!("{name}: the renewal of {} waits for a person's yes", what(update)))
                .line(&format!(
                    "See what would be changed with `certroll plan {name}`, then `certroll approve {name}`."
                ));
            if let Some(until) = update.deployed_until {
                made = made.line(&format!(
                    "The first of the deployed certificates ends {}, in {}.",
                    moment(until),
                    span(now, until)
                ));
            }
            notices.push(made.service(&report.service).fact("Plan", plan).made());
        }
        Status::Waiting { .. } => {}
        Status::Blocked { violations } => notices.extend(blocked(report, violations, now)),
        Status::Unreadable { reasons } => {
            after = limits.unreadable_for;
            notices.push(unreadable(report, reasons, now));
        }
    }
    let lasting =
        |notice: &Notice| if notice.kind == NoticeKind::Unreadable { after } else { Duration::ZERO };
    notices
        .into_iter()
        .map(|notice| Candidate {
            after: lasting(&notice),
            services: [report.service.clone()].into(),
            notice,
        })
        .collect()
}

fn draft(report: &ServiceReport, kind: NoticeKind, severity: Severity, key: String, now: Timestamp) -> Draft {
    Draft::new(kind, severity, Subject::Service { service: report.service.clone() }, now, key)
}

/// What refuses a change. A stuck service is told as such, and a journal that cannot be read once for all services.
fn blocked(report: &ServiceReport, violations: &[Violation], now: Timestamp) -> Option<Notice> {
    let name = report.service.name();
    if let Some(journal) = violations.iter().find(|violation| violation.guard == "journal") {
        return Some(journal_failing(&journal.found, None, now));
    }
    let told: Vec<&Violation> = violations.iter().filter(|violation| violation.guard != "stuck").collect();
    let mut guards: Vec<&str> = told.iter().map(|violation| violation.guard.as_str()).collect();
    guards.sort_unstable();
    guards.dedup();
    let quarantine = report.standing.quarantine.last();
    let (key, title) = match (guards.as_slice(), quarantine) {
        ([], _) => return None,
        // The rollout that failed has told it: the looks that follow remind.
        (["quarantine"], Some(set)) => (
            restored_key(&report.service, &set.rollout),
            format!("{name}: a set of versions that failed before is not tried again"),
        ),
        (guards, _) => {
            let texts = told.iter().flat_map(|one| [one.guard.as_str(), &one.subject, &one.found]);
            let by = match guards {
                ["plan"] => "the change cannot be made out".to_owned(),
                ["quarantine"] => "its versions are in quarantine".to_owned(),
                [guard] => format!("guard `{guard}` refuses"),
                several => format!("guards {} refuse", several.join(", ")),
            };
            (
                format!("blocked/{}/{}", service_key(&report.service), digest(texts)),
                format!("{name}: a renewal is blocked, {by}"),
            )
        }
    };
    let mut made = draft(report, NoticeKind::Blocked, Severity::Warning, key, now).title(&title);
    for violation in told.iter().take(REASONS) {
        made = made
            .line(&format!(
                "{}: expected {}, found {}.",
                violation.subject, violation.expected, violation.found
            ))
            .line(&format!("Way out: {}.", violation.hint));
    }
    if told.len() > REASONS {
        made = made.line(&format!("And {} more: `certroll plan {name}` shows all.", told.len() - REASONS));
    }
    Some(made.service(&report.service).fact("Guard", guards.join(", ")).made())
}

fn unreadable(report: &ServiceReport, reasons: &[Reason], now: Timestamp) -> Notice {
    let name = report.service.name();
    let key = format!("unreadable/{}", service_key(&report.service));
    let mut made = draft(report, NoticeKind::Unreadable, Severity::Warning, key, now)
        .title(&format!("{name}: it, or what it follows, cannot be read"));
    for reason in reasons.iter().take(REASONS) {
        made = made.line(&format!("{}.", reason.message));
        if let Some(hint) = &reason.hint {
            made = made.line(&format!("Way out: {hint}."));
        }
    }
    if reasons.len() > REASONS {
        made = made.line(&format!("And {} more: `certroll plan {name}` shows all.", reasons.len() - REASONS));
    }
    made.line("It is not changed meanwhile, and its certificates are not renewed.")
        .service(&report.service)
        .made()
}

/// The journal cannot be used.
pub(super) fn journal_failing(fault: &str, hint: Option<&str>, now: Timestamp) -> Notice {
    let made =
        Draft::new(NoticeKind::JournalFailing, Severity::Critical, Subject::Journal, now, JOURNAL.to_owned())
            .title("the journal cannot be used, no certificate is renewed")
            .line(&format!("What was found: {fault}."));
    let made = match hint {
        Some(hint) => made.line(&format!("Way out: {hint}.")),
        None => made,
    };
    made.line("A rollout that runs goes on; none is started.").made()
}

/// One certificate wherever it is served, with what stands against its renewal at each place.
struct Ending<'a> {
    certificate: &'a CertificateSummary,
    places: Vec<(&'a ServiceReport, &'a ServedCertificate)>,
}

fn near_expiry(report: &PlanReport, limits: &WatchLimits, now: Timestamp) -> Vec<Candidate> {
    let mut endings: BTreeMap<Thumbprint, Ending<'_>> = BTreeMap::new();
    for service in &report.services {
        for served in &service.serves {
            let Some(certificate) = &served.certificate else { continue };
            let ending = endings
                .entry(served.thumbprint)
                .or_insert_with(|| Ending { certificate, places: Vec::new() });
            ending.places.push((service, served));
        }
    }
    let due = |(thumbprint, ending): (Thumbprint, Ending<'_>)| {
        let CertificateSummary { not_before, not_after, .. } = ending.certificate;
        let step = limits.near_expiry.step(*not_before, *not_after, now)?;
        let is_coming = |(service, served): &(&ServiceReport, &ServedCertificate)| comes(service, served);
        // What is about to be replaced needs nobody, unless it has been so for long.
        if step < Step::Quarter && ending.places.iter().all(is_coming) {
            return None;
        }
        let services = ending.places.iter().map(|(service, _)| service.service.clone()).collect();
        let notice = ending.notice(thumbprint, step, now);
        Some(Candidate { notice, services, after: Duration::ZERO })
    };
    endings.into_iter().filter_map(due).collect()
}

/// Whether a certificate is about to be replaced without anybody's help.
fn comes(report: &ServiceReport, served: &ServedCertificate) -> bool {
    let (update, by_itself) = match &report.status {
        Status::Planned { update } => (update, report.mode == Mode::Auto),
        Status::Waiting { update, reason: Wait::Settling | Wait::Window | Wait::Rollout { .. }, .. } => {
            (update, report.mode == Mode::Auto)
        }
        _ => return false,
    };
    let mut changes = update.certificates.iter();
    by_itself && changes.any(|change| change.role == served.role && change.name == served.name)
}

impl Ending<'_> {
    fn notice(&self, thumbprint: Thumbprint, step: Step, now: Timestamp) -> Notice {
        let certificate = self.certificate;
        let mut names: Vec<String> = self.places.iter().map(|(_, served)| served.name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        let what = listed(&names, 3);
        let key = format!("near_expiry/{thumbprint}/{}", step.word());
        let left = span(now, certificate.not_after);
        let title = match step {
            Step::Ended => format!("{what} has ended and is still served"),
            Step::Near | Step::Half | Step::Quarter | Step::Day => {
                format!("{what} ends in {left} and is not renewed")
            }
        };
        let subject = Subject::Certificate { thumbprint };
        let mut draft = Draft::new(NoticeKind::NearExpiry, step.severity(), subject, now, key).title(&title);
        let mut why: Vec<String> =
            self.places.iter().map(|(service, served)| against(service, served)).collect();
        why.sort_unstable();
        why.dedup();
        for line in why.iter().take(REASONS) {
            draft = draft.line(line);
        }
        draft = draft
            .fact("Ends", moment(certificate.not_after))
            .fact("Thumbprint", thumbprint)
            .fact("Subject", &certificate.subject);
        if !certificate.names.is_empty() {
            draft = draft.fact("Names", listed(&certificate.names, PLACES));
        }
        for (service, served) in self.places.iter().take(PLACES) {
            draft = draft.fact(
                &format!("{} in role {}", served.name, served.role),
                format!("{} ({})", service.service.name(), service.service.resource_group()),
            );
        }
        if self.places.len() > PLACES {
            draft = draft.fact("And at", format!("{} more places", self.places.len() - PLACES));
        }
        draft.made()
    }
}

/// What stands against the renewal of a certificate at one place.
fn against(report: &ServiceReport, served: &ServedCertificate) -> String {
    let name = report.service.name();
    match &report.status {
        Status::Unreadable { .. } => format!("{name}: the service, or what it follows, cannot be read."),
        Status::Blocked { .. } => format!("{name}: a renewal is blocked; `certroll plan {name}` says why."),
        Status::Waiting { until: Some(until), reason, .. } => {
            format!("{name}: the change waits until {}: {reason}.", moment(*until))
        }
        Status::Waiting { reason, .. } => format!("{name}: the change waits: {reason}."),
        Status::Planned { .. } if report.mode == Mode::Observe => {
            format!("{name}: a newer version is in the vault, and the service is only observed.")
        }
        Status::Planned { .. } if comes(report, served) => format!("{name}: the change is about to be made."),
        Status::Planned { .. } | Status::Current => match (&served.newest, &served.version) {
            (Some(newest), Some(version)) if newest == version => format!(
                "{name}: the vault has no newer version than the deployed one. Renew `{}/{}` in the vault.",
                newest.vault(),
                newest.name()
            ),
            (Some(newest), _) => format!(
                "{name}: the newest version of `{}/{}` brings no later end. Renew it in the vault.",
                newest.vault(),
                newest.name()
            ),
            (None, _) => {
                format!("{name}: it follows no vault object; map it with `[[service.certificate]]`.")
            }
        },
    }
}
