//! When the end of a certificate is near.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Severity;

/// From when on the end of a certificate is near: a part of its life, or a number of days, whichever is less. The part
/// keeps short-lived certificates from being near their end all the time, the days long-lived ones from being so for
/// years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NearExpiry {
    /// The part of its life, in percent.
    pub percent: u32,
    /// The days.
    pub days: u32,
}

/// A day, in seconds.
const DAY: i64 = 24 * 60 * 60;

/// How near the end is. Each step is told anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    /// It is near.
    Near,
    /// Half of the time since it was near has passed.
    Half,
    /// Three quarters have.
    Quarter,
    /// A day is left.
    Day,
    /// It has ended.
    Ended,
}

impl Step {
    /// The word in a notice's key.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Half => "half",
            Self::Quarter => "quarter",
            Self::Day => "day",
            Self::Ended => "ended",
        }
    }

    /// How much it asks of people.
    pub(super) fn severity(self) -> Severity {
        match self {
            Self::Near | Self::Half => Severity::Warning,
            Self::Quarter | Self::Day | Self::Ended => Severity::Critical,
        }
    }
}

impl NearExpiry {
    /// How long before its end a certificate of so long a life is near it.
    pub fn threshold(&self, life: Duration) -> Duration {
        let part = life.as_secs() / 100 * u64::from(self.percent.min(100));
        Duration::from_secs(part).min(Duration::from_secs(u64::from(self.days) * DAY.unsigned_abs()))
    }

    /// How near the end is, if it is.
    pub(super) fn step(&self, not_before: Timestamp, not_after: Timestamp, now: Timestamp) -> Option<Step> {
        let left = not_after.duration_since(now);
        if left <= SignedDuration::ZERO {
            return Some(Step::Ended);
        }
        let life = Duration::try_from(not_after.duration_since(not_before)).unwrap_or_default();
        let threshold = SignedDuration::try_from(self.threshold(life)).unwrap_or(SignedDuration::MAX);
        if left > threshold {
            return None;
        }
        Some(match () {
            () if left <= SignedDuration::from_secs(DAY) => Step::Day,
            () if left <= threshold / 4 => Step::Quarter,
            () if left <= threshold / 2 => Step::Half,
            () => Step::Near,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lesser_of_the_two_counts() {
        let near = NearExpiry { percent: 20, days: 30 };
        let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
        for (life, threshold) in [(90, 18), (47, 9), (365, 30), (7300, 30)] {
            let found = near.threshold(days(life)).as_secs() / days(1).as_secs();
            assert_eq!(found, threshold, "a life of {life} days");
        }
    }

    #[test]
    fn the_steps_come_in_their_order_and_each_once() {
        let near = NearExpiry { percent: 20, days: 30 };
        let at = |day: i64| Timestamp::from_second(day * DAY).unwrap();
        let mut steps: Vec<(i64, Step)> = Vec::new();
        for day in 0..400 {
            if let Some(step) = near.step(at(0), at(365), at(day))
                && steps.last().is_none_or(|(_, last)| *last != step)
            {
                steps.push((365 - day, step));
            }
        }
        use Step::{Day, Ended, Half, Near, Quarter};
        assert_eq!(steps, [(30, Near), (15, Half), (7, Quarter), (1, Day), (0, Ended)]);
    }

    #[test]
    fn a_certificate_of_a_day_is_near_its_end_when_a_fifth_is_left() {
        let near = NearExpiry { percent: 20, days: 30 };
        let at = |hour: i64| Timestamp::from_second(hour * 3600).unwrap();
        assert_eq!(near.step(at(0), at(24), at(19)), None);
        assert_eq!(near.step(at(0), at(24), at(20)), Some(Step::Day));
    }
}
