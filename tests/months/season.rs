//! What happens around the program while it works: at the wire, in the journal, and by chance. Everything that goes wrong
//! is planted here, so that an ending can be held against what was planted.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use certroll_simulator::cloud::Cloud;
use certroll_simulator::service::instance::InstanceState;
use certroll_simulator::service::operation::End;
use jiff::{SignedDuration, Timestamp};

use super::fleet::Fleet;
use super::journal::Course;
use super::tally::Tally;
use super::trouble::Trouble;
use super::weather::{Happening, Outage};
use crate::support::chance::Chance;

/// Azure's own limit of an operation, as its header `x-ms-async-operation-timeout` names it.
const GIVEN_UP: SignedDuration = SignedDuration::from_mins(8 * 60 + 20);
/// A certificate that ends within this time overrides windows.
pub(super) const URGENT: SignedDuration = SignedDuration::from_hours(3 * 24);

/// The state of a seed that is not the cloud's and not the program's.
pub(super) struct Season {
    pub(super) fleet: Fleet,
    pub(super) chance: Chance,
    pub(super) queue: BTreeMap<(Timestamp, u64), Happening>,
    pub(super) queued: u64,
    pub(super) outages: Vec<Outage>,
    pub(super) open: BTreeMap<usize, Course>,
    /// The last rollout of each service.
    pub(super) last: BTreeMap<usize, Course>,
    /// The references that rollouts of each service brought and did not leave in place.
    pub(super) failed: BTreeMap<usize, Vec<BTreeSet<String>>>,
    pub(super) tally: Tally,
    /// What must not be.
    pub(super) wrong: Vec<String>,
    pub(super) story: Story,
    /// Instances that went down by themselves.
    pub(super) down: BTreeSet<(usize, usize)>,
    /// What was planted since the pass began.
    pub(super) recent: BTreeSet<(Option<usize>, Trouble)>,
    /// Operations that certroll started.
    pub(super) ours: HashSet<String>,
    /// The operation that ran when the request that is being answered arrived.
    pub(super) before: Option<String>,
    /// How often the faults that wait have struck.
    pub(super) struck: u32,
    pub(super) armed: bool,
    /// Requests of this pass.
    pub(super) requests: u64,
    /// When the pass began.
    pub(super) began: Timestamp,
}

/// Whether a seed tells what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// It keeps silent.
    Nothing,
    /// It keeps its story.
    Kept,
    /// It prints its story while it happens.
    Aloud,
}

/// What a seed tells, one line an event.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) lines: Vec<String>,
    pub(super) telling: Telling,
}

impl Story {
    pub(super) fn tell(&mut self, at: Timestamp, what: impl fmt::Display) {
        match self.telling {
            Telling::Nothing => {}
            Telling::Kept => self.lines.push(format!("{at:.0}  {what}")),
            Telling::Aloud => println!("{at:.0}  {what}"),
        }
    }
}

impl Season {
    pub(super) fn new(fleet: Fleet, chance: Chance, telling: Telling) -> Self {
        Self {
            fleet,
            chance,
            queue: BTreeMap::new(),
            queued: 0,
            outages: Vec::new(),
            open: BTreeMap::new(),
            last: BTreeMap::new(),
            failed: BTreeMap::new(),
            tally: Tally::default(),
            wrong: Vec::new(),
            story: Story { lines: Vec::new(), telling },
            down: BTreeSet::new(),
            recent: BTreeSet::new(),
            ours: HashSet::new(),
            before: None,
            struck: 0,
            armed: false,
            requests: 0,
            began: Timestamp::MIN,
        }
    }

    /// Something that must not be was seen.
    pub(super) fn wrong(&mut self, at: Timestamp, what: impl fmt::Display) {
        self.story.tell(at, format_args!("WRONG: {what}"));
        self.wrong.push(format!("{at:.0}  {what}"));
    }

    /// Something was planted that may explain an ending: of one service, or of all.
    pub(super) fn trouble(&mut self, service: Option<usize>, trouble: Trouble) {
        self.recent.insert((service, trouble));
        for course in self.open.values_mut().filter(|course| service.is_none_or(|one| one == course.service))
        {
            course.troubles.insert(trouble);
        }
    }

    /// A pass begins: what it finds is what it plans from.
    pub(super) fn pass_begins(&mut self, at: Timestamp) {
        (self.began, self.requests) = (at, 0);
        self.recent.clear();
    }

    /// Faults were added to the cloud.
    pub(super) fn armed(&mut self) {
        self.armed = true;
    }

    /// Takes away every fault that has not struck.
    pub(super) fn disarm(&mut self, cloud: &mut Cloud) {
        cloud.faults.clear();
        (self.armed, self.struck) = (false, 0);
    }

    /// Lets happen what is due, and ends operations as Azure does that has waited for too long.
    pub(super) fn tick(&mut self, cloud: &mut Cloud) {
        let now = cloud.now();
        while let Some(due) = self.queue.first_entry().filter(|first| first.key().0 <= now) {
            let happening = due.remove();
            self.happen(cloud, happening);
        }
        let hung: Vec<String> = cloud
            .services
            .iter()
            .filter(|service| {
                let started = service.operation().and_then(|id| cloud.operations.get(id));
                started.is_some_and(|one| now.duration_since(one.started) >= GIVEN_UP)
            })
            .map(|service| service.id.name.clone())
            .collect();
        for name in hung {
            self.story.tell(now, format_args!("{name}: Azure gives an operation up"));
            let (code, message) = ("OperationTimedOut".to_owned(), "The operation timed out.".to_owned());
            cloud.end_operation(&name, End::Failed { code, message });
        }
    }
}

/// Whether an instance is down by itself and may come up again.
pub(super) fn is_down(cloud: &Cloud, service: &str, instance: usize) -> bool {
    cloud
        .service(service)
        .and_then(|service| service.instances.get(instance))
        .is_some_and(|instance| instance.state == InstanceState::Unresponsive)
}
