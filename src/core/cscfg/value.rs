//! The characters of an attribute's value, and the bytes that each was written with.

/// One character of a value as XML reads it, and where it stands in the raw text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    pub(super) c: char,
    /// Bytes of the raw value: a reference such as `&#x39;` is one character of six bytes. 32 bits are enough for a
    /// text of bounded size and halve what a long value costs.
    pub(super) start: u32,
    pub(super) end: u32,
}

/// Reads a raw attribute value (without its quotes) as XML 1.0 section 3.3.3 says: references are replaced, a line end
/// or tab is a space. What is no well-formed reference stands for itself; the parser refused it already.
pub(super) fn units(raw: &str) -> impl Iterator<Item = Unit> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &raw[at..];
        let first = rest.chars().next()?;
        let (c, length) = match first {
            '&' => reference(rest).unwrap_or((first, 1)),
            '\r' if rest[1..].starts_with('\n') => (' ', 2),
            '\r' | '\n' | '\t' => (' ', 1),
            _ => (first, first.len_utf8()),
        };
        let start = at;
        at += length;
        Some(Unit { c, start: start as u32, end: at as u32 })
    })
}

/// Longest reference that is looked for: leading zeros are allowed without limit, yet a search to the end of the value
/// for each ampersand would be quadratic. No tool writes more than `&#x10FFFF;`.
const REFERENCE_LIMIT: usize = 64;

/// The reference at the start of the text: its character and its length in bytes.
fn reference(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(REFERENCE_LIMIT).position(|byte| byte == b';')?;
    let c = match &text[1..end] {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        name => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    };
    Some((c, end + 1))
}

/// White space and the invisible marks that come along when people copy a thumbprint: what [`Thumbprint`]'s parser
/// passes over. A test holds the two together.
///
/// [`Thumbprint`]: crate::id::Thumbprint
pub(super) fn is_ignored_in_thumbprint(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Thumbprint;

    #[test]
    fn ignored_is_what_the_parser_of_thumbprints_ignores() {
        for c in '\0'..='\u{ffff}' {
            let ignored =
                format!("{c}9427BEFA18EC6865A9EBDC79D4C38DE50E6316FF").parse::<Thumbprint>().is_ok();
            assert_eq!(is_ignored_in_thumbprint(c), ignored, "{}", c.escape_unicode());
        }
    }

    #[test]
    fn references_and_line_ends() {
        let read = |raw: &str| units(raw).map(|unit| unit.c).collect::<String>();
        for (raw, expected) in [
            ("", ""),
            ("plain é", "plain é"),
            ("&#x39;&#52;&#0000050;", "942"),
            ("&lt;&gt;&amp;&quot;&apos;", "<>&\"'"),
            ("a\r\nb\rc\nd\te", "a b c d e"),
            ("&#13;&#10;&#x9;", "\r\n\t"),
            ("&amp;amp;", "&amp;"),
            ("&", "&"),
            ("&nbsp;", "&nbsp;"),
            ("&#xD800;", "&#xD800;"),
        ] {
            assert_eq!(read(raw), expected, "{raw}");
        }
    }

    #[test]
    fn each_byte_belongs_to_one_character() {
        let raw = "é&#x39;\r\n&amp;x";
        let mut end = 0;
        for unit in units(raw) {
            assert_eq!(unit.start, end);
            end = unit.end;
        }
        assert_eq!(end as usize, raw.len());
    }
}
