//! What is put into vaults: imports of certificates, and secrets. Each is sent once.
//!
//! Bodies hold keys. Each is made in one piece that never grows, and is wiped; errors say nothing of it.

use std::collections::BTreeMap;

use certroll_core::certificate::{Curve, PublicKey};
use certroll_core::ports::{CertificateImport, SecretValue};
use serde::Serialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

/// Room for names, tags' quotes and the policy.
const FRAME: usize = 4096;

/// The body of `POST /certificates/{name}/import`.
#[derive(Serialize)]
struct Import<'a> {
    value: &'a str,
    pwd: &'a str,
    policy: Value,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: &'a BTreeMap<String, String>,
}

/// The body of `PUT /secrets/{name}`.
#[derive(Serialize)]
struct Secret<'a> {
    value: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: &'a BTreeMap<String, String>,
}

pub(super) fn import(import: &CertificateImport) -> Zeroizing<Vec<u8>> {
    let CertificateImport { value, password, key, tags } = import;
    let room = value.len() + escaped(password) + room(tags);
    serialized(&Import { value, pwd: password, policy: policy(key), tags }, room)
}

pub(super) fn secret(secret: &SecretValue) -> Zeroizing<Vec<u8>> {
    let SecretValue { value, tags } = secret;
    serialized(&Secret { value, tags }, escaped(value) + room(tags))
}

/// Exportable, or the secret would lack the key; PKCS#12, since Cloud Services do not read PEM. The members are those of
/// the example in Key Vault's description of the import.
fn policy(key: &PublicKey) -> Value {
    let mut properties = json!({ "exportable": true, "reuse_key": false });
    match key {
        PublicKey::Rsa { bits } => {
            properties["kty"] = json!("RSA");
            properties["key_size"] = json!(bits);
        }
        PublicKey::Ec { curve: curve @ (Curve::P256 | Curve::P384 | Curve::P521) } => {
            properties["kty"] = json!("EC");
            properties["crv"] = json!(curve.to_string());
        }
        // The vault says what it makes of these.
        PublicKey::Ec { curve: Curve::Other(_) } | PublicKey::Ed25519 | PublicKey::Other(_) => {}
    }
    json!({ "key_props": properties, "secret_props": { "contentType": "application/x-pkcs12" } })
}

/// The most that a text takes in JSON.
fn escaped(text: &str) -> usize {
    6 * text.len()
}

fn room(tags: &BTreeMap<String, String>) -> usize {
    tags.iter().map(|(name, value)| escaped(name) + escaped(value) + "\"\":\"\",".len()).sum()
}

fn serialized(body: &impl Serialize, room: usize) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(room + FRAME));
    // Texts and a tree of texts always serialize, and memory takes them.
    let _ = serde_json::to_writer(&mut *bytes, body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[test]
    fn bodies_never_grow_and_say_what_the_documents_ask_for() {
        let tags = BTreeMap::from([("owner \"x\"".to_owned(), "\u{1}".repeat(200))]);
        for (key, expected) in [
            (PublicKey::Rsa { bits: 3072 }, json!({ "kty": "RSA", "key_size": 3072 })),
            (PublicKey::Ec { curve: Curve::P384 }, json!({ "kty": "EC", "crv": "P-384" })),
        ] {
            let body = import(&CertificateImport {
                value: text(&"A".repeat(20_000)),
                password: text(&"\u{2}\"".repeat(100)),
                key,
                tags: tags.clone(),
            });
            assert!(body.len() <= body.capacity() && body.capacity() < 40_000, "{}", body.capacity());
            let read: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(read["pwd"], "\u{2}\"".repeat(100));
            assert_eq!(read["tags"], json!(tags));
            assert_eq!(read["policy"]["secret_props"]["contentType"], "application/x-pkcs12");
            let properties = &read["policy"]["key_props"];
            assert_eq!(properties["exportable"], true);
            for (name, value) in expected.as_object().unwrap() {
                assert_eq!(&properties[name], value);
            }
        }
        let body = secret(&SecretValue { value: text("dmFsdWU="), tags: BTreeMap::new() });
        assert_eq!(*body, *br#"{"value":"dmFsdWU="}"#);
    }
}
