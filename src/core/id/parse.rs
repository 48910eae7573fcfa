//! Why a text is not an identifier.

use thiserror::Error;

/// A text that is not the identifier that it was read as: what was found, and what is expected.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{found}` is not {kind}: {reason}; expected {expected}")]
pub struct ParseIdError {
    /// What it was read as, with its article, such as "a thumbprint".
    pub kind: &'static str,
    /// The text, cut to a length that is safe to print.
    pub found: String,
    /// What is wrong with it.
    pub reason: &'static str,
    /// A well-formed example or rule.
    pub expected: &'static str,
}

/// Longest piece of a malformed identifier that a message repeats: enough to recognise a resource id in a file.
const FOUND_LIMIT: usize = 200;

impl ParseIdError {
    pub(crate) fn new(kind: &'static str, found: &str, reason: &'static str, expected: &'static str) -> Self {
        let mut shown: String = found.chars().take(FOUND_LIMIT).flat_map(char::escape_debug).collect();
        if found.chars().nth(FOUND_LIMIT).is_some() {
            shown.push('…');
        }
        Self { kind, found: shown, reason, expected }
    }
}
