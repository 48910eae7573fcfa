//! A password as PKCS#12 encodes it. "No password" has two encodings, which give different keys: two zero bytes
//! (Windows, OpenSSL's command) and nothing at all (what Key Vault returns). Both are tried.

use serde::Serialize;
use zeroize::Zeroizing;

/// With which password a container opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PasswordForm {
    /// The one that was given, not empty.
    Given,
    /// The empty text: two zero bytes.
    Empty,
    /// No text: no bytes. What Key Vault returns.
    Null,
    /// Nothing in it asks for one, or nothing that tells the two empty forms apart.
    Unused,
}

/// One password in one encoding.
pub(super) struct Candidate {
    pub(super) form: PasswordForm,
    /// UTF-16 in big-endian order, closed by two zero bytes: for the derivation of PKCS#12.
    pub(super) utf16: Zeroizing<Vec<u8>>,
    /// For PBKDF2.
    pub(super) utf8: Zeroizing<Vec<u8>>,
}

/// The encodings to try, the likelier first.
pub(super) fn candidates(password: &str) -> Vec<Candidate> {
    let utf8 = || Zeroizing::new(password.as_bytes().to_vec());
    // At the most two bytes for each of UTF-8, and the end: never grows, so that no copy is left behind.
    let mut utf16 = Zeroizing::new(Vec::with_capacity(2 * password.len() + 2));
    utf16.extend(password.encode_utf16().chain([0]).flat_map(u16::to_be_bytes));
    if !password.is_empty() {
        return vec![Candidate { form: PasswordForm::Given, utf16, utf8: utf8() }];
    }
    let null = Zeroizing::new(Vec::new());
    vec![
        Candidate { form: PasswordForm::Empty, utf16, utf8: utf8() },
        Candidate { form: PasswordForm::Null, utf16: null, utf8: utf8() },
    ]
}
