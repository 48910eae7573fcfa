//! The host names, token audiences and vault suffix of a cloud, as data. Sources: Microsoft's page on national clouds,
//! and the authority aliases and endpoints in Microsoft's client libraries.

/// The names by which a cloud is reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Names {
    /// Hosts that issue tokens. The first is the one that challenges name.
    pub login: Vec<String>,
    /// Host of Azure Resource Manager.
    pub resource_manager: String,
    /// Audiences that Azure Resource Manager accepts in a token.
    pub resource_manager_audiences: Vec<String>,
    /// What follows the vault's name in its host, without a leading dot.
    pub vault_suffix: String,
    /// Audiences that a vault accepts in a token.
    pub vault_audiences: Vec<String>,
}

/// What a host of the cloud is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// Issues tokens.
    Login,
    /// Azure Resource Manager.
    ResourceManager,
    /// The data plane of the vault of that name, in lower case. The vault need not exist.
    Vault(String),
}

impl Names {
    /// Azure operated by 21Vianet, with both of its login hosts.
    pub fn china() -> Self {
        Self::custom(
            &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
            "management.chinacloudapi.cn",
            &["https://management.chinacloudapi.cn", "https://management.core.chinacloudapi.cn"],
            "vault.azure.cn",
        )
    }

    /// The public cloud.
    pub fn public() -> Self {
        Self::custom(
            &["login.microsoftonline.com"],
            "management.azure.com",
            &["https://management.azure.com", "https://management.core.windows.net"],
            "vault.azure.net",
        )
    }

    /// Azure for the United States government.
    pub fn us_government() -> Self {
        Self::custom(
            &["login.microsoftonline.us", "login.usgovcloudapi.net"],
            "management.usgovcloudapi.net",
            &["https://management.usgovcloudapi.net", "https://management.core.usgovcloudapi.net"],
            "vault.usgovcloudapi.net",
        )
    }

    /// Any other cloud. Audiences are given without a trailing slash and accepted with and without one; a vault's
    /// audience is `https://` and the suffix.
    pub fn custom(login: &[&str], resource_manager: &str, audiences: &[&str], vault_suffix: &str) -> Self {
        let both = |audience: &str| [audience.to_owned(), format!("{audience}/")];
        Self {
            login: login.iter().map(|host| host.to_ascii_lowercase()).collect(),
            resource_manager: resource_manager.to_ascii_lowercase(),
            resource_manager_audiences: audiences.iter().copied().flat_map(both).collect(),
            vault_suffix: vault_suffix.to_ascii_lowercase(),
            vault_audiences: both(&format!("https://{}", vault_suffix.to_ascii_lowercase())).to_vec(),
        }
    }

    /// What `host` is in this cloud, if it belongs to it.
    pub fn host(&self, host: &str) -> Option<Host> {
        let host = host.to_ascii_lowercase();
        if self.login.contains(&host) {
            return Some(Host::Login);
        }
        if host == self.resource_manager {
            return Some(Host::ResourceManager);
        }
        let vault = host.strip_suffix(&self.vault_suffix)?.strip_suffix('.')?;
        (!vault.is_empty() && !vault.contains('.')).then(|| Host::Vault(vault.to_owned()))
    }

    /// The host of a vault.
    pub fn vault_host(&self, vault: &str) -> String {
        format!("{}.{}", vault.to_ascii_lowercase(), self.vault_suffix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_belong_to_their_cloud_only() {
        let names = Names::china();
        assert_eq!(names.host("login.chinacloudapi.cn"), Some(Host::Login));
        assert_eq!(names.host("LOGIN.partner.microsoftonline.cn"), Some(Host::Login));
        assert_eq!(names.host("management.chinacloudapi.cn"), Some(Host::ResourceManager));
        assert_eq!(names.host("Shop-KV.vault.azure.cn"), Some(Host::Vault("shop-kv".to_owned())));
        for foreign in
            ["vault.azure.cn", "a.b.vault.azure.cn", "shop-kv.vault.azure.net", "evilvault.azure.cn"]
        {
            assert_eq!(names.host(foreign), None, "{foreign}");
        }
    }
}
