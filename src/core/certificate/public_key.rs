//! Public keys: which kind, how strong, and whether two are the same.

use std::fmt;

use serde::{Serialize, Serializer};

use super::ber::{self, BIT_STRING, BerError, INTEGER, OID, Reader, SEQUENCE};

/// The kind and size of a certificate's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// RSA with a modulus of that many bits.
    Rsa {
        /// Bits of the modulus.
        bits: usize,
    },
    /// A point on an elliptic curve.
    Ec {
        /// The named curve.
        curve: Curve,
    },
    /// Ed25519.
    Ed25519,
    /// Anything else, by its object identifier.
    Other(String),
}

/// An elliptic curve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256, also called prime256v1.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
    /// Anything else, by its object identifier.
    Other(String),
}

impl PublicKey {
    /// Security strength in bits, for comparing keys of different kinds: NIST SP 800-57 part 1, table 2. In steps, so
    /// that RSA 3072 and P-256 are equals. 0 for what is not known.
    pub fn strength_bits(&self) -> u32 {
        match self {
            Self::Rsa { bits } => match bits {
                0..1024 => 0,
                1024..2048 => 80,
                2048..3072 => 112,
                3072..7680 => 128,
                7680..15360 => 192,
                15360.. => 256,
            },
            Self::Ec { curve: Curve::P256 } | Self::Ed25519 => 128,
            Self::Ec { curve: Curve::P384 } => 192,
            Self::Ec { curve: Curve::P521 } => 256,
            Self::Ec { curve: Curve::Other(_) } | Self::Other(_) => 0,
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
            Self::Ec { curve } => write!(f, "EC {curve}"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Other(oid) => write!(f, "key algorithm {oid}"),
        }
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Other(oid) => oid,
        })
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Curve {
    pub(super) fn of_oid(oid: String) -> Self {
        match oid.as_str() {
            "1.2.840.10045.3.1.7" => Self::P256,
            "1.3.132.0.34" => Self::P384,
            "1.3.132.0.35" => Self::P521,
            _ => Self::Other(oid),
        }
    }
}

/// `rsaEncryption`.
pub(super) const RSA_OID: &str = "1.2.840.113549.1.1.1";
/// `id-RSASSA-PSS`: an RSA key that is restricted to such signatures.
pub(super) const RSA_PSS_OID: &str = "1.2.840.113549.1.1.10";
/// `id-ecPublicKey`.
pub(super) const EC_OID: &str = "1.2.840.10045.2.1";
/// `id-Ed25519`.
pub(super) const ED25519_OID: &str = "1.3.101.112";

/// What two keys have in common when they are the same. Numbers have no leading zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PublicPart {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Ec { curve: Curve, point: Vec<u8> },
    Ed25519(Vec<u8>),
    Other { algorithm: String, bits: Vec<u8> },
}

impl PublicPart {
    /// Reads a SubjectPublicKeyInfo.
    pub(super) fn of_spki(spki: &[u8]) -> Result<Self, BerError> {
        let mut reader = ber::whole_sequence(spki, "SubjectPublicKeyInfo")?;
        let mut algorithm = reader.expect(SEQUENCE, "AlgorithmIdentifier")?.inside();
        let oid = algorithm.expect(OID, "AlgorithmIdentifier")?.oid()?;
        let bits = reader.expect(BIT_STRING, "SubjectPublicKey")?.bits()?;
        reader.finish("SubjectPublicKeyInfo")?;
        Ok(match oid.as_str() {
            RSA_OID | RSA_PSS_OID => Self::rsa(&mut ber::whole_sequence(bits, "RSAPublicKey")?)?,
            EC_OID => Self::Ec { curve: curve_parameters(&mut algorithm)?, point: bits.to_vec() },
            ED25519_OID => Self::Ed25519(bits.to_vec()),
            _ => Self::Other { algorithm: oid, bits: bits.to_vec() },
        })
    }

    /// The modulus and the exponent, which are next in both kinds of RSA key.
    pub(super) fn rsa(reader: &mut Reader<'_>) -> Result<Self, BerError> {
        let mut number = |name| reader.expect(INTEGER, name).map(|n| ber::magnitude(n.bytes()).to_vec());
        Ok(Self::Rsa { modulus: number("RSA modulus")?, exponent: number("RSA exponent")? })
    }

    /// What to tell people.
    pub(super) fn kind(&self) -> PublicKey {
        match self {
            Self::Rsa { modulus, .. } => {
                let unused = modulus.first().map_or(0, |first| first.leading_zeros() as usize);
                PublicKey::Rsa { bits: modulus.len() * 8 - unused }
            }
            Self::Ec { curve, .. } => PublicKey::Ec { curve: curve.clone() },
            Self::Ed25519(_) => PublicKey::Ed25519,
            Self::Other { algorithm, .. } => PublicKey::Other(algorithm.clone()),
        }
    }
}

/// The curve that an algorithm's parameters name. Curves given by their numbers are not supported by anybody.
pub(super) fn curve_parameters(reader: &mut Reader<'_>) -> Result<Curve, BerError> {
    reader.expect(OID, "name of the elliptic curve")?.oid().map(Curve::of_oid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strengths_compare_across_kinds() {
        let rsa = |bits| PublicKey::Rsa { bits }.strength_bits();
        let ec = |curve| PublicKey::Ec { curve }.strength_bits();
        assert!(rsa(1024) < rsa(2048) && rsa(2048) < rsa(4096));
        assert_eq!(rsa(4096), ec(Curve::P256));
        assert!(ec(Curve::P256) < ec(Curve::P384) && ec(Curve::P384) < ec(Curve::P521));
        assert_eq!(ec(Curve::Other("1.3.132.0.10".to_owned())), 0);
    }
}
