//! A secret's answer. Its value goes from the body into memory that is wiped, past the JSON parser: a parser unescapes
//! into buffers of its own and leaves them behind.

use certroll_core::id::VaultName;
use certroll_core::ports::SecretObject;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::{certificate, listing};
use crate::call::{Misread, Node, not_json, without_bom};

/// The answer's members, each as the JSON text that stands in the body.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, rename = "contentType")]
    content_type: Option<&'a RawValue>,
    #[serde(borrow)]
    managed: Option<&'a RawValue>,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
}

/// Reads `{id, value, contentType, managed, attributes}`.
pub(super) fn read(body: &[u8], vault: &VaultName, dns_suffix: &str) -> Result<SecretObject, Misread> {
    let answer: Answer<'_> =
        serde_json::from_slice(without_bom(body)).map_err(|fault| not_json(body, &fault))?;
    let mut rest = serde_json::Map::new();
    for (name, raw) in [
        ("id", answer.id),
        ("contentType", answer.content_type),
        ("managed", answer.managed),
        ("attributes", answer.attributes),
    ] {
        let value = raw.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
        rest.extend(value.map(|value| (name.to_owned(), value)));
    }
    let rest = Value::Object(rest);
    let root = Node::root(&rest);
    let identifier = certificate::identifier(&root, "id", vault, dns_suffix)?;
    let unlike = |found: &str| Misread {
        place: "`value`".to_owned(),
        expected: "the secret's value as a text",
        found: found.to_owned(),
    };
    let value = answer.value.ok_or_else(|| unlike("nothing"))?;
    Ok(SecretObject {
        facts: listing::facts(&root, identifier.version().clone())?,
        identifier,
        value: unescaped(value.get()).ok_or_else(|| unlike("something else"))?,
        content_type: root.text_of("contentType")?.map(ToOwned::to_owned),
        managed: root.flag_of("managed")?.unwrap_or(false),
    })
}

/// The text that a JSON string stands for. `None` where it is no string.
fn unescaped(raw: &str) -> Option<Zeroizing<String>> {
    let inner = raw.trim().strip_prefix('"')?.strip_suffix('"')?;
    // An escape is never shorter than what it stands for, so this never grows and leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(inner.len()));
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let escape = rest[at + 1..].chars().next()?;
        rest = &rest[at + 2..];
        text.push(match escape {
            '"' | '\\' | '/' => escape,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => code_point(&mut rest)?,
            _ => return None,
        });
    }
    text.push_str(rest);
    Some(text)
}

/// The character of `XXXX` or `XXXX\uXXXX`, where a pair of surrogates stands for one.
fn code_point(rest: &mut &str) -> Option<char> {
    let first = unit(rest)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first);
    }
    *rest = rest.strip_prefix("\\u")?;
    let second = unit(rest)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + second)
}

fn unit(rest: &mut &str) -> Option<u32> {
    let digits = rest.get(..4)?;
    *rest = &rest[4..];
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: &str = r#""id":"https://kv-edge.vault.azure.cn/secrets/site-tls/0f3a""#;

    fn vault() -> VaultName {
        "kv-edge".parse().unwrap()
    }

    #[test]
    fn values_are_unescaped_as_a_parser_would() {
        for text in [
            r#""""#,
            r#""MIIK+/=""#,
            r#""-----BEGIN\nCERT\r\n\t\"q\" \\ \/ \b\f""#,
            r#""\u00e4\u20AC\ud83d\ude00 ä€😀""#,
        ] {
            let expected: String = serde_json::from_str(text).unwrap();
            assert_eq!(unescaped(text).unwrap().as_str(), expected, "{text}");
        }
        for text in ["7", "null", r#""\ud83d""#, r#""\ud83dx""#, r#""\ud83d\u0041""#, r#""\u00""#] {
            assert!(unescaped(text).is_none(), "{text}");
        }
    }

    #[test]
    fn everything_is_read() {
        let body = format!(
            "\u{feff}{{{FRAME},\"value\":\"a\\nb\",\"contentType\":\"application/x-pkcs12\",\"managed\":true,\
             \"attributes\":{{\"enabled\":true,\"created\":1795422330}},\"kid\":\"x\"}}"
        );
        let found = read(body.as_bytes(), &vault(), "vault.azure.cn").unwrap();
        assert_eq!(found.value.as_str(), "a\nb");
        assert!(found.managed && found.facts.enabled);
        assert_eq!(found.content_type.as_deref(), Some("application/x-pkcs12"));
        assert_eq!(found.identifier.version().as_str(), "0f3a");
    }

    #[test]
    fn what_is_missing_is_named_and_nothing_is_quoted() {
        for (body, place) in [
            (format!("{{{FRAME}}}"), "`value`"),
            (format!("{{{FRAME},\"value\":7}}"), "`value`"),
            ("{\"value\":\"canary\"}".to_owned(), "`id`"),
            (format!("{{{FRAME},\"value\":\"canary\""), "line 1"),
            ("\"canary\"".to_owned(), "line 1"),
        ] {
            let fault = read(body.as_bytes(), &vault(), "vault.azure.cn").unwrap_err().to_string();
            assert!(fault.starts_with(place) && !fault.contains("canary"), "{fault}");
        }
    }
}
