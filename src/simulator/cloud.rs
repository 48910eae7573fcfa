//! Everything simulated, as one plain value. A test gets it back and asserts on it; the HTTP layer only carries
//! requests to [`Cloud::answer`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::arm;
use crate::arm::addresses::PublicAddress;
use crate::arm::rights::Rights;
use crate::call::Call;
use crate::clock::{Clock, Durations, Pace};
use crate::entra::{Caller, Entra};
use crate::faults::{Effect, Fault, Faults};
use crate::ledger::Ledger;
use crate::message::{Reply, Request};
use crate::names::{Host, Names};
use crate::publisher::Publisher;
use crate::rates::Rates;
use crate::service::operation::{End, Operation};
use crate::service::schema::Members;
use crate::service::timeline::Interference;
use crate::service::{Ended, Service};
use crate::switches::Switches;
use crate::vault::Vault;

/// api-versions of Microsoft.Compute cloudServices that the simulator knows.
pub const API_VERSIONS: [&str; 4] = ["2020-10-01-preview", "2022-04-04", "2022-09-04", "2024-11-04"];
/// Services on a page of a list. No page size is documented; tests set a small one.
const DEFAULT_PAGE_SIZE: usize = 50;
/// Noted hosts that were not let through: one is enough for a test to fail.
const MAX_REFUSED: usize = 1000;
/// Status in the ledger for an exchange that was cut before anything was done: nobody answered.
const UNANSWERED: u16 = 504;

/// A simulated cloud.
#[derive(Clone, Debug)]
pub struct Cloud {
    /// Its names.
    pub names: Names,
    /// How long things take.
    pub durations: Durations,
    /// Its readings of what is not documented.
    pub switches: Switches,
    /// How it takes read-only members in a PUT.
    pub members: Members,
    /// Tokens.
    pub entra: Entra,
    /// Vaults.
    pub vaults: Vec<Vault>,
    /// Events of vaults.
    pub publisher: Publisher,
    /// Cloud services.
    pub services: Vec<Service>,
    /// Public IP addresses.
    pub public_addresses: Vec<PublicAddress>,
    /// Operations by id.
    pub operations: BTreeMap<String, Operation>,
    /// What goes wrong.
    pub faults: Faults,
    /// What was exchanged.
    pub ledger: Ledger,
    /// Remaining calls.
    pub rates: Rates,
    /// Rights of callers, by object id. A caller that is not listed has [`Cloud::default_rights`].
    pub rights: BTreeMap<String, Rights>,
    /// Rights of everybody else who has a token.
    pub default_rights: Rights,
    /// Accepted api-versions of cloud services.
    pub api_versions: Vec<String>,
    /// Items on a page of a Resource Manager list.
    pub page_size: usize,
    /// Hosts, with ports, that somebody wanted to reach and that the cloud does not have.
    pub refused_connects: Vec<String>,
    clock: Clock,
    groups: BTreeSet<(String, String)>,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// This is answered.
    Answered(Reply),
    /// This is answered at that time.
    Delayed(Reply, Timestamp),
    /// The connection is cut, whether or not anything was done.
    Cut,
    /// Bytes that are no JSON are answered, with this status and these headers.
    Garbled(Reply, Vec<u8>),
}

impl Cloud {
    /// An empty cloud.
    pub fn new(names: Names, entra: Entra, pace: Pace, now: Timestamp) -> Self {
        // Whether China takes 2024-11-04 is not known; it is known to take 2022-04-04.
        let newest = if names == Names::china() { "2022-09-04" } else { "2024-11-04" };
        let publisher = Publisher::new(&names);
        Self {
            names,
            durations: Durations::default(),
            switches: Switches::default(),
            members: Members::Strict,
            entra,
            vaults: Vec::new(),
            publisher,
            services: Vec::new(),
            public_addresses: Vec::new(),
            operations: BTreeMap::new(),
            faults: Faults::default(),
            ledger: Ledger::default(),
            rates: Rates::default(),
            rights: BTreeMap::new(),
            default_rights: Rights::all(),
            api_versions: API_VERSIONS
                .iter()
                .filter(|version| **version <= newest)
                .map(|one| (*one).to_owned())
                .collect(),
            page_size: DEFAULT_PAGE_SIZE,
            refused_connects: Vec::new(),
            clock: Clock::new(pace, now),
            groups: BTreeSet::new(),
        }
    }

    /// The simulated time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How time passes.
    pub fn pace(&self) -> Pace {
        self.clock.pace()
    }

    /// Moves time forward and lets happen what is due.
    pub fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        self.settle();
    }

    /// Moves time to the next thing that happens in a service, and lets it happen. `false`: nothing is going on.
    pub fn step(&mut self) -> bool {
        let Some(next) = self.services.iter().filter_map(Service::next_event).min() else { return false };
        let wait = next.duration_since(self.now());
        self.clock.advance(Duration::try_from(wait).unwrap_or(Duration::ZERO));
        self.settle();
        true
    }

    /// Steps until nothing is going on any more.
    pub fn finish(&mut self) {
        while self.step() {}
    }

    /// Brings every service up to the time, and the publisher of events up to the vaults.
    pub fn settle(&mut self) {
        let now = self.now();
        self.publisher.look(&mut self.vaults, now);
        let ended: Vec<Ended> = self.services.iter_mut().flat_map(|service| service.settle(now)).collect();
        self.end_operations(ended);
    }

    /// Adds a fault.
    pub fn fault(&mut self, fault: Fault) {
        self.faults.add(fault);
    }

    /// A service by name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|one| one.id.name.eq_ignore_ascii_case(name))
    }

    /// A service by name, to change.
    pub fn service_mut(&mut self, name: &str) -> Option<&mut Service> {
        self.services.iter_mut().find(|one| one.id.name.eq_ignore_ascii_case(name))
    }

    /// A vault by name.
    pub fn vault(&self, name: &str) -> Option<&Vault> {
        self.vaults.iter().find(|one| one.name.eq_ignore_ascii_case(name))
    }

    /// A vault by name, to change.
    pub fn vault_mut(&mut self, name: &str) -> Option<&mut Vault> {
        self.vaults.iter_mut().find(|one| one.name.eq_ignore_ascii_case(name))
    }

    /// Adds an empty resource group, and its subscription. Those of services and vaults are known without.
    pub fn add_group(&mut self, subscription: &str, group: &str) {
        self.groups.insert((subscription.to_ascii_lowercase(), group.to_ascii_lowercase()));
    }

    /// Ends the operation of a service that would not end by itself.
    pub fn end_operation(&mut self, service: &str, end: End) {
        let now = self.now();
        let ended = self.service_mut(service).and_then(|service| service.end_operation(now, end));
        self.end_operations(ended.into_iter().collect());
    }

    /// Whether a request to this host and port reaches the cloud. What does not is noted.
    pub fn admits(&mut self, host: &str, port: u16) -> bool {
        let known = port == 443
            && match self.names.host(host) {
                Some(Host::Login | Host::ResourceManager) => true,
                // The name of a vault that does not exist is in no DNS.
                Some(Host::Vault(name)) => self.vault(&name).is_some(),
                None => false,
            };
        if !known {
            self.refuse_connect(format!("{host}:{port}"));
        }
        known
    }

    /// Notes a host that is not let through.
    pub(crate) fn refuse_connect(&mut self, host: String) {
        if self.refused_connects.len() < MAX_REFUSED {
            self.refused_connects.push(host);
        }
    }

    /// Answers a request at the simulated time.
    pub fn answer(&mut self, request: &Request) -> Outcome {
        self.settle();
        let now = self.now();
        let Some(host) = request.url.host_str().and_then(|host| self.names.host(host)) else {
            let reply = Reply::error(404, "NotFound", "No such host in the simulated cloud.");
            self.ledger.record(request, reply.status, &reply.headers, reply.body.as_ref(), None);
            return Outcome::Answered(reply);
        };
        let call = Call::of(&host, request);
        let effects = self.faults.strike(&host, call, &request.method, request.url.path(), now);
        let fault =
            (!effects.is_empty()).then(|| effects.iter().map(Effect::name).collect::<Vec<_>>().join("; "));
        if effects.contains(&Effect::CutBefore) {
            self.ledger.record(request, UNANSWERED, &[], None, fault);
            return Outcome::Cut;
        }
        let reply = match instead(&effects) {
            Some(reply) => reply,
            None => self.reply(&host, request, call, Interference::of(&effects)),
        };
        self.ledger.record(request, reply.status, &reply.headers, reply.body.as_ref(), fault);
        on_the_way(reply, &effects, now)
    }

    /// What a request asks for.
    pub(crate) fn call(&self, request: &Request) -> Call {
        let host = request.url.host_str().and_then(|host| self.names.host(host));
        host.map_or(Call::Other, |host| Call::of(&host, request))
    }

    /// A request that arrived and has no effect: its connection is cut.
    pub(crate) fn lose(&mut self, request: &Request) -> Outcome {
        self.ledger.record(request, UNANSWERED, &[], None, Some("cut on arrival".to_owned()));
        Outcome::Cut
    }

    /// Answers a request to the managed identity's endpoint.
    pub fn answer_metadata(&mut self, request: &Request) -> Reply {
        let now = self.now();
        let reply = self.entra.managed_identity_answer(request, now);
        self.ledger.record(request, reply.status, &reply.headers, reply.body.as_ref(), None);
        reply
    }

    pub(crate) fn tenant(&self) -> String {
        self.entra.tenants.first().cloned().unwrap_or_default()
    }

    pub(crate) fn rights_of(&self, caller: &Caller) -> &Rights {
        self.rights.get(&caller.object_id).unwrap_or(&self.default_rights)
    }

    /// Subscriptions that hold anything.
    pub(crate) fn subscriptions(&self) -> impl Iterator<Item = &str> {
        let services = self.services.iter().map(|one| one.id.subscription.as_str());
        let vaults = self.vaults.iter().map(|one| one.subscription.as_str());
        let groups = self.groups.iter().map(|(subscription, _)| subscription.as_str());
        services.chain(vaults).chain(groups).collect::<BTreeSet<_>>().into_iter()
    }

    pub(crate) fn knows_subscription(&self, subscription: &str) -> bool {
        self.subscriptions().any(|known| known.eq_ignore_ascii_case(subscription))
    }

    pub(crate) fn knows_group(&self, subscription: &str, group: &str) -> bool {
        let same = |s: &str, g: &str| s.eq_ignore_ascii_case(subscription) && g.eq_ignore_ascii_case(group);
        self.services.iter().any(|one| same(&one.id.subscription, &one.id.resource_group))
            || self.vaults.iter().any(|one| same(&one.subscription, &one.resource_group))
            || self.groups.iter().any(|(s, g)| same(s, g))
    }

    pub(crate) fn end_operations(&mut self, ended: Vec<Ended>) {
        for Ended { operation, at, end } in ended {
            if let Some(operation) = self.operations.get_mut(&operation) {
                operation.ended = Some((at, end));
            }
        }
    }

    fn reply(&mut self, host: &Host, request: &Request, call: Call, interference: Interference) -> Reply {
        let now = self.now();
        match host {
            Host::Login => self.entra.answer(request, now),
            Host::ResourceManager => arm::answer(self, request, call, interference),
            Host::Vault(name) => {
                let Self { vaults, entra, .. } = self;
                match vaults.iter_mut().find(|one| one.name.eq_ignore_ascii_case(name)) {
                    Some(vault) => vault.answer(request, entra, now),
                    None => Reply::error(404, "VaultNotFound", "No such vault in the simulated cloud."),
                }
            }
        }
    }
}

/// A reply that takes the place of doing anything.
fn instead(effects: &[Effect]) -> Option<Reply> {
    effects.iter().find_map(|effect| match effect {
        Effect::Reply { status, code, retry_after } => {
            let reply = injected(*status, code);
            Some(match retry_after {
                Some(seconds) => reply.with_header("retry-after", seconds.to_string()),
                None => reply,
            })
        }
        _ => None,
    })
}

fn injected(status: u16, code: &str) -> Reply {
    let id = uuid::Uuid::new_v4().to_string();
    let cause = if status >= 500 { "service" } else { "gateway" };
    Reply::error(status, code, "The operation could not be completed.")
        .with_header("x-ms-request-id", id)
        .with_header("x-ms-failure-cause", cause)
}

/// What faults make of a reply on its way back.
fn on_the_way(reply: Reply, effects: &[Effect], now: Timestamp) -> Outcome {
    let mut reply = reply;
    let mut delay = Duration::ZERO;
    for effect in effects {
        match effect {
            Effect::CutAfter => return Outcome::Cut,
            Effect::AppliedButReply { status, code } => reply = injected(*status, code),
            Effect::Delay(by) => delay += *by,
            Effect::MalformedJson => return Outcome::Garbled(reply, b"{\"value\": [".to_vec()),
            Effect::AddHeader(name, value) => {
                reply = reply.with_header(&name.to_ascii_lowercase(), value.as_str());
            }
            Effect::DropHeader(name) => {
                reply.headers.retain(|(header, _)| !header.eq_ignore_ascii_case(name));
            }
            Effect::Status(status) => reply.status = *status,
            Effect::ForeignNextLink(host) => point_next_link_at(host, &mut reply),
            Effect::Oversized(by) => {
                let mut body = reply.body.take().unwrap_or_else(|| json!({}));
                if let Value::Object(members) = &mut body {
                    members.insert("padding".to_owned(), json!("x".repeat(*by)));
                }
                reply.body = Some(body);
            }
            Effect::Reply { .. }
            | Effect::CutBefore
            | Effect::ForeignPollUrl(_)
            | Effect::PollByLocation
            | Effect::OperationFails { .. }
            | Effect::OperationNeverEnds
            | Effect::OperationLate(_)
            | Effect::InstanceNeverReady(..)
            | Effect::OldCertificatePresented(_)
            | Effect::StateFailed => {}
        }
    }
    if delay.is_zero() { Outcome::Answered(reply) } else { Outcome::Delayed(reply, now + delay) }
}

fn point_next_link_at(host: &str, reply: &mut Reply) {
    let Some(link) = reply.body.as_mut().and_then(|body| body.get_mut("nextLink")) else { return };
    let url = link.as_str().and_then(|text| url::Url::parse(text).ok());
    if let Some(mut url) = url
        && url.set_host(Some(host)).is_ok()
    {
        *link = json!(url.to_string());
    }
}
