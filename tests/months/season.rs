//! What happens around the program while it works: at the wire, in the journal, and by chance. Everything that goes wrong
//! is planted here, so that an ending can be held against what was planted.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use certroll_core::ports::Recorded;
use certroll_core::rollout::{Cause, Ending, Event, OperationOutcome, Phase};
use certroll_simulator::call::Call;
use certroll_simulator::cloud::{Cloud, Outcome};
use certroll_simulator::faults::{Effect, Fault, Unready, Which};
use certroll_simulator::message::Request;
use certroll_simulator::service::instance::InstanceState;
use certroll_simulator::service::operation::End;
use jiff::{SignedDuration, Timestamp};

use super::fleet::{Fleet, Sickness};
use super::known::Known;
use super::tally::Tally;
use super::truth;
use super::weather::{Happening, Manner, Outage, Target};
use crate::support::chance::Chance;
use crate::support::wire::{Customs, Lost};

/// Azure's own limit of an operation, as its header `x-ms-async-operation-timeout` names it.
const GIVEN_UP: SignedDuration = SignedDuration::from_mins(8 * 60 + 20);
/// A certificate that ends within this time overrides windows.
pub(super) const URGENT: SignedDuration = SignedDuration::from_hours(3 * 24);
/// Requests of one pass. A pass with a rollout of every service that all hang makes a tenth of this.
const RUNAWAY: u64 = 200_000;
/// The members of a PUT's `properties` that certroll may send.
const SENT: [&str; 3] = ["configuration", "osProfile", "upgradeMode"];

/// Something that was planted and may make a rollout end otherwise than verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// A host could not be reached or refused.
    Outage,
    /// An exchange was refused, cut, delayed or garbled.
    OnTheWay,
    /// An operation failed, hung, or did not bring the instances up.
    Operation,
    /// The same, because of the version that came.
    Sick(Sickness),
    /// Somebody else changed the service.
    Edit,
    /// Somebody else restarted it.
    Restart,
    /// An instance went down by itself.
    InstanceDown,
    /// A version was disabled, or its object deleted.
    Disabled,
    /// The process ended.
    Crash,
}

/// One rollout, as the journal and the wire show it.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) id: String,
    pub(super) service: usize,
    pub(super) update: Box<certroll_core::plan::PlannedUpdate>,
    pub(super) troubles: BTreeSet<Trouble>,
    /// Known defects that it may meet.
    pub(super) known: BTreeSet<Known>,
    /// What is to be returned to, and the instances that were started.
    pub(super) captured: Option<(certroll_core::plan::ServiceState, Vec<String>)>,
    phase: Phase,
    announced: bool,
    applied: [u32; 2],
    failed_back: u32,
    pub(super) ending: Option<Ending>,
}

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
    pub(super) tally: Tally,
    /// What must not be.
    pub(super) wrong: Vec<String>,
    pub(super) story: Story,
    /// Instances that went down by themselves.
    pub(super) down: BTreeSet<(usize, usize)>,
    recent: BTreeSet<(Option<usize>, Trouble)>,
    /// Operations that certroll started.
    ours: HashSet<String>,
    before: Option<String>,
    struck: u32,
    armed: bool,
    requests: u64,
    /// When the pass began.
    began: Timestamp,
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

    /// The outage that a request meets.
    fn outage(&mut self, cloud: &mut Cloud, request: &Request) -> Result<(), Lost> {
        let now = cloud.now();
        let host = request.url.host_str().unwrap_or_default();
        self.outages.retain(|outage| outage.until > now);
        let met = self.outages.iter().find(|outage| match &outage.target {
            Target::Identity => cloud.names.login.iter().any(|login| login == host),
            Target::ResourceManager => cloud.names.resource_manager == host,
            Target::Vault(name) => host.split('.').next() == Some(name.as_str()),
        });
        let Some(manner) = met.map(|outage| outage.manner) else { return Ok(()) };
        self.tally.faults += 1;
        self.trouble(None, Trouble::Outage);
        let reply = |status, code: &str, retry_after| {
            let code = code.to_owned();
            Fault {
                when: certroll_simulator::faults::When::default(),
                effect: Effect::Reply { status, code, retry_after },
                times: certroll_simulator::faults::Times::Next(1),
            }
        };
        match manner {
            Manner::NoConnection => return Err(Lost::NoConnection),
            Manner::Broken => return Err(Lost::Broken),
            Manner::Unavailable => cloud.fault(reply(503, "ServiceUnavailable", None)),
            Manner::Throttled => cloud.fault(reply(429, "TooManyRequests", Some(30))),
        }
        Ok(())
    }

    fn put_arrives(&mut self, cloud: &mut Cloud, member: usize, request: &Request) {
        let now = cloud.now();
        let name = self.fleet.services[member].name.clone();
        self.tally.puts += 1;
        let body = request.json().unwrap_or_default();
        let sent = body["properties"].as_object().into_iter().flat_map(|properties| properties.keys());
        let surplus: Vec<&String> = sent.filter(|key| !SENT.contains(&key.as_str())).collect();
        if !surplus.is_empty() {
            self.wrong(now, format_args!("{name}: a PUT carries {surplus:?}"));
        }
        if self.before.as_ref().is_some_and(|running| self.ours.contains(running)) {
            self.wrong(now, format_args!("{name}: a PUT into an operation of certroll's own"));
        }
        let Some(course) = self.open.get_mut(&member) else {
            self.wrong(now, format_args!("{name}: a PUT outside of any rollout"));
            return;
        };
        if !std::mem::take(&mut course.announced) {
            self.wrong(now, format_args!("{name}: a PUT that the journal does not announce"));
            return;
        }
        if course.phase == Phase::Back {
            return;
        }
        let text = String::from_utf8_lossy(&request.body).to_ascii_lowercase();
        let sickness = course.update.wanted.os_profile.urls().find_map(|url| {
            let url = url.to_string().to_ascii_lowercase();
            let before = course.update.expected.os_profile.urls();
            let comes = before.into_iter().all(|before| !before.to_string().eq_ignore_ascii_case(&url));
            let versions = self.fleet.objects.iter().flat_map(|object| &object.versions);
            let sick = versions.into_iter().find(|version| version.url == url)?.sickness;
            sick.filter(|_| comes && text.contains(&url))
        });
        if let Some(sickness) = sickness {
            cloud.fault(Fault::next(Call::PutCloudService, sickness.effect()).on_path(&name));
            self.armed = true;
            self.trouble(Some(member), Trouble::Sick(sickness));
        }
    }

    fn put_was_answered(&mut self, cloud: &Cloud, member: usize, outcome: &Outcome) {
        let now = cloud.now();
        let member_name = &self.fleet.services[member].name;
        let running = cloud.service(member_name).and_then(|service| service.operation()).map(str::to_owned);
        let status = match outcome {
            Outcome::Answered(reply) | Outcome::Delayed(reply, _) | Outcome::Garbled(reply, _) => {
                reply.status.to_string()
            }
            Outcome::Cut => "cut".to_owned(),
        };
        let applied = running.is_some() && running != self.before;
        let name = member_name.clone();
        let did = if applied { "takes" } else { "does not take" };
        self.story.tell(now, format_args!("{name}: {did} a PUT ({status})"));
        let Some(operation) = running.filter(|_| applied) else { return };
        self.ours.insert(operation);
        self.tally.applied += 1;
        let Some(course) = self.open.get_mut(&member) else { return };
        course.applied[course.phase as usize] += 1;
        let [forward, back] = course.applied;
        if forward > 1 || back > 1 + course.failed_back {
            self.wrong(now, format_args!("{name}: {forward} PUTs forward and {back} back in one rollout"));
        }
    }

    /// An event was written to the journal.
    pub(super) fn recorded(&mut self, cloud: &mut Cloud, record: &Recorded) {
        let now = cloud.now();
        self.tick(cloud);
        let id = record.rollout.as_str();
        if let Event::Opened { update, .. } = &record.event {
            let name = update.service.name().to_owned();
            let Some(service) = self.fleet.member(&name) else { return };
            self.story.tell(now, format_args!("{name}: a rollout is opened"));
            let member = &self.fleet.services[service];
            let observed = member.observed;
            let urgent = update.deployed_until.is_some_and(|until| now >= until - URGENT);
            let open =
                |at: Timestamp| member.window.as_ref().is_none_or(|window| window.opens(at) == Some(at));
            match (open(now) || urgent, open(self.began)) {
                (true, _) => {}
                (false, true) => self.met(now, &name, Known::WindowClosedMeanwhile),
                (false, false) => {
                    self.wrong(now, format_args!("{name}: a rollout begins while the window is closed"));
                }
            }
            if observed {
                self.wrong(now, format_args!("{name}: a service that is only observed is rolled out"));
            }
            let recent = self.recent.iter().filter(|(of, _)| of.is_none_or(|of| of == service));
            let course = Course {
                id: id.to_owned(),
                service,
                update: update.clone(),
                troubles: recent.map(|(_, trouble)| *trouble).collect(),
                known: BTreeSet::new(),
                captured: None,
                phase: Phase::Forward,
                announced: false,
                applied: [0, 0],
                failed_back: 0,
                ending: None,
            };
            let mut course = course;
            let found = cloud.service(&name).unwrap();
            // Whoever started it: what runs now is not this rollout's.
            if found.operation().is_some() {
                course.troubles.insert(Trouble::Operation);
            }
            course.known = Known::at_the_start(&self.fleet, &course, found);
            if let Some(other) = self.open.insert(service, course) {
                self.wrong(now, format_args!("{name}: {} begins while {} has no ending", id, other.id));
            }
            return;
        }
        let Some(course) = self.open.values_mut().find(|course| course.id == id) else {
            self.wrong(now, format_args!("`{}` is written of {id}, which is not open", record.event.word()));
            return;
        };
        let name = self.fleet.services[course.service].name.clone();
        let told = match &record.event {
            Event::Captured { model, started } => {
                let state = certroll_core::plan::ServiceState::of(model).unwrap();
                course.captured = Some((state, started.clone()));
                None
            }
            Event::PutStarted { phase } => {
                course.announced = true;
                course.phase = *phase;
                Some(format!("a PUT is announced ({phase:?})"))
            }
            Event::OperationEnded { outcome } => {
                if course.phase == Phase::Back && matches!(outcome, OperationOutcome::Failed { .. }) {
                    course.failed_back += 1;
                }
                Some(match outcome {
                    OperationOutcome::Succeeded => "the operation succeeded".to_owned(),
                    OperationOutcome::Failed { failure } => format!("the operation failed: {failure}"),
                    OperationOutcome::TooLong { waited_for } => format!("too long: {waited_for}"),
                })
            }
            Event::TurnedBack { cause } => {
                course.phase = Phase::Back;
                Some(format!("turned back: {cause}"))
            }
            Event::Ended { ending } => {
                let cause = ending.cause().map(|cause| format!(": {cause}")).unwrap_or_default();
                Some(format!("ends {}{cause}", ending.word()))
            }
            Event::Looked { found } => Some(format!("looked: {found:?}")),
            Event::PutRefused { message } => Some(format!("refused: {message}")),
            Event::PutDeferred { message, .. } => Some(format!("put off: {message}")),
            Event::PutAmbiguous { message } => Some(format!("ambiguous: {message}")),
            Event::DomainDone { domain, .. } => Some(format!("update domain {domain} is done")),
            _ => None,
        };
        if let Some(told) = told {
            self.story.tell(now, format_args!("{name}: {told}"));
        }
        if let Event::Ended { ending } = &record.event {
            self.ended(cloud, id, ending);
        }
    }

    fn ended(&mut self, cloud: &Cloud, id: &str, ending: &Ending) {
        let now = cloud.now();
        let Some(service) = self.open.iter().find(|(_, one)| one.id == id).map(|(service, _)| *service)
        else {
            return;
        };
        let Some(mut course) = self.open.remove(&service) else { return };
        let name = self.fleet.services[service].name.clone();
        self.tally.ended(ending);
        let known = self.known(now, &course, ending);
        if let Some(known) = known {
            self.met(now, &name, known);
        }
        if let Some(cause) = ending.cause()
            && known.is_none()
            && !explained(cause, &course.troubles)
        {
            let planted: Vec<Trouble> = course.troubles.iter().copied().collect();
            self.wrong(
                now,
                format_args!(
                    "{name} ends {}, and nothing planted is why: {cause}; {planted:?}",
                    ending.word()
                ),
            );
        }
        if matches!(ending, Ending::Abandoned { .. }) && course.applied != [0, 0] {
            self.wrong(now, format_args!("{name} is abandoned after a PUT took effect"));
        }
        course.ending = Some(ending.clone());
        let found = truth::after(cloud, &self.fleet, &course);
        for what in found {
            self.wrong(now, what);
        }
        self.last.insert(service, course);
    }
}

impl Season {
    /// A known defect shows.
    fn met(&mut self, now: Timestamp, name: &str, known: Known) {
        *self.tally.known.entry(known.name()).or_default() += 1;
        self.story.tell(now, format_args!("{name}: a known defect: {}", known.name()));
    }

    /// The known defect that made a rollout end as it did.
    fn known(&mut self, now: Timestamp, course: &Course, ending: &Ending) -> Option<Known> {
        let Some(cause) = ending.cause() else {
            let worse = Known::worse(&self.fleet, &course.update.expected, &course.update.wanted);
            let refused: Vec<String> = worse.iter().map(|version| version.url.clone()).collect();
            if refused.is_empty() {
                return None;
            }
            if course.known.contains(&Known::NothingToCompare) {
                return Some(Known::NothingToCompare);
            }
            let name = self.fleet.services[course.service].name.clone();
            self.wrong(now, format_args!("{name} is verified with {refused:?}, worse than what it had"));
            return None;
        };
        let mut troubles = course.troubles.clone();
        if explained(cause, &troubles) {
            return None;
        }
        if course.known.contains(&Known::NeverWalkedAgain) {
            troubles.insert(Trouble::Operation);
            return explained(cause, &troubles).then_some(Known::NeverWalkedAgain);
        }
        troubles.insert(Trouble::Disabled);
        let met = course.known.contains(&Known::RememberedReference) && explained(cause, &troubles);
        met.then_some(Known::RememberedReference)
    }
}

impl Sickness {
    fn effect(self) -> Effect {
        let first = Which::Named(vec!["Web_IN_0".to_owned()]);
        match self {
            Self::Fails => Effect::OperationFails {
                code: "InternalExecutionError".to_owned(),
                message: "An internal execution error occurred.".to_owned(),
            },
            Self::NotReady => Effect::InstanceNeverReady(first, Unready::Busy),
            Self::PresentsOld => Effect::OldCertificatePresented(Which::All),
            Self::StateFailed => Effect::StateFailed,
            Self::Hangs => Effect::OperationNeverEnds,
        }
    }
}

/// Whether an ending's reason is one that what was planted can have.
fn explained(cause: &Cause, troubles: &BTreeSet<Trouble>) -> bool {
    use Trouble::{Crash, Disabled, Edit, InstanceDown, OnTheWay, Operation, Outage, Restart, Sick};
    let any = |wanted: &dyn Fn(Trouble) -> bool| troubles.iter().any(|one| wanted(*one));
    let operation = |one: Trouble| matches!(one, Operation | Sick(_));
    match cause {
        Cause::NotReadable { .. } => any(&|one| matches!(one, Outage | OnTheWay)),
        Cause::Changed { .. } | Cause::ChangedByOthers { .. } => any(&|one| one == Edit),
        // An operation that hangs, or one that somebody else started.
        Cause::Busy { .. } => any(&|one| one == Restart || operation(one)),
        Cause::Refused { .. } => any(&|one| matches!(one, Disabled | OnTheWay | Outage)),
        Cause::NotSent { .. } => any(&|one| matches!(one, OnTheWay | Outage | Crash)),
        Cause::OperationFailed { .. } => any(&|one| one == Disabled || operation(one)),
        Cause::TooLong { .. } => any(&|one| one == Outage || operation(one)),
        Cause::Mismatch { .. } => any(&|one| matches!(one, InstanceDown | Restart | Edit) || operation(one)),
        Cause::RestoreFailed { first, then } => explained(first, troubles) && explained(then, troubles),
        // The journal never fails here.
        Cause::Journal { .. } => false,
    }
}

/// The member whose model a request puts, or whose update domain it walks.
fn changed_by(fleet: &Fleet, request: &Request) -> Option<(usize, bool)> {
    let certroll = request.header("user-agent").is_some_and(|agent| agent.starts_with("certroll/"));
    if request.method != "PUT" || !certroll {
        return None;
    }
    let segments = request.segments();
    let name = segments.get(7).filter(|_| segments[6].eq_ignore_ascii_case("cloudServices"))?;
    Some((fleet.member(name)?, segments.len() == 8))
}

impl Customs for Season {
    fn arriving(&mut self, cloud: &mut Cloud, request: &Request) -> Result<(), Lost> {
        self.tick(cloud);
        self.requests += 1;
        assert!(self.requests < RUNAWAY, "a pass does not end: {} {}", request.method, request.url);
        self.tally.requests += 1;
        let change = changed_by(&self.fleet, request);
        if let Some((member, model)) = change {
            let name = &self.fleet.services[member].name;
            self.before = cloud.service(name).and_then(|service| service.operation()).map(str::to_owned);
            if model {
                self.put_arrives(cloud, member, request);
            }
        }
        self.outage(cloud, request)
    }

    fn answered(&mut self, cloud: &mut Cloud, request: &Request, outcome: &Outcome) {
        let change = changed_by(&self.fleet, request);
        match change {
            Some((member, true)) => self.put_was_answered(cloud, member, outcome),
            Some((member, false)) => {
                let name = &self.fleet.services[member].name;
                let running = cloud.service(name).and_then(|service| service.operation());
                let fresh =
                    running.map(str::to_owned).filter(|running| Some(running) != self.before.as_ref());
                self.ours.extend(fresh);
            }
            None => {}
        }
        if !self.armed {
            return;
        }
        let struck = cloud.faults.struck();
        let count: u32 = struck.iter().map(|(_, times)| times).sum();
        let new = count.saturating_sub(self.struck);
        self.struck = count;
        if new == 0 {
            return;
        }
        self.tally.faults += u64::from(new);
        let of_operation = Call::PutCloudService;
        let service = request.segments().get(7).and_then(|name| self.fleet.member(name));
        let operation = change.is_some()
            && struck.iter().any(|(fault, times)| {
                *times > 0
                    && matches!(fault.when.call, Some(call) if call == of_operation || call == Call::WalkUpdateDomain)
            });
        let now = cloud.now();
        let path = request.url.path();
        self.story.tell(now, format_args!("struck: {} {path}", request.method));
        self.trouble(service, Trouble::OnTheWay);
        if operation {
            self.trouble(service, Trouble::Operation);
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
