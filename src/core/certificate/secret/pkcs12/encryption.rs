//! The password-based encryptions of PKCS#12: its own with RC2 and Triple DES, and PBES2.

use std::fmt;

use aes::{Aes128, Aes192, Aes256};
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, InnerIvInit, KeyInit};
use des::{TdesEde2, TdesEde3};
use rc2::Rc2;
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use super::super::super::ber::{self, BerError, Element, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE};
use super::Pkcs12Error;
use super::derivation::{self, HashName, Purpose, Salted, Work};
use super::password::Candidate;

/// How a part of a container is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// RC2 with 40 bits: certificates in exports of Windows and old OpenSSL.
    Rc2With40Bits,
    /// RC2 with 128 bits.
    Rc2With128Bits,
    /// Triple DES with two keys.
    TripleDesTwoKeys,
    /// Triple DES with three keys: what every reader takes.
    TripleDes,
    /// PBES2, with PBKDF2 over that hash.
    Pbes2 {
        /// The cipher.
        cipher: Pbes2Cipher,
        /// The hash under PBKDF2.
        prf: HashName,
    },
}

/// A cipher of PBES2, in CBC mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pbes2Cipher {
    /// Triple DES with three keys.
    TripleDes,
    /// AES with 128 bits.
    Aes128,
    /// AES with 192 bits.
    Aes192,
    /// AES with 256 bits: what OpenSSL 3 and newer Windows write.
    Aes256,
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rc2With40Bits => f.write_str("RC2-40"),
            Self::Rc2With128Bits => f.write_str("RC2-128"),
            Self::TripleDesTwoKeys => f.write_str("3DES with two keys"),
            Self::TripleDes => f.write_str("3DES"),
            Self::Pbes2 { cipher, prf } => {
                let cipher = match cipher {
                    Pbes2Cipher::TripleDes => "3DES",
                    Pbes2Cipher::Aes128 => "AES-128",
                    Pbes2Cipher::Aes192 => "AES-192",
                    Pbes2Cipher::Aes256 => "AES-256",
                };
                write!(f, "PBES2 {cipher} with {prf}")
            }
        }
    }
}

impl Serialize for Cipher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An encryption with its parameters.
pub(super) struct Encryption {
    pub(super) cipher: Cipher,
    salted: Salted,
    /// Of PBES2; the old ciphers derive it.
    initial_vector: Vec<u8>,
}

impl Encryption {
    /// Reads an AlgorithmIdentifier.
    pub(super) fn read(identifier: &Element<'_>) -> Result<Self, Pkcs12Error> {
        let mut reader = identifier.inside();
        let oid = reader.expect(OID, "encryption algorithm")?.oid()?;
        let cipher = match oid.as_str() {
            "1.2.840.113549.1.12.1.3" => Cipher::TripleDes,
            "1.2.840.113549.1.12.1.4" => Cipher::TripleDesTwoKeys,
            "1.2.840.113549.1.12.1.5" => Cipher::Rc2With128Bits,
            "1.2.840.113549.1.12.1.6" => Cipher::Rc2With40Bits,
            "1.2.840.113549.1.5.13" => return Self::read_pbes2(&mut reader),
            _ => return Err(Pkcs12Error::UnknownCipher(oid)),
        };
        let mut parameters = reader.expect(SEQUENCE, "pkcs-12PbeParams")?.inside();
        let salt = parameters.expect(OCTET_STRING, "salt")?.octets()?.to_vec();
        let iterations = iterations(&mut parameters)?;
        Ok(Self { cipher, salted: Salted { salt, iterations }, initial_vector: Vec::new() })
    }

    fn read_pbes2(reader: &mut Reader<'_>) -> Result<Self, Pkcs12Error> {
        let mut parameters = reader.expect(SEQUENCE, "PBES2-params")?.inside();
        let derivation = Pbkdf2::read(&parameters.expect(SEQUENCE, "keyDerivationFunc")?)?;
        let mut scheme = parameters.expect(SEQUENCE, "encryptionScheme")?.inside();
        let oid = scheme.expect(OID, "encryptionScheme")?.oid()?;
        let cipher = match oid.as_str() {
            "1.2.840.113549.3.7" => Pbes2Cipher::TripleDes,
            "2.16.840.1.101.3.4.1.2" => Pbes2Cipher::Aes128,
            "2.16.840.1.101.3.4.1.22" => Pbes2Cipher::Aes192,
            "2.16.840.1.101.3.4.1.42" => Pbes2Cipher::Aes256,
            _ => return Err(Pkcs12Error::UnknownCipher(oid)),
        };
        let initial_vector = scheme.expect(OCTET_STRING, "initial vector")?.octets()?.to_vec();
        let cipher = Cipher::Pbes2 { cipher, prf: derivation.prf };
        Ok(Self { cipher, salted: derivation.salted, initial_vector })
    }

    /// Decrypts; `None` if the password is not the one, which shows in the padding or in what comes out being no
    /// sequence.
    pub(super) fn decrypt(
        &self,
        data: &[u8],
        password: &Candidate,
        work: &mut Work,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Pkcs12Error> {
        let mut derive = |purpose, size| {
            derivation::pkcs12(HashName::Sha1, &password.utf16, &self.salted, purpose, size, work)
        };
        let mut buffer = Zeroizing::new(data.to_vec());
        let size = match self.cipher {
            Cipher::Rc2With40Bits | Cipher::Rc2With128Bits => {
                let size = if self.cipher == Cipher::Rc2With40Bits { 5 } else { 16 };
                let key = derive(Purpose::Encryption, size)?;
                let iv = derive(Purpose::InitialVector, 8)?;
                cbc(Rc2::new_with_eff_key_len(&key, size * 8), &iv, &mut buffer)
            }
            Cipher::TripleDesTwoKeys => {
                let key = derive(Purpose::Encryption, 16)?;
                let iv = derive(Purpose::InitialVector, 8)?;
                cbc_by_key::<TdesEde2>(&key, &iv, &mut buffer)
            }
            Cipher::TripleDes => {
                let key = derive(Purpose::Encryption, 24)?;
                let iv = derive(Purpose::InitialVector, 8)?;
                cbc_by_key::<TdesEde3>(&key, &iv, &mut buffer)
            }
            Cipher::Pbes2 { cipher, prf } => {
                let mut derive = |size| derivation::pbkdf2(prf, &password.utf8, &self.salted, size, work);
                let iv = &self.initial_vector;
                match cipher {
                    Pbes2Cipher::TripleDes => cbc_by_key::<TdesEde3>(&derive(24)?, iv, &mut buffer),
                    Pbes2Cipher::Aes128 => cbc_by_key::<Aes128>(&derive(16)?, iv, &mut buffer),
                    Pbes2Cipher::Aes192 => cbc_by_key::<Aes192>(&derive(24)?, iv, &mut buffer),
                    Pbes2Cipher::Aes256 => cbc_by_key::<Aes256>(&derive(32)?, iv, &mut buffer),
                }
            }
        };
        let Some(size) = size else { return Ok(None) };
        buffer.truncate(size);
        Ok(ber::whole_sequence(&buffer, "decrypted content").is_ok().then_some(buffer))
    }
}

/// PBKDF2 with its parameters, as PBES2 and PBMAC1 state them.
pub(super) struct Pbkdf2 {
    pub(super) salted: Salted,
    pub(super) prf: HashName,
    pub(super) key_length: Option<u32>,
}

impl Pbkdf2 {
    pub(super) fn read(identifier: &Element<'_>) -> Result<Self, Pkcs12Error> {
        let mut reader = identifier.inside();
        let oid = reader.expect(OID, "keyDerivationFunc")?.oid()?;
        if oid != "1.2.840.113549.1.5.12" {
            return Err(Pkcs12Error::UnknownDerivation(oid));
        }
        let mut parameters = reader.expect(SEQUENCE, "PBKDF2-params")?.inside();
        let salt = parameters.expect(OCTET_STRING, "salt")?.octets()?.to_vec();
        let iterations = iterations(&mut parameters)?;
        let key_length = parameters.optional(INTEGER, "keyLength")?.map(|n| n.number()).transpose()?;
        let prf = match parameters.optional(SEQUENCE, "prf")? {
            None => HashName::Sha1,
            Some(identifier) => hmac_hash(&identifier)?,
        };
        Ok(Self { salted: Salted { salt, iterations }, prf, key_length })
    }
}

/// The hash of an HMAC's AlgorithmIdentifier.
pub(super) fn hmac_hash(identifier: &Element<'_>) -> Result<HashName, Pkcs12Error> {
    let oid = identifier.inside().expect(OID, "HMAC algorithm")?.oid()?;
    HashName::of_hmac_oid(&oid).ok_or(Pkcs12Error::UnknownMac(oid))
}

fn iterations(reader: &mut Reader<'_>) -> Result<u32, BerError> {
    // Zero means one to those who accept it at all.
    Ok(reader.expect(INTEGER, "iteration count")?.number()?.max(1))
}

/// Decrypts in place and says how much is left without padding.
fn cbc<C: BlockCipherDecrypt>(cipher: C, iv: &[u8], buffer: &mut [u8]) -> Option<usize> {
    let mode = Decryptor::inner_iv_slice_init(cipher, iv).ok()?;
    mode.decrypt_padded::<Pkcs7>(buffer).ok().map(<[u8]>::len)
}

fn cbc_by_key<C: BlockCipherDecrypt + KeyInit>(key: &[u8], iv: &[u8], buffer: &mut [u8]) -> Option<usize> {
    cbc(C::new_from_slice(key).ok()?, iv, buffer)
}
