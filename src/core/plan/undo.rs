//! The way back that a person asks for: what a rollout changed is changed back, and nothing else. Where somebody edited
//! the service since, their edits stay.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::needs::Need;
use super::observation::{Form, Observation, VaultContent};
use super::report::{Reason, ServiceReport, Status, Violation};
use super::serves::serves;
use super::service::violation;
use super::update::{
    CertificateChange, CertificateSummary, PlannedProbe, PlannedUpdate, ServiceState, SettingChange,
    secret_changes,
};
use crate::cscfg::{Edit, ServiceConfiguration};
use crate::id::{ObjectKind, SecretIdentifier, Thumbprint};
use crate::policy::{Guard, ServicePolicy};
use crate::rollout::Rollout;
use crate::target::cloud_service::{CloudServiceModel, OsProfile};

/// What is still unknown for planning the way back. Empty when [`undo`] can answer.
pub fn undo_needs(rollout: &Rollout, observation: &Observation) -> BTreeSet<Need> {
    let service = &rollout.update().service;
    let Some(Ok(model)) = observation.services.get(service) else { return BTreeSet::new() };
    let Ok(back) = Back::of(rollout, model) else { return BTreeSet::new() };
    let mut wanted: BTreeSet<Need> = back
        .profile
        .urls()
        .filter(|url| !observation.contents.contains_key(url))
        .map(|url| Need::Secret(url.clone()))
        .collect();
    if !observation.instances.contains_key(service) {
        wanted.insert(Need::Instances(service.clone()));
    }
    wanted
}

/// Plans the way back from a rollout: *planned*; *current* where nothing of it is left; *blocked* where it cannot be made
/// or the service would refuse it; *unreadable*.
pub fn undo(
    policy: &ServicePolicy,
    rollout: &Rollout,
    observation: &Observation,
    now: Timestamp,
) -> ServiceReport {
    let mut notes = Vec::new();
    let status = match observation.services.get(&policy.service) {
        Some(Ok(model)) => match Back::of(rollout, model) {
            Ok(back) if back.is_there() => Status::Current,
            Ok(back) => back.planned(policy, rollout, observation, now, &mut notes),
            Err(violations) => Status::Blocked { violations },
        },
        Some(Err(fault)) => Status::Unreadable {
            reasons: vec![Reason { message: fault.reason.clone(), hint: fault.hint.clone() }],
        },
        None => Status::Unreadable {
            reasons: vec![Reason { message: "the service was not looked at".to_owned(), hint: None }],
        },
    };
    ServiceReport {
        service: policy.service.clone(),
        mode: policy.mode,
        stage: policy.stage,
        status,
        notes,
        closes: None,
        serves: serves(policy, observation),
        standing: observation.standings.of(&policy.service),
        overrides_window: None,
    }
}

/// The service as it is, and as it would be.
struct Back {
    now: ServiceState,
    configuration: ServiceConfiguration,
    profile: OsProfile,
    /// Certificates that change back, with their thumbprints from and to.
    certificates: Vec<(CertificateChange, Thumbprint, Thumbprint)>,
    settings: Vec<SettingChange>,
}

impl Back {
    fn of(rollout: &Rollout, model: &CloudServiceModel) -> Result<Self, Vec<Violation>> {
        let odd = |found: &dyn std::fmt::Display| {
            vec![violation(
                "the service",
                "one that can be read",
                &found.to_string(),
                "look at it in the portal",
            )]
        };
        let captured = rollout.captured().ok_or_else(|| {
            vec![violation(
                &format!("rollout {}", rollout.id()),
                "the state that it captured before it changed anything",
                "none: it changed nothing",
                "there is nothing to put back",
            )]
        })?;
        let update = rollout.update();
        let now = ServiceState::of(model).map_err(|error| odd(&error))?;
        let before = ServiceState::of(captured).map_err(|error| odd(&error))?;
        let present = ServiceConfiguration::parse(now.configuration.as_str()).map_err(|error| odd(&error))?;
        let whole = now.configuration == update.wanted.configuration;

        let mut violations = Vec::new();
        let mut certificates = Vec::new();
        let mut edits = Vec::new();
        for change in &update.certificates {
            let mut entries = present.certificates().iter();
            let entry = entries.find(|entry| entry.role == change.role && entry.name == change.name);
            let found = entry.and_then(|entry| entry.thumbprint.known());
            match (found, change.from) {
                (found, from) if found == from => {}
                (Some(found), Some(from)) if found == change.to => {
                    edits.push(Edit::Certificate {
                        role: change.role.clone(),
                        name: change.name.clone(),
                        from: Some(found),
                        to: from,
                    });
                    certificates.push((change.clone(), found, from));
                }
                // An empty thumbprint can be put back with the whole text only.
                (Some(found), None) if found == change.to && whole => {}
                (found, _) => violations.push(violation(
                    &format!("certificate `{}` of role `{}`", change.name, change.role),
                    &format!("thumbprint {}, which the rollout wrote", change.to),
                    &found.map_or_else(|| "none".to_owned(), |found| found.to_string()),
                    "somebody changed it since; decide by hand which certificate is wanted",
                )),
            }
        }
        let mut settings = Vec::new();
        for setting in &update.settings {
            let mentions = present.mentions(&setting.to);
            if mentions.iter().any(|one| one.role == setting.role && one.setting == setting.name) {
                let change = SettingChange { from: setting.to, to: setting.from, ..setting.clone() };
                edits.push(Edit::Setting {
                    role: change.role.clone(),
                    name: change.name.clone(),
                    from: change.from,
                    to: change.to,
                });
                settings.push(change);
            }
        }
        if !violations.is_empty() {
            return Err(violations);
        }
        let configuration = if whole {
            ServiceConfiguration::parse(before.configuration.as_str()).map_err(|error| odd(&error))?
        } else {
            present.replace(&edits).map_err(|error| odd(&error))?
        };
        let profile = if secret_changes(&now.os_profile, &update.wanted.os_profile).is_empty() {
            before.os_profile
        } else {
            reversed(&now.os_profile, &before.os_profile, update)
        };
        Ok(Self { now, configuration, profile, certificates, settings })
    }

    fn is_there(&self) -> bool {
        self.configuration.text() == self.now.configuration
            && secret_changes(&self.now.os_profile, &self.profile).is_empty()
    }

    fn planned(
        self,
        policy: &ServicePolicy,
        rollout: &Rollout,
        observation: &Observation,
        now: Timestamp,
        notes: &mut Vec<String>,
    ) -> Status {
        let update = rollout.update();
        let mut warnings = Vec::new();
        let mut violations = self.unusable(policy, observation, &mut warnings);
        violations.extend(self.uncarried(observation));
        if !violations.is_empty() {
            return Status::Blocked { violations };
        }
        let carrier = |thumbprint: Thumbprint| {
            let mut urls = self.profile.urls();
            urls.find(|url| content(observation, url).is_some_and(|one| one.thumbprint() == thumbprint))
        };
        let mut certificates = Vec::new();
        for (change, from, to) in &self.certificates {
            let content = carrier(*to).and_then(|url| content(observation, url));
            let after =
                content.map(|content| CertificateSummary::from(&content.leaf)).or(change.before.clone());
            // Without a readable secret that carries it, `unusable` has refused.
            let (Some(after), Some(secret)) = (after, carrier(*to).or_else(|| self.profile.urls().next()))
            else {
                continue;
            };
            if after.not_after <= now {
                warnings.push(format!(
                    "certificate `{}` of role `{}` goes back to one that ended at {}",
                    change.name, change.role, after.not_after
                ));
            }
            let same_object =
                secret.vault() == change.secret.vault() && secret.name() == change.secret.name();
            let source = if same_object {
                change.source.clone()
            } else {
                secret.object(ObjectKind::Secret).to_string()
            };
            certificates.push(CertificateChange {
                from: Some(*from),
                to: *to,
                secret: secret.clone(),
                source,
                before: Some(change.after.clone()),
                after,
                ..change.clone()
            });
        }
        let secrets = secret_changes(&self.now.os_profile, &self.profile);
        notes.push(format!(
            "this puts back what the rollout {} changed; the versions that leave are not planned again until they are \
             superseded or the service is released",
            rollout.id()
        ));
        let wanted = ServiceState {
            configuration: self.configuration.text().to_owned(),
            os_profile: self.profile.clone(),
            rest: self.now.rest.clone(),
        };
        let deployed_until =
            certificates.iter().filter_map(|change| change.before.as_ref()).map(|one| one.not_after).min();
        let probes = update.probes.iter().map(|probe| PlannedProbe {
            endpoint: probe.endpoint.clone(),
            before: probe.after.clone(),
            after: probe.before.clone(),
        });
        Status::Planned {
            update: Box::new(PlannedUpdate {
                service: update.service.clone(),
                certificates,
                secrets,
                settings: self.settings,
                expected: self.now,
                wanted,
                probes: probes.filter(|probe| !probe.after.is_empty()).collect(),
                probe_binding: policy.probe.binding,
                blast_radius: update.blast_radius.clone(),
                warnings,
                stage: policy.stage,
                deployed_until,
            }),
        }
    }

    /// Secrets that come back and that the service could not fetch or would not take.
    fn unusable(
        &self,
        policy: &ServicePolicy,
        observation: &Observation,
        warnings: &mut Vec<String>,
    ) -> Vec<Violation> {
        let mut violations = Vec::new();
        let coming = self.profile.urls().filter(|url| !self.now.os_profile.urls().any(|have| have == *url));
        for url in coming {
            let found = match observation.contents.get(url) {
                Some(Ok(VaultContent { form: Form::Refused(reason), .. })) => reason.clone(),
                Some(Err(fault)) => fault.reason.clone(),
                Some(Ok(_)) => continue,
                None => "it was not looked at".to_owned(),
            };
            if policy.guards.holds(Guard::Enabled) {
                violations.push(Violation {
                    guard: Guard::Enabled.name().to_owned(),
                    subject: format!("secret `{url}`, which comes back"),
                    expected: "a version that is there, enabled and in a form that Cloud Services take"
                        .to_owned(),
                    found,
                    hint: "enable the version again, since the service fetches it at the update".to_owned(),
                });
            } else {
                warnings.push(format!("secret `{url}` comes back: {found}"));
            }
        }
        violations
    }

    /// Thumbprints that would not be carried by exactly one secret.
    fn uncarried(&self, observation: &Observation) -> Vec<Violation> {
        let unknown = self.profile.urls().any(|url| content(observation, url).is_none());
        let mut violations = Vec::new();
        for entry in self.configuration.certificates() {
            let Some(thumbprint) = entry.thumbprint.known() else { continue };
            let carriers: Vec<String> = self
                .profile
                .urls()
                .filter(|url| content(observation, url).is_some_and(|one| one.thumbprint() == thumbprint))
                .map(|url| format!("`{url}`"))
                .collect();
            if carriers.len() == 1 || (carriers.is_empty() && unknown) {
                continue;
            }
            violations.push(violation(
                &super::resolve::entry_subject(entry),
                &format!("that exactly one secret of the service carries {thumbprint}"),
                &if carriers.is_empty() { "no secret".to_owned() } else { carriers.join(" and ") },
                "somebody changed the service since; decide by hand which certificates are wanted",
            ));
        }
        violations
    }
}

/// The secrets as they are, with those of an update changed back.
fn reversed(now: &OsProfile, before: &OsProfile, update: &PlannedUpdate) -> OsProfile {
    let vault = |url: &SecretIdentifier| {
        let mut groups = before.groups().iter();
        let group = groups.find(|group| group.certificates().iter().any(|entry| entry.url() == url));
        group.map(|group| group.source_vault().clone())
    };
    let mut profile = now.clone();
    for change in &update.secrets {
        let present = |url: &SecretIdentifier| profile.urls().any(|have| have == url);
        profile = match (&change.from, &change.to) {
            (Some(from), Some(to)) if present(to) => match vault(from) {
                Some(vault) => profile.with_replaced(to, from, &vault),
                None => profile,
            },
            (Some(from), None) if !present(from) => match vault(from) {
                Some(vault) => profile.with_added(from, &vault),
                None => profile,
            },
            (None, Some(to)) => profile.without(to),
            (Some(_) | None, _) => profile,
        };
    }
    profile
}

fn content<'a>(observation: &'a Observation, url: &SecretIdentifier) -> Option<&'a VaultContent> {
    observation.contents.get(url)?.as_ref().ok()
}
