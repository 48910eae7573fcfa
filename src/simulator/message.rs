//! A request and a reply as plain values: what the parts of the simulated Azure exchange with its HTTP layer, and
//! what the [ledger](crate::ledger) records.

use serde_json::Value;
use url::Url;

/// One request as it arrived, whole.
#[derive(Clone, Debug)]
pub struct Request {
    /// Upper-case method.
    pub method: String,
    /// Absolute URL with the host that the client asked for, such as `https://shop-kv.vault.azure.cn/certificates`.
    pub url: Url,
    /// Header names in lower case, in order of arrival.
    pub headers: Vec<(String, String)>,
    /// The body, empty where there was none.
    pub body: Vec<u8>,
}

impl Request {
    /// The first value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a query parameter, compared without case as Azure does.
    pub fn query(&self, name: &str) -> Option<String> {
        self.url
            .query_pairs()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.into_owned())
    }

    /// The body as JSON, if it is that.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The path's segments, percent-decoded by the URL's own rules, empty ones left out.
    pub fn segments(&self) -> Vec<String> {
        self.url.path().split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }
}

/// One reply. Bodies of Azure are JSON or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header names in lower case. `content-type` and `content-length` are added by the HTTP layer.
    pub headers: Vec<(String, String)>,
    /// JSON body; `None` sends no body.
    pub body: Option<Value>,
}

impl Reply {
    /// A reply with a JSON body.
    pub fn json(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Some(body) }
    }

    /// A reply without a body.
    pub fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None }
    }

    /// Azure's error envelope: `{"error":{"code","message"}}`.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, serde_json::json!({ "error": { "code": code, "message": message } }))
    }

    /// The same reply with one header more.
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}
