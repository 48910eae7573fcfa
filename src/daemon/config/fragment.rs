//! One text as written: a tree whose every key and value knows its place.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::place::{Sources, Span};
use super::problem::Problem;

/// A table with the places of its keys and values.
pub(crate) type Tree<'t> = DeTable<'t>;
/// A value with its place.
pub(crate) type Branch<'t> = Spanned<DeValue<'t>>;

/// Reads one text, whose spans are moved by `base`. Every syntax error becomes a problem; a text that has one gives no
/// tree, since what the parser guesses after an error would be reported as mistakes that nobody made.
pub(crate) fn parse<'t>(
    sources: &Sources,
    text: &'t str,
    base: usize,
    problems: &mut Vec<Problem>,
) -> Option<Tree<'t>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    // One slip makes the parser report several times on a line: the first says what is wrong.
    let mut last_line = None;
    for error in &errors {
        let span = moved_span(&error.span().unwrap_or(0..0), base);
        let place = sources.place(&span);
        if last_line.replace(place.line) == Some(place.line) {
            continue;
        }
        problems.push(Problem::error(place, "", format!("this is not TOML: {}", error.message())));
    }
    errors.is_empty().then(|| moved_table(table.into_inner(), base))
}

/// Reads one value, if it is one.
pub(crate) fn parse_value(text: &str, base: usize) -> Option<Branch<'_>> {
    DeValue::parse(text).ok().map(|value| moved(value, base))
}

fn moved_table(table: Tree<'_>, base: usize) -> Tree<'_> {
    table
        .into_iter()
        .map(|(key, value)| {
            let span = moved_span(&key.span(), base);
            (Spanned::new(span, key.into_inner()), moved(value, base))
        })
        .collect()
}

fn moved(value: Branch<'_>, base: usize) -> Branch<'_> {
    let span = moved_span(&value.span(), base);
    let value = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(moved_table(table, base)),
        DeValue::Array(array) => DeValue::Array(array.into_iter().map(|item| moved(item, base)).collect()),
        plain => plain,
    };
    Spanned::new(span, value)
}

fn moved_span(span: &Span, base: usize) -> Span {
    span.start + base..span.end + base
}
