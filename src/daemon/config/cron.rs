//! Cron patterns in a time zone.

use std::cmp::Ordering;

use croner::parser::{CronParser, Seconds, Year};
use croner::{CivilDate, CivilDateTime, CivilTime, Cron, CronDateTime, Resolution, Weekday};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, ZonedDateTime};
use thiserror::Error;

/// A pattern that fires, and its time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct CronSchedule {
    pattern: String,
    cron: Cron,
    time_zone: TimeZone,
}

/// A text that is no cron pattern, or one that never fires.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{pattern}` {reason}")]
pub struct ParseCronError {
    /// The text.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Longest pattern: lists of every value of every field fit many times over.
const PATTERN_LIMIT: usize = 1000;

impl CronSchedule {
    /// Reads a pattern of five fields, or six with seconds first. A pattern that never fires after `now`, such as the
    /// 30th of February, is refused here: each look for its next time would search all years (up to 17 ms).
    ///
    /// # Errors
    /// The pattern is malformed or never fires.
    pub fn parse(pattern: &str, time_zone: TimeZone, now: Timestamp) -> Result<Self, ParseCronError> {
        let fault = |reason: String| ParseCronError { pattern: pattern.chars().take(100).collect(), reason };
        if pattern.len() > PATTERN_LIMIT {
            return Err(fault(format!("is longer than {PATTERN_LIMIT} bytes")));
        }
        let fields = pattern.split_whitespace().count();
        if !(5..=6).contains(&fields) && !pattern.trim().starts_with('@') {
            return Err(fault(format!("has {fields} fields")));
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let cron = parser
            .parse(pattern)
            .map_err(|error| fault(format!("is no cron pattern: {}", reason(&error))))?;
        let schedule = Self { pattern: pattern.trim().to_owned(), cron, time_zone };
        match schedule.next_after(now) {
            Some(_) => Ok(schedule),
            None => Err(fault("never fires: no day of the calendar fits".to_owned())),
        }
    }

    /// The pattern as written.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The time zone that it is meant in.
    pub fn time_zone(&self) -> &TimeZone {
        &self.time_zone
    }

    /// The first time after `now`.
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let start = Moment(now.to_zoned_datetime(self.time_zone.clone()));
        self.cron.find_next_occurrence(&start, false).ok().map(|next| next.0.timestamp())
    }
}

/// The library's reasons as a lower-case fragment.
fn reason(error: &croner::errors::CronError) -> String {
    use croner::errors::CronError;
    let text = match error {
        CronError::InvalidPattern(text)
        | CronError::IllegalCharacters(text)
        | CronError::ComponentError(text) => text.clone(),
        other => other.to_string(),
    };
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// Our time library's moments for the cron library, which knows another major version of it.
#[derive(Clone)]
struct Moment(ZonedDateTime);

impl CronDateTime for Moment {
    fn to_civil(&self) -> CivilDateTime {
        let local = self.0.datetime();
        let number = |value: i8| u32::from(value.unsigned_abs());
        // Both parts come from a time that exists, so neither constructor can refuse them.
        let date =
            CivilDate::from_ymd_opt(i32::from(local.year()), number(local.month()), number(local.day()));
        let time =
            CivilTime::from_hms_opt(number(local.hour()), number(local.minute()), number(local.second()));
        match (date, time) {
            (Some(date), Some(time)) => CivilDateTime::new(date, time),
            _ => unreachable!("a civil time that exists is refused"),
        }
    }

    fn civil_weekday(&self) -> Weekday {
        Weekday::from_days_from_sunday(u32::from(self.0.weekday().to_sunday_zero_offset().unsigned_abs()))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, croner::errors::CronError> {
        let invalid = || croner::errors::CronError::InvalidDate;
        let small = |value: u32| i8::try_from(value).map_err(|_| invalid());
        let local = DateTime::new(
            i16::try_from(civil.year()).map_err(|_| invalid())?,
            small(civil.month())?,
            small(civil.day())?,
            small(civil.hour())?,
            small(civil.minute())?,
            small(civil.second())?,
            0,
        )
        .map_err(|_| invalid())?;
        let ambiguous = self.0.time_zone().to_ambiguous_zoned_datetime(local);
        Ok(match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => {
                Resolution::Single(Self(ambiguous.compatible().map_err(|_| invalid())?))
            }
            AmbiguousOffset::Fold { .. } => Resolution::Ambiguous(
                Self(ambiguous.clone().earlier().map_err(|_| invalid())?),
                Self(ambiguous.later().map_err(|_| invalid())?),
            ),
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        self.0.checked_add(SignedDuration::from_secs(seconds)).ok().map(Self)
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.timestamp().cmp(&other.0.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(pattern: &str, zone: &str, now: &str) -> String {
        let now = now.parse().unwrap();
        let schedule = CronSchedule::parse(pattern, TimeZone::get(zone).unwrap(), now).unwrap();
        schedule.next_after(now).unwrap().to_string()
    }

    #[test]
    fn five_and_six_fields_in_a_zone() {
        assert_eq!(next("*/5 * * * *", "UTC", "2026-11-23T12:01:00Z"), "2026-11-23T12:05:00Z");
        assert_eq!(next("30 0 2 * * *", "Asia/Shanghai", "2026-11-23T12:00:00Z"), "2026-11-23T18:00:30Z");
        assert_eq!(next("0 3 * * MON", "UTC", "2026-11-23T12:00:00Z"), "2026-11-30T03:00:00Z");
    }

    #[test]
    fn daylight_saving_neither_skips_nor_hangs() {
        // 29 March 2026: 02:30 does not exist in Berlin.
        let leap = next("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z");
        assert!(leap.starts_with("2026-03-29T01:") || leap == "2026-03-30T00:30:00Z", "{leap}");
        // 25 October 2026: 02:30 comes twice.
        assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z"), "2026-10-25T00:30:00Z");
    }

    #[test]
    fn malformed_and_never_firing_patterns_are_refused() {
        for (pattern, reason) in [
            ("", "has 0 fields"),
            ("* * * *", "has 4 fields"),
            ("* * * * * * *", "has 7 fields"),
            ("61 * * * *", "is no cron pattern"),
            ("a b c d e", "is no cron pattern"),
            ("0 0 30 2 *", "never fires"),
            ("@every 5m", "is no cron pattern"),
        ] {
            let now = "2026-11-23T12:00:00Z".parse().unwrap();
            let message = CronSchedule::parse(pattern, TimeZone::UTC, now).unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
        }
    }
}
