//! The program's own engine against the simulated Azure, by the real protocols and a clock that only waiting moves.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use certroll::assembly::{Assembled, assemble};
use certroll::config::{self, Environment, Settings};
use certroll_core::id::RolloutId;
use certroll_core::plan::{Occasion, PlanReport, PlannedUpdate, Status};
use certroll_core::ports::{Clock, Progress, Recorded, RolloutObserver};
use certroll_core::rollout::{Ending, Initiator};
use certroll_engine::locks::ServiceLocks;
use certroll_engine::pass;
use certroll_engine::rollout::{Outcome, start};
use certroll_engine::world::World;
use certroll_journal::memory::MemoryJournal;
use certroll_simulator::Simulator;
use certroll_simulator::cloud::Cloud;
use certroll_simulator::scenario::{self, shop};
use jiff::Timestamp;
use tokio::sync::watch;

use super::program::Place;

/// A simulated Azure and everything that the program needs to work with it.
pub(crate) struct Azure {
    pub(crate) simulator: Arc<Simulator>,
    pub(crate) settings: Settings,
    pub(crate) assembled: Assembled,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) heard: Arc<Heard>,
    pub(crate) world: World,
    pub(crate) place: Place,
}

/// What an observer was told.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) progress: Mutex<Vec<Progress>>,
}

impl RolloutObserver for Heard {
    fn recorded(&self, _record: &Recorded) {}

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
            if let Ok(left) = std::time::Duration::try_from(left) {
                cloud.advance(left);
            }
        });
        tokio::task::yield_now().await;
    }
}

/// The service of [`shop`], as a configuration names it, with its probe.
pub(crate) fn shop_service(simulator: &Simulator, extra: &str) -> String {
    let endpoint = simulator
        .endpoint_address(shop::SERVICE, shop::ENDPOINT)
        .map(|address| {
            format!(
                "[service.probe]\nbinding = true\nendpoints = [{{ address = \"{address}\", server_name = \"{}\" }}]\n",
                shop::DNS_NAME
            )
        })
        .unwrap_or_default();
    let id = simulator.with(|cloud| cloud.service(shop::SERVICE).unwrap().id.resource_id());
    format!("[[service]]\nid = \"{id}\"\n{extra}\n{endpoint}")
}

impl Azure {
    /// Starts a simulated Azure and the program's ports to it. `service` writes the services of the configuration.
    pub(crate) async fn start(cloud: Cloud, service: impl FnOnce(&Simulator) -> String) -> Self {
        let simulator = Arc::new(Simulator::start(cloud).await.unwrap());
        let services = service(&simulator);
        let place = Place::new().env("SHOP_SECRET", scenario::CLIENT_SECRET);
        place.file("ca.pem", simulator.ca_pem());
        let text = format!("{}\n{services}", common(&simulator));
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
        let assembled = assemble(&settings, clock, kept, observer).unwrap();
        Self { simulator, settings, assembled, journal, heard, world: World::new(), place }
    }

    /// One look, as a person asks for it.
    pub(crate) async fn plan(&self) -> PlanReport {
        pass::look(&self.settings.policy, &self.assembled.outside, &self.world, Occasion::Person).await
    }

    /// One look, as a period asks for it.
    pub(crate) async fn poll(&self) -> PlanReport {
        pass::look(&self.settings.policy, &self.assembled.outside, &self.world, Occasion::Unattended).await
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
        let permit = ServiceLocks::new().acquire(&update.service).unwrap();
        let (_keep, stop) = watch::channel(false);
        let Assembled { outside, limits, .. } = &self.assembled;
        start(&permit, update, Initiator::Person, limits, outside, stop).await.unwrap()
    }

    /// PUTs of the shop that the service was sent.
    pub(crate) fn puts(&self) -> usize {
        self.simulator.ledger().puts_of(shop::SERVICE).len()
    }
}

/// The configuration but for the services.
fn common(simulator: &Simulator) -> String {
    let cloud = match simulator.with(|cloud| cloud.names.vault_suffix.clone()).as_str() {
        "vault.azure.cn" => "china",
        "vault.azure.net" => "public",
        _ => "usgov",
    };
    format!(
        "cloud = \"{cloud}\"\n\
         [identity]\nkind = \"client_secret\"\ntenant_id = \"{}\"\nclient_id = \"{}\"\nclient_secret_env = \"SHOP_SECRET\"\n\
         [http]\nproxy = \"{}\"\nca_file = \"ca.pem\"\n\
         [rollout]\ninstances_within = \"10m\"\nprobe_within = \"5m\"\nprobe_connections = 4\n",
        scenario::TENANT,
        scenario::CLIENT_ID,
        simulator.proxy_url()
    )
}
