//! What is worth telling, and when. Conditions are told when they begin, or once they have lasted, again when they get
//! worse, and as a reminder while they last; of some, the end is told too. What happens at one instant is told at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::conditions::{self, Candidate};
use super::ending::{self, restored_key, stuck_key};
use super::near_expiry::NearExpiry;
use super::wording::{counted, listed, span};
use super::{Draft, Notice, NoticeKind, Severity, Subject, digest, service_key};
use crate::id::{CloudServiceId, VaultName};
use crate::plan::{PlanReport, Status};
use crate::rollout::{Ending, Rollout};

/// How long, how near and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchLimits {
    /// From when on the end of a certificate is near.
    pub near_expiry: NearExpiry,
    /// A service that cannot be read for so long is told.
    pub unreadable_for: Duration,
    /// Credentials that fail for so long are told.
    pub credentials_for: Duration,
    /// What lasts is told again after so long.
    pub remind_after: Duration,
}

/// From this many on, services that cannot be read are told in one notice: they have one cause, mostly a vault or a
/// network, and hundreds of mails would hide it.
const TOGETHER: usize = 4;
/// Names of services that such a notice lists.
const LISTED: usize = 20;

/// What is going on, and what was told of it. Kept over restarts, so that nothing is told twice and an end is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// By the key of their notices.
    conditions: BTreeMap<String, Condition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Condition {
    kind: NoticeKind,
    /// Since when it lasts.
    since: Timestamp,
    /// When it was told last.
    told: Option<Timestamp>,
    /// The services that it is about. One that cannot be read ends no condition.
    services: BTreeSet<CloudServiceId>,
}

/// Decides what is worth telling.
#[derive(Clone, Debug)]
pub struct Watch {
    limits: WatchLimits,
    memory: Memory,
}

impl Watch {
    /// Goes on from what an earlier process remembered, or from nothing.
    pub fn new(limits: WatchLimits, memory: Memory) -> Self {
        Self { limits, memory }
    }

    /// What a later process must know.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Other limits, after the configuration was read again.
    pub fn set_limits(&mut self, limits: WatchLimits) {
        self.limits = limits;
    }

    /// What a look at all services is worth telling.
    pub fn look(&mut self, report: &PlanReport, now: Timestamp) -> Vec<Notice> {
        let candidates = conditions::of(report, &self.limits, now);
        let found: BTreeSet<String> = candidates.iter().map(|one| one.notice.key.clone()).collect();
        let mut told: Vec<Notice> =
            candidates.into_iter().filter_map(|candidate| self.lasts(candidate, now)).collect();
        let mut ended = self.ended_by(report, &found, now);
        told.append(&mut ended);
        together(told, now)
    }

    /// What a rollout's ending is worth telling.
    pub fn ended(&mut self, rollout: &Rollout, ending: &Ending, now: Timestamp) -> Notice {
        let service = &rollout.update().service;
        let key = match ending {
            Ending::Stuck { .. } => Some(stuck_key(service, rollout.id())),
            Ending::Restored { .. } => Some(restored_key(service, rollout.id())),
            Ending::Verified | Ending::Abandoned { .. } => None,
        };
        let notice = ending::notice(rollout, ending, now);
        if let Some(key) = key {
            // The looks that follow find it in the record: they remind, and tell it only if this was lost.
            let services = [service.clone()].into();
            let condition = Condition { kind: notice.kind, since: now, told: Some(now), services };
            self.memory.conditions.insert(key, condition);
        }
        notice
    }

    /// Whether a token can be had; `Err` says why not. Told once it has failed for long, and when it is right again.
    pub fn credentials(&mut self, state: Result<(), &str>, now: Timestamp) -> Option<Notice> {
        const KEY: &str = "credentials_failing";
        let fault = match state {
            Ok(()) => return self.right_again(KEY, Subject::Identity, "tokens can be had again", now),
            Err(fault) => fault,
        };
        let (kind, severity) = (NoticeKind::CredentialsFailing, Severity::Critical);
        let notice = Draft::new(kind, severity, Subject::Identity, now, KEY.to_owned())
            .title("certroll gets no token from Microsoft Entra ID")
            .line(&format!("What was found: {fault}."))
            .line(
                "Neither vaults nor services can be read, and no certificate is renewed until this is right.",
            )
            .line("`certroll doctor` tells which identity was tried and what it lacks.")
            .made();
        let candidate = Candidate { notice, services: BTreeSet::new(), after: self.limits.credentials_for };
        self.lasts(candidate, now)
    }

    /// Whether the journal can be used; `Err` says why not, and the way out where it is known.
    pub fn journal(&mut self, state: Result<(), (&str, Option<&str>)>, now: Timestamp) -> Option<Notice> {
        let (fault, hint) = match state {
            Ok(()) => {
                return self.right_again(
                    conditions::JOURNAL,
                    Subject::Journal,
                    "the journal can be used again",
                    now,
                );
            }
            Err(fault) => fault,
        };
        let notice = conditions::journal_failing(fault, hint, now);
        self.lasts(Candidate { notice, services: BTreeSet::new(), after: Duration::ZERO }, now)
    }

    /// A look found changes in a vault whose events are expected, and no event told of them.
    pub fn event_gap(&mut self, vault: &VaultName, objects: &[String], now: Timestamp) -> Option<Notice> {
        let subject = Subject::Vault { vault: vault.clone() };
        let notice = Draft::new(NoticeKind::EventGap, Severity::Warning, subject, now, event_gap_key(vault))
            .title(&format!("{vault}: a change was found by polling, and no event told of it"))
            .line(&format!("Changed without an event: {}.", listed(objects, LISTED)))
            .line("Nothing is lost, but renewals are noticed only when the schedule looks.")
            .line("See whether the vault's Event Grid subscription is there, enabled, and delivers to certroll.")
            .fact("Vault", vault)
            .made();
        self.lasts(Candidate { notice, services: BTreeSet::new(), after: Duration::ZERO }, now)
    }

    /// An event of a vault came: a gap is over.
    pub fn event_came(&mut self, vault: &VaultName) {
        self.memory.conditions.remove(&event_gap_key(vault));
    }

    /// A configuration that was changed cannot be used.
    pub fn reload_failed(&self, fault: &str, now: Timestamp) -> Notice {
        let key = format!("reload_failed/{}", digest([fault]));
        Draft::new(NoticeKind::ReloadFailed, Severity::Warning, Subject::Configuration, now, key)
            .title("the changed configuration cannot be used, the one before it stays")
            .line(fault)
            .line("`certroll check` shows every mistake with its place.")
            .made()
    }

    /// Takes in that a condition lasts, and gives what is due to be told of it.
    fn lasts(&mut self, candidate: Candidate, now: Timestamp) -> Option<Notice> {
        let Candidate { notice, services, after } = candidate;
        let begun = Condition { kind: notice.kind, since: now, told: None, services: BTreeSet::new() };
        let condition = self.memory.conditions.entry(notice.key.clone()).or_insert(begun);
        condition.services = services;
        let passed = |since: Timestamp, wait: Duration| {
            let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
            now.duration_since(since) >= wait
        };
        let due = match condition.told {
            None => passed(condition.since, after),
            Some(told) => passed(told, self.limits.remind_after),
        };
        if !due {
            return None;
        }
        condition.told = Some(now);
        let lasted = now.duration_since(condition.since) >= SignedDuration::from_mins(1);
        let mut notice = notice;
        if lasted {
            let value = span(condition.since, now);
            notice.facts.push(super::Fact { label: "Lasts".to_owned(), value });
        }
        Some(notice)
    }

    fn right_again(&mut self, key: &str, subject: Subject, title: &str, now: Timestamp) -> Option<Notice> {
        let condition = self.memory.conditions.remove(key)?;
        condition.told?;
        Some(recovered(key, subject, title, condition.since, now).made())
    }

    /// Forgets the conditions that a look did not find any more, and tells the end of those whose end matters.
    fn ended_by(&mut self, report: &PlanReport, found: &BTreeSet<String>, now: Timestamp) -> Vec<Notice> {
        let unreadable: BTreeSet<&CloudServiceId> = report
            .services
            .iter()
            .filter(|report| matches!(report.status, Status::Unreadable { .. }))
            .map(|report| &report.service)
            .collect();
        let over = |key: &String, condition: &Condition| {
            let by_look = match condition.kind {
                NoticeKind::Unreadable => true,
                // What cannot be seen may still be so.
                NoticeKind::UpdateRestored
                | NoticeKind::UpdateStuck
                | NoticeKind::Blocked
                | NoticeKind::ApprovalNeeded
                | NoticeKind::WindowOverridden
                | NoticeKind::NearExpiry => {
                    condition.services.iter().all(|service| !unreadable.contains(service))
                }
                NoticeKind::UpdateVerified
                | NoticeKind::UpdateAbandoned
                | NoticeKind::EventGap
                | NoticeKind::CredentialsFailing
                | NoticeKind::JournalFailing
                | NoticeKind::ReloadFailed
                | NoticeKind::Recovered => false,
            };
            by_look && !found.contains(key)
        };
        let mut notices = Vec::new();
        for (key, condition) in self.memory.conditions.extract_if(.., |key, condition| over(key, condition)) {
            // A service that is no longer looked after is not right again.
            let still = report.services.iter().find(|report| condition.services.contains(&report.service));
            if let (NoticeKind::Unreadable, Some(_), Some(report)) = (condition.kind, condition.told, still) {
                let subject = Subject::Service { service: report.service.clone() };
                let title = format!("{}: it can be read again", report.service.name());
                notices.push(
                    recovered(&key, subject, &title, condition.since, now).service(&report.service).made(),
                );
            }
        }
        notices
    }
}

fn event_gap_key(vault: &VaultName) -> String {
    format!("event_gap/{}", vault.as_str().to_ascii_lowercase())
}

fn recovered(key: &str, subject: Subject, title: &str, since: Timestamp, now: Timestamp) -> Draft {
    // Of one condition that comes and goes each end is told: the time tells them apart.
    let key = format!("recovered/{key}/{}", now.as_second());
    Draft::new(NoticeKind::Recovered, Severity::Info, subject, now, key)
        .title(title)
        .line(&format!("It was not for {}.", span(since, now)))
}

/// Many services that cannot be read, or can be read again, become one notice.
fn together(notices: Vec<Notice>, now: Timestamp) -> Vec<Notice> {
    let (mut all, mut others) = (Vec::new(), Vec::new());
    let mut of_kind: BTreeMap<NoticeKind, Vec<Notice>> = BTreeMap::new();
    for notice in notices {
        match notice.kind {
            NoticeKind::Unreadable | NoticeKind::Recovered => {
                of_kind.entry(notice.kind).or_default().push(notice);
            }
            _ => others.push(notice),
        }
    }
    all.append(&mut others);
    for (kind, notices) in of_kind {
        if notices.len() < TOGETHER {
            all.extend(notices);
            continue;
        }
        let services: Vec<CloudServiceId> = notices
            .iter()
            .filter_map(|notice| match &notice.subject {
                Subject::Service { service } => Some(service.clone()),
                _ => None,
            })
            .collect();
        let names: Vec<String> = services.iter().map(|service| service.name().to_owned()).collect();
        let key = format!(
            "{kind}/{}",
            digest(services.iter().map(service_key).collect::<Vec<_>>().iter().map(String::as_str))
        );
        let count = counted(services.len(), "service");
        let draft = |severity| {
            Draft::new(kind, severity, Subject::Services { services: services.clone() }, now, key.clone())
        };
        let severity = notices.iter().map(|notice| notice.severity).max().unwrap_or(Severity::Info);
        let draft = match kind {
            NoticeKind::Unreadable => {
                let mut draft = draft(severity).title(&format!("{count} cannot be read"));
                let mut texts: Vec<&str> =
                    notices.iter().flat_map(|notice| notice.text.lines().next()).collect();
                texts.sort_unstable();
                texts.dedup();
                for text in texts.iter().take(conditions::REASONS) {
                    draft = draft.line(text);
                }
                draft.line("They are not changed meanwhile, and their certificates are not renewed.")
            }
            _ => draft(severity).title(&format!("{count} can be read again")),
        };
        all.push(draft.line(&format!("Services: {}.", listed(&names, LISTED))).made());
    }
    all
}
