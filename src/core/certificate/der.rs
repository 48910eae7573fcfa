//! DER as it is written: the few kinds of element that a container of certificates is made of.
//!
//! What is written may hold a private key. So every element is made in one piece that never grows, which would leave a
//! copy behind, and is wiped when it is dropped.

use zeroize::Zeroizing;

use super::ber::{INTEGER, OCTET_STRING, OID, SEQUENCE};

/// The tag of a SET.
pub(super) const SET: u8 = 0x31;

/// An element of these parts, one after the other.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let digits = length.to_be_bytes();
    let significant = &digits[digits.iter().take_while(|digit| **digit == 0).count()..];
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 + significant.len() + length));
    bytes.push(tag);
    match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => bytes.push(short),
        _ => {
            // A length in memory has at most eight digits.
            bytes.push(0x80 | significant.len() as u8);
            bytes.extend_from_slice(significant);
        }
    }
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}

/// A SEQUENCE.
pub(super) fn sequence(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    element(SEQUENCE, parts)
}

/// An OCTET STRING.
pub(super) fn octets(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    element(OCTET_STRING, &[bytes])
}

/// An OBJECT IDENTIFIER by its encoded value.
pub(super) fn oid(value: &[u8]) -> Zeroizing<Vec<u8>> {
    element(OID, &[value])
}

/// An INTEGER.
pub(super) fn integer(number: u32) -> Zeroizing<Vec<u8>> {
    // A leading zero keeps it positive; more of them are not DER.
    let digits = u64::from(number).to_be_bytes();
    let first = (0..digits.len() - 1)
        .find(|at| digits[*at] != 0 || digits[at + 1] & 0x80 != 0)
        .unwrap_or(digits.len() - 1);
    element(INTEGER, &[&digits[first..]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_numbers_have_their_shortest_form() {
        for (number, bytes) in [
            (0, &[2, 1, 0][..]),
            (3, &[2, 1, 3]),
            (127, &[2, 1, 127]),
            (128, &[2, 2, 0, 128]),
            (2048, &[2, 2, 8, 0]),
            (u32::MAX, &[2, 5, 0, 255, 255, 255, 255]),
        ] {
            assert_eq!(*integer(number), bytes, "{number}");
        }
        for (length, head) in
            [(0, &[4, 0][..]), (127, &[4, 127]), (128, &[4, 0x81, 128]), (300, &[4, 0x82, 1, 44])]
        {
            let written = octets(&vec![7; length]);
            assert_eq!((&written[..head.len()], written.len()), (head, head.len() + length));
        }
    }
}
