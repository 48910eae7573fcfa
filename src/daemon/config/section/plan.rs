//! `[plan]`: when a change is planned.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::check::Checker;

/// `[plan]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanKeys {
    /// How long a new version rests after it was first seen, so that a batch of uploads is taken together.
    settle: At<String>,
    /// A deployed certificate that ends within this time overrides settling and windows.
    urgent_before_expiry: At<String>,
}

/// Longest rest: a certificate must not wait for days.
const SETTLE_MOST: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest urgent time: beyond a quarter of a year every certificate would always be urgent.
const URGENT_MOST: Duration = Duration::from_secs(92 * 24 * 60 * 60);

/// Settle time and urgent time.
pub(crate) fn check(keys: &PlanKeys, checker: &mut Checker<'_>) -> Option<(Duration, Duration)> {
    let settle = checker.duration(&keys.settle, Duration::ZERO, SETTLE_MOST);
    let urgent = checker.duration(&keys.urgent_before_expiry, Duration::ZERO, URGENT_MOST);
    Some((settle?, urgent?))
}
