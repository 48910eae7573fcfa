//! Base64 as people and tools store it: in lines, without padding, with the letters of URLs.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::Serialize;
use thiserror::Error;
use zeroize::Zeroizing;

/// What is unusual in a base64 text. Strict readers, such as .NET's, skip white space and refuse the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spelling {
    /// It is broken into lines or has other white space.
    pub white_space: bool,
    /// It lacks the padding at its end.
    pub unpadded: bool,
    /// It is written with the letters `-` and `_`.
    pub url_safe: bool,
}

impl Spelling {
    /// Whether strict readers take it.
    pub fn is_strict(&self) -> bool {
        !self.unpadded && !self.url_safe
    }
}

/// Why a text is not base64. Never shows the text, which may be a key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Base64Error {
    /// A character of another alphabet.
    #[error("character {at} is none of its letters")]
    Letter {
        /// Which character, counted from 1 without white space.
        at: usize,
    },
    /// The end does not fit.
    #[error("its end is cut off")]
    End,
}

/// Decodes, and says how it was spelled.
pub(super) fn decode(text: &[u8]) -> Result<(Zeroizing<Vec<u8>>, Spelling), Base64Error> {
    let mut spelling = Spelling::default();
    // Never grows, so that no copy of a key is left behind.
    let mut letters = Zeroizing::new(Vec::with_capacity(text.len()));
    for byte in text {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => spelling.white_space = true,
            b'-' | b'_' => {
                spelling.url_safe = true;
                letters.push(if *byte == b'-' { b'+' } else { b'/' });
            }
            letter => letters.push(*letter),
        }
    }
    while letters.last() == Some(&b'=') {
        letters.pop();
    }
    let padding = (4 - letters.len() % 4) % 4;
    let written = text.iter().filter(|byte| **byte == b'=').count();
    spelling.unpadded = written < padding;
    let mut bytes = Zeroizing::new(vec![0; letters.len() / 4 * 3 + 3]);
    let size = LENIENT.decode_slice(&*letters, &mut bytes).map_err(|error| match error {
        base64::DecodeSliceError::DecodeError(base64::DecodeError::InvalidByte(at, _)) => {
            Base64Error::Letter { at: at + 1 }
        }
        _ => Base64Error::End,
    })?;
    bytes.truncate(size);
    Ok((bytes, spelling))
}

/// Encodes on one line, with padding: what the strictest reader takes.
pub(super) fn encode(bytes: &[u8]) -> Zeroizing<String> {
    // Of the right size from the start, so that no copy of a key is left behind.
    let mut letters = Zeroizing::new(String::with_capacity(bytes.len().div_ceil(3) * 4));
    base64::engine::general_purpose::STANDARD.encode_string(bytes, &mut letters);
    letters
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_read_and_told() {
        for (text, white_space, unpadded, url_safe) in [
            ("+/8BAg==", false, false, false),
            ("+/8\r\nBAg==\n", true, false, false),
            ("+/8BAg", false, true, false),
            ("-_8BAg", false, true, true),
        ] {
            let (bytes, spelling) = decode(text.as_bytes()).unwrap();
            assert_eq!(*bytes, [0xfb, 0xff, 1, 2], "{text}");
            assert_eq!(spelling, Spelling { white_space, unpadded, url_safe });
        }
    }

    #[test]
    fn refusals_do_not_show_the_text() {
        assert_eq!(decode(b"AAAA!AAA").unwrap_err().to_string(), "character 5 is none of its letters");
        assert_eq!(decode(b"AAAAA").unwrap_err().to_string(), "its end is cut off");
        assert!(decode(b"AA=A").is_err());
    }
}
