//! What a vault secret or a file holds: certificates and perhaps a key, in one of many containers and wrappings.
//!
//! [`open`] reads every form that has been seen in a vault, including forms that Cloud Services refuse:
//! [`OpenedSecret::deployable`] tells those apart. Decrypted bytes, passwords and keys are wiped when dropped, and
//! appear in no message.

mod base64;
mod deployable;
mod packing;
mod pairing;
mod pem;
mod pkcs12;
mod private_key;
mod wrapping;

use serde::Serialize;
use thiserror::Error;

pub use self::base64::{Base64Error, Spelling};
pub use self::deployable::Deployable;
pub use self::packing::{PackError, Packable, Protection, VALUE_LIMIT};
pub use self::pem::PemError;
pub use self::pkcs12::{Cipher, HashName, MacForm, PasswordForm, Pbes2Cipher, Pkcs12Error, Pkcs12Form};
use self::private_key::Keep;
pub use self::private_key::{KeyError, PrivateKey};
pub use self::wrapping::{Charset, JsonForm, JsonPassword, Wrapping};
use self::wrapping::{Contents, Unwrapped};
use super::x509::{Certificate, CertificateError};
use crate::id::Thumbprint;

/// Largest input that is looked at. A secret's value has at most 25 KiB; a file may hold more chains.
pub const INPUT_LIMIT: usize = 1024 * 1024;

/// Most certificates of one input. A chain has four; who exports a machine's store has some dozens. It bounds the
/// comparisons of each with each.
pub const CERTIFICATES_LIMIT: usize = 32;

/// Opens the value of a vault secret. The content type decides nothing about how it is read, since people set it
/// wrongly; it decides what Cloud Services make of it.
///
/// # Errors
/// See [`SecretError`].
pub fn open(value: &str, content_type: Option<&str>) -> Result<OpenedSecret, SecretError> {
    open_bytes(value.as_bytes(), content_type, "", Keep::Nothing)
}

/// Opens a file: a container as it is, or a text that holds one, as a vault does. The password is that of a PKCS#12
/// file; a JSON document brings its own.
///
/// # Errors
/// See [`SecretError`].
pub fn open_file(bytes: &[u8], password: Option<&str>) -> Result<OpenedSecret, SecretError> {
    open_bytes(bytes, None, password.unwrap_or(""), Keep::Nothing)
}

/// Opens a file as [`open_file`] does, to be stored in a vault: its private key is kept until what is returned is
/// dropped.
///
/// # Errors
/// See [`SecretError`].
pub fn open_to_pack(bytes: &[u8], password: Option<&str>) -> Result<Packable, SecretError> {
    open_bytes(bytes, None, password.unwrap_or(""), Keep::Secret).map(Packable::new)
}

/// What was found in a secret or a file.
#[derive(Debug)]
pub struct OpenedSecret {
    /// How it is stored.
    pub form: SecretForm,
    /// The certificate that it is about: that of its key, or the one that issued none of the others.
    pub leaf: Certificate,
    /// The issuers of the leaf, nearest first, as far as they are there.
    pub chain: Vec<Certificate>,
    /// Certificates on no part of that chain.
    pub unrelated: Vec<Certificate>,
    /// Its private key.
    pub key: Key,
    /// How many more private keys there are.
    pub other_keys: usize,
}

/// The private key beside a leaf.
#[derive(Debug)]
pub enum Key {
    /// There is none.
    None,
    /// The leaf's own.
    Matches(PrivateKey),
    /// One that belongs to none of the certificates.
    Foreign(PrivateKey),
}

impl Key {
    /// Whether it is the leaf's own.
    pub fn matches(&self) -> bool {
        matches!(self, Self::Matches(_))
    }
}

/// How a secret is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecretForm {
    /// The content type of the vault secret, as written there.
    pub content_type: Option<String>,
    /// The layers around the container.
    pub wrapping: Wrapping,
    /// The container.
    pub container: Container,
}

/// What holds the certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Container {
    /// PKCS#12, also called PFX.
    Pkcs12(Pkcs12Form),
    /// PEM text.
    Pem,
    /// One bare certificate, as in a `.cer` file.
    Der,
}

/// Why a secret or a file yields no certificate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SecretError {
    /// Nothing in it.
    #[error("it is empty; expected a certificate")]
    Empty,
    /// Beyond [`INPUT_LIMIT`].
    #[error("it has {found} bytes; expected at most {INPUT_LIMIT}")]
    TooLarge {
        /// Its size.
        found: usize,
    },
    /// Bytes that are no known form.
    #[error(
        "it is neither text nor a certificate container; expected PKCS#12, PEM, DER or the JSON document of a secret"
    )]
    Unrecognized,
    /// Text that is no known form.
    #[error("it is neither PEM nor JSON, nor base64 ({0}); expected base64 of PKCS#12 or of JSON, or PEM")]
    Base64(Base64Error),
    /// Base64 of something else.
    #[error(
        "it is base64, but of nothing known; expected PKCS#12, a certificate in DER or the JSON document of a secret in it"
    )]
    UnrecognizedInBase64,
    /// Base64 of base64.
    #[error(
        "it is base64 of base64; expected it once: `az keyvault secret set --encoding base64` encodes a file by itself"
    )]
    Base64Twice,
    /// JSON that does not parse.
    #[error(
        "its JSON cannot be read at line {line}, column {column}: {reason}; expected an object with `data`, `dataType` and `password`"
    )]
    Json {
        /// What is wrong.
        reason: &'static str,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// No `data` in the document.
    #[error("its JSON has no member `data`; expected the base64 of a PFX in it")]
    JsonWithoutData,
    /// `data` that does not decode.
    #[error("`data` of its JSON is not base64: {0}")]
    JsonData(Base64Error),
    /// `data` of something else.
    #[error("`data` of its JSON is base64, but of nothing known; expected the base64 of a PFX")]
    JsonDataUnrecognized,
    /// A bundle of another format.
    #[error("it is a PKCS#7 bundle; expected PKCS#12, PEM or DER: `openssl pkcs7 -print_certs` converts it")]
    Pkcs7,
    /// A bare key.
    #[error("it holds a private key without a certificate; expected both, in PKCS#12 or PEM")]
    OnlyKey,
    /// PEM that does not read.
    #[error("its PEM cannot be read: {0}")]
    Pem(#[from] PemError),
    /// PKCS#12 that does not read.
    #[error("its PKCS#12 cannot be read: {0}")]
    Pkcs12(#[from] Pkcs12Error),
    /// A certificate that does not read.
    #[error("{0}")]
    Certificate(#[from] CertificateError),
    /// A container without one.
    #[error("it holds no certificate{}; expected at least one", if *keys == 0 { "" } else { ", only a private key" })]
    NoCertificate {
        /// How many keys it holds.
        keys: usize,
    },
    /// Beyond [`CERTIFICATES_LIMIT`].
    #[error("it holds {found} certificates; expected at most {CERTIFICATES_LIMIT}: one with its chain")]
    TooManyCertificates {
        /// How many.
        found: usize,
    },
    /// Several certificates, each of which may be meant.
    #[error("it holds several certificates that may be meant: {}; expected one with its chain, or the key of one", list(.candidates))]
    Ambiguous {
        /// Thumbprint and subject of each.
        candidates: Vec<(Thumbprint, String)>,
    },
}

/// Most candidates that a message names.
const LISTED: usize = 4;

fn list(candidates: &[(Thumbprint, String)]) -> String {
    let mut names: Vec<_> = candidates
        .iter()
        .take(LISTED)
        .map(|(thumbprint, subject)| format!("{thumbprint} ({subject})"))
        .collect();
    if candidates.len() > LISTED {
        names.push(format!("{} more", candidates.len() - LISTED));
    }
    names.join(", ")
}

fn open_bytes(
    bytes: &[u8],
    content_type: Option<&str>,
    password: &str,
    keep: Keep,
) -> Result<OpenedSecret, SecretError> {
    if bytes.len() > INPUT_LIMIT {
        return Err(SecretError::TooLarge { found: bytes.len() });
    }
    if bytes.is_empty() {
        return Err(SecretError::Empty);
    }
    let Unwrapped { wrapping, contents, password: own_password } = wrapping::unwrap(bytes)?;
    let password = match &wrapping {
        Wrapping::Json(_) => own_password.as_ref().map_or("", |password| password.as_str()),
        Wrapping::None | Wrapping::Base64(_) => password,
    };
    let (container, certificates, keys) = match &contents {
        Contents::Pem(text) => {
            let contents = pem::read(text, keep)?;
            (Container::Pem, contents.certificates, contents.keys)
        }
        Contents::Binary(bytes) => match first_tag_inside(bytes) {
            Some((TAG_INTEGER, Some(3))) => {
                let contents = pkcs12::open(bytes, password, keep)?;
                (Container::Pkcs12(contents.form), contents.certificates, contents.keys)
            }
            // PKCS#1 and PKCS#8 begin with version 0, SEC1 with 1.
            Some((TAG_INTEGER, Some(0 | 1))) => return Err(SecretError::OnlyKey),
            Some((TAG_OID, _)) => return Err(SecretError::Pkcs7),
            Some((TAG_INTEGER, _)) => {
                return Err(pkcs12::open(bytes, password, keep)
                    .err()
                    .map_or(SecretError::Unrecognized, Into::into));
            }
            _ => (Container::Der, vec![bytes.to_vec()], Vec::new()),
        },
    };
    if certificates.len() > CERTIFICATES_LIMIT {
        return Err(SecretError::TooManyCertificates { found: certificates.len() });
    }
    let certificates =
        certificates.iter().map(|der| Certificate::parse(der)).collect::<Result<Vec<_>, _>>()?;
    let form = SecretForm { content_type: content_type.map(str::to_owned), wrapping, container };
    pairing::pair(form, certificates, keys)
}

const TAG_INTEGER: u8 = 0x02;
const TAG_OID: u8 = 0x06;

/// The tag of the first element inside, and its value if it is one byte: enough to tell the formats apart, also when
/// the input is cut off.
fn first_tag_inside(bytes: &[u8]) -> Option<(u8, Option<u8>)> {
    let length_octets = match bytes.get(1)? {
        long @ 0x81..=0x84 => usize::from(long & 0x7f),
        _ => 0,
    };
    let inside = bytes.get(2 + length_octets..)?;
    let value = if inside.get(1) == Some(&1) { inside.get(2).copied() } else { None };
    Some((*inside.first()?, value))
}

#[cfg(test)]
mod tests {
    mod forms;
    mod hostile;
    mod meant;
    mod packed;
}
