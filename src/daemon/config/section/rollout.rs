//! `[rollout]`: how long a rollout may take, and how many run at once.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::check::Checker;

/// `[rollout]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RolloutKeys {
    /// Rollouts that run at once, in all.
    #[schemars(range(min = 1, max = 64))]
    concurrency: At<u32>,
    /// Time between two looks at a running operation, where Azure asks for none.
    poll_interval: At<String>,
    /// An operation without any progress for so long has failed.
    no_progress_for: At<String>,
    /// An operation that runs for so long has failed.
    longest: At<String>,
    /// How long role instances may take to start again after the operation.
    instances_within: At<String>,
    /// How long endpoints may take to present the new certificate after the instances have started.
    probe_within: At<String>,
    /// TLS connections to each address of an endpoint, so that more than one instance answers.
    #[schemars(range(min = 1, max = 32))]
    probe_connections: At<u32>,
    /// How long one TLS connection may take.
    probe_timeout: At<String>,
}

/// How long a rollout may take, and how many run at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutSettings {
    /// Rollouts that run at once, in all; at least 1.
    pub concurrency: usize,
    /// Time between two looks at a running operation, where Azure asks for none.
    pub poll_interval: Duration,
    /// An operation without any progress for so long has failed.
    pub no_progress_for: Duration,
    /// An operation that runs for so long has failed; at least `no_progress_for`.
    pub longest: Duration,
    /// How long role instances may take to start again after the operation.
    pub instances_within: Duration,
    /// How long endpoints may take to present the new certificate after the instances have started.
    pub probe_within: Duration,
    /// TLS connections to each address of an endpoint; at least 1.
    pub probe_connections: usize,
    /// How long one TLS connection may take.
    pub probe_timeout: Duration,
}

/// Shortest interval between two looks at an operation: Resource Manager's quota is shared by the subscription.
const INTERVAL_LEAST: Duration = Duration::from_millis(100);
const INTERVAL_MOST: Duration = Duration::from_secs(10 * 60);
const SECOND: Duration = Duration::from_secs(1);
/// Longest limit. Azure ends an operation after 8 h 20 min; a large service may be walked for a day.
const LIMIT_MOST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

pub(crate) fn check(keys: &RolloutKeys, checker: &mut Checker<'_>) -> Option<RolloutSettings> {
    let poll_interval = checker.duration(&keys.poll_interval, INTERVAL_LEAST, INTERVAL_MOST);
    let no_progress_for = checker.duration(&keys.no_progress_for, SECOND, LIMIT_MOST);
    let longest = checker.duration(&keys.longest, SECOND, LIMIT_MOST);
    let instances_within = checker.duration(&keys.instances_within, SECOND, LIMIT_MOST);
    let probe_within = checker.duration(&keys.probe_within, SECOND, LIMIT_MOST);
    let probe_timeout = checker.duration(&keys.probe_timeout, INTERVAL_LEAST, INTERVAL_MOST);
    if let (Some(no_progress), Some(longest)) = (no_progress_for, longest)
        && no_progress > longest
    {
        checker
            .error(
                &keys.no_progress_for.span,
                format!("`{}` is longer than `longest`", keys.no_progress_for.value),
            )
            .expect(format!("at most `{}`, the value of `longest`", keys.longest.value));
    }
    Some(RolloutSettings {
        concurrency: usize::try_from(keys.concurrency.value).unwrap_or(1),
        poll_interval: poll_interval?,
        no_progress_for: no_progress_for?,
        longest: longest?,
        instances_within: instances_within?,
        probe_within: probe_within?,
        probe_connections: usize::try_from(keys.probe_connections.value).unwrap_or(1),
        probe_timeout: probe_timeout?,
    })
}
