//! JSON answers, read by hand with the place of whatever is not as documented.
//!
//! Parsers' own messages are not repeated: they may quote what they read.

use jiff::Timestamp;
use serde_json::Value;
use thiserror::Error;

/// What is wrong with an answer, and where.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{place}: expected {expected}, found {found}")]
pub(crate) struct Misread {
    /// Path of a member, or line and column.
    pub(crate) place: String,
    /// What should stand there.
    pub(crate) expected: &'static str,
    /// What stands there, by its type.
    pub(crate) found: String,
}

/// A body without the byte order mark that some services put before it.
pub(crate) fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// Parses a body.
///
/// # Errors
/// It is not JSON.
pub(crate) fn parse(body: &[u8]) -> Result<Value, Misread> {
    serde_json::from_slice(without_bom(body)).map_err(|fault| not_json(body, &fault))
}

pub(crate) fn not_json(body: &[u8], fault: &serde_json::Error) -> Misread {
    let found = if body.is_empty() {
        "an empty body".to_owned()
    } else if without_bom(body).trim_ascii_start().starts_with(b"<") {
        "a page of HTML or XML".to_owned()
    } else if fault.is_eof() {
        "its end".to_owned()
    } else {
        "something else".to_owned()
    };
    Misread { place: format!("line {} column {}", fault.line(), fault.column()), expected: "JSON", found }
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node<'a> {
    value: &'a Value,
    place: String,
}

impl<'a> Node<'a> {
    /// The whole answer.
    pub(crate) fn root(value: &'a Value) -> Self {
        Self { value, place: String::new() }
    }

    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    fn misread(&self, expected: &'static str) -> Misread {
        let place = if self.place.is_empty() { "the answer".to_owned() } else { format!("`{}`", self.place) };
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "another text",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        Misread { place, expected, found: found.to_owned() }
    }

    /// A misread of this very value.
    pub(crate) fn unlike(&self, expected: &'static str) -> Misread {
        self.misread(expected)
    }

    /// A member; `None` where it is absent or null.
    pub(crate) fn member(&self, name: &str) -> Option<Node<'a>> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        let place = if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) };
        Some(Node { value, place })
    }

    /// A member that must be there.
    pub(crate) fn required(&self, name: &str, expected: &'static str) -> Result<Node<'a>, Misread> {
        self.member(name).ok_or_else(|| {
            let place =
                if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) };
            Misread { place: format!("`{place}`"), expected, found: "nothing".to_owned() }
        })
    }

    /// The items of an array.
    pub(crate) fn items(&self) -> Result<Vec<Node<'a>>, Misread> {
        let Value::Array(items) = self.value else { return Err(self.misread("an array")) };
        Ok(items
            .iter()
            .enumerate()
            .map(|(index, value)| Node { value, place: format!("{}[{index}]", self.place) })
            .collect())
    }

    pub(crate) fn text(&self) -> Result<&'a str, Misread> {
        self.value.as_str().ok_or_else(|| self.misread("a text"))
    }

    /// A member that is text, if it is there.
    pub(crate) fn text_of(&self, name: &str) -> Result<Option<&'a str>, Misread> {
        self.member(name).map(|node| node.text()).transpose()
    }

    /// A member that is true or false, if it is there.
    pub(crate) fn flag_of(&self, name: &str) -> Result<Option<bool>, Misread> {
        self.member(name)
            .map(|node| node.value.as_bool().ok_or_else(|| node.misread("true or false")))
            .transpose()
    }

    /// A member that is a time in Unix seconds, if it is there.
    pub(crate) fn time_of(&self, name: &str) -> Result<Option<Timestamp>, Misread> {
        self.member(name)
            .map(|node| {
                let seconds = node.value.as_i64().or_else(|| whole(node.value.as_f64()?));
                seconds
                    .and_then(|seconds| Timestamp::from_second(seconds).ok())
                    .ok_or_else(|| node.misread("a time in Unix seconds"))
            })
            .transpose()
    }
}

fn whole(number: f64) -> Option<i64> {
    let within = number.is_finite() && number.abs() < 1e15;
    within.then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn places_are_told_and_values_are_not() {
        let value = json!({ "value": [{ "id": 7 }, { "attributes": { "created": "canary" } }] });
        let items = Node::root(&value).required("value", "a list").unwrap().items().unwrap();
        assert_eq!(
            items[0].text_of("id").unwrap_err().to_string(),
            "`value[0].id`: expected a text, found a number"
        );
        let attributes = items[1].member("attributes").unwrap();
        assert_eq!(
            attributes.time_of("created").unwrap_err().to_string(),
            "`value[1].attributes.created`: expected a time in Unix seconds, found another text"
        );
        assert_eq!(
            items[0].required("x5t", "a thumbprint").unwrap_err().to_string(),
            "`value[0].x5t`: expected a thumbprint, found nothing"
        );
    }

    #[test]
    fn bodies_that_are_not_json() {
        assert_eq!(parse(b"\xef\xbb\xbf{}").unwrap(), json!({}));
        for (body, found) in [
            (&b""[..], "an empty body"),
            (b"<html>", "a page of HTML"),
            (b"{\"a\":", "its end"),
            (b"{\"canary\" canary", "something else"),
        ] {
            let message = parse(body).unwrap_err().to_string();
            assert!(message.contains(found) && !message.contains("canary"), "{message}");
        }
    }
}
