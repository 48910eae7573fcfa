//! Names and identifiers of Key Vault. Key Vault compares all of them without case.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::ParseIdError;
use super::cloud_service::resource;

/// The name of a key vault: 3 to 24 letters, digits and hyphens. Held in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct VaultName(String);

impl VaultName {
    /// The name in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VaultName {
    type Err = ParseIdError;

    /// # Errors
    /// Anything but 3 to 24 letters, digits and hyphens.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits =
            (3..=24).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if fits {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            let reason = "it is too short, too long or holds other characters";
            Err(ParseIdError::new(
                "the name of a key vault",
                text,
                reason,
                "3 to 24 letters, digits and hyphens",
            ))
        }
    }
}

/// Which collection of a vault an object is in. Both are first-class sources of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// A vault certificate: its leaf and thumbprint can be read without its key.
    Certificate,
    /// A plain secret that holds a certificate.
    Secret,
}

impl ObjectKind {
    /// The path segment of the collection: `certificates` or `secrets`.
    pub fn collection(self) -> &'static str {
        match self {
            Self::Certificate => "certificates",
            Self::Secret => "secrets",
        }
    }

    /// The word for one such object, for messages.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Certificate => "vault certificate",
            Self::Secret => "vault secret",
        }
    }
}

/// The name of an object in a vault: 1 to 127 letters, digits and hyphens. Kept as written, compared without case.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct ObjectName(String);

impl ObjectName {
    /// The name as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ObjectName {
    type Err = ParseIdError;

    /// # Errors
    /// Anything but 1 to 127 letters, digits and hyphens.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits =
            (1..=127).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            let reason = "it is empty, too long or holds other characters";
            Err(ParseIdError::new(
                "the name of a vault object",
                text,
                reason,
                "1 to 127 letters, digits and hyphens",
            ))
        }
    }
}

/// One version of a vault object: Key Vault's 32 hexadecimal digits, held in lower case. Other letters and digits are
/// accepted, since only the service decides what a version looks like.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct VersionId(String);

impl VersionId {
    /// The version in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VersionId {
    type Err = ParseIdError;

    /// # Errors
    /// Anything but 1 to 64 letters and digits.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            let reason = "it is empty, too long or holds other characters";
            Err(ParseIdError::new("the version of a vault object", text, reason, "32 hexadecimal digits"))
        }
    }
}

/// An object of a vault, without a version: what a configuration names as `shop-kv/certificates/shop-tls`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VaultObject {
    /// The vault.
    pub vault: VaultName,
    /// Certificate or secret.
    pub kind: ObjectKind,
    /// The object's name.
    pub name: ObjectName,
}

impl FromStr for VaultObject {
    type Err = ParseIdError;

    /// # Errors
    /// Anything but `vault/certificates/name` or `vault/secrets/name`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const KIND: &str = "a source in a vault";
        const EXPECTED: &str = "`<vault>/certificates/<name>` or `<vault>/secrets/<name>`";
        let parts: Vec<&str> = text.split('/').collect();
        let [vault, collection, name] = parts.as_slice() else {
            return Err(ParseIdError::new(KIND, text, "it has not three parts", EXPECTED));
        };
        let kind = [ObjectKind::Certificate, ObjectKind::Secret]
            .into_iter()
            .find(|kind| kind.collection().eq_ignore_ascii_case(collection))
            .ok_or_else(|| {
                ParseIdError::new(KIND, text, "its middle part is neither collection", EXPECTED)
            })?;
        Ok(Self { vault: vault.parse()?, kind, name: name.parse()? })
    }
}

impl fmt::Display for VaultObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.vault, self.kind.collection(), self.name)
    }
}

impl Serialize for VaultObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The resource id of a key vault, as `osProfile.secrets[].sourceVault.id` holds it. Kept as written, compared
/// without case.
#[derive(Clone, Debug)]
pub struct SourceVaultId {
    text: String,
    subscription: String,
    resource_group: String,
    name: VaultName,
}

impl SourceVaultId {
    /// The id as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The subscription id.
    pub fn subscription(&self) -> &str {
        &self.subscription
    }

    /// The resource group.
    pub fn resource_group(&self) -> &str {
        &self.resource_group
    }

    /// The vault's name.
    pub fn vault(&self) -> &VaultName {
        &self.name
    }
}

impl FromStr for SourceVaultId {
    type Err = ParseIdError;

    /// # Errors
    /// Anything but a whole resource id of a key vault.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const KIND: &str = "the id of a source vault";
        const EXPECTED: &str = "`/subscriptions/<subscription id>/resourceGroups/<group>/providers/Microsoft.KeyVault/vaults/<name>`";
        let [subscription, resource_group, name] = resource(text, "Microsoft.KeyVault", "vaults")
            .map_err(|reason| ParseIdError::new(KIND, text, reason, EXPECTED))?;
        Ok(Self { text: text.to_owned(), subscription, resource_group, name: name.parse()? })
    }
}

/// The versioned URL of a vault secret: what `certificateUrl` holds and what the service fetches. Kept as written
/// (with `:443` or without), compared by host, name and version without case and without the default port.
#[derive(Clone, Debug)]
pub struct SecretIdentifier {
    text: String,
    vault: VaultName,
    /// The host without the vault's name: `vault.azure.cn`.
    dns_suffix: String,
    name: ObjectName,
    version: VersionId,
}

impl SecretIdentifier {
    /// The URL as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The vault.
    pub fn vault(&self) -> &VaultName {
        &self.vault
    }

    /// The vault's DNS suffix, such as `vault.azure.cn`, in lower case.
    pub fn dns_suffix(&self) -> &str {
        &self.dns_suffix
    }

    /// The secret's name. A vault certificate and its secret share it.
    pub fn name(&self) -> &ObjectName {
        &self.name
    }

    /// The version. A vault certificate and its secret share it.
    pub fn version(&self) -> &VersionId {
        &self.version
    }

    /// The same secret's object in a given collection.
    pub fn object(&self, kind: ObjectKind) -> VaultObject {
        VaultObject { vault: self.vault.clone(), kind, name: self.name.clone() }
    }

    /// The URL of one version of a secret, in the form without a port that Key Vault's own `sid` has.
    pub fn of(vault: &VaultName, dns_suffix: &str, name: &ObjectName, version: &VersionId) -> Self {
        let dns_suffix = dns_suffix.to_ascii_lowercase();
        Self {
            text: format!("https://{vault}.{dns_suffix}/secrets/{name}/{version}"),
            vault: vault.clone(),
            dns_suffix,
            name: name.clone(),
            version: version.clone(),
        }
    }

    fn key(&self) -> (&VaultName, &str, &ObjectName, &VersionId) {
        (&self.vault, &self.dns_suffix, &self.name, &self.version)
    }
}

impl FromStr for SecretIdentifier {
    type Err = ParseIdError;

    /// # Errors
    /// Anything but `https://<vault>.<suffix>[:443]/secrets/<name>/<version>`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const KIND: &str = "a versioned secret identifier";
        const EXPECTED: &str = "`https://<vault>.<vault suffix>/secrets/<name>/<version>`";
        let fault = |reason| ParseIdError::new(KIND, text, reason, EXPECTED);
        let url = Url::parse(text).map_err(|_| fault("it is not a URL"))?;
        if url.scheme() != "https" {
            return Err(fault("it is not an https URL"));
        }
        if url.port().is_some() {
            return Err(fault("its port is not 443"));
        }
        if !url.username().is_empty()
            || url.password().is_some()
            || url.query().is_some()
            || url.fragment().is_some()
        {
            return Err(fault("it carries more than host and path"));
        }
        let host = url.host_str().ok_or_else(|| fault("it names no host"))?;
        let (vault, dns_suffix) = host.split_once('.').ok_or_else(|| fault("its host is no vault's"))?;
        let path: Vec<&str> = url.path().trim_matches('/').split('/').collect();
        let (name, version) = match path.as_slice() {
            [collection, name, version] if collection.eq_ignore_ascii_case("secrets") => (*name, *version),
            [collection, _] if collection.eq_ignore_ascii_case("secrets") => {
                return Err(fault("it names no version"));
            }
            _ => return Err(fault("its path is not that of a secret")),
        };
        Ok(Self {
            text: text.to_owned(),
            vault: vault.parse()?,
            dns_suffix: dns_suffix.to_ascii_lowercase(),
            name: name.parse()?,
            version: version.parse()?,
        })
    }
}

/// Comparison, hashing, printing and (de)serializing of the types above, each by the key that Azure compares.
macro_rules! identifier {
    ($type:ty, |$it:ident| $key:expr, |$shown:ident| $text:expr) => {
        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                let key = |$it: &Self| -> String { $key };
                key(self) == key(other)
            }
        }
        impl Eq for $type {}
        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for $type {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                let key = |$it: &Self| -> String { $key };
                key(self).cmp(&key(other))
            }
        }
        impl Hash for $type {
            fn hash<H: Hasher>(&self, state: &mut H) {
                let key = |$it: &Self| -> String { $key };
                key(self).hash(state);
            }
        }
        identifier!($type, |$shown| $text);
    };
    ($type:ty, |$shown:ident| $text:expr) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $shown = self;
                f.write_str($text)
            }
        }
        identifier!($type);
    };
    ($type:ty) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

identifier!(VaultName, |it| &it.0);
identifier!(VersionId, |it| &it.0);
identifier!(VaultObject);
identifier!(ObjectName, |it| it.0.to_ascii_lowercase(), |it| &it.0);
identifier!(SourceVaultId, |it| it.text.trim_end_matches('/').to_ascii_lowercase(), |it| &it.text);
identifier!(SecretIdentifier, |it| &it.text);

// Compared part by part, without building a text: large services compare many of these.
impl PartialEq for SecretIdentifier {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for SecretIdentifier {}

impl PartialOrd for SecretIdentifier {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SecretIdentifier {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for SecretIdentifier {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl Serialize for SourceVaultId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl Serialize for SecretIdentifier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretIdentifier {
        text.parse().unwrap()
    }

    #[test]
    fn secret_identifiers_compare_without_port_and_case() {
        let plain =
            secret("https://shop-kv.vault.azure.cn/secrets/shop-tls/0f3a9c1d2b4e5f60718293a4b5c6d7e8");
        let other =
            secret("https://Shop-KV.vault.azure.cn:443/secrets/Shop-TLS/0F3A9C1D2B4E5F60718293A4B5C6D7E8");
        assert_eq!(plain, other);
        assert_eq!(
            other.as_str(),
            "https://Shop-KV.vault.azure.cn:443/secrets/Shop-TLS/0F3A9C1D2B4E5F60718293A4B5C6D7E8"
        );
        assert_eq!(plain.dns_suffix(), "vault.azure.cn");
        assert_eq!(plain.object(ObjectKind::Certificate).to_string(), "shop-kv/certificates/shop-tls");
    }

    #[test]
    fn secret_identifiers_are_refused_with_the_reason() {
        for (text, reason) in [
            ("http://a-kv.vault.azure.cn/secrets/a/b", "not an https URL"),
            ("https://a-kv.vault.azure.cn:8443/secrets/a/b", "port"),
            ("https://a-kv.vault.azure.cn/secrets/a", "names no version"),
            ("https://a-kv.vault.azure.cn/certificates/a/b", "not that of a secret"),
            ("https://me@a-kv.vault.azure.cn/secrets/a/b", "more than host and path"),
            ("https://a-kv.vault.azure.cn/secrets/a/b?x=y", "more than host and path"),
            ("https://localhost/secrets/a/b", "no vault's"),
            ("secrets/a/b", "not a URL"),
        ] {
            let message = text.parse::<SecretIdentifier>().unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
        }
    }

    #[test]
    fn source_vaults_compare_without_case_and_keep_their_text() {
        let a: SourceVaultId =
            "/subscriptions/S/resourceGroups/G/providers/Microsoft.KeyVault/vaults/shop-kv".parse().unwrap();
        let b: SourceVaultId =
            "/subscriptions/s/resourcegroups/g/providers/microsoft.keyvault/vaults/SHOP-KV".parse().unwrap();
        assert_eq!(a, b);
        assert_eq!(b.vault().as_str(), "shop-kv");
        assert_eq!(serde_json::to_string(&b).unwrap(), format!("\"{}\"", b.as_str()));
    }

    #[test]
    fn sources_name_a_collection() {
        let source: VaultObject = "shop-kv/secrets/contoso-root".parse().unwrap();
        assert_eq!(source.kind, ObjectKind::Secret);
        for text in ["shop-kv", "shop-kv/keys/a", "x/secrets/a", "shop-kv/secrets/a_b", "shop-kv/secrets/a/b"]
        {
            assert!(text.parse::<VaultObject>().is_err(), "{text}");
        }
    }
}
