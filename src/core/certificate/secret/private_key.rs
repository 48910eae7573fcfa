//! Private keys: read to be compared with a certificate, then wiped. Only what is opened to be stored in a vault keeps
//! the key itself, and hands it to nothing but the container that is written.

use std::fmt;

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use thiserror::Error;
use zeroize::Zeroizing;

use super::super::ber::{self, BIT_STRING, BerError, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, context};
use super::super::der;
use super::super::public_key::{
    Curve, EC_OID, ED25519_OID, PublicKey, PublicPart, RSA_OID, RSA_PSS_OID, curve_parameters,
};
use super::super::x509::Certificate;

/// Whether the secret part of a key outlives the reading of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// No: the key is only to be compared.
    Nothing,
    /// Until the key is dropped: it is to be written into a container.
    Secret,
}

/// A private key. Of it no more is held than the comparison with a certificate needs: public numbers, and the secret
/// one only of an elliptic key that does not state its public point, or of a key that is to be stored in a vault. That
/// is wiped when the value is dropped.
pub struct PrivateKey {
    material: Material,
    /// Of an RSA key its PKCS#1 form, of an elliptic one its scalar.
    secret: Option<Zeroizing<Vec<u8>>>,
}

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
        match (&self.material, certificate.public()) {
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
        match &self.material {
            Material::Public(part) => part.kind(),
            Material::Scalar { curve, .. } => PublicKey::Ec { curve: curve.clone() },
            Material::Unknown(oid) => PublicKey::Other(oid.clone()),
        }
    }

    /// Reads PKCS#8, `BEGIN PRIVATE KEY`.
    pub(super) fn of_pkcs8(bytes: &[u8], keep: Keep) -> Result<Self, KeyError> {
        let mut info = ber::whole_sequence(bytes, "PrivateKeyInfo")?;
        info.expect(INTEGER, "PrivateKeyInfo version")?;
        let mut algorithm = info.expect(SEQUENCE, "privateKeyAlgorithm")?.inside();
        let oid = algorithm.expect(OID, "privateKeyAlgorithm")?.oid()?;
        let key = info.expect(OCTET_STRING, "privateKey")?.octets()?;
        match oid.as_str() {
            RSA_OID | RSA_PSS_OID => Self::of_pkcs1(&key, keep),
            EC_OID => Self::read_sec1(&key, Some(curve_parameters(&mut algorithm)?), keep),
            ED25519_OID => {
                let mut reader = Reader::new(&key);
                let seed = reader.expect(OCTET_STRING, "Ed25519 private key")?.octets()?;
                let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| KeyError::Ed25519)?;
                let public = pair.public_key().as_ref().to_vec();
                Ok(Self::of(Material::Public(PublicPart::Ed25519(public))))
            }
            _ => Ok(Self::of(Material::Unknown(oid))),
        }
    }

    /// Reads PKCS#1, `BEGIN RSA PRIVATE KEY`.
    pub(super) fn of_pkcs1(bytes: &[u8], keep: Keep) -> Result<Self, KeyError> {
        let mut key = ber::whole_sequence(bytes, "RSAPrivateKey")?;
        key.expect(INTEGER, "RSAPrivateKey version")?;
        let material = Material::Public(PublicPart::rsa(&mut key)?);
        Ok(Self { material, secret: kept(bytes, keep) })
    }

    /// Reads SEC1, `BEGIN EC PRIVATE KEY`.
    pub(super) fn of_sec1(bytes: &[u8], keep: Keep) -> Result<Self, KeyError> {
        Self::read_sec1(bytes, None, keep)
    }

    /// As PKCS#8, once it is known to be the key of that certificate. `None` if it is of a kind that vaults do not take,
    /// or was not kept.
    ///
    /// An elliptic key is written with the certificate's public point, which Windows does not import it without, and
    /// with the curve outside alone, as RFC 5958 has it.
    pub(super) fn pkcs8(&self, certificate: &Certificate) -> Option<Zeroizing<Vec<u8>>> {
        let secret = self.secret.as_ref()?;
        let zero = der::integer(0);
        match certificate.public() {
            PublicPart::Rsa { .. } => {
                let null = der::element(NULL, &[]);
                let algorithm = der::sequence(&[&der::oid(RSA), &null]);
                Some(der::sequence(&[&zero, &algorithm, &der::octets(secret)]))
            }
            PublicPart::Ec { curve, point } => {
                let curve = match curve {
                    Curve::P256 => P256,
                    Curve::P384 => P384,
                    Curve::P521 => P521,
                    Curve::Other(_) => return None,
                };
                let algorithm = der::sequence(&[&der::oid(EC), &der::oid(curve)]);
                // No bit of the last byte is unused.
                let point = der::element(context(1), &[&der::element(BIT_STRING, &[&[0], point])]);
                let key = der::sequence(&[&der::integer(1), &der::octets(secret), &point]);
                Some(der::sequence(&[&zero, &algorithm, &der::octets(&key)]))
            }
            PublicPart::Ed25519(_) | PublicPart::Other { .. } => None,
        }
    }

    /// A key of which nothing secret is kept.
    fn of(material: Material) -> Self {
        Self { material, secret: None }
    }

    /// SEC1, whose curve PKCS#8 names outside.
    fn read_sec1(bytes: &[u8], outside: Option<Curve>, keep: Keep) -> Result<Self, KeyError> {
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
        let material = match point {
            Some(point) if point.first() == Some(&4) => Material::Public(PublicPart::Ec { curve, point }),
            _ => Material::Scalar { curve, scalar: Zeroizing::new(scalar.to_vec()) },
        };
        Ok(Self { material, secret: kept(&scalar, keep) })
    }
}

fn kept(secret: &[u8], keep: Keep) -> Option<Zeroizing<Vec<u8>>> {
    match keep {
        Keep::Nothing => None,
        Keep::Secret => Some(Zeroizing::new(secret.to_vec())),
    }
}

/// The tag of NULL.
const NULL: u8 = 0x05;
/// `rsaEncryption`, 1.2.840.113549.1.1.1.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// `id-ecPublicKey`, 1.2.840.10045.2.1.
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// 1.2.840.10045.3.1.7.
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// 1.3.132.0.34.
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
/// 1.3.132.0.35.
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey")
    }
}
