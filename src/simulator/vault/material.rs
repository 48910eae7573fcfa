//! What a vault certificate holds, packed once and shared by every version made from it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;
use x509_parser::public_key::PublicKey;

use crate::pfx::{self, Contents, Lock};
use crate::pki::Issued;

/// Content type of a value that is a PFX.
pub const PKCS12: &str = "application/x-pkcs12";
/// Content type of a value that is PEM.
pub const PEM_FILE: &str = "application/x-pem-file";

/// Seconds of an average month, for the policy's validity.
const MONTH: i64 = 30 * 86_400;
/// OID of serverAuth, as policies write it.
const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";

/// A certificate with its key, packed for a vault. Cloning it is cheap: make it once for a thousand versions.
#[derive(Clone, Debug)]
pub struct Material(Arc<Packed>);

/// The packed form.
#[derive(Debug)]
pub(super) struct Packed {
    /// Base64 of the leaf.
    pub(super) cer: String,
    /// Base64url of the leaf's SHA-1.
    pub(super) x5t: String,
    /// Begin of validity, Unix seconds.
    pub(super) not_before: i64,
    /// End of validity, Unix seconds.
    pub(super) not_after: i64,
    /// What the addressable secret holds.
    pub(super) value: Arc<str>,
    /// How it holds it.
    pub(super) content_type: &'static str,
    key: Value,
    x509: Value,
}

impl Material {
    /// As a PFX in Key Vault's own form: without a password.
    ///
    /// # Panics
    ///
    /// Where the certificate is none.
    pub fn pkcs12(issued: &Issued) -> Self {
        Self::locked(issued, Lock::Null)
    }

    /// As a PFX in another form without a password.
    ///
    /// # Panics
    ///
    /// Where the certificate is none.
    pub fn locked(issued: &Issued, lock: Lock<'_>) -> Self {
        let der = pfx::write(&Contents::from(issued), lock);
        Self::packed(issued, STANDARD.encode(der).into(), PKCS12)
    }

    /// As PEM.
    ///
    /// # Panics
    ///
    /// Where the certificate is none.
    pub fn pem(issued: &Issued) -> Self {
        Self::packed(issued, issued.pem().into(), PEM_FILE)
    }

    /// The packed form.
    pub(super) fn get(&self) -> &Packed {
        &self.0
    }

    fn packed(issued: &Issued, value: Arc<str>, content_type: &'static str) -> Self {
        let (_, parsed) = x509_parser::parse_x509_certificate(&issued.der).expect("the certificate is X.509");
        let validity = parsed.validity();
        Self(Arc::new(Packed {
            cer: STANDARD.encode(&issued.der),
            x5t: URL_SAFE_NO_PAD.encode(Sha1::digest(&issued.der)),
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
            value,
            content_type,
            key: key_properties(&parsed),
            x509: x509_properties(&parsed),
        }))
    }
}

impl From<&Issued> for Material {
    fn from(issued: &Issued) -> Self {
        Self::pkcs12(issued)
    }
}

impl From<&Material> for Material {
    fn from(material: &Material) -> Self {
        material.clone()
    }
}

impl Packed {
    /// The certificate's policy, as importing makes it.
    pub(super) fn policy(&self, id: &str, created: i64, updated: i64) -> Value {
        json!({
            "id": id,
            "key_props": self.key,
            "secret_props": { "contentType": self.content_type },
            "x509_props": self.x509,
            "lifetime_actions":
                [{ "trigger": { "lifetime_percentage": 80 }, "action": { "action_type": "EmailContacts" } }],
            "issuer": { "name": "Unknown", "cert_transparency": false },
            "attributes": { "enabled": true, "created": created, "updated": updated },
        })
    }
}

fn key_properties(certificate: &X509Certificate<'_>) -> Value {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => {
            json!({ "exportable": true, "kty": "RSA", "key_size": key.key_size(), "reuse_key": false })
        }
        _ => json!({ "exportable": true, "kty": "EC", "crv": "P-256", "key_size": 256, "reuse_key": false }),
    }
}

fn x509_properties(certificate: &X509Certificate<'_>) -> Value {
    let names: Vec<&str> = certificate
        .subject_alternative_name()
        .ok()
        .flatten()
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(*name),
            _ => None,
        })
        .collect();
    let server_auth =
        certificate.extended_key_usage().ok().flatten().is_some_and(|extension| extension.value.server_auth);
    let validity = certificate.validity();
    json!({
        "subject": certificate.subject().to_string(),
        "sans": { "dns_names": names },
        "ekus": if server_auth { vec![SERVER_AUTH] } else { Vec::new() },
        "key_usage": ["digitalSignature", "keyEncipherment"],
        "validity_months": (validity.not_after.timestamp() - validity.not_before.timestamp()) / MONTH,
        "basic_constraints": { "ca": certificate.is_ca() },
    })
}
