//! Every way that a rollout can go: from each place every answer that the outside can give, and a crash wherever one
//! hurts. Places are told apart by what decides the future, times relative to now, so that the search ends; a place
//! that is its own successor would be a rollout without an end.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::super::{
    Action, Cause, Ending, Event, Limits, Phase, Rollout, Stage, Trace, give_up, next_action,
};
use super::*;

/// Short limits in long intervals: a handful of looks exhausts each.
const LIMITS: Limits = Limits {
    poll_interval: Duration::from_secs(60),
    no_progress: Duration::from_secs(180),
    operation: Duration::from_secs(240),
    settle: Duration::from_secs(60),
    probe: Duration::from_secs(60),
    busy: Duration::from_secs(120),
};

/// Crashes on one path.
const CRASHES: u8 = 2;

/// What an observer knows who sees every call, besides the rollout itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Witness {
    fate: Fate,
    /// A PUT of either phase may have had an effect.
    touched: bool,
    /// The last evidence: in which phase, and whether it was right.
    evidence: Option<(bool, bool)>,
    crashes: u8,
}

/// What became of the last PUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fate {
    /// None was sent, or it has come to its end.
    Settled,
    /// Nobody knows; this many looks in a row found nothing of it.
    Unknown(u32),
    /// An operation was seen to run.
    Running,
}

#[derive(Clone)]
struct Place {
    rollout: Rollout,
    now: Timestamp,
    witness: Witness,
}

impl Place {
    fn start(manual: bool) -> Self {
        let rollout = fold(&[opened()]);
        // The mode is read from what is captured, which every path does first.
        let rollout = rollout.apply(at(0), &captured(manual)).unwrap();
        let witness = Witness { fate: Fate::Settled, touched: false, evidence: None, crashes: 0 };
        Self { rollout, now: at(0), witness }
    }

    /// Everything by which the future of two places can differ.
    fn key(&self) -> String {
        let ago = |at: Timestamp| self.now.duration_since(at).as_secs();
        let stage = match &self.rollout.stage {
            Stage::BeforePut { not_before, busy_since } => {
                format!("before {} {:?}", ago(*not_before).min(0), busy_since.map(ago))
            }
            Stage::Refused { at, busy, .. } => format!("refused {} {busy}", ago(*at)),
            Stage::Unknown { since, trace, .. } => match trace {
                Trace::None { looks, last } => format!("unknown {} {looks} {}", ago(*since), ago(*last)),
                other => format!("unknown {} {other:?}", ago(*since)),
            },
            Stage::Operating { next_domain, since, .. } => {
                format!("operating {next_domain:?} {}", ago(*since))
            }
            Stage::Ended { outcome, .. } => format!("ended {outcome:?}"),
            Stage::Over { ending, recorded } => format!("over {} {recorded}", ending.word()),
            other => other.word().to_owned(),
        };
        let Rollout { phase, puts, deferrals, changed, .. } = &self.rollout;
        format!("{stage} {phase:?} {puts} {deferrals} {changed} {:?}", self.witness)
    }

    /// The place after some events, each of which the fold must accept; repetitions are not written.
    fn after(&self, now: Timestamp, events: &[Event]) -> Self {
        let mut next = Self { rollout: self.rollout.clone(), now, witness: self.witness };
        for event in events {
            next.witness.see(event, &next.rollout);
            if next.rollout.is_repetition(event) {
                continue;
            }
            let stage = next.rollout.stage.clone();
            next.rollout = match next.rollout.apply(now, event) {
                Ok(rollout) => rollout,
                Err(error) => panic!("{error} at {stage:?}"),
            };
        }
        next
    }

    fn crashed(mut self) -> Self {
        self.witness.crashes += 1;
        self
    }

    /// Every place that can come next. Asserts what must hold of the action that leads there.
    fn successors(&self) -> Vec<Self> {
        let may_crash = self.witness.crashes < CRASHES;
        let unreadable = || give_up(&self.rollout, Cause::NotReadable { message: "403".to_owned() });
        match next_action(&self.rollout, self.now, &LIMITS) {
            Action::Capture => unreachable!("it begins captured"),
            Action::Look { not_before } => self.looks(self.now.max(not_before)),
            Action::Put { phase } => {
                self.assert_may_send(phase);
                let mut next: Vec<Self> = [accepted(), refused(), ambiguous()]
                    .map(|answer| self.after(self.now, &[put(phase), answer]))
                    .to_vec();
                // Put off once, and once too often; `actions` counts the times between.
                if self.rollout.deferrals == 0 {
                    let once = self.after(self.now, &[put(phase), deferred()]);
                    let mut often = once.clone();
                    often.rollout.deferrals = 16;
                    next.extend([once, often]);
                }
                if may_crash {
                    next.push(self.after(self.now, &[put(phase)]).crashed());
                    // Before anything was written: the new process has no fresh look, and makes one.
                    next.extend(self.looks(self.now).into_iter().map(Self::crashed));
                }
                next
            }
            Action::Follow { .. } => {
                [succeeded(), failed(), too_long()].map(|end| self.after(self.now, &[end])).to_vec()
            }
            Action::Walk { from, .. } => {
                let walk = Event::WalkStarted { domain: from };
                let done = |last| Event::DomainDone { domain: from, last };
                let mut next = vec![
                    self.after(self.now, &[walk.clone(), done(true)]),
                    self.after(self.now, &[walk.clone(), failed()]),
                    self.after(self.now, &[walk.clone(), too_long()]),
                    self.after(self.now, &[failed()]),
                ];
                if from < 2 {
                    next.push(self.after(self.now, &[walk.clone(), done(false)]));
                }
                if may_crash {
                    next.push(self.after(self.now, &[walk]).crashed());
                }
                next
            }
            Action::Examine { .. } => {
                let seen = [right(&self.rollout), unhealthy(&self.rollout), foreign(&self.rollout)];
                let mut next: Vec<Self> =
                    seen.map(|evidence| self.after(self.now, &[examined(evidence)])).to_vec();
                next.push(self.after(self.now, &[unreadable()]));
                next
            }
            Action::Record(event) => vec![self.after(self.now, &[event])],
            Action::Done(ending) => {
                self.assert_may_end(&ending);
                Vec::new()
            }
        }
    }

    fn looks(&self, now: Timestamp) -> Vec<Self> {
        let unreadable = give_up(&self.rollout, Cause::NotReadable { message: "403".to_owned() });
        let mut next: Vec<Self> = every_found().map(|found| self.after(now, &[looked(found)])).to_vec();
        next.push(self.after(now, &[unreadable]));
        next
    }

    fn assert_may_send(&self, phase: Phase) {
        assert!(self.rollout.captured().is_some(), "nothing is sent before there is something to return to");
        assert_eq!(phase, self.rollout.phase());
        match self.witness.fate {
            Fate::Settled => {}
            Fate::Unknown(looks) => assert!(looks >= Limits::LOOKS, "sent again after {looks} looks"),
            Fate::Running => panic!("a PUT into a running operation: {}", self.key()),
        }
    }

    fn assert_may_end(&self, ending: &Ending) {
        match ending {
            Ending::Abandoned { .. } => assert!(!self.witness.touched, "{}", self.key()),
            Ending::Verified => assert_eq!(self.witness.evidence, Some((true, true)), "{}", self.key()),
            Ending::Restored { .. } => {
                assert_eq!(self.witness.evidence, Some((false, true)), "{}", self.key());
            }
            Ending::Stuck { cause } => {
                assert!(self.witness.touched, "nobody is called for nothing: {}", self.key());
                assert!(!cause.to_string().is_empty());
                let back = self.rollout.phase() == Phase::Back;
                assert_eq!(matches!(cause, Cause::RestoreFailed { .. }), back, "{cause}");
            }
        }
        assert_eq!(self.rollout.ending(), Some(ending));
    }
}

impl Witness {
    fn see(&mut self, event: &Event, rollout: &Rollout) {
        match event {
            Event::PutStarted { .. } => self.fate = Fate::Unknown(0),
            Event::PutAccepted { .. } => {
                self.fate = Fate::Running;
                self.touched = true;
            }
            Event::PutRefused { .. } | Event::PutDeferred { .. } => self.fate = Fate::Settled,
            Event::PutAmbiguous { .. } => self.touched = true,
            Event::Looked { found } => {
                // A PUT without an answer: the process crashed.
                self.touched |= matches!(self.fate, Fate::Unknown(_));
                // It was refused, and took effect all the same.
                self.touched |= matches!(rollout.stage, Stage::Refused { .. })
                    && matches!(found, Found::Wanted | Found::WantedBusy | Found::WantedFailed);
                self.fate = match (found, self.fate) {
                    (Found::Busy { .. } | Found::WantedBusy, _) => Fate::Running,
                    (Found::Unchanged, Fate::Unknown(looks)) => Fate::Unknown(looks + 1),
                    _ => Fate::Settled,
                };
            }
            Event::OperationEnded { outcome: OperationOutcome::TooLong { .. } } => self.fate = Fate::Running,
            Event::OperationEnded { .. } => self.fate = Fate::Settled,
            Event::Examined { evidence } => {
                let forward = rollout.phase() == Phase::Forward;
                self.evidence = Some((forward, **evidence == right(rollout)));
            }
            Event::TurnedBack { .. } => self.evidence = None,
            // A process that ended after `put started` and gave up looking knows no more.
            Event::Ended { .. } => self.touched |= matches!(self.fate, Fate::Unknown(_)),
            Event::Opened { .. }
            | Event::Captured { .. }
            | Event::WalkStarted { .. }
            | Event::DomainDone { .. } => {}
        }
    }
}

/// Walks everything that can be reached. Returns the places and the longest path.
fn walk(start: Place) -> (usize, usize) {
    enum Step {
        Enter(Box<Place>),
        Leave(String),
    }
    let mut depth: HashMap<String, usize> = HashMap::new();
    let mut children: HashMap<String, Vec<String>> = HashMap::new();
    let mut open: HashSet<String> = HashSet::new();
    let root = start.key();
    let mut steps = vec![Step::Enter(Box::new(start))];
    while let Some(step) = steps.pop() {
        match step {
            Step::Enter(place) => {
                let key = place.key();
                assert!(!open.contains(&key), "a rollout that never ends: {key}");
                if depth.contains_key(&key) {
                    continue;
                }
                // A wait without a limit makes a new place with each look.
                assert!(open.len() < 500, "a rollout that goes on and on: {key}");
                open.insert(key.clone());
                let next = place.successors();
                children.insert(key.clone(), next.iter().map(Place::key).collect());
                steps.push(Step::Leave(key));
                steps.extend(next.into_iter().map(|place| Step::Enter(Box::new(place))));
            }
            Step::Leave(key) => {
                open.remove(&key);
                let longest = children[&key].iter().map(|child| depth[child] + 1).max().unwrap_or(0);
                depth.insert(key, longest);
            }
        }
    }
    (depth.len(), depth[&root])
}

fn every_way_ends_and_ends_rightly(manual: bool) {
    let (places, longest) = walk(Place::start(manual));
    assert!(places > 1000, "the search sees {places} places");
    assert!(longest < 150, "the longest way has {longest} steps");
}

#[test]
fn every_way_of_a_service_that_walks_by_itself() {
    every_way_ends_and_ends_rightly(false);
}

#[test]
fn every_way_of_a_service_that_is_walked() {
    every_way_ends_and_ends_rightly(true);
}
