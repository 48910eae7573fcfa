//! Event subscriptions: what is asked for, what is refused, and how one stands.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use url::Url;

use super::delivery::Queued;
use super::event::{Event, Happened};
use super::switches::{EarlierVersions, Switches};
use crate::entra::DeliveryToken;

/// Lengths of a subscription's name.
const NAME: std::ops::RangeInclusive<usize> = 3..=64;
/// Events in a batch.
const BATCH_EVENTS: std::ops::RangeInclusive<usize> = 1..=5_000;
/// Preferred kilobytes of a batch.
const BATCH_KILOBYTES: std::ops::RangeInclusive<usize> = 1..=1_024;
/// Minutes that an event may live; the longest is the default.
const TIME_TO_LIVE: std::ops::RangeInclusive<u64> = 1..=1_440;
/// Attempts to deliver an event; the most is the default.
const ATTEMPTS: std::ops::RangeInclusive<u32> = 1..=30;
/// Custom headers of one subscription.
const MAX_HEADERS: usize = 10;
/// Bytes of a custom header's value.
const MAX_HEADER_VALUE: usize = 4_096;

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Event Grid's own: always an array.
    EventGrid,
    /// CloudEvents 1.0 in structured mode: an object, or an array where batching is on.
    CloudEvents,
}

/// How many events come at once, at most and if so many are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// `maxEventsPerBatch`, 1 to 5,000.
    pub max_events: usize,
    /// `preferredBatchSizeInKilobytes`, 1 to 1,024. A single event may be larger.
    pub preferred_kilobytes: usize,
}

/// What a subscription shall be. Only loopback is reached, whatever the endpoint's name says.
#[derive(Clone, Debug, PartialEq)]
pub struct SubscriptionRequest {
    /// Name, unique in the simulated cloud.
    pub name: String,
    /// Vault whose events are wanted.
    pub vault: String,
    /// Where they go: https, or http, which Azure would refuse. A secret may be in its query.
    pub endpoint: Url,
    /// Where the endpoint's host is found, if it is not itself an address of loopback.
    pub reached_at: Option<SocketAddr>,
    /// Types that are wanted, such as `Microsoft.KeyVault.SecretNewVersionCreated`; empty for all.
    pub event_types: Vec<String>,
    /// Schema.
    pub schema: Schema,
    /// Batching; off by default.
    pub batching: Option<Batching>,
    /// Custom headers, sent with everything.
    pub headers: Vec<(String, String)>,
    /// The token that is sent with everything: `azureActiveDirectoryTenantId` is its tenant,
    /// `azureActiveDirectoryApplicationIdOrUri` its audience.
    pub token: Option<DeliveryToken>,
    /// Minutes that an event may live.
    pub time_to_live: u64,
    /// Attempts to deliver an event.
    pub max_attempts: u32,
    /// Whether what cannot be delivered is kept.
    pub dead_lettering: DeadLettering,
}

/// What becomes of an event that cannot be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLettering {
    /// It is dropped.
    Off,
    /// It is put into a blob.
    On,
}

/// How a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provisioning {
    /// Validated: events are delivered.
    Succeeded,
    /// Waits until then for somebody to open the validation URL.
    AwaitingManualAction(Timestamp),
    /// Nobody did.
    Failed,
}

/// Why a subscription is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionRefused {
    /// No such vault in the simulated cloud.
    #[error("no vault `{0}`")]
    NoVault(String),
    /// No such tenant in the simulated cloud.
    #[error("no tenant `{0}`")]
    NoTenant(String),
    /// A setting is out of its limits.
    #[error("{setting}: expected {expected}, found `{found}`")]
    Invalid {
        /// Setting.
        setting: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// The endpoint did not answer the handshake as it must.
    #[error("the endpoint did not validate")]
    NotValidated(#[from] NotValidated),
}

/// What was wrong with the answer to a handshake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotValidated {
    /// None came.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// Only 200 is taken.
    #[error("expected status 200, found {0}")]
    Status(u16),
    /// Another code came back.
    #[error("another validation code came back")]
    WrongCode,
    /// The answer came in chunks.
    #[error("the answer has no Content-Length")]
    Chunked,
    /// `WebHook-Allowed-Origin` does not allow it.
    #[error("WebHook-Allowed-Origin: expected `*` or the origin, found {0:?}")]
    NoConsent(Option<String>),
    /// `WebHook-Allowed-Rate` is required and not a rate.
    #[error("WebHook-Allowed-Rate: expected `*` or a number above zero, found {0:?}")]
    NoRate(Option<String>),
}

/// A subscription that was created.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// What was asked for. Changes take effect at the next delivery, without a handshake.
    pub request: SubscriptionRequest,
    /// How it stands.
    pub provisioning: Provisioning,
    /// The code of its last handshake.
    pub(super) code: String,
    /// Current versions when it was created, by object: these are older than it.
    pub(super) earlier: BTreeSet<(String, String)>,
    pub(super) queue: Vec<Queued>,
    /// Failed requests since the last success.
    pub(super) failures: u32,
    /// Until when nothing is delivered.
    pub(super) probation: Option<Timestamp>,
}

impl SubscriptionRequest {
    /// All events of a vault in Event Grid's schema, one at a time, without any authentication.
    pub fn new(name: &str, vault: &str, endpoint: Url) -> Self {
        Self {
            name: name.to_owned(),
            vault: vault.to_owned(),
            endpoint,
            reached_at: None,
            event_types: Vec::new(),
            schema: Schema::EventGrid,
            batching: None,
            headers: Vec::new(),
            token: None,
            time_to_live: *TIME_TO_LIVE.end(),
            max_attempts: *ATTEMPTS.end(),
            dead_lettering: DeadLettering::Off,
        }
    }

    /// The same in this schema.
    #[must_use]
    pub fn schema(mut self, schema: Schema) -> Self {
        self.schema = schema;
        self
    }

    /// The same with the endpoint's host found here.
    #[must_use]
    pub fn reached_at(mut self, address: SocketAddr) -> Self {
        self.reached_at = Some(address);
        self
    }

    /// The same in batches.
    #[must_use]
    pub fn batched(mut self, max_events: usize, preferred_kilobytes: usize) -> Self {
        self.batching = Some(Batching { max_events, preferred_kilobytes });
        self
    }

    /// The same with one header more.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with a token.
    #[must_use]
    pub fn token(mut self, token: DeliveryToken) -> Self {
        self.token = Some(token);
        self
    }

    /// The same with what cannot be delivered kept.
    #[must_use]
    pub fn dead_lettering(mut self) -> Self {
        self.dead_lettering = DeadLettering::On;
        self
    }

    /// Minutes that an event may live, as a duration.
    pub(super) fn life(&self) -> Duration {
        Duration::from_secs(self.time_to_live * 60)
    }

    /// Where the endpoint is reached. `None` where that is not on loopback.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        let own = || {
            let port = self.endpoint.port_or_known_default()?;
            let address = match self.endpoint.host()? {
                url::Host::Ipv4(address) => IpAddr::V4(address),
                url::Host::Ipv6(address) => IpAddr::V6(address),
                url::Host::Domain("localhost") => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
                url::Host::Domain(_) => return None,
            };
            Some(SocketAddr::new(address, port))
        };
        self.reached_at.or_else(own).filter(|address| address.ip().is_loopback())
    }

    /// Refuses what Azure would, and an endpoint beyond loopback.
    pub(super) fn check(&self) -> Result<(), SubscriptionRefused> {
        let named = |c: char| c.is_ascii_alphanumeric() || c == '-';
        must(
            NAME.contains(&self.name.len()) && self.name.chars().all(named),
            "name",
            "3 to 64 letters, digits and hyphens",
            &self.name,
        )?;
        let (scheme, place) = (self.endpoint.scheme(), self.endpoint.origin().ascii_serialization());
        must(matches!(scheme, "https" | "http"), "endpoint", "https or http", &place)?;
        must(self.address().is_some(), "endpoint", "an address of loopback", &place)?;
        must(
            TIME_TO_LIVE.contains(&self.time_to_live),
            "time to live",
            "1 to 1440 minutes",
            &self.time_to_live,
        )?;
        must(ATTEMPTS.contains(&self.max_attempts), "attempts", "1 to 30", &self.max_attempts)?;
        if let Some(batching) = self.batching {
            let (events, kilobytes) = (batching.max_events, batching.preferred_kilobytes);
            must(BATCH_EVENTS.contains(&events), "events in a batch", "1 to 5000", &events)?;
            must(BATCH_KILOBYTES.contains(&kilobytes), "kilobytes of a batch", "1 to 1024", &kilobytes)?;
        }
        must(self.headers.len() <= MAX_HEADERS, "headers", "at most 10", &self.headers.len())?;
        for (name, value) in &self.headers {
            must(value.len() <= MAX_HEADER_VALUE, "header", "a value of at most 4096 bytes", name)?;
            let twice = self.token.is_some() && name.eq_ignore_ascii_case("authorization");
            must(!twice, "header", "no Authorization beside a token", name)?;
        }
        Ok(())
    }
}

impl Subscription {
    /// One that was made long ago.
    pub(super) fn long_ago(request: SubscriptionRequest, provisioning: Provisioning) -> Self {
        Self {
            request,
            provisioning,
            code: String::new(),
            earlier: BTreeSet::new(),
            queue: Vec::new(),
            failures: 0,
            probation: None,
        }
    }

    /// Whether an event is for it.
    pub(super) fn wants(&self, event: &Event, switches: &Switches) -> bool {
        let request = &self.request;
        let of_this_age = match event.happened {
            Happened::NearExpiry | Happened::Expired => {
                switches.earlier_versions == EarlierVersions::Told || !self.is_older(event)
            }
            Happened::NewVersionCreated | Happened::AccessPolicyChanged => true,
        };
        let event_type = event.event_type();
        of_this_age
            && self.provisioning == Provisioning::Succeeded
            && request.vault.eq_ignore_ascii_case(&event.vault)
            && (request.event_types.is_empty()
                || request.event_types.iter().any(|wanted| wanted.eq_ignore_ascii_case(&event_type)))
    }

    /// Whether the event tells of a version that was there before the subscription.
    fn is_older(&self, event: &Event) -> bool {
        let version = event.version.clone().unwrap_or_default();
        self.earlier.contains(&(event.name.clone(), version))
    }
}

fn must(
    holds: bool,
    setting: &'static str,
    expected: &'static str,
    found: &impl ToString,
) -> Result<(), SubscriptionRefused> {
    if holds {
        Ok(())
    } else {
        Err(SubscriptionRefused::Invalid { setting, expected, found: found.to_string() })
    }
}
