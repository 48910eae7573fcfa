//! The layers around a container: character sets, base64, and the JSON document that Cloud Services read.

use std::fmt;

use serde::Serialize;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use zeroize::Zeroizing;

use super::base64::{self, Spelling};
use super::{SecretError, pem};

/// What a container is wrapped in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Wrapping {
    /// Nothing: a file with the container's own bytes, or PEM text.
    None,
    /// Base64.
    Base64(Spelling),
    /// The JSON document with `data`, `dataType` and `password`.
    Json(JsonForm),
}

/// How the JSON document is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JsonForm {
    /// The base64 around it; `None` if it is stored as it is.
    pub encoded: Option<Spelling>,
    /// Its character set.
    pub charset: Charset,
    /// `dataType` as written.
    pub data_type: Option<String>,
    /// What it says about a password.
    pub password: JsonPassword,
    /// The base64 of `data`; `None` if that is PEM text.
    pub data: Option<Spelling>,
}

/// The character set of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Charset {
    /// UTF-8, which is what Cloud Services ask for.
    Utf8,
    /// UTF-8 after a byte order mark.
    Utf8WithMark,
    /// UTF-16, with or without a byte order mark: what Windows calls Unicode.
    Utf16,
}

/// The member `password`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum JsonPassword {
    /// There is none.
    Missing,
    /// It is `null`.
    Null,
    /// It is `""`.
    Empty,
    /// It is a text.
    Set,
}

/// A container without its wrapping.
pub(super) struct Unwrapped {
    pub(super) wrapping: Wrapping,
    pub(super) contents: Contents,
    /// The one of the JSON document.
    pub(super) password: Option<Zeroizing<String>>,
}

pub(super) enum Contents {
    Binary(Zeroizing<Vec<u8>>),
    Pem(Zeroizing<String>),
}

/// First byte of every container in BER or DER. No base64 text of one begins with it, nor does JSON.
const SEQUENCE_TAG: u8 = 0x30;

/// Takes the layers off, whichever there are.
pub(super) fn unwrap(bytes: &[u8]) -> Result<Unwrapped, SecretError> {
    let bare = |contents| Ok(Unwrapped { wrapping: Wrapping::None, contents, password: None });
    if is_binary(bytes) {
        return bare(Contents::Binary(Zeroizing::new(bytes.to_vec())));
    }
    let (text, charset) = decode_text(bytes).ok_or(SecretError::Unrecognized)?;
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(SecretError::Empty);
    }
    if pem::is_pem(trimmed) && !trimmed.starts_with('{') {
        return bare(Contents::Pem(text));
    }
    if trimmed.starts_with('{') {
        return unwrap_json(trimmed, charset, None);
    }
    let (decoded, spelling) = base64::decode(trimmed.as_bytes()).map_err(SecretError::Base64)?;
    if is_binary(&decoded) {
        let wrapping = Wrapping::Base64(spelling);
        return Ok(Unwrapped { wrapping, contents: Contents::Binary(decoded), password: None });
    }
    let (text, charset) = decode_text(&decoded).ok_or(SecretError::UnrecognizedInBase64)?;
    let trimmed = text.trim();
    if trimmed.starts_with('{') {
        return unwrap_json(trimmed, charset, Some(spelling));
    }
    if pem::is_pem(trimmed) {
        let contents = Contents::Pem(text);
        return Ok(Unwrapped { wrapping: Wrapping::Base64(spelling), contents, password: None });
    }
    match base64::decode(trimmed.as_bytes()) {
        Ok((inner, _)) if is_binary(&inner) || inner.starts_with(b"{") => Err(SecretError::Base64Twice),
        _ => Err(SecretError::UnrecognizedInBase64),
    }
}

fn unwrap_json(text: &str, charset: Charset, encoded: Option<Spelling>) -> Result<Unwrapped, SecretError> {
    let document: Document = serde_json::from_str(text).map_err(|error| json_error(&error))?;
    let data = document.data.ok_or(SecretError::JsonWithoutData)?;
    let (contents, spelling) = if pem::is_pem(&data) {
        (Contents::Pem(data), None)
    } else {
        let (decoded, spelling) = base64::decode(data.as_bytes()).map_err(SecretError::JsonData)?;
        let contents = if is_binary(&decoded) {
            Contents::Binary(decoded)
        } else {
            match decode_text(&decoded) {
                Some((text, _)) if pem::is_pem(&text) => Contents::Pem(text),
                _ => return Err(SecretError::JsonDataUnrecognized),
            }
        };
        (contents, Some(spelling))
    };
    let (form, password) = match document.password {
        None => (JsonPassword::Missing, None),
        Some(None) => (JsonPassword::Null, None),
        Some(Some(text)) if text.is_empty() => (JsonPassword::Empty, None),
        Some(Some(text)) => (JsonPassword::Set, Some(text)),
    };
    let form = JsonForm { encoded, charset, data_type: document.data_type, password: form, data: spelling };
    Ok(Unwrapped { wrapping: Wrapping::Json(form), contents, password })
}

fn is_binary(bytes: &[u8]) -> bool {
    bytes.first() == Some(&SEQUENCE_TAG)
        // "0" is a letter of base64 too, but then its whole text is.
        && !bytes.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
}

/// Text in one of the character sets in which PowerShell and editors save. `None` if it is none.
fn decode_text(bytes: &[u8]) -> Option<(Zeroizing<String>, Charset)> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        // At most three bytes for each unit: never grows, so that no copy is left behind.
        let mut text = Zeroizing::new(String::with_capacity(bytes.len() / 2 * 3));
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        for c in char::decode_utf16(units) {
            text.push(c.ok()?);
        }
        Some((text, Charset::Utf16))
    };
    if let Some(rest) = bytes.strip_prefix(&[0xff, 0xfe]) {
        return utf16(rest, u16::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(&[0xfe, 0xff]) {
        return utf16(rest, u16::from_be_bytes);
    }
    // PowerShell's `[Text.Encoding]::Unicode.GetBytes` writes no mark.
    match bytes {
        [b'{', 0, ..] => return utf16(bytes, u16::from_le_bytes),
        [0, b'{', ..] => return utf16(bytes, u16::from_be_bytes),
        _ => {}
    }
    let (bytes, charset) = match bytes.strip_prefix(&[0xef, 0xbb, 0xbf]) {
        Some(rest) => (rest, Charset::Utf8WithMark),
        None => (bytes, Charset::Utf8),
    };
    let text = std::str::from_utf8(bytes).ok()?;
    Some((Zeroizing::new(text.to_owned()), charset))
}

/// The JSON document. Member names in any case; members of other names are passed over.
#[derive(Default)]
struct Document {
    data: Option<Zeroizing<String>>,
    data_type: Option<String>,
    /// Outside: whether the member is there. Inside: whether it is not null.
    password: Option<Option<Zeroizing<String>>>,
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `data`, `dataType` and `password`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
        let mut document = Document::default();
        while let Some(name) = map.next_key::<String>()? {
            let twice = match name.to_ascii_lowercase().as_str() {
                "data" => document.data.replace(Zeroizing::new(map.next_value()?)).is_some(),
                "datatype" => document.data_type.replace(map.next_value::<String>()?).is_some(),
                "password" => {
                    let password = map.next_value::<Option<String>>()?.map(Zeroizing::new);
                    document.password.replace(password).is_some()
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    false
                }
            };
            if twice {
                return Err(de::Error::custom("a member is there twice"));
            }
        }
        Ok(document)
    }
}

/// Place and kind only: the parser's own message may repeat a password.
fn json_error(error: &serde_json::Error) -> SecretError {
    let reason = match error.classify() {
        serde_json::error::Category::Eof => "it is cut off",
        serde_json::error::Category::Data => "a member has the wrong type or is there twice",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is not well formed",
    };
    SecretError::Json { reason, line: error.line(), column: error.column() }
}
