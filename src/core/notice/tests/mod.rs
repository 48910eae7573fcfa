//! What is told, and when, as stories of looks.

mod endings;
mod looks;
mod many;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Memory, NearExpiry, Notice, NoticeKind, Watch, WatchLimits};
use crate::plan::tests::world::{World, now};
use crate::plan::{Occasion, PlanReport};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn limits() -> WatchLimits {
    WatchLimits {
        near_expiry: NearExpiry { percent: 20, days: 30 },
        unreadable_for: HOUR,
        credentials_for: HOUR / 4,
        remind_after: 24 * HOUR,
    }
}

fn watch() -> Watch {
    Watch::new(limits(), Memory::default())
}

fn after(hours: i64) -> Timestamp {
    now() + SignedDuration::from_hours(hours)
}

fn report(world: &World) -> PlanReport {
    world.report(Occasion::Unattended)
}

fn kinds(notices: &[Notice]) -> Vec<NoticeKind> {
    notices.iter().map(|notice| notice.kind).collect()
}

/// What another process would go on with.
fn restarted(watch: &Watch) -> Watch {
    let text = serde_json::to_string(watch.memory()).unwrap();
    Watch::new(limits(), serde_json::from_str(&text).unwrap())
}

#[test]
fn every_kind_is_found_by_its_word_and_written_as_it() {
    for kind in NoticeKind::all() {
        assert_eq!(kind.word().parse(), Ok(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
    }
    assert_eq!("blockd".parse::<NoticeKind>(), Err(()));
}
