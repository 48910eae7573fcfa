//! The members that bodies of the data plane share: attributes and tags.

use jiff::Timestamp;
use serde_json::Value;

use super::refusal::bad_parameter;
use super::store::{Attributes, Tags};
use crate::message::{Reply, Request};

/// Tags that an object may have.
const MAX_TAGS: usize = 15;
/// Longest name and longest value of a tag.
const MAX_TAG_TEXT: usize = 256;

/// A request's body, which must be a JSON object.
pub(super) fn body(request: &Request) -> Result<Value, Reply> {
    request
        .json()
        .filter(Value::is_object)
        .ok_or_else(|| bad_parameter("The request body is not valid JSON."))
}

/// Text that may be missing or null.
pub(super) fn text<'a>(body: &'a Value, name: &str) -> Result<Option<&'a str>, Reply> {
    match &body[name] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        _ => Err(bad_parameter(&format!("Property {name} has invalid value"))),
    }
}

/// What `attributes` asks to change; what it does not name stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct AttributeChange {
    enabled: Option<bool>,
    not_before: Option<i64>,
    expires: Option<i64>,
}

impl AttributeChange {
    /// Reads `attributes` of a body.
    pub(super) fn parse(body: &Value) -> Result<Self, Reply> {
        let attributes = &body["attributes"];
        if !attributes.is_null() && !attributes.is_object() {
            return Err(bad_parameter("Property attributes has invalid value"));
        }
        let number = |name: &str| match &attributes[name] {
            Value::Null => Ok(None),
            value => value
                .as_i64()
                .filter(|second| Timestamp::from_second(*second).is_ok())
                .map(Some)
                .ok_or_else(|| bad_parameter(&format!("Property {name} has invalid value"))),
        };
        let enabled = match &attributes["enabled"] {
            Value::Null => None,
            Value::Bool(enabled) => Some(*enabled),
            _ => return Err(bad_parameter("Property enabled has invalid value")),
        };
        Ok(Self { enabled, not_before: number("nbf")?, expires: number("exp")? })
    }

    /// Makes the change.
    pub(super) fn apply(self, attributes: &mut Attributes) {
        attributes.enabled = self.enabled.unwrap_or(attributes.enabled);
        attributes.not_before = self.not_before.or(attributes.not_before);
        attributes.expires = self.expires.or(attributes.expires);
    }
}

/// Reads `tags` of a body; `None` where it names none.
pub(super) fn tags(body: &Value) -> Result<Option<Tags>, Reply> {
    let invalid = || bad_parameter("Property tags has invalid value");
    let tags = match &body["tags"] {
        Value::Null => return Ok(None),
        Value::Object(tags) => tags,
        _ => return Err(invalid()),
    };
    if tags.len() > MAX_TAGS {
        return Err(bad_parameter("An object can have at most 15 tags."));
    }
    let long = |text: &str| text.chars().count() > MAX_TAG_TEXT;
    if tags.iter().any(|(name, value)| long(name) || value.as_str().is_some_and(long)) {
        return Err(bad_parameter(
            "A tag can have a name of at most 256 characters and a value of at most 256.",
        ));
    }
    tags.iter()
        .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect::<Option<Tags>>()
        .map(Some)
        .ok_or_else(invalid)
}
