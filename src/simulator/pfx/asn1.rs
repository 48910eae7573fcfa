//! The few pieces of DER that PKCS#12 is made of.

/// SEQUENCE.
pub(super) const SEQUENCE: u8 = 0x30;
/// SET.
pub(super) const SET: u8 = 0x31;
/// INTEGER.
pub(super) const INTEGER: u8 = 0x02;
/// OCTET STRING.
pub(super) const OCTET_STRING: u8 = 0x04;
/// NULL.
pub(super) const NULL: u8 = 0x05;
/// OBJECT IDENTIFIER.
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
/// `[0]`, constructed.
pub(super) const CONTEXT_0: u8 = 0xa0;
/// `[0]`, primitive.
pub(super) const CONTEXT_0_PRIMITIVE: u8 = 0x80;

/// One element with the concatenation of `parts` as its content.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    if let Ok(short) = u8::try_from(length)
        && short < 0x80
    {
        out.push(short);
    } else {
        let bytes = length.to_be_bytes();
        let significant = &bytes[bytes.iter().take_while(|&&byte| byte == 0).count()..];
        // At most eight bytes, so the count fits beside the flag.
        out.push(0x80 | significant.len() as u8);
        out.extend_from_slice(significant);
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// A small non-negative INTEGER.
pub(super) fn integer(value: u16) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let skip = usize::from(bytes[0] == 0);
    let bytes = &bytes[skip..];
    if bytes[0] & 0x80 == 0 { element(INTEGER, &[bytes]) } else { element(INTEGER, &[&[0], bytes]) }
}

/// One element as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    /// Tag byte.
    pub(super) tag: u8,
    /// Content.
    pub(super) content: &'a [u8],
    /// The element with its tag and length.
    pub(super) whole: &'a [u8],
}

/// Elements one after the other. `None` means that the bytes are not DER: indefinite lengths are refused.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads these bytes.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all was read.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element.
    pub(super) fn next(&mut self) -> Option<Element<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let length = if first < 0x80 {
            usize::from(first)
        } else {
            let (bytes, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if bytes.is_empty() || bytes.len() > size_of::<u32>() {
                return None;
            }
            rest = after;
            bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte))
        };
        let (content, after) = rest.split_at_checked(length)?;
        let whole = &self.0[..self.0.len() - after.len()];
        self.0 = after;
        Some(Element { tag, content, whole })
    }

    /// The next element's content, if it has this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|element| element.tag == tag).map(|element| element.content)
    }

    /// The next element's own elements, if it has this tag.
    pub(super) fn enter(&mut self, tag: u8) -> Option<Reader<'a>> {
        self.expect(tag).map(Reader)
    }
}

/// The value of an INTEGER's content, if it is not negative and fits.
pub(super) fn unsigned(content: &[u8]) -> Option<u32> {
    let digits = content.strip_prefix(&[0]).unwrap_or(content);
    (digits.len() <= size_of::<u32>() && content.first()? & 0x80 == 0)
        .then(|| digits.iter().fold(0, |value, &byte| value << 8 | u32::from(byte)))
}
