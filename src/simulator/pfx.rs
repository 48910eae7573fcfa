//! PKCS#12 as Key Vault and Windows write and read it, made without the client's code.

/// How a PFX is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock<'a> {
    /// No password at all, zero bytes in the key derivation: what Key Vault returns.
    Null,
    /// A password, the empty one included, which derives keys from two zero bytes.
    Password(&'a str),
}

/// What a PFX holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The certificate that matches the key; the first one where there is no key.
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
    /// The password does not open it.
    #[error("wrong password")]
    WrongPassword,
    /// Neither a key nor a certificate in it.
    #[error("holds no certificate")]
    NoCertificate,
}

/// Key, leaf and chain, encrypted with PBE-SHA1-3DES, integrity by an SHA-1 MAC of 2000 iterations.
pub fn write(contents: &Contents, lock: Lock<'_>) -> Vec<u8> {
    let _ = (contents, lock);
    Vec::new()
}

/// Certificates only.
pub fn write_certificates(certificates: &[Vec<u8>], lock: Lock<'_>) -> Vec<u8> {
    let _ = (certificates, lock);
    Vec::new()
}

/// Reads a PFX as a lenient Windows would: with the password given; an empty one stands for both forms of none.
pub fn read(der: &[u8], password: &str) -> Result<Contents, Unreadable> {
    let _ = (der, password);
    Err(Unreadable::Malformed)
}
