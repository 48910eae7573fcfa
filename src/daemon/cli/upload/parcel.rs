//! What goes to the vault: the value in the form that its kind of object wants, and the same as the vault will hand it
//! out.

use certroll_core::certificate::{self, OpenedSecret, Packable, Protection};
use certroll_core::id::{ObjectKind, VaultObject};
use zeroize::Zeroizing;

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;

/// Letters of a password that is made up. As many as the bits of a strong key, though it protects nothing: it is stored
/// beside what it opens, or sent along with it.
const PASSWORD: usize = 32;

/// The content type of a vault certificate's secret.
const PKCS12: &str = "application/x-pkcs12";

/// A file as it is sent.
pub(super) struct Parcel {
    /// What is sent.
    pub(super) value: Zeroizing<String>,
    /// The password of what is imported.
    pub(super) password: Zeroizing<String>,
    /// What the vault will hand out.
    pub(super) handed_out: Zeroizing<String>,
    /// Its content type.
    pub(super) content_type: Option<&'static str>,
}

impl Parcel {
    /// Packs a file for an object.
    ///
    /// # Errors
    /// The object cannot take what the file holds.
    pub(super) fn new(packable: &Packable, to: &VaultObject, file: &str) -> Result<Self, Failure> {
        let protection = protection(password());
        let password = Zeroizing::new(protection.password().to_owned());
        let packed = match to.kind {
            ObjectKind::Certificate => packable.certificate_value(&protection).and_then(|value| {
                // Key Vault stores a certificate's PKCS#12 without a password.
                let handed_out = packable.certificate_value(&self::protection(Zeroizing::default()))?;
                Ok(Self { value, password, handed_out, content_type: Some(PKCS12) })
            }),
            ObjectKind::Secret => packable.secret_value(&protection).map(|value| Self {
                handed_out: value.clone(),
                value,
                password,
                content_type: None,
            }),
        };
        packed.map_err(|source| {
            let without_key = matches!(source, certificate::PackError::NoKey);
            let error = PackFault { file: file.to_owned(), to: to.to_string(), source };
            let failure = Failure::new(Exit::DataErr, error);
            if without_key {
                let VaultObject { vault, name, .. } = to;
                failure.hint(format!(
                    "a certificate without its key goes into a secret: `--to {vault}/secrets/{name}`"
                ))
            } else {
                failure
            }
        })
    }

    /// What a service will find.
    ///
    /// # Errors
    /// It does not read back, which would be a fault of certroll.
    pub(super) fn opened(&self) -> Result<OpenedSecret, Failure> {
        certificate::open(&self.handed_out, self.content_type)
            .map_err(|fault| Failure::new(Exit::Software, fault))
    }
}

fn protection(password: Zeroizing<String>) -> Protection {
    // Drawn from the system's generator by way of a cryptographic one.
    Protection::new(password, rand::random::<[u8; Protection::RANDOM]>())
}

/// Letters and digits alone: nothing that JSON, a shell or a character set treats in its own way.
fn password() -> Zeroizing<String> {
    let mut password = Zeroizing::new(String::with_capacity(PASSWORD));
    for byte in rand::random::<[u8; PASSWORD / 2]>() {
        for digit in [byte >> 4, byte & 0xf] {
            password.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    password
}

#[derive(Debug, thiserror::Error)]
#[error("`{file}` cannot become `{to}`")]
struct PackFault {
    file: String,
    to: String,
    source: certificate::PackError,
}
