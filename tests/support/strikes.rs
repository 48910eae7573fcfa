//! The ports of a rollout with somebody in between: it knows by the journal which step makes a call, and strikes one of
//! them, by the simulated service's own faults or by ending the process in the middle.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use certroll_core::id::{CloudServiceId, RolloutId, SourceVaultId};
use certroll_core::ports::{
    CloudServices, EndpointProbe, FaultKind, JournalError, JournalFault, PortError, PortFault, Presentation,
    ProbeEndpoint, PutAccepted, Recorded, RolloutJournal, VaultResource,
};
use certroll_core::rollout::{Event, Limits, Phase, Rollout, Step, next_action};
use certroll_core::standing::{Decided, Standings};
use certroll_core::target::cloud_service::{
    CloudServiceModel, OperationHandle, OperationStatus, PutBody, RoleInstance,
};
use certroll_engine::outside::Outside;
use certroll_journal::memory::MemoryJournal;
use certroll_simulator::call::Call;
use certroll_simulator::faults::{Effect, Fault};
use certroll_simulator::scenario::shop;
use certroll_simulator::service::model::ProvisioningState;
use certroll_simulator::{Moment, Simulator, Then};
use jiff::Timestamp;
use tokio::sync::Notify;

use super::azure::Azure;

/// What a step asks of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    List,
    Read,
    Put,
    /// The URL that was given for an operation.
    Poll,
    /// The service's own state.
    State,
    Instances,
    Domains,
    Walk,
    Vault,
    Probe,
    /// An event, by its word.
    Write(&'static str),
}

/// A call of a rollout: which way it goes, and which step makes it. No step reaches the outside for the events that
/// follow from what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) phase: Phase,
    pub(crate) step: Option<Step>,
    pub(crate) asked: Asked,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strike {
    /// It fails without any effect, for a reason that passes.
    PutOff,
    /// It fails without any effect, for a reason that does not pass.
    Refused,
    /// It takes effect, and an error is answered.
    ErrorAfter,
    /// It takes effect, and the answer does not come in time.
    TimeOut,
    /// It has no effect, and nothing is answered.
    NeverArrived,
    /// It takes effect, and nothing is answered.
    AnswerLost,
    /// It takes effect, and the process ends before anything of that is written.
    CrashBefore,
    /// It takes effect, and the process ends right after the next event was written.
    CrashAfter,
    /// As `CrashBefore`, and the next process does the step again and ends before it writes anything.
    Twice,
}

impl Asked {
    /// The exchange by which the simulated service knows it.
    fn exchange(self) -> Option<Call> {
        Some(match self {
            Self::List => Call::ListAllCloudServices,
            Self::Read | Self::State => Call::GetCloudService,
            Self::Put => Call::PutCloudService,
            Self::Poll => Call::GetOperation,
            Self::Instances => Call::ListRoleInstances,
            Self::Domains => Call::ListUpdateDomains,
            Self::Walk => Call::WalkUpdateDomain,
            Self::Vault => Call::GetVault,
            Self::Probe | Self::Write(_) => return None,
        })
    }

    fn changes_something(self) -> bool {
        matches!(self, Self::Put | Self::Walk)
    }

    pub(crate) fn is_write_of_the_journal(self) -> bool {
        matches!(self, Self::Write(_))
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::List => "list the services",
            Self::Read => "read the service",
            Self::Put => "send the PUT",
            Self::Poll => "poll the operation",
            Self::State => "read the state",
            Self::Instances => "list the instances",
            Self::Domains => "list the update domains",
            Self::Walk => "ask for the walk",
            Self::Vault => "read the vault's resource",
            Self::Probe => "probe the endpoints",
            Self::Write(word) => return write!(f, "`{word}`"),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Some(step) => write!(f, "{}: {}", step.word(), self.asked),
            None => write!(f, "{}", self.asked),
        }
    }
}

impl Strike {
    /// What can happen to a call.
    pub(crate) const OF_CALLS: [Self; 9] = [
        Self::PutOff,
        Self::Refused,
        Self::ErrorAfter,
        Self::TimeOut,
        Self::NeverArrived,
        Self::AnswerLost,
        Self::CrashBefore,
        Self::CrashAfter,
        Self::Twice,
    ];
    /// What can happen to a write of the journal.
    pub(crate) const OF_WRITES: [Self; 4] =
        [Self::PutOff, Self::ErrorAfter, Self::CrashBefore, Self::CrashAfter];

    /// What it does at the service; none where something else than the service is struck.
    fn effect(self) -> Option<Effect> {
        Some(match self {
            Self::PutOff => {
                Effect::Reply { status: 429, code: "TooManyRequests".to_owned(), retry_after: None }
            }
            Self::Refused => {
                Effect::Reply { status: 400, code: "InvalidParameter".to_owned(), retry_after: None }
            }
            Self::ErrorAfter => {
                Effect::AppliedButReply { status: 500, code: "InternalOperationError".to_owned() }
            }
            Self::TimeOut => Effect::Delay(LATE),
            Self::NeverArrived => Effect::CutBefore,
            Self::AnswerLost => Effect::CutAfter,
            Self::CrashBefore | Self::CrashAfter | Self::Twice => return None,
        })
    }
}

/// Later than any answer is waited for, in simulated time: nothing else moves the clock while one is.
const LATE: Duration = Duration::from_secs(24 * 60 * 60);

/// How the process that runs now is to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Dying {
    #[default]
    No,
    BeforeTheNextEvent,
    AfterTheNextEvent,
}

#[derive(Debug, Default)]
struct Plot {
    seen: Vec<Place>,
    /// One after the other.
    aims: VecDeque<(Place, Strike)>,
    dying: Dying,
    /// The rollout by what is written, taken in event by event.
    rollout: Option<Rollout>,
    /// The step that wrote down that a PUT is about to be sent: it is the one that sends it, as long as its process
    /// lives. By the record alone that would be a look.
    sending: Option<Step>,
    /// What was written with an error: the journal on disk takes it once, however often it is offered.
    unsaid: Option<Recorded>,
    into_an_operation: usize,
    overdue: Option<Call>,
}

impl Plot {
    /// Where the rollout stands, by what is written.
    fn place(&self, now: Timestamp, limits: &Limits) -> Place {
        let asked = Asked::Write("opened");
        match &self.rollout {
            None => Place { phase: Phase::Forward, step: None, asked },
            Some(rollout) => {
                let step = self.sending.or_else(|| next_action(rollout, now, limits).step());
                Place { phase: rollout.phase(), step, asked }
            }
        }
    }

    /// Takes in what was written.
    fn written(&mut self, record: &Recorded, step: Option<Step>) {
        let rollout = match self.rollout.take() {
            None => Rollout::open(record.at, &record.event),
            Some(rollout) => rollout.apply(record.at, &record.event),
        };
        self.rollout = Some(rollout.unwrap());
        self.sending = step.filter(|_| matches!(record.event, Event::PutStarted { .. }));
    }
}

/// Stands between the engine and its ports.
pub(crate) struct Strikes {
    simulator: Arc<Simulator>,
    journal: Arc<MemoryJournal>,
    services: Arc<dyn CloudServices>,
    probe: Arc<dyn EndpointProbe>,
    limits: Limits,
    plot: Arc<Mutex<Plot>>,
    overdue: Arc<Notify>,
    died: Notify,
}

impl Strikes {
    /// Stands between, and strikes nothing yet.
    pub(crate) fn new(azure: &Azure) -> Arc<Self> {
        let (plot, overdue) = (Arc::<Mutex<Plot>>::default(), Arc::<Notify>::default());
        let (watched, came) = (Arc::clone(&plot), Arc::clone(&overdue));
        azure.simulator.watch(move |cloud, passing| {
            let mut plot = watched.lock().unwrap();
            if passing.call == Call::PutCloudService && passing.moment == Moment::Arrived {
                let state = cloud.service(shop::SERVICE).unwrap().provisioning_state();
                plot.into_an_operation += usize::from(state == ProvisioningState::Updating);
            }
            if plot.overdue == Some(passing.call) && passing.moment == Moment::Done {
                plot.overdue = None;
                came.notify_one();
            }
            Then::GoOn
        });
        Arc::new(Self {
            simulator: Arc::clone(&azure.simulator),
            journal: Arc::clone(&azure.journal),
            services: Arc::clone(&azure.assembled.outside.services),
            probe: Arc::clone(&azure.assembled.outside.probe),
            limits: azure.assembled.limits,
            plot,
            overdue,
            died: Notify::new(),
        })
    }

    /// The ports, by way of this.
    pub(crate) fn between(self: &Arc<Self>, outside: &Outside) -> Outside {
        Outside {
            services: Arc::<Self>::clone(self),
            journal: Arc::<Self>::clone(self),
            probe: Arc::<Self>::clone(self),
            ..outside.clone()
        }
    }

    /// The first call from each of these places is struck, one after the other.
    pub(crate) fn aim(&self, aims: impl IntoIterator<Item = (Place, Strike)>) {
        self.plot.lock().unwrap().aims = aims.into_iter().collect();
    }

    /// The places from which calls came, in the order in which they came first.
    pub(crate) fn seen(&self) -> Vec<Place> {
        self.plot.lock().unwrap().seen.clone()
    }

    /// Whether all that was aimed at was struck.
    pub(crate) fn has_struck(&self) -> bool {
        self.plot.lock().unwrap().aims.is_empty()
    }

    /// PUTs that arrived while an operation ran.
    pub(crate) fn puts_into_an_operation(&self) -> usize {
        self.plot.lock().unwrap().into_an_operation
    }

    /// Runs a process until it is over, or until it is ended in the middle.
    pub(crate) async fn process<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.died.notified() => None,
            done = work => Some(done),
        }
    }

    /// Notes a call, and what is to become of it.
    fn arrives(&self, asked: Asked) -> Option<Strike> {
        let now = self.simulator.with(|cloud| cloud.now());
        let mut plot = self.plot.lock().unwrap();
        let place = Place { asked, ..plot.place(now, &self.limits) };
        if !plot.seen.contains(&place) {
            plot.seen.push(place);
        }
        let (_, strike) = plot.aims.pop_front_if(|(aim, _)| *aim == place)?;
        Some(strike)
    }

    /// The process ends here: nothing of it runs any more.
    async fn die<T>(&self) -> T {
        self.plot.lock().unwrap().sending = None;
        self.died.notify_one();
        pending().await
    }

    fn dies(&self, dying: Dying) {
        self.plot.lock().unwrap().dying = dying;
    }

    /// One call of a port that speaks to the service.
    async fn call<T>(
        &self,
        asked: Asked,
        inner: impl Future<Output = Result<T, PortError>> + Send,
    ) -> Result<T, PortError> {
        let Some(strike) = self.arrives(asked) else { return inner.await };
        match strike {
            Strike::CrashBefore | Strike::Twice => {
                let _ = inner.await;
                if strike == Strike::Twice {
                    self.dies(Dying::BeforeTheNextEvent);
                }
                self.die().await
            }
            Strike::CrashAfter => {
                self.dies(Dying::AfterTheNextEvent);
                inner.await
            }
            Strike::PutOff
            | Strike::Refused
            | Strike::ErrorAfter
            | Strike::TimeOut
            | Strike::NeverArrived
            | Strike::AnswerLost => {
                let (Some(call), Some(effect)) = (asked.exchange(), strike.effect()) else {
                    unreachable!("{asked} is no exchange with the service, or {strike:?} no fault of it")
                };
                // Always: a reading is repeated by its port, and all of its attempts fail alike.
                let fault = Fault::always(call, effect);
                self.simulator.with(|cloud| cloud.fault(fault.clone()));
                let answer = if strike == Strike::TimeOut {
                    self.plot.lock().unwrap().overdue = Some(call);
                    tokio::select! {
                        answer = inner => answer,
                        // As the client does once its time is over: the request is dropped with its connection.
                        () = self.overdue.notified() => Err(timed_out(asked)),
                    }
                } else {
                    inner.await
                };
                self.simulator.with(|cloud| cloud.faults.end(&fault));
                answer
            }
        }
    }
}

fn timed_out(asked: Asked) -> PortError {
    let fault = PortFault {
        doing: asked.to_string(),
        kind: FaultKind::TimedOut,
        status: None,
        code: None,
        message: "no answer in time".to_owned(),
        hint: None,
    };
    if asked.changes_something() {
        PortError::Ambiguous(fault)
    } else {
        PortError::Retryable { fault, after: None }
    }
}

#[async_trait]
impl CloudServices for Strikes {
    async fn list(&self, subscription: &str) -> Result<Vec<CloudServiceModel>, PortError> {
        self.call(Asked::List, self.services.list(subscription)).await
    }

    async fn read(&self, service: &CloudServiceId) -> Result<CloudServiceModel, PortError> {
        self.call(Asked::Read, self.services.read(service)).await
    }

    async fn put(&self, service: &CloudServiceId, body: &PutBody) -> Result<PutAccepted, PortError> {
        self.call(Asked::Put, self.services.put(service, body)).await
    }

    async fn operation(
        &self,
        service: &CloudServiceId,
        handle: &OperationHandle,
    ) -> Result<OperationStatus, PortError> {
        let asked = match handle {
            OperationHandle::AsyncOperation(_) | OperationHandle::Location(_) => Asked::Poll,
            OperationHandle::ProvisioningState => Asked::State,
        };
        self.call(asked, self.services.operation(service, handle)).await
    }

    async fn instances(&self, service: &CloudServiceId) -> Result<Vec<RoleInstance>, PortError> {
        self.call(Asked::Instances, self.services.instances(service)).await
    }

    async fn update_domains(&self, service: &CloudServiceId) -> Result<Vec<u32>, PortError> {
        self.call(Asked::Domains, self.services.update_domains(service)).await
    }

    async fn walk_update_domain(
        &self,
        service: &CloudServiceId,
        domain: u32,
    ) -> Result<OperationHandle, PortError> {
        self.call(Asked::Walk, self.services.walk_update_domain(service, domain)).await
    }

    async fn vault(&self, vault: &SourceVaultId) -> Result<VaultResource, PortError> {
        self.call(Asked::Vault, self.services.vault(vault)).await
    }
}

#[async_trait]
impl EndpointProbe for Strikes {
    async fn presented(&self, endpoint: &ProbeEndpoint) -> Vec<Presentation> {
        let none = |reason: &str| {
            vec![Presentation { address: endpoint.address.clone(), outcome: Err(reason.to_owned()) }]
        };
        match self.arrives(Asked::Probe) {
            None => self.probe.presented(endpoint).await,
            Some(Strike::PutOff | Strike::NeverArrived) => none("connection refused"),
            Some(Strike::Refused) => none("no route to host"),
            Some(Strike::ErrorAfter | Strike::AnswerLost) => {
                self.probe.presented(endpoint).await;
                none("connection reset")
            }
            Some(Strike::TimeOut) => {
                self.probe.presented(endpoint).await;
                none("timed out")
            }
            Some(Strike::CrashBefore) => {
                self.probe.presented(endpoint).await;
                self.die().await
            }
            Some(Strike::CrashAfter) => {
                self.dies(Dying::AfterTheNextEvent);
                self.probe.presented(endpoint).await
            }
            Some(Strike::Twice) => {
                self.probe.presented(endpoint).await;
                self.dies(Dying::BeforeTheNextEvent);
                self.die().await
            }
        }
    }
}

#[async_trait]
impl RolloutJournal for Strikes {
    async fn append(&self, record: &Recorded) -> Result<(), JournalError> {
        let strike = self.arrives(Asked::Write(record.event.word()));
        let dying = std::mem::take(&mut self.plot.lock().unwrap().dying);
        match strike {
            None | Some(Strike::CrashAfter | Strike::ErrorAfter) => {}
            Some(Strike::PutOff) => {
                return Err(JournalError::new(JournalFault::Full, "no space left on device"));
            }
            Some(Strike::CrashBefore) => return self.die().await,
            Some(other) => unreachable!("{other:?} is not tried of the journal"),
        }
        if dying == Dying::BeforeTheNextEvent {
            return self.die().await;
        }
        if self.plot.lock().unwrap().unsaid.take_if(|unsaid| unsaid == record).is_some() {
            return Ok(());
        }
        self.journal.append(record).await?;
        {
            let mut plot = self.plot.lock().unwrap();
            let step = plot.place(record.at, &self.limits).step;
            plot.written(record, step);
        }
        if strike == Some(Strike::ErrorAfter) {
            self.plot.lock().unwrap().unsaid = Some(record.clone());
            return Err(JournalError::new(JournalFault::Failed, "input/output error"));
        }
        if dying != Dying::No || strike.is_some() {
            return self.die().await;
        }
        Ok(())
    }

    async fn decide(&self, decided: &Decided) -> Result<(), JournalError> {
        self.journal.decide(decided).await
    }

    async fn unfinished(&self) -> Result<Vec<Vec<Recorded>>, JournalError> {
        self.journal.unfinished().await
    }

    async fn history(
        &self,
        service: Option<&CloudServiceId>,
        rollouts: usize,
    ) -> Result<Vec<Vec<Recorded>>, JournalError> {
        self.journal.history(service, rollouts).await
    }

    async fn rollout(&self, rollout: &RolloutId) -> Result<Vec<Recorded>, JournalError> {
        self.journal.rollout(rollout).await
    }

    async fn standings(&self) -> Result<Standings, JournalError> {
        self.journal.standings().await
    }
}

/// The ending that is written, and everything that was written.
pub(crate) fn written(journal: &MemoryJournal) -> (Vec<Recorded>, Option<certroll_core::rollout::Ending>) {
    let records = journal.records();
    let ending = records.iter().find_map(|one| match &one.event {
        Event::Ended { ending } => Some(ending.clone()),
        _ => None,
    });
    (records, ending)
}
