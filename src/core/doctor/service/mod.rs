//! A cloud service: what may be done with it, what it is like, and where its vaults are.

#[cfg(test)]
mod tests;

use super::permission::{PermissionEntry, permits};
use super::vault::short;
use super::{Az, Check, Finding, Mend, Subject, Verdict, failed, role};
use crate::id::{CloudServiceId, SourceVaultId};
use crate::plan::{ServiceReport, Status};
use crate::policy::{Guard, Mode, ServicePolicy};
use crate::ports::{FaultKind, InspectedVault, PortError};
use crate::target::cloud_service::{CloudServiceModel, ProvisioningState, UpgradeMode, normalised_location};

/// What an update needs.
pub const WRITE: &str = "Microsoft.Compute/cloudServices/write";
/// What walking update domains needs.
pub const WALK: &str = "Microsoft.Compute/cloudServices/updateDomains/write";

/// What was found of one service.
#[derive(Debug)]
pub struct ServiceEvidence<'a> {
    /// What is asked for it.
    pub policy: &'a ServicePolicy,
    /// The service as read.
    pub model: Result<&'a CloudServiceModel, &'a PortError>,
    /// What reading its instances came to: how many there are.
    pub instances: Result<usize, &'a PortError>,
    /// What is permitted on it.
    pub permissions: Result<&'a [PermissionEntry], &'a PortError>,
    /// Its source vaults, with their resources.
    pub vaults: Vec<(&'a SourceVaultId, Result<&'a InspectedVault, &'a PortError>)>,
    /// What planning says.
    pub plan: Option<&'a ServiceReport>,
}

/// What it comes to.
pub fn findings(evidence: &ServiceEvidence<'_>, az: &Az) -> Vec<Finding> {
    let id = &evidence.policy.service;
    let subject = Subject::Service(id.clone());
    let mut found = Vec::new();
    match evidence.model {
        Ok(model) => {
            found.push(Finding::good(Check::ServiceRead, &subject, "it can be read"));
            write(evidence, Some(model), &subject, az, &mut found);
            below(evidence, &subject, az, &mut found);
            found.push(state(model, &subject));
            found.push(upgrade_mode(model, &subject));
            found.push(extension(model, evidence.policy, &subject));
            placement(id, model, &evidence.vaults, &subject, &mut found);
        }
        Err(error) => {
            let mut finding = failed(Check::ServiceRead, &subject, error);
            if error.kind() == FaultKind::Forbidden {
                finding = finding.mend(az.assign(role::READER, &id.to_string()));
            }
            found.push(finding);
            write(evidence, None, &subject, az, &mut found);
            for check in [
                Check::BelowService,
                Check::ServiceState,
                Check::UpgradeMode,
                Check::Extension,
                Check::VaultSubscription,
                Check::VaultRegion,
            ] {
                found.push(Finding::not_checked(check, &subject, "the service cannot be read"));
            }
        }
    }
    if let Some(report) = evidence.plan {
        found.push(plan(report, &subject));
    }
    found
}

fn write(
    evidence: &ServiceEvidence<'_>,
    model: Option<&CloudServiceModel>,
    subject: &Subject,
    az: &Az,
    found: &mut Vec<Finding>,
) {
    let entries = match evidence.permissions {
        Ok(entries) => entries,
        Err(error) => {
            let what = format!("permissions cannot be read: {}", short(error));
            found.push(Finding::not_checked(Check::ServiceWrite, subject, what));
            return;
        }
    };
    let walks = model.is_some_and(|model| model.upgrade_mode() == UpgradeMode::Manual);
    let wanted = [Some(WRITE), walks.then_some(WALK)];
    let missing: Vec<&str> =
        wanted.into_iter().flatten().filter(|action| !permits(entries, action)).collect();
    let observed = evidence.policy.mode == Mode::Observe;
    found.push(match missing.as_slice() {
        [] => Finding::good(Check::ServiceWrite, subject, "it may be changed"),
        missing => {
            let (verdict, for_whom) = if observed {
                (Verdict::Notice, "; the service is only observed")
            } else {
                (Verdict::Failure, "")
            };
            let what = format!("`{}` is not permitted{for_whom}", missing.join("`, `"));
            Finding::new(Check::ServiceWrite, subject, verdict, what)
                .mend(az.assign(role::CONTRIBUTOR, &evidence.policy.service.to_string()))
        }
    });
}

fn below(evidence: &ServiceEvidence<'_>, subject: &Subject, az: &Az, found: &mut Vec<Finding>) {
    found.push(match evidence.instances {
        Ok(0) => {
            Finding::new(Check::BelowService, subject, Verdict::Notice, "the service has no role instances")
        }
        Ok(count) => {
            Finding::good(Check::BelowService, subject, format!("{count} role instances can be read"))
        }
        Err(error) => {
            let finding = failed(Check::BelowService, subject, error);
            if error.kind() == FaultKind::Forbidden {
                finding.mend(az.assign(role::READER, &evidence.policy.service.to_string()))
            } else {
                finding
            }
        }
    });
}

fn state(model: &CloudServiceModel, subject: &Subject) -> Finding {
    let check = Check::ServiceState;
    match model.provisioning_state() {
        ProvisioningState::Succeeded => {
            Finding::good(check, subject, "no operation runs, the last one succeeded")
        }
        ProvisioningState::Failed => Finding::new(
            check,
            subject,
            Verdict::Warning,
            "`provisioningState` is failed: the last operation on the service did not succeed",
        )
        .mend(Mend::Words(
            "see in the activity log what it was, and make it succeed before certificates change".into(),
        )),
        ProvisioningState::Busy(state) => Finding::new(
            check,
            subject,
            Verdict::Notice,
            format!("an operation runs (`{state}`): updates wait for it"),
        ),
        ProvisioningState::Unknown => {
            Finding::not_checked(check, subject, "the answer has no `provisioningState`")
        }
    }
}

fn upgrade_mode(model: &CloudServiceModel, subject: &Subject) -> Finding {
    let check = Check::UpgradeMode;
    match model.upgrade_mode() {
        UpgradeMode::Auto => Finding::good(check, subject, "Azure walks the update domains one after the other"),
        UpgradeMode::Manual => Finding::new(
            check,
            subject,
            Verdict::Notice,
            "`upgradeMode` is Manual: certroll walks the update domains itself, and looks between them",
        ),
        UpgradeMode::Simultaneous => Finding::new(
            check,
            subject,
            Verdict::Warning,
            "`upgradeMode` is Simultaneous: all instances restart at once, and the service is down while they do",
        )
        .mend(Mend::Words("confine changes to `[service.window]`, or deploy the service with `upgradeMode` Auto".into())),
    }
}

fn extension(model: &CloudServiceModel, policy: &ServicePolicy, subject: &Subject) -> Finding {
    let check = Check::Extension;
    if !model.has_key_vault_extension() {
        return Finding::good(check, subject, "nobody else rotates its certificates");
    }
    let what = "the extension `KeyVaultForPaaS` rotates its certificates";
    if policy.guards.holds(Guard::Extension) {
        Finding::new(check, subject, Verdict::Failure, what).mend(Mend::Words(
            "take this service out of the configuration, or the extension off the service".into(),
        ))
    } else {
        Finding::new(check, subject, Verdict::Notice, format!("{what}; the guard `extension` is relaxed"))
    }
}

fn placement(
    id: &CloudServiceId,
    model: &CloudServiceModel,
    vaults: &[(&SourceVaultId, Result<&InspectedVault, &PortError>)],
    subject: &Subject,
    found: &mut Vec<Finding>,
) {
    if vaults.is_empty() {
        for check in [Check::VaultSubscription, Check::VaultRegion] {
            found.push(Finding::not_checked(check, subject, "the service references no vault"));
        }
    }
    let move_it = "keep its certificates in a vault of the service's own subscription and region";
    for (vault, seen) in vaults {
        let name = vault.vault();
        found.push(if vault.subscription().eq_ignore_ascii_case(id.subscription()) {
            let what = format!("vault `{name}` is in the service's subscription");
            Finding::good(Check::VaultSubscription, subject, what)
        } else {
            let what = format!(
                "vault `{name}` is in subscription `{}`, the service in `{}`",
                vault.subscription(),
                id.subscription()
            );
            Finding::new(Check::VaultSubscription, subject, Verdict::Failure, what)
                .mend(Mend::Words(move_it.into()))
        });
        let region = model.location().map(|region| normalised_location(&region));
        found.push(match (seen, region) {
            (Ok(seen), Some(region)) if normalised_location(&seen.resource.location) == region => {
                let what = format!("vault `{name}` is in the service's region, `{region}`");
                Finding::good(Check::VaultRegion, subject, what)
            }
            (Ok(seen), Some(region)) => {
                let what = format!(
                    "vault `{name}` is in region `{}`, the service in `{region}`",
                    seen.resource.location
                );
                Finding::new(Check::VaultRegion, subject, Verdict::Failure, what)
                    .mend(Mend::Words(move_it.into()))
            }
            (Ok(_), None) => {
                Finding::not_checked(Check::VaultRegion, subject, "the service's answer has no region")
            }
            (Err(_), _) => {
                let what = format!("the resource of vault `{name}` cannot be read");
                Finding::not_checked(Check::VaultRegion, subject, what)
            }
        });
    }
}

fn plan(report: &ServiceReport, subject: &Subject) -> Finding {
    let check = Check::Plan;
    let more = |count: usize| match count {
        0 | 1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    match &report.status {
        Status::Current => Finding::good(check, subject, "it has the newest versions"),
        Status::Planned { update } => {
            let what = format!("a change of {} certificates is planned", update.certificates.len());
            Finding::good(check, subject, what)
        }
        Status::Waiting { reason, .. } => Finding::good(check, subject, format!("a change waits: {reason}")),
        Status::Blocked { violations } => {
            let first = violations.first();
            let said = first.map_or_else(String::new, |first| format!("`{}`: {first}", first.guard));
            let what = format!("blocked by {said}{}", more(violations.len()));
            let finding = Finding::new(check, subject, Verdict::Warning, what);
            match first {
                Some(first) => finding.mend(Mend::Words(first.hint.clone())),
                None => finding,
            }
        }
        Status::Unreadable { reasons } => {
            let first = reasons.first().map_or("", |first| first.message.as_str());
            let what = format!("unreadable: {first}{}", more(reasons.len()));
            Finding::new(check, subject, Verdict::Failure, what)
        }
    }
}
