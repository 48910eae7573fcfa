//! `cloud`, `[custom_cloud]` and `[api]`: which Azure.

use certroll_core::cloud::AzureCloud;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::check::Checker;

/// The value of `cloud`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CloudName {
    Public,
    China,
    UsGov,
    Custom,
}

/// `[custom_cloud]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CustomCloudKeys {
    /// The cloud's name in logs and messages.
    name: Option<At<String>>,
    /// Host of Microsoft Entra ID.
    #[schemars(required)]
    authority_host: Option<At<String>>,
    /// Host of Azure Resource Manager.
    #[schemars(required)]
    resource_manager_host: Option<At<String>>,
    /// What follows a vault's name in its host name, without a leading dot.
    #[schemars(required)]
    vault_suffix: Option<At<String>>,
    /// Scope of tokens for Resource Manager, if it does not follow from the host.
    resource_manager_scope: Option<At<String>>,
    /// Scope of tokens for key vaults, if it does not follow from the suffix.
    vault_scope: Option<At<String>>,
}

/// `[api]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKeys {
    /// api-version of Microsoft.Compute/cloudServices.
    cloud_services: Option<At<String>>,
    /// api-version of the Key Vault data plane.
    key_vault: Option<At<String>>,
    /// api-version of Microsoft.KeyVault/vaults.
    vault_resource: Option<At<String>>,
}

/// The api-version of cloud services that a custom cloud starts from: the one of every cloud but China.
const CUSTOM_CLOUD_SERVICES: &str = "2022-09-04";

pub(crate) fn check(
    cloud: &At<CloudName>,
    custom: Option<&At<CustomCloudKeys>>,
    api: &ApiKeys,
    checker: &mut Checker<'_>,
) -> Option<AzureCloud> {
    let chosen = match (cloud.value, custom) {
        (CloudName::Custom, Some(custom)) => check_custom(custom, checker),
        (CloudName::Custom, None) => {
            checker.error(&cloud.span, "`custom` needs the table `[custom_cloud]`").expect(
                "a table `[custom_cloud]` with `authority_host`, `resource_manager_host` and `vault_suffix`",
            );
            None
        }
        (known, custom) => {
            if let Some(custom) = custom {
                checker
                    .error(&custom.span, "`[custom_cloud]` is here, and `cloud` names another cloud")
                    .expect("`cloud = \"custom\"`, or no `[custom_cloud]`");
            }
            Some(match known {
                CloudName::China => AzureCloud::china(),
                CloudName::UsGov => AzureCloud::us_government(),
                CloudName::Public | CloudName::Custom => AzureCloud::public(),
            })
        }
    };
    let cloud_services = api.cloud_services.as_ref().and_then(|at| version(at, checker));
    let key_vault = api.key_vault.as_ref().and_then(|at| version(at, checker));
    let vault_resource = api.vault_resource.as_ref().and_then(|at| version(at, checker));
    let mut chosen = chosen?;
    if let Some(version) = cloud_services {
        chosen.cloud_services_api_version = version;
    }
    if let Some(version) = key_vault {
        chosen.vault_api_version = version;
    }
    if let Some(version) = vault_resource {
        chosen.vault_resource_api_version = version;
    }
    Some(chosen)
}

fn check_custom(custom: &At<CustomCloudKeys>, checker: &mut Checker<'_>) -> Option<AzureCloud> {
    let keys = &custom.value;
    let mut needed = |key: &str, at: Option<&At<String>>, example: &str| match at {
        Some(at) => host(at, checker),
        None => {
            checker.missing(&custom.span, key, &format!("a host name such as `{example}`"));
            None
        }
    };
    let authority = needed("authority_host", keys.authority_host.as_ref(), "login.microsoftonline.com");
    let manager =
        needed("resource_manager_host", keys.resource_manager_host.as_ref(), "management.azure.com");
    let vault = needed("vault_suffix", keys.vault_suffix.as_ref(), "vault.azure.net");
    let name = keys.name.as_ref().map_or("custom", |at| at.value.as_str());
    let resource_manager_scope = keys.resource_manager_scope.as_ref().and_then(|at| scope(at, checker));
    let vault_scope = keys.vault_scope.as_ref().and_then(|at| scope(at, checker));
    let mut cloud = AzureCloud::of(name, &authority?, &manager?, &vault?, CUSTOM_CLOUD_SERVICES);
    if let Some(scope) = resource_manager_scope {
        cloud.resource_manager_scope = scope;
    }
    if let Some(scope) = vault_scope {
        cloud.vault_scope = scope;
    }
    Some(cloud)
}

/// A host name without scheme, port and path: tokens go there.
pub(super) fn host(at: &At<String>, checker: &mut Checker<'_>) -> Option<String> {
    let text = &at.value;
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    if text.len() <= 253 && text.split('.').count() >= 2 && text.split('.').all(label) {
        return Some(text.to_ascii_lowercase());
    }
    checker
        .error(&at.span, format!("`{text}` is no host name"))
        .expect("a host name without scheme, port and path, such as `login.microsoftonline.com`");
    None
}

fn scope(at: &At<String>, checker: &mut Checker<'_>) -> Option<String> {
    let fits = at.value.starts_with("https://") && at.value.ends_with("/.default");
    if !fits {
        checker
            .error(&at.span, format!("`{}` is no scope", at.value))
            .expect("a scope such as `https://vault.azure.net/.default`");
    }
    fits.then(|| at.value.clone())
}

fn version(at: &At<String>, checker: &mut Checker<'_>) -> Option<String> {
    let fits = !at.value.is_empty()
        && at.value.len() <= 32
        && at.value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
        && at.value.starts_with(|c: char| c.is_ascii_digit());
    if !fits {
        checker
            .error(&at.span, format!("`{}` is no api-version", at.value))
            .expect("a version such as `2022-09-04` or `7.4`");
    }
    fits.then(|| at.value.clone())
}
