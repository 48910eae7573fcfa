//! `docs/configuration.md` is written from `config/certroll.toml`.

use std::fmt::Write;

use certroll::config::DEFAULTS;

use crate::support::written::assert_current;

const PREAMBLE: &str =
    "<!-- Written from config/certroll.toml by `CERTROLL_UPDATE=1 cargo test --test all formats`. -->\n\n";

/// One paragraph of comment, or one line of TOML.
enum Line<'t> {
    Prose(&'t str),
    Blank,
    Heading { table: &'t str },
    Key { key: &'t str, value: &'t str, set: bool },
}

fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().map(|line| {
        if line.is_empty() || line == "#" {
            return Line::Blank;
        }
        if let Some(prose) = line.strip_prefix("# ") {
            return Line::Prose(prose);
        }
        let (set, line) = line.strip_prefix('#').map_or((true, line), |rest| (false, rest));
        match line.split_once(" = ") {
            Some((key, value)) if !line.starts_with('[') => Line::Key { key, value, set },
            _ => Line::Heading { table: line },
        }
    })
}

fn document() -> String {
    let mut shown = PREAMBLE.to_owned();
    let mut prose = String::new();
    let mut titled = false;
    for line in lines(DEFAULTS) {
        match line {
            Line::Prose(text) if !titled => {
                titled = true;
                writeln!(shown, "# {}\n", text.trim_end_matches('.')).unwrap();
            }
            Line::Prose(text) => {
                prose.push_str(text);
                prose.push('\n');
            }
            Line::Blank => {
                if !prose.is_empty() {
                    writeln!(shown, "{}", std::mem::take(&mut prose)).unwrap();
                }
            }
            Line::Heading { table } => {
                writeln!(shown, "## `{table}`\n\n{}", std::mem::take(&mut prose)).unwrap();
            }
            Line::Key { key, value, set } => {
                let note = if set { "default" } else { "example" };
                writeln!(shown, "**`{key}`** ({note}: `{value}`)\n\n{}", std::mem::take(&mut prose)).unwrap();
            }
        }
    }
    format!("{}\n", shown.trim_end())
}

#[test]
fn the_document_is_current() {
    assert_current("docs/configuration.md", &document());
}
