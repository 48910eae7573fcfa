//! The one form of PKCS#12 that is written: Triple DES and a SHA-1 MAC, as Windows exported it for two decades.
//!
//! The documents of Cloud Services say that they do not take AES with SHA-256 (Microsoft's page on certificates for
//! cloud services), Windows Server 2016 does not read it, and no document names a release from which on either does.
//! Triple DES is read by every Windows, by Key Vault and by OpenSSL without its legacy provider; RC2 is not. It is weak by
//! today's measure and protects nothing here: whoever can read the vault finds the password beside the container.

use cbc::Encryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use des::TdesEde3;
use zeroize::Zeroizing;

use super::super::super::ber::context;
use super::super::super::der;
use super::Pkcs12Error;
use super::derivation::{self, HashName, Purpose, Salted, Work};
use super::password::{Candidate, candidates};

/// Random bytes that a container is made with: three salts.
pub(in super::super) const RANDOM: usize = 3 * SALT;

/// Bytes of a salt: what Windows and OpenSSL write, and what the derivation of PKCS#12 recommends at the least.
const SALT: usize = 8;

/// Iterations of each derivation: what OpenSSL writes, and Windows about as many. More would protect a password that is
/// stored beside the container, and cost every reader.
const ITERATIONS: u32 = 2048;

/// Bytes of a block of Triple DES.
const BLOCK: usize = 8;

/// What a container is to hold.
pub(in super::super) struct Written<'a> {
    /// Certificates in DER. The first one is the key's, if there is a key.
    pub(in super::super) certificates: &'a [&'a [u8]],
    /// A key as PKCS#8.
    pub(in super::super) key: Option<&'a [u8]>,
    /// The password, which may be empty: then it is written as two zero bytes.
    pub(in super::super) password: &'a str,
    /// For the salts.
    pub(in super::super) random: &'a [u8; RANDOM],
}

/// Writes a container. Certificates are encrypted too, as every exporter does it.
///
/// # Errors
/// None that a container of this form can have: the derivations stay within the limit on work.
pub(in super::super) fn write(written: &Written<'_>) -> Result<Zeroizing<Vec<u8>>, Pkcs12Error> {
    let mut salts = written.random.chunks_exact(SALT);
    let mut salted = || Salted { salt: salts.next().unwrap_or_default().to_vec(), iterations: ITERATIONS };
    let (for_certificates, for_key, for_mac) = (salted(), salted(), salted());
    let mut lock = Lock { passwords: candidates(written.password), work: Work::new() };

    let mut safes: Vec<Zeroizing<Vec<u8>>> = Vec::new();
    if let Some(key) = written.key {
        let encrypted = lock.encrypted(key, &for_key)?;
        let shrouded = der::sequence(&[&algorithm(&for_key), &der::octets(&encrypted)]);
        let bag = bag(SHROUDED_KEY_BAG, &shrouded, true);
        safes.push(content(DATA, &der::octets(&der::sequence(&[&bag]))));
    }
    let bags: Vec<Zeroizing<Vec<u8>>> = written
        .certificates
        .iter()
        .enumerate()
        .map(|(place, der)| {
            let value = der::element(context(0), &[&der::octets(der)]);
            let certificate = der::sequence(&[&der::oid(X509_CERTIFICATE), &value]);
            bag(CERTIFICATE_BAG, &certificate, place == 0 && written.key.is_some())
        })
        .collect();
    let encrypted = lock.encrypted(&der::sequence(&parts(&bags)), &for_certificates)?;
    let info = der::sequence(&[
        &der::oid(DATA),
        &algorithm(&for_certificates),
        // Implicitly tagged.
        &der::element(0x80, &[&encrypted]),
    ]);
    safes.push(content(ENCRYPTED_DATA, &der::sequence(&[&der::integer(0), &info])));

    let authenticated = der::sequence(&parts(&safes));
    let digest = lock.mac(&authenticated, &for_mac)?;
    let sha1 = der::sequence(&[&der::oid(SHA1), &der::element(NULL, &[])]);
    let mac = der::sequence(&[
        &der::sequence(&[&sha1, &der::octets(&digest)]),
        &der::octets(&for_mac.salt),
        &der::integer(ITERATIONS),
    ]);
    Ok(der::sequence(&[&der::integer(3), &content(DATA, &der::octets(&authenticated)), &mac]))
}

fn parts(elements: &[Zeroizing<Vec<u8>>]) -> Vec<&[u8]> {
    elements.iter().map(|element| element.as_slice()).collect()
}

/// ContentInfo.
fn content(kind: &[u8], content: &[u8]) -> Zeroizing<Vec<u8>> {
    der::sequence(&[&der::oid(kind), &der::element(context(0), &[content])])
}

/// SafeBag. The key and its certificate have the same local key id, by which Windows finds the one for the other; this
/// is the one that Windows writes.
fn bag(kind: &[u8], value: &[u8], paired: bool) -> Zeroizing<Vec<u8>> {
    let value = der::element(context(0), &[value]);
    if !paired {
        return der::sequence(&[&der::oid(kind), &value]);
    }
    let id = der::element(der::SET, &[&der::octets(&[1, 0, 0, 0])]);
    let attribute = der::sequence(&[&der::oid(LOCAL_KEY_ID), &id]);
    der::sequence(&[&der::oid(kind), &value, &der::element(der::SET, &[&attribute])])
}

fn algorithm(salted: &Salted) -> Zeroizing<Vec<u8>> {
    let parameters = der::sequence(&[&der::octets(&salted.salt), &der::integer(salted.iterations)]);
    der::sequence(&[&der::oid(PBE_SHA1_3DES), &parameters])
}

/// A password, and the work of deriving keys from it.
struct Lock {
    passwords: Vec<Candidate>,
    work: Work,
}

impl Lock {
    fn key(
        &mut self,
        salted: &Salted,
        purpose: Purpose,
        size: usize,
    ) -> Result<Zeroizing<Vec<u8>>, Pkcs12Error> {
        // Of the two empty passwords the first: two zero bytes, as the standard has it.
        let password = self.passwords.first().map_or(&[][..], |password| password.utf16.as_slice());
        derivation::pkcs12(HashName::Sha1, password, salted, purpose, size, &mut self.work)
    }

    fn encrypted(&mut self, data: &[u8], salted: &Salted) -> Result<Zeroizing<Vec<u8>>, Pkcs12Error> {
        let key = self.key(salted, Purpose::Encryption, 24)?;
        let iv = self.key(salted, Purpose::InitialVector, BLOCK)?;
        let mut buffer = Zeroizing::new(vec![0; (data.len() / BLOCK + 1) * BLOCK]);
        buffer[..data.len()].copy_from_slice(data);
        // Key, vector and buffer have the sizes that are asked for, so that neither step fails.
        let cipher = Encryptor::<TdesEde3>::new_from_slices(&key, &iv).map_err(|_| Pkcs12Error::Damaged)?;
        cipher.encrypt_padded::<Pkcs7>(&mut buffer, data.len()).map_err(|_| Pkcs12Error::Damaged)?;
        Ok(buffer)
    }

    fn mac(&mut self, content: &[u8], salted: &Salted) -> Result<Vec<u8>, Pkcs12Error> {
        let key = self.key(salted, Purpose::Mac, HashName::Sha1.size())?;
        Ok(derivation::hmac_sha1(&key, content))
    }
}

/// The tag of NULL.
const NULL: u8 = 0x05;
/// `data`, 1.2.840.113549.1.7.1.
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
/// `encryptedData`, 1.2.840.113549.1.7.6.
const ENCRYPTED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x06];
/// `pkcs8ShroudedKeyBag`, 1.2.840.113549.1.12.10.1.2.
const SHROUDED_KEY_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x02];
/// `certBag`, 1.2.840.113549.1.12.10.1.3.
const CERTIFICATE_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x03];
/// `x509Certificate`, 1.2.840.113549.1.9.22.1.
const X509_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];
/// `localKeyId`, 1.2.840.113549.1.9.21.
const LOCAL_KEY_ID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x15];
/// `pbeWithSHAAnd3-KeyTripleDES-CBC`, 1.2.840.113549.1.12.1.3.
const PBE_SHA1_3DES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x03];
/// `id-sha1`, 1.3.14.3.2.26.
const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
