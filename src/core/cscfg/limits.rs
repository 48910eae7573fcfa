//! What reading a text may cost, checked before the parser sees it.
//!
//! The parser (`roxmltree`) is linear for ordinary texts, but reserves memory for every `<` and `=`, compares each
//! attribute of an element with every other, and copies the namespaces in scope for each element that declares one.

use super::error::CscfgError;
use super::place::Places;
use super::tag::{BrokenTag, start_tag};

/// Longest text in bytes. Resource Manager takes no request of more than 4 MB in all, so none that it returned is longer.
pub(super) const TEXT_LIMIT: usize = 4 * 1024 * 1024;

/// Most `<`. A service has at most 25 roles; with 500 settings each, closing tags and comments this is four times what
/// it takes. The parser's nodes stay within 6 MiB.
pub(super) const MARKUP_LIMIT: usize = 65_536;

/// Most `=`. Settings hold connection strings with several each, hence more than [`MARKUP_LIMIT`]. What the parser
/// reserves for attributes stays within 20 MiB.
pub(super) const EQUALS_LIMIT: usize = 262_144;

/// Deepest nesting. The schema has 6 levels. The parser of today does not recurse, one of tomorrow may.
pub(super) const DEPTH_LIMIT: usize = 64;

/// Most attributes of an element. The schema has at most 6; every pair is compared.
pub(super) const ATTRIBUTES_LIMIT: usize = 64;

/// Most namespace declarations in a text. The schema needs one, serializers add two to the root; every prefix is
/// looked for among those in scope.
pub(super) const NAMESPACES_LIMIT: usize = 256;

/// Longest name of a role, certificate or setting in bytes. A role's name becomes part of paths, which Windows keeps
/// under 260 characters. Each entry carries the name of its role, so that long names would multiply.
pub(super) const NAME_LIMIT: usize = 256;

/// Where a text ends too early: what is still open, and the byte at which it was opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) what: &'static str,
    pub(super) at: usize,
}

impl Open {
    /// An element whose tags were read to the end.
    pub(super) const ELEMENT: &str = "an element";
}

/// Walks over the markup once.
///
/// # Errors
/// The first limit that the text passes, or a document type declaration. What is malformed in other ways is left to
/// the parser, which stops at the same byte.
pub(super) fn check(text: &str) -> Result<Option<Open>, CscfgError> {
    if text.len() > TEXT_LIMIT {
        return Err(CscfgError::TooLong { found: text.len(), limit: TEXT_LIMIT });
    }
    let too_many = |what, limit, at| CscfgError::TooMany { place: Places::new(text).at(at), what, limit };
    for (byte, what, limit) in [(b'<', "`<`", MARKUP_LIMIT), (b'=', "`=`", EQUALS_LIMIT)] {
        if let Some((at, _)) = text.bytes().enumerate().filter(|(_, b)| *b == byte).nth(limit) {
            return Err(too_many(what, limit, at));
        }
    }

    let mut open = Vec::new();
    let mut namespaces = 0;
    let mut next = 0;
    while let Some(at) = text[next..].find('<').map(|found| next + found) {
        let rest = &text[at..];
        if let Some((what, opening, closing)) = SECTIONS.iter().find(|(_, start, _)| rest.starts_with(start))
        {
            let Some(length) = rest[opening.len()..].find(closing) else {
                return Ok(Some(Open { what, at }));
            };
            next = at + opening.len() + length + closing.len();
        } else if rest.starts_with("<!DOCTYPE") {
            return Err(CscfgError::DocumentType { place: Places::new(text).at(at) });
        } else if rest.starts_with("<!") {
            return Ok(None);
        } else if rest.starts_with("</") {
            open.pop();
            let Some(length) = rest.find('>') else {
                return Ok(Some(Open { what: "an end tag", at }));
            };
            next = at + length + 1;
        } else {
            let tag = match start_tag(text, at) {
                Ok(tag) => tag,
                Err(BrokenTag::Nested) => return Ok(None),
                Err(BrokenTag::Ends { value: Some(at) }) => {
                    return Ok(Some(Open { what: "an attribute value", at }));
                }
                Err(BrokenTag::Ends { value: None }) => return Ok(Some(Open { what: "a tag", at })),
            };
            namespaces += tag.namespaces;
            if tag.attributes > ATTRIBUTES_LIMIT {
                return Err(too_many("attributes on one element", ATTRIBUTES_LIMIT, at));
            }
            if namespaces > NAMESPACES_LIMIT {
                return Err(too_many("namespace declarations", NAMESPACES_LIMIT, at));
            }
            if !tag.closed {
                open.push(at);
                if open.len() > DEPTH_LIMIT {
                    return Err(too_many("levels of nesting", DEPTH_LIMIT, at));
                }
            }
            next = tag.end;
        }
    }
    Ok(open.pop().map(|at| Open { what: Open::ELEMENT, at }))
}

/// What holds text that only looks like markup: its name, start and end.
const SECTIONS: [(&str, &str, &str); 3] = [
    ("a comment", "<!--", "-->"),
    ("a CDATA section", "<![CDATA[", "]]>"),
    ("a processing instruction", "<?", "?>"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        check(text).unwrap_err().to_string()
    }

    #[test]
    fn ordinary_texts_pass() {
        for text in [
            "",
            "plain",
            "<a/>",
            "<?xml version='1.0'?><!-- <b> --><a x='>'><![CDATA[<c>]]></a>",
            "<a>>]]</a>",
        ] {
            assert_eq!(check(text).unwrap(), None, "{text}");
        }
    }

    #[test]
    fn what_is_open_at_the_end() {
        for (text, what, at) in [
            ("<a><b>", "an element", 3),
            ("<a><b></b>", "an element", 0),
            ("<a><!-- </a>", "a comment", 3),
            ("<a><![CDATA[</a>", "a CDATA section", 3),
            ("<a><?x </a>", "a processing instruction", 3),
            ("<a b", "a tag", 0),
            ("<a b='x", "an attribute value", 5),
            ("<a></a", "an end tag", 3),
        ] {
            assert_eq!(check(text).unwrap(), Some(Open { what, at }), "{text}");
        }
    }

    #[test]
    fn each_limit_is_refused_with_its_place() {
        let attributes = |n: usize| (0..n).map(|i| format!(" a{i}=''")).collect::<String>();
        let namespaces = |n: usize| (0..n).map(|i| format!("<b xmlns:p{i}='u'/>\n")).collect::<String>();
        assert!(check(&format!("<a{}/>", attributes(ATTRIBUTES_LIMIT))).is_ok());
        assert!(check(&format!("<a>{}</a>", namespaces(NAMESPACES_LIMIT))).is_ok());
        assert!(check(&"<a>".repeat(DEPTH_LIMIT)).is_ok());
        for (text, expected) in [
            (format!("\n<a{}/>", attributes(65)), "line 2, column 1: more than 64 attributes on one element"),
            (
                format!("<a>{}</a>", namespaces(257)),
                "line 257, column 1: more than 256 namespace declarations",
            ),
            ("<a>".repeat(65), "line 1, column 193: more than 64 levels of nesting"),
            ("<a/>".repeat(65_537), "line 1, column 262145: more than 65536 `<`"),
            ("=".repeat(262_145), "line 1, column 262145: more than 262144 `=`"),
            (" ".repeat(TEXT_LIMIT + 1), "the text has 4194305 bytes; expected at most 4194304"),
        ] {
            assert_eq!(refusal(&text), expected);
        }
    }

    #[test]
    fn a_document_type_is_refused_wherever_it_stands() {
        for (text, place) in [
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "line 1, column 1"),
            ("<?xml version='1.0'?>\n <!-- x --><!DOCTYPE a><a/>", "line 2, column 12"),
            ("<a><!DOCTYPE a></a>", "line 1, column 4"),
        ] {
            assert!(refusal(text).starts_with(place), "{}", refusal(text));
        }
        assert!(check("<a><!-- <!DOCTYPE a> --><![CDATA[<!DOCTYPE a>]]></a>").is_ok());
    }
}
