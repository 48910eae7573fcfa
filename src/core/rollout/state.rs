//! Where a rollout stands: what its events amount to.

use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

use super::ending::{Cause, Ending};
use super::event::{Event, Found, Initiator, OperationOutcome, Phase};
use super::limits::Limits;
use crate::id::{RolloutId, Thumbprint};
use crate::plan::{PlannedUpdate, ServiceState};
use crate::target::cloud_service::{
    CloudServiceModel, ModelError, OperationHandle, ProvisioningState, UpgradeMode,
};
use crate::verify::{Evidence, Expected, Generation};

/// A rollout, folded from its events.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    pub(super) id: RolloutId,
    pub(super) update: PlannedUpdate,
    pub(super) by: Initiator,
    pub(super) undoes: Option<RolloutId>,
    pub(super) opened: Timestamp,
    pub(super) captured: Option<Captured>,
    pub(super) phase: Phase,
    /// PUTs sent in this phase.
    pub(super) puts: u32,
    /// How often the service was captured: again after each operation of somebody else.
    pub(super) captures: u32,
    /// PUTs that were not taken in this phase, for reasons that pass.
    pub(super) deferrals: u32,
    /// Whether a PUT of this rollout may have changed the service.
    pub(super) changed: bool,
    pub(super) turned_back: Option<Cause>,
    pub(super) stage: Stage,
}

/// What was there before.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Captured {
    pub(super) model: CloudServiceModel,
    pub(super) state: ServiceState,
    pub(super) started: Vec<String>,
    pub(super) presented: Vec<Thumbprint>,
}

/// What is to be done next follows from this.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Decided on; nothing was done.
    Opened,
    /// The service is to be looked at before the PUT.
    BeforePut {
        /// Not before this time.
        not_before: Timestamp,
        /// Since when it was found busy.
        busy_since: Option<Timestamp>,
    },
    /// The look allows the PUT.
    Ready,
    /// The service refused the PUT; a look shows whether it meant it.
    Refused {
        /// Its message.
        message: String,
        /// When.
        at: Timestamp,
        /// Whether looks since found an operation running.
        busy: bool,
    },
    /// A PUT was sent, and its fate is not known.
    Unknown {
        /// Why.
        message: String,
        /// When.
        since: Timestamp,
        /// What is known of it.
        trace: Trace,
    },
    /// An operation runs.
    Operating {
        /// How it is followed.
        operation: OperationHandle,
        /// Since when.
        since: Timestamp,
        /// The update domain to walk to next, in Manual mode.
        next_domain: Option<u32>,
    },
    /// The operation is over, or there was none to make.
    Ended {
        /// How.
        outcome: OperationOutcome,
        /// When.
        at: Timestamp,
    },
    /// The service was examined.
    Examined {
        /// What was seen.
        evidence: Box<Evidence>,
    },
    /// It is decided how the rollout ends; or it has ended.
    Over {
        /// How.
        ending: Ending,
        /// Whether that is written.
        recorded: bool,
    },
}

/// What is known of a PUT whose fate is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// The answer may still come.
    Awaited,
    /// It will not come; nobody has looked since.
    Lost,
    /// The last look found an operation that wants something else.
    Busy,
    /// The last looks, this many in a row, found what was there before, or may have.
    None {
        /// How many.
        looks: u32,
        /// When the last of them was.
        last: Timestamp,
    },
}

/// An event that cannot follow those before it: the record is damaged, or two processes wrote it.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum FoldError {
    /// The first event must open the rollout.
    #[error("a rollout begins with the event `opened`; found `{0}`")]
    NotOpened(&'static str),
    /// The order is impossible.
    #[error("the event `{event}` cannot follow here: the rollout is {stage}")]
    Order {
        /// The event's word.
        event: &'static str,
        /// Where the rollout stands.
        stage: &'static str,
    },
    /// What was captured is no cloud service.
    #[error("the captured service cannot be read: {0}")]
    Captured(#[from] ModelError),
    /// There is no event at all.
    #[error("the rollout has no event")]
    Empty,
}

impl Rollout {
    /// Reads the events of one rollout, oldest first.
    ///
    /// # Errors
    /// An order that cannot be.
    pub fn fold<'a>(events: impl IntoIterator<Item = (Timestamp, &'a Event)>) -> Result<Self, FoldError> {
        let mut events = events.into_iter();
        let (at, first) = events.next().ok_or(FoldError::Empty)?;
        let mut rollout = Self::open(at, first)?;
        for (at, event) in events {
            rollout = rollout.apply(at, event)?;
        }
        Ok(rollout)
    }

    /// A rollout of which only the first event is known.
    ///
    /// # Errors
    /// The event does not open a rollout.
    pub fn open(at: Timestamp, event: &Event) -> Result<Self, FoldError> {
        let Event::Opened { rollout, update, by, undoes } = event else {
            return Err(FoldError::NotOpened(event.word()));
        };
        Ok(Self {
            id: rollout.clone(),
            update: (**update).clone(),
            by: *by,
            undoes: undoes.clone(),
            opened: at,
            captured: None,
            phase: Phase::Forward,
            puts: 0,
            captures: 0,
            deferrals: 0,
            changed: false,
            turned_back: None,
            stage: Stage::Opened,
        })
    }

    /// The rollout after one event more.
    ///
    /// # Errors
    /// An event that cannot follow here.
    pub fn apply(mut self, at: Timestamp, event: &Event) -> Result<Self, FoldError> {
        let stage = std::mem::replace(&mut self.stage, Stage::Opened);
        self.stage = self.advanced(stage, at, event)?;
        Ok(self)
    }

    fn advanced(&mut self, stage: Stage, at: Timestamp, event: &Event) -> Result<Stage, FoldError> {
        let order = FoldError::Order { event: event.word(), stage: stage.word() };
        Ok(match (stage, event) {
            // The journal is written until the ending is: nothing follows it.
            (Stage::Over { recorded: true, .. }, _) => return Err(order),
            (stage, Event::Ended { ending }) if self.may_end(&stage, ending) => {
                Stage::Over { ending: ending.clone(), recorded: true }
            }
            (Stage::Opened, Event::Captured { model, started, presented }) => {
                let state = ServiceState::of(model)?;
                self.captures += 1;
                self.captured = Some(Captured {
                    model: (**model).clone(),
                    state,
                    started: started.clone(),
                    presented: presented.clone(),
                });
                Stage::BeforePut { not_before: at, busy_since: None }
            }
            (Stage::BeforePut { busy_since, .. }, Event::Looked { found }) => {
                self.looked_before(busy_since, at, found)
            }
            // A look ages: a process that was started again looks once more before it sends.
            (Stage::Ready, Event::Looked { found }) => self.looked_before(None, at, found),
            (Stage::Ready, Event::PutStarted { phase }) if *phase == self.phase => {
                self.puts += 1;
                self.changed = true;
                Stage::Unknown {
                    message: "certroll ended while the update was being sent".to_owned(),
                    since: at,
                    trace: Trace::Awaited,
                }
            }
            // The service may not show it yet: what it shows is not followed before it was seen to be of this PUT.
            (
                Stage::Unknown { since, trace: Trace::Awaited, .. },
                Event::PutAccepted { operation: OperationHandle::ProvisioningState, .. },
            ) => Stage::Unknown {
                message: "the service took it and named no operation".to_owned(),
                since,
                trace: Trace::Lost,
            },
            (Stage::Unknown { trace: Trace::Awaited, .. }, Event::PutAccepted { operation, .. }) => {
                self.operating(operation.clone(), at)
            }
            (Stage::Unknown { trace: Trace::Awaited, .. }, Event::PutRefused { message }) => {
                self.changed = self.phase == Phase::Back || self.puts > 1;
                Stage::Refused { message: message.clone(), at, busy: false }
            }
            (Stage::Unknown { trace: Trace::Awaited, .. }, Event::PutDeferred { wait_seconds, .. }) => {
                self.puts -= 1;
                self.deferrals += 1;
                self.changed = self.phase == Phase::Back || self.puts > 0;
                let wait = SignedDuration::from_secs(i64::try_from(*wait_seconds).unwrap_or(0));
                Stage::BeforePut { not_before: at.checked_add(wait).unwrap_or(at), busy_since: None }
            }
            (Stage::Unknown { since, trace: Trace::Awaited, .. }, Event::PutAmbiguous { message }) => {
                Stage::Unknown { message: message.clone(), since, trace: Trace::Lost }
            }
            (Stage::Unknown { message, since, trace }, Event::Looked { found }) => {
                self.looked_after(message, since, trace, at, found)
            }
            (Stage::Refused { message, at: refused, .. }, Event::Looked { found }) => {
                self.looked_refused(message, refused, at, found)
            }
            (
                Stage::Operating { operation, since, next_domain: Some(next) },
                Event::WalkStarted { domain },
            ) if *domain == next => Stage::Operating { operation, since, next_domain: Some(next) },
            (
                Stage::Operating { operation, since, next_domain: Some(next) },
                Event::DomainDone { domain, last },
            ) if *domain == next => {
                Stage::Operating { operation, since, next_domain: (!last).then_some(next.saturating_add(1)) }
            }
            // The update has succeeded once it was walked to every domain, not before.
            (Stage::Operating { next_domain, .. }, Event::OperationEnded { outcome })
                if next_domain.is_none() || *outcome != OperationOutcome::Succeeded =>
            {
                Stage::Ended { outcome: outcome.clone(), at }
            }
            (Stage::Ended { outcome: OperationOutcome::Succeeded, .. }, Event::Examined { evidence }) => {
                Stage::Examined { evidence: evidence.clone() }
            }
            (Stage::Ended { .. } | Stage::Examined { .. }, Event::TurnedBack { cause })
                if self.phase == Phase::Forward && self.changed =>
            {
                self.phase = Phase::Back;
                self.puts = 0;
                self.deferrals = 0;
                self.turned_back = Some(cause.clone());
                Stage::BeforePut { not_before: at, busy_since: None }
            }
            // A restore that failed is sent again, within its limit.
            (Stage::Ended { outcome: OperationOutcome::Failed { .. }, .. }, Event::Looked { found })
                if self.phase == Phase::Back && self.puts < Limits::PUTS =>
            {
                self.looked_before(None, at, found)
            }
            (_, _) => return Err(order),
        })
    }

    /// Whether a rollout that stands here may end like this. Once something may have been changed it is not abandoned;
    /// verified and restored are said of what was examined.
    fn may_end(&self, stage: &Stage, ending: &Ending) -> bool {
        if let Stage::Over { ending: decided, .. } = stage {
            return decided.word() == ending.word();
        }
        let examined = matches!(stage, Stage::Examined { .. });
        match ending {
            Ending::Verified => examined && self.phase == Phase::Forward,
            Ending::Restored { .. } => examined && self.phase == Phase::Back,
            Ending::Stuck { .. } => self.changed,
            Ending::Abandoned { .. } => !self.changed,
        }
    }

    /// A look right before a PUT.
    fn looked_before(&self, busy_since: Option<Timestamp>, at: Timestamp, found: &Found) -> Stage {
        let differences = |found: &Found| match found {
            Found::Other { differences } => differences.clone(),
            _ => vec!["the last operation on it failed".to_owned()],
        };
        match (self.phase, found) {
            // Which instances are started is not known while somebody else's operation takes them down and up: an
            // instance that was not started then would never be missed.
            (Phase::Forward, Found::Unchanged | Found::Wanted)
                if !self.changed && (busy_since.is_some() || self.was_captured_busy()) =>
            {
                if self.captures < Limits::CAPTURES {
                    Stage::Opened
                } else {
                    let state = format!("{} operations one after the other", self.captures);
                    unrecorded(Ending::Abandoned { cause: Cause::Busy { state } })
                }
            }
            (_, Found::Unchanged) | (Phase::Back, Found::WantedFailed) => Stage::Ready,
            (_, Found::Wanted) => Stage::Ended { outcome: OperationOutcome::Succeeded, at },
            (_, Found::Busy { .. } | Found::WantedBusy) => {
                Stage::BeforePut { not_before: at, busy_since: Some(busy_since.unwrap_or(at)) }
            }
            (Phase::Forward, Found::Other { .. } | Found::WantedFailed) => {
                let cause = Cause::Changed { differences: differences(found) };
                // An earlier PUT that left no trace may still have been what changed it.
                let ending = if self.changed { Ending::Stuck { cause } } else { Ending::Abandoned { cause } };
                unrecorded(ending)
            }
            (Phase::Back, Found::Other { .. }) => {
                unrecorded(self.stuck(Cause::ChangedByOthers { differences: differences(found) }))
            }
        }
    }

    /// A look after a PUT whose fate is not known.
    fn looked_after(
        &self,
        message: String,
        since: Timestamp,
        trace: Trace,
        at: Timestamp,
        found: &Found,
    ) -> Stage {
        let looks = match trace {
            Trace::None { looks, .. } => looks.saturating_add(1),
            Trace::Awaited | Trace::Lost | Trace::Busy => 1,
        };
        match found {
            Found::Wanted | Found::WantedFailed | Found::WantedBusy => {
                if self.repeats_itself() && looks < Limits::LOOKS {
                    Stage::Unknown { message, since, trace: Trace::None { looks, last: at } }
                } else {
                    self.operating(OperationHandle::ProvisioningState, since)
                }
            }
            Found::Unchanged => {
                if looks < Limits::LOOKS {
                    Stage::Unknown { message, since, trace: Trace::None { looks, last: at } }
                } else if self.puts < Limits::PUTS {
                    Stage::BeforePut { not_before: at, busy_since: None }
                } else {
                    // No PUT showed an effect, but one may still be on its way: a person must look.
                    unrecorded(self.stuck(Cause::NotSent { message }))
                }
            }
            Found::Busy { .. } => Stage::Unknown { message, since, trace: Trace::Busy },
            Found::Other { differences } => {
                unrecorded(self.stuck(Cause::ChangedByOthers { differences: differences.clone() }))
            }
        }
    }

    /// Whether the last PUT may want what was there before it: a restore that failed leaves the service showing the old
    /// state, and is sent again. Then that state tells nothing until the PUT can no longer be on its way.
    fn repeats_itself(&self) -> bool {
        self.phase == Phase::Back && self.puts > 1
    }

    /// A look after the service refused the PUT.
    fn looked_refused(&mut self, message: String, refused: Timestamp, at: Timestamp, found: &Found) -> Stage {
        match found {
            // It took effect all the same.
            Found::Wanted | Found::WantedFailed | Found::WantedBusy => {
                self.changed = true;
                self.operating(OperationHandle::ProvisioningState, at)
            }
            Found::Busy { .. } => Stage::Refused { message, at: refused, busy: true },
            Found::Unchanged | Found::Other { .. } if self.phase == Phase::Forward && !self.changed => {
                unrecorded(Ending::Abandoned { cause: Cause::Refused { message } })
            }
            Found::Unchanged | Found::Other { .. } => unrecorded(self.stuck(Cause::Refused { message })),
        }
    }

    fn operating(&self, operation: OperationHandle, since: Timestamp) -> Stage {
        Stage::Operating { operation, since, next_domain: self.is_manual().then_some(0) }
    }

    /// Whether the update walks only where it is told to.
    pub(super) fn is_manual(&self) -> bool {
        self.captured.as_ref().is_some_and(|captured| captured.model.upgrade_mode() == UpgradeMode::Manual)
    }

    /// Whether an operation ran on the service as it was captured.
    fn was_captured_busy(&self) -> bool {
        self.captured
            .as_ref()
            .is_some_and(|captured| matches!(captured.model.provisioning_state(), ProvisioningState::Busy(_)))
    }

    /// The ending that needs a person, with what led there.
    pub(super) fn stuck(&self, cause: Cause) -> Ending {
        let cause = match &self.turned_back {
            Some(first) => Cause::RestoreFailed { first: Box::new(first.clone()), then: Box::new(cause) },
            None => cause,
        };
        Ending::Stuck { cause }
    }

    /// Its name.
    pub fn id(&self) -> &RolloutId {
        &self.id
    }

    /// What it is to do.
    pub fn update(&self) -> &PlannedUpdate {
        &self.update
    }

    /// Who decided on it.
    pub fn by(&self) -> Initiator {
        self.by
    }

    /// The rollout that it puts back, where a person asked for that.
    pub fn undoes(&self) -> Option<&RolloutId> {
        self.undoes.as_ref()
    }

    /// When it was opened.
    pub fn opened(&self) -> Timestamp {
        self.opened
    }

    /// Which way it goes.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Where it stands.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Why it was turned back, once it was.
    pub fn turned_back(&self) -> Option<&Cause> {
        self.turned_back.as_ref()
    }

    /// Whether a PUT of it may have changed the service.
    pub fn may_have_changed(&self) -> bool {
        self.changed
    }

    /// How it ended, once that is written.
    pub fn ending(&self) -> Option<&Ending> {
        match &self.stage {
            Stage::Over { ending, recorded: true } => Some(ending),
            _ => None,
        }
    }

    /// The service as it was captured.
    pub fn captured(&self) -> Option<&CloudServiceModel> {
        self.captured.as_ref().map(|captured| &captured.model)
    }

    /// Whether an endpoint may go on presenting a leaf until the update has reached its instance, although the plan does
    /// not know it.
    pub fn was_presented(&self, leaf: &Thumbprint) -> bool {
        self.captured.as_ref().is_some_and(|captured| captured.presented.contains(leaf))
    }

    /// What the present phase wants, once the service was captured.
    pub fn wanted(&self) -> Option<&ServiceState> {
        match self.phase {
            Phase::Forward => Some(&self.update.wanted),
            Phase::Back => self.captured.as_ref().map(|captured| &captured.state),
        }
    }

    /// What the present phase starts from.
    pub fn start(&self) -> &ServiceState {
        match self.phase {
            Phase::Forward => &self.update.expected,
            Phase::Back => &self.update.wanted,
        }
    }

    /// What the service is judged by in the present phase, once it was captured.
    pub fn expected(&self) -> Option<Expected<'_>> {
        let captured = self.captured.as_ref()?;
        Some(Expected {
            state: self.wanted()?,
            started: &captured.started,
            probes: &self.update.probes,
            generation: match self.phase {
                Phase::Forward => Generation::After,
                Phase::Back => Generation::Before,
            },
            probe_binding: self.update.probe_binding,
        })
    }

    /// Compares a service as read with both sides of the present phase.
    ///
    /// # Errors
    /// The service cannot be read.
    pub fn compare(&self, model: &CloudServiceModel) -> Result<Found, ModelError> {
        use ProvisioningState as State;
        let state = ServiceState::of(model)?;
        let provisioning = model.provisioning_state();
        let is_wanted = self.wanted().is_some_and(|wanted| wanted.differences(&state).is_empty());
        if is_wanted {
            return Ok(match provisioning {
                State::Succeeded | State::Unknown => Found::Wanted,
                State::Failed => Found::WantedFailed,
                State::Busy(_) => Found::WantedBusy,
            });
        }
        if let State::Busy(state) = provisioning {
            return Ok(Found::Busy { state });
        }
        let differences = self.start().differences(&state);
        Ok(if differences.is_empty() {
            Found::Unchanged
        } else {
            Found::Other { differences: differences.iter().map(ToString::to_string).collect() }
        })
    }

    /// Whether an event would tell nothing new: looks at a busy service are written once.
    pub fn is_repetition(&self, event: &Event) -> bool {
        matches!(
            (&self.stage, event),
            (
                Stage::BeforePut { busy_since: Some(_), .. },
                Event::Looked { found: Found::Busy { .. } | Found::WantedBusy }
            ) | (
                Stage::Refused { busy: true, .. } | Stage::Unknown { trace: Trace::Busy, .. },
                Event::Looked { found: Found::Busy { .. } }
            )
        )
    }
}

fn unrecorded(ending: Ending) -> Stage {
    Stage::Over { ending, recorded: false }
}

impl Stage {
    /// The stage in words.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::BeforePut { .. } => "before its update",
            Self::Ready => "ready to send its update",
            Self::Refused { .. } => "refused by the service",
            Self::Unknown { .. } => "waiting to learn what became of its update",
            Self::Operating { .. } => "waiting for the operation",
            Self::Ended { .. } => "past the operation",
            Self::Examined { .. } => "examined",
            Self::Over { .. } => "over",
        }
    }
}
