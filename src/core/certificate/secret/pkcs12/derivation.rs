//! Keys from passwords: the derivation of PKCS#12 itself, PBKDF2, and the limit on their work.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::digest::block_api::BlockSizeUser;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use super::Pkcs12Error;

/// Most iterations that one file may ask for, over all of its derivations, counting each block of derived key. The
/// largest count in use is OWASP's 600 000, for each of MAC, certificates and key; this much takes one to four
/// seconds. A hostile file asks for 2³¹ in twenty bytes.
pub(super) const WORK_LIMIT: u32 = 2_000_000;

/// A hash that PKCS#12 uses, in its MAC and under PBKDF2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HashName {
    /// SHA-1.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl std::fmt::Display for HashName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sha1 => "SHA-1",
            Self::Sha224 => "SHA-224",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        })
    }
}

impl HashName {
    pub(super) fn of_digest_oid(oid: &str) -> Option<Self> {
        Some(match oid {
            "1.3.14.3.2.26" => Self::Sha1,
            "2.16.840.1.101.3.4.2.4" => Self::Sha224,
            "2.16.840.1.101.3.4.2.1" => Self::Sha256,
            "2.16.840.1.101.3.4.2.2" => Self::Sha384,
            "2.16.840.1.101.3.4.2.3" => Self::Sha512,
            _ => return None,
        })
    }

    pub(super) fn of_hmac_oid(oid: &str) -> Option<Self> {
        Some(match oid {
            "1.2.840.113549.2.7" => Self::Sha1,
            "1.2.840.113549.2.8" => Self::Sha224,
            "1.2.840.113549.2.9" => Self::Sha256,
            "1.2.840.113549.2.10" => Self::Sha384,
            "1.2.840.113549.2.11" => Self::Sha512,
            _ => return None,
        })
    }

    /// Bytes of the hash.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// Runs an expression with the type of a hash.
macro_rules! with_hash {
    ($hash:expr, $type:ident => $body:expr) => {
        match $hash {
            HashName::Sha1 => {
                type $type = Sha1;
                $body
            }
            HashName::Sha224 => {
                type $type = Sha224;
                $body
            }
            HashName::Sha256 => {
                type $type = Sha256;
                $body
            }
            HashName::Sha384 => {
                type $type = Sha384;
                $body
            }
            HashName::Sha512 => {
                type $type = Sha512;
                $body
            }
        }
    };
}

/// What a key is derived for; the derivation of PKCS#12 gives each another value.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Encryption = 1,
    InitialVector = 2,
    Mac = 3,
}

/// Salt and iterations as the file states them.
#[derive(Clone)]
pub(super) struct Salted {
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
}

/// The work that a file may still cause.
pub(super) struct Work {
    left: u32,
}

impl Work {
    pub(super) fn new() -> Self {
        Self { left: WORK_LIMIT }
    }

    /// Takes what one derivation costs before it is done.
    fn spend(&mut self, iterations: u32, size: usize, hash: HashName) -> Result<(), Pkcs12Error> {
        let blocks = u32::try_from(size.div_ceil(hash.size())).unwrap_or(u32::MAX);
        self.left = iterations
            .checked_mul(blocks)
            .and_then(|cost| self.left.checked_sub(cost))
            .ok_or(Pkcs12Error::TooMuchWork { iterations })?;
        Ok(())
    }
}

/// The derivation of RFC 7292, appendix B.2. `password` is UTF-16 in big-endian order with two zero bytes, or
/// nothing at all, which is another password.
pub(super) fn pkcs12(
    hash: HashName,
    password: &[u8],
    salted: &Salted,
    purpose: Purpose,
    size: usize,
    work: &mut Work,
) -> Result<Zeroizing<Vec<u8>>, Pkcs12Error> {
    work.spend(salted.iterations, size, hash)?;
    let mut key = Zeroizing::new(vec![0; size]);
    with_hash!(hash, D => pkcs12_with::<D>(password, salted, purpose, &mut key));
    Ok(key)
}

/// PBKDF2 of RFC 8018.
pub(super) fn pbkdf2(
    hash: HashName,
    password: &[u8],
    salted: &Salted,
    size: usize,
    work: &mut Work,
) -> Result<Zeroizing<Vec<u8>>, Pkcs12Error> {
    work.spend(salted.iterations, size, hash)?;
    let mut key = Zeroizing::new(vec![0; size]);
    with_hash!(hash, D => pbkdf2::pbkdf2_hmac::<D>(password, &salted.salt, salted.iterations, &mut key));
    Ok(key)
}

/// The HMAC of `message` over SHA-1.
pub(super) fn hmac_sha1(key: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length.
    let mac = Hmac::<Sha1>::new_from_slice(key).map(|mac| mac.chain_update(message).finalize());
    mac.map_or_else(|_| Vec::new(), |mac| mac.into_bytes().to_vec())
}

/// Whether `tag` is the HMAC of `message`.
pub(super) fn hmac_verifies(hash: HashName, key: &[u8], message: &[u8], tag: &[u8]) -> bool {
    with_hash!(hash, D => {
        // HMAC takes keys of any length.
        Hmac::<D>::new_from_slice(key).is_ok_and(|mac| mac.chain_update(message).verify_slice(tag).is_ok())
    })
}

fn pkcs12_with<D: Digest + BlockSizeUser>(
    password: &[u8],
    salted: &Salted,
    purpose: Purpose,
    key: &mut [u8],
) {
    let block = D::block_size();
    let diversifier = vec![purpose as u8; block];
    // Salt and password, each repeated to whole blocks. Empty stays empty.
    let filled = |piece: &[u8]| {
        let size = block * piece.len().div_ceil(block);
        piece.iter().copied().cycle().take(size).collect::<Vec<u8>>()
    };
    let mut input = Zeroizing::new(filled(&salted.salt));
    let password = Zeroizing::new(filled(password));
    input.reserve_exact(password.len());
    input.extend_from_slice(&password);

    for part in key.chunks_mut(<D as Digest>::output_size()) {
        let mut hash = D::new().chain_update(&diversifier).chain_update(&*input).finalize();
        for _ in 1..salted.iterations {
            hash = D::digest(&hash);
        }
        part.copy_from_slice(&hash[..part.len()]);
        // Each block of the input, as a big number: plus the hash repeated to a block, plus one.
        for number in input.chunks_mut(block) {
            let mut carry = 1_u16;
            for (n, digit) in number.iter_mut().enumerate().rev() {
                let sum = u16::from(*digit) + u16::from(hash[n % hash.len()]) + carry;
                *digit = (sum & 0xff) as u8;
                carry = sum >> 8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by OpenSSL's `PKCS12_key_gen_uni`.
    #[test]
    fn derives_what_openssl_derives() {
        let password: Vec<u8> = "smeg\0".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let salted = Salted { salt: vec![0x0a, 0x58, 0xcf, 0x64, 0x53, 0x0d, 0x82, 0x3f], iterations: 1 };
        let derive = |purpose, size| {
            let key = pkcs12(HashName::Sha1, &password, &salted, purpose, size, &mut Work::new()).unwrap();
            key.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        assert_eq!(derive(Purpose::Encryption, 24), "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3");
        assert_eq!(derive(Purpose::InitialVector, 8), "79993dfe048d3b76");
    }

    #[test]
    fn work_is_refused_before_it_is_done() {
        let mut work = Work::new();
        let salted = |iterations| Salted { salt: b"salt".to_vec(), iterations };
        assert!(pbkdf2(HashName::Sha256, b"", &salted(u32::MAX), 32, &mut work).is_err());
        assert!(pbkdf2(HashName::Sha1, b"", &salted(WORK_LIMIT - 1), 32, &mut work).is_err());
        assert!(pbkdf2(HashName::Sha256, b"", &salted(1), 32, &mut work).is_ok());
        let error = pbkdf2(HashName::Sha256, b"", &salted(WORK_LIMIT), 32, &mut work).unwrap_err();
        assert!(error.to_string().contains("2000000"), "{error}");
    }
}
