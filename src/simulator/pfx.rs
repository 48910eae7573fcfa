//! PKCS#12 as Key Vault and Windows write and read it, made without the client's code.
//!
//! A PFX without a password comes in two forms, which derive different keys: from two zero bytes, and from nothing.
//! Key Vault returns the second ("NULL password"), as a recording of its answers and Microsoft's Notation plugin show.

mod asn1;
mod pbe;

use p12_keystore::{
    Certificate, KeyStore, KeyStoreEntry, LocalKeyId, Pkcs12Archive, PrivateKey, PrivateKeyChain,
};
use rcgen::{KeyPair, PublicKeyData as _};

use crate::pki::Issued;
use asn1::{
    CONTEXT_0, CONTEXT_0_PRIMITIVE, INTEGER, NULL, OBJECT_IDENTIFIER, OCTET_STRING, Reader, SEQUENCE, SET,
};
use pbe::RawPassword;

/// Iterations of key derivation and MAC, as Key Vault and Windows write them.
const ITERATIONS: u16 = 2000;

const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const ENCRYPTED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x06];
const PBE_SHA1_3DES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x03];
const KEY_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x01];
const SHROUDED_KEY_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x02];
const CERTIFICATE_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x03];
const X509_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];
const LOCAL_KEY_ID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x15];
const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
/// PBES2: its presence is how [`is_modern`] knows a file that old Windows cannot read.
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];

/// How a PFX is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock<'a> {
    /// No password at all, zero bytes in the key derivation, bags encrypted with triple DES: what Key Vault was
    /// recorded to return.
    Null,
    /// No password at all and no encryption, only a MAC: what Microsoft's Notation plugin expects of Key Vault.
    NullUnencrypted,
    /// A password, the empty one included, which derives keys from two zero bytes.
    Password(&'a str),
}

/// What a PFX holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The certificate that matches the key; the first one where there is no key or none matches.
    pub leaf: Vec<u8>,
    /// The other certificates, in the order of the file.
    pub chain: Vec<Vec<u8>>,
    /// The private key, PKCS#8 in DER.
    pub key_pkcs8: Option<Vec<u8>>,
}

/// Why a PFX was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not PKCS#12, or cut short.
    #[error("not a PKCS#12 file")]
    Malformed,
    /// The password does not open it, or the file is of a form that is not read here: RC2 under a NULL password.
    #[error("wrong password")]
    WrongPassword,
    /// No certificate in it.
    #[error("holds no certificate")]
    NoCertificate,
}

impl From<&Issued> for Contents {
    fn from(issued: &Issued) -> Self {
        Self {
            leaf: issued.der.clone(),
            chain: issued.chain.clone(),
            key_pkcs8: Some(issued.key_pkcs8.clone()),
        }
    }
}

/// Key, leaf and chain under PBE-SHA1-3DES, with an SHA-1 MAC of 2000 iterations.
pub fn write(contents: &Contents, lock: Lock<'_>) -> Vec<u8> {
    let mut safes = Vec::new();
    if let Some(key) = &contents.key_pkcs8 {
        safes.extend(data(&key_bag(key, lock)));
    }
    // The local key id joins the leaf to the key; chain certificates have none.
    let attributes = if contents.key_pkcs8.is_some() { local_key_id() } else { Vec::new() };
    let mut bags = certificate_bag(&contents.leaf, &attributes);
    for certificate in &contents.chain {
        bags.extend(certificate_bag(certificate, &[]));
    }
    safes.extend(certificate_safe(&bags, lock));
    sealed(&safes, lock)
}

/// Certificates only, in the same protection: how the documents say that a certificate without a key is to be put
/// into a secret (a PFX of certificates).
pub fn write_certificates(certificates: &[Vec<u8>], lock: Lock<'_>) -> Vec<u8> {
    let bags: Vec<u8> =
        certificates.iter().flat_map(|certificate| certificate_bag(certificate, &[])).collect();
    sealed(&certificate_safe(&bags, lock), lock)
}

/// Key, leaf and chain as OpenSSL 3 writes them: AES-256 under PBES2, with an SHA-256 MAC.
///
/// # Panics
///
/// Where `contents` has no key, or holds what is no certificate.
pub fn write_modern(contents: &Contents, password: &str) -> Vec<u8> {
    let key = contents.key_pkcs8.as_deref().expect("a PFX of this kind is written with a key");
    let chain = PrivateKeyChain::new(
        LocalKeyId(vec![1]),
        PrivateKey::from_der(key).expect("the key is PKCS#8"),
        std::iter::once(&contents.leaf)
            .chain(&contents.chain)
            .map(|der| Certificate::from_der(der).expect("the certificate is X.509")),
    );
    let mut store = KeyStore::new();
    store.add_entry("leaf", KeyStoreEntry::PrivateKeyChain(chain));
    store.writer(password).write().expect("the store encodes")
}

/// Whether a PFX is encrypted by PBES2, with AES as a rule: what old Windows does not read.
pub fn is_modern(der: &[u8]) -> bool {
    der.windows(PBES2.len()).any(|window| window == PBES2)
}

/// Reads a PFX as a lenient Windows would: with the password given; an empty one stands for both forms of none.
///
/// RC2 and AES are left to `p12-keystore`, which knows the form with two zero bytes alone. BER is not read.
pub fn read(der: &[u8], password: &str) -> Result<Contents, Unreadable> {
    let pfx = Pfx::parse(der).ok_or(Unreadable::Malformed)?;
    let mut passwords = vec![RawPassword::new(password)];
    if password.is_empty() {
        passwords.push(RawPassword::NULL);
    }
    let mut bags = Err(Unreadable::WrongPassword);
    for raw in &passwords {
        bags = pfx.open(der, raw, password);
        if bags != Err(Unreadable::WrongPassword) {
            break;
        }
    }
    bags?.contents()
}

/// Keys and certificates in the order of a file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Bags {
    keys: Vec<Vec<u8>>,
    certificates: Vec<Vec<u8>>,
}

impl Bags {
    fn contents(mut self) -> Result<Contents, Unreadable> {
        if self.certificates.is_empty() {
            return Err(Unreadable::NoCertificate);
        }
        let key_pkcs8 = self.keys.into_iter().next();
        let leaf = key_pkcs8
            .as_deref()
            .and_then(|key| self.certificates.iter().position(|certificate| belong(key, certificate)))
            .unwrap_or(0);
        Ok(Contents { leaf: self.certificates.remove(leaf), chain: self.certificates, key_pkcs8 })
    }

    /// Reads SafeContents. `None` where a bag is encrypted in another way than triple DES, or by another password.
    fn read(&mut self, safe: &[u8], password: &RawPassword) -> Option<()> {
        let mut bags = Reader::new(safe).enter(SEQUENCE)?;
        while !bags.is_empty() {
            let mut bag = bags.enter(SEQUENCE)?;
            let kind = bag.expect(OBJECT_IDENTIFIER)?;
            let mut value = bag.enter(CONTEXT_0)?;
            match kind {
                KEY_BAG => self.keys.push(value.next()?.whole.to_vec()),
                SHROUDED_KEY_BAG => {
                    let mut shrouded = value.enter(SEQUENCE)?;
                    let scheme = Scheme::parse(shrouded.enter(SEQUENCE)?)?;
                    self.keys.push(scheme.decrypt(shrouded.expect(OCTET_STRING)?, password)?);
                }
                CERTIFICATE_BAG => {
                    let mut certificate = value.enter(SEQUENCE)?;
                    if certificate.expect(OBJECT_IDENTIFIER)? == X509_CERTIFICATE {
                        let der = certificate.enter(CONTEXT_0)?.expect(OCTET_STRING)?;
                        self.certificates.push(der.to_vec());
                    }
                }
                _ => {}
            }
        }
        Some(())
    }
}

/// The outer layer of a file.
struct Pfx<'a> {
    authenticated_safe: &'a [u8],
    mac: Option<MacData<'a>>,
    /// The file without its MAC.
    without_mac: Vec<u8>,
}

struct MacData<'a> {
    algorithm: &'a [u8],
    digest: &'a [u8],
    salt: &'a [u8],
    iterations: u32,
}

impl<'a> Pfx<'a> {
    fn parse(der: &'a [u8]) -> Option<Self> {
        let mut outer = Reader::new(der);
        let mut pfx = outer.enter(SEQUENCE)?;
        if !outer.is_empty() || pfx.expect(INTEGER)? != [3] {
            return None;
        }
        let content = pfx.next()?;
        let mut info = Reader::new(content.whole).enter(SEQUENCE)?;
        if info.expect(OBJECT_IDENTIFIER)? != DATA {
            return None;
        }
        let authenticated_safe = info.enter(CONTEXT_0)?.expect(OCTET_STRING)?;
        let mac = if pfx.is_empty() { None } else { Some(MacData::parse(pfx.enter(SEQUENCE)?)?) };
        let without_mac = asn1::element(SEQUENCE, &[&asn1::integer(3), content.whole]);
        Some(Self { authenticated_safe, mac, without_mac })
    }

    fn open(&self, der: &[u8], raw: &RawPassword, password: &str) -> Result<Bags, Unreadable> {
        if let Some(mac) = &self.mac
            && mac.algorithm == SHA1
            && pbe::mac(self.authenticated_safe, raw, mac.salt, mac.iterations) != mac.digest
        {
            return Err(Unreadable::WrongPassword);
        }
        if self.mac.as_ref().is_none_or(|mac| mac.algorithm == SHA1)
            && let Some(bags) = self.own_bags(raw)
        {
            return Ok(bags);
        }
        // PBES2 derives the same key from both forms of no password, so that only the MAC is in the way of reading
        // the NULL form; decryption itself shows whether the password is right.
        let file = if raw.is_null() { &self.without_mac } else { der };
        let archive = Pkcs12Archive::from_pkcs12(file, password).map_err(|_| Unreadable::WrongPassword)?;
        Ok(Bags {
            keys: archive.keys.iter().map(|bag| bag.key.as_der().to_vec()).collect(),
            certificates: archive.certs.iter().map(|bag| bag.cert.as_der().to_vec()).collect(),
        })
    }

    fn own_bags(&self, password: &RawPassword) -> Option<Bags> {
        let mut bags = Bags::default();
        let mut safes = Reader::new(self.authenticated_safe).enter(SEQUENCE)?;
        while !safes.is_empty() {
            let mut info = safes.enter(SEQUENCE)?;
            match info.expect(OBJECT_IDENTIFIER)? {
                DATA => bags.read(info.enter(CONTEXT_0)?.expect(OCTET_STRING)?, password)?,
                ENCRYPTED_DATA => {
                    let mut encrypted = info.enter(CONTEXT_0)?.enter(SEQUENCE)?;
                    encrypted.expect(INTEGER)?;
                    let mut content = encrypted.enter(SEQUENCE)?;
                    content.expect(OBJECT_IDENTIFIER)?;
                    let scheme = Scheme::parse(content.enter(SEQUENCE)?)?;
                    let plain = scheme.decrypt(content.expect(CONTEXT_0_PRIMITIVE)?, password)?;
                    bags.read(&plain, password)?;
                }
                _ => return None,
            }
        }
        Some(bags)
    }
}

impl<'a> MacData<'a> {
    fn parse(mut data: Reader<'a>) -> Option<Self> {
        let mut info = data.enter(SEQUENCE)?;
        let algorithm = info.enter(SEQUENCE)?.expect(OBJECT_IDENTIFIER)?;
        let digest = info.expect(OCTET_STRING)?;
        let salt = data.expect(OCTET_STRING)?;
        let iterations = if data.is_empty() { 1 } else { asn1::unsigned(data.expect(INTEGER)?)? };
        Some(Self { algorithm, digest, salt, iterations })
    }
}

/// PBE-SHA1-3DES with its parameters.
struct Scheme<'a> {
    salt: &'a [u8],
    iterations: u32,
}

impl<'a> Scheme<'a> {
    fn parse(mut algorithm: Reader<'a>) -> Option<Self> {
        if algorithm.expect(OBJECT_IDENTIFIER)? != PBE_SHA1_3DES {
            return None;
        }
        let mut parameters = algorithm.enter(SEQUENCE)?;
        let salt = parameters.expect(OCTET_STRING)?;
        Some(Self { salt, iterations: asn1::unsigned(parameters.expect(INTEGER)?)? })
    }

    fn decrypt(&self, cipher: &[u8], password: &RawPassword) -> Option<Vec<u8>> {
        pbe::decrypt(cipher, password, self.salt, self.iterations)
    }
}

/// Whether a certificate's public key is the key's.
fn belong(key_pkcs8: &[u8], certificate: &[u8]) -> bool {
    let Ok(key) = KeyPair::try_from(key_pkcs8) else { return false };
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(certificate) else { return false };
    certificate.public_key().subject_public_key.data.as_ref() == key.der_bytes()
}

impl Lock<'_> {
    fn password(self) -> RawPassword {
        match self {
            Self::Null | Self::NullUnencrypted => RawPassword::NULL,
            Self::Password(password) => RawPassword::new(password),
        }
    }

    fn encrypts(self) -> bool {
        match self {
            Self::Null | Self::Password(_) => true,
            Self::NullUnencrypted => false,
        }
    }
}

/// The file around its authenticated safe's contents.
fn sealed(safes: &[u8], lock: Lock<'_>) -> Vec<u8> {
    let authenticated_safe = asn1::element(SEQUENCE, &[safes]);
    let salt: [u8; 8] = rand::random();
    let digest = pbe::mac(&authenticated_safe, &lock.password(), &salt, ITERATIONS.into());
    let algorithm =
        asn1::element(SEQUENCE, &[&asn1::element(OBJECT_IDENTIFIER, &[SHA1]), &asn1::element(NULL, &[])]);
    let mac = asn1::element(
        SEQUENCE,
        &[
            &asn1::element(SEQUENCE, &[&algorithm, &asn1::element(OCTET_STRING, &[&digest])]),
            &asn1::element(OCTET_STRING, &[&salt]),
            &asn1::integer(ITERATIONS),
        ],
    );
    asn1::element(SEQUENCE, &[&asn1::integer(3), &content_info(&authenticated_safe), &mac])
}

/// ContentInfo of unencrypted data, holding SafeContents made of `bags`.
fn data(bags: &[u8]) -> Vec<u8> {
    content_info(&asn1::element(SEQUENCE, &[bags]))
}

fn content_info(bytes: &[u8]) -> Vec<u8> {
    let content = asn1::element(CONTEXT_0, &[&asn1::element(OCTET_STRING, &[bytes])]);
    asn1::element(SEQUENCE, &[&asn1::element(OBJECT_IDENTIFIER, &[DATA]), &content])
}

/// ContentInfo with certificate bags, encrypted unless the lock says otherwise.
fn certificate_safe(bags: &[u8], lock: Lock<'_>) -> Vec<u8> {
    if !lock.encrypts() {
        return data(bags);
    }
    let (algorithm, cipher) = encrypted(&asn1::element(SEQUENCE, &[bags]), lock);
    let content = asn1::element(
        SEQUENCE,
        &[
            &asn1::element(OBJECT_IDENTIFIER, &[DATA]),
            &algorithm,
            &asn1::element(CONTEXT_0_PRIMITIVE, &[&cipher]),
        ],
    );
    let encrypted_data = asn1::element(SEQUENCE, &[&asn1::integer(0), &content]);
    asn1::element(
        SEQUENCE,
        &[
            &asn1::element(OBJECT_IDENTIFIER, &[ENCRYPTED_DATA]),
            &asn1::element(CONTEXT_0, &[&encrypted_data]),
        ],
    )
}

fn key_bag(key_pkcs8: &[u8], lock: Lock<'_>) -> Vec<u8> {
    if !lock.encrypts() {
        return bag(KEY_BAG, key_pkcs8, &local_key_id());
    }
    let (algorithm, cipher) = encrypted(key_pkcs8, lock);
    let shrouded = asn1::element(SEQUENCE, &[&algorithm, &asn1::element(OCTET_STRING, &[&cipher])]);
    bag(SHROUDED_KEY_BAG, &shrouded, &local_key_id())
}

fn certificate_bag(der: &[u8], attributes: &[u8]) -> Vec<u8> {
    let content = asn1::element(CONTEXT_0, &[&asn1::element(OCTET_STRING, &[der])]);
    let kind = asn1::element(OBJECT_IDENTIFIER, &[X509_CERTIFICATE]);
    bag(CERTIFICATE_BAG, &asn1::element(SEQUENCE, &[&kind, &content]), attributes)
}

fn bag(kind: &[u8], value: &[u8], attributes: &[u8]) -> Vec<u8> {
    let kind = asn1::element(OBJECT_IDENTIFIER, &[kind]);
    asn1::element(SEQUENCE, &[&kind, &asn1::element(CONTEXT_0, &[value]), attributes])
}

/// Bag attributes with the local key id that Windows writes for the first key.
fn local_key_id() -> Vec<u8> {
    let values = asn1::element(SET, &[&asn1::element(OCTET_STRING, &[&[1, 0, 0, 0]])]);
    let attribute = asn1::element(SEQUENCE, &[&asn1::element(OBJECT_IDENTIFIER, &[LOCAL_KEY_ID]), &values]);
    asn1::element(SET, &[&attribute])
}

/// AlgorithmIdentifier and cipher text.
fn encrypted(plain: &[u8], lock: Lock<'_>) -> (Vec<u8>, Vec<u8>) {
    let salt: [u8; 8] = rand::random();
    let parameters =
        asn1::element(SEQUENCE, &[&asn1::element(OCTET_STRING, &[&salt]), &asn1::integer(ITERATIONS)]);
    let algorithm =
        asn1::element(SEQUENCE, &[&asn1::element(OBJECT_IDENTIFIER, &[PBE_SHA1_3DES]), &parameters]);
    (algorithm, pbe::encrypt(plain, &lock.password(), &salt, ITERATIONS.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::{Authority, KeyKind, LeafRequest};
    use jiff::Timestamp;

    const NOW: Timestamp = Timestamp::constant(1_795_392_000, 0);

    fn issued(key: KeyKind) -> Issued {
        let root = Authority::root("Test Root", NOW);
        root.intermediate("Test CA", NOW).issue(&LeafRequest::server("a.example.test", NOW).key(key))
    }

    #[test]
    fn every_form_reads_back() {
        for key in [KeyKind::Ec256, KeyKind::Rsa2048] {
            let contents = Contents::from(&issued(key));
            for (lock, password) in [
                (Lock::Null, ""),
                (Lock::NullUnencrypted, ""),
                (Lock::Password(""), ""),
                (Lock::Password("pässword 🔑"), "pässword 🔑"),
            ] {
                let der = write(&contents, lock);
                assert_eq!(read(&der, password), Ok(contents.clone()), "{lock:?}");
                assert_eq!(read(&der, "other"), Err(Unreadable::WrongPassword), "{lock:?}");
                assert!(!is_modern(&der));
            }
            let modern = write_modern(&contents, "secret");
            assert!(is_modern(&modern));
            assert_eq!(read(&modern, "secret"), Ok(contents.clone()));
            assert_eq!(read(&modern, ""), Err(Unreadable::WrongPassword));
        }
    }

    #[test]
    fn the_two_forms_of_no_password_differ() {
        let contents = Contents::from(&issued(KeyKind::Ec256));
        assert!(Pkcs12Archive::from_pkcs12(&write(&contents, Lock::Password("")), "").is_ok());
        assert!(Pkcs12Archive::from_pkcs12(&write(&contents, Lock::Null), "").is_err());
    }

    #[test]
    fn another_reader_agrees_on_passwords() {
        let contents = Contents::from(&issued(KeyKind::Rsa2048));
        let archive = Pkcs12Archive::from_pkcs12(&write(&contents, Lock::Password("x y")), "x y").unwrap();
        assert_eq!(archive.keys[0].key.as_der(), contents.key_pkcs8.as_deref().unwrap());
        assert_eq!(archive.certs.len(), 3);
        assert_eq!(archive.certs[0].cert.as_der(), contents.leaf);
    }

    #[test]
    fn certificates_without_a_key() {
        let chain = issued(KeyKind::Ec256).chain;
        for lock in [Lock::Null, Lock::NullUnencrypted, Lock::Password(""), Lock::Password("p")] {
            let password = if lock == Lock::Password("p") { "p" } else { "" };
            let contents = read(&write_certificates(&chain, lock), password).unwrap();
            assert_eq!(
                contents,
                Contents { leaf: chain[0].clone(), chain: vec![chain[1].clone()], key_pkcs8: None }
            );
        }
        assert_eq!(read(&write_certificates(&[], Lock::Null), ""), Err(Unreadable::NoCertificate));
    }

    #[test]
    fn the_leaf_is_the_one_that_matches_the_key() {
        let leaf = issued(KeyKind::Ec256);
        let upside_down = Contents {
            leaf: leaf.chain[1].clone(),
            chain: vec![leaf.chain[0].clone(), leaf.der.clone()],
            key_pkcs8: Some(leaf.key_pkcs8.clone()),
        };
        let contents = read(&write(&upside_down, Lock::Null), "").unwrap();
        assert_eq!(contents.leaf, leaf.der);
        assert_eq!(contents.chain, [leaf.chain[1].clone(), leaf.chain[0].clone()]);
    }

    #[test]
    fn what_is_cut_short_or_no_pfx_is_refused() {
        let der = write(&Contents::from(&issued(KeyKind::Ec256)), Lock::Null);
        for length in [0, 1, 5, der.len() / 2, der.len() - 1] {
            assert_eq!(read(&der[..length], ""), Err(Unreadable::Malformed), "{length}");
        }
        assert_eq!(read(b"-----BEGIN CERTIFICATE-----", ""), Err(Unreadable::Malformed));
        assert_eq!(read(&[der.as_slice(), &[0]].concat(), ""), Err(Unreadable::Malformed));
    }
}
