//! The program's own engine against the simulated Azure, by the real protocols and a clock that only waiting moves.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use certroll::assembly::{Assembled, assemble};
use certroll::config::{self, Environment, Settings};
use certroll::records::Records;
use certroll_core::id::RolloutId;
use certroll_core::plan::{ApprovedUpdate, Occasion, PlanReport, PlannedUpdate, Status};
use certroll_core::policy::Mode;
use certroll_core::ports::{Clock, Progress, Recorded, RolloutObserver};
use certroll_core::rollout::Ending;
use certroll_core::standing::{Decided, Decision, Standings};
use certroll_engine::locks::ServiceLocks;
use certroll_engine::pass::{self, Pass};
use certroll_engine::rollout::{Outcome, RolloutError, resume, start};
use certroll_engine::rollouts::{Recovered, Rollouts};
use certroll_engine::world::World;
use certroll_journal::memory::MemoryJournal;
use certroll_simulator::Simulator;
use certroll_simulator::clock::Pace;
use certroll_simulator::cloud::{Cloud, Outcome as Answered};
use certroll_simulator::entra::Caller;
use certroll_simulator::ledger::Exchange;
use certroll_simulator::message::{Reply, Request};
use certroll_simulator::names::Names;
use certroll_simulator::scenario::shop::Shop;
use certroll_simulator::scenario::{self, ServicePlan, shop};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;

use super::program::Place;

/// How long the simulated world stands before something is renewed.
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);

/// A simulated Azure and everything that the program needs to work with it.
pub(crate) struct Azure {
    pub(crate) simulator: Arc<Simulator>,
    pub(crate) settings: Settings,
    pub(crate) assembled: Assembled,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) heard: Arc<Heard>,
    pub(crate) world: World,
    _place: Place,
}

/// What a test does when it hears of an event.
type Reaction = Box<dyn FnMut(&Recorded) + Send>;

/// What an observer was told.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) progress: Mutex<Vec<Progress>>,
    reaction: Mutex<Option<Reaction>>,
}

impl Heard {
    /// Does something at the first event of this word.
    pub(crate) fn once(&self, word: &'static str, reaction: impl FnOnce() + Send + 'static) {
        let mut reaction = Some(reaction);
        *self.reaction.lock().unwrap() = Some(Box::new(move |record| {
            if record.event.word() == word
                && let Some(reaction) = reaction.take()
            {
                reaction();
            }
        }));
    }
}

impl RolloutObserver for Heard {
    fn recorded(&self, record: &Recorded) {
        if let Some(reaction) = self.reaction.lock().unwrap().as_mut() {
            reaction(record);
        }
    }

    fn waiting(&self, _rollout: &RolloutId, progress: &Progress) {
        self.progress.lock().unwrap().push(progress.clone());
    }
}

/// The simulated time. Waiting moves it: nothing else does, and nobody really waits.
pub(crate) struct SteppedClock(pub(crate) Arc<Simulator>);

#[async_trait]
impl Clock for SteppedClock {
    fn now(&self) -> Timestamp {
        self.0.with(|cloud| cloud.now())
    }

    async fn sleep_until(&self, until: Timestamp) {
        self.0.with(|cloud| {
            let left = until.duration_since(cloud.now());
            if let Ok(left) = Duration::try_from(left) {
                cloud.advance(left);
            }
        });
        tokio::task::yield_now().await;
    }
}

/// The service of [`shop`], as a configuration names it, with its probe, which is binding.
pub(crate) fn shop_service(simulator: &Simulator, extra: &str) -> String {
    shop_service_probed(simulator, extra, true)
}

/// The same, with a probe that may or may not decide.
pub(crate) fn shop_service_probed(simulator: &Simulator, extra: &str, binding: bool) -> String {
    let endpoint = simulator
        .endpoint_address(shop::SERVICE, shop::ENDPOINT)
        .map(|address| {
            format!(
                "[service.probe]\nbinding = {binding}\nendpoints = [{{ address = \"{address}\", server_name = \"{}\" }}]\n",
                shop::DNS_NAME
            )
        })
        .unwrap_or_default();
    let id = simulator.with(|cloud| cloud.service(shop::SERVICE).unwrap().id.resource_id());
    format!("[[service]]\nid = \"{id}\"\n{extra}\n{endpoint}")
}

/// What a service is deployed with, as the simulated service holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deployed {
    pub(crate) configuration: String,
    pub(crate) secrets: BTreeSet<String>,
    /// Instance, name of a certificate, its thumbprint.
    pub(crate) held: Vec<(String, String, String)>,
}

/// The shop with a renewed set in its vault that waits to be carried.
pub(crate) fn renewed_shop() -> (Cloud, Shop) {
    renewed_shop_with(|plan| plan)
}

/// The same, with a plan of the service that is changed before it is built.
pub(crate) fn renewed_shop_with(change: impl FnOnce(ServicePlan) -> ServicePlan) -> (Cloud, Shop) {
    let (mut cloud, mut shop) =
        shop::shop_in(Names::china(), shop::LOCATION, Pace::Stepped, Timestamp::now(), change);
    renew(&mut cloud, &mut shop);
    (cloud, shop)
}

/// Time passes, then the whole set is renewed. Versions that were made in one second cannot be told apart.
pub(crate) fn renew(cloud: &mut Cloud, shop: &mut Shop) {
    cloud.advance(HOUR);
    shop.renew(cloud);
}

/// Somebody else sends a request about the shop to Resource Manager. `below` is what follows the service's id.
pub(crate) fn somebody_else(cloud: &mut Cloud, method: &str, below: &str, body: Option<&Value>) -> Reply {
    let caller = Caller {
        object_id: scenario::IDENTITY_OBJECT_ID.to_owned(),
        app_id: scenario::IDENTITY_CLIENT_ID.to_owned(),
        tenant: scenario::TENANT.to_owned(),
    };
    let now = cloud.now();
    let audience = cloud.names.resource_manager_audiences[0].clone();
    let token = cloud.entra.issue(&caller, &audience, now, 3600);
    let id = cloud.service(shop::SERVICE).unwrap().id.resource_id();
    let host = &cloud.names.resource_manager;
    let request = Request {
        method: method.to_owned(),
        url: format!("https://{host}{id}{below}?api-version=2022-04-04").parse().unwrap(),
        headers: vec![
            ("authorization".to_owned(), format!("Bearer {token}")),
            ("content-type".to_owned(), "application/json".to_owned()),
            ("user-agent".to_owned(), "somebody-else".to_owned()),
        ],
        body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default(),
    };
    match cloud.answer(&request) {
        Answered::Answered(reply) => reply,
        other => panic!("not answered: {other:?}"),
    }
}

/// Somebody else restarts every instance of the shop.
pub(crate) fn restart_by_somebody_else(cloud: &mut Cloud) {
    let body = serde_json::json!({ "roleInstances": ["*"] });
    let reply = somebody_else(cloud, "POST", "/restart", Some(&body));
    assert_eq!(reply.status, 202, "{reply:?}");
}

impl Azure {
    /// Starts a simulated Azure and the program's ports to it. `service` writes the services of the configuration.
    pub(crate) async fn start(cloud: Cloud, service: impl FnOnce(&Simulator) -> String) -> Self {
        Self::start_waiting(cloud, service, "60s").await
    }

    /// The shop alone, with its binding probe.
    pub(crate) async fn shop(cloud: Cloud) -> Self {
        Self::start(cloud, |simulator| shop_service(simulator, "")).await
    }

    /// The same as [`Azure::start`], with a longest time for an answer. A late answer is the one thing that a test
    /// waits for by the real clock.
    pub(crate) async fn start_waiting(
        cloud: Cloud,
        service: impl FnOnce(&Simulator) -> String,
        request_timeout: &str,
    ) -> Self {
        let simulator = Arc::new(Simulator::start(cloud).await.unwrap());
        let services = service(&simulator);
        let place = Place::new().env("SHOP_SECRET", scenario::CLIENT_SECRET);
        place.file("ca.pem", simulator.ca_pem());
        let text = format!("{}\n{services}", common(&simulator, request_timeout));
        let config = place.file("certroll.toml", text);
        let environment = Environment::from([("SHOP_SECRET", scenario::CLIENT_SECRET)]);
        let settings = match config::load(&config, &environment, Timestamp::now()) {
            Ok(settings) => settings,
            Err(error) => panic!("{error}"),
        };
        let journal = Arc::new(MemoryJournal::new());
        let heard = Arc::new(Heard::default());
        let clock = Arc::new(SteppedClock(Arc::clone(&simulator)));
        let observer: Arc<dyn RolloutObserver> = Arc::<Heard>::clone(&heard);
        let kept: Arc<dyn certroll_core::ports::RolloutJournal> = Arc::<MemoryJournal>::clone(&journal);
        let records = Records { journal: kept, versions: None };
        let assembled = assemble(&settings, clock, records, observer).unwrap();
        Self { simulator, settings, assembled, journal, heard, world: World::new(), _place: place }
    }

    /// One look, as a person asks for it.
    pub(crate) async fn plan(&self) -> PlanReport {
        pass::look(&self.settings.policy, &self.assembled.outside, &self.world, Occasion::Person).await
    }

    /// One look, as a period asks for it.
    pub(crate) async fn poll(&self) -> PlanReport {
        pass::look(&self.settings.policy, &self.assembled.outside, &self.world, Occasion::Unattended).await
    }

    /// What rollouts are led with, as in a process that has just started.
    pub(crate) fn rollouts(&self) -> Rollouts {
        let Assembled { outside, limits, .. } = &self.assembled;
        let at_once = self.settings.rollout.concurrency;
        Rollouts { outside: outside.clone(), limits: *limits, locks: ServiceLocks::new(), at_once }
    }

    /// One pass without a person: what is planned is carried to its ending.
    pub(crate) async fn pass(&self) -> Pass {
        let (_keep, stop) = watch::channel(false);
        pass::run(&self.settings.policy, &self.rollouts(), &self.world, &stop).await
    }

    /// Leads on what the journal has without an ending, as a process does that starts.
    pub(crate) async fn recover(&self) -> Vec<Recovered> {
        let (_keep, stop) = watch::channel(false);
        self.rollouts().recover(&stop).await.unwrap()
    }

    /// A person decides something about the first service.
    pub(crate) async fn decide(&self, decision: Decision) {
        let service = self.settings.policy.services[0].service.clone();
        let at = self.assembled.outside.clock.now();
        self.assembled.outside.journal.decide(&Decided { at, service, decision }).await.unwrap();
    }

    /// The one update that is planned.
    pub(crate) async fn planned(&self) -> PlannedUpdate {
        let report = self.plan().await;
        match &report.services[0].status {
            Status::Planned { update } => (**update).clone(),
            other => panic!("expected a planned update, found {other:#?}"),
        }
    }

    /// Carries an update to its ending.
    pub(crate) async fn roll_out(&self, update: PlannedUpdate) -> Ending {
        match self.drive(update).await {
            Outcome::Ended { ending, .. } => ending,
            Outcome::Interrupted { .. } => panic!("nobody asked it to stop"),
        }
    }

    /// Carries an update as far as it goes.
    pub(crate) async fn drive(&self, update: PlannedUpdate) -> Outcome {
        let (_keep, stop) = watch::channel(false);
        self.drive_until(update, stop).await
    }

    /// Carries an update until it is asked to stop.
    pub(crate) async fn drive_until(&self, update: PlannedUpdate, stop: watch::Receiver<bool>) -> Outcome {
        self.try_drive(update, stop).await.unwrap()
    }

    /// The same, where the journal may fail.
    pub(crate) async fn try_drive(
        &self,
        update: PlannedUpdate,
        stop: watch::Receiver<bool>,
    ) -> Result<Outcome, RolloutError> {
        let permit = ServiceLocks::new().acquire(&update.service).unwrap();
        let Assembled { outside, limits, .. } = &self.assembled;
        let approved = ApprovedUpdate::saved(update, Mode::Auto, &Standings::default()).unwrap();
        start(&permit, approved, limits, outside, stop).await
    }

    /// Goes on with the one rollout of the journal, as a process that was started again does.
    pub(crate) async fn resume(&self) -> Outcome {
        self.resume_from(&self.journal.records()).await
    }

    /// Goes on from a record.
    pub(crate) async fn resume_from(&self, records: &[Recorded]) -> Outcome {
        let service = self.settings.policy.services[0].service.clone();
        let permit = ServiceLocks::new().acquire(&service).unwrap();
        let (_keep, stop) = watch::channel(false);
        let Assembled { outside, limits, .. } = &self.assembled;
        resume(&permit, records, limits, outside, stop).await.unwrap()
    }

    /// Changes the simulated cloud.
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut Cloud) -> T) -> T {
        self.simulator.with(change)
    }

    /// The PUTs of the shop that certroll sent.
    pub(crate) fn put_exchanges(&self) -> Vec<Exchange> {
        let ledger = self.simulator.ledger();
        let ours = |one: &&Exchange| {
            !one.request_headers
                .iter()
                .any(|(name, value)| name.eq_ignore_ascii_case("user-agent") && value == "somebody-else")
        };
        ledger.puts_of(shop::SERVICE).into_iter().filter(ours).cloned().collect()
    }

    /// How many PUTs of the shop certroll sent.
    pub(crate) fn puts(&self) -> usize {
        self.put_exchanges().len()
    }

    /// How many of them the service took, whatever it answered.
    pub(crate) fn puts_in_effect(&self) -> usize {
        self.put_exchanges().iter().filter(|one| one.status == 200).count()
    }

    /// How many of them met an operation that was still running.
    pub(crate) fn puts_into_an_operation(&self) -> usize {
        self.put_exchanges().iter().filter(|one| one.status == 409).count()
    }

    /// What the shop is deployed with now.
    pub(crate) fn deployed(&self) -> Deployed {
        self.with(|cloud| {
            let service = cloud.service(shop::SERVICE).unwrap();
            let held = service.instances.iter().flat_map(|instance| {
                let name = instance.name();
                instance.holds.certificates.iter().map(move |(certificate, one)| {
                    (name.clone(), certificate.clone(), one.thumbprint.clone())
                })
            });
            Deployed {
                configuration: service.model.configuration.clone(),
                secrets: service.model.certificate_urls().map(str::to_ascii_lowercase).collect(),
                held: held.collect(),
            }
        })
    }

    /// The thumbprint that each instance of the shop holds as its leaf.
    pub(crate) fn leaves(&self) -> BTreeSet<String> {
        let held = self.deployed().held;
        held.into_iter()
            .filter(|(_, name, _)| name == "ShopTls")
            .map(|(_, _, thumbprint)| thumbprint)
            .collect()
    }
}

impl Drop for Azure {
    /// Nobody may ever have been sent to a host that the cloud does not have.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let refused = self.with(|cloud| cloud.refused_connects.clone());
            assert!(refused.is_empty(), "hosts outside the cloud were asked for: {refused:?}");
        }
    }
}

/// The configuration but for the services.
fn common(simulator: &Simulator, request_timeout: &str) -> String {
    let names = simulator.with(|cloud| cloud.names.clone());
    let cloud = if names == Names::china() {
        "cloud = \"china\"".to_owned()
    } else if names == Names::public() {
        "cloud = \"public\"".to_owned()
    } else if names == Names::us_government() {
        "cloud = \"usgov\"".to_owned()
    } else {
        format!(
            "cloud = \"custom\"\n[custom_cloud]\nname = \"airgap\"\nauthority_host = \"{}\"\n\
             resource_manager_host = \"{}\"\nvault_suffix = \"{}\"",
            names.login[0], names.resource_manager, names.vault_suffix
        )
    };
    format!(
        "{cloud}\n\
         [identity]\nkind = \"client_secret\"\ntenant_id = \"{}\"\nclient_id = \"{}\"\nclient_secret_env = \"SHOP_SECRET\"\n\
         [http]\nproxy = \"{}\"\nca_file = \"ca.pem\"\nrequest_timeout = \"{request_timeout}\"\n\
         [rollout]\npoll_interval = \"30s\"\nno_progress_for = \"90m\"\nlongest = \"3h\"\ninstances_within = \"10m\"\n\
         probe_within = \"5m\"\nprobe_connections = 4\n",
        scenario::TENANT,
        scenario::CLIENT_ID,
        simulator.proxy_url()
    )
}
