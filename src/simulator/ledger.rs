//! Every exchange that the simulated cloud had, without what must not be written down: tokens, credentials, values of
//! secrets. What was cut or delayed is recorded too, as the service answered it, with the name of the fault.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::message::Request;

/// Kept exchanges. A long demo makes a few thousand; a test of scale with 2,000 vault objects and 300 services stays
/// below ten thousand. The oldest go first.
const MAX_EXCHANGES: usize = 100_000;
/// What stands in place of something that must not be written down.
const REDACTED: &str = "[redacted]";
/// JSON members that are secret wherever they occur. `value` is one only where it is text: the vault's secrets and
/// imports; lists of Resource Manager have an array by that name.
const SECRET_MEMBERS: [&str; 9] = [
    "access_token",
    "refresh_token",
    "id_token",
    "client_secret",
    "client_assertion",
    "pwd",
    "password",
    "protectedsettings",
    "value",
];
/// Headers that carry credentials.
const SECRET_HEADERS: [&str; 4] = ["authorization", "x-identity-header", "cookie", "set-cookie"];

/// One exchange.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Method.
    pub method: String,
    /// Absolute URL.
    pub url: String,
    /// Request headers.
    pub request_headers: Vec<(String, String)>,
    /// Request body where it is JSON, `null` where there is none, else what kind of text stood there.
    pub request_body: Value,
    /// What the service answered, whether or not the answer arrived.
    pub status: u16,
    /// Response headers.
    pub response_headers: Vec<(String, String)>,
    /// Response body, `null` where there is none.
    pub response_body: Value,
    /// What happened to the exchange on its way, if anything did.
    pub fault: Option<String>,
}

/// The exchanges, oldest first.
#[derive(Clone, Debug)]
pub struct Ledger {
    exchanges: VecDeque<Exchange>,
    most: usize,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { exchanges: VecDeque::new(), most: MAX_EXCHANGES }
    }
}

impl Ledger {
    /// All exchanges, oldest first.
    pub fn exchanges(&self) -> impl DoubleEndedIterator<Item = &Exchange> {
        self.exchanges.iter()
    }

    /// How many exchanges there are.
    pub fn len(&self) -> usize {
        self.exchanges.len()
    }

    /// Whether nothing was exchanged.
    pub fn is_empty(&self) -> bool {
        self.exchanges.is_empty()
    }

    /// Forgets everything, for a test that counts from here.
    pub fn clear(&mut self) {
        self.exchanges.clear();
    }

    /// Keeps at most so many exchanges from now on. With none, bodies are not even copied: for a test that runs through
    /// months and counts by itself.
    pub fn keep(&mut self, most: usize) {
        self.most = most;
        let surplus = self.exchanges.len().saturating_sub(most);
        self.exchanges.drain(..surplus);
    }

    /// How many exchanges had this method and a path that `matches`.
    pub fn count(&self, method: &str, matches: impl Fn(&str) -> bool) -> usize {
        self.exchanges.iter().filter(|one| one.method == method && matches(one.path())).count()
    }

    /// The PUTs of a cloud service's model, by the service's name.
    pub fn puts_of(&self, service: &str) -> Vec<&Exchange> {
        let end = format!("/providers/microsoft.compute/cloudservices/{}", service.to_ascii_lowercase());
        self.exchanges
            .iter()
            .filter(|one| one.method == "PUT" && one.path().to_ascii_lowercase().ends_with(&end))
            .collect()
    }

    /// One JSON object a line.
    pub fn to_ndjson(&self) -> String {
        self.exchanges.iter().map(|one| format!("{}\n", one.to_json())).collect()
    }

    /// Writes the exchanges to a file, one JSON object a line.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = io::BufWriter::new(std::fs::File::create(path)?);
        for exchange in &self.exchanges {
            writeln!(file, "{}", exchange.to_json())?;
        }
        file.flush()
    }

    pub(crate) fn record(
        &mut self,
        request: &Request,
        status: u16,
        headers: &[(String, String)],
        body: Option<&Value>,
        fault: Option<String>,
    ) {
        if self.most == 0 {
            return;
        }
        if self.exchanges.len() == self.most {
            self.exchanges.pop_front();
        }
        self.exchanges.push_back(Exchange {
            method: request.method.clone(),
            url: request.url.to_string(),
            request_headers: safe_headers(&request.headers),
            request_body: request_body(request),
            status,
            response_headers: safe_headers(headers),
            response_body: body.map_or(Value::Null, |body| without_secrets(body.clone())),
            fault,
        });
    }
}

impl Exchange {
    /// The URL's path.
    pub fn path(&self) -> &str {
        let after_scheme = self.url.find("://").map_or(0, |at| at + 3);
        let rest = &self.url[after_scheme..];
        let path = rest.find('/').map_or("", |at| &rest[at..]);
        path.split(['?', '#']).next().unwrap_or("")
    }

    /// The URL's host.
    pub fn host(&self) -> &str {
        let rest = self.url.split("://").nth(1).unwrap_or("");
        rest.split(['/', ':', '?']).next().unwrap_or("")
    }

    /// The exchange as one JSON object.
    pub fn to_json(&self) -> Value {
        let mut line = json!({
            "method": self.method,
            "url": self.url,
            "request_headers": object(&self.request_headers),
            "request_body": self.request_body,
            "status": self.status,
            "response_headers": object(&self.response_headers),
            "response_body": self.response_body,
        });
        if let Some(fault) = &self.fault {
            line["fault"] = json!(fault);
        }
        line
    }
}

fn object(headers: &[(String, String)]) -> Value {
    let members: Map<String, Value> =
        headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    Value::Object(members)
}

fn safe_headers(headers: &[(String, String)]) -> Vec<(String, String)> {
    let safe = |(name, value): &(String, String)| {
        let secret = SECRET_HEADERS.contains(&name.to_ascii_lowercase().as_str());
        (name.clone(), if secret { REDACTED.to_owned() } else { value.clone() })
    };
    headers.iter().map(safe).collect()
}

fn request_body(request: &Request) -> Value {
    if request.body.is_empty() {
        return Value::Null;
    }
    match request.json() {
        Some(body) => without_secrets(body),
        // Token requests are forms, and a form holds the credential.
        None => json!(format!("{REDACTED}: {} bytes that are not JSON", request.body.len())),
    }
}

fn without_secrets(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let secret = SECRET_MEMBERS.contains(&name.to_ascii_lowercase().as_str());
                    let value = match value {
                        Value::String(_) if secret => json!(REDACTED),
                        other => without_secrets(other),
                    };
                    (name, value)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_secrets).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_kept() {
        let mut ledger = Ledger::default();
        let mut request = Request {
            method: "POST".to_owned(),
            url: "https://login.chinacloudapi.cn/t/oauth2/v2.0/token".parse().unwrap(),
            headers: vec![("authorization".to_owned(), "Bearer sesame".to_owned())],
            body: b"client_secret=sesame".to_vec(),
        };
        ledger.record(&request, 200, &[], Some(&json!({ "access_token": "sesame" })), None);
        request.body = br#"{"value":"sesame","pwd":"sesame"}"#.to_vec();
        ledger.record(&request, 200, &[], Some(&json!({ "value": [{ "value": "sesame" }] })), None);
        let text = ledger.to_ndjson();
        assert!(!text.contains("sesame"), "{text}");
        assert_eq!(text.lines().count(), 2);
        assert_eq!(ledger.count("POST", |path| path == "/t/oauth2/v2.0/token"), 2);
        assert_eq!(ledger.exchanges().next().unwrap().host(), "login.chinacloudapi.cn");
    }

    #[test]
    fn only_the_latest_are_kept() {
        let mut ledger = Ledger::default();
        let request = |path: &str, ledger: &mut Ledger| {
            let request = Request {
                method: "GET".to_owned(),
                url: format!("https://management.chinacloudapi.cn{path}").parse().unwrap(),
                headers: Vec::new(),
                body: Vec::new(),
            };
            ledger.record(&request, 200, &[], None, None);
        };
        let paths = |ledger: &Ledger| ledger.exchanges().map(|one| one.path().to_owned()).collect::<Vec<_>>();
        for path in ["/a", "/b", "/c"] {
            request(path, &mut ledger);
        }
        ledger.keep(2);
        assert_eq!(paths(&ledger), ["/b", "/c"]);
        request("/d", &mut ledger);
        assert_eq!(paths(&ledger), ["/c", "/d"]);
        ledger.keep(0);
        request("/e", &mut ledger);
        assert!(ledger.is_empty());
    }
}
