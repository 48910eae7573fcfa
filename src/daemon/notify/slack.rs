//! A notice as Slack's blocks, with a text beside them for notifications.

use certroll_core::notice::{Notice, Severity};
use serde_json::{Value, json};

/// Longest header that Slack takes, in characters.
const HEADER: usize = 150;
/// Longest text of a section that Slack takes, in characters. Escaping makes a text longer.
const SECTION: usize = 3000;
/// Fields that Slack takes in a section.
const FIELDS: usize = 10;
/// Longest field that Slack takes, in characters.
const FIELD: usize = 2000;

/// The body of the request.
pub(super) fn body(notice: &Notice) -> Value {
    let title = format!("{} {}", mark(notice.severity), notice.title);
    let mut blocks = vec![json!({
        "type": "header",
        "text": { "type": "plain_text", "text": cut(&title, HEADER), "emoji": true },
    })];
    if !notice.text.is_empty() {
        blocks.push(json!({
            "type": "section",
            "text": { "type": "mrkdwn", "text": cut(&escaped(&notice.text), SECTION) },
        }));
    }
    for facts in notice.facts.chunks(FIELDS) {
        let fields: Vec<Value> = facts
            .iter()
            .map(|fact| {
                let text = format!("*{}*\n{}", escaped(&fact.label), escaped(&fact.value));
                json!({ "type": "mrkdwn", "text": cut(&text, FIELD) })
            })
            .collect();
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    let context = format!("certroll · {} · {} · {:.0}", notice.severity, notice.kind, notice.at);
    blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": context }] }));
    json!({ "text": cut(&escaped(&title), SECTION), "blocks": blocks })
}

fn mark(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => ":information_source:",
        Severity::Warning => ":warning:",
        Severity::Critical => ":rotating_light:",
    }
}

/// The three characters that Slack gives a meaning to: without them nobody is mentioned and nothing is linked.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// At most so many characters, and no half of an escape.
fn cut(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut shown: String = text.chars().take(limit - 1).collect();
    if let Some(start) = shown.rfind('&').filter(|start| !shown[*start..].contains(';')) {
        shown.truncate(start);
    }
    shown.push('…');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_mentioned_linked_or_cut_in_half() {
        assert_eq!(escaped("<!channel> & <https://x|y>"), "&lt;!channel&gt; &amp; &lt;https://x|y&gt;");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("a&amp;&amp;b", 8), "a&amp;…");
    }
}
