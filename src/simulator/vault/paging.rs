//! Lists: 25 objects a page, and a link to the next one that clients follow without looking into it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::refusal::bad_parameter;
use super::{LastPage, Vault};
use crate::message::{Reply, Request};

/// Default and maximum of `maxresults`.
const PAGE: usize = 25;

/// What a client asks of a list.
pub(super) struct Window {
    size: usize,
    /// Key of the last entry of the page before.
    pub(super) after: Option<String>,
}

impl Window {
    /// Reads `maxresults` and `$skiptoken`.
    pub(super) fn parse(request: &Request) -> Result<Self, Reply> {
        let size = match request.query("maxresults") {
            None => PAGE,
            Some(text) => text.parse().ok().filter(|size| (1..=PAGE).contains(size)).ok_or_else(|| {
                bad_parameter("The value of maxresults is invalid. It must be between 1 and 25.")
            })?,
        };
        let after = match request.query("$skiptoken") {
            None => None,
            Some(token) => {
                Some(marker(&token).ok_or_else(|| bad_parameter("The value of $skiptoken is invalid."))?)
            }
        };
        Ok(Self { size, after })
    }
}

impl Vault {
    /// A page of entries, each with its key, beginning behind the window's marker. Only as many are taken as the page
    /// needs.
    pub(super) fn page(
        &self,
        request: &Request,
        window: &Window,
        entries: impl Iterator<Item = (String, Value)>,
    ) -> Reply {
        let mut entries = entries.peekable();
        let mut values = Vec::new();
        let mut last = String::new();
        while values.len() < window.size
            && let Some((key, value)) = entries.next()
        {
            values.push(value);
            last = key;
        }
        let mut body = Map::new();
        body.insert("value".to_owned(), Value::Array(values));
        let next = if entries.peek().is_some() {
            Some(json!(self.next_link(request, window.size, &last)))
        } else {
            match self.behaviour.last_page {
                LastPage::Null => Some(Value::Null),
                LastPage::Absent => None,
                LastPage::Empty => Some(json!("")),
            }
        };
        if let Some(next) = next {
            body.insert("nextLink".to_owned(), next);
        }
        Reply::json(200, Value::Object(body))
    }

    fn next_link(&self, request: &Request, size: usize, last: &str) -> String {
        let token = URL_SAFE_NO_PAD.encode(json!({ "NextMarker": last, "TargetLocation": 0 }).to_string());
        format!(
            "https://{}:443{}?api-version={}&$skiptoken={token}&maxresults={size}",
            self.host(),
            request.url.path(),
            request.query("api-version").unwrap_or_default()
        )
    }
}

fn marker(token: &str) -> Option<String> {
    let json: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    json["NextMarker"].as_str().map(str::to_owned)
}
