//! What is under test, as values, so that a mistake can be planted in its place.

use jiff::Timestamp;

use super::super::super::{Action, Cause, Event, FoldError, Found, Limits, Rollout, give_up, next_action};
use crate::id::SecretIdentifier;
use crate::plan::PlannedUpdate;
use crate::standing::Standings;
use crate::target::cloud_service::{CloudServiceModel, ModelError};
use crate::verify::{Evidence, Expected, Mismatch, VerifiedUpdate, judge};

/// The functions by which a rollout is led.
#[derive(Clone, Copy)]
pub(super) struct Functions {
    pub(super) apply: fn(Rollout, Timestamp, &Event) -> Result<Rollout, FoldError>,
    pub(super) next_action: fn(&Rollout, Timestamp, &Limits) -> Action,
    pub(super) give_up: fn(&Rollout, Cause) -> Event,
    pub(super) compare: fn(&Rollout, &CloudServiceModel) -> Result<Found, ModelError>,
    pub(super) is_repetition: fn(&Rollout, &Event) -> bool,
    /// Whether the record of earlier rollouts holds an update, whose versions are superseded or not.
    pub(super) held: fn(&Standings, &PlannedUpdate, bool) -> bool,
    pub(super) judge: fn(&Expected<'_>, Evidence) -> Result<VerifiedUpdate, Vec<Mismatch>>,
}

impl Functions {
    /// Those of this crate.
    pub(super) const REAL: Self = Self {
        apply: Rollout::apply,
        next_action,
        give_up,
        compare: Rollout::compare,
        is_repetition: Rollout::is_repetition,
        held,
        judge,
    };
}

fn held(standings: &Standings, update: &PlannedUpdate, superseded: bool) -> bool {
    let other = "https://shop-kv.vault.azure.cn/secrets/shop/another".parse().ok();
    let newest = |version: &SecretIdentifier| if superseded { other.clone() } else { Some(version.clone()) };
    standings.held(update, newest).is_some()
}

/// What the engine takes care of; `false` plants a mistake in the model's engine.
#[derive(Clone, Copy)]
pub(super) struct Habits {
    /// `put started` is written before the PUT is sent.
    pub(super) writes_before_it_sends: bool,
    /// A PUT is made from a look of the same process, which no other PUT was made from.
    pub(super) sends_what_it_just_read: bool,
}

impl Habits {
    pub(super) const REAL: Self = Self { writes_before_it_sends: true, sends_what_it_just_read: true };
}
