//! A cloud service (extended support): its model, its instances and what happens to them over time.
//!
//! [`Service::settle`] brings it up to a time; nothing happens in between. What a request may change is judged in
//! `put`, what it is answered in `answer`.

mod answer;
pub mod cscfg;
mod delivery;
pub mod instance;
pub mod model;
pub mod operation;
mod put;
pub mod schema;
pub(crate) mod timeline;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

pub(crate) use answer::answer;

use crate::clock::Durations;
use crate::switches::ManualOperation;
use cscfg::Cscfg;
use instance::{Delivered, Instance, InstanceState};
use model::{Model, ProvisioningState, UpgradeMode};
use operation::End;
use timeline::{Delivery, Desired, Event, Interference, Walk, What};

/// `lastModifiedAt` has this resolution, and moves by at least as much with each PUT.
const TICK: SignedDuration = SignedDuration::from_nanos(100);

/// Where a service is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceId {
    /// Subscription.
    pub subscription: String,
    /// Resource group, as it was created.
    pub resource_group: String,
    /// Name, as it was created.
    pub name: String,
}

/// One cloud service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Where it is.
    pub id: ServiceId,
    /// Region, lower case without spaces.
    pub location: String,
    /// What GET returns.
    pub model: Model,
    /// The model's cscfg.
    pub cscfg: Cscfg,
    /// `uniqueId`.
    pub unique_id: String,
    /// Deployment id that instance views show.
    pub private_id: String,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub last_modified: Timestamp,
    /// Its instances, role by role.
    pub instances: Vec<Instance>,
    /// TLS endpoints that the outside can reach.
    pub endpoints: Vec<Endpoint>,
    /// Update domains of the package. Five unless its definition says otherwise, twenty at most.
    pub update_domains: u32,
    /// Whether it is powered on.
    pub powered: bool,
    pub(crate) delivered: BTreeMap<String, Arc<Delivered>>,
    desired: Desired,
    outcome: ProvisioningState,
    running: Option<Running>,
    pending: Option<PendingWalk>,
    walking: Option<u32>,
    events: Vec<Event>,
}

/// A TLS endpoint of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name, as in the package.
    pub name: String,
    /// Role whose instances serve it.
    pub role: String,
    /// The certificate's name in the cscfg.
    pub certificate: String,
    /// Names in the cscfg of the certificates that may be sent along. `None`: whatever issuer the instance holds, but
    /// for roots, as Windows does.
    pub chain: Option<Vec<String>>,
}

/// The operation that is being carried out.
#[derive(Clone, Debug)]
struct Running {
    operation: String,
    /// Whether the service's state is `Failed` although the operation succeeds.
    state_failed: bool,
}

/// An update that waits for its update domains to be walked by hand.
#[derive(Clone, Debug)]
struct PendingWalk {
    walked: BTreeSet<u32>,
    /// The PUT's operation, if it waits for the walk, and whether its state fails.
    waits: Option<Running>,
    delivery: Delivery,
    interference: Interference,
}

/// An operation that ended while a service was brought up to date.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) operation: String,
    pub(crate) at: Timestamp,
    pub(crate) end: End,
}

/// A change that was found right.
pub(crate) struct Accepted {
    pub(crate) model: Model,
    pub(crate) cscfg: Cscfg,
    pub(crate) delivered: BTreeMap<String, Arc<Delivered>>,
    pub(crate) desired: Desired,
    /// Code and message with which the operation fails instead of doing anything.
    pub(crate) failure: Option<(String, String)>,
    pub(crate) delivery: Delivery,
    pub(crate) touches_last_modified: bool,
}

impl ServiceId {
    /// An id.
    pub fn new(subscription: &str, resource_group: &str, name: &str) -> Self {
        Self {
            subscription: subscription.to_owned(),
            resource_group: resource_group.to_owned(),
            name: name.to_owned(),
        }
    }

    /// `/subscriptions/…`, as a person writes it.
    pub fn resource_id(&self) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Compute/cloudServices/{}",
            self.subscription, self.resource_group, self.name
        )
    }

    pub(crate) fn is(&self, subscription: &str, group: &str, name: &str) -> bool {
        self.subscription.eq_ignore_ascii_case(subscription)
            && self.resource_group.eq_ignore_ascii_case(group)
            && self.name.eq_ignore_ascii_case(name)
    }
}

impl Service {
    /// A service that has been running since `now` with what is given, every instance started.
    pub(crate) fn running(
        id: ServiceId,
        location: &str,
        model: Model,
        cscfg: Cscfg,
        update_domains: u32,
        now: Timestamp,
    ) -> Self {
        let mut service = Self {
            id,
            location: location.to_ascii_lowercase().replace(' ', ""),
            model,
            cscfg,
            unique_id: uuid::Uuid::new_v4().to_string(),
            private_id: uuid::Uuid::new_v4().to_string(),
            created: now,
            last_modified: now,
            instances: Vec::new(),
            endpoints: Vec::new(),
            update_domains,
            powered: true,
            delivered: BTreeMap::new(),
            desired: Desired::new(),
            outcome: ProvisioningState::Succeeded,
            running: None,
            pending: None,
            walking: None,
            events: Vec::new(),
        };
        service.resize(now, InstanceState::Started);
        service
    }

    /// Hands every instance what the model asks for, as if it had long been walked.
    pub(crate) fn deliver_now(&mut self, delivered: BTreeMap<String, Arc<Delivered>>, desired: Desired) {
        for instance in &mut self.instances {
            instance.holds = desired.get(&instance.role.to_ascii_lowercase()).cloned().unwrap_or_default();
        }
        (self.delivered, self.desired) = (delivered, desired);
    }

    /// Powers every instance off, as if it had been so for long.
    pub(crate) fn power_off_now(&mut self) {
        self.powered = false;
        for instance in &mut self.instances {
            instance.state = InstanceState::Stopped;
        }
    }

    /// The id as the service returns it: recordings show the resource group in capitals.
    pub fn resource_id(&self) -> String {
        let group = self.id.resource_group.to_ascii_uppercase();
        ServiceId { resource_group: group, ..self.id.clone() }.resource_id()
    }

    /// `provisioningState`.
    pub fn provisioning_state(&self) -> ProvisioningState {
        if self.running.is_some() || self.waiting_operation().is_some() {
            ProvisioningState::Updating
        } else {
            self.outcome
        }
    }

    /// The update domain that is being walked.
    pub fn current_domain(&self) -> Option<u32> {
        self.walking
    }

    /// The highest update domain that an instance is in.
    pub fn max_domain(&self) -> u32 {
        self.instances.iter().map(|one| one.domain).max().unwrap_or(0)
    }

    /// The operation that is being carried out, or that waits for update domains to be walked.
    pub fn operation(&self) -> Option<&str> {
        self.running.as_ref().map(|one| one.operation.as_str()).or_else(|| self.waiting_operation())
    }

    /// Update domains that an update by hand has yet to reach.
    pub fn domains_to_walk(&self) -> Vec<u32> {
        let Some(pending) = &self.pending else { return Vec::new() };
        (0..=self.max_domain()).filter(|domain| !pending.walked.contains(domain)).collect()
    }

    /// The next time at which something happens by itself.
    pub fn next_event(&self) -> Option<Timestamp> {
        self.events.first().map(|event| event.at)
    }

    /// Changes a role's instance count as autoscale does: in the cscfg, the role profile and the instances.
    pub fn scale(&mut self, role: &str, count: u32, now: Timestamp) -> Result<(), String> {
        let old = self.cscfg.role(role).ok_or_else(|| format!("no role {role}"))?.instances;
        let start =
            self.model.configuration.find(&format!("name=\"{role}\"")).ok_or("role not found in the text")?;
        let (head, tail) = self.model.configuration.split_at(start);
        let tail = tail.replacen(&format!("count=\"{old}\""), &format!("count=\"{count}\""), 1);
        self.model.configuration = format!("{head}{tail}");
        self.cscfg = Cscfg::parse(&self.model.configuration)?;
        for entry in &mut self.model.roles {
            if entry["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(role)) {
                entry["sku"]["capacity"] = count.into();
            }
        }
        self.resize(now, InstanceState::Started);
        for instance in &mut self.instances {
            if instance.holds.certificates.is_empty() {
                let desired = self.desired.get(&instance.role.to_ascii_lowercase());
                instance.holds = desired.cloned().unwrap_or_default();
            }
        }
        self.touch(now);
        Ok(())
    }

    /// Marks the service as changed.
    pub fn touch(&mut self, now: Timestamp) {
        self.last_modified = now.max(self.last_modified + TICK);
    }

    /// Ends an operation that would never end by itself.
    pub(crate) fn end_operation(&mut self, now: Timestamp, end: End) -> Option<Ended> {
        self.events.retain(|event| !matches!(event.what, What::Ended(_)));
        self.happened(now, What::Ended(end))
    }

    /// Whether a PUT has to wait. An update by hand between two update domains can be replaced: the classic service's
    /// document names a fresh update as the way out of a stuck one.
    pub(crate) fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    /// Starts carrying out a change; the operations that this cancels.
    pub(crate) fn accept(
        &mut self,
        change: Accepted,
        operation: &str,
        interference: Interference,
        manual: ManualOperation,
        durations: Durations,
        now: Timestamp,
    ) -> Vec<Ended> {
        let cancelled = self.cancel(now);
        self.model = change.model;
        self.cscfg = change.cscfg;
        if change.touches_last_modified {
            self.touch(now);
        }
        let prepared = now + durations.operation * 2 / 3;
        let finish = durations.operation / 3 + interference.late;
        let failure = change.failure.or_else(|| {
            let untouched = interference.never_ready.is_empty();
            interference.fails.clone().filter(|_| untouched)
        });
        let running = Running { operation: operation.to_owned(), state_failed: interference.state_failed };
        if let Some((code, message)) = failure {
            self.running = Some(running);
            self.events.push(Event {
                at: prepared + interference.late,
                what: What::Ended(End::Failed { code, message }),
            });
            return cancelled;
        }
        self.resize(now, InstanceState::Busy);
        (self.delivered, self.desired) = (change.delivered, change.desired);
        let end = match &interference.fails {
            Some((code, message)) => End::Failed { code: code.clone(), message: message.clone() },
            None => End::Succeeded,
        };
        let mut events = Vec::new();
        let done = match self.model.upgrade_mode {
            UpgradeMode::Manual => {
                let never_ends = interference.never_ends;
                let mut pending = PendingWalk {
                    walked: BTreeSet::new(),
                    waits: None,
                    delivery: change.delivery,
                    interference,
                };
                match manual {
                    ManualOperation::CompletesBeforeWalk => {
                        self.running = Some(running);
                        let what = if never_ends { What::Silence } else { What::Ended(end) };
                        self.events.push(Event { at: prepared + finish, what });
                    }
                    ManualOperation::WaitsForWalk => pending.waits = Some(running),
                }
                self.pending = Some(pending);
                return cancelled;
            }
            UpgradeMode::Auto => {
                let walk = self.walk(durations, change.delivery, &interference);
                let mut at = prepared;
                for domain in 0..=self.max_domain() {
                    events.push(Event { at, what: What::Domain(Some(domain)) });
                    at = walk.lay_out(at, |one| one.domain == domain, &mut events);
                }
                at
            }
            UpgradeMode::Simultaneous => {
                let walk = self.walk(durations, change.delivery, &interference);
                events.push(Event { at: prepared, what: What::Domain(Some(0)) });
                walk.lay_out(prepared, |_| true, &mut events)
            }
        };
        events.push(Event { at: done, what: What::Domain(None) });
        let what = if interference.never_ends { What::Silence } else { What::Ended(end) };
        events.push(Event { at: done + finish, what });
        self.running = Some(running);
        self.schedule(events);
        cancelled
    }

    /// Starts the walk of one update domain of an update by hand. Returns whether there is anything to do.
    pub(crate) fn walk_domain(
        &mut self,
        domain: u32,
        operation: &str,
        faults: &Interference,
        durations: Durations,
        now: Timestamp,
    ) {
        let mut events = Vec::new();
        let mut at = now;
        if let Some(pending) = &self.pending
            && !pending.walked.contains(&domain)
        {
            let mut interference = pending.interference.clone();
            interference.never_ready.extend(faults.never_ready.iter().cloned());
            interference.keeps_old.extend(faults.keeps_old.iter().cloned());
            events.push(Event { at, what: What::Domain(Some(domain)) });
            let walk = self.walk(durations, pending.delivery, &interference);
            at = walk.lay_out(at, |one| one.domain == domain, &mut events);
            events.push(Event { at, what: What::Domain(None) });
        }
        let end = match &faults.fails {
            Some((code, message)) => End::Failed { code: code.clone(), message: message.clone() },
            None => End::Succeeded,
        };
        if end == End::Succeeded {
            events.push(Event { at, what: What::Walked(domain) });
        }
        let what = if faults.never_ends { What::Silence } else { What::Ended(end) };
        events.push(Event { at: at + faults.late, what });
        self.running = Some(Running { operation: operation.to_owned(), state_failed: faults.state_failed });
        self.schedule(events);
    }

    /// Starts, stops or restarts instances.
    pub(crate) fn power(
        &mut self,
        action: &str,
        wanted: impl Fn(&str) -> bool,
        operation: &str,
        faults: &Interference,
        durations: Durations,
        now: Timestamp,
    ) {
        let mut events = Vec::new();
        let at = match action {
            "poweroff" => {
                for index in 0..self.instances.len() {
                    let stop = |state| What::Instance { index, state: Some(state), holds: None };
                    events.push(Event { at: now, what: stop(InstanceState::Stopping) });
                    events.push(Event {
                        at: now + durations.update_domain,
                        what: stop(InstanceState::Stopped),
                    });
                }
                events.push(Event { at: now + durations.update_domain, what: What::Powered(false) });
                now + durations.update_domain
            }
            "start" => {
                events.push(Event { at: now, what: What::Powered(true) });
                let walk = Walk { powered: true, ..self.walk(durations, Delivery::Recycle, faults) };
                walk.lay_out(now, |_| true, &mut events)
            }
            _ => {
                let walk = self.walk(durations, Delivery::Recycle, faults);
                walk.lay_out(now, |one| wanted(&one.name()), &mut events)
            }
        };
        let end = match &faults.fails {
            Some((code, message)) => End::Failed { code: code.clone(), message: message.clone() },
            None => End::Succeeded,
        };
        let what = if faults.never_ends { What::Silence } else { What::Ended(end) };
        events.push(Event { at: at + durations.operation / 3 + faults.late, what });
        self.running = Some(Running { operation: operation.to_owned(), state_failed: faults.state_failed });
        self.schedule(events);
    }

    /// Lets everything happen that is due; the operations that ended.
    pub(crate) fn settle(&mut self, now: Timestamp) -> Vec<Ended> {
        let due = self.events.iter().take_while(|event| event.at <= now).count();
        let due: Vec<Event> = self.events.drain(..due).collect();
        due.into_iter().filter_map(|event| self.happened(event.at, event.what)).collect()
    }

    fn happened(&mut self, at: Timestamp, what: What) -> Option<Ended> {
        match what {
            What::Instance { index, state, holds } => {
                if let Some(instance) = self.instances.get_mut(index) {
                    if let Some(state) = state {
                        (instance.state, instance.since) = (state, at);
                    }
                    if let Some(holds) = holds {
                        instance.holds = holds;
                    }
                }
                None
            }
            What::Domain(domain) => {
                self.walking = domain;
                None
            }
            What::Silence => None,
            What::Powered(on) => {
                self.powered = on;
                None
            }
            What::Walked(domain) => {
                let last = self.max_domain();
                let pending = self.pending.as_mut()?;
                pending.walked.insert(domain);
                if (0..=last).any(|one| !pending.walked.contains(&one)) {
                    return None;
                }
                let pending = self.pending.take()?;
                let waited = pending.waits?;
                if pending.interference.never_ends {
                    self.running = Some(waited);
                    return None;
                }
                let end = match pending.interference.fails {
                    Some((code, message)) => End::Failed { code, message },
                    None => End::Succeeded,
                };
                self.outcome = outcome(&end, waited.state_failed);
                Some(Ended { operation: waited.operation, at, end })
            }
            What::Ended(end) => {
                let running = self.running.take()?;
                self.outcome = outcome(&end, running.state_failed);
                Some(Ended { operation: running.operation, at, end })
            }
        }
    }

    fn walk<'a>(
        &'a self,
        durations: Durations,
        delivery: Delivery,
        interference: &'a Interference,
    ) -> Walk<'a> {
        Walk {
            instances: &self.instances,
            desired: &self.desired,
            durations,
            delivery,
            powered: self.powered,
            interference,
        }
    }

    fn waiting_operation(&self) -> Option<&str> {
        Some(self.pending.as_ref()?.waits.as_ref()?.operation.as_str())
    }

    /// Drops what runs and waits, for something newer.
    fn cancel(&mut self, now: Timestamp) -> Vec<Ended> {
        self.events.clear();
        self.walking = None;
        let waited = self.pending.take().and_then(|pending| pending.waits);
        [self.running.take(), waited]
            .into_iter()
            .flatten()
            .map(|one| Ended { operation: one.operation, at: now, end: End::Canceled })
            .collect()
    }

    fn schedule(&mut self, events: Vec<Event>) {
        self.events.extend(events);
        // Stable, so that what was laid out first happens first at the same time.
        self.events.sort_by_key(|event| event.at);
    }

    /// Makes the instances those of the cscfg; new ones start out in this state.
    fn resize(&mut self, now: Timestamp, state: InstanceState) {
        let mut old = std::mem::take(&mut self.instances);
        for role in &self.cscfg.roles {
            for number in 0..role.instances {
                let known = old
                    .iter()
                    .position(|one| one.number == number && one.role.eq_ignore_ascii_case(&role.name));
                self.instances.push(match known {
                    Some(index) => old.swap_remove(index),
                    None => Instance {
                        role: role.name.clone(),
                        number,
                        domain: number % self.update_domains.max(1),
                        state,
                        since: now,
                        holds: Arc::default(),
                    },
                });
            }
        }
    }
}

fn outcome(end: &End, state_failed: bool) -> ProvisioningState {
    match end {
        End::Succeeded if !state_failed => ProvisioningState::Succeeded,
        End::Succeeded | End::Failed { .. } => ProvisioningState::Failed,
        End::Canceled => ProvisioningState::Canceled,
    }
}
