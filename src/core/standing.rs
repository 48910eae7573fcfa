//! What the record says of each service, as far as planning must heed it: a rollout without an ending, one that ended
//! in front of a person, sets of versions that did not work, and what a person decided since.
//!
//! [`Standings`] are a fold over the journal's entries, like a rollout is over its events. Nothing here reads a journal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::{CloudServiceId, RolloutId, SecretIdentifier};
use crate::plan::{PlanDigest, PlannedUpdate};
use crate::ports::Recorded;
use crate::rollout::{Ending, Event, Initiator};

/// What a person decided about a service, outside of any rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// When.
    pub at: Timestamp,
    /// The service.
    pub service: CloudServiceId,
    /// What.
    pub decision: Decision,
}

/// The decisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "decision")]
pub enum Decision {
    /// A stuck service and its sets in quarantine may be planned again.
    Released,
    /// A plan of a service in `mode = "approve"` may be carried out, as long as it is exactly this one.
    Approved {
        /// The plan.
        plan: PlanDigest,
    },
}

/// A set of versions that is not planned again for a service until one of them is superseded or a person releases it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// The rollout that carried the set.
    pub rollout: RolloutId,
    /// Since when.
    pub since: Timestamp,
    /// Why, in words.
    pub why: String,
    /// The set.
    pub versions: BTreeSet<SecretIdentifier>,
}

/// A service that needs a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// The rollout that ended so.
    pub rollout: RolloutId,
    /// Since when.
    pub since: Timestamp,
    /// Why, in words.
    pub why: String,
}

/// What the record says of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// A rollout that has no ending: it runs, or was interrupted.
    pub unfinished: Option<RolloutId>,
    /// It needs a person, and is left alone until it is released or a person put the old state back.
    pub stuck: Option<Stuck>,
    /// Sets that did not work, oldest first.
    pub quarantine: Vec<Quarantine>,
    /// The plan that a person approved, until a rollout is opened.
    pub approved: Option<PlanDigest>,
}

/// Why an update may not be carried out, by the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// The record cannot be read.
    Unknown {
        /// Why.
        reason: String,
    },
    /// A rollout of the service has no ending.
    Unfinished {
        /// Which.
        rollout: RolloutId,
    },
    /// The service needs a person.
    Stuck(Stuck),
    /// The versions, or some of them, are in quarantine.
    Quarantined(Quarantine),
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { reason } => write!(f, "the journal cannot be read: {reason}"),
            Self::Unfinished { rollout } => write!(f, "the rollout {rollout} has no ending yet"),
            Self::Stuck(Stuck { rollout, why, .. }) => {
                write!(f, "the rollout {rollout} ended stuck: {why}")
            }
            Self::Quarantined(Quarantine { rollout, why, .. }) => {
                write!(f, "this set of versions is in quarantine since the rollout {rollout}: {why}")
            }
        }
    }
}

/// What the record says of every service.
#[derive(Clone, Debug, Default)]
pub struct Standings {
    services: BTreeMap<CloudServiceId, Standing>,
    open: BTreeMap<RolloutId, Open>,
    unknown: Option<String>,
}

/// A rollout without an ending.
#[derive(Clone, Debug)]
struct Open {
    service: CloudServiceId,
    coming: BTreeSet<SecretIdentifier>,
    leaving: BTreeSet<SecretIdentifier>,
    by: Initiator,
    undoes: bool,
}

impl Standings {
    /// Of a record that cannot be read: it holds every change.
    pub fn unknown(reason: impl fmt::Display) -> Self {
        Self { unknown: Some(reason.to_string()), ..Self::default() }
    }

    /// Takes in an event of a rollout. They come in the order in which they were written.
    pub fn record(&mut self, record: &Recorded) {
        match &record.event {
            Event::Opened { rollout, update, by, undoes } => {
                let open = Open {
                    service: update.service.clone(),
                    coming: update.versions(),
                    leaving: update.leaving(),
                    by: *by,
                    undoes: undoes.is_some(),
                };
                let standing = self.services.entry(open.service.clone()).or_default();
                standing.unfinished = Some(rollout.clone());
                standing.approved = None;
                self.open.insert(rollout.clone(), open);
            }
            Event::Ended { ending } => {
                if let Some(open) = self.open.remove(&record.rollout) {
                    let standing = self.services.entry(open.service.clone()).or_default();
                    standing.ended(&record.rollout, record.at, &open, ending);
                }
            }
            Event::Captured { .. }
            | Event::Looked { .. }
            | Event::PutStarted { .. }
            | Event::PutAccepted { .. }
            | Event::PutRefused { .. }
            | Event::PutDeferred { .. }
            | Event::PutAmbiguous { .. }
            | Event::WalkStarted { .. }
            | Event::DomainDone { .. }
            | Event::OperationEnded { .. }
            | Event::Examined { .. }
            | Event::TurnedBack { .. } => {}
        }
    }

    /// Takes in what a person decided.
    pub fn decide(&mut self, decided: &Decided) {
        let standing = self.services.entry(decided.service.clone()).or_default();
        match &decided.decision {
            Decision::Released => {
                standing.stuck = None;
                standing.quarantine.clear();
            }
            Decision::Approved { plan } => standing.approved = Some(plan.clone()),
        }
    }

    /// Of one service.
    pub fn of(&self, service: &CloudServiceId) -> Standing {
        self.services.get(service).cloned().unwrap_or_default()
    }

    /// Every service that the record knows.
    pub fn all(&self) -> impl Iterator<Item = (&CloudServiceId, &Standing)> {
        self.services.iter()
    }

    /// Rollouts whose records are needed, however old: without an ending, stuck, or in quarantine.
    pub fn needed(&self) -> BTreeSet<RolloutId> {
        let of = |standing: &Standing| {
            let stuck = standing.stuck.iter().map(|stuck| stuck.rollout.clone());
            let quarantined = standing.quarantine.iter().map(|set| set.rollout.clone());
            stuck.chain(quarantined).chain(standing.unfinished.clone()).collect::<Vec<_>>()
        };
        self.services.values().flat_map(of).chain(self.open.keys().cloned()).collect()
    }

    /// Why an update may not be carried out. `newest` tells the newest version of the object of a secret, where that was
    /// looked at: without it a version counts as superseded only if the update itself brings another one.
    pub fn held(
        &self,
        update: &PlannedUpdate,
        newest: impl Fn(&SecretIdentifier) -> Option<SecretIdentifier>,
    ) -> Option<Held> {
        self.unfinished(&update.service).or_else(|| {
            let standing = self.services.get(&update.service)?;
            if let Some(stuck) = &standing.stuck {
                return Some(Held::Stuck(stuck.clone()));
            }
            let coming = update.versions();
            let holds = |set: &&Quarantine| {
                let is_newest = |version: &SecretIdentifier| {
                    newest(version).map_or_else(
                        || !coming.iter().any(|other| supersedes(other, version)),
                        |newest| newest == *version,
                    )
                };
                !set.versions.is_disjoint(&coming) && set.versions.iter().all(is_newest)
            };
            standing.quarantine.iter().find(holds).map(|set| Held::Quarantined(set.clone()))
        })
    }

    /// Why nothing at all may be begun for a service: its record cannot be read, or a rollout has no ending.
    pub fn unfinished(&self, service: &CloudServiceId) -> Option<Held> {
        if let Some(reason) = &self.unknown {
            return Some(Held::Unknown { reason: reason.clone() });
        }
        let rollout = self.services.get(service)?.unfinished.clone()?;
        Some(Held::Unfinished { rollout })
    }
}

impl Standing {
    fn ended(&mut self, rollout: &RolloutId, at: Timestamp, open: &Open, ending: &Ending) {
        self.unfinished = None;
        let why = ending.cause().map_or_else(String::new, ToString::to_string);
        let mut quarantine = |versions: &BTreeSet<SecretIdentifier>, why: String| {
            if !versions.is_empty() {
                let versions = versions.clone();
                self.quarantine.push(Quarantine { rollout: rollout.clone(), since: at, why, versions });
            }
        };
        match ending {
            Ending::Verified => {
                // What a person put back must not be rolled forward again by the next look.
                if open.undoes {
                    quarantine(&open.leaving, "a person put the old state back".to_owned());
                }
                let superseded = |set: &Quarantine| {
                    let by = |version| open.coming.iter().any(|other| supersedes(other, version));
                    !open.undoes && set.versions.iter().any(by)
                };
                self.quarantine.retain(|set| !superseded(set));
                if open.by == Initiator::Person {
                    self.stuck = None;
                }
            }
            // A way back that was itself put back says nothing of the old versions that a person wanted.
            Ending::Restored { .. } if open.undoes => {}
            Ending::Restored { .. } => quarantine(&open.coming, why),
            Ending::Stuck { .. } => {
                if !open.undoes {
                    quarantine(&open.coming, why.clone());
                }
                self.stuck = Some(Stuck { rollout: rollout.clone(), since: at, why });
            }
            Ending::Abandoned { .. } => {}
        }
    }
}

/// Whether a version is another one of the same object.
fn supersedes(other: &SecretIdentifier, version: &SecretIdentifier) -> bool {
    other.vault() == version.vault() && other.name() == version.name() && other.version() != version.version()
}
