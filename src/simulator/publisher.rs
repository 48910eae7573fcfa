//! The simulated Event Grid: subscriptions to what happens in vaults, and deliveries to webhooks on loopback.
//!
//! [`Publisher`] is a plain value, a part of the [`Cloud`](crate::cloud::Cloud): it sees new versions, changed access
//! policies and expiries whenever the cloud is looked at, and keeps what waits. [`Courier`], which a
//! [`Simulator`](crate::Simulator) gives, does the sending: creating a subscription with its handshake, and delivering
//! what is due by the simulated clock, which nobody has to wait for. What documents leave open is in [`switches`].
//!
//! Sources: Microsoft's articles on Key Vault as a source of events, endpoint validation, delivery and retry, and
//! secure webhook delivery; the published schemas of the events; the CloudEvents specification of web hooks.

mod courier;
mod dead_letter;
mod delivery;
mod event;
mod handshake;
mod message;
mod schedule;
mod subscription;
pub mod switches;
mod watch;
mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use crate::names::Names;
pub use courier::Courier;
pub use dead_letter::DeadLetter;
pub use delivery::{Answered, Delivery, Outcome, Reason};
pub use event::{Event, Happened, Subject};
pub use subscription::{
    Batching, DeadLettering, NotValidated, Provisioning, Schema, Subscription, SubscriptionRefused,
    SubscriptionRequest,
};
use switches::{Disturbances, Switches};

/// How long an endpoint may take to answer: the documented limit.
const RESPONSE_LIMIT: Duration = Duration::from_secs(30);
/// Events that wait in one subscription. A test of a storm makes some thousands; beyond this they count as lost.
const MAX_WAITING: usize = 100_000;
/// Deliveries that are remembered, and as many dead letters; the oldest go first.
const MAX_RECORDED: usize = 100_000;

/// Subscriptions, what waits for them, and what became of it.
#[derive(Clone, Debug)]
pub struct Publisher {
    /// Its readings of what is not documented.
    pub switches: Switches,
    /// What it does to events.
    pub disturbances: Disturbances,
    /// Who it says it is in handshakes, such as `eventgrid.azure.cn`.
    pub origin: String,
    /// Time from what happens to the first delivery.
    pub latency: Duration,
    /// How long an endpoint may take to answer, by the simulated clock.
    pub response_limit: Duration,
    /// Roots, in DER, that certificates of https endpoints must lead to. Their validity is judged by the real clock.
    pub trusted_roots: Vec<Vec<u8>>,
    /// So many of the next answers are lost on their way back, after the endpoint gave them.
    pub lost_answers: u32,
    subscriptions: Vec<Subscription>,
    watched: BTreeMap<String, watch::Watched>,
    deliveries: VecDeque<Delivery>,
    dead_letters: VecDeque<DeadLetter>,
    validations: Vec<Validation>,
    requests: u64,
    lost: usize,
}

/// One handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    /// Subscription.
    pub subscription: String,
    /// When.
    pub at: Timestamp,
    /// What the endpoint answered, if it did.
    pub status: Option<u16>,
    /// How the subscription stands, or why it is refused.
    pub result: Result<Provisioning, NotValidated>,
}

impl Publisher {
    /// Event Grid of a cloud, without subscriptions.
    pub fn new(names: &Names) -> Self {
        let origin = if *names == Names::china() {
            "eventgrid.azure.cn"
        } else if *names == Names::us_government() {
            "eventgrid.azure.us"
        } else {
            "eventgrid.azure.net"
        };
        Self {
            switches: Switches::default(),
            disturbances: Disturbances::default(),
            origin: origin.to_owned(),
            latency: Duration::ZERO,
            response_limit: RESPONSE_LIMIT,
            trusted_roots: Vec::new(),
            lost_answers: 0,
            subscriptions: Vec::new(),
            watched: BTreeMap::new(),
            deliveries: VecDeque::new(),
            dead_letters: VecDeque::new(),
            validations: Vec::new(),
            requests: 0,
            lost: 0,
        }
    }

    /// All subscriptions.
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.subscriptions
    }

    /// A subscription by name.
    pub fn subscription(&self, name: &str) -> Option<&Subscription> {
        self.place(name).map(|place| &self.subscriptions[place])
    }

    /// A subscription by name, to change what its deliveries look like.
    pub fn subscription_mut(&mut self, name: &str) -> Option<&mut Subscription> {
        self.place(name).map(|place| &mut self.subscriptions[place])
    }

    /// Adds a subscription that somebody made long ago, as it stands now. Nobody is asked, its endpoint may be anywhere,
    /// and nothing is delivered that happened before.
    pub fn found(&mut self, request: SubscriptionRequest, provisioning: Provisioning) {
        self.subscriptions.push(Subscription::long_ago(request, provisioning));
    }

    /// Every delivery that was tried, oldest first.
    pub fn deliveries(&self) -> impl DoubleEndedIterator<Item = &Delivery> {
        self.deliveries.iter()
    }

    /// What could not be delivered and was kept, oldest first.
    pub fn dead_letters(&self) -> impl DoubleEndedIterator<Item = &DeadLetter> {
        self.dead_letters.iter()
    }

    /// Every handshake, oldest first.
    pub fn validations(&self) -> &[Validation] {
        &self.validations
    }

    /// Events that a subscription should have had and that were lost in a gap.
    pub fn lost(&self) -> usize {
        self.lost
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.subscriptions.iter().position(|one| one.request.name.eq_ignore_ascii_case(name))
    }

    fn record(&mut self, deliveries: &[Delivery]) {
        self.deliveries.extend(deliveries.iter().cloned());
        let surplus = self.deliveries.len().saturating_sub(MAX_RECORDED);
        self.deliveries.drain(..surplus);
    }

    fn keep(&mut self, letter: DeadLetter) {
        if self.dead_letters.len() == MAX_RECORDED {
            self.dead_letters.pop_front();
        }
        self.dead_letters.push_back(letter);
    }
}
