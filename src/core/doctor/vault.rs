//! A vault: what may be listed and read, and whether services may fetch from it.

use super::permission::{PermissionEntry, permits};
use super::{Access, Az, Check, Finding, Subject, Verdict, failed, role, seen_address};
use crate::id::{ObjectKind, ObjectName, SourceVaultId, VaultName};
use crate::ports::{AccessModel, FaultKind, InspectedVault, PortError};

/// The action that whoever updates a service needs on the vaults that it fetches from.
///
/// Source: Microsoft's custom role of the Key Vault security guide; Virtual Machine Contributor does not have it.
pub const DEPLOY: &str = "Microsoft.KeyVault/vaults/deploy/action";

/// What was tried on one vault.
#[derive(Clone, Debug)]
pub struct VaultEvidence {
    /// The vault.
    pub vault: VaultName,
    /// Its resource, where its id is known.
    pub resource: Option<(SourceVaultId, Result<InspectedVault, PortError>)>,
    /// What listing secrets came to: how many there are.
    pub secrets: Result<usize, PortError>,
    /// What listing certificates came to.
    pub certificates: Result<usize, PortError>,
    /// What reading each followed secret came to.
    pub read_secrets: Vec<(ObjectName, Result<(), PortError>)>,
    /// What reading each followed vault certificate came to.
    pub read_certificates: Vec<(ObjectName, Result<(), PortError>)>,
    /// What is permitted on its resource, where its id is known.
    pub permissions: Option<Result<Vec<PermissionEntry>, PortError>>,
    /// Whether a service that follows it is changed by certroll, and not only observed.
    pub is_deployed_from: bool,
}

/// What it comes to.
pub fn findings(evidence: &VaultEvidence, az: &Az) -> Vec<Finding> {
    let subject = Subject::Vault(evidence.vault.clone());
    let mut found = Vec::new();
    resource(evidence, &subject, az, &mut found);
    objects(evidence, &subject, az, &mut found);
    deploy(evidence, &subject, az, &mut found);
    found
}

const UNKNOWN_ID: &str = "the vault's resource id is not known: no service that could be read references it, and no \
                          `source_vault` names it";

fn resource(evidence: &VaultEvidence, subject: &Subject, az: &Az, found: &mut Vec<Finding>) {
    let Some((id, seen)) = &evidence.resource else {
        found.push(Finding::not_checked(Check::VaultRead, subject, UNKNOWN_ID));
        found.push(Finding::not_checked(Check::EnabledForDeployment, subject, UNKNOWN_ID));
        return;
    };
    match seen {
        Ok(vault) => {
            found.push(Finding::good(Check::VaultRead, subject, "its resource can be read"));
            found.push(if vault.resource.enabled_for_deployment {
                Finding::good(Check::EnabledForDeployment, subject, "services may fetch from it")
            } else {
                let what = "`enabledForDeployment` is off";
                Finding::new(Check::EnabledForDeployment, subject, Verdict::Failure, what)
                    .mend(az.enable_for_deployment(&evidence.vault))
            });
        }
        Err(error) => {
            let mut finding = failed(Check::VaultRead, subject, error);
            if error.kind() == FaultKind::Forbidden {
                // Updates work without it: it is certroll that cannot say beforehand whether they will.
                finding.verdict = Verdict::Warning;
                finding = finding.mend(az.assign(role::READER, id.as_str()));
            }
            found.push(finding);
            let why = "the vault's resource cannot be read";
            found.push(Finding::not_checked(Check::EnabledForDeployment, subject, why));
        }
    }
}

/// Whether a failure is one of the way to the vault, which says nothing of permissions.
fn is_of_the_way(error: &PortError) -> bool {
    match error.kind() {
        FaultKind::Firewall
        | FaultKind::Unreachable
        | FaultKind::TimedOut
        | FaultKind::NoToken
        | FaultKind::Unauthorized
        | FaultKind::ForeignHost => true,
        FaultKind::Forbidden
        | FaultKind::Disabled
        | FaultKind::NotFound
        | FaultKind::Throttled
        | FaultKind::Conflict
        | FaultKind::Refused
        | FaultKind::ServiceFault
        | FaultKind::Malformed => false,
    }
}

fn objects(evidence: &VaultEvidence, subject: &Subject, az: &Az, found: &mut Vec<Finding>) {
    let grant = |kind: ObjectKind, error: &PortError| {
        let by_policy = match &evidence.resource {
            Some((_, Ok(vault))) => vault.access == AccessModel::Policies,
            // The refusal tells as well.
            _ => error.fault().code.as_deref().is_some_and(|code| code.contains("ForbiddenByPolicy")),
        };
        if by_policy {
            return az.set_policy(&evidence.vault, kind, Access::Read);
        }
        let needed = match kind {
            ObjectKind::Certificate => role::CERTIFICATE_USER,
            ObjectKind::Secret if evidence.read_certificates.is_empty() && evidence.certificates.is_ok() => {
                role::SECRETS_USER
            }
            ObjectKind::Secret => role::CERTIFICATE_USER,
        };
        match &evidence.resource {
            Some((id, _)) => az.assign(needed, id.as_str()),
            None => az.assign_on_vault(needed, &evidence.vault),
        }
    };
    let mend = |finding: Finding, kind: ObjectKind, error: &PortError| match error.kind() {
        FaultKind::Forbidden => finding.mend(grant(kind, error)),
        FaultKind::Firewall => finding.mend(az.admit(&evidence.vault, seen_address(&error.fault().message))),
        _ => finding,
    };
    if let Err(error) = &evidence.secrets
        && is_of_the_way(error)
    {
        let finding = failed(Check::SecretsList, subject, error);
        found.push(mend(finding, ObjectKind::Secret, error));
        for check in [Check::SecretsGet, Check::CertificatesList, Check::CertificatesGet] {
            found.push(Finding::not_checked(check, subject, "the vault is not reached: see `secrets-list`"));
        }
        return;
    }
    let kinds = [
        (
            ObjectKind::Secret,
            Check::SecretsList,
            Check::SecretsGet,
            &evidence.secrets,
            &evidence.read_secrets,
        ),
        (
            ObjectKind::Certificate,
            Check::CertificatesList,
            Check::CertificatesGet,
            &evidence.certificates,
            &evidence.read_certificates,
        ),
    ];
    for (kind, list, get, listed, read) in kinds {
        let objects = match kind {
            ObjectKind::Secret => "secrets",
            ObjectKind::Certificate => "certificates",
        };
        // Whether anything is a vault certificate is only known where secrets could be listed.
        let is_needed = kind == ObjectKind::Secret || !read.is_empty() || evidence.secrets.is_err();
        found.push(match listed {
            Ok(count) => Finding::good(list, subject, format!("{count} {objects} are listed")),
            Err(error) if !is_needed && error.kind() == FaultKind::Forbidden => Finding::new(
                list,
                subject,
                Verdict::Notice,
                "not permitted, and nothing that is followed here is a vault certificate",
            ),
            Err(error) => mend(failed(list, subject, error), kind, error),
        });
        let refused =
            read.iter().find_map(|(_, outcome)| outcome.as_ref().err().filter(|error| is_bad(error)));
        found.push(match refused {
            Some(error) => mend(failed(get, subject, error), kind, error),
            None if read.is_empty() && kind == ObjectKind::Certificate && evidence.secrets.is_ok() => {
                Finding::good(get, subject, "nothing that is followed here is a vault certificate")
            }
            None if read.is_empty() => Finding::not_checked(
                get,
                subject,
                format!("it is not known which {objects} are followed here"),
            ),
            None => match read.iter().filter(|(_, outcome)| outcome.is_err()).count() {
                0 => Finding::good(get, subject, format!("{} followed {objects} can be read", read.len())),
                disabled => Finding::new(
                    get,
                    subject,
                    Verdict::Notice,
                    format!("permitted; the current version is disabled of {disabled} followed {objects}"),
                ),
            },
        });
    }
}

/// A disabled version is a state of the object: the permission is there.
fn is_bad(error: &PortError) -> bool {
    error.kind() != FaultKind::Disabled
}

fn deploy(evidence: &VaultEvidence, subject: &Subject, az: &Az, found: &mut Vec<Finding>) {
    found.push(match (&evidence.resource, &evidence.permissions) {
        (Some((id, _)), Some(Ok(entries))) => {
            if permits(entries, DEPLOY) {
                Finding::good(Check::Deploy, subject, format!("`{DEPLOY}` is permitted"))
            } else {
                let (verdict, for_whom) = if evidence.is_deployed_from {
                    (Verdict::Failure, "")
                } else {
                    (Verdict::Notice, "; the services that follow it are only observed")
                };
                let what = format!("`{DEPLOY}` is not permitted{for_whom}");
                Finding::new(Check::Deploy, subject, verdict, what)
                    .mend(az.assign(role::VAULT_CONTRIBUTOR, id.as_str()))
            }
        }
        (_, Some(Err(error))) => Finding::not_checked(
            Check::Deploy,
            subject,
            format!("permissions cannot be read: {}", short(error)),
        ),
        (_, None) | (None, _) => Finding::not_checked(Check::Deploy, subject, UNKNOWN_ID),
    });
}

/// A failure without its place, which the subject tells.
pub(super) fn short(error: &PortError) -> String {
    let fault = error.fault();
    match fault.kind {
        FaultKind::NoToken => fault.kind.to_string(),
        kind => match (fault.status, &fault.code) {
            (Some(status), Some(code)) => format!("{kind} ({status} {code})"),
            (Some(status), None) => format!("{kind} ({status})"),
            (None, _) => format!("{kind}: {}", fault.message),
        },
    }
}
