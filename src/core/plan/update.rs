//! What is to be changed: a value that says what it expects to find and what it wants in its place.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::certificate::Certificate;
use crate::cscfg::ServiceConfiguration;
use crate::id::{CloudServiceId, RoleName, SecretIdentifier, Thumbprint};
use crate::ports::ProbeEndpoint;
use crate::target::cloud_service::{CloudServiceModel, ModelError, OsProfile, PutBody, UpgradeMode};

/// The whole change of one service: one PUT.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedUpdate {
    /// The service.
    pub service: CloudServiceId,
    /// Certificates of the cscfg that get another thumbprint.
    pub certificates: Vec<CertificateChange>,
    /// Secrets that come, go or take another's place.
    pub secrets: Vec<SecretChange>,
    /// Settings that repeat a thumbprint and change with it.
    pub settings: Vec<SettingChange>,
    /// What the service must be like right before the PUT.
    pub expected: ServiceState,
    /// What it is to be like afterwards.
    pub wanted: ServiceState,
    /// Endpoints to look at afterwards.
    pub probes: Vec<PlannedProbe>,
    /// Whether a probe that fails turns the rollout back.
    pub probe_binding: bool,
    /// What the change touches.
    pub blast_radius: BlastRadius,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// Services of a lower stage go first.
    pub stage: u32,
    /// The end of the certificate that ends first among those that are replaced.
    pub deployed_until: Option<Timestamp>,
}

/// The digest of what a plan expects and wants: by it a person approves one plan and no other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlanDigest(String);

impl PlanDigest {
    /// The digest in hexadecimal.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for PlanDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl PlannedUpdate {
    /// The set of versions that it brings: secrets that come, and those that certificates are bound to.
    pub fn versions(&self) -> BTreeSet<SecretIdentifier> {
        let coming = self.secrets.iter().filter_map(|change| change.to.clone());
        coming.chain(self.certificates.iter().map(|change| change.secret.clone())).collect()
    }

    /// The secrets that leave.
    pub fn leaving(&self) -> BTreeSet<SecretIdentifier> {
        self.secrets.iter().filter_map(|change| change.from.clone()).collect()
    }

    /// What a person approves: the service, what is expected of it and what is wanted in its place.
    pub fn digest(&self) -> PlanDigest {
        // Values of our own types with string keys always serialize.
        let text = serde_json::to_vec(&(&self.service, &self.expected, &self.wanted)).unwrap_or_default();
        PlanDigest(Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// One `<Certificate>` of the cscfg.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CertificateChange {
    /// The role.
    pub role: RoleName,
    /// The certificate's name in the cscfg. It stays.
    pub name: String,
    /// The line in the cscfg.
    pub line: usize,
    /// The thumbprint that stands there; none where it is empty.
    pub from: Option<Thumbprint>,
    /// The thumbprint that takes its place.
    pub to: Thumbprint,
    /// The secret that carries the new one.
    pub secret: SecretIdentifier,
    /// The vault object that is followed, such as `shop-kv/certificates/shop-tls`.
    pub source: String,
    /// The old certificate, where it could be read.
    pub before: Option<CertificateSummary>,
    /// The new certificate.
    pub after: CertificateSummary,
}

/// One change of `osProfile.secrets`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecretChange {
    /// The secret that goes.
    pub from: Option<SecretIdentifier>,
    /// The secret that comes.
    pub to: Option<SecretIdentifier>,
}

/// What leaves and what comes, paired by object where the object stays the same.
pub(super) fn secret_changes(before: &OsProfile, after: &OsProfile) -> Vec<SecretChange> {
    let leaving: Vec<&SecretIdentifier> =
        before.urls().filter(|url| !after.urls().any(|have| have == *url)).collect();
    let mut coming: Vec<&SecretIdentifier> =
        after.urls().filter(|url| !before.urls().any(|have| have == *url)).collect();
    let mut changes: Vec<SecretChange> = Vec::new();
    let mut unpaired = Vec::new();
    for from in leaving {
        let pair = coming.iter().position(|to| to.name() == from.name() && to.vault() == from.vault());
        match pair {
            Some(place) => {
                changes
                    .push(SecretChange { from: Some(from.clone()), to: Some(coming.remove(place).clone()) });
            }
            None => unpaired.push(from),
        }
    }
    changes.extend(unpaired.into_iter().map(|from| SecretChange { from: Some(from.clone()), to: None }));
    changes.extend(coming.into_iter().map(|to| SecretChange { from: None, to: Some(to.clone()) }));
    changes
}

/// A ConfigurationSetting in which one thumbprint takes another's place. The rest of its value is never shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SettingChange {
    /// The role.
    pub role: RoleName,
    /// The setting's name.
    pub name: String,
    /// The thumbprint that goes.
    pub from: Thumbprint,
    /// The thumbprint that comes.
    pub to: Thumbprint,
}

/// What a certificate is, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CertificateSummary {
    /// SHA-1 thumbprint.
    pub thumbprint: Thumbprint,
    /// The subject's distinguished name.
    pub subject: String,
    /// Names that it serves.
    pub names: Vec<String>,
    /// Start of its validity.
    pub not_before: Timestamp,
    /// End of its validity.
    pub not_after: Timestamp,
    /// Whether it is a CA certificate.
    pub ca: bool,
}

impl From<&Certificate> for CertificateSummary {
    fn from(certificate: &Certificate) -> Self {
        Self {
            thumbprint: certificate.thumbprint(),
            subject: certificate.subject().to_owned(),
            names: certificate.names().iter().map(ToString::to_string).collect(),
            not_before: certificate.not_before(),
            not_after: certificate.not_after(),
            ca: certificate.is_ca(),
        }
    }
}

/// The part of a service that a certificate change touches, and the rest by which a change of somebody else shows. The
/// cscfg's settings and the rest may hold secrets: `Debug` does not print them.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceState {
    /// The cscfg.
    pub configuration: String,
    /// The secrets.
    pub os_profile: OsProfile,
    /// Everything else that the service returned, less what moves by itself.
    pub rest: Value,
}

impl std::fmt::Debug for ServiceState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceState")
            .field("configuration", &format_args!("{} bytes", self.configuration.len()))
            .field("os_profile", &self.os_profile)
            .finish_non_exhaustive()
    }
}

impl ServiceState {
    /// The state of a service as read.
    ///
    /// # Errors
    /// The resource lacks its cscfg, or `osProfile` has another shape than documented.
    pub fn of(model: &CloudServiceModel) -> Result<Self, ModelError> {
        Ok(Self {
            configuration: model.configuration_text()?.to_owned(),
            os_profile: model.os_profile()?,
            rest: model.untouched_members(),
        })
    }

    /// Where this state and another differ, in words; empty where they are the same. Secrets are compared as sets of
    /// identifiers, each with its source vault and its unknown members, since the service may return groups in another
    /// order.
    pub fn differences(&self, found: &Self) -> Vec<Difference> {
        let mut differences = Vec::new();
        if self.configuration != found.configuration {
            differences.push(Difference::Configuration(first_different_line(
                &self.configuration,
                &found.configuration,
            )));
        }
        let sorted = |profile: &OsProfile| {
            let mut urls: Vec<SecretIdentifier> = profile.urls().cloned().collect();
            urls.sort();
            urls
        };
        let (ours, theirs) = (sorted(&self.os_profile), sorted(&found.os_profile));
        if ours != theirs {
            differences.push(Difference::Secrets {
                missing: ours.iter().filter(|url| !theirs.contains(url)).cloned().collect(),
                surplus: theirs.iter().filter(|url| !ours.contains(url)).cloned().collect(),
            });
        }
        let members = self.os_profile.members_that_differ(&found.os_profile);
        differences.extend(members.into_iter().map(Difference::Member));
        members_that_differ("", &self.rest, &found.rest, &mut differences);
        differences
    }

    /// What is sent to bring a service, read as `model`, to this state.
    ///
    /// # Errors
    /// `model` has no location, or the cscfg does not parse.
    pub fn put_body(&self, model: &CloudServiceModel) -> Result<PutBody, ModelError> {
        let configuration =
            ServiceConfiguration::parse(self.configuration.as_str()).map_err(ModelError::Configuration)?;
        model.put_body(&configuration, &self.os_profile)
    }
}

/// One difference between an expected and a found state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// The cscfg differs, first in this line.
    Configuration(usize),
    /// `osProfile.secrets` differs.
    Secrets {
        /// Expected and not found.
        missing: Vec<SecretIdentifier>,
        /// Found and not expected.
        surplus: Vec<SecretIdentifier>,
    },
    /// Another member differs, named by its path.
    Member(String),
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |urls: &[SecretIdentifier]| {
            urls.iter().map(|url| format!("`{url}`")).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Configuration(line) => write!(f, "the cscfg differs, first in line {line}"),
            Self::Secrets { missing, surplus } => {
                write!(f, "`osProfile.secrets` differs")?;
                if !missing.is_empty() {
                    write!(f, "; expected {}", list(missing))?;
                }
                if !surplus.is_empty() {
                    write!(f, "; found {}", list(surplus))?;
                }
                Ok(())
            }
            Self::Member(path) => write!(f, "`{path}` differs"),
        }
    }
}

fn first_different_line(a: &str, b: &str) -> usize {
    // Not `lines`: the ends of lines may be what differs.
    let same = a.split('\n').zip(b.split('\n')).take_while(|(a, b)| a == b).count();
    same + 1
}

/// Names the members in which two values differ. Arrays are compared whole: the services that return them in another
/// order were not seen.
fn members_that_differ(path: &str, ours: &Value, theirs: &Value, differences: &mut Vec<Difference>) {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> =
                a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))).collect();
            keys.sort();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let (a, b) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                members_that_differ(&path, a, b, differences);
            }
        }
        (a, b) if a == b => {}
        _ => differences.push(Difference::Member(path.to_owned())),
    }
}

/// An endpoint with the leaves that it may present before and must present afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedProbe {
    /// Where.
    pub endpoint: ProbeEndpoint,
    /// Leaves that it may present until the change has reached it.
    pub before: Vec<Thumbprint>,
    /// Leaves that it must present afterwards.
    pub after: Vec<Thumbprint>,
}

/// What a change touches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlastRadius {
    /// Every role, with the number of its instances.
    pub roles: Vec<RoleRadius>,
    /// How the update walks.
    pub upgrade_mode: UpgradeMode,
    /// How many update domains there are, where the instances could be read.
    pub update_domains: Option<usize>,
}

/// One role.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoleRadius {
    /// The role.
    pub role: RoleName,
    /// Its instances.
    pub instances: u32,
    /// Whether a certificate of its own changes. The update walks the other roles too.
    pub changes: bool,
}

impl RoleRadius {
    /// A role with one instance is down while that instance is updated.
    pub fn goes_down(&self) -> bool {
        self.instances == 1
    }
}
