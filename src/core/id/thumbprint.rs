//! The SHA-1 thumbprint by which Windows and the cscfg name a certificate.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha1::{Digest, Sha1};

use super::ParseIdError;

/// SHA-1 of a certificate's DER. Written as 40 upper-case hexadecimal digits; read in either case, with spaces and
/// the invisible marks that the Windows certificate dialog puts before a copied thumbprint.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thumbprint([u8; 20]);

impl Thumbprint {
    /// The thumbprint of a certificate given as DER.
    pub fn of_der(der: &[u8]) -> Self {
        Self(Sha1::digest(der).into())
    }

    /// The thumbprint from its 20 bytes, as Key Vault's `x5t` carries them.
    pub fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The 20 bytes.
    pub fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl FromStr for Thumbprint {
    type Err = ParseIdError;

    /// # Errors
    /// Anything that is not 40 hexadecimal digits once white space and invisible marks are left out.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const KIND: &str = "a thumbprint";
        const EXPECTED: &str = "the 40 hexadecimal digits of a SHA-1 thumbprint";
        let mut bytes = [0_u8; 20];
        let mut digits = 0;
        for c in text.chars().filter(|c| !is_ignored_in_thumbprint(*c)) {
            let Some(value) = c.to_digit(16) else {
                return Err(ParseIdError::new(
                    KIND,
                    text,
                    "it holds something that is no hexadecimal digit",
                    EXPECTED,
                ));
            };
            if digits == 40 {
                return Err(ParseIdError::new(KIND, text, "it has more than 40 digits", EXPECTED));
            }
            bytes[digits / 2] = (bytes[digits / 2] << 4) | value as u8;
            digits += 1;
        }
        if digits < 40 {
            return Err(ParseIdError::new(KIND, text, "it has fewer than 40 digits", EXPECTED));
        }
        Ok(Self(bytes))
    }
}

/// White space and the invisible marks (directional, zero-width, byte order) that come along when people copy.
pub(crate) fn is_ignored_in_thumbprint(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

impl Serialize for Thumbprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Thumbprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copied_from_the_windows_dialog() {
        let shown = "\u{200e}94 27 be fa 18 ec 68 65 a9 eb dc 79 d4 c3 8d e5 0e 63 16 ff";
        let read: Thumbprint = shown.parse().unwrap();
        assert_eq!(read.to_string(), "9427BEFA18EC6865A9EBDC79D4C38DE50E6316FF");
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        for (text, reason) in [
            ("9427", "fewer than 40"),
            ("", "fewer than 40"),
            ("9427BEFA18EC6865A9EBDC79D4C38DE50E6316FF00", "more than 40"),
            ("9427BEFA18EC6865A9EBDC79D4C38DE50E6316FG", "no hexadecimal digit"),
        ] {
            let message = text.parse::<Thumbprint>().unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
        }
    }
}
