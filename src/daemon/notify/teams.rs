//! A notice as an Adaptive Card, for a workflow of Teams that starts "when a Teams webhook request is received".

use certroll_core::notice::{Notice, Severity};
use serde_json::{Value, json};

/// Largest body, in bytes: Teams takes 28 KB with what it puts around the card.
const LIMIT: usize = 26 * 1024;

/// The body of the request. A notice is a third of what Teams takes; one whose letters take many bytes loses facts.
pub(super) fn body(notice: &Notice) -> Value {
    let mut facts = notice.facts.len();
    loop {
        let body = with_facts(notice, facts);
        if facts == 0 || body.to_string().len() <= LIMIT {
            return body;
        }
        facts -= 1;
    }
}

fn with_facts(notice: &Notice, most: usize) -> Value {
    let colour = match notice.severity {
        Severity::Info => "good",
        Severity::Warning => "warning",
        Severity::Critical => "attention",
    };
    let mut elements = vec![json!({
        "type": "TextBlock",
        "text": plain(&notice.title),
        "size": "medium",
        "weight": "bolder",
        "color": colour,
        "wrap": true,
    })];
    elements.extend(
        notice.text.lines().map(|line| json!({ "type": "TextBlock", "text": plain(line), "wrap": true })),
    );
    if most > 0 {
        let facts: Vec<Value> = notice
            .facts
            .iter()
            .take(most)
            .map(|fact| json!({ "title": plain(&fact.label), "value": plain(&fact.value) }))
            .collect();
        elements.push(json!({ "type": "FactSet", "facts": facts }));
    }
    elements.push(json!({
        "type": "TextBlock",
        "text": format!("certroll · {} · {} · {:.0}", notice.severity, plain(notice.kind.word()), notice.at),
        "size": "small",
        "isSubtle": true,
        "wrap": true,
    }));
    json!({
        "type": "message",
        "summary": notice.title,
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": { "width": "Full" },
                "body": elements,
            },
        }],
    })
}

/// Cards read a part of Markdown: what would become a link, a list or emphasis is shown as it is written.
fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '[' | ']' | '*' | '_' | '#') {
            shown.push('\\');
        }
        shown.push(c);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_a_link_or_emphasis() {
        assert_eq!(plain("[a](https://x) *b* c_d"), "\\[a\\](https://x) \\*b\\* c\\_d");
    }
}
