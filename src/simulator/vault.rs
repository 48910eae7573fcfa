//! Key Vault's data plane and what the deployment service reads out of a vault.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::entra::Entra;
use crate::message::{Reply, Request};
use crate::pki::Issued;

/// One vault.
#[derive(Clone, Debug)]
pub struct Vault {
    /// Name, the first label of its host.
    pub name: String,
    /// DNS suffix without a leading dot, such as `vault.azure.cn`.
    pub dns_suffix: String,
    /// Login host that its challenge names.
    pub login_host: String,
    /// Tenant whose tokens it takes.
    pub tenant: String,
    /// Subscription id.
    pub subscription: String,
    /// Resource group.
    pub resource_group: String,
    /// Region.
    pub location: String,
    /// "Azure Virtual Machines for deployment".
    pub enabled_for_deployment: bool,
    /// Who may do what.
    pub access: Access,
    /// Whether the firewall keeps every caller out.
    pub firewall_closed: bool,
    /// Accepted api-versions.
    pub api_versions: Vec<String>,
    /// What Microsoft's documents leave open, and faults.
    pub behaviour: Behaviour,
}

/// Points on which documents are silent or disagree: tests run with each value.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Form of the 401 challenge.
    pub challenge: Challenge,
    /// How the last page says that it is the last.
    pub last_page: LastPage,
    /// Whether values outside their validity can be read.
    pub out_of_validity: Reading,
    /// Whether a disabled certificate version can be read (a disabled secret cannot).
    pub disabled_certificate: Reading,
    /// Whether Compute reads a PFX that is encrypted with AES.
    pub deploys_aes_pfx: bool,
    /// Limit of requests, if any.
    pub throttle: Option<Throttle>,
}

/// Form of the challenge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Challenge {
    /// `resource="https://vault.azure.net"`.
    #[default]
    Resource,
    /// `scope="https://vault.azure.net/.default"`.
    Scope,
}

/// `nextLink` of the last page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastPage {
    /// `null`.
    #[default]
    Null,
    /// Not there.
    Absent,
    /// `""`.
    Empty,
}

/// Whether something can be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// 200.
    #[default]
    Allowed,
    /// 403.
    Refused,
}

/// A limit of requests in a fixed window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// Requests that are answered in each window.
    pub requests: u32,
    /// Length of the window in seconds.
    pub window: i64,
    /// Seconds in `Retry-After`; `None` sends no such header.
    pub retry_after: Option<u32>,
}

/// Who may do what in a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Role assignments, by the caller's object id.
    Rbac(BTreeMap<String, Vec<Permission>>),
    /// Access policies, by the caller's object id.
    Policies(BTreeMap<String, Vec<Permission>>),
}

/// One data-plane permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Read a certificate.
    CertificatesGet,
    /// List certificates and their versions.
    CertificatesList,
    /// Import a certificate.
    CertificatesImport,
    /// Change a certificate's attributes.
    CertificatesUpdate,
    /// Read a secret's value.
    SecretsGet,
    /// List secrets and their versions.
    SecretsList,
    /// Set a secret and change its attributes.
    SecretsSet,
}

/// Kind of vault object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A certificate, with its key and its secret.
    Certificate,
    /// A plain secret.
    Secret,
}

/// What Compute gets when it fetches a certificateUrl.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentSecret {
    /// The certificate that goes onto the machines.
    pub leaf_der: Vec<u8>,
    /// Its thumbprint.
    pub thumbprint: String,
    /// Other certificates of the same secret.
    pub chain: Vec<Vec<u8>>,
    /// Its key, PKCS#8 in DER.
    pub key_pkcs8: Option<Vec<u8>>,
    /// Whether `data` held a plain certificate instead of a PFX.
    pub bare_certificate: bool,
}

/// Compute's error for a certificateUrl.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentRefusal {
    /// Error code.
    pub code: String,
    /// Message, word for word.
    pub message: String,
}

impl Vault {
    /// An empty vault that lets nobody in: [`Access::Rbac`] without assignments.
    pub fn new(name: &str, dns_suffix: &str, tenant: &str) -> Self {
        Self {
            name: name.to_owned(),
            dns_suffix: dns_suffix.to_owned(),
            login_host: String::new(),
            tenant: tenant.to_owned(),
            subscription: String::new(),
            resource_group: String::new(),
            location: String::new(),
            enabled_for_deployment: true,
            access: Access::Rbac(BTreeMap::new()),
            firewall_closed: false,
            api_versions: Vec::new(),
            behaviour: Behaviour {
                challenge: Challenge::default(),
                last_page: LastPage::default(),
                out_of_validity: Reading::default(),
                disabled_certificate: Reading::default(),
                deploys_aes_pfx: true,
                throttle: None,
            },
        }
    }

    /// Its host, such as `shop-kv.vault.azure.cn`.
    pub fn host(&self) -> String {
        format!("{}.{}", self.name, self.dns_suffix)
    }

    /// Its Resource Manager id.
    pub fn resource_id(&self) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.KeyVault/vaults/{}",
            self.subscription, self.resource_group, self.name
        )
    }

    /// Answers a data-plane request.
    pub fn answer(&mut self, request: &Request, entra: &Entra, now: Timestamp) -> Reply {
        let _ = (request, entra, now);
        Reply::empty(404)
    }

    /// What Compute reads at `name` and `version`; `url` is for the messages.
    pub fn deployment_secret(
        &self,
        url: &str,
        name: &str,
        version: &str,
        bare_certificate_accepted: bool,
        now: Timestamp,
    ) -> Result<DeploymentSecret, DeploymentRefusal> {
        let _ = (url, name, version, bare_certificate_accepted, now);
        Err(DeploymentRefusal { code: String::new(), message: String::new() })
    }

    /// A new version of a certificate; the version's id.
    pub fn create_certificate_version(&mut self, name: &str, issued: &Issued, now: Timestamp) -> String {
        let _ = (name, issued, now);
        String::new()
    }

    /// A new version of a secret; the version's id.
    pub fn set_secret(
        &mut self,
        name: &str,
        value: &str,
        content_type: Option<&str>,
        now: Timestamp,
    ) -> String {
        let _ = (name, value, content_type, now);
        String::new()
    }

    /// Enables or disables a version.
    pub fn set_enabled(&mut self, kind: Kind, name: &str, version: &str, enabled: bool, now: Timestamp) {
        let _ = (kind, name, version, enabled, now);
    }

    /// Deletes an object softly.
    pub fn delete(&mut self, kind: Kind, name: &str, now: Timestamp) {
        let _ = (kind, name, now);
    }

    /// The secret identifier of a version: what goes into a certificateUrl.
    pub fn secret_url(&self, name: &str, version: &str) -> String {
        format!("https://{}/secrets/{name}/{version}", self.host())
    }
}
