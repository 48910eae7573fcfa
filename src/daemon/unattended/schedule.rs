//! The times of looks.

use std::sync::Arc;
use std::time::Duration;

use certroll_core::ports::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::generation::Generation;
use super::state::State;
use crate::activation::{Activator, Reason};
use crate::config::PollSettings;

/// Longest time between two readings of the clock. It bounds how late a look is after a clock was set or a machine
/// slept.
const SLICE: SignedDuration = SignedDuration::from_secs(30);

/// Asks for looks at the times of the schedule, until the process stops.
pub async fn run(
    mut generations: watch::Receiver<Arc<Generation>>,
    clock: Arc<dyn Clock>,
    state: Arc<State>,
    activator: Activator,
) {
    loop {
        let poll = generations.borrow_and_update().settings.poll.clone();
        let Some(next) = next(&poll, clock.now(), chance(poll.jitter)) else {
            // The calendar has ended.
            return;
        };
        state.next_look(next);
        tokio::select! {
            due = wait(&poll, next, clock.as_ref()) => {
                if due && activator.activate(Reason::Schedule).is_err() {
                    return;
                }
            }
            changed = generations.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
    }
}

/// The next look after `now`.
fn next(poll: &PollSettings, now: Timestamp, jitter: Duration) -> Option<Timestamp> {
    poll.next_after(now)?.checked_add(jitter).ok()
}

/// Waits until `next`; `false` where the clock was set back, so that it is no longer the next time.
async fn wait(poll: &PollSettings, next: Timestamp, clock: &dyn Clock) -> bool {
    loop {
        let now = clock.now();
        if now >= next {
            return true;
        }
        if is_too_far(poll, now, next) {
            return false;
        }
        clock.sleep_until(next.min(now.checked_add(SLICE).unwrap_or(next))).await;
    }
}

/// Whether the schedule, asked now, would come before `next` whatever the jitter.
fn is_too_far(poll: &PollSettings, now: Timestamp, next: Timestamp) -> bool {
    self::next(poll, now, poll.jitter).is_some_and(|latest| latest < next)
}

/// A part of the jitter, by chance.
fn chance(jitter: Duration) -> Duration {
    jitter.mul_f64(rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{CronSchedule, PollTrigger};
    use jiff::tz::TimeZone;

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    fn every(seconds: u64) -> PollSettings {
        let trigger = PollTrigger::Every(Duration::from_secs(seconds));
        PollSettings { trigger, jitter: Duration::from_secs(30) }
    }

    fn cron(pattern: &str, zone: &str) -> PollSettings {
        let schedule =
            CronSchedule::parse(pattern, TimeZone::get(zone).unwrap(), at("2026-01-01T00:00:00Z")).unwrap();
        PollSettings { trigger: PollTrigger::Schedule(Box::new(schedule)), jitter: Duration::from_secs(30) }
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_look_wait_for_years() {
        for poll in [every(300), cron("*/5 * * * *", "UTC")] {
            let next = next(&poll, at("2036-01-01T00:01:00Z"), Duration::ZERO).unwrap();
            assert!(is_too_far(&poll, at("2026-11-23T12:00:00Z"), next));
            // Neither the usual wait nor a jitter is taken for that.
            let wanted = self::next(&poll, at("2026-11-23T12:01:00Z"), Duration::from_secs(30)).unwrap();
            for now in ["2026-11-23T12:01:00Z", "2026-11-23T12:03:10Z", "2026-11-23T12:04:59Z"] {
                assert!(!is_too_far(&poll, at(now), wanted), "{now}");
            }
        }
    }

    #[test]
    fn no_hour_of_a_night_with_daylight_saving_goes_without_looks() {
        let poll = cron("*/30 * * * *", "Europe/Berlin");
        for night in ["2026-03-28T22:10:00Z", "2026-10-24T22:10:00Z"] {
            let mut now = at(night);
            for _ in 0..12 {
                let next = next(&poll, now, Duration::ZERO).unwrap();
                let waited = next.duration_since(now);
                assert!(waited.is_positive() && waited <= SignedDuration::from_mins(30), "{now} {next}");
                now = next;
            }
        }
    }

    /// A clock that tests set.
    #[derive(Default)]
    struct Steps {
        now: std::sync::Mutex<Timestamp>,
        slept: std::sync::Mutex<Vec<Timestamp>>,
    }

    #[async_trait::async_trait]
    impl Clock for Steps {
        fn now(&self) -> Timestamp {
            *self.now.lock().unwrap()
        }

        async fn sleep_until(&self, until: Timestamp) {
            self.slept.lock().unwrap().push(until);
            // The machine slept as well: the clock is far ahead afterwards.
            *self.now.lock().unwrap() = until.checked_add(SignedDuration::from_hours(1)).unwrap();
        }
    }

    #[tokio::test]
    async fn a_machine_that_slept_looks_as_soon_as_it_wakes() {
        let clock = Steps::default();
        *clock.now.lock().unwrap() = at("2026-11-23T12:00:00Z");
        let poll = every(300);
        let next = next(&poll, clock.now(), Duration::ZERO).unwrap();
        assert!(wait(&poll, next, &clock).await);
        assert_eq!(*clock.slept.lock().unwrap(), [at("2026-11-23T12:00:30Z")]);
    }
}
