//! Azure clouds as data: which hosts a cloud has, and for which audience a token is asked.

use serde::{Deserialize, Serialize};

/// The hosts, scopes and versions of one Azure cloud. A token goes to these hosts and to no other.
///
/// Source: Microsoft's lists of national-cloud endpoints and the endpoints that the az command line carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AzureCloud {
    /// The name in the configuration: `public`, `china`, `usgov` or the custom cloud's own.
    pub name: String,
    /// Host of the token authority (Microsoft Entra ID).
    pub authority_host: String,
    /// Host of Azure Resource Manager.
    pub resource_manager_host: String,
    /// Scope of a Resource Manager token.
    pub resource_manager_scope: String,
    /// DNS suffix of key vaults, without a leading dot.
    pub vault_suffix: String,
    /// Scope of a Key Vault token.
    pub vault_scope: String,
    /// `api-version` of Microsoft.Compute/cloudServices.
    pub cloud_services_api_version: String,
    /// `api-version` of the Key Vault data plane.
    pub vault_api_version: String,
    /// `api-version` of Microsoft.KeyVault/vaults in Resource Manager.
    pub vault_resource_api_version: String,
    /// The name by which Event Grid asks for consent (`WebHook-Request-Origin`), where it is known.
    #[serde(default)]
    pub event_grid_origin: Option<String>,
    /// The application that Event Grid's tokens are given to, where it is known.
    #[serde(default)]
    pub event_grid_application: Option<String>,
}

/// The Key Vault data plane version that every cloud is known to answer.
const VAULT_API_VERSION: &str = "7.4";
/// A version of Microsoft.KeyVault that stays when those before 2026-02-01 retire on 27 February 2027.
const VAULT_RESOURCE_API_VERSION: &str = "2026-02-01";

impl AzureCloud {
    /// The public cloud.
    pub fn public() -> Self {
        Self::of(
            "public",
            "login.microsoftonline.com",
            "management.azure.com",
            "vault.azure.net",
            "2022-09-04",
        )
        .with_event_grid("eventgrid.azure.net", Some("4962773b-9cdb-44cf-a8bf-237846a00ab7"))
    }

    /// Azure China, operated by 21Vianet. 2022-04-04 is the version that is known to work there. No document names the
    /// application of its Event Grid: each tenant shows it as the service principal `Microsoft.EventGrid`.
    pub fn china() -> Self {
        Self::of(
            "china",
            "login.chinacloudapi.cn",
            "management.chinacloudapi.cn",
            "vault.azure.cn",
            "2022-04-04",
        )
        .with_event_grid("eventgrid.azure.cn", None)
    }

    /// Azure for US Government.
    pub fn us_government() -> Self {
        Self::of(
            "usgov",
            "login.microsoftonline.us",
            "management.usgovcloudapi.net",
            "vault.usgovcloudapi.net",
            "2022-09-04",
        )
        .with_event_grid("eventgrid.azure.us", Some("54316b56-3481-47f9-8f30-0300f5542a7b"))
    }

    /// A cloud from its three host names, with the scopes that follow from them.
    pub fn of(
        name: &str,
        authority_host: &str,
        resource_manager_host: &str,
        vault_suffix: &str,
        api: &str,
    ) -> Self {
        Self {
            name: name.to_owned(),
            authority_host: authority_host.to_ascii_lowercase(),
            resource_manager_host: resource_manager_host.to_ascii_lowercase(),
            resource_manager_scope: format!("https://{resource_manager_host}/.default"),
            vault_suffix: vault_suffix.to_ascii_lowercase(),
            vault_scope: format!("https://{vault_suffix}/.default"),
            cloud_services_api_version: api.to_owned(),
            vault_api_version: VAULT_API_VERSION.to_owned(),
            vault_resource_api_version: VAULT_RESOURCE_API_VERSION.to_owned(),
            event_grid_origin: None,
            event_grid_application: None,
        }
    }

    fn with_event_grid(self, origin: &str, application: Option<&str>) -> Self {
        Self {
            event_grid_origin: Some(origin.to_owned()),
            event_grid_application: application.map(str::to_owned),
            ..self
        }
    }

    /// Whether a host, given without a port, is one that a token of this cloud may be sent to.
    pub fn trusts(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        host == self.authority_host
            || host == self.resource_manager_host
            || host
                .strip_suffix(&self.vault_suffix)
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|vault| !vault.is_empty() && !vault.contains('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_hosts_are_trusted() {
        let china = AzureCloud::china();
        for host in ["login.chinacloudapi.cn", "MANAGEMENT.chinacloudapi.cn", "shop-kv.vault.azure.cn"] {
            assert!(china.trusts(host), "{host}");
        }
        for host in [
            "vault.azure.cn",
            ".vault.azure.cn",
            "a.b.vault.azure.cn",
            "shop-kv.vault.azure.net",
            "shop-kv-vault.azure.cn",
            "evilvault.azure.cn",
            "management.chinacloudapi.cn.evil.example",
            "",
        ] {
            assert!(!china.trusts(host), "{host}");
        }
    }
}
