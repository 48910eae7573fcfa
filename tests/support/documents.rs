//! What `--json` prints is what `docs/json.schema.json` says: judged wherever a test runs the program so.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::{Value, json};

use super::written::repository;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let text = std::fs::read_to_string(repository("docs/json.schema.json")).unwrap();
    serde_json::from_str(&text).unwrap()
});

static VALIDATORS: LazyLock<BTreeMap<String, Validator>> = LazyLock::new(|| {
    let parts = SCHEMA["$defs"].as_object().unwrap().keys();
    let validator = |part: &String| {
        let mut schema = SCHEMA.clone();
        schema["$ref"] = json!(format!("#/$defs/{part}"));
        jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
    };
    parts.map(|part| (part.clone(), validator(part))).collect()
});

/// The part of the schema for a command line: `notify test ops` is `notify_test`.
pub(crate) fn part(arguments: &[&str]) -> Option<&'static str> {
    let words: Vec<&str> = arguments.iter().copied().filter(|word| !word.starts_with('-')).collect();
    let named = |name: &str| VALIDATORS.get_key_value(name).map(|(name, _)| name.as_str());
    words.iter().enumerate().find_map(|(at, word)| {
        let longer = words.get(at + 1).and_then(|next| named(&format!("{word}_{next}")));
        longer.or_else(|| named(word))
    })
}

/// Panics where the document that a command printed is not as the schema says. Nothing printed is an error, which goes to
/// standard error.
pub(crate) fn judge(arguments: &[&str], printed: &[u8]) {
    if printed.is_empty() {
        return;
    }
    let document: Value = serde_json::from_slice(printed).unwrap_or_else(|fault| {
        panic!(
            "{arguments:?} printed more or less than one document: {fault}\n{}",
            String::from_utf8_lossy(printed)
        )
    });
    let part =
        part(arguments).unwrap_or_else(|| panic!("docs/json.schema.json has nothing of {arguments:?}"));
    judge_as(part, &document);
}

/// Panics where a document is not as a part of the schema says.
pub(crate) fn judge_as(part: &str, document: &Value) {
    let faults: Vec<String> = VALIDATORS[part]
        .iter_errors(document)
        .map(|fault| {
            format!("{}: {}", fault.instance_path(), fault.to_string().chars().take(600).collect::<String>())
        })
        .collect();
    assert!(faults.is_empty(), "`{part}` of docs/json.schema.json:\n{}\n{document:#}", faults.join("\n"));
}

#[test]
fn a_document_that_is_not_documented_is_found() {
    let judged = |part: &'static str, document: Value| {
        std::panic::catch_unwind(move || judge_as(part, &document)).is_ok()
    };
    assert!(judged("activate", json!({ "format": 1 })));
    assert!(!judged("activate", json!({ "format": 2 })), "another format");
    assert!(!judged("activate", json!({ "format": 1, "more": true })), "a member that nobody told of");
    assert!(!judged("activate", json!({})), "a member that is missing");
    assert_eq!(part(&["--json", "notify", "test", "ops"]), Some("notify_test"));
}
