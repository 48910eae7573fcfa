//! Compares a tree with the schema: unknown keys, wrong types, unknown words, numbers out of range. All of them are
//! reported, and taken out of the tree, so that the rest can be read and checked too.

use std::collections::HashMap;

use serde_json::Value as Schema;
use toml::de::{DeArray, DeValue};

use super::fragment::{Branch, Tree};
use super::place::{Sources, Span};
use super::problem::{Problem, nearest, one_of};

/// Keys that people write for secrets, each with the keys that name a place instead.
const SECRETS: [(&str, &str); 4] = [
    ("client_secret", "client_secret"),
    ("secret", "client_secret"),
    ("client_certificate_password", "client_certificate_password"),
    ("password", "client_certificate_password"),
];

/// Longest piece of a value that a message repeats.
const SHOWN_LIMIT: usize = 60;

/// Checks a tree and leaves only what fits.
pub(crate) fn check(tree: &mut Tree<'_>, schema: &Schema, sources: &Sources, problems: &mut Vec<Problem>) {
    let mut walk = Walk { root: schema, sources, problems };
    walk.table(tree, schema, "");
}

struct Walk<'a> {
    root: &'a Schema,
    sources: &'a Sources,
    problems: &'a mut Vec<Problem>,
}

impl Walk<'_> {
    fn table(&mut self, table: &mut Tree<'_>, schema: &Schema, path: &str) {
        // Taken apart and put together again: the map's own filter hides where a key is written.
        for (key, mut value) in std::mem::replace(table, Tree::new()) {
            let path = joined(path, key.get_ref());
            match schema["properties"].get(key.get_ref().as_ref()) {
                Some(schema) => {
                    if self.value(&mut value, schema, &path) {
                        table.insert(key, value);
                    }
                }
                None => self.unknown(&key.span(), key.get_ref(), schema, &path),
            }
        }
    }

    /// Whether the value may stay.
    fn value(&mut self, value: &mut Branch<'_>, schema: &Schema, path: &str) -> bool {
        let span = value.span();
        let forms = forms(schema);
        let found = type_of(value.get_ref());
        let Some(form) = forms.iter().find(|form| form["type"] == found) else {
            let expected: Vec<String> = forms.iter().map(|form| expected(form)).collect();
            let shown = self.shown(&span, value.get_ref(), path);
            let wants_list = found == "object" && forms.iter().any(|form| form["items"]["type"] == "object");
            let problem = self.error(&span, path, format!("found {shown}"));
            problem.expect(expected.join(" or "));
            if wants_list {
                problem.hint(format!("write `[[{}]]`", unnumbered(path)));
            }
            return false;
        };
        match value.get_mut() {
            DeValue::Table(table) => {
                self.table(table, form, path);
                true
            }
            DeValue::Array(items) => {
                let mut kept = Vec::new();
                let item_schema = &form["items"];
                for (index, mut item) in std::mem::replace(items, DeArray::new()).into_iter().enumerate() {
                    if self.value(&mut item, item_schema, &format!("{path}[{index}]")) {
                        kept.push(item);
                    }
                }
                *items = kept.into_iter().collect();
                true
            }
            DeValue::String(text) => {
                let words: Vec<&str> = words(&forms);
                if words.is_empty() || words.contains(&text.as_ref()) {
                    return true;
                }
                let near = nearest(text, words.iter().copied());
                let problem = self.error(&span, path, format!("found `{}`", cut(text)));
                problem.expect(one_of(words.iter().copied()));
                if let Some(near) = near {
                    problem.hint(format!("did you mean `{near}`?"));
                }
                false
            }
            DeValue::Integer(number) => {
                let number = i64::from_str_radix(number.as_str(), number.radix()).unwrap_or(i64::MAX);
                let least = form["minimum"].as_i64().unwrap_or(i64::MIN);
                let most = form["maximum"].as_i64().unwrap_or(i64::from(u32::MAX));
                if (least..=most).contains(&number) {
                    return true;
                }
                let shown = cut(self.sources.text(&span));
                self.error(&span, path, format!("found `{shown}`"))
                    .expect(format!("a whole number from {least} to {most}"));
                false
            }
            _ => true,
        }
    }

    fn unknown(&mut self, span: &Span, name: &str, schema: &Schema, path: &str) {
        let has = |key: String| keys(schema).any(|known| known == key);
        // A table that takes a secret from a file or a variable names both.
        let own = (has(format!("{name}_file")) && has(format!("{name}_env"))).then_some(name);
        let known = SECRETS.iter().find(|(key, _)| *key == name).map(|(_, stem)| *stem);
        if let Some(stem) = own.or(known) {
            self.error(span, path, "a secret does not belong into the configuration").hint(format!(
                "put it into a file and write `{stem}_file = \"/path\"` or \
                 `{stem}_file = \"$CREDENTIALS_DIRECTORY/name\"`, or name a variable of the environment with \
                 `{stem}_env`"
            ));
            return;
        }
        let known: Vec<&str> = keys(schema).collect();
        let hint = nearest(name, known.iter().copied())
            .map(|near| format!("did you mean `{near}`?"))
            .or_else(|| elsewhere(self.root, name));
        let problem = self.error(span, path, format!("unknown key `{}`", cut(name)));
        problem.expect(one_of(known));
        if let Some(hint) = hint {
            problem.hint(hint);
        }
    }

    fn error(&mut self, span: &Span, path: &str, message: impl Into<String>) -> &mut Problem {
        self.problems.push(Problem::error(self.sources.place(span), path, message));
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    /// A value in words. What a key with a telling name holds is not repeated.
    fn shown(&self, span: &Span, value: &DeValue<'_>, path: &str) -> String {
        let private = ["secret", "password", "token"].iter().any(|word| path.contains(word));
        match value {
            DeValue::Table(_) => "a table".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            _ if private => format!("a {}", value.type_str()),
            DeValue::String(text) => format!("the text `{}`", cut(text)),
            DeValue::Boolean(value) => format!("`{value}`"),
            DeValue::Datetime(_) => format!("the date `{}`", cut(self.sources.text(span))),
            DeValue::Integer(_) | DeValue::Float(_) => {
                format!("the number `{}`", cut(self.sources.text(span)))
            }
        }
    }
}

/// Whether a key takes text and nothing else.
pub(crate) fn takes_only_text(schema: &Schema, path: &[String]) -> bool {
    let mut schema = schema;
    for key in path {
        let Some(below) = forms(schema).into_iter().find_map(|form| {
            let items = form.get("items").filter(|_| key.parse::<usize>().is_ok());
            form["properties"].get(key).or(items)
        }) else {
            return false;
        };
        schema = below;
    }
    forms(schema).iter().all(|form| form["type"] == "string")
}

/// The forms that a value may have: alternatives spread out.
fn forms(schema: &Schema) -> Vec<&Schema> {
    if let Some(choices) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Schema::as_array) {
        return choices.iter().flat_map(forms).collect();
    }
    vec![schema]
}

/// The words that a text is limited to; empty where it is not.
fn words<'s>(forms: &[&'s Schema]) -> Vec<&'s str> {
    let texts = forms.iter().filter(|form| form["type"] == "string");
    texts
        .flat_map(|form| {
            let list = form["enum"].as_array().map(Vec::as_slice).unwrap_or_default();
            list.iter().chain(form.get("const")).filter_map(Schema::as_str)
        })
        .collect()
}

fn keys(schema: &Schema) -> impl Iterator<Item = &str> {
    schema["properties"].as_object().into_iter().flatten().map(|(key, _)| key.as_str())
}

/// Where a key that is unknown here most likely belongs.
fn elsewhere(root: &Schema, name: &str) -> Option<String> {
    let mut homes = Vec::new();
    collect_homes(root, "", &mut homes);
    let of = |key: &str| homes.iter().find(|(_, known)| *known == key).map(|(home, _)| home);
    if let Some(home) = of(name) {
        return Some(format!("`{name}` belongs to {home}"));
    }
    let near = nearest(name, homes.iter().map(|(_, key)| *key))?;
    Some(format!("did you mean `{near}` of {}?", of(near)?))
}

/// Every key with the table that it belongs to, in words.
fn collect_homes<'s>(schema: &'s Schema, table: &str, homes: &mut Vec<(String, &'s str)>) {
    for form in forms(schema) {
        let list = form.get("items");
        let home = match (table, list) {
            ("", _) => "the top of the file, before the first table".to_owned(),
            (table, Some(_)) => format!("`[[{table}]]`"),
            (table, None) => format!("`[{table}]`"),
        };
        for (key, below) in list.unwrap_or(form)["properties"].as_object().into_iter().flatten() {
            homes.push((home.clone(), key));
            // The elements of a list of texts or of mixed forms are not written under a heading of their own.
            if forms(below).iter().all(|form| takes_heading(form)) {
                let table = if table.is_empty() { key.clone() } else { format!("{table}.{key}") };
                collect_homes(below, &table, homes);
            }
        }
    }
}

fn takes_heading(form: &Schema) -> bool {
    form["type"] == "object" || form.get("items").is_some_and(|items| items["type"] == "object")
}

fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        // No key takes one: JSON has no such type.
        DeValue::Datetime(_) => "datetime",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
    }
}

fn expected(form: &Schema) -> String {
    let words = words(&[form]);
    match form["type"].as_str() {
        Some("string") if !words.is_empty() => one_of(words),
        Some("string") => "a text in quotes".to_owned(),
        Some("integer") => "a whole number".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("array") => match forms(&form["items"]).first().map(|item| item["type"] == "object") {
            Some(true) => "a list of tables".to_owned(),
            _ => "a list of texts".to_owned(),
        },
        _ => "a table".to_owned(),
    }
}

/// A path as TOML's headings have it.
fn unnumbered(path: &str) -> String {
    path.split('.').map(|key| key.split('[').next().unwrap_or(key)).collect::<Vec<_>>().join(".")
}

fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_LIMIT).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_LIMIT).is_some() {
        shown.push('…');
    }
    shown
}

fn joined(path: &str, name: &str) -> String {
    let name = cut(name);
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

/// The key path of every value, by its span.
#[derive(Debug, Default)]
pub(crate) struct Paths(HashMap<(usize, usize), String>);

impl Paths {
    /// Walks a tree.
    pub(crate) fn of(tree: &Tree<'_>) -> Self {
        let mut paths = Self::default();
        paths.table(tree, "");
        paths
    }

    /// The path of a value.
    pub(crate) fn path(&self, span: &Span) -> &str {
        self.0.get(&(span.start, span.end)).map_or("", String::as_str)
    }

    fn table(&mut self, table: &Tree<'_>, path: &str) {
        for (key, value) in table {
            self.value(value, joined(path, key.get_ref()));
        }
    }

    fn value(&mut self, value: &Branch<'_>, path: String) {
        match value.get_ref() {
            DeValue::Table(table) => self.table(table, &path),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(item, format!("{path}[{index}]"));
                }
            }
            _ => {}
        }
        // A list of tables has the span of its first table, which is the more exact of the two.
        self.0.entry((value.span().start, value.span().end)).or_insert(path);
    }
}
