//! How long to wait before the next attempt. The attempt, what the service asked for and the jitter are arguments.

use std::time::Duration;

/// First delay of the exponential series, as Key Vault's throttling guide advises (1, 2, 4, 8, 16 s).
const FIRST: Duration = Duration::from_secs(1);
/// Longest delay of our own making: a poll comes round within minutes anyway.
const LONGEST: Duration = Duration::from_secs(32);
/// Longest `Retry-After` that is obeyed. Services were seen to ask for ten minutes; an unattended program that
/// believes a larger number can be put to sleep by one bad answer.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The delay before attempt `attempt + 1`, after `attempt` (counted from 1) failed. `retry_after` is what the service
/// asked for; `jitter` is between 0 and 1 and spreads our own delays over their upper half.
pub fn delay(attempt: u32, retry_after: Option<Duration>, jitter: f64) -> Duration {
    let own = FIRST.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(LONGEST);
    let jitter = if jitter.is_nan() { 0.0 } else { jitter.clamp(0.0, 1.0) };
    let own = own.mul_f64(0.5 + 0.5 * jitter);
    match retry_after {
        Some(asked) => asked.min(LONGEST_RETRY_AFTER).max(own),
        None => own,
    }
}

/// `Retry-After` of an operation's poll, clamped to 1 to 60 s; `usual` where the service names none.
pub fn poll_interval(retry_after: Option<Duration>, usual: Duration) -> Duration {
    retry_after.map_or(usual, |asked| asked.clamp(Duration::from_secs(1), LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_and_end() {
        let delays: Vec<u64> = (1..=8).map(|attempt| delay(attempt, None, 1.0).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 32, 32]);
        assert_eq!(delay(u32::MAX, None, 1.0), LONGEST);
        assert_eq!(delay(3, None, 0.0), Duration::from_secs(2));
        assert_eq!(delay(3, None, f64::NAN), Duration::from_secs(2));
    }

    #[test]
    fn what_the_service_asks_is_obeyed_up_to_a_minute() {
        assert_eq!(delay(1, Some(Duration::from_secs(7)), 1.0), Duration::from_secs(7));
        assert_eq!(delay(1, Some(Duration::from_secs(600)), 1.0), Duration::from_secs(60));
        assert_eq!(poll_interval(Some(Duration::ZERO), Duration::from_secs(10)), Duration::from_secs(1));
        assert_eq!(
            poll_interval(Some(Duration::from_secs(600)), Duration::from_secs(10)),
            Duration::from_secs(60)
        );
        assert_eq!(poll_interval(None, Duration::from_secs(10)), Duration::from_secs(10));
    }
}
