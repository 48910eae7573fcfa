//! Signatures on certificates: by which algorithm, whether it is still sound, and whether one verifies.

use std::fmt;

use ring::signature as ring;
use serde::{Serialize, Serializer};
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::AlgorithmIdentifier;

use super::ber::oid_text;
use super::public_key::{Curve, PublicPart};

/// How a certificate is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureAlgorithm {
    hash: SignatureHash,
    scheme: Scheme,
    oid: String,
}

/// The hash under a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignatureHash {
    /// MD5, forged since 2008.
    Md5,
    /// SHA-1, forged since 2017.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// Anything else.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    RsaPkcs1,
    RsaPss,
    Ecdsa,
    Ed25519,
    Other,
}

/// What a look at a signature says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Verified,
    Forged,
    /// By an algorithm that is not implemented here.
    Unknown,
}

impl SignatureAlgorithm {
    /// The hash that is signed.
    pub fn hash(&self) -> SignatureHash {
        self.hash
    }

    /// Whether a signature of this kind can be forged, or nearly: MD5 and SHA-1.
    pub fn is_weak(&self) -> bool {
        matches!(self.hash, SignatureHash::Md5 | SignatureHash::Sha1)
    }

    /// Resistance to collisions in bits, for comparing; 0 for what is forged or not known.
    pub fn strength_bits(&self) -> u32 {
        match self.hash {
            SignatureHash::Md5 | SignatureHash::Sha1 | SignatureHash::Other => 0,
            SignatureHash::Sha224 => 112,
            SignatureHash::Sha256 => 128,
            SignatureHash::Sha384 => 192,
            SignatureHash::Sha512 => 256,
        }
    }

    pub(super) fn of(identifier: &AlgorithmIdentifier<'_>) -> Self {
        use SignatureHash::{Md5, Other, Sha1, Sha224, Sha256, Sha384, Sha512};
        let oid = oid_text(identifier.algorithm.as_bytes()).unwrap_or_default();
        let (scheme, hash) = match oid.as_str() {
            "1.2.840.113549.1.1.4" | "1.3.14.3.2.3" => (Scheme::RsaPkcs1, Md5),
            "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => (Scheme::RsaPkcs1, Sha1),
            "1.2.840.113549.1.1.14" => (Scheme::RsaPkcs1, Sha224),
            "1.2.840.113549.1.1.11" => (Scheme::RsaPkcs1, Sha256),
            "1.2.840.113549.1.1.12" => (Scheme::RsaPkcs1, Sha384),
            "1.2.840.113549.1.1.13" => (Scheme::RsaPkcs1, Sha512),
            "1.2.840.113549.1.1.10" => (Scheme::RsaPss, pss_hash(identifier)),
            "1.2.840.10045.4.1" => (Scheme::Ecdsa, Sha1),
            "1.2.840.10045.4.3.1" => (Scheme::Ecdsa, Sha224),
            "1.2.840.10045.4.3.2" => (Scheme::Ecdsa, Sha256),
            "1.2.840.10045.4.3.3" => (Scheme::Ecdsa, Sha384),
            "1.2.840.10045.4.3.4" => (Scheme::Ecdsa, Sha512),
            "1.3.101.112" => (Scheme::Ed25519, Sha512),
            _ => (Scheme::Other, Other),
        };
        Self { hash, scheme, oid }
    }

    /// Whether `key` made `signature` on `message`.
    pub(super) fn verify(&self, key: &PublicPart, message: &[u8], signature: &[u8]) -> Verdict {
        let verified = match key {
            PublicPart::Rsa { modulus, exponent } => {
                let Some((algorithm, least)) = self.rsa() else { return Verdict::Unknown };
                // ring's bounds; beyond them it answers as it answers to a forgery.
                if !(least..=8192).contains(&(modulus.len() * 8)) {
                    return Verdict::Unknown;
                }
                let key = ring::RsaPublicKeyComponents { n: modulus, e: exponent };
                key.verify(algorithm, message, signature)
            }
            PublicPart::Ec { curve, point } => {
                let Some(algorithm) = self.ecdsa(curve) else { return Verdict::Unknown };
                ring::UnparsedPublicKey::new(algorithm, point).verify(message, signature)
            }
            PublicPart::Ed25519(point) if self.scheme == Scheme::Ed25519 => {
                ring::UnparsedPublicKey::new(&ring::ED25519, point).verify(message, signature)
            }
            PublicPart::Ed25519(_) | PublicPart::Other { .. } => return Verdict::Unknown,
        };
        if verified.is_ok() { Verdict::Verified } else { Verdict::Forged }
    }

    /// Old roots have 1024 bits or SHA-1. Whether that is acceptable is a policy's question; here the question is
    /// only which certificate issued which. With the least modulus that ring takes, in bits.
    fn rsa(&self) -> Option<(&'static ring::RsaParameters, usize)> {
        use SignatureHash::{Sha1, Sha256, Sha384, Sha512};
        Some(match (self.scheme, self.hash) {
            (Scheme::RsaPkcs1, Sha1) => (&ring::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, 1024),
            (Scheme::RsaPkcs1, Sha256) => (&ring::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, 1024),
            (Scheme::RsaPkcs1, Sha384) => (&ring::RSA_PKCS1_2048_8192_SHA384, 2048),
            (Scheme::RsaPkcs1, Sha512) => (&ring::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, 1024),
            (Scheme::RsaPss, Sha256) => (&ring::RSA_PSS_2048_8192_SHA256, 2048),
            (Scheme::RsaPss, Sha384) => (&ring::RSA_PSS_2048_8192_SHA384, 2048),
            (Scheme::RsaPss, Sha512) => (&ring::RSA_PSS_2048_8192_SHA512, 2048),
            _ => return None,
        })
    }

    fn ecdsa(&self, curve: &Curve) -> Option<&'static ring::EcdsaVerificationAlgorithm> {
        if self.scheme != Scheme::Ecdsa {
            return None;
        }
        Some(match (curve, self.hash) {
            (Curve::P256, SignatureHash::Sha256) => &ring::ECDSA_P256_SHA256_ASN1,
            (Curve::P256, SignatureHash::Sha384) => &ring::ECDSA_P256_SHA384_ASN1,
            (Curve::P384, SignatureHash::Sha256) => &ring::ECDSA_P384_SHA256_ASN1,
            (Curve::P384, SignatureHash::Sha384) => &ring::ECDSA_P384_SHA384_ASN1,
            _ => return None,
        })
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::RsaPkcs1 => "RSA",
            Scheme::RsaPss => "RSA-PSS",
            Scheme::Ecdsa => "ECDSA",
            Scheme::Ed25519 => return f.write_str("Ed25519"),
            Scheme::Other => return write!(f, "signature algorithm {}", self.oid),
        };
        write!(f, "{scheme} with {}", self.hash)
    }
}

impl fmt::Display for SignatureHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha224 => "SHA-224",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
            Self::Other => "another hash",
        })
    }
}

impl Serialize for SignatureAlgorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The hash that the parameters of RSA-PSS name; SHA-1 where they name none (RFC 4055).
fn pss_hash(identifier: &AlgorithmIdentifier<'_>) -> SignatureHash {
    let Some(parameters) = &identifier.parameters else { return SignatureHash::Sha1 };
    let Ok(parameters) = RsaSsaPssParams::try_from(parameters) else { return SignatureHash::Other };
    match oid_text(parameters.hash_algorithm_oid().as_bytes()).unwrap_or_default().as_str() {
        "1.3.14.3.2.26" => SignatureHash::Sha1,
        "2.16.840.1.101.3.4.2.4" => SignatureHash::Sha224,
        "2.16.840.1.101.3.4.2.1" => SignatureHash::Sha256,
        "2.16.840.1.101.3.4.2.2" => SignatureHash::Sha384,
        "2.16.840.1.101.3.4.2.3" => SignatureHash::Sha512,
        _ => SignatureHash::Other,
    }
}
