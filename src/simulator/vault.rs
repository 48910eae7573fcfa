//! Key Vault's data plane, and what the deployment service reads out of a vault.
//!
//! One [`Vault`] is one plain value: tests fill it directly ([`Vault::create_certificate_version`],
//! [`Vault::set_secret`]) and clients reach it through [`Vault::answer`]. Tokens are judged by
//! [`Entra`].

mod certificates;
mod deployment;
mod fields;
mod happenings;
mod import;
mod json_secret;
mod material;
mod paging;
mod refusal;
mod secrets;
mod store;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use jiff::Timestamp;
use uuid::Uuid;

use crate::clock::http_date;
use crate::entra::{Caller, Entra};
use crate::message::{Reply, Request};
pub use deployment::{DeploymentRefusal, DeploymentSecret};
pub(crate) use happenings::{Current, NewVersion};
pub use json_secret::JsonSecret;
pub use material::{Material, PEM_FILE, PKCS12};
use refusal::bad_parameter;
use store::Object;

/// Longest name of an object.
const MAX_NAME: usize = 127;
/// Versions of the data plane that the public clouds take.
const PUBLIC_VERSIONS: &[&str] = &["7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01"];
/// What China takes for certain; which newer ones answer there is not published.
const CHINA_VERSIONS: &[&str] = &["7.0", "7.1", "7.2", "7.3", "7.4"];

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
    /// Points that Microsoft's documents leave open, and limits.
    pub behaviour: Behaviour,
    objects: BTreeMap<String, Object>,
    /// The window of the limit that is running, and the requests in it.
    window: Option<(i64, u32)>,
    /// Versions that the publisher of events has not seen yet.
    new_versions: VecDeque<NewVersion>,
}

/// Points on which documents are silent or disagree: tests run with each value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// Form of the 401 challenge.
    pub challenge: Challenge,
    /// How the last page says that it is the last.
    pub last_page: LastPage,
    /// Whether secrets outside their validity can be read.
    pub out_of_validity: Reading,
    /// Whether a disabled certificate version can be read (a disabled secret cannot).
    pub disabled_certificate: Reading,
    /// Whether Compute reads a PFX that is encrypted with AES; the documents of classic Cloud Services say no.
    pub aes_pfx: Reading,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It is.
    Allowed,
    /// It is not.
    Refused,
}

/// A limit of requests in a fixed window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttle {
    /// Requests that are answered in each window.
    pub requests: u32,
    /// Length of the window in seconds; Key Vault's is 10.
    pub window: i64,
    /// Seconds in `Retry-After`; `None` sends no such header, as the one published 429 has none.
    pub retry_after: Option<u32>,
}

/// Who may do what in a vault: permissions by the caller's object id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Role assignments.
    Rbac(BTreeMap<String, Vec<Permission>>),
    /// Access policies.
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
    /// A secret, plain or a certificate's.
    Secret,
}

impl Permission {
    /// What a watcher that reads values needs.
    pub const READ: [Self; 4] =
        [Self::CertificatesGet, Self::CertificatesList, Self::SecretsGet, Self::SecretsList];
    /// What the role "Key Vault Reader" gives of these: metadata, no values.
    pub const READ_METADATA: [Self; 3] = [Self::CertificatesGet, Self::CertificatesList, Self::SecretsList];
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::CertificatesGet,
        Self::CertificatesList,
        Self::CertificatesImport,
        Self::CertificatesUpdate,
        Self::SecretsGet,
        Self::SecretsList,
        Self::SecretsSet,
    ];
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            challenge: Challenge::default(),
            last_page: LastPage::default(),
            out_of_validity: Reading::Allowed,
            disabled_certificate: Reading::Refused,
            aes_pfx: Reading::Allowed,
            throttle: None,
        }
    }
}

impl Vault {
    /// An empty vault that lets nobody in: [`Access::Rbac`] without assignments. Login host, region and api-versions
    /// follow the DNS suffix.
    pub fn new(name: &str, dns_suffix: &str, tenant: &str) -> Self {
        let (login_host, location, versions) = match dns_suffix {
            "vault.azure.cn" => ("login.partner.microsoftonline.cn", "chinaeast2", CHINA_VERSIONS),
            "vault.usgovcloudapi.net" => ("login.microsoftonline.us", "usgovvirginia", PUBLIC_VERSIONS),
            _ => ("login.microsoftonline.com", "westeurope", PUBLIC_VERSIONS),
        };
        Self {
            name: name.to_owned(),
            dns_suffix: dns_suffix.to_owned(),
            login_host: login_host.to_owned(),
            tenant: tenant.to_owned(),
            subscription: "00000000-0000-4000-8000-000000000001".to_owned(),
            resource_group: "shop".to_owned(),
            location: location.to_owned(),
            enabled_for_deployment: true,
            access: Access::Rbac(BTreeMap::new()),
            firewall_closed: false,
            api_versions: versions.iter().map(|&version| version.to_owned()).collect(),
            behaviour: Behaviour::default(),
            objects: BTreeMap::new(),
            window: None,
            new_versions: VecDeque::new(),
        }
    }

    /// Lets a caller do these things besides those that it may do already.
    pub fn grant(&mut self, object_id: &str, permissions: &[Permission]) {
        let (Access::Rbac(grants) | Access::Policies(grants)) = &mut self.access;
        grants.entry(object_id.to_owned()).or_default().extend_from_slice(permissions);
    }

    /// Its host, such as `shop-kv.vault.azure.cn`.
    pub fn host(&self) -> String {
        format!("{}.{}", self.name, self.dns_suffix)
    }

    /// The resource that tokens for it are issued for, such as `https://vault.azure.cn`.
    pub fn resource(&self) -> String {
        format!("https://{}", self.dns_suffix)
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
        let reply = self.admitted(request, entra, now).and_then(|caller| self.routed(request, &caller, now));
        reply
            .unwrap_or_else(|refusal| refusal)
            .with_header("x-ms-keyvault-region", self.location.clone())
            .with_header(
                "x-ms-keyvault-network-info",
                "conn_type=Ipv4;addr=203.0.113.7;act_addr_fam=InterNetwork;",
            )
            .with_header("x-ms-request-id", Uuid::new_v4().to_string())
            .with_header("date", http_date(now))
    }

    /// What every request has to pass: token, limit, firewall, api-version.
    fn admitted(&mut self, request: &Request, entra: &Entra, now: Timestamp) -> Result<Caller, Reply> {
        let caller = entra
            .authenticate(request, &[self.resource()], now)
            .map_err(|fault| self.unauthorized(fault, now))?;
        if !caller.tenant.eq_ignore_ascii_case(&self.tenant) {
            return Err(self.wrong_tenant(&caller));
        }
        self.count(now)?;
        if self.firewall_closed {
            return Err(self.outside_firewall(&caller));
        }
        let Some(version) = request.query("api-version") else {
            return Err(bad_parameter("api-version must be specified"));
        };
        if !self.api_versions.contains(&version) {
            return Err(bad_parameter(&format!("The specified api-version {version} is not supported.")));
        }
        if request.method == "GET" && !request.body.is_empty() {
            return Err(bad_parameter("A GET request must not have a body."));
        }
        Ok(caller)
    }

    fn count(&mut self, now: Timestamp) -> Result<(), Reply> {
        let Some(throttle) = self.behaviour.throttle else { return Ok(()) };
        let current = now.as_second().div_euclid(throttle.window.max(1));
        let used = self.window.filter(|(window, _)| *window == current).map_or(0, |(_, used)| used);
        if used >= throttle.requests {
            return Err(refusal::throttled(&throttle));
        }
        self.window = Some((current, used + 1));
        Ok(())
    }

    fn routed(&mut self, request: &Request, caller: &Caller, now: Timestamp) -> Result<Reply, Reply> {
        let segments = request.segments();
        let mut path: Vec<&str> = segments.iter().map(String::as_str).collect();
        let collection = path.first().map(|first| first.to_ascii_lowercase()).unwrap_or_default();
        let kind = match collection.as_str() {
            "certificates" => Kind::Certificate,
            "secrets" => Kind::Secret,
            _ => return Err(no_such_path()),
        };
        path.remove(0);
        if let Some(name) = path.first() {
            check_name(name)?;
        }
        let object_path = path.first().map(|name| format!("/{collection}/{name}")).unwrap_or_default();
        let permit = |permission: Permission| {
            if self.permits(caller, permission) {
                Ok(())
            } else {
                Err(self.not_permitted(caller, permission, &object_path))
            }
        };
        match kind {
            Kind::Certificate => match (request.method.as_str(), path.as_slice()) {
                ("GET", []) => {
                    permit(Permission::CertificatesList)?;
                    self.list_certificates(request)
                }
                ("GET", [name, "versions"]) => {
                    permit(Permission::CertificatesList)?;
                    self.list_certificate_versions(request, name)
                }
                ("GET", [name, "policy"]) => {
                    permit(Permission::CertificatesGet)?;
                    self.get_certificate_policy(name)
                }
                ("GET", [name, "pending"]) => {
                    permit(Permission::CertificatesGet)?;
                    Err(Reply::error(
                        404,
                        "PendingCertificateNotFound",
                        &format!(
                            "A pending certificate with (name/id) {name} was not found in this key vault."
                        ),
                    ))
                }
                ("GET", [name] | [name, _]) => {
                    permit(Permission::CertificatesGet)?;
                    self.get_certificate(name, path.get(1).copied())
                }
                ("POST", [name, "import"]) => {
                    permit(Permission::CertificatesImport)?;
                    self.import_certificate(request, name, now)
                }
                ("PATCH", [name] | [name, _]) => {
                    permit(Permission::CertificatesUpdate)?;
                    self.patch_certificate(request, name, path.get(1).copied(), now)
                }
                (_, [] | [_] | [_, _]) => Err(no_such_method(&request.method)),
                _ => Err(no_such_path()),
            },
            Kind::Secret => match (request.method.as_str(), path.as_slice()) {
                ("GET", []) => {
                    permit(Permission::SecretsList)?;
                    self.list_secrets(request)
                }
                ("GET", [name, "versions"]) => {
                    permit(Permission::SecretsList)?;
                    self.list_secret_versions(request, name)
                }
                ("GET", [name] | [name, _]) => {
                    permit(Permission::SecretsGet)?;
                    self.get_secret(name, path.get(1).copied(), now)
                }
                ("PUT", [name]) => {
                    permit(Permission::SecretsSet)?;
                    self.put_secret(request, name, now)
                }
                ("PATCH", [name] | [name, _]) => {
                    permit(Permission::SecretsSet)?;
                    self.patch_secret(request, name, path.get(1).copied(), now)
                }
                (_, [] | [_] | [_, _]) => Err(no_such_method(&request.method)),
                _ => Err(no_such_path()),
            },
        }
    }

    fn permits(&self, caller: &Caller, permission: Permission) -> bool {
        let (Access::Rbac(grants) | Access::Policies(grants)) = &self.access;
        grants
            .iter()
            .any(|(id, granted)| id.eq_ignore_ascii_case(&caller.object_id) && granted.contains(&permission))
    }

    /// Objects of a kind that were not deleted, behind the window's marker, by name.
    fn objects_after(&self, kind: Kind, window: &paging::Window) -> impl Iterator<Item = (&String, &Object)> {
        let from = window.after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        self.objects
            .range::<String, _>((from, Bound::Unbounded))
            .filter(move |(_, object)| !object.deleted && object.is(kind))
    }
}

impl Kind {
    /// The word for it in messages.
    fn noun(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Secret => "secret",
        }
    }
}

fn check_name(name: &str) -> Result<(), Reply> {
    let well_formed = (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if well_formed {
        return Ok(());
    }
    Err(bad_parameter(&format!("The request URI contains an invalid name: {name}")))
}

fn no_such_path() -> Reply {
    Reply::error(404, "ResourceNotFound", "The requested resource was not found.")
}

fn no_such_method(method: &str) -> Reply {
    Reply::error(405, "MethodNotAllowed", &format!("The requested operation {method} is not allowed here."))
}

#[cfg(test)]
mod tests;
