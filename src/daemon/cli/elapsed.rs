//! Spans of time for people: elapsed time while something runs, days left of a certificate.

use std::time::Duration;

use jiff::Timestamp;

/// Elapsed time: `0.8s`, `12s`, `3m 05s`, `2h 07m`, `28d 12h`.
pub fn elapsed(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", duration.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3600..172_800 => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {:02}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A moment, to the second: `2026-11-23 16:13:02Z`.
pub fn moment(at: Timestamp) -> String {
    at.strftime("%F %H:%M:%SZ").to_string()
}

/// Whole days from `now` until `then`, rounded down; negative in the past.
pub fn days_until(then: Timestamp, now: Timestamp) -> i64 {
    (then.as_second() - now.as_second()).div_euclid(24 * 60 * 60)
}

/// What is left until `then`, as people say it: days, and years where days say nothing to anybody.
pub fn left_until(then: Timestamp, now: Timestamp) -> String {
    /// From here on, years.
    const MANY: i64 = 2 * 365;
    match days_until(then, now) {
        days if days < 0 => "it has ended".to_owned(),
        1 => "1 day".to_owned(),
        days if days < MANY => format!("{days} days"),
        days => format!("{} years", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elapsed_time_is_short() {
        for (millis, shown) in [
            (0, "0.0s"),
            (840, "0.8s"),
            (12_000, "12s"),
            (185_000, "3m 05s"),
            (7_620_000, "2h 07m"),
            (172_799_000, "47h 59m"),
            (2_462_400_000, "28d 12h"),
        ] {
            assert_eq!(elapsed(Duration::from_millis(millis)), shown);
        }
    }

    #[test]
    fn what_is_left_is_said_in_days_and_for_authorities_in_years() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        for (then, shown) in [
            ("2026-11-22T12:00:00Z", "it has ended"),
            ("2026-11-23T13:00:00Z", "0 days"),
            ("2026-11-24T13:00:00Z", "1 day"),
            ("2028-11-20T12:00:00Z", "728 days"),
            ("2046-11-18T12:00:00Z", "20 years"),
        ] {
            assert_eq!(left_until(then.parse().unwrap(), now), shown);
        }
    }

    #[test]
    fn days_are_rounded_down() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        assert_eq!(days_until("2026-11-24T11:59:59Z".parse().unwrap(), now), 0);
        assert_eq!(days_until("2026-11-24T12:00:00Z".parse().unwrap(), now), 1);
        assert_eq!(days_until("2026-11-23T11:59:59Z".parse().unwrap(), now), -1);
    }
}
