//! Guards about the service and its vaults.

use super::{Findings, GuardPolicy, Objection};
use crate::id::{CloudServiceId, SecretIdentifier, SourceVaultId};
use crate::plan::Unreadable;
use crate::policy::Guard;
use crate::ports::VaultResource;
use crate::target::cloud_service::{CloudServiceModel, normalised_location};

/// The vault is in the service's subscription and region and enabled for deployment. What may not be read is not
/// judged: the service itself refuses such a vault.
///
/// Source: Microsoft's deployment prerequisites and questions and answers of Cloud Services (extended support).
pub fn placement(
    service: &CloudServiceId,
    location: Option<&str>,
    vault: &SourceVaultId,
    seen: Option<&Result<VaultResource, Unreadable>>,
    policy: &GuardPolicy,
    findings: &mut Findings,
) {
    let subject = format!("source vault `{}`", vault.vault());
    if !vault.subscription().eq_ignore_ascii_case(service.subscription()) {
        let objection = Objection {
            expected: format!("a vault in subscription `{}`, where the service is", service.subscription()),
            found: format!("subscription `{}`", vault.subscription()),
            way_out: "keep the certificates in a vault of the service's subscription".into(),
        };
        findings.add(Guard::Placement, &subject, objection, policy);
    }
    match seen {
        Some(Ok(resource)) => {
            let region = normalised_location(&resource.location);
            if let Some(location) = location.filter(|location| normalised_location(location) != region) {
                let objection = Objection {
                    expected: format!("a vault in region `{location}`, where the service is"),
                    found: format!("region `{}`", resource.location),
                    way_out: "keep the certificates in a vault of the service's region".into(),
                };
                findings.add(Guard::Placement, &subject, objection, policy);
            }
            if !resource.enabled_for_deployment {
                let objection = Objection {
                    expected: "a vault that is enabled for deployment".to_owned(),
                    found: "`enabledForDeployment` is off".to_owned(),
                    way_out: format!(
                        "run `az keyvault update --name {} --enabled-for-deployment true`",
                        vault.vault()
                    )
                    .into(),
                };
                findings.add(Guard::Placement, &subject, objection, policy);
            }
        }
        Some(Err(unreadable)) if unreadable.gone => {
            let objection = Objection {
                expected: format!("that `{vault}` exists"),
                found: unreadable.to_string(),
                way_out: "correct `source_vault` in `[[service.certificate]]`, or recover the vault".into(),
            };
            findings.add(Guard::Placement, &subject, objection, policy);
        }
        Some(Err(unreadable)) => findings.warn(format!(
            "{subject}: region and `enabledForDeployment` were not checked, since the vault's resource cannot be read \
             ({unreadable})"
        )),
        None => {}
    }
}

/// A secret that stays is there: the service may fetch every reference at every update, and at the way back too.
pub fn kept(
    secret: &SecretIdentifier,
    unreadable: &Unreadable,
    policy: &GuardPolicy,
    findings: &mut Findings,
) {
    let objection = Objection {
        expected: "a version that is enabled, since the service may fetch it at any update".to_owned(),
        found: unreadable.reason.clone(),
        way_out: "recover or enable it, or take it out of `osProfile.secrets`".into(),
    };
    findings.add(Guard::Enabled, &format!("secret `{secret}`, which stays"), objection, policy);
}

/// No Key Vault extension rotates the same service: two hands on one certificate undo each other's work.
pub fn extension(model: &CloudServiceModel, policy: &GuardPolicy, findings: &mut Findings) {
    if model.has_key_vault_extension() {
        let objection = Objection {
            expected: "a service whose certificates nobody else rotates".to_owned(),
            found: "the extension `KeyVaultForPaaS`".to_owned(),
            way_out: "take this service out of the configuration, or the extension off the service".into(),
        };
        findings.add(Guard::Extension, "the service", objection, policy);
    }
}
