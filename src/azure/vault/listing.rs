//! Items of lists: objects and versions.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use certroll_core::certificate::VersionFacts;
use certroll_core::id::{ObjectKind, ObjectName, Thumbprint, VersionId};
use certroll_core::ports::ListedObject;
use url::Url;

use crate::call::{Misread, Node};

/// An object of a list answer: its `id` has no version, its attributes are those of the current one.
pub(super) fn object(item: &Node<'_>, kind: ObjectKind) -> Result<ListedObject, Misread> {
    let (name, _) = identity(item, kind)?;
    let (enabled, updated) = match item.member("attributes") {
        Some(attributes) => (attributes.flag_of("enabled")?.unwrap_or(true), attributes.time_of("updated")?),
        None => (true, None),
    };
    Ok(ListedObject {
        name,
        enabled,
        updated,
        thumbprint: thumbprint(item)?,
        managed: item.flag_of("managed")?.unwrap_or(false),
    })
}

/// A version of a list answer.
pub(super) fn version(item: &Node<'_>, kind: ObjectKind) -> Result<VersionFacts, Misread> {
    let (_, version) = identity(item, kind)?;
    let id = item.required("id", "the identifier of a version")?;
    facts(item, version.ok_or_else(|| id.unlike("the identifier of a version"))?)
}

/// The attributes of one version. Those that are absent say nothing against it: an object is enabled unless it says
/// otherwise, and very old secrets have no times.
pub(super) fn facts(item: &Node<'_>, version: VersionId) -> Result<VersionFacts, Misread> {
    let mut facts = VersionFacts {
        version,
        enabled: true,
        created: None,
        updated: None,
        not_before: None,
        expires: None,
    };
    if let Some(attributes) = item.member("attributes") {
        facts.enabled = attributes.flag_of("enabled")?.unwrap_or(true);
        facts.created = attributes.time_of("created")?;
        facts.updated = attributes.time_of("updated")?;
        facts.not_before = attributes.time_of("nbf")?;
        facts.expires = attributes.time_of("exp")?;
    }
    Ok(facts)
}

/// `x5t`: the leaf's SHA-1 in base64url. One of another length is not a SHA-1 and tells nothing.
pub(super) fn thumbprint(item: &Node<'_>) -> Result<Option<Thumbprint>, Misread> {
    let Some(text) = item.text_of("x5t")? else { return Ok(None) };
    let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
    Ok(bytes.and_then(|bytes| <[u8; 20]>::try_from(bytes).ok()).map(Thumbprint::from_bytes))
}

/// Name and version from `id`: `https://<vault>/<collection>/<name>[/<version>]`.
fn identity(item: &Node<'_>, kind: ObjectKind) -> Result<(ObjectName, Option<VersionId>), Misread> {
    const EXPECTED: &str = "the identifier of an object";
    let id = item.required("id", EXPECTED)?;
    let parse = || {
        let url = Url::parse(id.text().ok()?).ok()?;
        let path: Vec<&str> = url.path_segments()?.filter(|segment| !segment.is_empty()).collect();
        let (collection, name, version) = match path.as_slice() {
            [collection, name] => (*collection, *name, None),
            [collection, name, version] => (*collection, *name, Some(version.parse().ok()?)),
            _ => return None,
        };
        let fits = collection.eq_ignore_ascii_case(kind.collection());
        fits.then_some((name.parse().ok()?, version))
    };
    parse().ok_or_else(|| id.unlike(EXPECTED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_with_and_without_attributes() {
        let value = json!({
            "id": "https://kv-edge.vault.azure.net:443/certificates/Site-TLS",
            "x5t": "fLi3U52HunIVNXubkEnf8tP6Wbo",
            "attributes": { "enabled": false, "updated": 1795422330 },
            "unknown": {},
        });
        let found = object(&Node::root(&value), ObjectKind::Certificate).unwrap();
        assert_eq!(found.name.as_str(), "Site-TLS");
        assert!(!found.enabled && !found.managed);
        assert_eq!(found.updated.unwrap().as_second(), 1_795_422_330);
        assert_eq!(found.thumbprint.unwrap().to_string(), "7CB8B7539D87BA7215357B9B9049DFF2D3FA59BA");

        let value = json!({ "id": "https://kv-edge.vault.azure.net/secrets/old", "managed": true,
            "attributes": { "enabled": true, "created": null, "updated": null } });
        let found = object(&Node::root(&value), ObjectKind::Secret).unwrap();
        assert!(found.enabled && found.managed && found.updated.is_none());
    }

    #[test]
    fn versions_and_what_is_none() {
        let value = json!({
            "id": "https://kv-edge.vault.azure.net/secrets/site-tls/0F3A9C1D2B4E5F60718293A4B5C6D7E8",
            "attributes": { "created": 1795422330.0, "nbf": 1, "exp": 2 },
        });
        let found = version(&Node::root(&value), ObjectKind::Secret).unwrap();
        assert_eq!(found.version.as_str(), "0f3a9c1d2b4e5f60718293a4b5c6d7e8");
        assert_eq!(found.created.unwrap().as_second(), 1_795_422_330);
        for bad in [
            json!({}),
            json!({ "id": 7 }),
            json!({ "id": "https://kv/secrets/site-tls" }),
            json!({ "id": "https://kv/keys/site-tls/1" }),
            json!({ "id": "site-tls/1" }),
            json!({ "id": "https://kv/secrets/a/1", "attributes": { "enabled": "yes" } }),
        ] {
            assert!(version(&Node::root(&bad), ObjectKind::Secret).is_err(), "{bad}");
        }
    }
}
