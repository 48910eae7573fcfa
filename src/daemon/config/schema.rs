//! The JSON schema of the configuration: what editors complete and what [`super::structure`] compares with.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::section::Merged;

/// The schema, without defaults.
pub(crate) fn structure() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Merged>().to_value();
    without_null(&mut schema);
    schema
}

/// The schema as it is published: with the defaults, and with nothing required that has one.
pub fn published() -> Value {
    let mut schema = structure();
    let defaults: Value = toml::from_str(super::DEFAULTS).unwrap_or_default();
    with_defaults(&mut schema, &defaults);
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), json!("Configuration of certroll"));
    }
    schema
}

/// TOML has no null: a key that may be absent is one that is not required.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| choice["type"] != "null");
                if let [Value::Object(only)] = choices.as_mut_slice() {
                    let only = std::mem::take(only);
                    object.remove("anyOf");
                    for (key, value) in only {
                        object.entry(key).or_insert(value);
                    }
                }
            }
            object.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

fn with_defaults(schema: &mut Value, defaults: &Value) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(required)) = object.get_mut("required") {
        required.retain(|key| key.as_str().is_some_and(|key| defaults.get(key).is_none()));
        if required.is_empty() {
            object.remove("required");
        }
    }
    let properties = object.get_mut("properties").and_then(Value::as_object_mut);
    for (key, property) in properties.into_iter().flatten() {
        match defaults.get(key) {
            Some(table @ Value::Object(_)) => with_defaults(property, table),
            Some(value) => {
                if let Some(property) = property.as_object_mut() {
                    property.insert("default".to_owned(), value.clone());
                }
            }
            None => {}
        }
    }
}
