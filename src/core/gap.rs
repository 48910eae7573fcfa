//! Events that did not come: polling finds a new version of which no event told. Nothing is lost, since the poll found it;
//! but the next one will be found late again, so that somebody should look after the subscription.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::id::{SecretIdentifier, VaultName};
use crate::plan::PlanReport;

/// How long an event may come after the poll that found its version. Key Vault publishes no figure for its delay, and
/// Event Grid repeats a delivery after 10 s, 30 s, 1, 5 and 10 minutes: this is beyond their sum.
const GRACE: SignedDuration = SignedDuration::from_mins(20);
/// What the vault's clock may differ from ours.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// An event that did not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventGap {
    /// The vault.
    pub vault: VaultName,
    /// A version that was found by polling alone.
    pub version: SecretIdentifier,
    /// When it was made.
    pub created: Timestamp,
    /// When the vault last told of anything, if it ever did.
    pub last_event: Option<Timestamp>,
}

/// Compares what looks find with what events told.
#[derive(Clone, Debug, Default)]
pub struct EventGaps {
    last_look: Option<Timestamp>,
    /// A version of each vault of which an event must still tell, with the time until which it may.
    awaited: BTreeMap<VaultName, (SecretIdentifier, Timestamp, Timestamp)>,
}

impl EventGaps {
    /// Nothing is known yet. What is there at the first look came before anybody listened.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a report, and gives the vaults whose events did not come in time. `last_event` tells when a vault last told
    /// of a change; only versions that were made since the last look count, since enabling an old one makes no event.
    pub fn looked(
        &mut self,
        report: &PlanReport,
        last_event: impl Fn(&VaultName) -> Option<Timestamp>,
    ) -> Vec<EventGap> {
        let now = report.at;
        if let Some(before) = self.last_look.replace(now) {
            for (vault, reading) in &report.vaults {
                let made = reading.newest.iter().filter_map(|(version, seen)| {
                    let created = seen.created.filter(|_| seen.first_seen > before)?;
                    (created >= earlier(before)).then_some((version, created))
                });
                if let Some((version, created)) = made.min_by_key(|(_, created)| *created) {
                    let awaited = (version.clone(), created, now + GRACE);
                    self.awaited.entry(vault.clone()).or_insert(awaited);
                }
            }
        }
        self.awaited.retain(|vault, (_, created, _)| {
            report.vaults.contains_key(vault) && last_event(vault).is_none_or(|told| told < earlier(*created))
        });
        let late = self.awaited.extract_if(.., |_, (.., until)| *until <= now);
        late.map(|(vault, (version, created, _))| EventGap {
            last_event: last_event(&vault),
            vault,
            version,
            created,
        })
        .collect()
    }
}

/// The earliest that a time may be by another clock.
fn earlier(time: Timestamp) -> Timestamp {
    time.checked_sub(SKEW).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{NewestVersion, VaultReading};

    fn at(minute: i64) -> Timestamp {
        "2026-11-23T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minute)
    }

    fn vault() -> VaultName {
        "shop-kv".parse().unwrap()
    }

    /// A look at `now` that finds a version made at `created` and first seen at `first_seen`.
    fn report(now: i64, created: i64, first_seen: i64) -> PlanReport {
        let version = "https://shop-kv.vault.azure.net/secrets/shop-tls/0123456789abcdef0123456789abcdef";
        let newest = NewestVersion { first_seen: at(first_seen), created: Some(at(created)) };
        let reading = VaultReading { fault: None, newest: [(version.parse().unwrap(), newest)].into() };
        PlanReport { at: at(now), services: Vec::new(), vaults: [(vault(), reading)].into() }
    }

    #[test]
    fn a_version_of_which_no_event_told_is_a_gap_once() {
        let mut gaps = EventGaps::new();
        assert!(gaps.looked(&report(0, -600, 0), |_| None).is_empty(), "it was there before");
        assert!(gaps.looked(&report(5, 3, 5), |_| None).is_empty(), "the event may still come");
        assert!(gaps.looked(&report(24, 3, 5), |_| None).is_empty());
        let found = gaps.looked(&report(25, 3, 5), |_| Some(at(-100)));
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0].vault, found[0].created), (&vault(), at(3)));
        assert_eq!(found[0].last_event, Some(at(-100)));
        assert!(gaps.looked(&report(30, 3, 5), |_| None).is_empty(), "told once");
    }

    #[test]
    fn an_event_before_or_after_the_poll_is_no_gap() {
        for told in [3, 4, 12] {
            let mut gaps = EventGaps::new();
            gaps.looked(&report(0, -600, 0), |_| None);
            for now in [5, 10, 30, 60] {
                let last = (now >= told).then(|| at(told));
                assert!(gaps.looked(&report(now, 3, 5), |_| last).is_empty(), "told at {told}, now {now}");
            }
        }
    }

    #[test]
    fn a_version_that_is_enabled_again_makes_no_event() {
        let mut gaps = EventGaps::new();
        gaps.looked(&report(0, -600, 0), |_| None);
        for now in [5, 30, 60] {
            assert!(gaps.looked(&report(now, -300, 5), |_| None).is_empty());
        }
    }
}
