//! Planning one service.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::compose::compose;
use super::follow::{binds, followed, follows, mapping_of};
use super::moves::moves;
use super::needs::{is_settled, mapped_names_hold, newest};
use super::observation::{ObjectKey, Observation, ObservedVersion, VaultContent};
use super::report::{JOURNAL, PLAN, QUARANTINE, Reason, STUCK, ServiceReport, Status, Violation, Wait};
use super::resolve::{self, content};
use super::serves::serves;
use super::update::PlannedUpdate;
use crate::cscfg::ServiceConfiguration;
use crate::id::{SecretIdentifier, Thumbprint};
use crate::policy::{Guard, Mode, Policy, ServicePolicy};
use crate::standing::{Held, Standings};
use crate::target::cloud_service::{CloudServiceModel, OsProfile};

/// Why a look was made: a person who applies does not wait for uploads to settle nor for a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A period or an event.
    Unattended,
    /// A person asked.
    Person,
}

/// What planning one service works with.
pub(super) struct Service<'a> {
    pub(super) policy: &'a ServicePolicy,
    pub(super) observation: &'a Observation,
    pub(super) model: &'a CloudServiceModel,
    pub(super) configuration: ServiceConfiguration,
    pub(super) profile: OsProfile,
    pub(super) now: Timestamp,
}

/// Why there is no update.
pub(super) enum Halt {
    Current,
    Blocked(Vec<Violation>),
    Unreadable(Vec<Reason>),
}

/// Plans one service of the policy.
pub(super) fn plan_service(
    policy: &Policy,
    service: &ServicePolicy,
    observation: &Observation,
    now: Timestamp,
    occasion: Occasion,
) -> ServiceReport {
    let mut notes = Vec::new();
    let status = match planned(service, observation, now, &mut notes) {
        Ok((update, newest_seen)) => {
            let seen = Seen { newest: newest_seen, now, occasion };
            allowed(observation, &update)
                .unwrap_or_else(|| schedule(policy, service, &observation.standings, update, &seen))
        }
        Err(Halt::Current) => Status::Current,
        Err(Halt::Blocked(violations)) => Status::Blocked { violations },
        Err(Halt::Unreadable(reasons)) => Status::Unreadable { reasons },
    };
    if let (Status::Current, Some(stuck)) = (&status, observation.standings.of(&service.service).stuck) {
        notes.push(format!(
            "the rollout {} ended stuck and nobody has released the service: {}; `certroll release {}` does",
            stuck.rollout,
            stuck.why,
            service.service.name()
        ));
    }
    let serves = serves(service, observation);
    if status == Status::Current && serves.iter().any(|served| served.certificate.is_none()) {
        notes.extend(unread(service, observation));
    }
    // Others of the same pass may take hours before its turn comes.
    let closes = match (&status, occasion, &service.window) {
        (Status::Planned { update }, Occasion::Unattended, Some(window))
            if urgent(policy, update, now).is_none() =>
        {
            window.closes(now)
        }
        _ => None,
    };
    let overrides_window = match (&status, occasion, &service.window) {
        (Status::Planned { .. }, Occasion::Unattended, Some(window)) => {
            window.opens(now).filter(|opens| *opens > now)
        }
        _ => None,
    };
    ServiceReport {
        service: service.service.clone(),
        mode: service.mode,
        stage: service.stage,
        status,
        notes,
        closes,
        serves,
        standing: observation.standings.of(&service.service),
        overrides_window,
    }
}

/// What could not be read of a service that is current, so that nobody knows when it ends.
fn unread(policy: &ServicePolicy, observation: &Observation) -> Vec<String> {
    let Some(Ok(profile)) = observation.services.get(&policy.service).map(|model| match model {
        Ok(model) => model.os_profile().map_err(drop),
        Err(_) => Err(()),
    }) else {
        return Vec::new();
    };
    let unread = |url: &SecretIdentifier| match observation.contents.get(url) {
        Some(Err(unreadable)) => Some(format!(
            "`{url}` cannot be read ({}); when its certificate ends is not known",
            unreadable.reason
        )),
        _ => None,
    };
    profile.urls().filter_map(unread).collect()
}

/// What the record of earlier rollouts says against an update, whoever asks for it.
fn allowed(observation: &Observation, update: &PlannedUpdate) -> Option<Status> {
    let newest = |secret: &SecretIdentifier| observation.newest_of(secret).cloned();
    let held = observation.standings.held(update, newest)?;
    let name = update.service.name();
    let (guard, expected, hint) = match &held {
        Held::Unfinished { rollout } => {
            return Some(Status::Waiting {
                until: None,
                reason: Wait::Rollout { rollout: rollout.clone() },
                update: Box::new(update.clone()),
            });
        }
        Held::Unknown { .. } => (
            JOURNAL,
            "a journal that tells what was tried before",
            "mend the journal; without it a set that has failed would be tried again".to_owned(),
        ),
        Held::Stuck(_) => (
            STUCK,
            "a service that nobody has to look at",
            format!(
                "look at the service, then either `certroll restore {name}` or, once it is right, `certroll release {name}`"
            ),
        ),
        Held::Quarantined(_) => (
            QUARANTINE,
            "a set of versions that has not failed on this service",
            format!(
                "put a corrected version into the vault, or, if the cause lay elsewhere and is gone, `certroll release {name}`"
            ),
        ),
    };
    let violation = Violation {
        guard: guard.to_owned(),
        subject: format!("service `{name}`"),
        expected: expected.to_owned(),
        found: held.to_string(),
        hint,
    };
    Some(Status::Blocked { violations: vec![violation] })
}

/// When and why a look was made.
struct Seen {
    /// When the latest of the newest versions was first seen.
    newest: Timestamp,
    now: Timestamp,
    occasion: Occasion,
}

/// Whether an update may start now: uploads have settled, a window is open and a person has approved where one must; or
/// the expiry is close by, which goes before settling and windows and is said in the plan.
fn schedule(
    policy: &Policy,
    service: &ServicePolicy,
    standings: &Standings,
    mut update: PlannedUpdate,
    seen: &Seen,
) -> Status {
    let now = seen.now;
    if seen.occasion == Occasion::Person {
        return Status::Planned { update: Box::new(update) };
    }
    let settled = seen.newest.checked_add(policy.settle).unwrap_or(seen.newest);
    let mut wait = (settled > now).then_some((settled, Wait::Settling));
    if wait.is_none()
        && let Some(window) = &service.window
    {
        match window.opens(now) {
            Some(opens) if opens <= now => {}
            Some(opens) => wait = Some((opens, Wait::Window)),
            None => {
                return Status::Blocked {
                    violations: vec![violation(
                        "the service's window",
                        "a time at which it opens",
                        "none",
                        "correct `weekly` in `[service.window]`",
                    )],
                };
            }
        }
    }
    if let Some((until, reason)) = wait {
        match urgent(policy, &update, now) {
            None => return Status::Waiting { until: Some(until), reason, update: Box::new(update) },
            Some(ends) => update.warnings.push(format!(
                "a deployed certificate ends at {ends}: the change does not wait until {until}, although {reason}"
            )),
        }
    }
    if service.mode == Mode::Approve {
        let plan = update.digest();
        if standings.of(&service.service).approved.as_ref() != Some(&plan) {
            return Status::Waiting {
                until: None,
                reason: Wait::Approval { plan },
                update: Box::new(update),
            };
        }
    }
    Status::Planned { update: Box::new(update) }
}

/// When the first of the deployed certificates ends, where that is close by.
pub(super) fn urgent(policy: &Policy, update: &PlannedUpdate, now: Timestamp) -> Option<Timestamp> {
    let ends = update.deployed_until?;
    ends.checked_sub(policy.urgent_before_expiry).is_ok_and(|from| now >= from).then_some(ends)
}

fn planned(
    policy: &ServicePolicy,
    observation: &Observation,
    now: Timestamp,
    notes: &mut Vec<String>,
) -> Result<(PlannedUpdate, Timestamp), Halt> {
    let model = match observation.services.get(&policy.service) {
        Some(Ok(model)) => model,
        Some(Err(unreadable)) => {
            return Err(Halt::Unreadable(vec![Reason {
                message: unreadable.reason.clone(),
                hint: unreadable.hint.clone(),
            }]));
        }
        None => return Err(unreadable("the service was not looked at")),
    };
    let service = Service {
        policy,
        observation,
        model,
        configuration: model.configuration().map_err(|error| unreadable(&error.to_string()))?,
        profile: model.os_profile().map_err(|error| unreadable(&error.to_string()))?,
        now,
    };
    service.check_mappings()?;
    let newest_seen = service.check_objects(notes)?;
    let settled = is_settled(
        &followed(policy, &service.configuration, &service.profile),
        observation,
        &service.profile,
    );
    if settled && mapped_names_hold(policy, &service.configuration, observation) {
        return Err(Halt::Current);
    }
    let faults = resolve::unreadable_entries(&service.configuration);
    if !faults.is_empty() {
        return Err(Halt::Blocked(faults));
    }
    service.check_contents()?;
    let carried = resolve::resolve(policy, &service.configuration, &service.profile, observation)
        .map_err(Halt::Blocked)?;
    let moves = moves(&service, &carried, notes)?;
    if moves.is_empty() {
        return Err(Halt::Current);
    }
    let update = compose(&service, &carried, &moves)?;
    let stays = |url: &&SecretIdentifier| update.wanted.os_profile.urls().any(|wanted| wanted == *url);
    for url in carried.unexplained.iter().filter(stays) {
        notes.push(format!("secret `{url}` cannot be read; it stays in `osProfile.secrets`"));
    }
    Ok((update, newest_seen))
}

/// The reasons in their order, each once: several certificates may wait for one version.
pub(super) fn each_once(reasons: Vec<Reason>) -> Vec<Reason> {
    let mut once: Vec<Reason> = Vec::new();
    for reason in reasons {
        if !once.contains(&reason) {
            once.push(reason);
        }
    }
    once
}

pub(super) fn unreadable(message: &str) -> Halt {
    Halt::Unreadable(vec![Reason { message: message.to_owned(), hint: None }])
}

/// A reason that no guard gives: the change itself cannot be made out.
pub(super) fn violation(subject: &str, expected: &str, found: &str, hint: &str) -> Violation {
    Violation {
        guard: PLAN.to_owned(),
        subject: subject.to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
        hint: hint.to_owned(),
    }
}

impl<'a> Service<'a> {
    /// Every mapping must name a certificate that the cscfg has.
    fn check_mappings(&self) -> Result<(), Halt> {
        let faults: Vec<Violation> = self
            .policy
            .certificates
            .iter()
            .filter(|mapping| {
                !self.configuration.certificates().iter().any(|entry| binds(mapping, entry))
            })
            .map(|mapping| {
                let has: Vec<String> = self
                    .configuration
                    .certificates()
                    .iter()
                    .map(|entry| format!("`{}` of role `{}`", entry.name, entry.role))
                    .collect();
                let role = mapping.role.as_ref().map_or(String::new(), |role| format!(" of role `{role}`"));
                violation(
                    &format!("the mapping of certificate `{}`{role}", mapping.name),
                    "a certificate of that name in the cscfg",
                    &if has.is_empty() { "no certificate at all".to_owned() } else { has.join(", ") },
                    "correct `name` or `role` in `[[service.certificate]]`; names cannot be added by an update, since \
                     the service definition fixes them",
                )
            })
            .collect();
        let faults: Vec<Violation> = faults.into_iter().chain(self.missing_settings()).collect();
        if faults.is_empty() { Ok(()) } else { Err(Halt::Blocked(faults)) }
    }

    /// Settings that a mapping names and the cscfg lacks. Found at once rather than on the night of the renewal.
    fn missing_settings(&self) -> Vec<Violation> {
        let has = |name: &String| self.configuration.settings().iter().any(|setting| &setting.name == name);
        let mut missing = Vec::new();
        for mapping in &self.policy.certificates {
            for name in mapping.settings.iter().filter(|name| !has(name)) {
                missing.push(violation(
                    &format!("setting `{name}`, named for certificate `{}`", mapping.name),
                    "a ConfigurationSetting of that name in the cscfg",
                    "none",
                    "correct `settings` in `[[service.certificate]]`",
                ));
            }
        }
        missing
    }

    /// Every followed object must be readable; returns when the latest of the newest versions was first seen. An
    /// object that is gone is left to the resolution of old references.
    fn check_objects(&self, notes: &mut Vec<String>) -> Result<Timestamp, Halt> {
        let mut reasons = Vec::new();
        let mut violations = Vec::new();
        let mut seen = Timestamp::MIN;
        for followed in followed(self.policy, &self.configuration, &self.profile) {
            match self.observation.objects.get(&followed.key) {
                None => reasons
                    .push(Reason { message: format!("`{}` was not looked at", followed.key), hint: None }),
                Some(Err(unreadable)) if unreadable.gone && followed.reference.is_some() => {
                    notes.push(format!(
                        "`{}` is gone from its vault ({}); the service may refuse any update while it is referenced",
                        followed.key, unreadable.reason
                    ));
                }
                Some(Err(unreadable)) if followed.reference.as_ref().is_some_and(|url| self.is_left(url)) => {
                    notes.push(format!(
                        "`{}` cannot be read ({}); no certificate follows it, so the service is planned without it",
                        followed.key, unreadable.reason
                    ));
                }
                Some(Err(unreadable)) => {
                    reasons
                        .push(Reason { message: unreadable.reason.clone(), hint: unreadable.hint.clone() });
                }
                Some(Ok(object)) => match &object.newest {
                    Ok(newest) => seen = seen.max(newest.first_seen),
                    Err(_) if followed.reference.as_ref().is_some_and(|url| self.is_left(url)) => {}
                    Err(none) if self.policy.guards.holds(Guard::Enabled) || followed.reference.is_none() => {
                        violations.push(Violation {
                            guard: Guard::Enabled.name().to_owned(),
                            subject: format!("{} `{}`", object.kind.noun(), followed.key),
                            expected: "a version that is enabled".to_owned(),
                            found: match none.versions {
                                1 => "one version, which is disabled".to_owned(),
                                versions => format!("{versions} versions, all disabled"),
                            },
                            hint: "enable a version or add a new one; to leave this object alone, map its certificate \
                                   elsewhere or set `relax = [\"enabled\"]` in `[service.guards]`"
                                .to_owned(),
                        });
                    }
                    Err(_) => {}
                },
            }
        }
        if !reasons.is_empty() {
            return Err(Halt::Unreadable(each_once(reasons)));
        }
        if violations.is_empty() { Ok(seen) } else { Err(Halt::Blocked(violations)) }
    }

    /// What a followed certificate holds today must be known, or known to be lost: a vault that cannot be reached for a
    /// moment must not pass for a lost version, with which the guards would have nothing to compare.
    fn check_contents(&self) -> Result<(), Halt> {
        let reasons: Vec<Reason> = self
            .profile
            .urls()
            .filter_map(|url| Some((url, self.observation.contents.get(url)?.as_ref().err()?)))
            .filter(|(url, unreadable)| !unreadable.gone && !self.is_left(url))
            .map(|(_, unreadable)| Reason {
                message: unreadable.reason.clone(),
                hint: unreadable.hint.clone(),
            })
            .collect();
        if reasons.is_empty() { Ok(()) } else { Err(Halt::Unreadable(each_once(reasons))) }
    }

    /// Whether no certificate follows a reference: each one that it may carry is mapped, or is left alone. Of a secret
    /// that cannot be read there may be none; one that can be read and that no certificate names follows its object.
    fn is_left(&self, url: &SecretIdentifier) -> bool {
        let carried = content(self.observation, url).map(VaultContent::thumbprint);
        let explained: BTreeSet<Thumbprint> = self
            .profile
            .urls()
            .filter_map(|url| content(self.observation, url))
            .map(VaultContent::thumbprint)
            .collect();
        let may_be = |thumbprint: Thumbprint| match carried {
            Some(carried) => carried == thumbprint,
            None => !explained.contains(&thumbprint),
        };
        let mut entries = self
            .configuration
            .certificates()
            .iter()
            .filter(|entry| entry.thumbprint.known().is_some_and(may_be))
            .peekable();
        (carried.is_none() || entries.peek().is_some())
            && entries.all(|entry| mapping_of(self.policy, entry).is_some() || !follows(self.policy, entry))
    }

    pub(super) fn newest(&self, key: &ObjectKey) -> Option<&'a ObservedVersion> {
        newest(self.observation, key)
    }
}
