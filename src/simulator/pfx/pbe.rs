//! Password-based protection of the old kind: the key derivation of RFC 7292, appendix B, with SHA-1, triple DES and
//! the SHA-1 MAC. It is what Key Vault writes and what every Windows reads.

use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use des::TdesEde3;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::{Digest as _, Sha1};

/// Length of a SHA-1 value.
const HASH: usize = 20;
/// Length of a block that SHA-1 works on.
const BLOCK: usize = 64;
/// Length of a three-key triple-DES key.
const KEY: usize = 24;
/// Length of a DES block.
const IV: usize = 8;
/// Most iterations that are worked through: a test must not hang on a file that asks for billions.
const MAX_ITERATIONS: u32 = 1_000_000;

/// A password as the bytes that keys are derived from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawPassword(Vec<u8>);

/// What a derived key is for: RFC 7292, appendix B.3.
#[derive(Clone, Copy)]
enum Purpose {
    Encryption = 1,
    Iv = 2,
    Mac = 3,
}

impl RawPassword {
    /// No password: zero bytes.
    pub(super) const NULL: Self = Self(Vec::new());

    /// A password in UTF-16, big-endian, with two zero bytes at its end.
    pub(super) fn new(password: &str) -> Self {
        Self(password.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect())
    }

    /// Whether this is the form without any byte.
    pub(super) fn is_null(&self) -> bool {
        self.0.is_empty()
    }
}

/// Encrypts with PBE-SHA1-3DES.
pub(super) fn encrypt(plain: &[u8], password: &RawPassword, salt: &[u8], iterations: u32) -> Vec<u8> {
    let (key, iv) = key_and_iv(password, salt, iterations);
    cbc::Encryptor::<TdesEde3>::new(&key.into(), &iv.into()).encrypt_padded_vec::<Pkcs7>(plain)
}

/// Decrypts PBE-SHA1-3DES; `None` if the padding shows that the password is wrong.
pub(super) fn decrypt(
    cipher: &[u8],
    password: &RawPassword,
    salt: &[u8],
    iterations: u32,
) -> Option<Vec<u8>> {
    if iterations > MAX_ITERATIONS {
        return None;
    }
    let (key, iv) = key_and_iv(password, salt, iterations);
    cbc::Decryptor::<TdesEde3>::new(&key.into(), &iv.into()).decrypt_padded_vec::<Pkcs7>(cipher).ok()
}

/// HMAC-SHA1 with a derived key.
pub(super) fn mac(message: &[u8], password: &RawPassword, salt: &[u8], iterations: u32) -> Vec<u8> {
    let key = derive::<HASH>(password, salt, Purpose::Mac, iterations.min(MAX_ITERATIONS));
    let mut mac = Hmac::<Sha1>::new_from_slice(&key).expect("an HMAC key may have any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn key_and_iv(password: &RawPassword, salt: &[u8], iterations: u32) -> ([u8; KEY], [u8; IV]) {
    (derive(password, salt, Purpose::Encryption, iterations), derive(password, salt, Purpose::Iv, iterations))
}

/// RFC 7292, appendix B.2, with its names.
fn derive<const N: usize>(password: &RawPassword, salt: &[u8], purpose: Purpose, iterations: u32) -> [u8; N] {
    let d = [purpose as u8; BLOCK];
    let mut i = filled(salt);
    i.extend(filled(&password.0));
    let mut key = [0; N];
    for chunk in key.chunks_mut(HASH) {
        let mut a = Sha1::new().chain_update(d).chain_update(&i).finalize();
        for _ in 1..iterations {
            a = Sha1::digest(a);
        }
        chunk.copy_from_slice(&a[..chunk.len()]);
        // I_j = (I_j + B + 1) mod 2^v, where B is A repeated to the length of a block.
        for block in i.chunks_mut(BLOCK) {
            let mut carry = 1;
            for (position, byte) in block.iter_mut().enumerate().rev() {
                let sum = u16::from(*byte) + u16::from(a[position % HASH]) + carry;
                *byte = sum as u8;
                carry = sum >> 8;
            }
        }
    }
    key
}

/// `bytes` repeated up to a multiple of the block length; nothing if there are none, which is what makes the NULL
/// password differ from the empty one.
fn filled(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().cycle().take(bytes.len().next_multiple_of(BLOCK)).collect()
}
