//! The keys that Entra signs with, and the documents by which others find them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::KeyPair;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use x509_parser::public_key::PublicKey;

use super::Entra;
use crate::pki::{self, KeyKind, LeafRequest};

/// Which keys are in use. Entra publishes more than one and changes them without notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SigningKeys {
    /// One key, in use and published.
    #[default]
    First,
    /// The second key is in use; both are published.
    SecondBesideFirst,
    /// The second key is in use and the only one published.
    Second,
}

impl SigningKeys {
    fn current(self) -> KeyKind {
        match self {
            Self::First => KeyKind::Rsa2048,
            Self::SecondBesideFirst | Self::Second => KeyKind::OtherRsa2048,
        }
    }

    fn published(self) -> &'static [KeyKind] {
        match self {
            Self::First => &[KeyKind::Rsa2048],
            Self::SecondBesideFirst => &[KeyKind::OtherRsa2048, KeyKind::Rsa2048],
            Self::Second => &[KeyKind::OtherRsa2048],
        }
    }

    /// The key in use, with its id.
    pub(super) fn signer(self) -> (KeyPair, String) {
        let kind = self.current();
        let key = pki::key_pair(kind);
        let id = key_id(&key);
        (key, id)
    }
}

impl Entra {
    /// OpenID discovery: for tokens of the first form at `/{tenant}/.well-known/openid-configuration`, of the second
    /// at `/{tenant}/v2.0/.well-known/openid-configuration`.
    pub(super) fn discovery_document(&self, tenant: &str, second_form: bool) -> Value {
        let host = &self.login_hosts[0];
        let authority = format!("https://{host}/{tenant}");
        let (issuer, keys, middle) = if second_form {
            (format!("{authority}/v2.0"), format!("{authority}/discovery/v2.0/keys"), "oauth2/v2.0")
        } else {
            (self.first_issuer(tenant), format!("{authority}/discovery/keys"), "oauth2")
        };
        json!({
            "token_endpoint": format!("{authority}/{middle}/token"),
            "token_endpoint_auth_methods_supported":
                ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": keys,
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "issuer": issuer,
            "authorization_endpoint": format!("{authority}/{middle}/authorize"),
        })
    }

    /// The published keys.
    pub(super) fn key_document(&self) -> Value {
        json!({ "keys": self.signing_keys.published().iter().map(|&kind| web_key(kind)).collect::<Vec<_>>() })
    }
}

/// The public half of an RSA key as a JSON web key, with a certificate around it as Entra's have.
fn web_key(kind: KeyKind) -> Value {
    let certificate = LeafRequest { key: kind, ..LeafRequest::default() }.self_signed();
    let (_, parsed) = x509_parser::parse_x509_certificate(&certificate.der).expect("rcgen writes X.509");
    let Ok(PublicKey::RSA(public)) = parsed.public_key().parsed() else {
        unreachable!("both kinds of key here are RSA")
    };
    // ASN.1 puts a zero byte before a number whose first bit is set; a web key has none.
    let modulus = public.modulus.strip_prefix(&[0]).unwrap_or(public.modulus);
    let id = key_id(&pki::key_pair(kind));
    json!({
        "kty": "RSA",
        "use": "sig",
        "kid": id,
        "x5t": id,
        "n": URL_SAFE_NO_PAD.encode(modulus),
        "e": URL_SAFE_NO_PAD.encode(public.exponent),
        "x5c": [STANDARD.encode(&certificate.der)],
    })
}

/// A name for a key that stays the same between runs.
fn key_id(key: &KeyPair) -> String {
    URL_SAFE_NO_PAD.encode(Sha1::digest(key.public_key_raw()))
}
