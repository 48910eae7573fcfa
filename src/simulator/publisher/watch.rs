//! What happens in vaults, turned into events.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::event::{Event, Happened, Subject};
use super::subscription::Provisioning;
use super::switches::{ClosedVault, Gap, NearExpiry, Renewal, Switches};
use super::{MAX_WAITING, Publisher};
use crate::vault::{Access, Current, Kind, NewVersion, Vault};

/// How long before its end a version tells that it is near.
const NEAR: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How long until it tells so again, if it does.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// What was last seen of a vault that somebody subscribed to.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    access: Access,
    /// What was told of expiries, by name and version, and when.
    told: BTreeMap<(String, String, Happened), Timestamp>,
    /// When expiries were looked for: nothing expires while time stands still.
    looked: Option<Timestamp>,
}

impl Publisher {
    /// Begins to watch a vault. What has happened to it before is told to nobody.
    pub(super) fn watch(&mut self, vault: &Vault, now: Timestamp) {
        let watched = self.watched.entry(vault.name.to_ascii_lowercase()).or_insert_with(|| Watched {
            access: vault.access.clone(),
            told: BTreeMap::new(),
            looked: None,
        });
        expiries(watched, vault, &self.switches, now);
    }

    /// Looks at every vault and puts into the queues what has happened.
    pub(crate) fn look(&mut self, vaults: &mut [Vault], now: Timestamp) {
        for subscription in &mut self.subscriptions {
            if let Provisioning::AwaitingManualAction(until) = subscription.provisioning
                && until <= now
            {
                subscription.provisioning = Provisioning::Failed;
            }
        }
        for vault in vaults {
            let new = vault.take_new_versions();
            let Some(watched) = self.watched.get_mut(&vault.name.to_ascii_lowercase()) else { continue };
            if !new.is_empty() {
                watched.looked = None;
            }
            let mut events: Vec<Event> =
                new.iter().flat_map(|version| created(vault, version, &self.switches)).collect();
            if watched.access != vault.access {
                if is_policy_change(&watched.access, &vault.access) {
                    events.push(Event::of_vault(vault, now));
                }
                watched.access.clone_from(&vault.access);
            }
            events.extend(expiries(watched, vault, &self.switches, now));
            if vault.firewall_closed && self.switches.closed_vault == ClosedVault::Silent {
                continue;
            }
            for event in &events {
                self.publish(event, now);
            }
        }
    }

    /// Puts an event into the queue of each subscription that wants it.
    fn publish(&mut self, event: &Event, now: Timestamp) {
        let due = now + self.latency;
        for subscription in &mut self.subscriptions {
            if !subscription.wants(event, &self.switches) {
                continue;
            }
            if self.disturbances.gap == Gap::Present || subscription.waiting() >= MAX_WAITING {
                self.lost += 1;
            } else {
                subscription.enqueue(event.clone(), now, due);
            }
        }
    }
}

/// Role assignments are no policies; their change is told by nobody.
fn is_policy_change(before: &Access, after: &Access) -> bool {
    !matches!((before, after), (Access::Rbac(_), Access::Rbac(_)))
}

fn created(vault: &Vault, new: &NewVersion, switches: &Switches) -> Vec<Event> {
    let validity = vault.validity_of(&new.name, &new.version);
    let event = |subject| {
        let what = (subject, Happened::NewVersionCreated);
        Event::of_version(vault, what, (&new.name, &new.version), validity, new.at)
    };
    subjects(new.kind, Happened::NewVersionCreated, switches).iter().map(|subject| event(*subject)).collect()
}

/// What a version of this kind is to events.
fn subjects(kind: Kind, happened: Happened, switches: &Switches) -> &'static [Subject] {
    match (kind, switches.renewal, happened) {
        (Kind::Secret, ..) => &[Subject::Secret],
        (Kind::Certificate, Renewal::CertificateAlone, _) => &[Subject::Certificate],
        // A key tells of a near end as its rotation policy says, and a certificate's has none.
        (Kind::Certificate, Renewal::ThreeEvents, Happened::NearExpiry) => {
            &[Subject::Certificate, Subject::Secret]
        }
        (Kind::Certificate, Renewal::ThreeEvents, _) => {
            &[Subject::Certificate, Subject::Key, Subject::Secret]
        }
    }
}

/// The expiries that are to be told now.
fn expiries(watched: &mut Watched, vault: &Vault, switches: &Switches, now: Timestamp) -> Vec<Event> {
    if watched.looked == Some(now) {
        return Vec::new();
    }
    watched.looked = Some(now);
    let mut events = Vec::new();
    for current in vault.current_versions() {
        let Some(end) = current.expires.and_then(|end| Timestamp::from_second(end).ok()) else { continue };
        for (happened, at) in [(Happened::NearExpiry, end - NEAR), (Happened::Expired, end)] {
            if at <= now && is_to_be_told(watched, &current, happened, (now, end), switches) {
                for subject in subjects(current.kind, happened, switches) {
                    let validity = (current.not_before, current.expires);
                    let object = (current.name, current.version);
                    events.push(Event::of_version(vault, (*subject, happened), object, validity, now));
                }
            }
        }
    }
    events
}

/// Whether this was not told yet, or is told again. It is noted as told.
fn is_to_be_told(
    watched: &mut Watched,
    current: &Current<'_>,
    happened: Happened,
    (now, end): (Timestamp, Timestamp),
    switches: &Switches,
) -> bool {
    let key = (current.name.to_owned(), current.version.to_owned(), happened);
    let told = watched.told.get(&key);
    let again = |last: &Timestamp| {
        switches.near_expiry == NearExpiry::Daily
            && happened == Happened::NearExpiry
            && now < end
            && now.duration_since(*last) >= AGAIN_AFTER
    };
    let tell = told.is_none_or(again);
    if tell {
        watched.told.insert(key, now);
    }
    tell
}
