//! The model of a cloud service: what a PUT sets and a GET returns, and the JSON of it by api-version.

use serde_json::{Map, Value, json};

use crate::clock::utc;
use crate::service::Service;

/// First api-version with `systemData`, `slotType` and load balancer ids.
const SYSTEM_DATA_SINCE: &str = "2022-04-04";
/// First api-version with `zones`, and with `frontendIpConfigurations` spelt like this.
const ZONES_SINCE: &str = "2022-09-04";
/// First api-version with `isBootstrapCertificate`.
const BOOTSTRAP_SINCE: &str = "2024-11-04";

/// What a PUT sets.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Tags, if there are any.
    pub tags: Option<Map<String, Value>>,
    /// Zones, if there are any.
    pub zones: Option<Vec<String>>,
    /// The cscfg, byte for byte.
    pub configuration: String,
    /// How update domains are walked.
    pub upgrade_mode: UpgradeMode,
    /// `roleProfile.roles` as sent.
    pub roles: Vec<Value>,
    /// `osProfile.secrets`.
    pub secrets: Vec<SecretGroup>,
    /// `networkProfile` as sent.
    pub network: Value,
    /// Extensions, with the protected settings that are never returned.
    pub extensions: Vec<Value>,
    /// Never returned.
    pub allow_model_override: bool,
}

/// How update domains are walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeMode {
    /// One after another.
    Auto,
    /// When told to.
    Manual,
    /// All at once.
    Simultaneous,
}

/// The certificates from one vault.
#[derive(Clone, Debug, PartialEq)]
pub struct SecretGroup {
    /// Resource id of the vault, as sent.
    pub vault_id: String,
    /// The references.
    pub certificates: Vec<CertificateReference>,
}

/// One `certificateUrl`.
#[derive(Clone, Debug, PartialEq)]
pub struct CertificateReference {
    /// The URL, as sent.
    pub url: String,
    /// `isBootstrapCertificate`, as sent.
    pub bootstrap: Option<Value>,
}

/// `provisioningState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProvisioningState {
    /// Something is being carried out.
    Updating,
    /// The last operation succeeded.
    Succeeded,
    /// The last operation failed.
    Failed,
    /// The last operation was cancelled.
    Canceled,
}

impl UpgradeMode {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            UpgradeMode::Auto => "Auto",
            UpgradeMode::Manual => "Manual",
            UpgradeMode::Simultaneous => "Simultaneous",
        }
    }

    pub(crate) fn of(word: &str) -> Option<Self> {
        [UpgradeMode::Auto, UpgradeMode::Manual, UpgradeMode::Simultaneous]
            .into_iter()
            .find(|mode| mode.word().eq_ignore_ascii_case(word))
    }
}

impl ProvisioningState {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            ProvisioningState::Updating => "Updating",
            ProvisioningState::Succeeded => "Succeeded",
            ProvisioningState::Failed => "Failed",
            ProvisioningState::Canceled => "Canceled",
        }
    }
}

impl Model {
    /// The certificateUrls of all groups, in order.
    pub fn certificate_urls(&self) -> impl Iterator<Item = &str> {
        self.secrets.iter().flat_map(|group| &group.certificates).map(|one| one.url.as_str())
    }

    pub(crate) fn to_json(&self, service: &Service, version: &str) -> Value {
        let mut body = Map::new();
        body.insert("name".to_owned(), json!(service.id.name));
        body.insert("id".to_owned(), json!(service.resource_id()));
        body.insert("type".to_owned(), json!("Microsoft.Compute/cloudServices"));
        body.insert("location".to_owned(), json!(service.location));
        if let Some(tags) = &self.tags {
            body.insert("tags".to_owned(), Value::Object(tags.clone()));
        }
        if let Some(zones) = self.zones.as_ref().filter(|_| version >= ZONES_SINCE) {
            body.insert("zones".to_owned(), json!(zones));
        }
        body.insert("properties".to_owned(), self.properties(service, version));
        if version >= SYSTEM_DATA_SINCE {
            let (created, modified) = (utc(service.created), utc(service.last_modified));
            body.insert("systemData".to_owned(), json!({ "createdAt": created, "lastModifiedAt": modified }));
        }
        Value::Object(body)
    }

    fn properties(&self, service: &Service, version: &str) -> Value {
        let mut properties = json!({
            "configuration": self.configuration,
            "upgradeMode": self.upgrade_mode.word(),
            "roleProfile": { "roles": self.roles },
            "osProfile": { "secrets": self.secrets.iter().map(|group| group.to_json(version)).collect::<Vec<_>>() },
            "networkProfile": network(&self.network, version),
        });
        if !self.extensions.is_empty() {
            properties["extensionProfile"] =
                json!({ "extensions": self.extensions.iter().map(extension).collect::<Vec<_>>() });
        }
        properties["provisioningState"] = json!(service.provisioning_state().word());
        properties["uniqueId"] = json!(service.unique_id);
        properties
    }
}

impl SecretGroup {
    fn to_json(&self, version: &str) -> Value {
        let certificate = |one: &CertificateReference| {
            let mut body = json!({ "certificateUrl": one.url });
            if let Some(flag) = one.bootstrap.as_ref().filter(|_| version >= BOOTSTRAP_SINCE) {
                body["isBootstrapCertificate"] = flag.clone();
            }
            body
        };
        json!({
            "sourceVault": { "id": self.vault_id },
            "vaultCertificates": self.certificates.iter().map(certificate).collect::<Vec<_>>(),
        })
    }
}

/// The network profile in a version's spelling.
fn network(network: &Value, version: &str) -> Value {
    let mut network = network.clone();
    if version < SYSTEM_DATA_SINCE
        && let Some(members) = network.as_object_mut()
    {
        members.remove("slotType");
    }
    if version < ZONES_SINCE {
        let balancers = network.get_mut("loadBalancerConfigurations").and_then(Value::as_array_mut);
        for balancer in balancers.into_iter().flatten() {
            let Some(properties) = balancer.get_mut("properties").and_then(Value::as_object_mut) else {
                continue;
            };
            if let Some(frontends) = properties.remove("frontendIpConfigurations") {
                properties.insert("frontendIPConfigurations".to_owned(), frontends);
            }
        }
    }
    network
}

/// An extension as it is returned: without protected settings, with its state.
fn extension(extension: &Value) -> Value {
    let mut extension = extension.clone();
    if let Some(properties) = extension.get_mut("properties").and_then(Value::as_object_mut) {
        properties.remove("protectedSettings");
        properties.insert("provisioningState".to_owned(), json!("Succeeded"));
    }
    extension
}
