//! The MAC over a container: it tells whether the password is right, and which of the two empty ones it is.

use serde::Serialize;

use super::super::super::ber::{Element, INTEGER, OCTET_STRING, OID, SEQUENCE};
use super::Pkcs12Error;
use super::derivation::{self, HashName, Purpose, Salted, Work};
use super::encryption::{Pbkdf2, hmac_hash};
use super::password::Candidate;

/// Longest MAC key that is derived, in bytes. PBMAC1 states a length of its own; RFC 9579 uses the hash's.
const KEY_LIMIT: u32 = 64;

/// How a container is protected from change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "hash", rename_all = "snake_case")]
pub enum MacForm {
    /// Not at all.
    None,
    /// HMAC with a key from the derivation of PKCS#12.
    Hmac(HashName),
    /// PBMAC1 of RFC 9579: HMAC with a key from PBKDF2.
    Pbmac1(HashName),
}

/// A MAC with its parameters.
pub(super) struct MacData {
    pub(super) form: MacForm,
    hash: HashName,
    derivation: Derivation,
    digest: Vec<u8>,
}

enum Derivation {
    Pkcs12(Salted),
    Pbkdf2 { by: Pbkdf2, size: usize },
}

impl MacData {
    /// Reads MacData.
    pub(super) fn read(element: &Element<'_>) -> Result<Self, Pkcs12Error> {
        let mut reader = element.inside();
        let mut info = reader.expect(SEQUENCE, "DigestInfo")?.inside();
        let identifier = info.expect(SEQUENCE, "MAC algorithm")?;
        let digest = info.expect(OCTET_STRING, "MAC")?.octets()?.to_vec();
        let mut algorithm = identifier.inside();
        let oid = algorithm.expect(OID, "MAC algorithm")?.oid()?;
        if oid == "1.2.840.113549.1.5.14" {
            // Salt and iterations beside it are placeholders.
            let mut parameters = algorithm.expect(SEQUENCE, "PBMAC1-params")?.inside();
            let by = Pbkdf2::read(&parameters.expect(SEQUENCE, "keyDerivationFunc")?)?;
            let hash = hmac_hash(&parameters.expect(SEQUENCE, "messageAuthScheme")?)?;
            let size = by.key_length.filter(|size| (1..=KEY_LIMIT).contains(size));
            let size = size.ok_or(Pkcs12Error::MacKeyLength(by.key_length.unwrap_or(0)))? as usize;
            let form = MacForm::Pbmac1(hash);
            return Ok(Self { form, hash, derivation: Derivation::Pbkdf2 { by, size }, digest });
        }
        let hash = HashName::of_digest_oid(&oid).ok_or(Pkcs12Error::UnknownMac(oid))?;
        let salt = reader.expect(OCTET_STRING, "MAC salt")?.octets()?.to_vec();
        let iterations = match reader.optional(INTEGER, "MAC iterations")? {
            Some(number) => number.number()?.max(1),
            None => 1,
        };
        let derivation = Derivation::Pkcs12(Salted { salt, iterations });
        Ok(Self { form: MacForm::Hmac(hash), hash, derivation, digest })
    }

    /// Whether the content has this MAC under this password.
    pub(super) fn verifies(
        &self,
        content: &[u8],
        password: &Candidate,
        work: &mut Work,
    ) -> Result<bool, Pkcs12Error> {
        let key = match &self.derivation {
            Derivation::Pkcs12(salted) => {
                let size = self.hash.size();
                derivation::pkcs12(self.hash, &password.utf16, salted, Purpose::Mac, size, work)?
            }
            Derivation::Pbkdf2 { by, size } => {
                derivation::pbkdf2(by.prf, &password.utf8, &by.salted, *size, work)?
            }
        };
        Ok(derivation::hmac_verifies(self.hash, &key, content, &self.digest))
    }
}
