//! `osProfile.secrets`: which secrets the service delivers to its instances, grouped by source vault.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::model::ModelError;
use crate::id::{SecretIdentifier, SourceVaultId};

/// `properties.osProfile`, with every member that is not known kept as it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct OsProfile {
    groups: Vec<SecretGroup>,
    rest: Map<String, Value>,
}

/// The secrets of one source vault.
#[derive(Clone, Debug, PartialEq)]
pub struct SecretGroup {
    source_vault: SourceVaultId,
    certificates: Vec<VaultCertificate>,
    source_vault_rest: Map<String, Value>,
    rest: Map<String, Value>,
}

/// One `certificateUrl`, with members such as `isBootstrapCertificate` kept as they came.
#[derive(Clone, Debug, PartialEq)]
pub struct VaultCertificate {
    url: SecretIdentifier,
    rest: Map<String, Value>,
}

impl VaultCertificate {
    /// The versioned secret.
    pub fn url(&self) -> &SecretIdentifier {
        &self.url
    }
}

impl SecretGroup {
    /// The vault's resource id.
    pub fn source_vault(&self) -> &SourceVaultId {
        &self.source_vault
    }

    /// Its secrets, in the order of the resource.
    pub fn certificates(&self) -> &[VaultCertificate] {
        &self.certificates
    }
}

impl OsProfile {
    /// The groups, one for each source vault.
    pub fn groups(&self) -> &[SecretGroup] {
        &self.groups
    }

    /// Every secret of every group.
    pub fn urls(&self) -> impl Iterator<Item = &SecretIdentifier> {
        self.groups.iter().flat_map(|group| &group.certificates).map(VaultCertificate::url)
    }

    /// The same profile with one secret in the place of another. `from` keeps its place, its group and its unknown
    /// members; if `to` stands in the group already, `from` is taken out instead. A secret of another vault moves to
    /// that vault's group, which must exist or be made with `vault`.
    #[must_use]
    pub fn with_replaced(
        &self,
        from: &SecretIdentifier,
        to: &SecretIdentifier,
        vault: &SourceVaultId,
    ) -> Self {
        let mut next = self.clone();
        let present = self.urls().any(|url| url == to);
        let mut moved = None;
        for group in &mut next.groups {
            let Some(place) = group.certificates.iter().position(|entry| &entry.url == from) else {
                continue;
            };
            if present {
                group.certificates.remove(place);
            } else if &group.source_vault == vault {
                group.certificates[place].url = to.clone();
            } else {
                moved = Some(group.certificates.remove(place));
            }
        }
        if let Some(mut entry) = moved {
            entry.url = to.clone();
            next.insert(entry, vault);
        }
        next.groups.retain(|group| !group.certificates.is_empty());
        next
    }

    /// The same profile with one secret more, unless it is there.
    #[must_use]
    pub fn with_added(&self, url: &SecretIdentifier, vault: &SourceVaultId) -> Self {
        let mut next = self.clone();
        if !self.urls().any(|present| present == url) {
            next.insert(VaultCertificate { url: url.clone(), rest: Map::new() }, vault);
        }
        next
    }

    /// The same profile without one secret.
    #[must_use]
    pub fn without(&self, url: &SecretIdentifier) -> Self {
        let mut next = self.clone();
        for group in &mut next.groups {
            group.certificates.retain(|entry| &entry.url != url);
        }
        next.groups.retain(|group| !group.certificates.is_empty());
        next
    }

    fn insert(&mut self, entry: VaultCertificate, vault: &SourceVaultId) {
        match self.groups.iter_mut().find(|group| &group.source_vault == vault) {
            Some(group) => group.certificates.push(entry),
            None => self.groups.push(SecretGroup {
                source_vault: vault.clone(),
                certificates: vec![entry],
                source_vault_rest: Map::new(),
                rest: Map::new(),
            }),
        }
    }

    /// Reads `properties.osProfile`; a missing one is empty. Groups that name the same vault in another spelling are
    /// put together, since the service refuses a vault that stands twice.
    ///
    /// # Errors
    /// A member of another shape than documented, named with its path.
    pub fn read(value: Option<&Value>) -> Result<Self, ModelError> {
        let mut profile = Self { groups: Vec::new(), rest: Map::new() };
        let value = match value {
            None | Some(Value::Null) => return Ok(profile),
            Some(Value::Object(members)) => members,
            Some(other) => return Err(ModelError::shape("properties.osProfile", "an object", other)),
        };
        profile.rest =
            value.iter().filter(|(key, _)| *key != "secrets").map(|(k, v)| (k.clone(), v.clone())).collect();
        let secrets = match value.get("secrets") {
            None | Some(Value::Null) => return Ok(profile),
            Some(Value::Array(groups)) => groups,
            Some(other) => return Err(ModelError::shape("properties.osProfile.secrets", "an array", other)),
        };
        for (index, group) in secrets.iter().enumerate() {
            let group = read_group(index, group)?;
            match profile.groups.iter_mut().find(|known| known.source_vault == group.source_vault) {
                Some(known) => {
                    let fresh: Vec<_> = group
                        .certificates
                        .into_iter()
                        .filter(|entry| !known.certificates.iter().any(|have| have.url == entry.url))
                        .collect();
                    known.certificates.extend(fresh);
                    add_missing(&mut known.source_vault_rest, group.source_vault_rest);
                    add_missing(&mut known.rest, group.rest);
                }
                None => profile.groups.push(group),
            }
        }
        Ok(profile)
    }

    /// The members besides `certificateUrl` in which this profile and another differ, by their paths: the source vault
    /// and the unknown members of the secrets that both have, and the unknown members around them.
    pub fn members_that_differ(&self, other: &Self) -> Vec<String> {
        let mut paths = Vec::new();
        differing("osProfile", &self.rest, &other.rest, &mut paths);
        for group in &self.groups {
            let path = format!("osProfile.secrets of vault {}", group.source_vault.vault());
            if let Some(twin) = other.groups.iter().find(|twin| twin.source_vault == group.source_vault) {
                differing(&path, &group.rest, &twin.rest, &mut paths);
                differing(
                    &format!("{path}.sourceVault"),
                    &group.source_vault_rest,
                    &twin.source_vault_rest,
                    &mut paths,
                );
            }
            for entry in &group.certificates {
                let Some((other_group, twin)) = other.entry(&entry.url) else { continue };
                let path = format!("osProfile.secrets, {}", entry.url);
                if other_group.source_vault != group.source_vault {
                    paths.push(format!("{path}.sourceVault"));
                }
                differing(&path, &entry.rest, &twin.rest, &mut paths);
            }
        }
        paths
    }

    fn entry(&self, url: &SecretIdentifier) -> Option<(&SecretGroup, &VaultCertificate)> {
        self.groups.iter().find_map(|group| {
            group.certificates.iter().find(|entry| &entry.url == url).map(|entry| (group, entry))
        })
    }

    /// The profile as it is sent.
    pub fn to_value(&self) -> Value {
        let groups = self
            .groups
            .iter()
            .map(|group| {
                let mut source_vault = Map::new();
                source_vault.insert("id".to_owned(), group.source_vault.as_str().into());
                source_vault.extend(group.source_vault_rest.clone());
                let certificates = group
                    .certificates
                    .iter()
                    .map(|entry| {
                        let mut members = Map::new();
                        members.insert("certificateUrl".to_owned(), entry.url.as_str().into());
                        members.extend(entry.rest.clone());
                        Value::Object(members)
                    })
                    .collect();
                let mut members = Map::new();
                members.insert("sourceVault".to_owned(), Value::Object(source_vault));
                members.insert("vaultCertificates".to_owned(), Value::Array(certificates));
                members.extend(group.rest.clone());
                Value::Object(members)
            })
            .collect();
        let mut members = Map::new();
        members.insert("secrets".to_owned(), Value::Array(groups));
        members.extend(self.rest.clone());
        Value::Object(members)
    }
}

/// Where the members of two objects differ. Missing, `null`, `false` and `"false"` are one: a service that fills in
/// what it assumes has changed nothing, and Microsoft's own example writes a boolean as text.
fn differing(path: &str, ours: &Map<String, Value>, theirs: &Map<String, Value>, paths: &mut Vec<String>) {
    let plain = |value: Option<&Value>| match value {
        None | Some(Value::Null | Value::Bool(false)) => Value::Null,
        Some(Value::Bool(true)) => "true".into(),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Value::Null,
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => "true".into(),
        Some(other) => other.clone(),
    };
    let keys = ours.keys().chain(theirs.keys().filter(|key| !ours.contains_key(*key)));
    paths.extend(
        keys.filter(|key| plain(ours.get(*key)) != plain(theirs.get(*key)))
            .map(|key| format!("{path}.{key}")),
    );
}

fn add_missing(members: &mut Map<String, Value>, more: Map<String, Value>) {
    for (key, value) in more {
        members.entry(key).or_insert(value);
    }
}

fn read_group(index: usize, group: &Value) -> Result<SecretGroup, ModelError> {
    let path = format!("properties.osProfile.secrets[{index}]");
    let members = group.as_object().ok_or_else(|| ModelError::shape(&path, "an object", group))?;
    let vault_path = format!("{path}.sourceVault");
    let vault = members
        .get("sourceVault")
        .and_then(Value::as_object)
        .ok_or_else(|| ModelError::missing(&vault_path, "an object with the vault's `id`"))?;
    let id = vault
        .get("id")
        .and_then(Value::as_str)
        .ok_or_else(|| ModelError::missing(&format!("{vault_path}.id"), "the vault's resource id"))?;
    let mut certificates: Vec<VaultCertificate> = Vec::new();
    let list = members.get("vaultCertificates").unwrap_or(&Value::Null);
    let entries = match list {
        Value::Null => &[][..],
        Value::Array(entries) => entries,
        other => return Err(ModelError::shape(&format!("{path}.vaultCertificates"), "an array", other)),
    };
    for (place, entry) in entries.iter().enumerate() {
        let path = format!("{path}.vaultCertificates[{place}]");
        let entry = entry.as_object().ok_or_else(|| ModelError::shape(&path, "an object", entry))?;
        let url_path = format!("{path}.certificateUrl");
        let url = match entry.get("certificateUrl") {
            Some(Value::String(url)) => url,
            Some(other) => return Err(ModelError::shape(&url_path, "a URL", other)),
            None => return Err(ModelError::missing(&url_path, "a versioned secret identifier")),
        };
        let url: SecretIdentifier =
            url.parse().map_err(|source| ModelError::Identifier { path: url_path, source })?;
        if !certificates.iter().any(|have| have.url == url) {
            let rest = others(entry, &["certificateUrl"]);
            certificates.push(VaultCertificate { url, rest });
        }
    }
    Ok(SecretGroup {
        source_vault: id
            .parse()
            .map_err(|source| ModelError::Identifier { path: format!("{vault_path}.id"), source })?,
        certificates,
        source_vault_rest: others(vault, &["id"]),
        rest: others(members, &["sourceVault", "vaultCertificates"]),
    })
}

fn others(members: &Map<String, Value>, known: &[&str]) -> Map<String, Value> {
    members
        .iter()
        .filter(|(key, _)| !known.contains(&key.as_str()))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

impl TryFrom<Value> for OsProfile {
    type Error = ModelError;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        Self::read(Some(&value))
    }
}

impl From<OsProfile> for Value {
    fn from(profile: OsProfile) -> Self {
        profile.to_value()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const VAULT: &str = "/subscriptions/s/resourceGroups/shop/providers/Microsoft.KeyVault/vaults/shop-kv";

    fn url(name: &str, version: &str) -> SecretIdentifier {
        format!("https://shop-kv.vault.azure.cn/secrets/{name}/{version}").parse().unwrap()
    }

    fn profile() -> OsProfile {
        OsProfile::read(Some(&json!({
            "secrets": [
                { "sourceVault": { "id": VAULT }, "vaultCertificates": [
                    { "certificateUrl": "https://shop-kv.vault.azure.cn:443/secrets/tls/1", "isBootstrapCertificate": "true" },
                    { "certificateUrl": "https://shop-kv.vault.azure.cn/secrets/root/1" } ] },
                { "sourceVault": { "id": VAULT.to_uppercase() }, "vaultCertificates": [
                    { "certificateUrl": "https://shop-kv.vault.azure.cn/secrets/inter/1" } ], "later": 7 }
            ],
            "windowsConfiguration": { "x": 1 }
        })))
        .unwrap()
    }

    #[test]
    fn one_group_a_vault_and_unknown_members_kept() {
        let read = profile();
        assert_eq!(read.groups().len(), 1);
        assert_eq!(read.urls().count(), 3);
        let value = read
            .with_replaced(&url("tls", "1"), &url("tls", "2"), read.groups()[0].source_vault())
            .to_value();
        let entry = &value["secrets"][0]["vaultCertificates"][0];
        assert_eq!(entry["certificateUrl"], "https://shop-kv.vault.azure.cn/secrets/tls/2");
        assert_eq!(entry["isBootstrapCertificate"], "true");
        assert_eq!(value["windowsConfiguration"]["x"], 1);
        assert_eq!(value["secrets"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn a_secret_of_another_vault_moves_to_its_group() {
        let read = profile();
        let other: SourceVaultId =
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/new-kv".parse().unwrap();
        let to: SecretIdentifier = "https://new-kv.vault.azure.cn/secrets/tls/2".parse().unwrap();
        let moved = read.with_replaced(&url("tls", "1"), &to, &other);
        assert_eq!(moved.groups().len(), 2);
        assert_eq!(moved.groups()[1].certificates()[0].url(), &to);
        assert!(moved.urls().all(|have| have != &url("tls", "1")));
        let gone = moved.without(&to);
        assert_eq!(gone.groups().len(), 1);
    }

    #[test]
    fn malformed_profiles_name_their_place() {
        for (value, said) in [
            (json!([]), "properties.osProfile"),
            (json!({"secrets": {}}), "properties.osProfile.secrets"),
            (json!({"secrets": [{"vaultCertificates": []}]}), "properties.osProfile.secrets[0].sourceVault"),
            (json!({"secrets": [{"sourceVault": {"id": "x"}}]}), "secrets[0].sourceVault.id"),
            (
                json!({"secrets": [{"sourceVault": {"id": VAULT}, "vaultCertificates": [{"certificateUrl": "https://a-kv.vault.azure.cn/secrets/x"}]}]}),
                "secrets[0].vaultCertificates[0].certificateUrl",
            ),
        ] {
            let fault = OsProfile::read(Some(&value)).unwrap_err();
            assert!(fault.to_string().contains(said), "{fault}");
        }
    }
}
