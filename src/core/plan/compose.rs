//! Makes the update out of its replacements, and proves that it keeps the closed set: afterwards every thumbprint of
//! the cscfg is carried by exactly one secret.

use std::collections::BTreeSet;

use super::moves::{Move, Replaced};
use super::observation::VaultContent;
use super::resolve::{Carried, content};
use super::service::{Halt, Service, unreadable, violation};
use super::update::{
    BlastRadius, CertificateChange, CertificateSummary, PlannedProbe, PlannedUpdate, RoleRadius,
    ServiceState, SettingChange, secret_changes,
};
use crate::certificate::{Certificate, covers};
use crate::cscfg::{Edit, MentionKind, ServiceConfiguration};
use crate::id::{RoleName, SecretIdentifier, Thumbprint};
use crate::policy::checks::{self, Candidate, Findings};
use crate::target::cloud_service::OsProfile;

/// The update that makes all `moves` at once.
pub(super) fn compose(
    service: &Service<'_>,
    carried: &Carried,
    moves: &[Move<'_>],
) -> Result<PlannedUpdate, Halt> {
    let mut findings = Findings::default();
    let settings = settings(service, moves, &mut findings);
    let configuration = edited(service, moves, &settings)?;
    let profile = rearranged(service, carried, moves, &configuration);
    let after = Carrying { service, carried, moves };

    closed_set(&configuration, &profile, &after, &mut findings);
    guards(service, carried, moves, &configuration, &profile, &after, &mut findings);
    if !findings.violations.is_empty() {
        return Err(Halt::Blocked(findings.violations));
    }

    let expected = ServiceState::of(service.model).map_err(|error| unreadable(&error.to_string()))?;
    let wanted = ServiceState {
        configuration: configuration.text().to_owned(),
        os_profile: profile.clone(),
        rest: expected.rest.clone(),
    };
    let mut warnings = findings.warnings;
    warnings.extend(stray_mentions(service, moves, &settings));
    let probes = probes(service, &configuration, &after, &mut warnings);
    Ok(PlannedUpdate {
        service: service.policy.service.clone(),
        certificates: certificate_changes(service, carried, moves),
        secrets: secret_changes(&service.profile, &profile),
        settings,
        expected,
        wanted,
        probes,
        probe_binding: service.policy.probe.binding,
        blast_radius: blast_radius(service, moves),
        warnings,
        stage: service.policy.stage,
        deployed_until: deployed_until(service, carried, moves),
    })
}

/// What each secret carries once the moves are made.
pub(super) struct Carrying<'s, 'a> {
    service: &'s Service<'a>,
    carried: &'s Carried,
    moves: &'s [Move<'a>],
}

impl Carrying<'_, '_> {
    fn certificate(&self, url: &SecretIdentifier) -> Option<&Certificate> {
        self.moves
            .iter()
            .find(|change| &change.newest.secret == url)
            .map(|change| &change.content.leaf)
            .or_else(|| content(self.service.observation, url).map(|content| &content.leaf))
    }

    fn thumbprint(&self, url: &SecretIdentifier) -> Option<Thumbprint> {
        self.certificate(url).map(Certificate::thumbprint).or_else(|| self.carried.thumbprint(url))
    }
}

fn edited(
    service: &Service<'_>,
    moves: &[Move<'_>],
    settings: &[SettingChange],
) -> Result<ServiceConfiguration, Halt> {
    let mut edits: Vec<Edit> = moves
        .iter()
        .filter_map(|change| match &change.what {
            Replaced::Entry(entry) => Some(Edit::Certificate {
                role: entry.role.clone(),
                name: entry.name.clone(),
                from: entry.thumbprint.known(),
                to: change.content.thumbprint(),
            }),
            Replaced::Surplus(_) => None,
        })
        .collect();
    edits.extend(settings.iter().map(|setting| Edit::Setting {
        role: setting.role.clone(),
        name: setting.name.clone(),
        from: setting.from,
        to: setting.to,
    }));
    service.configuration.replace(&edits).map_err(|error| {
        Halt::Blocked(vec![violation(
            "the cscfg",
            "that the changes can be made in place",
            &error.to_string(),
            "correct the service configuration and update the service once by hand",
        )])
    })
}

/// The settings that a mapping names and that repeat the old thumbprint. A setting follows the certificate of its own
/// role where that role has one of the old thumbprint, else the certificate of any role.
fn settings(service: &Service<'_>, moves: &[Move<'_>], findings: &mut Findings) -> Vec<SettingChange> {
    let mut changes: Vec<SettingChange> = Vec::new();
    for change in moves {
        let (Some(mapping), Replaced::Entry(entry)) = (change.mapping, &change.what) else { continue };
        let to = change.content.thumbprint();
        let Some(from) = entry.thumbprint.known().filter(|from| *from != to) else { continue };
        let mentions = service.configuration.mentions(&from);
        let role_has_its_own = |role: &RoleName| {
            let mut entries = service.configuration.certificates().iter();
            entries.any(|other| &other.role == role && other.thumbprint.known() == Some(from))
        };
        for name in &mapping.settings {
            let mut repeated = false;
            for mention in mentions.iter().filter(|mention| &mention.setting == name) {
                repeated = true;
                if mention.role != entry.role && role_has_its_own(&mention.role) {
                    continue;
                }
                if mention.kind == MentionKind::Within {
                    findings.violations.push(violation(
                        &format!("setting `{name}` of role `{}` (cscfg line {})", mention.role, mention.place.line),
                        &format!("thumbprint {from} alone or in a list, so that it can be changed"),
                        "it only within a longer text",
                        "write the thumbprint alone or separated by commas; or take the setting out of `settings` in \
                         `[[service.certificate]]` and change it by hand",
                    ));
                    continue;
                }
                let change = SettingChange { role: mention.role.clone(), name: name.clone(), from, to };
                if !changes.contains(&change) {
                    changes.push(change);
                }
            }
            if !repeated {
                findings.warnings.push(format!(
                    "setting `{name}` does not repeat thumbprint {from} of certificate `{}`; it is left as it is",
                    mapping.name
                ));
            }
        }
    }
    changes
}

/// `osProfile` with each secret replaced that nothing needs any more. A secret stays where another certificate of the
/// cscfg still holds what it carries.
fn rearranged(
    service: &Service<'_>,
    carried: &Carried,
    moves: &[Move<'_>],
    configuration: &ServiceConfiguration,
) -> OsProfile {
    let still: BTreeSet<Thumbprint> =
        configuration.certificates().iter().filter_map(|entry| entry.thumbprint.known()).collect();
    let mut profile = service.profile.clone();
    for change in moves {
        let to = &change.newest.secret;
        let leaving: Vec<&SecretIdentifier> = match &change.what {
            Replaced::Surplus(url) => vec![url],
            Replaced::Entry(entry) => entry
                .thumbprint
                .known()
                .map(|old| {
                    let new = change.content.thumbprint();
                    // A reference that can no longer be read makes room even for the same certificate.
                    let obsolete = |url: &&SecretIdentifier| {
                        !still.contains(&old) || (old == new && carried.by_elimination.contains(*url))
                    };
                    carried.carriers(old).filter(obsolete).collect()
                })
                .unwrap_or_default(),
        };
        for url in leaving.into_iter().filter(|url| *url != to) {
            profile = profile.with_replaced(url, to, &change.vault);
        }
        profile = profile.with_added(to, &change.vault);
    }
    profile
}

/// Every thumbprint of the cscfg must be carried by exactly one secret.
fn closed_set(
    configuration: &ServiceConfiguration,
    profile: &OsProfile,
    after: &Carrying<'_, '_>,
    findings: &mut Findings,
) {
    for entry in configuration.certificates() {
        let Some(thumbprint) = entry.thumbprint.known() else { continue };
        let carriers: Vec<String> = profile
            .urls()
            .filter(|url| after.thumbprint(url) == Some(thumbprint))
            .map(|url| format!("`{url}`"))
            .collect();
        if carriers.len() == 1 {
            continue;
        }
        let found = if carriers.is_empty() { "no secret".to_owned() } else { carriers.join(" and ") };
        let hint = if carriers.is_empty() {
            "map the certificate with `[[service.certificate]]`, so that it gets a certificate that the vault has"
        } else {
            "take all but one of them out of `osProfile.secrets`"
        };
        findings.violations.push(violation(
            &super::resolve::entry_subject(entry),
            &format!("that exactly one secret of the service carries {thumbprint}"),
            &found,
            hint,
        ));
    }
}

fn guards(
    service: &Service<'_>,
    carried: &Carried,
    moves: &[Move<'_>],
    configuration: &ServiceConfiguration,
    profile: &OsProfile,
    after: &Carrying<'_, '_>,
    findings: &mut Findings,
) {
    let policy = &service.policy.guards;
    for change in moves {
        let candidate = Candidate {
            subject: change.subject(),
            source: change.source.clone(),
            old: replaced(service, carried, change),
            new: change.content,
            facts: &change.newest.facts,
            now: service.now,
        };
        checks::evaluate(&candidate, policy, findings);
    }
    for role in configuration.roles() {
        let held = |configuration: &ServiceConfiguration, profile: &OsProfile| {
            let entries = configuration.certificates().iter().filter(|entry| entry.role == role.name);
            entries
                .map(|entry| {
                    let thumbprint = entry.thumbprint.known()?;
                    let mut all = profile.urls().filter_map(|url| after.certificate(url));
                    all.find(|found| found.thumbprint() == thumbprint).cloned()
                })
                .collect::<Vec<Option<Certificate>>>()
        };
        // An edit adds, removes and reorders no entry, so that both lists go by entry.
        let before = held(&service.configuration, &service.profile);
        let then = held(configuration, profile);
        checks::chain(&role.name, &before, &then, policy, findings);
    }
    for url in profile.urls() {
        let content = service.observation.contents.get(url).and_then(|content| content.as_ref().err());
        let kept = service.observation.kept.get(url).and_then(|kept| kept.as_ref().err());
        if let Some(unreadable) = content.into_iter().chain(kept).find(|unreadable| unreadable.gone) {
            checks::kept(url, unreadable, policy, findings);
        }
    }
    for group in profile.groups() {
        let seen = service.observation.vaults.get(group.source_vault());
        checks::placement(
            &service.policy.service,
            service.model.location().as_deref(),
            group.source_vault(),
            seen,
            policy,
            findings,
        );
    }
    checks::extension(service.model, policy, findings);
}

/// Thumbprints that leave the cscfg's certificates but stay in a setting that nobody named.
fn stray_mentions(service: &Service<'_>, moves: &[Move<'_>], settings: &[SettingChange]) -> Vec<String> {
    let mut warnings = Vec::new();
    for change in moves {
        let Replaced::Entry(entry) = &change.what else { continue };
        let leaves = |from: &Thumbprint| *from != change.content.thumbprint();
        let Some(from) = entry.thumbprint.known().filter(leaves) else { continue };
        for mention in service.configuration.mentions(&from) {
            let named = settings.iter().any(|setting| {
                setting.role == mention.role && setting.name == mention.setting && setting.from == from
            });
            let warning = format!(
                "setting `{}` of role `{}` (cscfg line {}) still holds thumbprint {from} of certificate `{}`; add it to \
                 `settings` in `[[service.certificate]]` if it is to change with it",
                mention.setting, mention.role, mention.place.line, entry.name
            );
            if !named && !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    warnings
}

/// The leaves that each endpoint may present before and must present afterwards: of the certificate that the
/// configuration names, else of every certificate that covers the endpoint's name, else of every leaf.
fn probes(
    service: &Service<'_>,
    configuration: &ServiceConfiguration,
    after: &Carrying<'_, '_>,
    warnings: &mut Vec<String>,
) -> Vec<PlannedProbe> {
    let mut probes = Vec::new();
    for probed in &service.policy.probe.endpoints {
        let name = &probed.endpoint.server_name;
        let leaves = |configuration: &ServiceConfiguration| {
            let mut all: Vec<(Thumbprint, bool)> = Vec::new();
            for entry in configuration.certificates() {
                let Some(thumbprint) = entry.thumbprint.known() else { continue };
                let known = service
                    .profile
                    .urls()
                    .chain(after.moves.iter().map(|change| &change.newest.secret))
                    .filter_map(|url| after.certificate(url))
                    .find(|found| found.thumbprint() == thumbprint);
                let fits = match &probed.certificate {
                    Some(wanted) => wanted.eq_ignore_ascii_case(&entry.name),
                    None => known.is_none_or(|found| !found.is_ca()),
                };
                if fits && !all.iter().any(|(have, _)| *have == thumbprint) {
                    all.push((thumbprint, known.is_some_and(|found| covers(found.names(), name))));
                }
            }
            let covering: Vec<Thumbprint> =
                all.iter().filter(|(_, covers)| *covers).map(|(have, _)| *have).collect();
            if covering.is_empty() { all.into_iter().map(|(have, _)| have).collect() } else { covering }
        };
        let probe = PlannedProbe {
            endpoint: probed.endpoint.clone(),
            before: leaves(&service.configuration),
            after: leaves(configuration),
        };
        if probe.after.is_empty() {
            warnings.push(format!(
                "endpoint {} has no certificate in the cscfg that it could present; it is not probed",
                probe.endpoint
            ));
        } else {
            probes.push(probe);
        }
    }
    probes
}

fn certificate_changes(
    service: &Service<'_>,
    carried: &Carried,
    moves: &[Move<'_>],
) -> Vec<CertificateChange> {
    moves
        .iter()
        .filter_map(|change| {
            let Replaced::Entry(entry) = &change.what else { return None };
            let before =
                replaced(service, carried, change).map(|content| CertificateSummary::from(&content.leaf));
            Some(CertificateChange {
                role: entry.role.clone(),
                name: entry.name.clone(),
                line: entry.place.line,
                from: entry.thumbprint.known(),
                to: change.content.thumbprint(),
                secret: change.newest.secret.clone(),
                source: change.source.clone(),
                before,
                after: CertificateSummary::from(&change.content.leaf),
            })
        })
        .collect()
}

fn blast_radius(service: &Service<'_>, moves: &[Move<'_>]) -> BlastRadius {
    let capacities = service.model.role_capacities();
    let roles = service
        .configuration
        .roles()
        .iter()
        .map(|role| {
            // The role profile tells what runs; the cscfg's count is what was asked for at the last deployment.
            let running = capacities
                .iter()
                .find(|(name, _)| role.name.as_str().eq_ignore_ascii_case(name))
                .and_then(|(_, capacity)| u32::try_from(*capacity).ok());
            RoleRadius {
                role: role.name.clone(),
                instances: running.or(role.instances).unwrap_or(0),
                changes: moves
                    .iter()
                    .any(|change| matches!(&change.what, Replaced::Entry(entry) if entry.role == role.name)),
            }
        })
        .collect();
    let update_domains = match service.observation.instances.get(&service.policy.service) {
        Some(Ok(instances)) => {
            let domains: BTreeSet<u32> =
                instances.iter().filter_map(|instance| instance.update_domain).collect();
            (!domains.is_empty()).then_some(domains.len())
        }
        _ => None,
    };
    BlastRadius { roles, upgrade_mode: service.model.upgrade_mode(), update_domains }
}

/// The end of the certificate that ends first among those that are replaced. One that stays, such as the certificate
/// of remote desktop users, makes nothing urgent: the update would not help it.
fn deployed_until(service: &Service<'_>, carried: &Carried, moves: &[Move<'_>]) -> Option<jiff::Timestamp> {
    moves
        .iter()
        .filter_map(|change| replaced(service, carried, change))
        .map(|content| content.leaf.not_after())
        .min()
}

/// What a replacement takes the place of, where it could be read.
fn replaced<'a>(service: &Service<'a>, carried: &Carried, change: &Move<'_>) -> Option<&'a VaultContent> {
    let url = match &change.what {
        Replaced::Surplus(url) => Some(url),
        Replaced::Entry(entry) => entry.thumbprint.known().and_then(|old| carried.carriers(old).next()),
    };
    url.and_then(|url| content(service.observation, url))
}
