//! `config/certroll.toml` is reference and defaults at once; schema, examples and program agree with it.

use std::collections::BTreeSet;

use certroll::config::{DEFAULTS, Environment, Settings, json_schema, load};
use jiff::Timestamp;
use serde_json::Value;

use crate::support::program::Place;
use crate::support::written::{assert_current, repository};

/// The reference with its examples uncommented: `#key = ...` and `#[table]`, but not `# prose`.
fn uncommented() -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()) => rest.to_owned(),
        _ => line.to_owned(),
    };
    DEFAULTS.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn keys_of_value(value: &Value, path: &str, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                keys_of_value(value, &path, keys);
                keys.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys_of_value(item, path, keys)),
        _ => {}
    }
}

fn keys_of_schema(schema: &Value, path: &str, keys: &mut BTreeSet<String>) {
    if let Some(items) = schema.get("items") {
        keys_of_schema(items, path, keys);
    }
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        keys_of_schema(value, &path, keys);
        keys.insert(path);
    }
}

#[test]
fn the_reference_has_every_key_and_no_other() {
    let reference: Value = toml::from_str(&uncommented()).unwrap();
    let (mut written, mut known) = (BTreeSet::new(), BTreeSet::new());
    keys_of_value(&reference, "", &mut written);
    keys_of_schema(&json_schema(), "", &mut known);
    let missing: Vec<_> = known.difference(&written).collect();
    let unknown: Vec<_> = written.difference(&known).collect();
    assert!(missing.is_empty(), "not in config/certroll.toml: {missing:?}");
    assert!(unknown.is_empty(), "in config/certroll.toml and not known to the program: {unknown:?}");
    assert!(known.len() > 60, "{known:?}");
    for key in ["address", "server_name", "certificate"] {
        assert!(DEFAULTS.contains(&format!("{key} = ")), "the table of an endpoint: {key}");
    }
}

fn settings(text: &str) -> Settings {
    let place = Place::with_config(text);
    let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
    let mut settings = load(&place.path().join("certroll.toml"), &Environment::default(), now)
        .unwrap_or_else(|e| panic!("{e}"));
    settings.files.clear();
    settings.warnings.clear();
    settings
}

#[test]
fn the_defaults_that_are_shown_are_those_in_force() {
    assert_eq!(format!("{:?}", settings(DEFAULTS)), format!("{:?}", settings("")));
}

#[test]
fn the_defaults_of_a_service_that_are_shown_are_those_in_force() {
    const SERVICE: &str = "[[service]]\nid = \"/subscriptions/0b1f/resourceGroups/shop/providers/Microsoft.Compute/cloudServices/shop\"\n";
    const WINDOW: &str = "[service.window]\nweekly = [\"Tue 02:00-04:00\"]\n";
    const PROBE: &str = "[service.probe]\nendpoints = [\"shop.contoso.com:443\"]\n";
    let shown = |key: &str| {
        let line = DEFAULTS.lines().find(|line| line.starts_with(&format!("#{key} = ")));
        format!("{}\n", &line.unwrap_or_else(|| panic!("{key}"))[1..])
    };
    let zone = DEFAULTS.lines().rfind(|line| line.starts_with("#time_zone = ")).unwrap();
    let minimal = format!("{SERVICE}{WINDOW}{PROBE}");
    let spelled = format!(
        "{SERVICE}{}{}{}{WINDOW}{}\n{PROBE}{}[service.guards]\n{}{}",
        shown("follow"),
        shown("mode"),
        shown("stage"),
        &zone[1..],
        shown("binding"),
        shown("relax"),
        shown("minimum_remaining"),
    );
    assert_eq!(format!("{:?}", settings(&spelled)), format!("{:?}", settings(&minimal)));
}

#[test]
fn the_schema_is_current() {
    let mut text = serde_json::to_string_pretty(&json_schema()).unwrap();
    text.push('\n');
    assert_current("config/certroll.schema.json", &text);
}

#[test]
fn reference_and_examples_fit_the_schema() {
    let validator = jsonschema::validator_for(&json_schema()).unwrap();
    let mut texts = vec![("the reference".to_owned(), DEFAULTS.to_owned())];
    for entry in std::fs::read_dir(repository("config/examples")).unwrap() {
        let path = entry.unwrap().path();
        texts.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
    }
    assert!(texts.len() > 3);
    for (name, text) in texts {
        let value: Value = toml::from_str(&text).unwrap();
        let faults: Vec<String> = validator.iter_errors(&value).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{name}: {faults:?}");
    }
    // The schema is strict: what the program refuses, an editor marks.
    let wrong: Value = toml::from_str("shedule = 1").unwrap();
    assert!(!validator.is_valid(&wrong));
    let uncommented: Value = toml::from_str(&uncommented()).unwrap();
    assert!(validator.is_valid(&uncommented));
}
