//! Errors as Entra words them. Clients may go by `error`, `error_codes` and the status; the text is for people.
//! For rarer faults the pairing of status and code follows reports, not documents.

use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::message::Reply;

/// Why the token endpoint gave no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    status: u16,
    error: &'static str,
    code: u32,
    text: String,
}

impl Refusal {
    /// The request itself is wrong.
    pub(super) fn request(error: &'static str, code: u32, text: impl Into<String>) -> Self {
        Self { status: 400, error, code, text: text.into() }
    }

    /// The client did not prove who it is.
    pub(super) fn client(code: u32, text: impl Into<String>) -> Self {
        Self { status: 401, error: "invalid_client", code, text: text.into() }
    }

    /// A form field is missing.
    pub(super) fn missing(field: &str) -> Self {
        let text = format!("The request body must contain the following parameter: '{field}'.");
        Self::request("invalid_request", 900_144, text)
    }

    /// Error and text, for endpoints with another envelope.
    pub(super) fn into_parts(self) -> (&'static str, String) {
        let text = format!("AADSTS{}: {}", self.code, self.text);
        (self.error, text)
    }

    /// The token endpoint's answer.
    pub(super) fn reply(self, login_host: &str, now: Timestamp) -> Reply {
        let (trace, correlation) = (Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
        let timestamp = now.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let Self { status, error, code, text } = self;
        Reply::json(
            status,
            json!({
                "error": error,
                "error_description": format!(
                    "AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}"
                ),
                "error_codes": [code],
                "timestamp": timestamp,
                "trace_id": trace,
                "correlation_id": correlation,
                "error_uri": format!("https://{login_host}/error?code={code}"),
            }),
        )
    }
}
