//! The one task that looks and begins. A look is made for any number of reasons; it never overlaps itself, and what it
//! begins is led beside it, so that a rollout of hours keeps nobody else waiting.
//!
//! Only what the last look found is begun: no queue of changes grows old here. Where more is planned than may run at once,
//! or a later stage waits for an earlier one, the look after the next ending decides anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use certroll_core::gap::{EventGap, EventGaps};
use certroll_core::id::CloudServiceId;
use certroll_core::plan::{ApprovedUpdate, Occasion, PlanReport, Status};
use certroll_core::policy::Mode;
use certroll_core::ports::{Clock, JournalError, Recorded};
use certroll_core::rollout::{Ending, Event, Initiator};
use certroll_engine::pass;
use certroll_engine::rollout::Outcome;
use certroll_engine::rollouts::Carried;
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::generation::Generation;
use super::heart::Heart;
use super::state::State;
use crate::activation::{Activations, Activator, Reason};

/// Longest look. Each call has its own limits, and hundreds of services in slow vaults fit; beyond this something hangs.
const LOOK: Duration = Duration::from_secs(15 * 60);
/// Time between two words of a reconciler that has nothing to do.
const IDLE: Duration = Duration::from_secs(15);
/// How far behind its word the reconciler may be on a busy machine.
const SLACK: Duration = Duration::from_secs(45);
/// Wait before a service is tried again whose change could not begin or was abandoned; doubled each time.
const AGAIN: SignedDuration = SignedDuration::from_secs(30);
/// Longest such wait: a poll is never longer in coming.
const AGAIN_MOST: SignedDuration = SignedDuration::from_mins(30);

/// Least time between the begins of two looks that only events ask for. Each object that a person uploads makes several
/// events, and anybody who may deliver can send thousands; the first of them still starts a look at once.
pub const EVENTS_APART: Duration = Duration::from_secs(1);

/// Why the reconciler ends before it is asked to.
#[derive(Debug, Error)]
pub enum ReconcileError {
    /// The journal cannot be read at the start: it is not known what is half done.
    #[error("the journal cannot be read")]
    Journal(#[from] JournalError),
    /// A rollout panicked: a fault of the program. Its record stays, and the next start leads it on.
    #[error("a rollout broke off")]
    Broken(#[source] JoinError),
}

/// Hears what looks and rollouts come to, for people and for metrics. Never holds anything up.
pub trait Witness: Send + Sync {
    /// A look has ended.
    fn looked(&self, report: &PlanReport, reasons: &BTreeSet<Reason>, took: Duration);
    /// A look was given up.
    fn gave_up_looking(&self, after: Duration);
    /// Events that did not come.
    fn gap(&self, gap: &EventGap);
    /// What was begun, or led on from an earlier process, has come to this.
    fn carried(&self, service: Option<&CloudServiceId>, carried: &Carried);
}

/// Looks, begins, and leads what it began.
pub struct Reconciler {
    generations: watch::Receiver<Arc<Generation>>,
    clock: Arc<dyn Clock>,
    state: Arc<State>,
    witness: Arc<dyn Witness>,
    activator: Activator,
    activations: Activations,
    heart: Heart,
    stop: watch::Receiver<bool>,
    /// Whether events are expected, so that one that is missing is worth telling.
    gaps: Option<EventGaps>,
    led: JoinSet<Led>,
    in_hand: BTreeSet<CloudServiceId>,
    again: BTreeMap<CloudServiceId, Again>,
    due: Option<Timestamp>,
    /// Before this, events alone start no look.
    events_from: Instant,
}

/// What became of one rollout.
struct Led {
    service: Option<CloudServiceId>,
    carried: Option<Carried>,
}

/// A service that is not begun again at once.
#[derive(Clone, Copy, Debug)]
struct Again {
    wait: SignedDuration,
    not_before: Timestamp,
}

/// What a reconciler works with.
pub struct Parts {
    /// The configuration in force.
    pub generations: watch::Receiver<Arc<Generation>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is known.
    pub state: Arc<State>,
    /// Whoever hears of it.
    pub witness: Arc<dyn Witness>,
    /// Asks for looks.
    pub activator: Activator,
    /// Hears of them.
    pub activations: Activations,
    /// Proof of progress.
    pub heart: Heart,
    /// Turns to `true` when nothing is to begin any more and what runs is to end at its next safe point.
    pub stop: watch::Receiver<bool>,
    /// Whether events are expected.
    pub events: bool,
}

impl Reconciler {
    /// Puts it together.
    pub fn new(parts: Parts) -> Self {
        let Parts { generations, clock, state, witness, activator, activations, heart, stop, events } = parts;
        Self {
            generations,
            clock,
            state,
            witness,
            activator,
            activations,
            heart,
            stop,
            gaps: events.then(EventGaps::new),
            led: JoinSet::new(),
            in_hand: BTreeSet::new(),
            again: BTreeMap::new(),
            due: None,
            events_from: Instant::now(),
        }
    }

    /// Works until it is asked to stop, and then until what runs has come to a safe point.
    ///
    /// # Errors
    /// The journal cannot be read at the start, or the program has a fault.
    pub async fn run(mut self) -> Result<(), ReconcileError> {
        self.recover().await?;
        while !*self.stop.borrow() {
            self.heart.beat(IDLE + SLACK);
            let clock = Arc::clone(&self.clock);
            let due = self.due;
            let due = async move {
                match due {
                    Some(due) => clock.sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                reasons = self.activations.next(self.events_from) => self.look(&reasons).await,
                Some(led) = self.led.join_next(), if !self.led.is_empty() => self.ended(led)?,
                () = due => {
                    self.due = None;
                    self.activate(Reason::Due);
                }
                // An error means that whoever asks to stop is gone: the next turn of the loop sees its last word.
                _ = self.stop.changed() => {}
                () = tokio::time::sleep(IDLE) => {}
            }
        }
        self.drain().await
    }

    /// Leads on what an earlier process left without an ending.
    async fn recover(&mut self) -> Result<(), JournalError> {
        let rollouts = self.generations.borrow().rollouts.clone();
        for records in rollouts.outside.journal.unfinished().await? {
            let service = service_of(&records);
            self.in_hand.extend(service.clone());
            let (rollouts, stop) = (rollouts.clone(), self.stop.clone());
            self.led.spawn(async move {
                let recovered = rollouts.lead_on(records, &stop).await;
                Led { service, carried: recovered.map(|recovered| recovered.carried) }
            });
        }
        Ok(())
    }

    /// Waits until what runs has come to a safe point. It was asked to by the same word as this.
    async fn drain(mut self) -> Result<(), ReconcileError> {
        self.activations.close();
        self.state.stopping();
        let mut broken = None;
        while !self.led.is_empty() {
            self.heart.beat(IDLE + SLACK);
            tokio::select! {
                Some(led) = self.led.join_next() => broken = self.ended(led).err().or(broken),
                () = tokio::time::sleep(IDLE) => {}
            }
        }
        broken.map_or(Ok(()), Err)
    }

    fn activate(&self, reason: Reason) {
        // Refused only once it is stopping, when there is nothing to look for.
        let _ = self.activator.activate(reason);
    }

    async fn look(&mut self, reasons: &BTreeSet<Reason>) {
        if reasons.contains(&Reason::Person) {
            // Whoever asks has mended something, and does not want to wait.
            self.again.clear();
        }
        let generation = Arc::clone(&self.generations.borrow_and_update());
        let settings = &generation.settings;
        self.heart.beat(LOOK + SLACK);
        self.state.looking(self.clock.now());
        let begun = Instant::now();
        if reasons.iter().any(Reason::is_event) {
            self.events_from = begun + EVENTS_APART;
        }
        let look = pass::look(
            &settings.policy,
            &generation.rollouts.outside,
            &generation.world,
            Occasion::Unattended,
        );
        let report = tokio::select! {
            report = tokio::time::timeout(LOOK, look) => report.ok(),
            // A look changes nothing: it may be left at any time.
            () = asked_to(&mut self.stop) => {
                self.state.looked(None, self.clock.now());
                return;
            }
        };
        let took = begun.elapsed();
        let now = self.clock.now();
        self.state.looked(report.as_ref(), now);
        let Some(report) = report else {
            self.witness.gave_up_looking(took);
            return;
        };
        self.witness.looked(&report, reasons, took);
        if let Some(gaps) = &mut self.gaps {
            for gap in gaps.looked(&report, |vault| self.state.known().last_heard(vault)) {
                self.witness.gap(&gap);
            }
        }
        self.again.retain(|service, _| report.services.iter().any(|known| known.service == *service));
        self.begin(&report, &generation);
        self.due = self.next_due(&report, now);
    }

    /// Begins what the report plans, as far as stage, limit, pauses and earlier failures let it.
    fn begin(&mut self, report: &PlanReport, generation: &Generation) {
        let now = self.clock.now();
        let at_once = generation.settings.rollout.concurrency.max(1);
        let mut planned = report.services.iter().filter(|report| {
            report.mode != Mode::Observe
                && matches!(report.status, Status::Planned { .. })
                // A person has stopped it, which is no reason to keep the later stages from their certificates.
                && !self.state.pauses(|pauses| pauses.holds(&report.service, now))
        });
        let mut planned = planned.by_ref().peekable();
        let Some(stage) = planned.peek().map(|report| report.stage) else { return };
        let of_stage: Vec<_> = planned.filter(|report| report.stage == stage).collect();
        for report in of_stage {
            if self.in_hand.len() >= at_once {
                return;
            }
            let rests = self.again.get(&report.service).is_some_and(|again| again.not_before > now);
            if rests || self.in_hand.contains(&report.service) {
                continue;
            }
            let Some(Ok(approved)) = ApprovedUpdate::planned(report, Initiator::Unattended) else { continue };
            let service = report.service.clone();
            self.in_hand.insert(service.clone());
            let (rollouts, stop) = (generation.rollouts.clone(), self.stop.clone());
            self.led.spawn(async move {
                let carried =
                    rollouts.carry_out(vec![approved], &stop).await.pop().map(|(_, carried)| carried);
                Led { service: Some(service), carried }
            });
        }
    }

    /// When something that is waited for comes, which no poll need wait for.
    fn next_due(&self, report: &PlanReport, now: Timestamp) -> Option<Timestamp> {
        let waiting = report.services.iter().filter_map(|report| match &report.status {
            Status::Waiting { until, .. } => *until,
            Status::Current | Status::Planned { .. } | Status::Blocked { .. } | Status::Unreadable { .. } => {
                None
            }
        });
        let again = self.again.values().map(|again| again.not_before);
        let pauses = self.state.pauses(|pauses| pauses.next_end(now));
        waiting.chain(again).chain(pauses).filter(|due| *due > now).min()
    }

    fn ended(&mut self, led: Result<Led, JoinError>) -> Result<(), ReconcileError> {
        let Led { service, carried } = led.map_err(ReconcileError::Broken)?;
        let now = self.clock.now();
        if let Some(service) = &service {
            self.in_hand.remove(service);
            self.state.left(service);
        }
        let Some(carried) = carried else { return Ok(()) };
        self.witness.carried(service.as_ref(), &carried);
        if let Some(service) = service {
            match &carried {
                // What failed is held back by the record, until a version is superseded or a person releases it.
                Carried::Begun(Outcome::Ended {
                    ending: Ending::Verified | Ending::Restored { .. } | Ending::Stuck { .. },
                    ..
                }) => {
                    self.again.remove(&service);
                }
                // It is left for the next process.
                Carried::Begun(Outcome::Interrupted { .. }) => {}
                Carried::Begun(Outcome::Ended { ending: Ending::Abandoned { .. }, .. })
                | Carried::NotBegun(_)
                | Carried::Locked
                | Carried::WindowClosed
                | Carried::HeldBack { .. } => self.rest(service, now),
            }
        }
        self.activate(Reason::Ended);
        Ok(())
    }

    /// Lets a service rest, longer each time, so that one which cannot be begun is not tried without end.
    fn rest(&mut self, service: CloudServiceId, now: Timestamp) {
        let wait = self.again.get(&service).map_or(AGAIN, |again| (again.wait * 2).min(AGAIN_MOST));
        let not_before = now.checked_add(wait).unwrap_or(Timestamp::MAX);
        self.again.insert(service, Again { wait, not_before });
    }
}

/// Waits until it is asked to stop, or nobody is left who could ask.
async fn asked_to(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn service_of(records: &[Recorded]) -> Option<CloudServiceId> {
    match &records.first()?.event {
        Event::Opened { update, .. } => Some(update.service.clone()),
        _ => None,
    }
}
