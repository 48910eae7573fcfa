//! Lists that come in pages.

use std::collections::HashSet;

use certroll_core::ports::{FaultKind, PortError};
use serde_json::Value;
use url::Url;

use super::{Call, Caller, Misread, Node};

impl Caller {
    /// Reads a list to its end: `value` of each page, `nextLink` to the next. `each` reads one item, or leaves it out
    /// by `None`.
    ///
    /// `nextLink` is followed as it stands, on the host that was asked.
    ///
    /// # Errors
    /// A page cannot be read, an item is malformed, or the list has more pages or items than it may have.
    pub(crate) async fn read_pages<T>(
        &self,
        mut call: Call,
        each: impl Fn(&Node<'_>) -> Result<Option<T>, Misread>,
    ) -> Result<Vec<T>, PortError> {
        let mut found = Vec::new();
        let mut seen: HashSet<Url> = HashSet::new();
        loop {
            let page = self.read_json(&call).await?;
            let next = read_page(&page, &mut found, &each).map_err(|misread| call.malformed(&misread))?;
            if found.len() > self.limits.items {
                return Err(endless(&call, format!("the list holds more than {} items", self.limits.items)));
            }
            let Some(next) = next else { return Ok(found) };
            let next = call.follow(&next)?;
            seen.insert(std::mem::replace(&mut call.url, next));
            if seen.contains(&call.url) {
                return Err(endless(&call, "the list's next page is one that was read already".to_owned()));
            }
            if seen.len() >= self.limits.pages {
                return Err(endless(&call, format!("the list has more than {} pages", self.limits.pages)));
            }
        }
    }
}

fn read_page<T>(
    page: &Value,
    found: &mut Vec<T>,
    each: impl Fn(&Node<'_>) -> Result<Option<T>, Misread>,
) -> Result<Option<String>, Misread> {
    let root = Node::root(page);
    // Key Vault writes `"value": null` for an empty list.
    match (root.member("value"), root.value().is_object()) {
        (Some(items), _) => {
            for item in items.items()? {
                found.extend(each(&item)?);
            }
        }
        (None, true) if root.value().get("value").is_some() => {}
        (None, _) => {
            root.required("value", "a list")?;
        }
    }
    Ok(root.text_of("nextLink")?.filter(|link| !link.is_empty()).map(ToOwned::to_owned))
}

fn endless(call: &Call, message: String) -> PortError {
    PortError::Permanent(call.fault(FaultKind::Malformed, message))
}
