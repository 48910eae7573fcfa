//! What was seen: services, vault objects, and what their versions hold. Collected by the engine, judged here.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::certificate::{Certificate, Deployable, Key, OpenedSecret, VersionFacts};
use crate::id::{
    CloudServiceId, ObjectKind, ObjectName, SecretIdentifier, SourceVaultId, Thumbprint, VaultName,
    VaultObject,
};
use crate::ports::{FaultKind, PortError, VaultResource};
use crate::standing::Standings;
use crate::target::cloud_service::{CloudServiceModel, RoleInstance};

/// Everything that one look found. What could not be read is there with its reason, and stops nothing else.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// The services of the policy.
    pub services: BTreeMap<CloudServiceId, Result<CloudServiceModel, Unreadable>>,
    /// The vault objects that are followed.
    pub objects: BTreeMap<ObjectKey, Result<ObservedObject, Unreadable>>,
    /// What versions hold, by the secret that carries them.
    pub contents: BTreeMap<SecretIdentifier, Result<VaultContent, Unreadable>>,
    /// Whether versions that stay are still there and enabled. Asked only for services that are to be changed.
    pub kept: BTreeMap<SecretIdentifier, Result<(), Unreadable>>,
    /// Vaults as Resource Manager sees them.
    pub vaults: BTreeMap<SourceVaultId, Result<VaultResource, Unreadable>>,
    /// Role instances of services that are to be changed.
    pub instances: BTreeMap<CloudServiceId, Result<Vec<RoleInstance>, Unreadable>>,
    /// What the record of earlier rollouts says of the services.
    pub standings: Standings,
}

impl Observation {
    /// The newest version of the object of a secret, where that object was looked at and has one.
    pub fn newest_of(&self, secret: &SecretIdentifier) -> Option<&SecretIdentifier> {
        let mut newest = self
            .objects
            .values()
            .filter_map(|object| Some(&object.as_ref().ok()?.newest.as_ref().ok()?.secret));
        newest.find(|newest| newest.vault() == secret.vault() && newest.name() == secret.name())
    }
}

/// A vault object as it is looked for. A `certificateUrl` does not tell whether its secret belongs to a vault
/// certificate, so the kind may be open.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// The vault.
    pub vault: VaultName,
    /// The object's name.
    pub name: ObjectName,
    /// Certificate or secret, where a configuration says so.
    pub kind: Option<ObjectKind>,
}

impl From<&VaultObject> for ObjectKey {
    fn from(object: &VaultObject) -> Self {
        Self { vault: object.vault.clone(), name: object.name.clone(), kind: Some(object.kind) }
    }
}

impl From<&SecretIdentifier> for ObjectKey {
    fn from(secret: &SecretIdentifier) -> Self {
        Self { vault: secret.vault().clone(), name: secret.name().clone(), kind: None }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let collection = self.kind.map_or("secrets", ObjectKind::collection);
        write!(f, "{}/{collection}/{}", self.vault, self.name)
    }
}

/// The newest enabled version of a vault object.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedObject {
    /// Certificate or secret.
    pub kind: ObjectKind,
    /// The newest enabled version; `Err` says how many versions there are where none is enabled.
    pub newest: Result<ObservedVersion, NoEnabledVersion>,
}

/// All versions are disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEnabledVersion {
    /// How many there are.
    pub versions: usize,
}

/// One version of a vault object.
#[derive(Clone, Debug, PartialEq)]
pub struct ObservedVersion {
    /// What the vault says of it.
    pub facts: VersionFacts,
    /// The secret that carries it.
    pub secret: SecretIdentifier,
    /// When certroll first saw that it is the newest.
    pub first_seen: Timestamp,
}

/// What one version holds. Never a private key: only whether there is one.
#[derive(Clone, Debug)]
pub struct VaultContent {
    /// The certificate that Windows would install under its thumbprint.
    pub leaf: Certificate,
    /// Certificates that lie beside it.
    pub bundled: Vec<Certificate>,
    /// Whether a private key lies beside it.
    pub key: KeyPresence,
    /// Whether Cloud Services take the secret in this form.
    pub form: Form,
}

/// Whether a private key belongs to a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPresence {
    /// Only metadata was read.
    NotRead,
    /// There is none, or none that matches.
    Absent,
    /// It is there and matches.
    Matches,
}

/// Whether Cloud Services take a secret in the form in which it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// Only metadata was read.
    NotRead,
    /// They do.
    Accepted,
    /// Microsoft's documents contradict each other.
    Uncertain(String),
    /// They do not.
    Refused(String),
}

impl VaultContent {
    /// What a vault certificate tells without its secret.
    pub fn of_certificate(leaf: Certificate) -> Self {
        Self { leaf, bundled: Vec::new(), key: KeyPresence::NotRead, form: Form::NotRead }
    }

    /// What a secret holds. The private key is dropped, and so wiped, here.
    pub fn of_secret(opened: OpenedSecret) -> Self {
        let form = match opened.deployable() {
            Deployable::Yes => Form::Accepted,
            Deployable::Uncertain(reason) => Form::Uncertain(reason.to_string()),
            Deployable::No(reason) => Form::Refused(reason.to_string()),
        };
        let key = match opened.key {
            Key::Matches(_) => KeyPresence::Matches,
            _ => KeyPresence::Absent,
        };
        let mut bundled = opened.chain;
        bundled.extend(opened.unrelated);
        Self { leaf: opened.leaf, bundled, key, form }
    }

    /// The thumbprint that the cscfg names it by.
    pub fn thumbprint(&self) -> Thumbprint {
        self.leaf.thumbprint()
    }
}

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// What was tried, and what came back.
    pub reason: String,
    /// The same for one line, where the reason is longer: see [`PortFault::brief`](crate::ports::PortFault::brief).
    pub short: Option<String>,
    /// What a person can do about it.
    pub hint: Option<String>,
    /// Whether it is known not to be there, to be disabled or to hold nothing that can be understood: a state of the
    /// data that planning can reckon with. Anything else may be readable at the next look.
    pub gone: bool,
}

impl Unreadable {
    /// The reason for one line.
    pub fn brief(&self) -> &str {
        self.short.as_deref().unwrap_or(&self.reason)
    }

    /// A reason found by reading what was fetched.
    pub fn content(reason: impl fmt::Display, hint: Option<String>) -> Self {
        Self { reason: reason.to_string(), short: None, hint, gone: true }
    }
}

impl From<&PortError> for Unreadable {
    fn from(error: &PortError) -> Self {
        Self {
            reason: error.to_string(),
            short: Some(error.fault().brief()),
            hint: error.fault().hint.clone(),
            gone: matches!(error.kind(), FaultKind::NotFound | FaultKind::Disabled),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}
