//! Where a start tag ends, and how much it holds.

/// A start tag, read only as far as is needed to count what it holds.
#[derive(Debug)]
pub(super) struct StartTag {
    /// The byte behind its `>`.
    pub(super) end: usize,
    pub(super) attributes: usize,
    /// The attributes that declare a namespace, also counted above.
    pub(super) namespaces: usize,
    pub(super) closed: bool,
}

/// Why no start tag can be read.
#[derive(Debug)]
pub(super) enum BrokenTag {
    /// The text ends within the tag, or within the attribute value that begins at this byte.
    Ends { value: Option<usize> },
    /// A `<` within the tag. The parser says more about it.
    Nested,
}

/// Reads the start tag whose `<` is the byte `at`.
pub(super) fn start_tag(text: &str, at: usize) -> Result<StartTag, BrokenTag> {
    let bytes = text.as_bytes();
    let mut tag = StartTag { end: at, attributes: 0, namespaces: 0, closed: false };
    let mut next = at + 1;
    while let Some(&byte) = bytes.get(next) {
        match byte {
            b'>' => {
                tag.closed = bytes[next - 1] == b'/';
                tag.end = next + 1;
                return Ok(tag);
            }
            b'<' => return Err(BrokenTag::Nested),
            b'"' | b'\'' => {
                let value = next;
                next += 1;
                match bytes[next..].iter().position(|b| *b == byte || *b == b'<') {
                    Some(length) if bytes[next + length] == b'<' => return Err(BrokenTag::Nested),
                    Some(length) => next += length,
                    None => return Err(BrokenTag::Ends { value: Some(value) }),
                }
                tag.attributes += 1;
            }
            b'x' if bytes[next - 1].is_ascii_whitespace() && bytes[next..].starts_with(b"xmlns") => {
                tag.namespaces += 1;
            }
            _ => {}
        }
        next += 1;
    }
    Err(BrokenTag::Ends { value: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_ends() {
        for (text, end, attributes, namespaces, closed) in [
            ("<a>rest", 3, 0, 0, false),
            ("<a/>", 4, 0, 0, true),
            ("<a b='>' c=\"'/>'\"/>x", 19, 2, 0, true),
            ("<a\n\txmlns:p='u' xmlns=\"v\" axmlns='w'>", 37, 3, 2, false),
        ] {
            let tag = start_tag(text, 0).unwrap();
            assert_eq!(
                (tag.end, tag.attributes, tag.namespaces, tag.closed),
                (end, attributes, namespaces, closed),
                "{text}"
            );
        }
    }

    #[test]
    fn broken_tags() {
        assert!(matches!(start_tag("<a", 0), Err(BrokenTag::Ends { value: None })));
        assert!(matches!(start_tag("<a b='", 0), Err(BrokenTag::Ends { value: Some(5) })));
        assert!(matches!(start_tag("<a b='<", 0), Err(BrokenTag::Nested)));
        assert!(matches!(start_tag("<a <", 0), Err(BrokenTag::Nested)));
    }
}
