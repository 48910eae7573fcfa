//! Which identity asks for tokens, as configured.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use certroll_core::cloud::AzureCloud;
use zeroize::Zeroizing;

use super::ClientCertificate;
use crate::options::SetupError;

/// Who asks for tokens, and where.
#[derive(Clone, Debug, Default)]
pub struct IdentityOptions {
    /// Which identity.
    pub kind: IdentityKind,
    /// Another host of the cloud's token authority, such as `login.partner.microsoftonline.cn` for China. Without it
    /// `AZURE_AUTHORITY_HOST` counts, and else the cloud's usual one.
    pub authority_host: Option<String>,
    /// The environment variables that identities look at.
    pub environment: Environment,
}

/// The kinds of identity.
#[derive(Clone)]
pub enum IdentityKind {
    /// The first that works of: client secret or certificate, workload identity, managed identity, az command.
    Auto {
        /// Tenant, where `AZURE_TENANT_ID` does not say it.
        tenant_id: Option<String>,
        /// Application or user-assigned identity, where `AZURE_CLIENT_ID` does not say it.
        client_id: Option<String>,
        /// A client secret, where `AZURE_CLIENT_SECRET` does not hold it.
        secret: Option<Zeroizing<String>>,
        /// A client certificate, where `AZURE_CLIENT_CERTIFICATE_PATH` does not name one.
        certificate: Option<ClientCertificate>,
    },
    /// A Kubernetes service account's token, exchanged. What is not given comes from the environment.
    WorkloadIdentity {
        /// Tenant, or `AZURE_TENANT_ID`.
        tenant_id: Option<String>,
        /// Application, or `AZURE_CLIENT_ID`.
        client_id: Option<String>,
        /// File of the token, or `AZURE_FEDERATED_TOKEN_FILE`. Read again for each exchange.
        token_file: Option<PathBuf>,
    },
    /// The identity of the machine.
    ManagedIdentity(ManagedIdentity),
    /// An application with a secret.
    ClientSecret {
        /// Tenant.
        tenant_id: String,
        /// Application.
        client_id: String,
        /// The secret.
        secret: Zeroizing<String>,
    },
    /// An application with a certificate.
    ClientCertificate {
        /// Tenant.
        tenant_id: String,
        /// Application.
        client_id: String,
        /// Certificate and key.
        certificate: ClientCertificate,
    },
    /// Whoever is logged in to the az command.
    AzureCli {
        /// Another tenant than the login's own.
        tenant_id: Option<String>,
    },
}

impl Default for IdentityKind {
    fn default() -> Self {
        Self::Auto { tenant_id: None, client_id: None, secret: None, certificate: None }
    }
}

/// Prints the kind and public names, never a secret.
impl fmt::Debug for IdentityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Auto { .. } => "Auto",
            Self::WorkloadIdentity { .. } => "WorkloadIdentity",
            Self::ManagedIdentity(_) => "ManagedIdentity",
            Self::ClientSecret { .. } => "ClientSecret",
            Self::ClientCertificate { .. } => "ClientCertificate",
            Self::AzureCli { .. } => "AzureCli",
        };
        f.debug_struct(name).finish_non_exhaustive()
    }
}

/// Which identity of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ManagedIdentity {
    /// The machine's own.
    #[default]
    SystemAssigned,
    /// An assigned one by its client id.
    ClientId(String),
    /// An assigned one by its object id.
    ObjectId(String),
    /// An assigned one by its resource id.
    ResourceId(String),
}

/// The environment variables that identities look at. Handed over rather than read, so that tests can set them.
#[derive(Clone, Default)]
pub struct Environment(HashMap<String, String>);

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        const NAMES: [&str; 9] = [
            "AZURE_AUTHORITY_HOST",
            "AZURE_CLIENT_CERTIFICATE_PASSWORD",
            "AZURE_CLIENT_CERTIFICATE_PATH",
            "AZURE_CLIENT_ID",
            "AZURE_CLIENT_SECRET",
            "AZURE_FEDERATED_TOKEN_FILE",
            "AZURE_TENANT_ID",
            "IDENTITY_ENDPOINT",
            "IDENTITY_HEADER",
        ];
        NAMES.iter().filter_map(|name| Some((*name, std::env::var(name).ok()?))).collect()
    }

    /// A variable, unless it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl<'a> FromIterator<(&'a str, String)> for Environment {
    fn from_iter<T: IntoIterator<Item = (&'a str, String)>>(variables: T) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

/// Prints the names only.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Hosts that are the same token authority under another name.
///
/// Source: the authority aliases that Microsoft's authentication libraries carry.
const ALIASES: [&[&str]; 3] = [
    &["login.chinacloudapi.cn", "login.partner.microsoftonline.cn"],
    &["login.microsoftonline.us", "login.usgovcloudapi.net"],
    &["login.microsoftonline.com", "login.windows.net", "login.microsoft.com"],
];

fn aliases(cloud: &AzureCloud) -> &'static [&'static str] {
    let group = ALIASES.iter().find(|group| group.contains(&cloud.authority_host.as_str()));
    group.copied().unwrap_or_default()
}

/// The token authority of a cloud, and the other names that it goes by.
pub(crate) fn authorities(cloud: &AzureCloud) -> Vec<String> {
    let aliases = aliases(cloud).iter().map(|alias| (*alias).to_owned());
    aliases.chain([cloud.authority_host.clone()]).collect()
}

/// The cloud with the token authority that the options or the environment choose.
///
/// # Errors
/// The host that was chosen is not an authority of the cloud: a client secret would go there.
pub(crate) fn with_authority(
    cloud: &AzureCloud,
    options: &IdentityOptions,
) -> Result<AzureCloud, SetupError> {
    let Some(named) =
        options.authority_host.as_deref().or_else(|| options.environment.get("AZURE_AUTHORITY_HOST"))
    else {
        return Ok(cloud.clone());
    };
    let host = named.strip_prefix("https://").unwrap_or(named).trim_end_matches('/').to_ascii_lowercase();
    let aliases = aliases(cloud);
    if host == cloud.authority_host || aliases.contains(&host.as_str()) {
        return Ok(AzureCloud { authority_host: host, ..cloud.clone() });
    }
    let mut expected = vec![format!("`{}`", cloud.authority_host)];
    expected.extend(aliases.iter().filter(|alias| **alias != cloud.authority_host).map(|a| format!("`{a}`")));
    Err(SetupError::Authority {
        found: crate::words::printable(named),
        cloud: cloud.name.clone(),
        expected: expected.join(" or "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_stays_in_its_cloud() {
        let choose = |host: &str| {
            let environment =
                [("AZURE_AUTHORITY_HOST", host.to_owned())].into_iter().collect::<Environment>();
            with_authority(&AzureCloud::china(), &IdentityOptions { environment, ..Default::default() })
        };
        for (host, chosen) in [
            ("https://login.partner.microsoftonline.cn/", "login.partner.microsoftonline.cn"),
            ("LOGIN.chinacloudapi.cn", "login.chinacloudapi.cn"),
            ("", "login.chinacloudapi.cn"),
        ] {
            assert_eq!(choose(host).unwrap().authority_host, chosen);
        }
        for host in ["https://login.microsoftonline.com/", "http://login.chinacloudapi.cn", "evil.example"] {
            let message = choose(host).unwrap_err().to_string();
            assert!(message.contains("expected `login.chinacloudapi.cn` or `login.partner"), "{message}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let kind = IdentityKind::ClientSecret {
            tenant_id: "t".to_owned(),
            client_id: "c".to_owned(),
            secret: Zeroizing::new("canary".to_owned()),
        };
        let environment = [("AZURE_CLIENT_SECRET", "canary".to_owned())].into_iter().collect::<Environment>();
        let options = IdentityOptions { kind, authority_host: None, environment };
        assert!(!format!("{options:?}").contains("canary"));
    }
}
