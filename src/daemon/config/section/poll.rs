//! `[poll]`: when certroll looks.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::check::Checker;
use crate::config::cron::CronSchedule;

/// `[poll]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PollKeys {
    /// A cron pattern of five fields, or six with seconds first.
    schedule: Option<At<String>>,
    /// A fixed interval, instead of `schedule`.
    every: Option<At<String>>,
    /// The time zone that `schedule` is meant in.
    time_zone: At<String>,
    /// A look starts up to this much later, by chance.
    jitter: At<String>,
}

/// When certroll looks.
#[derive(Clone, Debug, PartialEq)]
pub struct PollSettings {
    /// What gives the times.
    pub trigger: PollTrigger,
    /// A look starts up to this much later, by chance.
    pub jitter: Duration,
}

/// What gives the times of looks.
#[derive(Clone, Debug, PartialEq)]
pub enum PollTrigger {
    /// A cron pattern in its time zone.
    Schedule(Box<CronSchedule>),
    /// A fixed interval.
    Every(Duration),
}

impl PollSettings {
    /// The first time after `now`, without jitter. `None` where the calendar ends before.
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.trigger {
            PollTrigger::Schedule(schedule) => schedule.next_after(now),
            PollTrigger::Every(every) => now.checked_add(*every).ok(),
        }
    }
}

/// Shortest interval: Key Vault's quota is counted over ten seconds, and a look must have time to end.
const LEAST: Duration = Duration::from_secs(1);
/// Longest interval: a certificate must be noticed while it is still worth carrying.
const MOST: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Longest jitter.
const JITTER_MOST: Duration = Duration::from_secs(60 * 60);

pub(crate) fn check(keys: &PollKeys, checker: &mut Checker<'_>) -> Option<PollSettings> {
    let zone = checker.time_zone(&keys.time_zone);
    let jitter = checker.duration(&keys.jitter, Duration::ZERO, JITTER_MOST);
    let trigger = match (&keys.schedule, &keys.every) {
        (Some(schedule), Some(every)) => {
            // Both are read all the same, so that what is wrong with them is told too.
            let _ = zone.and_then(|zone| cron(schedule, zone, checker));
            let _ = checker.duration(every, LEAST, MOST);
            let place = checker.sources.place(&schedule.span);
            checker
                .error(&every.span, format!("`schedule` is set too, at {place}"))
                .expect("one of the two: `schedule` for times of the clock, `every` for an interval");
            None
        }
        (Some(schedule), None) => zone.and_then(|zone| cron(schedule, zone, checker)),
        (None, Some(every)) => {
            let interval = checker.duration(every, LEAST, MOST);
            if let (Some(interval), Some(jitter)) = (interval, jitter)
                && jitter > interval
            {
                checker
                    .error(&keys.jitter.span, format!("`{}` is longer than the interval", keys.jitter.value))
                    .expect(format!("at most `{}`, the value of `every`", every.value));
            }
            interval.map(PollTrigger::Every)
        }
        // The defaults hold `schedule`, and are laid under whatever names neither.
        (None, None) => None,
    };
    Some(PollSettings { trigger: trigger?, jitter: jitter? })
}

fn cron(at: &At<String>, zone: jiff::tz::TimeZone, checker: &mut Checker<'_>) -> Option<PollTrigger> {
    match CronSchedule::parse(&at.value, zone, checker.now) {
        Ok(schedule) => Some(PollTrigger::Schedule(Box::new(schedule))),
        Err(fault) => {
            checker
                .error(&at.span, fault.to_string())
                .expect("five or six fields such as `*/5 * * * *`: [second] minute hour day month weekday");
            None
        }
    }
}
