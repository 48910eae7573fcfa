//! What the outside must offer. The engine calls these; the azure crate, the journal and the daemon implement them.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::certificate::{PublicKey, VersionFacts};
use crate::doctor::permission::PermissionEntry;
use crate::id::{
    CloudServiceId, ObjectKind, ObjectName, PublicAddressId, RolloutId, SecretIdentifier, SourceVaultId,
    Thumbprint, VaultName, VaultObject, VersionId,
};
use crate::notice::Notice;
use crate::plan::VaultContent;
use crate::rollout::{Event, Rollout};
use crate::standing::{Decided, Standings};
use crate::target::cloud_service::{
    CloudServiceModel, OperationHandle, OperationStatus, PutBody, RoleInstance,
};

/// A call that failed, told apart by what may be done next.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PortError {
    /// Nothing was changed; the same call may succeed later.
    #[error("{fault}")]
    Retryable {
        /// What happened.
        fault: PortFault,
        /// How long the service asked to wait, unclamped.
        after: Option<Duration>,
    },
    /// Nothing was changed, and the same call will fail again until somebody changes something.
    #[error("{0}")]
    Permanent(PortFault),
    /// The call may have taken effect: look before anything else.
    #[error("{0}")]
    Ambiguous(PortFault),
}

impl PortError {
    /// What happened.
    pub fn fault(&self) -> &PortFault {
        match self {
            Self::Retryable { fault, .. } | Self::Permanent(fault) | Self::Ambiguous(fault) => fault,
        }
    }

    /// What kind of fault it was.
    pub fn kind(&self) -> FaultKind {
        self.fault().kind
    }
}

/// What happened, in words and codes that are safe to print: never a token, a body or a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortFault {
    /// What was tried, such as "reading vault certificate `shop-kv/certificates/shop-tls`".
    pub doing: String,
    /// The kind, by which code decides.
    pub kind: FaultKind,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// The service's error code, with the inner code behind a slash where there is one.
    pub code: Option<String>,
    /// The service's message or the transport's reason, cut to a printable length.
    pub message: String,
    /// What a person can do about it, where that is known.
    pub hint: Option<String>,
}

/// Characters of a message that a short form repeats: what a reason has in a line.
const BRIEF: usize = 160;

impl PortFault {
    /// The same for one line: what was tried and why it failed. What the service said besides is left out where kind, status
    /// and code say it already, because it names whoever asked over several lines.
    pub fn brief(&self) -> String {
        let message = match self.kind {
            FaultKind::Unauthorized
            | FaultKind::Forbidden
            | FaultKind::Firewall
            | FaultKind::Disabled
            | FaultKind::NotFound
            | FaultKind::Throttled
            | FaultKind::NoToken => String::new(),
            FaultKind::Conflict
            | FaultKind::Refused
            | FaultKind::ServiceFault
            | FaultKind::Unreachable
            | FaultKind::TimedOut
            | FaultKind::Malformed
            | FaultKind::ForeignHost => {
                let sentence =
                    self.message.split_once(". ").map_or(self.message.as_str(), |(first, _)| first);
                let mut cut: String = sentence.chars().take(BRIEF).collect();
                if cut.len() < sentence.len() {
                    cut.push('…');
                }
                cut
            }
        };
        Self { message, ..self.clone() }.to_string()
    }
}

impl fmt::Display for PortFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.kind)?;
        match (self.status, &self.code) {
            (Some(status), Some(code)) => write!(f, " ({status} {code})")?,
            (Some(status), None) => write!(f, " ({status})")?,
            (None, Some(code)) => write!(f, " ({code})")?,
            (None, None) => {}
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        Ok(())
    }
}

/// Kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultKind {
    /// No identity gave a token.
    NoToken,
    /// The service refused the token.
    Unauthorized,
    /// A role or access policy is missing.
    Forbidden,
    /// The vault's firewall keeps this address out.
    Firewall,
    /// The object or version is disabled, or outside its validity window: a state of the data, not a permission.
    Disabled,
    /// It does not exist, or was deleted.
    NotFound,
    /// Too many calls.
    Throttled,
    /// The resource is being changed by another operation.
    Conflict,
    /// The service refused the request itself.
    Refused,
    /// The service failed.
    ServiceFault,
    /// No answer: name resolution, connection or TLS failed, or the answer broke off.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// An answer that is not what was documented, or larger than it may be.
    Malformed,
    /// The answer names a host that is not one of the configured cloud.
    ForeignHost,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::NoToken,
        Self::Unauthorized,
        Self::Forbidden,
        Self::Firewall,
        Self::Disabled,
        Self::NotFound,
        Self::Throttled,
        Self::Conflict,
        Self::Refused,
        Self::ServiceFault,
        Self::Unreachable,
        Self::TimedOut,
        Self::Malformed,
        Self::ForeignHost,
    ];
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoToken => "no identity gave a token",
            Self::Unauthorized => "the token was refused",
            Self::Forbidden => "a permission is missing",
            Self::Firewall => "the vault's firewall refused this address",
            Self::Disabled => "it is disabled or outside its validity",
            Self::NotFound => "it does not exist",
            Self::Throttled => "too many calls",
            Self::Conflict => "another operation is running",
            Self::Refused => "the request was refused",
            Self::ServiceFault => "the service failed",
            Self::Unreachable => "no connection",
            Self::TimedOut => "no answer in time",
            Self::Malformed => "the answer is not understood",
            Self::ForeignHost => "the answer names a foreign host",
        })
    }
}

/// One object of a list answer. It describes the object's current version.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedObject {
    /// The object's name.
    pub name: ObjectName,
    /// Whether the current version may be read.
    pub enabled: bool,
    /// When its attributes last changed.
    pub updated: Option<Timestamp>,
    /// `x5t`, for a vault certificate.
    pub thumbprint: Option<Thumbprint>,
    /// A secret that belongs to a vault certificate.
    pub managed: bool,
}

/// One version of a vault certificate.
#[derive(Clone, Debug, PartialEq)]
pub struct CertificateObject {
    /// What the vault says of the version.
    pub facts: VersionFacts,
    /// The secret that carries key and chain: the value of `certificateUrl`.
    pub secret: SecretIdentifier,
    /// The leaf's DER.
    pub der: Vec<u8>,
    /// `x5t`.
    pub thumbprint: Option<Thumbprint>,
    /// The content type of its secret, if the policy tells.
    pub content_type: Option<String>,
}

/// One version of a vault secret, with its value. The value is wiped when it is dropped.
pub struct SecretObject {
    /// What the vault says of the version.
    pub facts: VersionFacts,
    /// Its versioned identifier.
    pub identifier: SecretIdentifier,
    /// The value.
    pub value: Zeroizing<String>,
    /// The content type.
    pub content_type: Option<String>,
    /// Whether it belongs to a vault certificate.
    pub managed: bool,
}

impl fmt::Debug for SecretObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretObject").field("identifier", &self.identifier).finish_non_exhaustive()
    }
}

/// Reads key vaults. Every call is safe to repeat.
#[async_trait]
pub trait VaultReader: Send + Sync {
    /// The versioned identifier of a secret, by the cloud's vault suffix. No call.
    fn secret_identifier(
        &self,
        vault: &VaultName,
        name: &ObjectName,
        version: &VersionId,
    ) -> SecretIdentifier;
    /// All objects of a collection, whatever number of pages that takes.
    async fn list(&self, vault: &VaultName, kind: ObjectKind) -> Result<Vec<ListedObject>, PortError>;
    /// All versions of an object, in no particular order, without any value.
    async fn versions(&self, object: &VaultObject) -> Result<Vec<VersionFacts>, PortError>;
    /// One version of a vault certificate, the current one if none is named. One call.
    async fn certificate(
        &self,
        vault: &VaultName,
        name: &ObjectName,
        version: Option<&VersionId>,
    ) -> Result<CertificateObject, PortError>;
    /// One version of a secret with its value, the current one if none is named. One call.
    async fn secret(
        &self,
        vault: &VaultName,
        name: &ObjectName,
        version: Option<&VersionId>,
    ) -> Result<SecretObject, PortError>;
}

/// The answer to a PUT that was accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct PutAccepted {
    /// How to follow the operation.
    pub operation: OperationHandle,
    /// The service's name for the request, for support cases.
    pub request_id: Option<String>,
}

/// A key vault as Resource Manager sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultResource {
    /// The region, as [`CloudServiceModel::location`] writes it.
    pub location: String,
    /// "Azure Virtual Machines for deployment".
    pub enabled_for_deployment: bool,
}

/// Reads and updates cloud services.
#[async_trait]
pub trait CloudServices: Send + Sync {
    /// All cloud services of a subscription, whatever number of pages that takes.
    async fn list(&self, subscription: &str) -> Result<Vec<CloudServiceModel>, PortError>;
    /// One cloud service.
    async fn read(&self, service: &CloudServiceId) -> Result<CloudServiceModel, PortError>;
    /// Puts a model. Sent once, whatever happens: the caller looks before it tries again.
    async fn put(&self, service: &CloudServiceId, body: &PutBody) -> Result<PutAccepted, PortError>;
    /// Where an operation stands. One call.
    async fn operation(
        &self,
        service: &CloudServiceId,
        handle: &OperationHandle,
    ) -> Result<OperationStatus, PortError>;
    /// The role instances with their states.
    async fn instances(&self, service: &CloudServiceId) -> Result<Vec<RoleInstance>, PortError>;
    /// The numbers of the update domains, ascending.
    async fn update_domains(&self, service: &CloudServiceId) -> Result<Vec<u32>, PortError>;
    /// Lets an update proceed to one update domain of a service in Manual mode.
    async fn walk_update_domain(
        &self,
        service: &CloudServiceId,
        domain: u32,
    ) -> Result<OperationHandle, PortError>;
    /// Where a vault is, and whether services may fetch from it.
    async fn vault(&self, vault: &SourceVaultId) -> Result<VaultResource, PortError>;
}

/// The time. Every wait of a rollout goes through it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Returns at `until` or later.
    async fn sleep_until(&self, until: Timestamp);
}

/// A TLS endpoint that must present a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ProbeEndpoint {
    /// Host name or address, and port, to connect to.
    pub address: String,
    /// The name asked for by SNI.
    pub server_name: String,
}

impl fmt::Display for ProbeEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address.rsplit_once(':') {
            Some((host, _)) if host.trim_matches(['[', ']']) == self.server_name => {
                f.write_str(&self.address)
            }
            _ => write!(f, "{} at {}", self.server_name, self.address),
        }
    }
}

/// What one TLS connection showed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Presentation {
    /// The address that was connected to.
    pub address: String,
    /// The chain by thumbprints, leaf first; or why there is none.
    pub outcome: Result<Vec<Thumbprint>, String>,
}

/// Looks at what an endpoint presents. It proves which certificate is served and nothing else: trust and names are not
/// judged, since the old certificate must be recognisable when it has expired.
#[async_trait]
pub trait EndpointProbe: Send + Sync {
    /// Makes several connections to every address that the endpoint's name has.
    async fn presented(&self, endpoint: &ProbeEndpoint) -> Vec<Presentation>;
}

/// Why the journal cannot be written or read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct JournalError {
    /// The kind, by which code decides.
    pub kind: JournalFault,
    /// What happened and where, with what was expected.
    pub message: String,
    /// What a person can do about it.
    pub hint: Option<String>,
}

impl JournalError {
    /// An error without a way out that is known.
    pub fn new(kind: JournalFault, message: impl fmt::Display) -> Self {
        Self { kind, message: message.to_string(), hint: None }
    }

    /// Adds a way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Kinds of trouble with the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalFault {
    /// There is none yet.
    Absent,
    /// Another process writes it.
    Held,
    /// This user may not open it, or others may read it.
    Denied,
    /// The disk is full.
    Full,
    /// The disk or the file cannot be written.
    ReadOnly,
    /// Its content is damaged.
    Corrupt,
    /// A later version of certroll wrote it.
    Newer,
    /// Anything else.
    Failed,
}

/// One event as the journal holds it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Recorded {
    /// When it was written.
    pub at: Timestamp,
    /// The rollout.
    pub rollout: RolloutId,
    /// What happened.
    pub event: Event,
}

/// The record of rollouts. What was appended is durable when the call returns.
#[async_trait]
pub trait RolloutJournal: Send + Sync {
    /// Writes one event.
    async fn append(&self, record: &Recorded) -> Result<(), JournalError>;
    /// Writes what a person decided.
    async fn decide(&self, decided: &Decided) -> Result<(), JournalError>;
    /// The events of every rollout that has no ending, oldest first.
    async fn unfinished(&self) -> Result<Vec<Vec<Recorded>>, JournalError>;
    /// The events of the latest rollouts, of one service or of all, the latest rollout first, at most `rollouts` of
    /// them.
    async fn history(
        &self,
        service: Option<&CloudServiceId>,
        rollouts: usize,
    ) -> Result<Vec<Vec<Recorded>>, JournalError>;
    /// The events of one rollout; empty where it is not known.
    async fn rollout(&self, rollout: &RolloutId) -> Result<Vec<Recorded>, JournalError>;
    /// What all of it amounts to for each service.
    async fn standings(&self) -> Result<Standings, JournalError>;
}

/// What is remembered of immutable vault versions, so that no secret's value is fetched twice. It may be lost at any
/// time, so nothing here fails: what cannot be remembered is fetched again. Holds certificates, never a key.
#[async_trait]
pub trait VersionMemory: Send + Sync {
    /// What a version holds, where that is remembered.
    async fn recall(&self, version: &SecretIdentifier) -> Option<VaultContent>;
    /// Remembers it.
    async fn remember(&self, version: &SecretIdentifier, content: &VaultContent);
}

/// Tells people. Never waits for a channel, and never fails: what becomes of a notice is in the log.
pub trait NoticeSink: Send + Sync {
    /// Takes a notice, to be told on every channel that it is for.
    fn tell(&self, notice: Notice);
}

/// Hears what a rollout does, for people who watch. Never holds it up.
pub trait RolloutObserver: Send + Sync {
    /// A rollout that an earlier process left without an ending is led on from here.
    fn resumed(&self, _rollout: &Rollout) {}
    /// An event was written.
    fn recorded(&self, record: &Recorded);
    /// Something is waited for.
    fn waiting(&self, rollout: &RolloutId, progress: &Progress);
}

/// What is waited for, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Another operation keeps the service busy.
    Busy {
        /// Its state, in the service's word.
        state: String,
    },
    /// The operation runs.
    Operation {
        /// Instances that are started.
        started: usize,
        /// Instances in all.
        instances: usize,
    },
    /// An update domain is walked.
    Domain {
        /// Which.
        domain: u32,
    },
    /// Instances and endpoints are not yet right.
    Examining {
        /// What is not.
        mismatches: Vec<String>,
    },
    /// A call failed and is repeated.
    Repeating {
        /// Its message.
        message: String,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy { state } => write!(f, "another operation keeps the service busy ({state})"),
            Self::Operation { started, instances } => {
                write!(f, "Azure works on it; {started} of {instances} instances are started")
            }
            Self::Domain { domain } => write!(f, "update domain {domain} is walked"),
            Self::Examining { mismatches } => {
                write!(f, "not yet right: {}", mismatches.first().map_or("", String::as_str))
            }
            Self::Repeating { message } => write!(f, "a call is repeated: {message}"),
        }
    }
}

/// A certificate to be imported into a vault, with its key. Wiped when it is dropped.
pub struct CertificateImport {
    /// Base64 of PKCS#12.
    pub value: Zeroizing<String>,
    /// The password of it.
    pub password: Zeroizing<String>,
    /// The key in it, which the vault certificate's policy names.
    pub key: PublicKey,
    /// Tags of the new version.
    pub tags: BTreeMap<String, String>,
}

impl fmt::Debug for CertificateImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateImport").field("key", &self.key).finish_non_exhaustive()
    }
}

/// A new version of a vault secret, without a content type. Wiped when it is dropped.
pub struct SecretValue {
    /// The value.
    pub value: Zeroizing<String>,
    /// Tags of the new version.
    pub tags: BTreeMap<String, String>,
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretValue").finish_non_exhaustive()
    }
}

/// Puts new versions into key vaults. Each call is sent once, whatever happens: the caller looks before it tries again,
/// since a second one would make a second version.
#[async_trait]
pub trait VaultWriter: Send + Sync {
    /// Imports a version of a vault certificate; the object is made where there is none.
    async fn import_certificate(
        &self,
        vault: &VaultName,
        name: &ObjectName,
        import: &CertificateImport,
    ) -> Result<CertificateObject, PortError>;
    /// Sets a version of a secret; the object is made where there is none. The answer is the version with its value.
    async fn set_secret(
        &self,
        vault: &VaultName,
        name: &ObjectName,
        secret: &SecretValue,
    ) -> Result<SecretObject, PortError>;
}

/// A subscription that the identity sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its id, a GUID.
    pub id: String,
    /// Its name for people.
    pub name: Option<String>,
    /// Whether its resources may be read: not of one that is disabled or deleted.
    pub readable: bool,
}

/// A public IP address as Resource Manager sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicAddress {
    /// The DNS name that Azure gave it, if it was given one.
    pub fqdn: Option<String>,
}

/// Finds what is deployed, of which no configuration tells yet. Every call is safe to repeat.
#[async_trait]
pub trait Inventory: Send + Sync {
    /// The subscriptions that the identity sees, whatever number of pages that takes.
    async fn subscriptions(&self) -> Result<Vec<Subscription>, PortError>;
    /// The key vaults of a subscription, whatever number of pages that takes.
    async fn vaults(&self, subscription: &str) -> Result<Vec<SourceVaultId>, PortError>;
    /// One public IP address.
    async fn public_address(&self, address: &PublicAddressId) -> Result<PublicAddress, PortError>;
}

/// By what a vault decides who may read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessModel {
    /// Role assignments.
    Roles,
    /// Access policies of its own.
    Policies,
}

/// A key vault as diagnosis sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectedVault {
    /// What a rollout needs to know of it.
    pub resource: VaultResource,
    /// By what it decides.
    pub access: AccessModel,
}

/// An event subscription of a vault that delivers to a webhook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventSubscription {
    /// Its name.
    pub name: String,
    /// `provisioningState`.
    pub state: Option<String>,
    /// The endpoint's address without its query, which is not shown.
    pub base_url: Option<String>,
    /// The types that are delivered; `None` is all.
    pub event_types: Option<Vec<String>>,
    /// What the subject must begin with; empty is anything.
    pub subject_begins: String,
    /// What it must end with.
    pub subject_ends: String,
    /// `eventDeliverySchema`.
    pub schema: Option<String>,
    /// The tenant whose tokens are sent.
    pub tenant: Option<String>,
    /// For whom they are.
    pub application: Option<String>,
    /// Names of the headers that are sent.
    pub headers: Vec<String>,
}

/// Where permissions are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A cloud service.
    Service(CloudServiceId),
    /// A vault as a resource.
    Vault(SourceVaultId),
}

/// A server with a clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// Resource Manager.
    ResourceManager,
    /// A vault.
    Vault(VaultName),
}

/// What a server's clock showed, and this machine's before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerTime {
    /// When it was asked.
    pub asked: Timestamp,
    /// When it had answered.
    pub answered: Timestamp,
    /// What it answered, to the second.
    pub server: Timestamp,
}

/// Looks at what stands around vaults and services, for diagnosis. Reads only; every call is safe to repeat.
#[async_trait]
pub trait Inspection: Send + Sync {
    /// What the caller may do at a scope.
    async fn permissions(&self, scope: &Scope) -> Result<Vec<PermissionEntry>, PortError>;
    /// A vault as a resource.
    async fn vault(&self, vault: &SourceVaultId) -> Result<InspectedVault, PortError>;
    /// The event subscriptions of a vault that deliver to webhooks.
    async fn event_subscriptions(&self, vault: &SourceVaultId) -> Result<Vec<EventSubscription>, PortError>;
    /// What time a server has. Asked without a token, since a wrong clock may be why there is none.
    async fn server_time(&self, server: &Server) -> Result<ServerTime, PortError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form_tells_what_why_and_nothing_about_whoever_asked() {
        let refusal =
            "The client 'canary' does not have authorization to perform action. If access was granted, wait.";
        let long = "x".repeat(BRIEF + 1);
        for (kind, status, code, message, expected) in [
            (
                FaultKind::Forbidden,
                Some(403),
                Some("AuthorizationFailed"),
                refusal,
                "reading it: a permission is missing (403 AuthorizationFailed)".to_owned(),
            ),
            (
                FaultKind::NoToken,
                None,
                None,
                "client_secret: canary",
                "reading it: no identity gave a token".to_owned(),
            ),
            (
                FaultKind::Refused,
                Some(400),
                None,
                "Bad name. Correlation canary",
                "reading it: the request was refused (400): Bad name".to_owned(),
            ),
            (
                FaultKind::Unreachable,
                None,
                None,
                &long,
                format!("reading it: no connection: {}…", &long[..BRIEF]),
            ),
        ] {
            let fault = PortFault {
                doing: "reading it".to_owned(),
                kind,
                status,
                code: code.map(str::to_owned),
                message: message.to_owned(),
                hint: None,
            };
            assert_eq!(fault.brief(), expected);
        }
    }
}
