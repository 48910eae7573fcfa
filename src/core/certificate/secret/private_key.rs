//! Private keys: read to be compared with a certificate, then wiped.

use std::fmt;

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use thiserror::Error;
use zeroize::Zeroizing;

use super::super::ber::{self, BIT_STRING, BerError, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, context};
use super::super::public_key::{
    Curve, EC_OID, ED25519_OID, PublicKey, PublicPart, RSA_OID, RSA_PSS_OID, curve_parameters,
};
use super::super::x509::Certificate;

/// A private key. Of it no more is held than the comparison with a certificate needs: public numbers, and the secret
/// one only of an elliptic key that does not state its public point. That is wiped when the value is dropped.
pub struct PrivateKey(Material);

enum Material {
    Public(PublicPart),
    Scalar { curve: Curve, scalar: Zeroizing<Vec<u8>> },
    Unknown(String),
}

/// Why bytes are not a private key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not the structure of its standard.
    #[error("{0}")]
    Malformed(#[from] BerError),
    /// A key that says nothing about its curve, inside or outside.
    #[error("it names no elliptic curve; expected it in the key")]
    NoCurve,
    /// No key pair at all.
    #[error("its bytes are not an Ed25519 key")]
    Ed25519,
}

impl PrivateKey {
    /// Whether this is the key of that certificate: the same modulus and exponent, or the same point.
    pub fn matches(&self, certificate: &Certificate) -> bool {
        match (&self.0, certificate.public()) {
            (Material::Public(own), public) => own == public,
            (Material::Scalar { curve, scalar }, PublicPart::Ec { curve: of, point }) if curve == of => {
                let algorithm = match curve {
                    Curve::P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
                    Curve::P384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
                    Curve::P521 | Curve::Other(_) => return false,
                };
                // ring multiplies and compares. What it draws at random is for signing, and the answer does not
                // depend on it.
                let random = SystemRandom::new();
                EcdsaKeyPair::from_private_key_and_public_key(algorithm, scalar, point, &random).is_ok()
            }
            (Material::Scalar { .. } | Material::Unknown(_), _) => false,
        }
    }

    /// The kind and size of the key.
    pub fn kind(&self) -> PublicKey {
        match &self.0 {
            Material::Public(part) => part.kind(),
            Material::Scalar { curve, .. } => PublicKey::Ec { curve: curve.clone() },
            Material::Unknown(oid) => PublicKey::Other(oid.clone()),
        }
    }

    /// Reads PKCS#8, `BEGIN PRIVATE KEY`.
    pub(super) fn of_pkcs8(bytes: &[u8]) -> Result<Self, KeyError> {
        let mut info = ber::whole_sequence(bytes, "PrivateKeyInfo")?;
        info.expect(INTEGER, "PrivateKeyInfo version")?;
        let mut algorithm = info.expect(SEQUENCE, "privateKeyAlgorithm")?.inside();
        let oid = algorithm.expect(OID, "privateKeyAlgorithm")?.oid()?;
        let key = info.expect(OCTET_STRING, "privateKey")?.octets()?;
        match oid.as_str() {
            RSA_OID | RSA_PSS_OID => Self::of_pkcs1(&key),
            EC_OID => Self::read_sec1(&key, Some(curve_parameters(&mut algorithm)?)),
            ED25519_OID => {
                let mut reader = Reader::new(&key);
                let seed = reader.expect(OCTET_STRING, "Ed25519 private key")?.octets()?;
                let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| KeyError::Ed25519)?;
                let public = pair.public_key().as_ref().to_vec();
                Ok(Self(Material::Public(PublicPart::Ed25519(public))))
            }
            _ => Ok(Self(Material::Unknown(oid))),
        }
    }

    /// Reads PKCS#1, `BEGIN RSA PRIVATE KEY`.
    pub(super) fn of_pkcs1(bytes: &[u8]) -> Result<Self, KeyError> {
        let mut key = ber::whole_sequence(bytes, "RSAPrivateKey")?;
        key.expect(INTEGER, "RSAPrivateKey version")?;
        Ok(Self(Material::Public(PublicPart::rsa(&mut key)?)))
    }

    /// Reads SEC1, `BEGIN EC PRIVATE KEY`.
    pub(super) fn of_sec1(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::read_sec1(bytes, None)
    }

    /// SEC1, whose curve PKCS#8 names outside.
    fn read_sec1(bytes: &[u8], outside: Option<Curve>) -> Result<Self, KeyError> {
        let mut key = ber::whole_sequence(bytes, "ECPrivateKey")?;
        key.expect(INTEGER, "ECPrivateKey version")?;
        let scalar = key.expect(OCTET_STRING, "ECPrivateKey scalar")?.octets()?;
        let inside = key.optional(context(0), "ECPrivateKey parameters")?;
        let curve = match (outside, inside) {
            (Some(curve), _) => curve,
            (None, Some(parameters)) => curve_parameters(&mut parameters.inside())?,
            (None, None) => return Err(KeyError::NoCurve),
        };
        let point = match key.optional(context(1), "ECPrivateKey public point")? {
            Some(point) => {
                Some(point.inside().expect(BIT_STRING, "ECPrivateKey public point")?.bits()?.to_vec())
            }
            None => None,
        };
        // A point may be compressed, in which case only the scalar can be compared with a certificate.
        Ok(Self(match point {
            Some(point) if point.first() == Some(&4) => Material::Public(PublicPart::Ec { curve, point }),
            _ => Material::Scalar { curve, scalar: Zeroizing::new(scalar.to_vec()) },
        }))
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey")
    }
}
