//! `docs/json.md` lists the parts of `docs/json.schema.json`.

use serde_json::Value;

use crate::support::written::repository;

#[test]
fn every_part_of_a_command_is_listed_and_each_has_its_version() {
    let read = |path: &str| std::fs::read_to_string(repository(path)).unwrap();
    let schema: Value = serde_json::from_str(&read("docs/json.schema.json")).unwrap();
    let parts = schema["$defs"].as_object().unwrap();
    let listed: Vec<Vec<String>> = read("docs/json.md")
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect())
        .collect();
    assert!(listed.len() > 10, "{listed:?}");
    for row in &listed {
        let (part, format) = (&row[2], &row[3]);
        let schema = parts.get(part).unwrap_or_else(|| panic!("the schema has no part `{part}`"));
        // Where a part refers to another, that one has the version.
        let mut text = schema.to_string();
        for (name, other) in parts {
            if schema.to_string().contains(&format!("#/$defs/{name}\"")) {
                text.push_str(&other.to_string());
            }
        }
        assert!(text.contains(&format!("\"const\":{format}")), "`{part}` has format {format}");
    }
    fn without_words(schema: &Value, path: &str, found: &mut Vec<String>) {
        if let Some(members) = schema.get("properties").and_then(Value::as_object) {
            for (name, member) in members {
                let path = format!("{path}/{name}");
                if member.get("const").is_none()
                    && member.get("description").is_none()
                    && member.get("anyOf").is_none()
                {
                    found.push(path.clone());
                }
                without_words(member, &path, found);
            }
        }
        for inner in ["oneOf", "anyOf"].iter().filter_map(|key| schema.get(*key)?.as_array()).flatten() {
            without_words(inner, path, found);
        }
        if let Some(items) = schema.get("items") {
            without_words(items, path, found);
        }
    }
    let mut found = Vec::new();
    for (name, part) in parts {
        without_words(part, name, &mut found);
    }
    assert_eq!(found, Vec::<String>::new(), "members without a meaning");
}
