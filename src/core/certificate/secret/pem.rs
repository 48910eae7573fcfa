//! PEM: certificates and keys as text, with anything between them.

use thiserror::Error;
use zeroize::Zeroizing;

use super::base64;
use super::private_key::{Keep, KeyError, PrivateKey};

/// Most blocks of one text; see the limit on certificates, with room for parameters and keys.
const BLOCK_LIMIT: usize = 128;

/// Why a text is not PEM, or not what is needed of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PemError {
    /// A block that does not end.
    #[error("the block `{0}` of line {1} does not end; expected `-----END {0}-----`")]
    Endless(String, usize),
    /// A block whose body is not base64.
    #[error("the block `{0}` of line {1} is not base64: {2}")]
    Base64(String, usize, base64::Base64Error),
    /// More blocks than one certificate, its chain and its key fill.
    #[error("it has more than {BLOCK_LIMIT} blocks; expected one certificate with its chain and key")]
    TooManyBlocks,
    /// A key under a password.
    #[error(
        "the private key of line {0} is encrypted; expected one without a password, as vaults hold it: \
         `openssl pkey -in FILE -out FILE` takes it off"
    )]
    EncryptedKey(usize),
    /// A key that cannot be read.
    #[error("the private key of line {0} cannot be read: {1}")]
    Key(usize, KeyError),
    /// A container of another format.
    #[error(
        "the block of line {0} is PKCS#7; expected `CERTIFICATE`: `openssl pkcs7 -print_certs` converts it"
    )]
    Pkcs7(usize),
}

/// What a text holds. Certificates are not parsed yet.
pub(super) struct PemContents {
    pub(super) certificates: Vec<Vec<u8>>,
    pub(super) keys: Vec<PrivateKey>,
}

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// Whether a text has a block at all.
pub(super) fn is_pem(text: &str) -> bool {
    text.contains(BEGIN)
}

/// Reads every block. Text between blocks is passed over, and so are blocks that hold neither certificate nor key.
/// Line ends do not matter, not even whether there are any: portals have been seen to swallow them.
pub(super) fn read(text: &str, keep: Keep) -> Result<PemContents, PemError> {
    let mut contents = PemContents { certificates: Vec::new(), keys: Vec::new() };
    let mut rest = text;
    let mut blocks = 0;
    while let Some(begin) = rest.find(BEGIN) {
        blocks += 1;
        if blocks > BLOCK_LIMIT {
            return Err(PemError::TooManyBlocks);
        }
        let at = text.len() - rest.len() + begin;
        let line = 1 + text[..at].matches('\n').count();
        let after = &rest[begin + BEGIN.len()..];
        let (label, after) = after.split_once(DASHES).unwrap_or((after, ""));
        let shown: String = label.chars().take(40).flat_map(char::escape_debug).collect();
        let end = format!("-----END {label}-----");
        let Some((body, after)) = after.split_once(end.as_str()) else {
            return Err(PemError::Endless(shown, line));
        };
        rest = after;
        let decode = || {
            base64::decode(body.as_bytes())
                .map(|(bytes, _)| bytes)
                .map_err(|error| PemError::Base64(shown.clone(), line, error))
        };
        let key = |read: fn(&[u8], Keep) -> Result<PrivateKey, KeyError>| {
            if body.contains("ENCRYPTED") {
                return Err(PemError::EncryptedKey(line));
            }
            let bytes: Zeroizing<Vec<u8>> = decode()?;
            read(&bytes, keep).map_err(|error| PemError::Key(line, error))
        };
        match label {
            "CERTIFICATE" | "X509 CERTIFICATE" => contents.certificates.push(decode()?.to_vec()),
            "PRIVATE KEY" => contents.keys.push(key(PrivateKey::of_pkcs8)?),
            "RSA PRIVATE KEY" => contents.keys.push(key(PrivateKey::of_pkcs1)?),
            "EC PRIVATE KEY" => contents.keys.push(key(PrivateKey::of_sec1)?),
            "ENCRYPTED PRIVATE KEY" => return Err(PemError::EncryptedKey(line)),
            "PKCS7" | "CMS" => return Err(PemError::Pkcs7(line)),
            _ => {}
        }
    }
    Ok(contents)
}
