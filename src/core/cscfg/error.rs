//! Why a text is no service configuration, and why an edit is refused.

use std::fmt;

use thiserror::Error;

use super::limits::Open;
use super::place::{Place, Places};
use crate::id::{RoleName, Thumbprint};

/// A text that cannot be used as a service configuration.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CscfgError {
    /// Longer than any text that Resource Manager carries.
    #[error("the text has {found} bytes; expected at most {limit}")]
    TooLong {
        /// Its bytes.
        found: usize,
        /// The most that are read.
        limit: usize,
    },
    /// More of something than any service configuration needs, so that reading it could cost too much.
    #[error("{place}: more than {limit} {what}")]
    TooMany {
        /// The first one too many.
        place: Place,
        /// What there is too much of.
        what: &'static str,
        /// The most that are read.
        limit: usize,
    },
    /// A name that is too long.
    #[error("{place}: found a `{element}` with a name of {found} bytes; expected at most {limit}")]
    LongName {
        /// The element.
        place: Place,
        /// Its name without a prefix.
        element: &'static str,
        /// The bytes of the name.
        found: usize,
        /// The most that are read.
        limit: usize,
    },
    /// A document type declaration, which could define entities that expand without bound.
    #[error("{place}: found a document type declaration; expected none in a service configuration")]
    DocumentType {
        /// Where it begins.
        place: Place,
    },
    /// Text that is not well-formed XML.
    #[error("{place}: found {found}; expected {expected}")]
    Malformed {
        /// Where the parser stopped.
        place: Place,
        /// What stands there.
        found: String,
        /// What XML wants there.
        expected: String,
    },
    /// Another document, such as a service definition (csdef).
    #[error(
        "{place}: found the root element `{}` {}; expected `ServiceConfiguration` in the namespace \
         `http://schemas.microsoft.com/ServiceHosting/2008/10/ServiceConfiguration`",
        Shown(.name), Namespace(.namespace.as_deref())
    )]
    WrongRoot {
        /// The root element.
        place: Place,
        /// Its name without a prefix.
        name: String,
        /// Its namespace.
        namespace: Option<String>,
    },
    /// An attribute that the schema demands is missing, or is an empty name.
    #[error("{place}: found a `{element}` without {attribute}; expected `{attribute}=\"…\"`")]
    MissingAttribute {
        /// The element.
        place: Place,
        /// Its name without a prefix.
        element: &'static str,
        /// The attribute's name.
        attribute: &'static str,
    },
    /// Two roles whose names differ at most in case.
    #[error("{place}: found a second role `{}`; expected one, which is at {first}", Shown(.role.as_str()))]
    DuplicateRole {
        /// The second one.
        place: Place,
        /// The first one.
        first: Place,
        /// The name as the second one has it.
        role: RoleName,
    },
    /// Two certificates of one role whose names differ at most in case.
    #[error(
        "{place}: found a second certificate `{}` in role `{}`; expected one, which is at {first}",
        Shown(.name), Shown(.role.as_str())
    )]
    DuplicateCertificate {
        /// The second one.
        place: Place,
        /// The first one.
        first: Place,
        /// Their role.
        role: RoleName,
        /// The name as the second one has it.
        name: String,
    },
}

/// An edit that was refused. Nothing was changed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EditError {
    /// There is no such role.
    #[error("found no role `{}`; expected one to edit{}", Shown(.role.as_str()), Near(.near))]
    UnknownRole {
        /// The role that was asked for.
        role: RoleName,
        /// Roles with names like it.
        near: Vec<String>,
    },
    /// The role holds no certificate or setting of this name.
    #[error("found no {kind} `{}` in role `{}`; expected one to edit{}", Shown(.name), Shown(.role.as_str()), Near(.near))]
    NotFound {
        /// "certificate" or "setting".
        kind: &'static str,
        /// The role.
        role: RoleName,
        /// The name that was asked for.
        name: String,
        /// Names like it in that role.
        near: Vec<String>,
    },
    /// Several settings of a role have this name.
    #[error(
        "{place}: found a second setting `{}` in role `{}`; expected one to edit, such as that at {first}",
        Shown(.name), Shown(.role.as_str())
    )]
    AmbiguousSetting {
        /// The second one.
        place: Place,
        /// The first one.
        first: Place,
        /// The role.
        role: RoleName,
        /// The name that was asked for.
        name: String,
    },
    /// The entry holds something else than the edit expects, so the edit was made for another text.
    #[error(
        "{place}: found {} for certificate `{}` in role `{}`; expected {}",
        Held(.found), Shown(.name), Shown(.role.as_str()), Held(.expected)
    )]
    Unexpected {
        /// The value.
        place: Place,
        /// The role.
        role: RoleName,
        /// The certificate's name.
        name: String,
        /// What the edit expects; `None` is an empty value.
        expected: Option<Thumbprint>,
        /// What stands there; `None` is an empty value.
        found: Option<Thumbprint>,
    },
    /// The entry holds something that is no thumbprint.
    #[error(
        "{place}: the thumbprint of certificate `{}` in role `{}` cannot be read, {reason}; expected {}",
        Shown(.name), Shown(.role.as_str()), Held(.expected)
    )]
    Unreadable {
        /// The value.
        place: Place,
        /// The role.
        role: RoleName,
        /// The certificate's name.
        name: String,
        /// Why it cannot be read.
        reason: String,
        /// What the edit expects; `None` is an empty value.
        expected: Option<Thumbprint>,
    },
    /// The entry's thumbprint was not made with SHA-1.
    #[error(
        "{place}: found the thumbprint algorithm `{}` for certificate `{}` in role `{}`; expected `sha1`",
        Shown(.found), Shown(.name), Shown(.role.as_str())
    )]
    OtherAlgorithm {
        /// The value of the thumbprint.
        place: Place,
        /// The role.
        role: RoleName,
        /// The certificate's name.
        name: String,
        /// The algorithm as it is written.
        found: String,
    },
    /// The setting does not repeat the thumbprint as a value or list member.
    #[error(
        "{place}: found {} in setting `{}` of role `{}`; expected {expected}, alone or in a list",
        if *.within { "the thumbprint only within a longer text" } else { "another value" },
        Shown(.name), Shown(.role.as_str())
    )]
    NotRepeated {
        /// The value, or the thumbprint within it.
        place: Place,
        /// The role.
        role: RoleName,
        /// The setting's name.
        name: String,
        /// The thumbprint that was looked for.
        expected: Thumbprint,
        /// It is there, but within a longer text, which is left alone.
        within: bool,
    },
    /// Two edits want different thumbprints in one place.
    #[error("{place}: found edits to both {first} and {second}; expected one thumbprint")]
    Conflict {
        /// The value.
        place: Place,
        /// What one edit writes.
        first: Thumbprint,
        /// What another edit writes.
        second: Thumbprint,
    },
    /// The edited text is not the old one with new thumbprints: a defect of this program.
    #[error(
        "the edited configuration was not proved ({what}), which is a defect of certroll; it is not used"
    )]
    NotProved {
        /// What did not hold.
        what: String,
    },
}

/// Longest piece of somebody else's text that a message repeats.
const SHOWN_LIMIT: usize = 120;

/// Somebody else's text: cut, and with anything escaped that would change the line it is printed on.
pub(super) struct Shown<'a>(pub(super) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        for c in chars.by_ref().take(SHOWN_LIMIT) {
            match c {
                '"' | '\'' | '\\' => write!(f, "{c}")?,
                _ => write!(f, "{}", c.escape_debug())?,
            }
        }
        if chars.next().is_some() { f.write_str("…") } else { Ok(()) }
    }
}

struct Namespace<'a>(Option<&'a str>);

impl fmt::Display for Namespace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(namespace) => write!(f, "in the namespace `{}`", Shown(namespace)),
            None => f.write_str("in no namespace"),
        }
    }
}

struct Near<'a>(&'a [String]);

impl fmt::Display for Near<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            write!(f, "{}`{}`", if i == 0 { ", such as " } else { " or " }, Shown(name))?;
        }
        Ok(())
    }
}

struct Held<'a>(&'a Option<Thumbprint>);

impl fmt::Display for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(thumbprint) => write!(f, "{thumbprint}"),
            None => f.write_str("an empty thumbprint"),
        }
    }
}

/// What the parser said, with a place where it gives none, and without pieces of attribute values: a setting whose `&`
/// is not escaped would show a part of its secret.
pub(super) fn malformed(fault: &roxmltree::Error, text: &str, open: Option<&Open>) -> CscfgError {
    use roxmltree::Error as Fault;
    let places = Places::new(text);
    let byte = |b: u8| match b {
        b' '..=b'~' => format!("`{}`", char::from(b)),
        _ => "another character".to_owned(),
    };
    // The parser gives no place for what is open at the end, or the end itself.
    let at = byte_at(text, fault.pos());
    let placed = !matches!(fault, Fault::NoRootNode | Fault::UnclosedRootNode | Fault::UnexpectedEndOfStream);
    if let Some(open) = open.filter(|open| !placed || (at >= open.at && open.what != Open::ELEMENT)) {
        return CscfgError::Malformed {
            place: places.at(open.at),
            found: format!("{} that is not closed", open.what),
            expected: "its end before the end of the text".to_owned(),
        };
    }
    let (found, expected) = match fault {
        Fault::DtdDetected => return CscfgError::DocumentType { place: places.at(0) },
        Fault::NoRootNode | Fault::UnclosedRootNode | Fault::UnexpectedEndOfStream => {
            return CscfgError::Malformed {
                place: places.at(text.len()),
                found: "the end of the text".to_owned(),
                expected: "an element `ServiceConfiguration`".to_owned(),
            };
        }
        Fault::UnexpectedCloseTag(expected, found, _) => {
            (format!("the end tag `{}`", Shown(found)), format!("`{}` to be closed first", Shown(expected)))
        }
        Fault::UnknownNamespace(prefix, _) => (
            format!("the undeclared namespace prefix `{}`", Shown(prefix)),
            "a prefix that an `xmlns` attribute declares".to_owned(),
        ),
        Fault::DuplicatedAttribute(name, _) => {
            (format!("a second attribute `{}`", Shown(name)), "each attribute once".to_owned())
        }
        Fault::DuplicatedNamespace(prefix, _) => {
            (format!("a second declaration of the prefix `{}`", Shown(prefix)), "each prefix once".to_owned())
        }
        Fault::UnknownEntityReference(..) | Fault::MalformedEntityReference(_) => {
            ("a `&` that begins no reference known to XML".to_owned(), "`&amp;` for an ampersand".to_owned())
        }
        Fault::InvalidAttributeValue(_) => {
            ("a `<` in an attribute value".to_owned(), "`&lt;` for it".to_owned())
        }
        Fault::InvalidChar(expected, found, _) => (byte(*found), byte(*expected)),
        Fault::InvalidChar2(expected, found, _) => (byte(*found), (*expected).to_owned()),
        Fault::InvalidString(expected, _) => ("something else".to_owned(), format!("`{expected}`")),
        Fault::InvalidName(_) => ("no name".to_owned(), "the name of an element or attribute".to_owned()),
        Fault::NonXmlChar(c, _) => {
            (format!("the character U+{:04X}", u32::from(*c)), "only characters that XML allows".to_owned())
        }
        Fault::InvalidComment(_) => ("`--` within a comment".to_owned(), "none before its end".to_owned()),
        Fault::InvalidCharacterData(_) => {
            ("`]]>` outside a CDATA section".to_owned(), "`]]&gt;` for it".to_owned())
        }
        Fault::UnexpectedDeclaration(_) => {
            ("an XML declaration".to_owned(), "it only at the start of the text".to_owned())
        }
        Fault::UnknownToken(_) => (
            "text or markup that cannot stand here".to_owned(),
            "one root element, comments around it".to_owned(),
        ),
        Fault::InvalidXmlPrefixUri(_)
        | Fault::UnexpectedXmlUri(_)
        | Fault::UnexpectedXmlnsUri(_)
        | Fault::InvalidElementNamePrefix(_) => (
            "a reserved prefix or namespace".to_owned(),
            "`xml` and `xmlns` with their own meaning".to_owned(),
        ),
        Fault::NodesLimitReached | Fault::AttributesLimitReached | Fault::NamespacesLimitReached => {
            ("more markup than is read".to_owned(), "a service configuration of ordinary size".to_owned())
        }
        Fault::UnexpectedEntityCloseTag(_)
        | Fault::EntityReferenceLoop(_)
        | Fault::InvalidExternalID(_)
        | Fault::EntityResolver(..) => {
            ("an entity".to_owned(), "none besides those that XML defines".to_owned())
        }
    };
    CscfgError::Malformed { place: places.at(at), found, expected }
}

/// The byte of a line and column as the parser counts them.
fn byte_at(text: &str, pos: roxmltree::TextPos) -> usize {
    let lines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
    let start = std::iter::once(0).chain(lines).nth(pos.row.saturating_sub(1) as usize).unwrap_or(text.len());
    let column = pos.col.saturating_sub(1) as usize;
    text[start..].char_indices().nth(column).map_or(text.len(), |(at, _)| start + at)
}
