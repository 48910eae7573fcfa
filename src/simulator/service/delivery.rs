//! What the service fetches from vaults when a PUT references them, and why it refuses to. Codes and messages: the list
//! of virtual machine errors in Microsoft's documents, and issues that quote them; the resource provider is the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use url::Url;

use crate::arm::problem::Problem;
use crate::names::{Host, Names};
use crate::service::ServiceId;
use crate::service::cscfg::Cscfg;
use crate::service::instance::{Delivered, Holdings};
use crate::service::model::SecretGroup;
use crate::service::timeline::Desired;
use crate::switches::{
    BareCertificateInPfx, MissingThumbprintSeparator, RepeatedSourceVault, SurplusSecret, Switches,
    UnchangedReferences,
};
use crate::vault::Vault;

/// What surrounds a service when it fetches.
pub(crate) struct Sources<'a> {
    pub(crate) vaults: &'a [Vault],
    pub(crate) names: &'a Names,
    pub(crate) switches: &'a Switches,
    pub(crate) now: Timestamp,
}

/// A `certificateUrl` taken apart.
struct Reference {
    vault: String,
    name: String,
    version: String,
}

/// What can be seen from the request alone: always refused at once.
pub(crate) fn check_groups(
    id: &ServiceId,
    groups: &[SecretGroup],
    names: &Names,
    switches: &Switches,
) -> Result<(), Problem> {
    for (index, group) in groups.iter().enumerate() {
        let (subscription, _) = vault_of(&group.vault_id)?;
        if !subscription.eq_ignore_ascii_case(&id.subscription) {
            return Err(Problem::invalid(
                "sourceVault.id",
                format!(
                    "The SubscriptionId:'{}' of the request must match the SubscriptionId '{subscription}' contained \
                     in the Key Vault Id.",
                    id.subscription
                ),
            ));
        }
        let repeated =
            groups[..index].iter().any(|other| other.vault_id.eq_ignore_ascii_case(&group.vault_id));
        if repeated && switches.repeated_source_vault == RepeatedSourceVault::Refused {
            return Err(Problem::invalid(
                "sourceVault.id",
                format!(
                    "List secrets contains repeated instances of {}, which is disallowed.",
                    group.vault_id
                ),
            ));
        }
        for certificate in &group.certificates {
            reference(&certificate.url, names)?;
        }
    }
    Ok(())
}

/// Fetches every reference, by its URL in lower case.
pub(crate) fn fetch(
    location: &str,
    groups: &[SecretGroup],
    held: &BTreeMap<String, Arc<Delivered>>,
    sources: &Sources<'_>,
) -> Result<BTreeMap<String, Arc<Delivered>>, Problem> {
    let mut delivered = BTreeMap::new();
    for group in groups {
        for certificate in &group.certificates {
            let url = certificate.url.to_ascii_lowercase();
            let one = match held.get(&url) {
                Some(held) if sources.switches.unchanged_references == UnchangedReferences::Trusted => {
                    held.clone()
                }
                Some(_) | None => Arc::new(fetch_one(location, &group.vault_id, &certificate.url, sources)?),
            };
            delivered.insert(url, one);
        }
    }
    Ok(delivered)
}

/// Matches the cscfg's thumbprints with what was fetched.
pub(crate) fn desired(
    cscfg: &Cscfg,
    delivered: &BTreeMap<String, Arc<Delivered>>,
    switches: &Switches,
) -> Result<Desired, Problem> {
    let mut missing = Vec::new();
    let mut desired = Desired::new();
    for role in &cscfg.roles {
        let mut holdings = Holdings::default();
        for certificate in &role.certificates {
            match delivered.values().find(|one| one.thumbprint == certificate.thumbprint) {
                Some(found) => holdings.certificates.push((certificate.name.clone(), found.clone())),
                None => missing.push(format!("{}|{}", role.name, certificate.thumbprint)),
            }
        }
        desired.insert(role.name.to_ascii_lowercase(), Arc::new(holdings));
    }
    if !missing.is_empty() {
        let separator = match switches.missing_thumbprint_separator {
            MissingThumbprintSeparator::Comma => ", ",
            MissingThumbprintSeparator::Semicolon => ";",
        };
        return Err(missing_thumbprints(&missing.join(separator)));
    }
    if switches.surplus_secret == SurplusSecret::Refused {
        let named = |thumbprint: &str| {
            cscfg.roles.iter().flat_map(|role| &role.certificates).any(|one| one.thumbprint == thumbprint)
        };
        if let Some((url, _)) = delivered.iter().find(|(_, one)| !named(&one.thumbprint)) {
            // No text is known: no source shows a refusal.
            return Err(Problem::invalid(
                "osProfile.secrets",
                format!(
                    "The certificate {url} in osProfile.secrets has no corresponding thumbprint in the CSCFG."
                ),
            ));
        }
    }
    Ok(desired)
}

/// Word for word from Microsoft's support article on changing a certificate. Its code is not documented.
fn missing_thumbprints(list: &str) -> Problem {
    Problem::new(
        400,
        "InvalidParameter",
        format!(
            "The thumbprints specified in the CSCFG do not have corresponding certificates in osProfile.secrets. Add \
             the missing certificates in osProfile.secrets. Missing thumbprints: {list}. To understand more about how \
             to use KeyVault for certificates, please follow the documentation at https://aka.ms/cses-kv"
        ),
    )
}

fn fetch_one(location: &str, vault_id: &str, url: &str, sources: &Sources<'_>) -> Result<Delivered, Problem> {
    let reference = reference(url, sources.names)?;
    let forbidden = || {
        Problem::new(
            400,
            "KeyVaultAccessForbidden",
            format!(
                "Key Vault {url} either has not been enabled for deployment or the vault id provided, {vault_id}, \
                 does not match the Key Vault's true resource id."
            ),
        )
    };
    let vault = sources
        .vaults
        .iter()
        .find(|vault| vault.name.eq_ignore_ascii_case(&reference.vault))
        .ok_or_else(forbidden)?;
    if !vault.resource_id().eq_ignore_ascii_case(vault_id) || !vault.enabled_for_deployment {
        return Err(forbidden());
    }
    let vault_location = vault.location.to_ascii_lowercase().replace(' ', "");
    if vault_location != location {
        // The rule is documented, its text is not.
        return Err(Problem::invalid(
            "sourceVault.id",
            format!(
                "The Key Vault {vault_id} is located in {vault_location}, the resource in {location}. They must be in \
                 the same location."
            ),
        ));
    }
    let accepted = sources.switches.bare_certificate_in_pfx == BareCertificateInPfx::Accepted;
    let secret = vault
        .deployment_secret(url, &reference.name, &reference.version, accepted, sources.now)
        .map_err(|refusal| Problem::new(400, &refusal.code, refusal.message))?;
    Ok(Delivered { thumbprint: secret.thumbprint, der: secret.leaf_der, key_pkcs8: secret.key_pkcs8 })
}

/// Subscription and name in a vault's resource id.
pub(crate) fn vault_of(id: &str) -> Result<(&str, &str), Problem> {
    let parts: Vec<&str> = id.split('/').collect();
    let lower: Vec<String> = parts.iter().map(|part| part.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    match lower.as_slice() {
        ["", "subscriptions", _, "resourcegroups", _, "providers", "microsoft.keyvault", "vaults", _] => {
            Ok((parts[2], parts[8]))
        }
        _ => Err(Problem::invalid("sourceVault.id", format!("Id {id} is not a valid resource reference."))),
    }
}

fn reference(url: &str, names: &Names) -> Result<Reference, Problem> {
    let invalid = || {
        Problem::invalid(
            "certificateUrl",
            format!(
                "{url} is not a valid versioned Key Vault Secret URL. It should be in the format \
                 https://<vaultEndpoint>/secrets/<secretName>/<secretVersion>."
            ),
        )
    };
    let parsed = Url::parse(url).map_err(|_| invalid())?;
    let host = parsed.host_str().and_then(|host| names.host(host));
    let Some(Host::Vault(vault)) = host else { return Err(invalid()) };
    let plain = parsed.scheme() == "https" && parsed.port().is_none() && parsed.query().is_none();
    let segments: Vec<&str> = parsed.path().split('/').collect();
    match segments.as_slice() {
        ["", kind, name, version] if plain && kind.eq_ignore_ascii_case("secrets") && !version.is_empty() => {
            Ok(Reference { vault, name: (*name).to_owned(), version: (*version).to_owned() })
        }
        _ => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_versioned_secret_of_this_cloud_is_a_reference() {
        let names = Names::china();
        for url in ["https://kv.vault.azure.cn/secrets/a/b", "https://KV.vault.azure.cn:443/Secrets/a/b"] {
            assert!(reference(url, &names).is_ok(), "{url}");
        }
        for url in [
            "https://kv.vault.azure.cn/secrets/a",
            "https://kv.vault.azure.cn/secrets/a/",
            "https://kv.vault.azure.cn/certificates/a/b",
            "https://kv.vault.azure.net/secrets/a/b",
            "http://kv.vault.azure.cn/secrets/a/b",
            "https://kv.vault.azure.cn:8443/secrets/a/b",
            "b",
        ] {
            assert!(reference(url, &names).is_err(), "{url}");
        }
    }
}
