//! JSON web tokens: writing them with RS256, taking them apart, checking signatures.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{KeyPair, SigningKey as _};
use rustls::SignatureScheme;
use serde_json::{Value, json};

/// A token taken apart; nothing about it is checked yet.
#[derive(Clone, Debug)]
pub(super) struct Jwt<'a> {
    /// Protected header.
    pub(super) header: Value,
    /// Claims.
    pub(super) claims: Value,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Jwt<'a> {
    /// Splits a compact token. `None` if it is not three parts of base64url with JSON in the first two.
    pub(super) fn parse(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        Some(Self {
            header: json_part(header)?,
            claims: json_part(claims)?,
            signed,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    /// A claim that is text.
    pub(super) fn text(&self, claim: &str) -> Option<&str> {
        self.claims[claim].as_str()
    }

    /// Whether `aud` is, or holds, this value.
    pub(super) fn is_for(&self, audience: &str) -> bool {
        match &self.claims["aud"] {
            Value::Array(values) => values.iter().any(|value| value == audience),
            value => value == audience,
        }
    }

    /// Whether the holder of this public key (the content of `subjectPublicKey`) signed the token by RS256 or PS256.
    pub(super) fn signed_by(&self, public_key: &[u8]) -> bool {
        let scheme = match self.header["alg"].as_str() {
            Some("RS256") => SignatureScheme::RSA_PKCS1_SHA256,
            Some("PS256") => SignatureScheme::RSA_PSS_SHA256,
            _ => return false,
        };
        let known = rustls::crypto::ring::default_provider().signature_verification_algorithms.mapping;
        known.iter().filter(|(of, _)| *of == scheme).flat_map(|(_, algorithms)| algorithms.iter()).any(
            |algorithm| {
                algorithm.verify_signature(public_key, self.signed.as_bytes(), &self.signature).is_ok()
            },
        )
    }
}

/// A token signed by RS256.
pub(super) fn sign(key: &KeyPair, key_id: &str, claims: &Value) -> String {
    sign_under(&json!({ "typ": "JWT", "alg": "RS256", "x5t": key_id, "kid": key_id }), key, claims)
}

/// A token with this header, signed by RS256 whatever the header says.
pub(super) fn sign_under(header: &Value, key: &KeyPair, claims: &Value) -> String {
    let signed = unsigned(header, claims);
    let signature = key.sign(signed.as_bytes()).expect("an RSA key signs");
    with_signature(&signed, &signature)
}

/// Header and claims, as they are signed.
pub(super) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// The whole token.
pub(super) fn with_signature(signed: &str, signature: &[u8]) -> String {
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn json_part(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok().filter(Value::is_object)
}
