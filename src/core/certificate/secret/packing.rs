//! What is stored in a vault: a certificate in the forms that Cloud Services accept by every document.
//!
//! A leaf with its key and chain, or one certificate alone, goes into PKCS#12; see there for the form of it. For a vault
//! certificate that is imported with its password. For a secret it becomes the JSON document
//! `{"data", "dataType", "password"}`, in base64 on one line, which is what the API's description of `certificateUrl`
//! asks for.

use std::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

use super::pkcs12::{self, Pkcs12Error, Written};
use super::{Key, OpenedSecret, base64};
use crate::certificate::public_key::PublicKey;
use crate::certificate::x509::Certificate;

/// Longest value of a vault secret, in bytes: Key Vault's 25 KB. A certificate's own secret is under the same limit.
pub const VALUE_LIMIT: usize = 25 * 1024;

/// A file that was opened to be stored in a vault. Unlike what [`super::open_file`] gives it holds the private key
/// itself, which leaves it within a container only and is wiped when this is dropped.
#[derive(Debug)]
pub struct Packable {
    opened: OpenedSecret,
}

/// What a container is protected with. It lies beside the container in the vault, or goes to the vault with it, so it
/// keeps nothing secret from those who may read the vault: it is there because readers want one.
///
/// A password that is not empty is better: the empty one has two encodings, and some readers know only one of them.
pub struct Protection {
    password: Zeroizing<String>,
    random: [u8; Self::RANDOM],
}

/// Neither the password nor the salts.
impl fmt::Debug for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protection").finish_non_exhaustive()
    }
}

impl Protection {
    /// Random bytes that one container takes.
    pub const RANDOM: usize = pkcs12::RANDOM;

    /// A password, and random bytes for the salts.
    pub fn new(password: Zeroizing<String>, random: [u8; Self::RANDOM]) -> Self {
        Self { password, random }
    }

    /// The password.
    pub fn password(&self) -> &str {
        &self.password
    }
}

/// Why a file cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PackError {
    /// No key where one is needed.
    #[error(
        "it has no private key; expected one, since a vault certificate consists of a certificate with its key"
    )]
    NoKey,
    /// A key of something else.
    #[error("its private key belongs to none of its certificates; expected the certificate's own, or none")]
    ForeignKey,
    /// A key that vaults do not take.
    #[error("its key is {0}; expected RSA, or an elliptic key of P-256, P-384 or P-521")]
    UnsupportedKey(PublicKey),
    /// Beyond [`VALUE_LIMIT`].
    #[error(
        "it would be {found} bytes; expected at most {VALUE_LIMIT}, which a vault takes: leave out what is no issuer"
    )]
    TooLarge {
        /// The size that it would have.
        found: usize,
    },
    /// The container cannot be written.
    #[error("its container cannot be written: {0}")]
    Container(#[from] Pkcs12Error),
}

impl Packable {
    pub(super) fn new(opened: OpenedSecret) -> Self {
        Self { opened }
    }

    /// What was found in the file.
    pub fn opened(&self) -> &OpenedSecret {
        &self.opened
    }

    /// Whether the key goes along. That of an authority that names no host stays behind: every machine of a service gets
    /// what its secrets hold, and none needs a key that signs certificates.
    pub fn carries_key(&self) -> bool {
        let leaf = &self.opened.leaf;
        self.opened.key.matches() && !(leaf.is_ca() && leaf.names().is_empty())
    }

    /// The certificates that go along, the leaf first. A certificate without a key goes alone: of several in one
    /// container, nothing would say which is meant, and each needs a thumbprint and a secret of its own.
    pub fn carried(&self) -> impl Iterator<Item = &Certificate> {
        let chain = if self.carries_key() { self.opened.chain.as_slice() } else { &[] };
        std::iter::once(&self.opened.leaf).chain(chain)
    }

    /// The certificates that stay behind.
    pub fn left_out(&self) -> impl Iterator<Item = &Certificate> {
        let chain = if self.carries_key() { &[] } else { self.opened.chain.as_slice() };
        chain.iter().chain(&self.opened.unrelated)
    }

    /// The value that a vault certificate is imported by: base64 of PKCS#12 under the password of `protection`.
    ///
    /// # Errors
    /// There is no key, it is another's or of a kind that vaults do not take, or all of it is too large.
    pub fn certificate_value(&self, protection: &Protection) -> Result<Zeroizing<String>, PackError> {
        if matches!(self.opened.key, Key::None) || self.opened.key.matches() && !self.carries_key() {
            return Err(PackError::NoKey);
        }
        limited(base64::encode(&self.pkcs12(protection)?))
    }

    /// The value of a secret: base64 of the JSON document with PKCS#12 in it.
    ///
    /// # Errors
    /// The key is another's or of a kind that vaults do not take, or all of it is too large.
    pub fn secret_value(&self, protection: &Protection) -> Result<Zeroizing<String>, PackError> {
        let data = base64::encode(&self.pkcs12(protection)?);
        let password = quoted(&protection.password);
        let parts = ["{\"data\":\"", &data, "\",\"dataType\":\"pfx\",\"password\":", &password, "}"];
        // Of the right size from the start, so that no copy of a key is left behind.
        let mut json = Zeroizing::new(String::with_capacity(parts.iter().map(|part| part.len()).sum()));
        for part in parts {
            json.push_str(part);
        }
        limited(base64::encode(json.as_bytes()))
    }

    fn pkcs12(&self, protection: &Protection) -> Result<Zeroizing<Vec<u8>>, PackError> {
        let leaf = &self.opened.leaf;
        let key = match &self.opened.key {
            Key::Foreign(_) => return Err(PackError::ForeignKey),
            Key::Matches(key) if self.carries_key() => {
                Some(key.pkcs8(leaf).ok_or_else(|| PackError::UnsupportedKey(key.kind()))?)
            }
            Key::Matches(_) | Key::None => None,
        };
        let certificates: Vec<&[u8]> = self.carried().map(Certificate::der).collect();
        Ok(pkcs12::write(&Written {
            certificates: &certificates,
            key: key.as_ref().map(|key| key.as_slice()),
            password: &protection.password,
            random: &protection.random,
        })?)
    }
}

fn limited(value: Zeroizing<String>) -> Result<Zeroizing<String>, PackError> {
    if value.len() > VALUE_LIMIT { Err(PackError::TooLarge { found: value.len() }) } else { Ok(value) }
}

/// A text as JSON writes it.
fn quoted(text: &str) -> Zeroizing<String> {
    // At the most six letters for a byte, as in `\u0001`, and the quotes: never grows.
    let mut quoted = Zeroizing::new(String::with_capacity(6 * text.len() + 2));
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\0'..='\u{1f}' => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
