//! How the story is told: the one place of the demo that prints.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use certroll::cli::elapsed::elapsed;
use certroll::cli::terminal::{Terminal, printable};

use crate::verdict::Chapter;

/// Widest line of the story. Longer ones are hard to read.
const WIDEST: usize = 100;
/// Room for the time before each paragraph.
const MARGIN: usize = 9;

/// Tells the story.
#[derive(Clone)]
pub(crate) struct Narrator {
    terminal: Terminal,
    began: Instant,
    write: Arc<dyn Fn(&str) + Send + Sync>,
    /// Whether the last line was an empty one.
    parted: Arc<AtomicBool>,
}

impl std::fmt::Debug for Narrator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Narrator").finish_non_exhaustive()
    }
}

impl Narrator {
    /// Tells it to `write`, which shows what `terminal` can.
    pub(crate) fn new(terminal: Terminal, write: Arc<dyn Fn(&str) + Send + Sync>) -> Self {
        Self { terminal, began: Instant::now(), write, parted: Arc::default() }
    }

    /// What can be shown.
    pub(crate) fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    /// Since the story began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Text as it is.
    pub(crate) fn verbatim(&self, text: &str) {
        self.parted.store(text.ends_with("\n\n"), Ordering::Relaxed);
        (self.write)(text);
    }

    /// Text after an empty line.
    fn apart(&self, text: &str) {
        if !self.parted.load(Ordering::Relaxed) {
            (self.write)("\n");
        }
        self.verbatim(text);
    }

    /// A heading.
    pub(crate) fn heading(&self, title: &str) {
        self.apart(&format!("{}\n\n", self.terminal.heading(title)));
    }

    /// A paragraph, with the time since the beginning.
    pub(crate) fn say(&self, text: &str) {
        let time = format!("{:>7}", elapsed(self.elapsed()));
        let mut shown = format!("{}  ", self.terminal.faint(&time));
        for (number, line) in wrapped(text, self.width().saturating_sub(MARGIN)).iter().enumerate() {
            if number > 0 {
                shown.push_str(&" ".repeat(MARGIN));
            }
            shown.push_str(line);
            shown.push('\n');
        }
        self.apart(&shown);
    }

    /// A command whose output follows.
    pub(crate) fn command(&self, command: &str) {
        self.apart(&format!("{}\n", self.terminal.heading(&format!("$ {command}"))));
    }

    /// What was checked, and whether it is so.
    pub(crate) fn verdict(&self, chapters: &[Chapter]) {
        for chapter in chapters {
            self.verbatim(&format!("{}\n", self.terminal.heading(chapter.title)));
            for check in &chapter.checks {
                let (mark, text) = match &check.wrong {
                    None => (self.terminal.good("   ok"), check.what.clone()),
                    Some(found) => {
                        (self.terminal.bad("WRONG"), format!("expected: {}; found: {found}", check.what))
                    }
                };
                let lines = wrapped(&printable(&text), self.width().saturating_sub(MARGIN));
                let mark = format!(" {mark}   ");
                self.verbatim(&format!("{mark}{}\n", lines.join(&format!("\n{}", " ".repeat(MARGIN)))));
            }
        }
    }

    fn width(&self) -> usize {
        self.terminal.width().unwrap_or(WIDEST).min(WIDEST)
    }
}

/// A text in lines of at most `width` characters, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrapped("one two  three\nfour", 9), ["one two", "three", "four"]);
        assert_eq!(wrapped("unbreakable-word is long", 5), ["unbreakable-word", "is", "long"]);
        assert!(wrapped("", 9).is_empty());
    }
}
