//! A vault certificate's answer.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use certroll_core::id::{ObjectName, SecretIdentifier, VaultName, VersionId};
use certroll_core::ports::CertificateObject;
use serde_json::Value;
use zeroize::Zeroizing;

use super::listing;
use crate::call::{Misread, Node};

/// Reads `{id, sid, x5t, cer, contentType, policy, attributes}`.
pub(super) fn read(
    answer: &Value,
    vault: &VaultName,
    dns_suffix: &str,
) -> Result<CertificateObject, Misread> {
    let root = Node::root(answer);
    let secret = identifier(&root, "sid", vault, dns_suffix)?;
    let cer =
        root.required("cer", "the certificate in base64; it has none while its first version is pending")?;
    let der = decode(cer.text()?).ok_or_else(|| cer.unlike("the certificate in base64"))?;
    let content_type = match root.text_of("contentType")? {
        Some(text) => Some(text.to_owned()),
        None => root
            .member("policy")
            .and_then(|policy| policy.member("secret_props"))
            .map(|properties| properties.text_of("contentType"))
            .transpose()?
            .flatten()
            .map(ToOwned::to_owned),
    };
    Ok(CertificateObject {
        facts: listing::facts(&root, secret.version().clone())?,
        der,
        thumbprint: listing::thumbprint(&root)?,
        content_type,
        secret,
    })
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let plain: Zeroizing<String> =
        Zeroizing::new(text.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    STANDARD.decode(plain.as_bytes()).ok().filter(|der| !der.is_empty())
}

/// A versioned secret identifier of the very vault that was asked. It becomes a `certificateUrl`: one of another host
/// would send the service there.
pub(super) fn identifier(
    node: &Node<'_>,
    member: &'static str,
    vault: &VaultName,
    dns_suffix: &str,
) -> Result<SecretIdentifier, Misread> {
    const EXPECTED: &str = "a versioned secret identifier of this vault";
    let member = node.required(member, EXPECTED)?;
    let identifier: SecretIdentifier = member.text()?.parse().map_err(|_| member.unlike(EXPECTED))?;
    if identifier.vault() == vault && identifier.dns_suffix().eq_ignore_ascii_case(dns_suffix) {
        Ok(identifier)
    } else {
        Err(member.unlike(EXPECTED))
    }
}

/// An answer about another object or version than the one asked for must not be taken for it.
pub(super) fn is_what_was_asked(
    found: &SecretIdentifier,
    name: &ObjectName,
    version: Option<&VersionId>,
) -> Result<(), Misread> {
    if found.name() == name && version.is_none_or(|version| found.version() == version) {
        return Ok(());
    }
    Err(Misread {
        place: "the answer".to_owned(),
        expected: "the object and version that were asked for",
        found: format!("`{found}`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer() -> Value {
        json!({
            "id": "https://kv-edge.vault.azure.cn/certificates/site-tls/0f3a9c1d2b4e5f60718293a4b5c6d7e8",
            "sid": "https://kv-edge.vault.azure.cn/secrets/site-tls/0f3a9c1d2b4e5f60718293a4b5c6d7e8",
            "x5t": "fLi3U52HunIVNXubkEnf8tP6Wbo",
            "cer": "AQID\nBA==",
            "attributes": { "enabled": true, "nbf": 1795421730, "exp": 1812701730, "created": 1795422330, "updated": 1795422331 },
            "policy": { "secret_props": { "contentType": "application/x-pkcs12" } },
        })
    }

    fn vault() -> VaultName {
        "kv-edge".parse().unwrap()
    }

    #[test]
    fn everything_is_read() {
        let found = read(&answer(), &vault(), "vault.azure.cn").unwrap();
        assert_eq!(found.der, [1, 2, 3, 4]);
        assert_eq!(found.content_type.as_deref(), Some("application/x-pkcs12"));
        assert_eq!(found.facts.expires.unwrap().as_second(), 1_812_701_730);
        assert_eq!(found.facts.version, *found.secret.version());
        let (name, other) = ("SITE-TLS".parse().unwrap(), "other".parse().unwrap());
        assert!(is_what_was_asked(&found.secret, &name, None).is_ok());
        assert!(is_what_was_asked(&found.secret, &other, None).is_err());
        assert!(is_what_was_asked(&found.secret, &name, Some(&"1".parse().unwrap())).is_err());
    }

    #[test]
    fn malformed_members_are_named() {
        for (member, value, place) in [
            ("sid", json!(null), "`sid`"),
            ("sid", json!("https://kv-edge.vault.azure.cn/secrets/site-tls"), "`sid`"),
            ("sid", json!("https://evil.vault.azure.cn/secrets/site-tls/1"), "`sid`"),
            ("sid", json!("https://kv-edge.vault.azure.net/secrets/site-tls/1"), "`sid`"),
            ("cer", json!(null), "`cer`"),
            ("cer", json!("***"), "`cer`"),
            ("x5t", json!(1), "`x5t`"),
            ("attributes", json!({ "exp": "soon" }), "`attributes.exp`"),
        ] {
            let mut changed = answer();
            changed[member] = value;
            let fault = read(&changed, &vault(), "vault.azure.cn").unwrap_err().to_string();
            assert!(fault.starts_with(place), "{fault}");
        }
    }
}
