//! When a change may start: weekly windows in a time zone.

use std::str::FromStr;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use thiserror::Error;

/// One or more weekly windows.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The windows; a change may start in any of them.
    pub weekly: Vec<WeeklyWindow>,
    /// The zone that their times are in.
    pub time_zone: TimeZone,
}

/// Such as `Tue-Thu 02:00-04:00`. An end at or before the start lies on the following day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeeklyWindow {
    days: Vec<Weekday>,
    from: Time,
    until: Time,
}

/// A text that is no weekly window.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "`{found}` is no weekly window: {reason}; expected days and hours such as `Tue-Thu 02:00-04:00` or `Sat,Sun 22:00-06:00`"
)]
pub struct ParseWindowError {
    /// The text.
    pub found: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl FromStr for WeeklyWindow {
    type Err = ParseWindowError;

    /// # Errors
    /// Days or hours are missing or malformed.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = |reason| ParseWindowError { found: text.to_owned(), reason };
        let (days, hours) = text.trim().rsplit_once(' ').ok_or_else(|| fault("days or hours are missing"))?;
        let (from, until) = hours.split_once('-').ok_or_else(|| fault("the hours have no end"))?;
        let time = |text: &str| {
            let (hour, minute) =
                text.split_once(':').ok_or_else(|| fault("a time is not written as HH:MM"))?;
            let number = |text: &str| text.parse::<i8>().map_err(|_| fault("a time is not written as HH:MM"));
            Time::new(number(hour)?, number(minute)?, 0, 0).map_err(|_| fault("a time does not exist"))
        };
        let mut named = Vec::new();
        for part in days.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (
                day_index(first).ok_or_else(|| fault("a day is not one of Mon to Sun"))?,
                day_index(last).ok_or_else(|| fault("a day is not one of Mon to Sun"))?,
            );
            let count = (last + 7 - first) % 7;
            named.extend((0..=count).map(|step| DAYS[(first + step) % 7].1));
        }
        named.dedup();
        Ok(Self { days: named, from: time(from)?, until: time(until)? })
    }
}

fn day_index(text: &str) -> Option<usize> {
    let text = text.trim().to_ascii_lowercase();
    let short = text.get(..3)?;
    let index = DAYS.iter().position(|(name, _)| *name == short)?;
    let full = format!("{:?}", DAYS[index].1).to_ascii_lowercase();
    (text == short || text == full).then_some(index)
}

impl Window {
    /// When a change may start, not before `now`: `now` itself within a window, else the start of the next one.
    /// `None` where no start can be found, which only an empty list gives.
    ///
    /// Daylight saving: a start that the clock leaps over begins at the leap; an hour that comes twice counts twice.
    pub fn opens(&self, now: Timestamp) -> Option<Timestamp> {
        self.around(now).into_iter().map(|(from, _)| from.max(now)).min()
    }

    /// When the window that is open at `now` closes: the last of several that overlap. `None` where none is open.
    pub fn closes(&self, now: Timestamp) -> Option<Timestamp> {
        self.around(now).into_iter().filter(|(from, _)| *from <= now).map(|(_, until)| until).max()
    }

    /// Beginnings and ends that are not over at `now`, from yesterday's, which may reach into today, to those of the same
    /// day of next week.
    fn around(&self, now: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let today = self.time_zone.to_datetime(now).date();
        let mut all = Vec::new();
        for weekly in &self.weekly {
            for ahead in -1..=8_i64 {
                let Ok(date) = today.checked_add(Span::new().days(ahead)) else { continue };
                if !weekly.days.contains(&date.weekday()) {
                    continue;
                }
                let last_day = if weekly.until > weekly.from { Ok(date) } else { date.checked_add(1.day()) };
                let bounds = last_day.ok().and_then(|last_day| {
                    let from = self
                        .time_zone
                        .to_ambiguous_zoned_datetime(date.to_datetime(weekly.from))
                        .compatible()
                        .ok()?;
                    let until = self
                        .time_zone
                        .to_ambiguous_zoned_datetime(last_day.to_datetime(weekly.until))
                        .later()
                        .ok()?;
                    Some((from.timestamp(), until.timestamp()))
                });
                all.extend(bounds.filter(|(_, until)| *until > now));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(zone: &str, weekly: &[&str]) -> Window {
        Window {
            weekly: weekly.iter().map(|text| text.parse().unwrap()).collect(),
            time_zone: TimeZone::get(zone).unwrap(),
        }
    }

    fn opens(window: &Window, now: &str) -> String {
        window.opens(now.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn inside_is_now_and_outside_is_the_next_start() {
        let shanghai = window("Asia/Shanghai", &["Tue-Thu 02:00-04:00"]);
        assert_eq!(opens(&shanghai, "2026-11-23T12:00:00Z"), "2026-11-23T18:00:00Z");
        assert_eq!(opens(&shanghai, "2026-11-23T19:30:00Z"), "2026-11-23T19:30:00Z");
        assert_eq!(opens(&shanghai, "2026-11-23T20:00:00Z"), "2026-11-24T18:00:00Z");
        assert_eq!(opens(&shanghai, "2026-11-26T00:00:00Z"), "2026-11-30T18:00:00Z");
    }

    #[test]
    fn an_open_window_tells_when_it_closes() {
        let closes =
            |window: &Window, now: &str| window.closes(now.parse().unwrap()).map(|at| at.to_string());
        let shanghai = window("Asia/Shanghai", &["Tue-Thu 02:00-04:00", "Tue 03:00-05:00"]);
        assert_eq!(closes(&shanghai, "2026-11-23T18:00:00Z").unwrap(), "2026-11-23T20:00:00Z");
        assert_eq!(closes(&shanghai, "2026-11-23T19:30:00Z").unwrap(), "2026-11-23T21:00:00Z");
        assert_eq!(closes(&shanghai, "2026-11-23T21:00:00Z"), None);
        assert_eq!(closes(&shanghai, "2026-11-23T17:59:59Z"), None);
    }

    #[test]
    fn windows_over_midnight_and_over_the_week_end() {
        let night = window("UTC", &["Sat-Mon 22:00-06:00"]);
        assert_eq!(opens(&night, "2026-11-24T05:59:00Z"), "2026-11-24T05:59:00Z");
        assert_eq!(opens(&night, "2026-11-24T06:00:00Z"), "2026-11-28T22:00:00Z");
        let all_day = window("UTC", &["Wed 00:00-00:00"]);
        assert_eq!(opens(&all_day, "2026-11-25T23:59:59Z"), "2026-11-25T23:59:59Z");
    }

    #[test]
    fn daylight_saving_neither_loses_nor_lengthens_a_window() {
        let berlin = window("Europe/Berlin", &["Sun 02:30-03:30"]);
        // 29 March 2026: 02:00 leaps to 03:00, so the window begins at the time that 02:30 became.
        assert_eq!(opens(&berlin, "2026-03-28T12:00:00Z"), "2026-03-29T01:30:00Z");
        // 25 October 2026: 02:30 comes twice; the window opens at the first and ends after the second.
        assert_eq!(opens(&berlin, "2026-10-24T12:00:00Z"), "2026-10-25T00:30:00Z");
        assert_eq!(opens(&berlin, "2026-10-25T02:00:00Z"), "2026-10-25T02:00:00Z");
        assert_eq!(opens(&berlin, "2026-10-25T02:30:00Z"), "2026-11-01T01:30:00Z");
    }

    #[test]
    fn malformed_windows_say_why() {
        for (text, reason) in [
            ("02:00-04:00", "days or hours"),
            ("Tue 02:00", "no end"),
            ("Tue 2-4", "HH:MM"),
            ("Tue 25:00-26:00", "does not exist"),
            ("Tues 02:00-04:00", "Mon to Sun"),
            ("Tuesday-Thursday 02:00-4x:00", "HH:MM"),
        ] {
            let fault = text.parse::<WeeklyWindow>().unwrap_err().to_string();
            assert!(fault.contains(reason) && fault.contains("Tue-Thu 02:00-04:00"), "{fault}");
        }
        assert!("Tuesday,Sat-Mon 02:00-04:00".parse::<WeeklyWindow>().is_ok());
    }
}
