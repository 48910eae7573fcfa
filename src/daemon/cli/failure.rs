//! Errors that are expected: each with an exit code, its causes, and a way out where there is one.

use std::error::Error;
use std::fmt::Write;

use certroll_core::ports::{JournalError, JournalFault};

use super::exit::Exit;
use super::terminal::{Terminal, printable};

/// Why a command ends without having done its work. A bug is a panic, not one of these.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened, with its causes as sources.
    pub error: Box<dyn Error + Send + Sync>,
    /// What a person can do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure from an error, or from a text.
    pub fn new(exit: Exit, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { exit, error: error.into(), hint: None }
    }

    /// Adds a way out.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The whole message as standard error shows it.
    pub fn render(&self, terminal: &Terminal) -> String {
        let error = terminal.bad("error:");
        let mut said = printable(&self.error.to_string());
        let mut shown = format!("{error} {said}\n");
        let mut cause = self.error.source();
        while let Some(error) = cause {
            let text = printable(&error.to_string());
            // Some errors repeat their source: what stands above is not said again.
            if !said.contains(&text) {
                // Infallible: it writes to a string.
                let _ = writeln!(shown, "  caused by: {text}");
            }
            said = text;
            cause = error.source();
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(shown, "{} {}", terminal.notable("hint:"), printable(hint));
        }
        terminal.wrapped(&shown, 2)
    }
}

/// The journal cannot be used.
impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        let exit = match error.kind {
            JournalFault::Held => Exit::TempFail,
            JournalFault::Denied => Exit::NoPerm,
            JournalFault::Absent => Exit::NoInput,
            JournalFault::Corrupt | JournalFault::Newer => Exit::DataErr,
            JournalFault::Full | JournalFault::ReadOnly | JournalFault::Failed => Exit::IoErr,
        };
        let hint = error.hint.clone();
        Self { hint, ..Self::new(exit, error) }
    }
}

/// An error of reading or writing data.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Exit::IoErr, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{what}")]
    struct Link {
        what: &'static str,
        source: Option<Box<Link>>,
    }

    fn chain(texts: &[&'static str]) -> Link {
        let (what, rest) = texts.split_first().unwrap();
        Link { what, source: (!rest.is_empty()).then(|| Box::new(chain(rest))) }
    }

    #[test]
    fn causes_follow_and_are_not_repeated() {
        let failure =
            Failure::new(Exit::IoErr, chain(&["cannot plan", "cannot read: no key", "no key", "locked"]));
        assert_eq!(
            failure.hint("unlock it").render(&Terminal::plain(None)),
            "error: cannot plan\n  caused by: cannot read: no key\n  caused by: locked\nhint: unlock it\n"
        );
    }
}
