//! Members of an event. Publishers differ in the case of names and leave blanks around names and values, so both are
//! matched without regard to either.

use serde_json::{Map, Value};

/// The members of a JSON object, found by name whatever its case and the blanks around it.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// The members of a value; none where it is no object.
    pub(super) fn of(value: &'a Value) -> Option<Self> {
        value.as_object().map(Fields)
    }

    /// A member, unless it is null.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        let exact = self.0.get(name);
        let found = exact.or_else(|| {
            self.0.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value)
        });
        found.filter(|value| !value.is_null())
    }

    /// A member that is a text, trimmed; none where it is empty or of another type.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.value(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
    }
}
