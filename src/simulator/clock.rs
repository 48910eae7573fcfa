//! Simulated time. Nothing here runs in the background: whoever looks takes the time and brings what it looks at up to
//! date.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// How simulated time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// With real time, plus whatever was advanced: for a demo.
    Automatic,
    /// Only when told to: for tests, which then need no sleep.
    Stepped,
}

/// The simulated clock.
#[derive(Clone, Debug)]
pub struct Clock {
    pace: Pace,
    origin: Timestamp,
    started: Instant,
    advanced: Duration,
}

/// How long things take in simulated time. The defaults make a demo last seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durations {
    /// An operation without the walk over its update domains: two thirds before, one third after.
    pub operation: Duration,
    /// One update domain, from the first instance that stops to the last that is started.
    pub update_domain: Duration,
    /// How long the service waits for an instance that does not start before it goes on. Microsoft's article on
    /// updating a cloud service names 30 minutes.
    pub health_gate: Duration,
}

impl Default for Durations {
    fn default() -> Self {
        Self {
            operation: Duration::from_secs(3),
            update_domain: Duration::from_millis(800),
            health_gate: Duration::from_secs(30 * 60),
        }
    }
}

impl Clock {
    /// A clock that shows `origin` now.
    pub fn new(pace: Pace, origin: Timestamp) -> Self {
        Self { pace, origin, started: Instant::now(), advanced: Duration::ZERO }
    }

    /// The simulated time.
    pub fn now(&self) -> Timestamp {
        match self.pace {
            Pace::Automatic => self.origin + self.advanced + self.started.elapsed(),
            Pace::Stepped => self.origin + self.advanced,
        }
    }

    /// How time passes.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// Moves time forward.
    pub fn advance(&mut self, by: Duration) {
        self.advanced += by;
    }
}

/// `2023-02-20T06:16:45.978514Z`, as `systemData` has it in the recordings: at most seven digits of a second.
pub(crate) fn utc(time: Timestamp) -> String {
    format!("{}{}Z", time.strftime("%Y-%m-%dT%H:%M:%S"), fraction(time))
}

/// `2023-02-20T06:16:45.9003596+00:00`, as operations and instance views have it in the recordings.
pub(crate) fn utc_with_offset(time: Timestamp) -> String {
    format!("{}{}+00:00", time.strftime("%Y-%m-%dT%H:%M:%S"), fraction(time))
}

/// The `date` header's form.
pub(crate) fn http_date(time: Timestamp) -> String {
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn fraction(time: Timestamp) -> String {
    let ticks = time.subsec_nanosecond().unsigned_abs() / 100;
    if ticks == 0 {
        return String::new();
    }
    format!(".{ticks:07}").trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stands_still_until_stepped() {
        let origin: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let mut clock = Clock::new(Pace::Stepped, origin);
        assert_eq!(clock.now(), origin);
        clock.advance(Duration::from_millis(1500));
        assert_eq!(utc(clock.now()), "2026-11-23T12:00:01.5Z");
        assert_eq!(utc_with_offset(origin), "2026-11-23T12:00:00+00:00");
        assert_eq!(http_date(origin), "Mon, 23 Nov 2026 12:00:00 GMT");
    }
}
