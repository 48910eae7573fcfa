//! A reader of BER, the encoding of PKCS#12 and of keys. Windows and OpenSSL write DER; other tools write indefinite
//! lengths and octet strings in pieces, which DER readers refuse. Nothing is rewritten: elements are slices of the
//! input, and only an octet string in pieces is joined.

use std::ops::Deref;

use thiserror::Error;
use zeroize::Zeroizing;

/// Deepest nesting that is followed. A PKCS#12 file in BER nests about ten elements to a certificate's octets; each
/// level of an octet string in pieces adds one.
const DEPTH_LIMIT: u8 = 32;

/// `INTEGER`.
pub(super) const INTEGER: u8 = 0x02;
/// `BIT STRING`.
pub(super) const BIT_STRING: u8 = 0x03;
/// `OCTET STRING`; in BER it may be constructed too.
pub(super) const OCTET_STRING: u8 = 0x04;
/// `OBJECT IDENTIFIER`.
pub(super) const OID: u8 = 0x06;
/// `SEQUENCE`.
pub(super) const SEQUENCE: u8 = 0x30;

const CONSTRUCTED: u8 = 0x20;

/// The tag of a constructed context element, `[n]`.
pub(super) const fn context(n: u8) -> u8 {
    0xa0 | n
}

/// Why bytes are not the expected element. `element` is the name that the standard gives it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{element} {fault}")]
pub struct BerError {
    element: &'static str,
    fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
enum Fault {
    #[error("is missing")]
    Missing,
    #[error("is cut off: it says {says} bytes, {left} are left")]
    CutOff { says: usize, left: usize },
    #[error("is cut off: its length or its end is missing")]
    Endless,
    #[error("is malformed: tag {found:#04x} where {expected:#04x} is expected")]
    Tag { found: u8, expected: u8 },
    #[error("is malformed: {0}")]
    Malformed(&'static str),
    #[error("nests deeper than {DEPTH_LIMIT} levels")]
    Deep,
    #[error("is followed by {0} bytes that belong to nothing")]
    Trailing(usize),
}

/// One element: its tag and its content, without length and end mark.
#[derive(Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    /// Tag, length, content and end mark as they were read.
    pub(super) whole: &'a [u8],
    content: &'a [u8],
    depth: u8,
    name: &'static str,
}

impl<'a> Element<'a> {
    /// The elements inside.
    pub(super) fn inside(&self) -> Reader<'a> {
        Reader { rest: self.content, depth: self.depth + 1 }
    }

    /// The content of an element that has no parts.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.content
    }

    /// The octets of an octet string, joined if it comes in pieces.
    pub(super) fn octets(&self) -> Result<Octets<'a>, BerError> {
        if self.tag & CONSTRUCTED == 0 {
            return Ok(Octets::Whole(self.content));
        }
        // The pieces together are shorter than the element, so this never grows and leaves no copy behind.
        let mut joined = Zeroizing::new(Vec::with_capacity(self.content.len()));
        self.join_into(&mut joined)?;
        Ok(Octets::Joined(joined))
    }

    fn join_into(&self, joined: &mut Vec<u8>) -> Result<(), BerError> {
        if self.tag & CONSTRUCTED == 0 {
            joined.extend_from_slice(self.content);
            return Ok(());
        }
        let mut pieces = self.inside();
        while let Some(piece) = pieces.next(self.name)? {
            if piece.tag & !CONSTRUCTED != OCTET_STRING {
                return Err(piece.fault(Fault::Tag { found: piece.tag, expected: OCTET_STRING }));
            }
            piece.join_into(joined)?;
        }
        Ok(())
    }

    /// A small, not negative number.
    pub(super) fn number(&self) -> Result<u32, BerError> {
        let digits = magnitude(self.content);
        let negative = self.content.first().is_none_or(|first| first & 0x80 != 0);
        if negative || digits.len() > 4 {
            return Err(self.fault(Fault::Malformed("its number is negative or beyond 32 bits")));
        }
        Ok(digits.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }

    /// An object identifier in its dotted form.
    pub(super) fn oid(&self) -> Result<String, BerError> {
        oid_text(self.content).ok_or_else(|| self.fault(Fault::Malformed("its arcs are not well formed")))
    }

    /// The bytes of a bit string whose bits are whole bytes.
    pub(super) fn bits(&self) -> Result<&'a [u8], BerError> {
        match self.content.split_first() {
            Some((0, bytes)) => Ok(bytes),
            _ => Err(self.fault(Fault::Malformed("its bits are not whole bytes"))),
        }
    }

    fn fault(&self, fault: Fault) -> BerError {
        BerError { element: self.name, fault }
    }
}

/// An unsigned number without leading zeros.
pub(super) fn magnitude(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

/// The dotted form of an object identifier's content.
pub(super) fn oid_text(bytes: &[u8]) -> Option<String> {
    if bytes.last().is_none_or(|last| last & 0x80 != 0) {
        return None;
    }
    let mut text = String::new();
    let mut arc = 0_u64;
    for byte in bytes {
        arc = arc.checked_mul(0x80)? | u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        if text.is_empty() {
            let root = (arc / 40).min(2);
            text = format!("{root}.{}", arc - root * 40);
        } else {
            text.push('.');
            text.push_str(&arc.to_string());
        }
        arc = 0;
    }
    Some(text)
}

/// Octets that are part of the input, or were joined from pieces. Joined ones may be secret and are wiped.
pub(super) enum Octets<'a> {
    Whole(&'a [u8]),
    Joined(Zeroizing<Vec<u8>>),
}

impl Deref for Octets<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Joined(bytes) => bytes,
        }
    }
}

/// Reads elements one after another.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    depth: u8,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, depth: 0 }
    }

    /// The next element, or `None` at the end. `name` is what messages call it.
    pub(super) fn next(&mut self, name: &'static str) -> Result<Option<Element<'a>>, BerError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (element, rest) = split(self.rest, self.depth, name)?;
        self.rest = rest;
        Ok(Some(element))
    }

    /// The next element, which has to have this tag. An octet string may be constructed.
    pub(super) fn expect(&mut self, tag: u8, name: &'static str) -> Result<Element<'a>, BerError> {
        // Looked at before the length: in bytes of another format the tag is what is wrong.
        match self.rest.first() {
            Some(found) if *found == tag => {}
            Some(found) if tag == OCTET_STRING && *found == OCTET_STRING | CONSTRUCTED => {}
            Some(&found) => {
                return Err(BerError { element: name, fault: Fault::Tag { found, expected: tag } });
            }
            None => {}
        }
        self.next(name)?.ok_or(BerError { element: name, fault: Fault::Missing })
    }

    /// The next element if it has this tag.
    pub(super) fn optional(&mut self, tag: u8, name: &'static str) -> Result<Option<Element<'a>>, BerError> {
        if self.rest.first() == Some(&tag) { self.next(name) } else { Ok(None) }
    }

    /// The one element inside an explicitly tagged one.
    pub(super) fn explicit(
        &mut self,
        tag: u8,
        inner: u8,
        name: &'static str,
    ) -> Result<Element<'a>, BerError> {
        self.expect(tag, name)?.inside().expect(inner, name)
    }

    /// Refuses what is left.
    pub(super) fn finish(&self, name: &'static str) -> Result<(), BerError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(BerError { element: name, fault: Fault::Trailing(left) }),
        }
    }
}

/// A sequence that is the whole input.
pub(super) fn whole_sequence<'a>(bytes: &'a [u8], name: &'static str) -> Result<Reader<'a>, BerError> {
    let mut outer = Reader::new(bytes);
    let sequence = outer.expect(SEQUENCE, name)?;
    outer.finish(name)?;
    Ok(sequence.inside())
}

/// Splits the first element off. An indefinite length is measured by walking the elements inside: once for each
/// level that is read, so at most [`DEPTH_LIMIT`] times the input in all.
fn split<'a>(bytes: &'a [u8], depth: u8, name: &'static str) -> Result<(Element<'a>, &'a [u8]), BerError> {
    let fault = |fault| BerError { element: name, fault };
    if depth >= DEPTH_LIMIT {
        return Err(fault(Fault::Deep));
    }
    let (&tag, after_tag) = bytes.split_first().ok_or(fault(Fault::Missing))?;
    if tag & 0x1f == 0x1f || tag == 0 {
        return Err(fault(Fault::Malformed("it has a tag that this format does not use")));
    }
    let (&first, mut after_length) = after_tag.split_first().ok_or(fault(Fault::Endless))?;
    let length = match first {
        0x80 if tag & CONSTRUCTED == 0 => {
            return Err(fault(Fault::Malformed("it has an indefinite length without being constructed")));
        }
        0x80 => {
            let content_length = indefinite_length(after_length, depth + 1, name)?;
            let (content, after) = after_length.split_at(content_length);
            let rest = &after[END_MARK.len()..];
            let whole = &bytes[..bytes.len() - rest.len()];
            return Ok((Element { tag, whole, content, depth, name }, rest));
        }
        0x81..=0x84 => {
            let size = usize::from(first & 0x7f);
            if after_length.len() < size {
                return Err(fault(Fault::Endless));
            }
            let (digits, rest) = after_length.split_at(size);
            after_length = rest;
            digits.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte))
        }
        0x85.. => return Err(fault(Fault::Malformed("its length has more than four bytes"))),
        short => usize::from(short),
    };
    if after_length.len() < length {
        return Err(fault(Fault::CutOff { says: length, left: after_length.len() }));
    }
    let (content, rest) = after_length.split_at(length);
    let whole = &bytes[..bytes.len() - rest.len()];
    Ok((Element { tag, whole, content, depth, name }, rest))
}

const END_MARK: [u8; 2] = [0, 0];

/// How many bytes there are before the end mark that closes this level.
fn indefinite_length(bytes: &[u8], depth: u8, name: &'static str) -> Result<usize, BerError> {
    let mut rest = bytes;
    while !rest.starts_with(&END_MARK) {
        if rest.is_empty() {
            return Err(BerError { element: name, fault: Fault::Endless });
        }
        (_, rest) = split(rest, depth, name)?;
    }
    Ok(bytes.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_octet_string_in_pieces_is_joined() {
        let bytes = [0x24, 0x80, 0x04, 1, b'a', 0x24, 0x80, 0x04, 2, b'b', b'c', 0, 0, 0, 0];
        let mut reader = Reader::new(&bytes);
        let element = reader.expect(OCTET_STRING, "text").unwrap();
        assert_eq!(&*element.octets().unwrap(), b"abc");
        assert_eq!(element.whole, bytes);
        reader.finish("text").unwrap();
    }

    #[test]
    fn object_identifiers_are_dotted() {
        for (bytes, text) in [
            (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b][..], Some("1.2.840.113549.1.1.11")),
            (&[0x55, 0x1d, 0x11], Some("2.5.29.17")),
            (&[0x2a, 0x86], None),
            (&[], None),
            (&[0xff; 40], None),
        ] {
            assert_eq!(oid_text(bytes).as_deref(), text);
        }
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        let deep = [[0x30_u8, 0x80]; 200].concat();
        for (bytes, message) in [
            (&[0x30_u8, 5, 1][..], "PFX is cut off: it says 5 bytes, 1 are left"),
            (&[0x30], "PFX is cut off: its length or its end is missing"),
            (&[0x30, 0x80, 0x04, 0], "PFX is cut off: its length or its end is missing"),
            (&[0x30, 0x82, 1], "PFX is cut off: its length or its end is missing"),
            (&[0x30, 0x89, 1], "PFX is malformed: its length has more than four bytes"),
            (&[0x31, 0], "PFX is malformed: tag 0x31 where 0x30 is expected"),
            (&[0x30, 0x80, 0x3f, 0, 0, 0], "PFX is malformed: it has a tag that this format does not use"),
            (&[0x30, 0, 0], "PFX is followed by 1 bytes that belong to nothing"),
            (&[], "PFX is missing"),
            (&deep, "PFX nests deeper than 32 levels"),
        ] {
            let error = whole_sequence(bytes, "PFX").err().unwrap();
            assert_eq!(error.to_string(), message);
        }
    }
}
