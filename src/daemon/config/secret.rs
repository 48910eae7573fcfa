//! Secrets: values that are never printed, and the places that they may come from.

use std::fmt;

use zeroize::Zeroizing;

/// A value that is wiped when it is dropped and never printed. Comparing two takes a time that depends on them: it tells
/// whether settings changed, and is not for checking what a stranger sends.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// The value, for the one call that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Secret {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_way_of_printing_shows_the_value() {
        let secret = Secret::new("correct horse");
        for shown in [format!("{secret}"), format!("{secret:?}"), format!("{secret:#?}")] {
            assert!(!shown.contains("horse"), "{shown}");
        }
        assert_eq!(secret.reveal(), "correct horse");
    }
}
