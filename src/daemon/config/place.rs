//! Where a setting was written. All texts of a configuration share one range of offsets, so that a span alone says
//! which text it lies in.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Start and end of a piece of text, counted over all texts of the configuration.
pub(crate) type Span = Range<usize>;

/// What a text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The embedded `config/certroll.toml`.
    Defaults,
    /// A file.
    File(PathBuf),
    /// A variable of the environment, by its name.
    Environment(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => f.write_str("built-in defaults"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A place that a person can go to. Lines and columns count from 1; columns count characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The text.
    #[serde(rename = "file")]
    pub origin: Origin,
    /// The line; `None` where the text has no lines to count, or the fault is the whole file's.
    pub line: Option<usize>,
    /// The column.
    pub column: Option<usize>,
}

impl Place {
    /// A whole file.
    pub(crate) fn file(path: &Path) -> Self {
        Self { origin: Origin::File(path.to_owned()), line: None, column: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.origin)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        Ok(())
    }
}

/// The texts that a configuration was read from.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    texts: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    origin: Origin,
    text: String,
    base: usize,
    /// Where each line begins, so that many problems of a large file are placed quickly.
    lines: Vec<usize>,
}

impl Sources {
    /// Adds a text.
    pub(crate) fn add(&mut self, origin: Origin, text: String) {
        // One offset lies between two texts, so that a span at the very end of one is not the start of the next.
        let base = self.texts.last().map_or(0, |last| last.base + last.text.len() + 1);
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        self.texts.push(Source { origin, text, base, lines });
    }

    /// Every text with its origin and the offset that its spans are moved by.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&Origin, &str, usize)> {
        self.texts.iter().map(|source| (&source.origin, source.text.as_str(), source.base))
    }

    fn source(&self, offset: usize) -> Option<&Source> {
        self.texts.iter().rev().find(|source| source.base <= offset)
    }

    /// What the text of a span is.
    pub(crate) fn origin(&self, span: &Span) -> Origin {
        self.source(span.start).map_or(Origin::Defaults, |source| source.origin.clone())
    }

    /// Where a span begins.
    pub(crate) fn place(&self, span: &Span) -> Place {
        let Some(source) = self.source(span.start) else {
            return Place { origin: Origin::Defaults, line: None, column: None };
        };
        if let Origin::Environment(_) = source.origin {
            return Place { origin: source.origin.clone(), line: None, column: None };
        }
        let offset = span.start - source.base;
        let line = source.lines.partition_point(|start| *start <= offset).max(1);
        let before = source.text.get(source.lines[line - 1]..offset).unwrap_or_default();
        Place { origin: source.origin.clone(), line: Some(line), column: Some(before.chars().count() + 1) }
    }

    /// The text of a span.
    pub(crate) fn text(&self, span: &Span) -> &str {
        self.source(span.start)
            .and_then(|source| source.text.get(span.start - source.base..span.end - source.base))
            .unwrap_or_default()
    }

    /// The files, in the order in which they were read.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.texts
            .iter()
            .filter_map(|source| match &source.origin {
                Origin::File(path) => Some(path.clone()),
                Origin::Defaults | Origin::Environment(_) => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_several_texts_are_told_apart() {
        let mut sources = Sources::default();
        sources.add(Origin::Defaults, "a = 1\n".to_owned());
        sources.add(Origin::File("b.toml".into()), "# ü\nüb = 2\n".to_owned());
        let base = sources.texts().last().unwrap().2;
        let place = sources.place(&(base + 7..base + 8));
        assert_eq!(place.to_string(), "b.toml:2:2");
        assert_eq!(sources.place(&(4..5)).to_string(), "built-in defaults:1:5");
        assert_eq!(sources.text(&(base + 7..base + 12)), "b = 2");
    }
}
