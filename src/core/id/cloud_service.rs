//! Resource ids of cloud services, and the names of their roles.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ParseIdError;

/// The resource id of a cloud service (extended support). Compared without case: Resource Manager returns resource
/// groups in capitals whatever the caller wrote.
#[derive(Clone, Debug)]
pub struct CloudServiceId {
    subscription: String,
    resource_group: String,
    name: String,
}

const KIND: &str = "the id of a cloud service";
const EXPECTED: &str = "`/subscriptions/<subscription id>/resourceGroups/<group>/providers/Microsoft.Compute/cloudServices/<name>`";

impl CloudServiceId {
    /// The subscription id (a GUID, in the case it was written in).
    pub fn subscription(&self) -> &str {
        &self.subscription
    }

    /// The resource group.
    pub fn resource_group(&self) -> &str {
        &self.resource_group
    }

    /// The service's own name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn folded(&self) -> String {
        self.to_string().to_ascii_lowercase()
    }
}

impl FromStr for CloudServiceId {
    type Err = ParseIdError;

    /// # Errors
    /// Anything but a whole resource id of a cloud service.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let [subscription, resource_group, name] = resource(text, "Microsoft.Compute", "cloudServices")
            .map_err(|reason| ParseIdError::new(KIND, text, reason, EXPECTED))?;
        Ok(Self { subscription, resource_group, name })
    }
}

/// Subscription, resource group and name of a resource of one type.
pub(super) fn resource(text: &str, provider: &str, collection: &str) -> Result<[String; 3], &'static str> {
    let segments = resource_segments(text).ok_or("it is not a resource id")?;
    let [("subscriptions", subscription), ("resourcegroups", group), ("providers", of), (kind, name)] =
        segments.as_slice()
    else {
        return Err("its parts are not those of a resource in a resource group");
    };
    if !of.eq_ignore_ascii_case(provider) || !kind.eq_ignore_ascii_case(collection) {
        return Err("it is a resource of another type");
    }
    Ok([subscription, group, name].map(|part| (*part).to_owned()))
}

/// The `key/value` pairs of a resource id; known keys in lower case. `None` where the text is no such sequence or
/// holds characters that would change the meaning of a URL.
fn resource_segments(text: &str) -> Option<Vec<(&'static str, &str)>> {
    const KEYS: [&str; 6] =
        ["subscriptions", "resourcegroups", "providers", "cloudservices", "vaults", "publicipaddresses"];
    let rest = text.strip_prefix('/')?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let parts: Vec<&str> = rest.split('/').collect();
    if !parts.len().is_multiple_of(2) {
        return None;
    }
    parts
        .chunks(2)
        .map(|pair| {
            let key = KEYS.iter().find(|key| key.eq_ignore_ascii_case(pair[0]))?;
            let value = pair[1];
            let safe = !value.is_empty()
                && value.len() <= 128
                && value != "."
                && value != ".."
                && value.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '(' | ')'));
            safe.then_some((*key, value))
        })
        .collect()
}

impl fmt::Display for CloudServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Compute/cloudServices/{}",
            self.subscription, self.resource_group, self.name
        )
    }
}

impl PartialEq for CloudServiceId {
    fn eq(&self, other: &Self) -> bool {
        self.folded() == other.folded()
    }
}

impl Eq for CloudServiceId {}

impl PartialOrd for CloudServiceId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CloudServiceId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded().cmp(&other.folded())
    }
}

impl Hash for CloudServiceId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().hash(state);
    }
}

impl Serialize for CloudServiceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CloudServiceId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The name of a role, as the cscfg and the service definition have it. Compared without case, as Microsoft's own
/// tools compare it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoleName(String);

impl RoleName {
    /// Takes the name as it stands in the cscfg.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq for RoleName {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_lowercase() == other.0.to_lowercase()
    }
}

impl Eq for RoleName {}

impl PartialOrd for RoleName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RoleName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.to_lowercase().cmp(&other.0.to_lowercase())
    }
}

impl Hash for RoleName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_lowercase().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compared_without_case() {
        let ours: CloudServiceId =
            "/subscriptions/0b1f/resourceGroups/shop/providers/Microsoft.Compute/cloudServices/shop"
                .parse()
                .unwrap();
        let theirs: CloudServiceId =
            "/SUBSCRIPTIONS/0B1F/resourcegroups/SHOP/providers/microsoft.compute/CloudServices/Shop/"
                .parse()
                .unwrap();
        assert_eq!(ours, theirs);
        assert_eq!(theirs.resource_group(), "SHOP");
    }

    #[test]
    fn what_would_change_a_url_is_refused() {
        for text in [
            "",
            "shop",
            "/subscriptions/a/resourceGroups/b/providers/Microsoft.Compute/cloudServices/..",
            "/subscriptions/a/resourceGroups/b/providers/Microsoft.Compute/cloudServices/x?y=z",
            "/subscriptions/a/resourceGroups/b/providers/Microsoft.Compute/cloudServices/x%2fy",
            "/subscriptions/a/resourceGroups/b/providers/Microsoft.Web/cloudServices/x",
            "/subscriptions//resourceGroups/b/providers/Microsoft.Compute/cloudServices/x",
            "/subscriptions/a/resourceGroups/b/providers/Microsoft.Compute/virtualMachines/x",
        ] {
            let fault = text.parse::<CloudServiceId>().unwrap_err();
            assert!(fault.to_string().contains("expected `/subscriptions/"), "{fault}");
        }
    }
}
