//! What may be shown where: colour and width.

use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};

use crate::config::Environment;

/// The value of `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    /// Colour on a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Colour always.
    Always,
    /// No colour.
    Never,
}

/// Whether a stream shows colour, and how wide it is. Colour never carries meaning alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminal {
    colour: bool,
    width: Option<usize>,
}

impl Terminal {
    /// Decides for standard output.
    pub fn stdout(choice: ColorChoice, environment: &Environment) -> Self {
        let stream = std::io::stdout();
        let width = terminal_size::terminal_size_of(&stream).map(|(width, _)| usize::from(width.0));
        Self { colour: colour(choice, environment, stream.is_terminal()), width }
    }

    /// Decides for standard error.
    pub fn stderr(choice: ColorChoice, environment: &Environment) -> Self {
        let stream = std::io::stderr();
        let width = terminal_size::terminal_size_of(&stream).map(|(width, _)| usize::from(width.0));
        Self { colour: colour(choice, environment, stream.is_terminal()), width }
    }

    /// Without colour and of a given width; `None` is a file or pipe, which has none.
    pub fn plain(width: Option<usize>) -> Self {
        Self { colour: false, width }
    }

    /// Whether colour is shown.
    pub fn has_colour(&self) -> bool {
        self.colour
    }

    /// The width in columns; `None` where lines may be as long as they are.
    pub fn width(&self) -> Option<usize> {
        self.width
    }

    /// What is wrong.
    pub fn bad(&self, text: &str) -> String {
        self.styled(text, AnsiColor::Red.on_default().bold())
    }

    /// What is right.
    pub fn good(&self, text: &str) -> String {
        self.styled(text, AnsiColor::Green.on_default())
    }

    /// What somebody should look at.
    pub fn notable(&self, text: &str) -> String {
        self.styled(text, AnsiColor::Yellow.on_default())
    }

    /// A heading.
    pub fn heading(&self, text: &str) -> String {
        self.styled(text, Style::new().bold())
    }

    /// What matters less.
    pub fn faint(&self, text: &str) -> String {
        self.styled(text, Style::new().dimmed())
    }

    /// Lines broken between words, so that none is wider than the terminal. What goes on is indented by `hang` columns
    /// more than its line. What people copy is left whole: a URL, a command between backticks.
    pub fn wrapped(&self, text: &str, hang: usize) -> String {
        /// Narrower columns of words are harder to read than lines that the terminal breaks.
        const NARROWEST: usize = 20;
        let Some(width) = self.width.filter(|width| *width >= hang + NARROWEST) else {
            return text.to_owned();
        };
        let mut shown = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
            let own = line.len() - line.trim_start_matches(' ').len();
            let mut column = 0;
            for (place, word) in words(line).enumerate() {
                let wide = columns(word);
                if place > 0 && column + 1 + wide > width && column > own + hang {
                    shown.push('\n');
                    shown.extend(std::iter::repeat_n(' ', own + hang));
                    column = own + hang;
                } else if place > 0 {
                    shown.push(' ');
                    column += 1;
                }
                shown.push_str(word);
                column += wide;
            }
            shown.push_str(end);
        }
        shown
    }

    fn styled(&self, text: &str, style: Style) -> String {
        if self.colour { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}

/// What a line is broken between: words, and what stands between backticks as one of them.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    line.split(move |c| {
        quoted ^= c == '`';
        c == ' ' && !quoted
    })
}

/// Columns of a text that may hold colours.
fn columns(text: &str) -> usize {
    let mut count = 0;
    let mut inside = false;
    for c in text.chars() {
        match c {
            '\u{1b}' => inside = true,
            'm' if inside => inside = false,
            _ if inside => {}
            _ => count += 1,
        }
    }
    count
}

/// A text from outside without what would steer a terminal: control characters are shown escaped, line ends stay.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

fn colour(choice: ColorChoice, environment: &Environment, is_terminal: bool) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => {
            let set = |name| environment.get(name).is_some_and(|value| !value.is_empty());
            is_terminal && !set("NO_COLOR") && environment.get("TERM") != Some("dumb")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped() {
        assert_eq!(printable("CN=\u{1b}[31mred\r\nü"), "CN=\\u{1b}[31mred\\r\nü");
    }

    #[test]
    fn lines_are_broken_between_words() {
        let narrow = Terminal::plain(Some(24));
        assert_eq!(narrow.wrapped("short\n", 2), "short\n");
        assert_eq!(
            narrow.wrapped("  one two three four five six seven\n\nend\n", 2),
            "  one two three four\n    five six seven\n\nend\n"
        );
        let url = "https://shop-kv.vault.azure.cn/secrets/contoso-root";
        assert_eq!(narrow.wrapped(&format!("at {url} now"), 1), format!("at\n {url}\n now"));
        assert_eq!(narrow.wrapped(url, 4), url, "a first word has nothing to be broken from");
        assert_eq!(Terminal::plain(None).wrapped("one two three four five six seven", 2).lines().count(), 1);
        assert_eq!(
            Terminal::plain(Some(5)).wrapped("one two three", 2).lines().count(),
            1,
            "too narrow for words"
        );
        assert_eq!(
            narrow.wrapped("grant it by `az role assignment create --role Reader`, then wait", 2),
            "grant it by\n  `az role assignment create --role Reader`,\n  then wait"
        );
        let coloured = Terminal { colour: true, width: Some(24) };
        let text = format!("{} two three four six", coloured.bad("one"));
        assert_eq!(coloured.wrapped(&text, 2), text, "colours take no columns");
    }

    #[test]
    fn colour_is_for_terminals_and_can_be_refused() {
        let none = Environment::default();
        let refused = Environment::from([("NO_COLOR", "1")]);
        let empty = Environment::from([("NO_COLOR", "")]);
        assert!(colour(ColorChoice::Auto, &none, true));
        assert!(colour(ColorChoice::Auto, &empty, true));
        assert!(!colour(ColorChoice::Auto, &none, false));
        assert!(!colour(ColorChoice::Auto, &refused, true));
        assert!(colour(ColorChoice::Always, &refused, false));
        assert!(!colour(ColorChoice::Never, &none, true));
        assert_eq!(Terminal::plain(None).bad("x"), "x");
    }
}
