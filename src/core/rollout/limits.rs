//! How long and how often.

use std::time::Duration;

/// The limits of a rollout, from the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Between two looks at an operation, where the service names no other interval.
    pub poll_interval: Duration,
    /// Longest time without any progress of an operation or its instances.
    pub no_progress: Duration,
    /// Longest time for an operation in all.
    pub operation: Duration,
    /// Longest time for instances and endpoints to be right once the operation has succeeded.
    pub settle: Duration,
    /// Longest time for endpoints to be right once the instances are. Part of `settle`: a certificate that is not
    /// served must not stay as long as a slow instance may take.
    pub probe: Duration,
    /// Longest time that another operation is waited for before the PUT.
    pub busy: Duration,
}

impl Limits {
    /// Looks that must agree, one poll interval apart, before a PUT whose answer was lost counts as not applied. The
    /// service shows a new model within seconds of taking it, so three looks leave it room to spare.
    pub const LOOKS: u32 = 3;
    /// How often a service is captured before it is left to whoever keeps working on it: the next look plans anew.
    pub const CAPTURES: u32 = 3;
    /// PUTs sent in one phase. Each further one follows looks that showed that the one before had no effect.
    pub const PUTS: u32 = 3;
}

impl Default for Limits {
    /// The service waits up to 30 minutes for each instance and gives up an operation itself after 8 h 20 min.
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(10),
            no_progress: Duration::from_secs(2 * 60 * 60),
            operation: Duration::from_secs(9 * 60 * 60),
            settle: Duration::from_secs(15 * 60),
            probe: Duration::from_secs(5 * 60),
            busy: Duration::from_secs(60 * 60),
        }
    }
}
