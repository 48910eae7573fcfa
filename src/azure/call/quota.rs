//! What Resource Manager says is left of its limits.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use url::Url;

use crate::transport::Answer;

/// How many calls a limit still allows, as of the last answer that told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The subscription that was asked.
    pub subscription: String,
    /// The limit's name, such as `Microsoft.Compute/GetCloudService3Min` or `subscription-reads`.
    pub limit: String,
    /// Calls left. Where an answer told several numbers for one name, the smallest.
    pub remaining: u64,
    /// When that was.
    pub at: Timestamp,
}

/// Names that are kept in all: a dozen for each subscription is usual. More than this is not from Azure.
const MOST: usize = 1_000;

type Known = BTreeMap<(String, String), (u64, Timestamp)>;

#[derive(Debug, Default)]
pub(crate) struct Quotas(Mutex<Known>);

impl Quotas {
    pub(crate) fn note(&self, url: &Url, answer: &Answer, now: Timestamp) {
        let mut segments = url.path_segments().into_iter().flatten();
        let subscription = match (segments.next(), segments.next()) {
            (Some("subscriptions"), Some(id)) => id.to_ascii_lowercase(),
            _ => return,
        };
        let told = told(answer);
        if told.is_empty() {
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (limit, remaining) in told {
            let key = (subscription.clone(), limit);
            if known.len() < MOST || known.contains_key(&key) {
                known.insert(key, (remaining, now));
            }
        }
    }

    pub(crate) fn all(&self) -> Vec<Quota> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .iter()
            .map(|((subscription, limit), (remaining, at))| Quota {
                subscription: subscription.clone(),
                limit: limit.clone(),
                remaining: *remaining,
                at: *at,
            })
            .collect()
    }
}

/// The limits that an answer names. `x-ms-ratelimit-remaining-resource` is a list `name;count,name;count` in which a
/// name may stand twice, once for each scope; the header itself may come several times.
fn told(answer: &Answer) -> BTreeMap<String, u64> {
    let mut told = BTreeMap::new();
    let mut note = |name: &str, remaining: &str| {
        let plain = (1..=128).contains(&name.len()) && name.chars().all(|c| c.is_ascii_graphic());
        if let (true, Ok(remaining)) = (plain, remaining.trim().parse::<u64>()) {
            told.entry(name.to_owned())
                .and_modify(|least: &mut u64| *least = remaining.min(*least))
                .or_insert(remaining);
        }
    };
    for (header, value) in &answer.headers {
        let Ok(value) = value.to_str() else { continue };
        match header.as_str().strip_prefix("x-ms-ratelimit-remaining-") {
            Some("resource") => {
                for entry in value.split(',') {
                    if let Some((name, remaining)) = entry.rsplit_once(';') {
                        note(name.trim(), remaining);
                    }
                }
            }
            Some(name) => note(name, value),
            None => {}
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderMap, HeaderValue};

    #[test]
    fn the_smallest_number_of_a_name_counts() {
        let mut headers = HeaderMap::new();
        headers.append(
            "x-ms-ratelimit-remaining-resource",
            HeaderValue::from_static(
                "Microsoft.Compute/GetCloudService3Min;988,Microsoft.Compute/GetCloudService30Min;4962,\
                 Microsoft.Compute/GetCloudService3Min;396, broken, also;broken",
            ),
        );
        headers.append("x-ms-ratelimit-remaining-subscription-reads", HeaderValue::from_static("11844"));
        let answer = Answer { status: 200, headers, body: Default::default() };
        let quotas = Quotas::default();
        let now = Timestamp::UNIX_EPOCH;
        let url = |text: &str| Url::parse(text).unwrap();
        quotas.note(&url("https://management.azure.com/subscriptions/0B1F/providers/x"), &answer, now);
        quotas.note(&url("https://shop-kv.vault.azure.net/secrets"), &answer, now);
        let found: Vec<(String, u64)> =
            quotas.all().into_iter().map(|quota| (quota.limit, quota.remaining)).collect();
        assert_eq!(
            found,
            [
                ("Microsoft.Compute/GetCloudService30Min".to_owned(), 4962),
                ("Microsoft.Compute/GetCloudService3Min".to_owned(), 396),
                ("subscription-reads".to_owned(), 11844),
            ]
        );
        assert_eq!(quotas.all()[0].subscription, "0b1f");
    }
}
