//! The keys that Entra signs with, and the documents by which others find them.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::KeyPair;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};
use x509_parser::public_key::PublicKey;

use super::Entra;
use crate::pki::{self, KeyKind};

/// Subject of the certificates around Entra's keys.
const CERTIFICATE_NAME: &str = "accounts.accesscontrol.windows.net";

/// One of the keys that Entra has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningKey {
    /// In use from the start.
    First,
    /// The one that follows it.
    Second,
    /// The one that follows that.
    Third,
}

/// Which key signs, and which ones others are told of. Entra publishes more than one and changes them without notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeys {
    /// The key that signs. Whoever puts an unpublished one here makes tokens that nobody can check.
    pub in_use: SigningKey,
    /// The keys that are published, in the order of the document.
    pub published: Vec<SigningKey>,
}

impl SigningKey {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::First, Self::Second, Self::Third];

    /// The key's id in tokens and in the document of keys: the thumbprint of its certificate, the same in every run.
    pub fn id(self) -> String {
        URL_SAFE_NO_PAD.encode(Sha1::digest(self.certificate()))
    }

    pub(super) fn pair(self) -> KeyPair {
        pki::key_pair(self.kind())
    }

    fn kind(self) -> KeyKind {
        match self {
            Self::First => KeyKind::Rsa2048,
            Self::Second => KeyKind::OtherRsa2048,
            Self::Third => KeyKind::ThirdRsa2048,
        }
    }

    /// The certificate around it, made once in a process.
    fn certificate(self) -> &'static [u8] {
        static MADE: [OnceLock<Vec<u8>>; SigningKey::ALL.len()] = [const { OnceLock::new() }; _];
        MADE[self as usize].get_or_init(|| pki::lasting_certificate(self.kind(), CERTIFICATE_NAME))
    }

    fn next(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::Third,
            Self::Third => Self::First,
        }
    }
}

impl Default for SigningKeys {
    fn default() -> Self {
        Self { in_use: SigningKey::First, published: vec![SigningKey::First] }
    }
}

impl SigningKeys {
    /// Publishes one key more, as Entra does before it signs with it.
    pub fn add(&mut self, key: SigningKey) {
        if !self.published.contains(&key) {
            self.published.insert(0, key);
        }
    }

    /// Publishes a key no more. Tokens that it signed are worthless to whoever asks for keys from now on.
    pub fn retire(&mut self, key: SigningKey) {
        self.published.retain(|published| *published != key);
    }

    /// Publishes the next key and signs with it from now on; the one before it stays published. Its id is given.
    pub fn roll_over(&mut self) -> String {
        let next = self.in_use.next();
        self.add(next);
        self.in_use = next;
        next.id()
    }

    /// Some key other than the one in use, for forgeries.
    pub(super) fn foreign(&self) -> SigningKey {
        self.in_use.next()
    }
}

impl Entra {
    /// OpenID discovery: for tokens of the first form at `/{tenant}/.well-known/openid-configuration`, of the second
    /// at `/{tenant}/v2.0/.well-known/openid-configuration`.
    pub(super) fn discovery_document(&self, tenant: &str, second_form: bool) -> Value {
        let authority = self.authority(tenant);
        let (issuer, keys, middle) = if second_form {
            (self.second_issuer(tenant), format!("{authority}/discovery/v2.0/keys"), "oauth2/v2.0")
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

    /// The published keys, at `/{tenant}/discovery/keys` and, each with its issuer, at `/{tenant}/discovery/v2.0/keys`.
    pub(super) fn key_document(&self, tenant: &str, second_form: bool) -> Value {
        let key = |&key: &SigningKey| {
            let mut key = web_key(key);
            if second_form {
                key["issuer"] = json!(self.second_issuer(tenant));
            }
            key
        };
        json!({ "keys": self.signing_keys.published.iter().map(key).collect::<Vec<_>>() })
    }
}

/// The public half of a key as a JSON web key, with the certificate around it.
pub(super) fn web_key(key: SigningKey) -> Value {
    let certificate = key.certificate();
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).expect("rcgen writes X.509");
    let Ok(PublicKey::RSA(public)) = parsed.public_key().parsed() else {
        unreachable!("every key of Entra is RSA")
    };
    // ASN.1 puts a zero byte before a number whose first bit is set; a web key has none.
    let modulus = public.modulus.strip_prefix(&[0]).unwrap_or(public.modulus);
    json!({
        "kty": "RSA",
        "use": "sig",
        "kid": key.id(),
        "x5t": key.id(),
        "n": URL_SAFE_NO_PAD.encode(modulus),
        "e": URL_SAFE_NO_PAD.encode(public.exponent),
        "x5c": [STANDARD.encode(certificate)],
    })
}
