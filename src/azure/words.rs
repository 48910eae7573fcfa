//! Text from outside made fit for a message: one line, a bounded length, nothing that looks like a credential.

/// Longest piece of a service's message that is repeated, in characters. Resource Manager's longest useful message
/// (thumbprints that have no certificate) names two or three thumbprints in this space.
const LONGEST: usize = 600;
/// A word at least this long without a space, and of the letters of base64, is no prose.
const LONGEST_WORD: usize = 120;

/// One line of printable text, cut, with anything in the form of a token or signature left out.
pub(crate) fn printable(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        if is_credential(word) {
            line.push_str("(left out)");
        } else {
            line.extend(word.chars().filter(|c| !is_invisible(*c)));
        }
        if line.chars().count() > LONGEST {
            return line.chars().take(LONGEST).chain(std::iter::once('…')).collect();
        }
    }
    line
}

/// Tokens (`eyJ…`), signatures in URLs (`sig=`), secrets in forms, and long runs of base64.
fn is_credential(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let run = word
        .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '_' | '=')))
        .map(str::len)
        .max()
        .unwrap_or(0);
    (word.contains("eyJ") && word.len() > 40)
        || lower.contains("sig=")
        || lower.contains("client_secret=")
        || lower.contains("client_assertion=")
        || run >= LONGEST_WORD
}

/// Marks that change how the rest of a line is shown.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// An error with its sources, as one printable line. A source whose text its parent already repeats is left out.
pub(crate) fn chain(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut source = fault.source();
    while let Some(inner) = source {
        let shown = inner.to_string();
        if !text.contains(&shown) {
            text.push_str(": ");
            text.push_str(&shown);
        }
        source = inner.source();
    }
    printable(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_and_line_ends_are_left_out() {
        let token = format!("eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.{}", "a".repeat(60));
        let shown = printable(&format!("bad\r\ntoken {token}\u{202e} at https://x/?sv=1&sig=abc end"));
        assert_eq!(shown, "bad token (left out) at (left out) end");
        assert_eq!(printable(&"k".repeat(500)), "(left out)");
        assert!(printable(&"word ".repeat(500)).chars().count() <= LONGEST + 1);
    }
}
