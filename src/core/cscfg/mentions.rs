//! Settings that repeat a thumbprint, which an application looks up by itself: changing only the certificate entry
//! would leave it with the old one.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::configuration::{ServiceConfiguration, Setting};
use super::place::{Place, Places};
use super::value::{Unit, is_ignored_in_thumbprint, units};
use crate::id::{RoleName, Thumbprint};

/// A setting that repeats a thumbprint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mention {
    /// The role.
    pub role: RoleName,
    /// The name of the setting.
    pub setting: String,
    /// How the value repeats it; of several occurrences the first that an edit would change.
    pub kind: MentionKind,
    /// Where that occurrence begins.
    pub place: Place,
}

/// How a setting's value repeats a thumbprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MentionKind {
    /// It is the value.
    Alone,
    /// It is a member of a list separated by commas, semicolons or white space.
    InList,
    /// It stands within a longer text, such as `Store=My;Find=…` or a longer number. Edits leave it alone.
    Within,
}

impl ServiceConfiguration {
    /// The settings whose values repeat the thumbprint, in the order of the text; each setting once.
    pub fn mentions(&self, thumbprint: &Thumbprint) -> Vec<Mention> {
        let found: Vec<(&Setting, Occurrence)> = self
            .settings()
            .iter()
            .filter_map(|setting| {
                let occurrences = occurrences(&self.text()[setting.raw.clone()], thumbprint);
                Some((setting, occurrences.into_iter().min_by_key(|occurrence| occurrence.kind)?))
            })
            .collect();
        if found.is_empty() {
            return Vec::new();
        }
        let places = Places::new(self.text());
        let mention = |(setting, occurrence): (&Setting, Occurrence)| Mention {
            role: setting.role.clone(),
            setting: setting.name.clone(),
            kind: occurrence.kind,
            place: places.at(setting.raw.start + occurrence.raw.start),
        };
        found.into_iter().map(mention).collect()
    }
}

/// A thumbprint within a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Occurrence {
    /// Its bytes in the raw value, from the first digit to the last: marks and spaces around it stay outside, references
    /// are whole.
    pub(super) raw: Range<usize>,
    pub(super) kind: MentionKind,
}

/// Digits of a thumbprint.
const DIGITS: usize = 40;

/// Finds the thumbprint's 40 digits in either case, whatever white space and invisible marks stand between them.
/// Occurrences that an edit would change do not overlap.
pub(super) fn occurrences(raw: &str, thumbprint: &Thumbprint) -> Vec<Occurrence> {
    let mut found = Vec::new();
    if raw.len() < DIGITS {
        return found;
    }
    let value: Vec<Unit> = units(raw).collect();
    let wanted: Vec<u32> =
        thumbprint.as_bytes().iter().flat_map(|byte| [u32::from(byte >> 4), u32::from(byte & 15)]).collect();
    let seen = |unit: &Unit| !is_ignored_in_thumbprint(unit.c);
    let ends =
        (value.iter().position(seen).unwrap_or_default(), value.iter().rposition(seen).unwrap_or_default());
    // The digits since the last character that ends a number: their values, and where they stand in `value`.
    let mut digits: Vec<u32> = Vec::new();
    let mut indices: Vec<usize> = Vec::new();
    for (index, unit) in value.iter().enumerate() {
        match unit.c.to_digit(16) {
            Some(digit) => {
                digits.push(digit);
                indices.push(index);
                if digits.ends_with(&wanted) {
                    let first = indices[indices.len() - DIGITS];
                    let kind = kind(&value, first, index, ends);
                    found.push(Occurrence { raw: value[first].start as usize..unit.end as usize, kind });
                    if kind != MentionKind::Within {
                        digits.clear();
                        indices.clear();
                    }
                }
            }
            None if is_ignored_in_thumbprint(unit.c) => {}
            None => {
                digits.clear();
                indices.clear();
            }
        }
    }
    found
}

/// How the characters `first..=last` stand in the value, of which `ends` are the first and last that can be seen.
fn kind(value: &[Unit], first: usize, last: usize, ends: (usize, usize)) -> MentionKind {
    if (first, last) == ends {
        return MentionKind::Alone;
    }
    let decides = |unit: &&Unit| is_separator(unit.c) || !is_ignored_in_thumbprint(unit.c);
    let bounded = |neighbour: Option<&Unit>| neighbour.is_none_or(|unit| is_separator(unit.c));
    if bounded(value[..first].iter().rev().find(decides)) && bounded(value[last + 1..].iter().find(decides)) {
        MentionKind::InList
    } else {
        MentionKind::Within
    }
}

/// What separates the members of a list.
pub(super) fn is_separator(c: char) -> bool {
    matches!(c, ',' | ';') || c.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "9427BEFA18EC6865A9EBDC79D4C38DE50E6316FF";

    #[test]
    fn alone_in_a_list_or_within() {
        use MentionKind::{Alone, InList, Within};
        let other = "79D4C38DE50E6316FF9427BEFA18EC6865A9EBDC";
        let spaced = "94 27 be fa 18 ec 68 65 a9 eb dc 79 d4 c3 8d e5 0e 63 16 ff";
        let referenced = OLD.replacen('9', "&#x39;", 1);
        for (raw, expected) in [
            (OLD.to_owned(), vec![(OLD, Alone)]),
            (OLD.to_lowercase(), vec![(OLD, Alone)]),
            (format!("  {OLD}\r\n"), vec![(OLD, Alone)]),
            (format!("\u{200e}{spaced}"), vec![(spaced, Alone)]),
            (referenced.clone(), vec![(referenced.as_str(), Alone)]),
            (format!("{other},{OLD}"), vec![(OLD, InList)]),
            (format!("{OLD};{other}"), vec![(OLD, InList)]),
            (format!("{other} {OLD} {other}"), vec![(OLD, InList)]),
            (format!("{other},\r\n  \u{200e}{OLD}\u{200b} ;x"), vec![(OLD, InList)]),
            (format!("{spaced},{other}"), vec![(spaced, InList)]),
            (format!("{other}&#44;{OLD}"), vec![(OLD, InList)]),
            (format!("{OLD},{OLD}"), vec![(OLD, InList), (OLD, InList)]),
            (format!("{OLD},"), vec![(OLD, InList)]),
            (format!("Find={OLD};Store=My"), vec![(OLD, Within)]),
            (format!("{OLD}00"), vec![(OLD, Within)]),
            (format!("00{OLD}"), vec![(OLD, Within)]),
            (format!("'{OLD}'"), vec![(OLD, Within)]),
            (format!("x{OLD},{OLD}"), vec![(OLD, Within), (OLD, InList)]),
            (OLD[1..].to_owned(), vec![]),
            (other.to_owned(), vec![]),
            (OLD.replacen("BE", "BE-", 1), vec![]),
        ] {
            let found = occurrences(&raw, &OLD.parse().unwrap());
            let found: Vec<_> = found.iter().map(|o| (&raw[o.raw.clone()], o.kind)).collect();
            let same = found.len() == expected.len()
                && found.iter().zip(&expected).all(|(f, e)| f.0.eq_ignore_ascii_case(e.0) && f.1 == e.1);
            assert!(same, "{raw}: {found:?}");
        }
    }

    #[test]
    fn repeated_digits_are_found_once_for_each_member() {
        let ones = "1".repeat(40);
        let raw = format!("{ones} {ones},{ones}");
        let found = occurrences(&raw, &ones.parse().unwrap());
        let starts: Vec<_> = found.iter().map(|o| (o.raw.start, o.kind)).collect();
        assert_eq!(starts, [(0, MentionKind::InList), (41, MentionKind::InList), (82, MentionKind::InList)]);
    }
}
