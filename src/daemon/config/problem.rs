//! What is wrong with a configuration: every problem with its place, what was found and what is expected.

use std::fmt;

use serde::Serialize;

use super::place::Place;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is used; somebody should look.
    Warning,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is written.
    #[serde(flatten)]
    pub place: Place,
    /// The path of the key, such as `service[0].probe.endpoints[1]`; empty where a whole file is meant.
    pub key: String,
    /// What is wrong and what was found, as a lower-case fragment.
    pub message: String,
    /// What would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// A way out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Problem {
    pub(crate) fn error(place: Place, key: impl Into<String>, message: impl Into<String>) -> Self {
        let (key, message) = (key.into(), message.into());
        Self { severity: Severity::Error, place, key, message, expected: None, hint: None }
    }

    /// Place, key and message on one line.
    pub fn headline(&self) -> String {
        let key = if self.key.is_empty() { String::new() } else { format!("`{}`: ", self.key) };
        let hint = self.hint.as_ref().map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
        format!("{}: {key}{}{hint}", self.place, self.message)
    }

    /// Says what would be right.
    pub(crate) fn expect(&mut self, expected: impl Into<String>) -> &mut Self {
        self.expected = Some(expected.into());
        self
    }

    /// Shows a way out.
    pub(crate) fn hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place)?;
        if !self.key.is_empty() {
            write!(f, ": `{}`", self.key)?;
        }
        if self.severity == Severity::Warning {
            f.write_str(" (warning)")?;
        }
        write!(f, "\n    {}", self.message)?;
        if let Some(expected) = &self.expected {
            write!(f, "\n    expected {expected}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n    hint: {hint}")?;
        }
        Ok(())
    }
}

/// Why there are no settings: everything that is wrong, in the order of the files.
#[derive(Clone, Debug)]
pub struct ConfigError {
    /// The problems; at least one is an error.
    pub problems: Vec<Problem>,
}

/// Most problems that the message shows: more are one mistake many times over, or a file of another program.
const SHOWN: usize = 100;

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = self.problems.iter().filter(|problem| problem.severity == Severity::Error).count();
        match errors {
            1 => f.write_str("the configuration has 1 error")?,
            count => write!(f, "the configuration has {count} errors")?,
        }
        for problem in self.problems.iter().take(SHOWN) {
            write!(f, "\n  {problem}")?;
        }
        match self.problems.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// The candidate that a misspelt word most likely means.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters may differ: `shedule` finds `schedule`, `foo` finds nothing.
    let allowed = word.chars().count().div_ceil(3);
    let word = word.to_lowercase().replace('-', "_");
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Words in backticks: "`a`, `b` or `c`".
pub(crate) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
