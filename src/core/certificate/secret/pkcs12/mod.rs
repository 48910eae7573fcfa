//! PKCS#12 (RFC 7292): a container of certificates and keys under a password, as Windows, OpenSSL and Key Vault write
//! it. Reads every encryption that they have written and both empty passwords; writes one, see [`write`].

mod derivation;
mod encryption;
mod mac;
mod password;
mod writing;

use serde::Serialize;
use thiserror::Error;
use zeroize::Zeroizing;

pub use self::derivation::HashName;
use self::derivation::{WORK_LIMIT, Work};
use self::encryption::Encryption;
pub use self::encryption::{Cipher, Pbes2Cipher};
use self::mac::MacData;
pub use self::mac::MacForm;
pub use self::password::PasswordForm;
use self::password::{Candidate, candidates};
pub(super) use self::writing::{RANDOM, Written, write};
use super::super::ber::{self, BerError, Element, INTEGER, OCTET_STRING, OID, Reader, SEQUENCE, context};
use super::private_key::{Keep, KeyError, PrivateKey};

/// Most bags of one container. A long chain with its key has about ten; Windows exports of a whole store some dozens.
const BAG_LIMIT: usize = 256;

/// Deepest nesting of SafeContents in SafeContents. Nobody is known to write more than one level.
const NESTING_LIMIT: usize = 4;

/// How a container is made, as far as it matters to those who read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pkcs12Form {
    /// What protects it from change.
    pub mac: MacForm,
    /// The encryptions of its parts, each once, in order of appearance; empty if nothing is encrypted.
    pub ciphers: Vec<Cipher>,
    /// With which password it opens.
    pub password: PasswordForm,
}

/// Why a container cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Pkcs12Error {
    /// Not the structure of the standard.
    #[error("{0}")]
    Malformed(#[from] BerError),
    /// Another version of the standard.
    #[error("it has version {0}; expected 3")]
    Version(u32),
    /// Protected by keys instead of a password.
    #[error("it is {0} with a public key; expected one protected by a password: export it again that way")]
    PublicKeyMode(&'static str),
    /// A content type that the standard does not have there.
    #[error("it holds content of the unknown type {0}; expected plain or encrypted data")]
    UnknownContent(String),
    /// An encryption that is not implemented.
    #[error(
        "it is encrypted by the unknown algorithm {0}; expected 3DES, RC2 or AES in CBC mode: export it again"
    )]
    UnknownCipher(String),
    /// A derivation of keys that is not implemented, such as scrypt.
    #[error("it derives its keys by the unknown algorithm {0}; expected PBKDF2: export it again")]
    UnknownDerivation(String),
    /// A MAC that is not implemented.
    #[error("its MAC has the unknown algorithm {0}; expected HMAC with SHA-1 or SHA-2: export it again")]
    UnknownMac(String),
    /// A MAC key of a length that makes no sense.
    #[error("its MAC has a key of {0} bytes; expected 1 to 64")]
    MacKeyLength(u32),
    /// More iterations than are worked off.
    #[error(
        "it asks for {iterations} iterations of key derivation; expected at most {WORK_LIMIT} in the whole file: \
         export it again with fewer"
    )]
    TooMuchWork {
        /// What the derivation that went beyond asked for.
        iterations: u32,
    },
    /// Opens with neither form of the empty password.
    #[error("it does not open with an empty password; expected one without a password, or give its password")]
    NeedsPassword,
    /// Does not open with the password that was given.
    #[error("it does not open with the password that was given")]
    WrongPassword,
    /// The MAC is right and a part does not decrypt.
    #[error(
        "its password is right, but a part of it does not decrypt: the file is damaged or mixes passwords"
    )]
    Damaged,
    /// More bags than the chain of one certificate fills.
    #[error(
        "it holds more than {BAG_LIMIT} certificates, keys and other items; expected the chain of one certificate"
    )]
    TooManyBags,
    /// SafeContents in SafeContents, again and again.
    #[error("its contents are nested deeper than {NESTING_LIMIT} levels")]
    NestedTooDeep,
    /// A key in it cannot be read.
    #[error("a private key in it cannot be read: {0}")]
    Key(#[from] KeyError),
}

/// What a container holds. Certificates are not parsed yet.
pub(super) struct Pkcs12Contents {
    pub(super) form: Pkcs12Form,
    pub(super) certificates: Vec<Vec<u8>>,
    pub(super) keys: Vec<PrivateKey>,
}

/// Opens a container.
pub(super) fn open(bytes: &[u8], password: &str, keep: Keep) -> Result<Pkcs12Contents, Pkcs12Error> {
    let mut pfx = ber::whole_sequence(bytes, "PFX")?;
    let version = pfx.expect(INTEGER, "PFX version")?.number()?;
    if version != 3 {
        return Err(Pkcs12Error::Version(version));
    }
    let content = ContentInfo::read(&pfx.expect(SEQUENCE, "authSafe")?)?;
    let authenticated_safe = match content.kind.as_str() {
        DATA => content.octets()?,
        SIGNED_DATA => return Err(Pkcs12Error::PublicKeyMode("signed")),
        _ => return Err(Pkcs12Error::UnknownContent(content.kind)),
    };
    let mac = pfx.optional(SEQUENCE, "MacData")?.map(|element| MacData::read(&element)).transpose()?;
    pfx.finish("PFX")?;

    let mut opening = Opening {
        candidates: candidates(password),
        form: Pkcs12Form {
            mac: mac.as_ref().map_or(MacForm::None, |mac| mac.form),
            ciphers: Vec::new(),
            password: PasswordForm::Unused,
        },
        work: Work::new(),
        bags: 0,
        keep,
        certificates: Vec::new(),
        keys: Vec::new(),
    };
    if let Some(mac) = mac {
        opening.verify(&mac, &authenticated_safe)?;
    }
    let mut safes = ber::whole_sequence(&authenticated_safe, "AuthenticatedSafe")?;
    while let Some(safe) = safes.next("ContentInfo")? {
        opening.safe(&ContentInfo::read(&safe)?)?;
    }
    let Opening { form, certificates, keys, .. } = opening;
    Ok(Pkcs12Contents { form, certificates, keys })
}

const DATA: &str = "1.2.840.113549.1.7.1";
const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
const ENVELOPED_DATA: &str = "1.2.840.113549.1.7.3";
const ENCRYPTED_DATA: &str = "1.2.840.113549.1.7.6";

/// The type of a content and the content, still wrapped.
struct ContentInfo<'a> {
    kind: String,
    content: Reader<'a>,
}

impl<'a> ContentInfo<'a> {
    fn read(element: &Element<'a>) -> Result<Self, BerError> {
        let mut reader = element.inside();
        let kind = reader.expect(OID, "contentType")?.oid()?;
        let content = reader.expect(context(0), "content")?.inside();
        Ok(Self { kind, content })
    }

    fn octets(&self) -> Result<ber::Octets<'a>, BerError> {
        self.content.clone().expect(OCTET_STRING, "content")?.octets()
    }
}

/// A container while it is being opened.
struct Opening {
    /// Passwords to try; the one that opened something comes first.
    candidates: Vec<Candidate>,
    form: Pkcs12Form,
    work: Work,
    bags: usize,
    keep: Keep,
    certificates: Vec<Vec<u8>>,
    keys: Vec<PrivateKey>,
}

impl Opening {
    fn verify(&mut self, mac: &MacData, content: &[u8]) -> Result<(), Pkcs12Error> {
        let by_utf8 = matches!(mac.form, MacForm::Pbmac1(_));
        for n in 0..self.tries(by_utf8) {
            if mac.verifies(content, &self.candidates[n], &mut self.work)? {
                self.settle_on(n, by_utf8);
                return Ok(());
            }
        }
        Err(self.not_opened())
    }

    fn safe(&mut self, safe: &ContentInfo<'_>) -> Result<(), Pkcs12Error> {
        match safe.kind.as_str() {
            DATA => {
                let octets = safe.octets()?;
                self.bags(ber::whole_sequence(&octets, "SafeContents")?, 0)
            }
            ENCRYPTED_DATA => {
                let mut data = safe.content.clone().expect(SEQUENCE, "EncryptedData")?.inside();
                data.expect(INTEGER, "EncryptedData version")?;
                let mut info = data.expect(SEQUENCE, "EncryptedContentInfo")?.inside();
                info.expect(OID, "contentType")?;
                let encryption = Encryption::read(&info.expect(SEQUENCE, "contentEncryptionAlgorithm")?)?;
                // Implicitly tagged: one element, or in pieces.
                let encrypted = match info.optional(context(0), "encryptedContent")? {
                    Some(pieces) => pieces,
                    None => info.expect(0x80, "encryptedContent")?,
                };
                let decrypted = self.decrypt(&encryption, &encrypted.octets()?)?;
                self.bags(ber::whole_sequence(&decrypted, "SafeContents")?, 0)
            }
            ENVELOPED_DATA => Err(Pkcs12Error::PublicKeyMode("encrypted")),
            _ => Err(Pkcs12Error::UnknownContent(safe.kind.clone())),
        }
    }

    fn bags(&mut self, mut bags: Reader<'_>, nesting: usize) -> Result<(), Pkcs12Error> {
        if nesting > NESTING_LIMIT {
            return Err(Pkcs12Error::NestedTooDeep);
        }
        while let Some(bag) = bags.next("SafeBag")? {
            self.bags += 1;
            if self.bags > BAG_LIMIT {
                return Err(Pkcs12Error::TooManyBags);
            }
            // Attributes (names, the key's provider, ids) follow the value. None is needed: keys are matched to
            // certificates by what they are.
            let mut bag = bag.inside();
            let kind = bag.expect(OID, "bagId")?.oid()?;
            let mut value = bag.expect(context(0), "bagValue")?.inside();
            match kind.strip_prefix("1.2.840.113549.1.12.10.1.") {
                Some("1") => {
                    let key = value.expect(SEQUENCE, "PrivateKeyInfo")?.whole;
                    self.keys.push(PrivateKey::of_pkcs8(key, self.keep)?);
                }
                Some("2") => {
                    let mut info = value.expect(SEQUENCE, "EncryptedPrivateKeyInfo")?.inside();
                    let encryption = Encryption::read(&info.expect(SEQUENCE, "encryptionAlgorithm")?)?;
                    let encrypted = info.expect(OCTET_STRING, "encryptedData")?.octets()?;
                    let decrypted = self.decrypt(&encryption, &encrypted)?;
                    self.keys.push(PrivateKey::of_pkcs8(&decrypted, self.keep)?);
                }
                Some("3") => {
                    let mut certificate = value.expect(SEQUENCE, "CertBag")?.inside();
                    // The other kind is SDSI, which nothing uses.
                    if certificate.expect(OID, "certId")?.oid()? == "1.2.840.113549.1.9.22.1" {
                        let octets = certificate.explicit(context(0), OCTET_STRING, "certValue")?.octets()?;
                        self.certificates.push(octets.to_vec());
                    }
                }
                Some("6") => {
                    let nested = value.expect(SEQUENCE, "SafeContents")?.inside();
                    self.bags(nested, nesting + 1)?;
                }
                // Revocation lists, secrets and what others invent: no certificate and no key.
                _ => {}
            }
        }
        Ok(())
    }

    fn decrypt(&mut self, encryption: &Encryption, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, Pkcs12Error> {
        if !self.form.ciphers.contains(&encryption.cipher) {
            self.form.ciphers.push(encryption.cipher);
        }
        let by_utf8 = matches!(encryption.cipher, Cipher::Pbes2 { .. });
        for n in 0..self.tries(by_utf8) {
            if let Some(decrypted) = encryption.decrypt(data, &self.candidates[n], &mut self.work)? {
                self.settle_on(n, by_utf8);
                return Ok(decrypted);
            }
        }
        Err(self.not_opened())
    }

    /// How many candidates differ. Derivations from UTF-8 do not tell the two empty passwords apart.
    fn tries(&self, by_utf8: bool) -> usize {
        if by_utf8 { 1 } else { self.candidates.len() }
    }

    /// Notes which password opened something, unless that says nothing about its form.
    fn settle_on(&mut self, n: usize, by_utf8: bool) {
        if by_utf8 && self.candidates.len() > 1 {
            return;
        }
        self.candidates.swap(0, n);
        if self.form.password == PasswordForm::Unused {
            self.form.password = self.candidates[0].form;
        }
    }

    fn not_opened(&self) -> Pkcs12Error {
        match (self.form.password, self.candidates.len()) {
            (PasswordForm::Unused, 1) => Pkcs12Error::WrongPassword,
            (PasswordForm::Unused, _) => Pkcs12Error::NeedsPassword,
            _ => Pkcs12Error::Damaged,
        }
    }
}
