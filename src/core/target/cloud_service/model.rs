//! The resource as Resource Manager returned it: JSON kept whole, with typed views of what certroll needs.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use super::OsProfile;
use crate::cscfg::{CscfgError, ServiceConfiguration};
use crate::id::{CloudServiceId, ParseIdError};

/// A cloud service as read. Members that are not known stay where they are. Its cscfg and extensions may hold secrets:
/// `Debug` prints the id alone.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CloudServiceModel(Value);

impl fmt::Debug for CloudServiceModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0.get("id").and_then(Value::as_str).unwrap_or_default();
        f.debug_struct("CloudServiceModel").field("id", &id).finish_non_exhaustive()
    }
}

/// How an update walks the update domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpgradeMode {
    /// The service walks them one after the other. Also stands for a mode that is not known.
    Auto,
    /// Each update domain waits for a call.
    Manual,
    /// All at once.
    Simultaneous,
}

/// `properties.provisioningState`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProvisioningState {
    /// Nothing runs; the last operation succeeded.
    Succeeded,
    /// Nothing runs; the last operation failed or was cancelled.
    Failed,
    /// An operation runs.
    Busy(String),
    /// The answer did not say.
    Unknown,
}

/// What a resource lacks or has in another shape.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum ModelError {
    /// A member that must be there is not.
    #[error("`{path}` is missing from the cloud service; expected {expected}")]
    Missing {
        /// The member's path.
        path: String,
        /// What should stand there.
        expected: String,
    },
    /// A member has another type than documented.
    #[error("`{path}` of the cloud service is {found}; expected {expected}")]
    Shape {
        /// The member's path.
        path: String,
        /// What should stand there.
        expected: String,
        /// What stands there.
        found: &'static str,
    },
    /// An identifier does not parse.
    #[error("`{path}` of the cloud service: {source}")]
    Identifier {
        /// The member's path.
        path: String,
        /// What is wrong with it.
        source: ParseIdError,
    },
    /// The cscfg does not parse.
    #[error("`properties.configuration` (the cscfg): {0}")]
    Configuration(CscfgError),
}

impl ModelError {
    pub(super) fn missing(path: &str, expected: &str) -> Self {
        Self::Missing { path: path.to_owned(), expected: expected.to_owned() }
    }

    pub(super) fn shape(path: &str, expected: &str, found: &Value) -> Self {
        Self::Shape { path: path.to_owned(), expected: expected.to_owned(), found: describe(found) }
    }
}

/// The JSON type of a value, with its article.
fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

impl CloudServiceModel {
    /// Takes an answer of Resource Manager.
    ///
    /// # Errors
    /// The answer is no object.
    pub fn new(value: Value) -> Result<Self, ModelError> {
        if value.is_object() {
            Ok(Self(value))
        } else {
            Err(ModelError::shape("the answer", "an object", &value))
        }
    }

    /// The whole resource.
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// The resource's id.
    ///
    /// # Errors
    /// It is missing or malformed.
    pub fn id(&self) -> Result<CloudServiceId, ModelError> {
        let text = self
            .0
            .get("id")
            .and_then(Value::as_str)
            .ok_or_else(|| ModelError::missing("id", "the resource id"))?;
        text.parse().map_err(|source| ModelError::Identifier { path: "id".to_owned(), source })
    }

    /// The region, lower case and without spaces, as regions are compared.
    pub fn location(&self) -> Option<String> {
        self.0.get("location").and_then(Value::as_str).map(normalised_location)
    }

    fn property(&self, name: &str) -> Option<&Value> {
        self.0.get("properties").and_then(|properties| properties.get(name))
    }

    /// Whether the answer carries the cscfg at all. List answers are not known to.
    pub fn has_configuration(&self) -> bool {
        self.property("configuration").is_some_and(Value::is_string)
    }

    /// The cscfg as text.
    ///
    /// # Errors
    /// It is missing or no text.
    pub fn configuration_text(&self) -> Result<&str, ModelError> {
        match self.property("configuration") {
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(ModelError::shape("properties.configuration", "the cscfg as text", other)),
            None => Err(ModelError::missing("properties.configuration", "the cscfg as text")),
        }
    }

    /// The cscfg, scanned.
    ///
    /// # Errors
    /// It is missing or does not parse.
    pub fn configuration(&self) -> Result<ServiceConfiguration, ModelError> {
        ServiceConfiguration::parse(self.configuration_text()?).map_err(ModelError::Configuration)
    }

    /// The secrets.
    ///
    /// # Errors
    /// They have another shape than documented.
    pub fn os_profile(&self) -> Result<OsProfile, ModelError> {
        OsProfile::read(self.property("osProfile"))
    }

    /// How an update walks the update domains.
    pub fn upgrade_mode(&self) -> UpgradeMode {
        match self.property("upgradeMode").and_then(Value::as_str) {
            Some(mode) if mode.eq_ignore_ascii_case("Manual") => UpgradeMode::Manual,
            Some(mode) if mode.eq_ignore_ascii_case("Simultaneous") => UpgradeMode::Simultaneous,
            _ => UpgradeMode::Auto,
        }
    }

    /// Whether an operation runs.
    pub fn provisioning_state(&self) -> ProvisioningState {
        match self.property("provisioningState").and_then(Value::as_str) {
            Some(state) if state.eq_ignore_ascii_case("Succeeded") => ProvisioningState::Succeeded,
            Some(state)
                if ["Failed", "Canceled", "Cancelled"]
                    .iter()
                    .any(|word| state.eq_ignore_ascii_case(word)) =>
            {
                ProvisioningState::Failed
            }
            Some(state) => ProvisioningState::Busy(state.to_owned()),
            None => ProvisioningState::Unknown,
        }
    }

    /// `systemData.lastModifiedAt`, the only change token that the service has.
    pub fn last_modified(&self) -> Option<&str> {
        self.0.get("systemData").and_then(|data| data.get("lastModifiedAt")).and_then(Value::as_str)
    }

    /// Roles with their number of instances (`roleProfile.roles[].sku.capacity`).
    pub fn role_capacities(&self) -> Vec<(String, u64)> {
        self.property("roleProfile")
            .and_then(|profile| profile.get("roles"))
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|role| {
                let name = role.get("name")?.as_str()?;
                let capacity = role.get("sku").and_then(|sku| sku.get("capacity")).and_then(Value::as_u64)?;
                Some((name.to_owned(), capacity))
            })
            .collect()
    }

    /// Whether the Key Vault extension for PaaS serves this service, which rotates certificates by itself.
    pub fn has_key_vault_extension(&self) -> bool {
        self.property("extensionProfile")
            .and_then(|profile| profile.get("extensions"))
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|extension| extension.get("properties")?.get("type")?.as_str())
            .any(|kind| kind.eq_ignore_ascii_case("KeyVaultForPaaS"))
    }

    /// What is sent to put `configuration` and `os_profile` in place: those two, and of the rest only what the
    /// service might take as a change if it were left out.
    ///
    /// Extension, network and role profiles stay out: an empty list would delete extensions, protected settings are
    /// never returned, and a resent role profile is checked against a package that nobody sees. `id`, `name`, `type`
    /// are read-only.
    ///
    /// # Errors
    /// The resource has no `location`, which every PUT must carry.
    pub fn put_body(
        &self,
        configuration: &ServiceConfiguration,
        os_profile: &OsProfile,
    ) -> Result<PutBody, ModelError> {
        let location =
            self.0.get("location").ok_or_else(|| ModelError::missing("location", "the service's region"))?;
        let mut body = Map::new();
        body.insert("location".to_owned(), location.clone());
        for member in ["tags", "zones"] {
            if let Some(value) = self.0.get(member) {
                body.insert(member.to_owned(), value.clone());
            }
        }
        let mut properties = Map::new();
        properties.insert("configuration".to_owned(), configuration.text().into());
        properties.insert("osProfile".to_owned(), os_profile.to_value());
        if let Some(mode) = self.property("upgradeMode") {
            properties.insert("upgradeMode".to_owned(), mode.clone());
        }
        body.insert("properties".to_owned(), Value::Object(properties));
        Ok(PutBody(Value::Object(body)))
    }

    /// The resource without the members that a certificate change touches or that the service moves by itself: two
    /// of these are equal where nobody else changed the service.
    pub fn untouched_members(&self) -> Value {
        let mut rest = self.0.clone();
        if let Some(members) = rest.as_object_mut() {
            members.remove("systemData");
            members.remove("id");
            members.remove("etag");
        }
        if let Some(properties) = rest.get_mut("properties").and_then(Value::as_object_mut) {
            for member in ["configuration", "osProfile", "provisioningState"] {
                properties.remove(member);
            }
            if let Some(extensions) = properties
                .get_mut("extensionProfile")
                .and_then(|profile| profile.get_mut("extensions"))
                .and_then(Value::as_array_mut)
            {
                for extension in extensions {
                    if let Some(inner) = extension.get_mut("properties").and_then(Value::as_object_mut) {
                        inner.remove("provisioningState");
                    }
                }
            }
        }
        rest
    }
}

/// A region as regions are compared: `China East 2` and `chinaeast2` are one.
pub(crate) fn normalised_location(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// The body of a PUT, made by [`CloudServiceModel::put_body`] only. It holds the cscfg: `Debug` prints nothing of it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PutBody(Value);

impl fmt::Debug for PutBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutBody").finish_non_exhaustive()
    }
}

impl PutBody {
    /// The body as it is sent.
    pub fn value(&self) -> &Value {
        &self.0
    }
}
