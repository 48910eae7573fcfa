//! Lines and columns.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A place in a text, as an editor shows it: lines end with a line feed, columns count characters, both from 1. A byte
/// order mark takes no column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Finds the place of a byte. A text may be one line of megabytes that holds thousands of entries: marks at regular
/// distances keep each look-up short.
pub(super) struct Places<'a> {
    text: &'a str,
    marks: Vec<(usize, Place)>,
}

/// Bytes between two marks: a look-up reads no more than these, and the marks of a text of 4 MiB fit in 100 KiB.
const MARK_DISTANCE: usize = 1024;

impl<'a> Places<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let first = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let mut place = Place { line: 1, column: 1 };
        let mut marks = vec![(first, place)];
        let mut next = first + MARK_DISTANCE;
        for (at, c) in text[first..].char_indices() {
            if first + at >= next {
                marks.push((first + at, place));
                next = first + at + MARK_DISTANCE;
            }
            advance(&mut place, c);
        }
        Self { text, marks }
    }

    /// The place of the character at, or around, this byte; the end of the text for anything beyond it.
    pub(super) fn at(&self, byte: usize) -> Place {
        let after = self.marks.partition_point(|(at, _)| *at <= byte);
        let (start, mut place) = self.marks[after.saturating_sub(1)];
        for (at, c) in self.text[start..].char_indices() {
            if start + at + c.len_utf8() > byte {
                break;
            }
            advance(&mut place, c);
        }
        place
    }
}

fn advance(place: &mut Place, c: char) {
    if c == '\n' {
        *place = Place { line: place.line + 1, column: 1 };
    } else {
        place.column += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters() {
        let text = "\u{feff}<é>\r\n  ü&amp;\nz";
        let places = Places::new(text);
        for (needle, line, column) in
            [("<", 1, 1), ("é", 1, 2), (">", 1, 3), ("ü", 2, 3), ("&", 2, 4), ("z", 3, 1)]
        {
            let byte = text.find(needle).unwrap();
            assert_eq!(places.at(byte), Place { line, column }, "{needle}");
        }
        assert_eq!(places.at(0), Place { line: 1, column: 1 });
        assert_eq!(places.at(usize::MAX), Place { line: 3, column: 2 });
    }

    #[test]
    fn a_long_line_is_counted_across_marks() {
        let text = "é".repeat(5000) + "\n" + &"x".repeat(5000);
        let places = Places::new(&text);
        for n in [0, 1, 511, 512, 513, 1023, 1024, 4999] {
            assert_eq!(places.at(n * 2), Place { line: 1, column: n + 1 });
            assert_eq!(places.at(10_001 + n), Place { line: 2, column: n + 1 });
        }
    }
}
