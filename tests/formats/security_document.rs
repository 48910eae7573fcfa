//! The limits that `docs/security.md` names are those of the code.

use crate::support::written::repository;

const DOCUMENT: &str = "docs/security.md";
const BEGIN: &str = "<!-- limits: begin -->\n";
const END: &str = "<!-- limits: end -->\n";

/// A number as the document writes it, such as "16 MiB" or "2,000".
fn told(text: &str) -> u64 {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let number: u64 = number.replace(',', "").parse().expect(text);
    match unit {
        "KiB" => number * 1024,
        "MiB" => number * 1024 * 1024,
        "" | "s" | "characters" => number,
        other => panic!("`{other}` is no unit of `{DOCUMENT}`"),
    }
}

/// The product that a source text gives to a name, by a constant, a member or the constructor of a unit.
fn defined(source: &str, name: &str) -> Option<u64> {
    let starts = [format!("const {name}: "), format!(" {name}: "), "Self(".to_owned()];
    // The declaration of a member has a type and no value.
    let declares = |line: &str| line.trim_start().starts_with("pub ") && !line.contains('=');
    let lines = || source.lines().filter(|line| !line.trim_start().starts_with("//") && !declares(line));
    let value = |line: &str| {
        // The value stands behind the equals sign of a constant, or behind the colon of a member.
        let value = line.rsplit([':', '=']).next()?;
        let value: String = value.chars().filter(|c| !c.is_whitespace() && *c != '_').collect();
        let digits = value.trim_start_matches("Duration").trim_matches(|c: char| !c.is_ascii_digit());
        digits.split('*').map(str::parse::<u64>).product::<Result<u64, _>>().ok()
    };
    starts.iter().find_map(|start| lines().filter(|line| line.contains(start.as_str())).find_map(value))
}

#[test]
fn the_limits_are_those_of_the_code() {
    let document = std::fs::read_to_string(repository(DOCUMENT)).unwrap();
    let (_, table) = document.split_once(BEGIN).expect("a mark where the table begins");
    let (table, _) = table.split_once(END).expect("a mark where the table ends");
    let rows: Vec<&str> = table.lines().skip(2).collect();
    assert!(rows.len() > 20, "hardly any limit: {rows:?}");
    for row in rows {
        let [_, limit, place] = row.trim_matches('|').split(" | ").collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        let words: Vec<&str> = place.split('`').collect();
        let (name, path) = (words[1], words[3]);
        let source = std::fs::read_to_string(repository(path)).expect(row);
        assert_eq!(defined(&source, name), Some(told(limit.trim())), "`{name}` in `{path}`");
    }
}
