//! Words of notices: one line, a bounded length, times and spans as people say them.

use jiff::Timestamp;

/// The text on one line, without control characters: what comes from outside must not lay out a message.
pub(super) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// At most so many characters.
pub(super) fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    text.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
}

/// `1 role`, `2 roles`.
pub(super) fn counted(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// A moment to the minute: `2026-11-23 16:13 UTC`.
pub(super) fn moment(at: Timestamp) -> String {
    at.strftime("%F %H:%M UTC").to_string()
}

/// What lies between two times, as people say it: days, or hours where those are few, or minutes.
pub(super) fn span(from: Timestamp, to: Timestamp) -> String {
    let minutes = (to.as_second() - from.as_second()).max(0) / 60;
    let said = |count: i64, one: &str| counted(usize::try_from(count).unwrap_or(0), one);
    match minutes {
        0..120 => said(minutes, "minute"),
        120..2880 => said(minutes / 60, "hour"),
        _ => said(minutes / (24 * 60), "day"),
    }
}

/// The first of many, and how many more: "a, b and 3 more".
pub(super) fn listed(all: &[String], shown: usize) -> String {
    match all.len().saturating_sub(shown) {
        0 => match all {
            [] => String::new(),
            [only] => only.clone(),
            [first @ .., last] => format!("{} and {last}", first.join(", ")),
        },
        more => format!("{} and {more} more", all[..shown].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_lays_out_a_message() {
        assert_eq!(one_line(" a\r\nb\u{1b}[31m\tc "), "a b [31m c");
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }

    #[test]
    fn counts_and_spans_are_said_as_people_do() {
        assert_eq!((counted(1, "role"), counted(0, "role")), ("1 role".to_owned(), "0 roles".to_owned()));
        let at = |minutes: i64| Timestamp::from_second(minutes * 60).unwrap();
        for (minutes, said) in [
            (-5, "0 minutes"),
            (1, "1 minute"),
            (119, "119 minutes"),
            (120, "2 hours"),
            (2879, "47 hours"),
            (2880, "2 days"),
        ] {
            assert_eq!(span(at(0), at(minutes)), said);
        }
        let names: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
        assert_eq!(listed(&names, 3), "a, b and c");
        assert_eq!(listed(&names, 2), "a, b and 1 more");
        assert_eq!(listed(&names[..1], 2), "a");
    }
}
