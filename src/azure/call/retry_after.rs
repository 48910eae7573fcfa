//! How long a service asks to wait. Three headers and two forms are in use.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use crate::transport::Answer;

/// `x-ms-retry-after-ms`, `retry-after-ms` (milliseconds) or `Retry-After` (seconds or a date), unclamped.
pub(crate) fn retry_after(answer: &Answer, now: Timestamp) -> Option<Duration> {
    for name in ["x-ms-retry-after-ms", "retry-after-ms"] {
        if let Some(milliseconds) = answer.header(name).and_then(|text| text.trim().parse().ok()) {
            return Some(Duration::from_millis(milliseconds));
        }
    }
    let text = answer.header("retry-after")?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

    #[test]
    fn every_form_is_read() {
        let now: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
        for (name, value, expected) in [
            ("retry-after", "7", Some(7_000)),
            ("retry-after", " 600 ", Some(600_000)),
            ("retry-after", "Mon, 23 Nov 2026 08:00:30 GMT", Some(30_000)),
            ("retry-after", "Mon, 23 Nov 2026 07:00:00 GMT", Some(0)),
            ("retry-after-ms", "1500", Some(1_500)),
            ("x-ms-retry-after-ms", "250", Some(250)),
            ("retry-after", "soon", None),
            ("retry-after", "-1", None),
            ("other", "7", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            let answer = Answer { status: 429, headers, body: Default::default() };
            let found = retry_after(&answer, now).map(|wait| wait.as_millis());
            assert_eq!(found, expected, "{name}: {value}");
        }
    }
}
