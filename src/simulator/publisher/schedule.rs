//! When a delivery that failed is tried again, and when it is not. Source: Microsoft's article on delivery and retry.

use std::time::Duration;

use super::switches::{Forbidden, NotFound, Switches};

/// Waits after the first, second, … attempt; the last one repeats until an event's life is over.
const WAITS: [u64; 10] = [10, 30, 60, 300, 600, 1_800, 3_600, 10_800, 21_600, 43_200];

/// Whether a status is a success.
pub(super) fn is_success(status: u16) -> bool {
    (200..=204).contains(&status)
}

/// Whether a status says that trying again is useless.
pub(super) fn is_final(status: u16, switches: &Switches) -> bool {
    match status {
        400 | 401 | 413 => true,
        403 => switches.forbidden == Forbidden::Final,
        404 => switches.not_found == NotFound::Final,
        _ => false,
    }
}

/// The wait after so many attempts, the last of which was answered this, or nothing.
pub(super) fn wait(attempts: u32, status: Option<u16>) -> Duration {
    let place = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let scheduled = WAITS[place.min(WAITS.len() - 1)];
    let least = match status {
        Some(404) => 300,
        Some(408) => 120,
        Some(503) => 30,
        _ => 10,
    };
    Duration::from_secs(scheduled.max(least))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_half_a_day_and_some_answers_make_them_longer() {
        let seconds = |attempts, status| wait(attempts, status).as_secs();
        assert_eq!(
            (1..=11).map(|attempts| seconds(attempts, Some(500))).collect::<Vec<_>>(),
            [10, 30, 60, 300, 600, 1_800, 3_600, 10_800, 21_600, 43_200, 43_200]
        );
        assert_eq!([404, 408, 503, 429].map(|status| seconds(1, Some(status))), [300, 120, 30, 10]);
        assert_eq!(seconds(4, Some(503)), 300);
        assert_eq!(seconds(1, None), 10);
    }

    #[test]
    fn the_lists_of_what_is_final_differ_in_two_statuses() {
        let all = [400, 401, 403, 404, 408, 410, 413, 415, 429, 500, 503];
        let finals = |switches: Switches| {
            all.into_iter().filter(|status| is_final(*status, &switches)).collect::<Vec<_>>()
        };
        assert_eq!(finals(Switches::documented()), [400, 401, 403, 404, 413]);
        assert_eq!(finals(Switches::other()), [400, 401, 413]);
    }
}
