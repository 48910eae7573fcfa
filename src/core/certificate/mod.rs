//! Certificates in every form that a vault holds: what a certificate says ([`Certificate`]), what a secret carries
//! ([`open`]), which certificates belong together ([`order`], [`missing_issuer`]), which names they serve
//! ([`covers`], [`missing_names`]) and which version of a vault object counts ([`newest`]).
//!
//! Everything here reads what others wrote, some of it hostile: nothing panics, recurses or allocates beyond a named
//! limit. Private keys are compared and wiped; no function hands one out but within the container that [`Packable`]
//! writes for a vault.

mod ber;
mod chain;
mod der;
mod names;
mod newest;
mod public_key;
mod secret;
mod signature;
mod x509;

#[cfg(test)]
mod fixtures;

pub use ber::BerError;
pub use chain::{is_complete, missing_issuer, order};
pub use names::{SubjectName, covers, missing_names};
pub use newest::{NoneEnabled, VersionFacts, newest};
pub use public_key::{Curve, PublicKey};
pub use secret::{
    Base64Error, CERTIFICATES_LIMIT, Charset, Cipher, Container, Deployable, HashName, INPUT_LIMIT, JsonForm,
    JsonPassword, Key, KeyError, MacForm, OpenedSecret, PackError, Packable, PasswordForm, Pbes2Cipher,
    PemError, Pkcs12Error, Pkcs12Form, PrivateKey, Protection, SecretError, SecretForm, Spelling,
    VALUE_LIMIT, Wrapping, open, open_file, open_to_pack,
};
pub use signature::{SignatureAlgorithm, SignatureHash};
pub use x509::{Certificate, CertificateError, ServerAuth};
