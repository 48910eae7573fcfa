//! A cloud service (extended support): its model, its instances and what happens to them over time.
//!
//! `settle` brings it up to a time; nothing happens in between. What a request may change is judged in
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
mod update;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

pub(crate) use answer::answer;

use cscfg::Cscfg;
use instance::{Delivered, Instance, InstanceState};
use model::{Model, ProvisioningState};
use operation::End;
use timeline::{Delivery, Desired, Event, Interference, What};

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

    /// What became of the last operation, before anybody looked.
    pub fn ended(&mut self, outcome: ProvisioningState) {
        self.outcome = outcome;
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
        if self.running.is_none() {
            self.running = self.pending.take().and_then(|pending| pending.waits);
        }
        self.events.retain(|event| !matches!(event.what, What::Ended(_)));
        self.happened(now, What::Ended(end))
    }

    /// Whether a PUT has to wait. An update by hand between two update domains can be replaced: the classic service's
    /// document names a fresh update as the way out of a stuck one.
    pub(crate) fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    /// Lets everything happen that is due; the operations that ended.
    pub(crate) fn settle(&mut self, now: Timestamp) -> Vec<Ended> {
        let due = self.events.iter().take_while(|event| event.at <= now).count();
        let due: Vec<Event> = self.events.drain(..due).collect();
        due.into_iter().filter_map(|event| self.happened(event.at, event.what)).collect()
    }

    fn waiting_operation(&self) -> Option<&str> {
        Some(self.pending.as_ref()?.waits.as_ref()?.operation.as_str())
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
