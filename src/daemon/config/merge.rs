//! Many trees become one: files in their order, then the environment, then the defaults for what is absent.

use std::borrow::Cow;

use serde_json::Value as Schema;
use toml::Spanned;
use toml::de::{DeArray, DeValue};

use super::fragment::{Branch, Tree, parse_value};
use super::place::Span;
use super::structure;

/// The array whose entries add up over the files. Every other array is replaced.
const APPENDED: &str = "service";

/// Of each pair one key is set: a default must not stand beside the other that somebody wrote.
const EXCLUSIVE: [(&str, &str, &str); 1] = [("poll", "schedule", "every")];

/// Lays `over` upon `tree`: tables merge, services add up, anything else is replaced.
pub(crate) fn lay_over<'t>(tree: &mut Tree<'t>, over: Tree<'t>) {
    lay_over_at(tree, over, true);
}

fn lay_over_at<'t>(tree: &mut Tree<'t>, over: Tree<'t>, top: bool) {
    for (key, value) in over {
        let present = tree.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut);
        match (present, value.get_ref()) {
            (Some(DeValue::Table(below)), DeValue::Table(_)) => {
                if let DeValue::Table(above) = value.into_inner() {
                    lay_over_at(below, above, false);
                }
            }
            (Some(DeValue::Array(below)), DeValue::Array(_)) if top && key.get_ref() == APPENDED => {
                if let DeValue::Array(above) = value.into_inner() {
                    above.into_iter().for_each(|item| below.push(item));
                }
            }
            _ => {
                // Removed first: a map keeps the old key, and with it the old place.
                tree.remove(key.get_ref().as_ref());
                tree.insert(key, value);
            }
        }
    }
}

/// Fills in what is absent.
pub(crate) fn lay_under<'t>(tree: &mut Tree<'t>, defaults: Tree<'t>) {
    for (key, value) in defaults {
        match (tree.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut), value.get_ref()) {
            (None, _) => {
                tree.insert(key, value);
            }
            (Some(DeValue::Table(above)), DeValue::Table(_)) => {
                let name = key.into_inner();
                if let DeValue::Table(mut below) = value.into_inner() {
                    for (_, key, other) in EXCLUSIVE.iter().filter(|(section, ..)| *section == name) {
                        if above.contains_key(*other) {
                            below.remove(*key);
                        }
                        if above.contains_key(*key) {
                            below.remove(*other);
                        }
                    }
                    lay_under(above, below);
                }
            }
            (Some(_), _) => {}
        }
    }
}

/// Sets the value of one environment variable. Where the key takes text, the variable's value is that text, with or
/// without TOML's quotes; elsewhere it is read as a TOML value, and taken as text if it is none.
///
/// # Errors
/// The path names an entry of a list that no file has, such as `service.7`.
pub(crate) fn set<'t>(
    tree: &mut Tree<'t>,
    path: &[String],
    text: &'t str,
    base: usize,
    schema: &Schema,
) -> Result<(), String> {
    let span = base..base + text.len();
    let as_text = || Spanned::new(span.clone(), DeValue::String(Cow::Borrowed(text)));
    let value = match parse_value(text, base) {
        Some(value) if !structure::takes_only_text(schema, path) || value.get_ref().is_str() => value,
        _ => as_text(),
    };
    set_at(tree, path, value, &span)
}

fn set_at<'t>(tree: &mut Tree<'t>, path: &[String], value: Branch<'t>, span: &Span) -> Result<(), String> {
    let Some((first, rest)) = path.split_first() else { return Ok(()) };
    let key = || Spanned::new(span.clone(), Cow::Owned(first.clone()));
    let Some(next) = rest.first() else {
        tree.remove(first.as_str());
        tree.insert(key(), value);
        return Ok(());
    };
    if is_number(next) && !tree.contains_key(first.as_str()) {
        return Err(format!("{first}.{next}"));
    }
    let below = tree
        .entry(key())
        .or_insert_with(|| Spanned::new(span.clone(), DeValue::Table(Tree::new())))
        .get_mut();
    match below {
        DeValue::Table(table) => set_at(table, rest, value, span),
        DeValue::Array(array) => {
            set_in_array(array, rest, value, span).map_err(|entry| format!("{first}.{entry}"))
        }
        _ => {
            let mut table = Tree::new();
            set_at(&mut table, rest, value, span)?;
            *below = DeValue::Table(table);
            Ok(())
        }
    }
}

/// `SERVICE__0__MODE` means the first service.
fn set_in_array<'t>(
    array: &mut DeArray<'t>,
    path: &[String],
    value: Branch<'t>,
    span: &Span,
) -> Result<(), String> {
    let Some((index, rest)) = path.split_first() else { return Ok(()) };
    let entry = index.parse::<usize>().ok().and_then(|index| array.get_mut(index));
    let entry = entry.ok_or_else(|| index.clone())?;
    match entry.get_mut() {
        DeValue::Table(table) if !rest.is_empty() => set_at(table, rest, value, span),
        _ => {
            *entry = value;
            Ok(())
        }
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
