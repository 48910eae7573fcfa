//! Channels against servers on loopback, and the notifier with them.

mod clock;
mod delivery;
mod mail;
mod pki;
mod smtp;
mod templates;
mod web;
mod webhooks;

use std::collections::BTreeSet;
use std::time::Duration;

use certroll_core::notice::{Fact, Notice, NoticeKind, Severity, Subject};
use jiff::Timestamp;

use crate::config::{ChannelKind, ChannelSettings, HttpSettings, NotifySettings, Secret};

const SERVICE: &str = "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/shop-rg/providers/Microsoft.Compute/cloudServices/shop";

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn notice(key: &str) -> Notice {
    Notice {
        kind: NoticeKind::UpdateStuck,
        severity: Severity::Critical,
        subject: Subject::Service { service: SERVICE.parse().unwrap() },
        at: now(),
        title: "shop: a person is needed, the renewal of ShopTls is stuck".to_owned(),
        text: "Why the change is stuck: read back, `tags.<team>` differs & more.\n\
               certroll leaves the service alone until it is released.\n\
               Look at the service, then either `certroll restore shop` or, once it is right, `certroll release shop`."
            .to_owned(),
        facts: [
            ("Service", "shop"),
            ("Resource group", "shop-rg"),
            ("ShopTls in role Web", "4F5E3A0B9C8D7E6F5A4B3C2D1E0F9A8B7C6D5E4F -> none, valid until 2027-11-23 12:00 UTC"),
        ]
        .map(|(label, value)| Fact { label: label.to_owned(), value: value.to_owned() })
        .into(),
        key: key.to_owned(),
    }
}

/// Settings of the section `[http]` that trust an authority of a test.
fn http(ca_file: Option<&std::path::Path>) -> HttpSettings {
    HttpSettings {
        proxy: None,
        no_proxy: Vec::new(),
        ca_file: ca_file.map(std::path::Path::to_owned),
        connect_timeout: Duration::from_secs(10),
        request_timeout: Duration::from_secs(10),
    }
}

fn channel(name: &str, kind: ChannelKind) -> ChannelSettings {
    ChannelSettings {
        name: name.to_owned(),
        kinds: NoticeKind::all().collect::<BTreeSet<_>>(),
        least_severity: Severity::Info,
        repeat_after: Duration::from_secs(12 * 60 * 60),
        timeout: Duration::from_secs(20),
        kind,
    }
}

fn webhook(name: &str, url: &str) -> ChannelSettings {
    channel(name, ChannelKind::Webhook { url: Secret::new(url), signing_secret: None })
}

fn settings(channels: Vec<ChannelSettings>) -> NotifySettings {
    use certroll_core::notice::{NearExpiry, WatchLimits};
    let watch = WatchLimits {
        near_expiry: NearExpiry { percent: 20, days: 30 },
        unreadable_for: Duration::from_secs(1800),
        credentials_for: Duration::from_secs(600),
        remind_after: Duration::from_secs(24 * 60 * 60),
    };
    NotifySettings { watch, give_up_after: Duration::from_secs(3 * 24 * 60 * 60), channels }
}
