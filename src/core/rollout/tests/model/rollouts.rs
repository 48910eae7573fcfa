//! The rollouts that a search meets, each kept once under a number, and what the functions under test say of them.
//!
//! The functions are pure: each is asked once for each different question, with real events and real models, and its
//! answer is remembered. Times are relative to now, which is always [`at`]`(0)`, and end where no limit reaches.

use std::collections::HashMap;

use jiff::Timestamp;

use super::super::super::{
    Action, Cause, Ending, Event, FoldError, Found, Limits, OperationOutcome, Rollout, Stage, Trace,
};
use super::super::{
    accepted, ambiguous, at, deferred, examined, failed, instance, put, refused, succeeded, too_long,
};
use super::azure::{Content, DOMAINS, Instance, Provisioning, Way};
use super::functions::Functions;
use super::hashing::Table;
use super::past::{Past, Versions};
use super::scene::Scene;
use crate::ports::Presentation;
use crate::target::cloud_service::{InstanceState, OperationHandle, RoleInstance};
use crate::verify::{self, Evidence, Generation, Mismatch, ProbeEvidence};

/// One poll interval, the unit of all times of the model.
pub(super) const TICK: i64 = LIMITS.poll_interval.as_secs().cast_signed();

/// Short limits in long intervals: a handful of looks exhausts each.
pub(super) const LIMITS: Limits = {
    const fn ticks(ticks: u64) -> std::time::Duration {
        std::time::Duration::from_secs(60 * ticks)
    }
    Limits {
        poll_interval: ticks(1),
        no_progress: ticks(2),
        operation: ticks(3),
        settle: ticks(2),
        probe: ticks(1),
        busy: ticks(1),
    }
};

/// Ticks after which a time is as long ago as it will ever matter.
const LONG_AGO: i64 = LIMITS.operation.as_secs().cast_signed() / TICK + 1;

/// The number of a rollout.
pub(super) type Number = u32;

/// An event, as small as what decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Told {
    Captured {
        content: Content,
        provisioning: Provisioning,
        instances: [Instance; DOMAINS],
    },
    Looked {
        content: Content,
        provisioning: Provisioning,
    },
    PutStarted(Way),
    Accepted {
        by_url: bool,
    },
    Refused,
    Deferred,
    /// Put off for the last time that is allowed; the times between are counted in `actions`.
    DeferredOften,
    Ambiguous,
    WalkStarted(u8),
    DomainDone {
        domain: u8,
        last: bool,
    },
    Succeeded,
    Failed,
    TooLong,
    Examined {
        content: Content,
        instances: [Instance; DOMAINS],
    },
    /// What the next action says is to be written.
    Decided,
    /// The service could not be read.
    GaveUp,
}

/// An action, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Capture,
    Look { wait: u8 },
    Put(Way),
    Follow { by_url: bool, since: u8 },
    Walk { by_url: bool, since: u8, from: u8 },
    Examine { left: i8 },
    Record,
    Done(Over),
}

/// An ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Over {
    Verified,
    Restored,
    Stuck,
    Abandoned,
}

/// What evidence amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    Wrong { model: bool, only_endpoints: bool },
}

pub(super) struct Rollouts<'a> {
    functions: &'a Functions,
    scene: &'a Scene,
    known: Vec<Rollout>,
    numbers: HashMap<String, Number>,
    actions: Vec<Option<(Act, Action)>>,
    later: Vec<Option<Number>>,
    told: Table<(Number, Told), Result<Number, FoldError>>,
    verdicts: Table<(Number, Content, [Instance; DOMAINS]), Verdict>,
    domains: Table<(Number, u8, [Instance; DOMAINS]), (bool, bool)>,
}

impl<'a> Rollouts<'a> {
    /// Knows the opened rollout, number 0.
    pub(super) fn new(functions: &'a Functions, scene: &'a Scene) -> Self {
        let mut rollouts = Self {
            functions,
            scene,
            known: Vec::new(),
            numbers: HashMap::new(),
            actions: Vec::new(),
            later: Vec::new(),
            told: Table::default(),
            verdicts: Table::default(),
            domains: Table::default(),
        };
        rollouts.number(Rollout::open(at(0), &scene.opened()).unwrap());
        rollouts
    }

    /// Whether earlier rollouts hold these versions.
    pub(super) fn holds(&self, past: Past, versions: Versions) -> bool {
        past.held(versions, self.functions, self.scene)
    }

    pub(super) fn get(&self, number: Number) -> &Rollout {
        &self.known[number as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    fn number(&mut self, mut rollout: Rollout) -> Number {
        move_times(&mut rollout, 0);
        let key = self.key(&rollout);
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        let number = Number::try_from(self.known.len()).unwrap();
        self.numbers.insert(key, number);
        self.known.push(rollout);
        self.actions.push(None);
        self.later.push(None);
        number
    }

    /// Everything by which the future of two rollouts can differ. A member that is added to a rollout stops this from
    /// compiling.
    fn key(&self, rollout: &Rollout) -> String {
        let Rollout {
            id: _,
            update: _,
            by: _,
            undoes: _,
            opened: _,
            captured,
            phase,
            puts,
            captures,
            deferrals,
            changed,
            turned_back,
            stage,
        } = rollout;
        let captured =
            captured.as_ref().map(|captured| (self.scene.shown(&captured.model), &captured.started));
        let stage = match stage {
            Stage::BeforePut { not_before, busy_since } => {
                format!("before {} {:?}", age(*not_before), busy_since.map(age))
            }
            Stage::Refused { at, busy, message: _ } => format!("refused {} {busy}", age(*at)),
            Stage::Unknown { since, trace, message: _ } => match trace {
                Trace::None { looks, last } => format!("unknown {} {looks} {}", age(*since), age(*last)),
                Trace::Awaited | Trace::Lost | Trace::Busy => format!("unknown {} {trace:?}", age(*since)),
            },
            Stage::Operating { operation, since, next_domain } => {
                format!("operating {operation:?} {next_domain:?} {}", age(*since))
            }
            Stage::Ended { outcome, at } => format!("ended {outcome:?} {}", age(*at)),
            Stage::Examined { evidence } => format!("examined {}", serde_json::to_string(evidence).unwrap()),
            Stage::Over { ending, recorded } => format!("over {} {recorded}", ending.word()),
            Stage::Opened | Stage::Ready => stage.word().to_owned(),
        };
        format!(
            "{stage} {captured:?} {captures} {phase:?} {puts} {deferrals} {changed} {}",
            turned_back.is_some()
        )
    }

    /// The same rollout a tick later.
    pub(super) fn later(&mut self, number: Number) -> Number {
        if let Some(later) = self.later[number as usize] {
            return later;
        }
        let mut rollout = self.get(number).clone();
        move_times(&mut rollout, 1);
        let later = self.number(rollout);
        self.later[number as usize] = Some(later);
        later
    }

    /// What is to be done now.
    pub(super) fn act(&mut self, number: Number) -> Act {
        if let Some((act, _)) = &self.actions[number as usize] {
            return *act;
        }
        let action = (self.functions.next_action)(self.get(number), at(0), &LIMITS);
        let since = |since: &Timestamp| u8::try_from(age(*since)).unwrap_or(0);
        let by_url = |operation: &OperationHandle| *operation != OperationHandle::ProvisioningState;
        let act = match &action {
            Action::Capture => Act::Capture,
            Action::Look { not_before } => Act::Look { wait: u8::try_from(-age(*not_before)).unwrap_or(0) },
            Action::Put { phase } => Act::Put((*phase).into()),
            Action::Follow { operation, since: at } => {
                Act::Follow { by_url: by_url(operation), since: since(at) }
            }
            Action::Walk { operation, since: at, from } => {
                Act::Walk { by_url: by_url(operation), since: since(at), from: u8::try_from(*from).unwrap() }
            }
            Action::Examine { until } => Act::Examine { left: i8::try_from(-age(*until)).unwrap() },
            Action::Record(_) => Act::Record,
            Action::Done(ending) => Act::Done(match ending {
                Ending::Verified => Over::Verified,
                Ending::Restored { .. } => Over::Restored,
                Ending::Stuck { .. } => Over::Stuck,
                Ending::Abandoned { .. } => Over::Abandoned,
            }),
        };
        self.actions[number as usize] = Some((act, action));
        act
    }

    /// The ending in full, of a rollout whose act is [`Act::Done`].
    pub(super) fn ending(&self, number: Number) -> Option<&Ending> {
        match &self.actions[number as usize] {
            Some((_, Action::Done(ending))) => Some(ending),
            _ => None,
        }
    }

    /// The rollout once something is written; itself where that would be a repetition.
    pub(super) fn tell(&mut self, number: Number, told: Told) -> Result<Number, FoldError> {
        if let Some(known) = self.told.get(&(number, told)) {
            return known.clone();
        }
        let event = self.event(number, told);
        let mut rollout = self.get(number).clone();
        let next = if (self.functions.is_repetition)(&rollout, &event) {
            Ok(number)
        } else {
            if told == Told::DeferredOften {
                rollout.deferrals = 15;
            }
            (self.functions.apply)(rollout, at(0), &event).map(|rollout| self.number(rollout))
        };
        self.told.insert((number, told), next.clone());
        next
    }

    /// The event in full.
    pub(super) fn event(&mut self, number: Number, told: Told) -> Event {
        match told {
            Told::Captured { content, provisioning, instances } => Event::Captured {
                presented: Vec::new(),
                model: Box::new(self.scene.model(content, provisioning).clone()),
                started: roles(instances)
                    .into_iter()
                    .filter(|one| one.state == InstanceState::Started)
                    .map(|one| one.name)
                    .collect(),
            },
            Told::Looked { content, provisioning } => {
                let model = self.scene.model(content, provisioning);
                Event::Looked { found: self.found(number, model) }
            }
            Told::PutStarted(way) => put(way.into()),
            Told::Accepted { by_url: true } => accepted(),
            Told::Accepted { by_url: false } => {
                Event::PutAccepted { operation: OperationHandle::ProvisioningState, request_id: None }
            }
            Told::Refused => refused(),
            Told::Deferred | Told::DeferredOften => deferred(),
            Told::Ambiguous => ambiguous(),
            Told::WalkStarted(domain) => Event::WalkStarted { domain: domain.into() },
            Told::DomainDone { domain, last } => Event::DomainDone { domain: domain.into(), last },
            Told::Succeeded => succeeded(),
            Told::Failed => failed(),
            Told::TooLong => too_long(),
            Told::Examined { content, instances } => examined(self.evidence(number, content, instances)),
            Told::Decided => {
                self.act(number);
                match &self.actions[number as usize] {
                    Some((_, Action::Record(event))) => event.clone(),
                    other => panic!("{other:?} decides nothing"),
                }
            }
            Told::GaveUp => {
                let cause = Cause::NotReadable { message: "403".to_owned() };
                (self.functions.give_up)(self.get(number), cause)
            }
        }
    }

    fn found(&self, number: Number, model: &crate::target::cloud_service::CloudServiceModel) -> Found {
        (self.functions.compare)(self.get(number), model).unwrap()
    }

    fn evidence(&self, number: Number, content: Content, instances: [Instance; DOMAINS]) -> Evidence {
        let model = self.scene.model(content, Provisioning::Succeeded);
        Evidence {
            state: crate::plan::ServiceState::of(model).unwrap(),
            instances: roles(instances),
            probes: self.probes(number, instances),
        }
    }

    /// What the endpoints present, behind which every started instance answers.
    fn probes(&self, number: Number, instances: [Instance; DOMAINS]) -> Vec<ProbeEvidence> {
        let probes = &self.get(number).update().probes;
        probes
            .iter()
            .map(|probe| {
                let leaf = |one: &Instance| match (one.up, one.new) {
                    (false, _) => None,
                    (true, false) => Some(Ok(probe.before.clone())),
                    (true, true) => Some(Ok(probe.after.clone())),
                };
                let mut outcomes: Vec<_> = instances.iter().filter_map(leaf).collect();
                if outcomes.is_empty() {
                    outcomes.push(Err("connection refused".to_owned()));
                }
                let address = &probe.endpoint.address;
                let presented = outcomes
                    .into_iter()
                    .map(|outcome| Presentation { address: address.clone(), outcome })
                    .collect();
                ProbeEvidence { probe: probe.clone(), presented }
            })
            .collect()
    }

    /// What the judge says of what is there now.
    pub(super) fn judge(
        &mut self,
        number: Number,
        content: Content,
        instances: [Instance; DOMAINS],
    ) -> Verdict {
        if let Some(verdict) = self.verdicts.get(&(number, content, instances)) {
            return *verdict;
        }
        let evidence = self.evidence(number, content, instances);
        let expected = self.get(number).expected().expect("nothing is examined before it is captured");
        let verdict = match (self.functions.judge)(&expected, evidence) {
            Ok(_) => Verdict::Right,
            Err(mismatches) => Verdict::Wrong {
                model: mismatches.iter().any(|one| matches!(one, Mismatch::Model(_))),
                only_endpoints: mismatches.iter().all(|one| matches!(one, Mismatch::Endpoint { .. })),
            },
        };
        self.verdicts.insert((number, content, instances), verdict);
        verdict
    }

    /// Whether the instances of a domain are as they were, and whether endpoints show nothing strange besides.
    pub(super) fn domain(
        &mut self,
        number: Number,
        domain: u8,
        instances: [Instance; DOMAINS],
    ) -> (bool, bool) {
        if let Some(right) = self.domains.get(&(number, domain, instances)) {
            return *right;
        }
        let all = roles(instances);
        let of_domain: Vec<RoleInstance> =
            all.into_iter().filter(|one| one.update_domain == Some(domain.into())).collect();
        let expected = self.get(number).expected().expect("nothing is walked before it is captured");
        let started: Vec<String> = expected
            .started
            .iter()
            .filter(|name| of_domain.iter().any(|one| one.name == **name))
            .cloned()
            .collect();
        let right = (
            verify::instances(&started, &of_domain).is_empty(),
            self.probes(number, instances)
                .iter()
                .all(|seen| verify::endpoint(seen, Generation::Either).is_empty()),
        );
        self.domains.insert((number, domain, instances), right);
        right
    }

    /// The stage in words, with what led to an outcome.
    pub(super) fn word(&self, number: Number) -> String {
        let rollout = self.get(number);
        let stage = match &rollout.stage {
            Stage::Ended { outcome: OperationOutcome::Succeeded, .. } => {
                "past the operation, which succeeded"
            }
            Stage::Ended { outcome: OperationOutcome::Failed { .. }, .. } => {
                "past the operation, which failed"
            }
            Stage::Ended { outcome: OperationOutcome::TooLong { .. }, .. } => {
                "past the operation, which took too long"
            }
            Stage::Over { ending, .. } => ending.word(),
            other => other.word(),
        };
        match &rollout.turned_back {
            None => stage.to_owned(),
            Some(_) => format!("{stage} (turned back)"),
        }
    }
}

fn roles(instances: [Instance; DOMAINS]) -> Vec<RoleInstance> {
    let state = |one: Instance| match one.up {
        true => InstanceState::Started,
        false => InstanceState::Other("RoleStateBusy".to_owned()),
    };
    (0u32..).zip(instances).map(|(n, one)| instance(n, state(one))).collect()
}

/// Ticks since a time; negative where it is yet to come.
fn age(time: Timestamp) -> i64 {
    at(0).duration_since(time).as_secs().div_euclid(TICK).clamp(-LONG_AGO, LONG_AGO)
}

/// Makes every time of a rollout older.
fn move_times(rollout: &mut Rollout, ticks: i64) {
    let older = |time: &mut Timestamp| *time = at(-(age(*time) + ticks).min(LONG_AGO) * TICK);
    match &mut rollout.stage {
        Stage::BeforePut { not_before, busy_since } => {
            older(not_before);
            // A time that is past asks for no wait, however long it is past.
            if age(*not_before) > 0 {
                *not_before = at(0);
            }
            busy_since.iter_mut().for_each(older);
        }
        Stage::Refused { at, .. } => older(at),
        Stage::Unknown { since, trace, .. } => {
            older(since);
            if let Trace::None { last, .. } = trace {
                older(last);
                // Likewise one that is an interval ago.
                if age(*last) > 1 {
                    *last = at(-TICK);
                }
            }
        }
        Stage::Operating { since, .. } => older(since),
        Stage::Ended { at, .. } => older(at),
        Stage::Opened | Stage::Ready | Stage::Examined { .. } | Stage::Over { .. } => {}
    }
}
