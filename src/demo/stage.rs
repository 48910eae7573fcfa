//! What the story plays on: a simulated Azure, and a directory with the configuration that leads certroll there.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use certroll::cli::watch::Watch;
use certroll::config::{self, Environment, Settings};
use certroll::records::Records;
use certroll::work::Work;
use certroll_simulator::Simulator;
use certroll_simulator::clock::{Durations, Pace};
use certroll_simulator::cloud::Cloud;
use certroll_simulator::pki;
use certroll_simulator::scenario::{self, shop};
use jiff::Timestamp;
use std::sync::Arc;

use crate::directory::{CA, CLIENT_SECRET, CONFIG, Directory, JOURNAL_DIRECTORY, MARK};

/// How fast everything goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tempo {
    /// What the simulated Azure takes.
    pub(crate) durations: Durations,
    /// Between two looks at an operation, in milliseconds.
    pub(crate) poll_millis: u64,
    /// How long a change may take to show once Azure has ended its operation, in seconds; twice over.
    pub(crate) settle_seconds: u64,
}

impl Tempo {
    /// Slow enough to be read, fast enough for the whole story to take half a minute.
    pub(crate) fn told() -> Self {
        Self { durations: Durations::default(), poll_millis: 500, settle_seconds: 2 }
    }

    /// As fast as the configuration allows.
    #[cfg(test)]
    pub(crate) fn quick() -> Self {
        let durations = Durations {
            operation: Duration::from_millis(60),
            update_domain: Duration::from_millis(40),
            ..Durations::default()
        };
        Self { durations, poll_millis: 100, settle_seconds: 1 }
    }
}

/// The simulated Azure with its shop, and the directory.
pub(crate) struct Stage {
    /// The simulated Azure.
    pub(crate) simulator: Simulator,
    /// The certificates in its vault.
    pub(crate) shop: shop::Shop,
    /// The directory.
    pub(crate) directory: Directory,
    /// The configuration.
    pub(crate) config: PathBuf,
    /// Where the shop's customers connect to.
    pub(crate) endpoint: SocketAddr,
}

impl Stage {
    /// Starts the simulated Azure on a port of 127.0.0.1, 0 for a free one, and writes the configuration.
    ///
    /// # Errors
    /// The port is taken, or a file cannot be written.
    pub(crate) async fn set(directory: Directory, tempo: Tempo, port: u16) -> Result<Self> {
        let (mut cloud, shop) = shop::shop(Pace::Automatic, Timestamp::now());
        cloud.durations = tempo.durations;
        let service = cloud.service(shop::SERVICE).context("the shop has its service")?.id.resource_id();
        let simulator = Simulator::start_on(cloud, port).await.with_context(|| {
            format!("port {port} of 127.0.0.1 cannot be used; name another one with `--port`")
        })?;
        let endpoint =
            simulator.endpoint_address(shop::SERVICE, shop::ENDPOINT).context("the shop has an endpoint")?;
        directory.without_journal()?;
        directory.write(CA, simulator.ca_pem())?;
        directory.write(CLIENT_SECRET, format!("{}\n", scenario::CLIENT_SECRET))?;
        let text = configuration(&simulator.proxy_url(), &service, endpoint, tempo);
        let config = directory.write(CONFIG, text)?;
        Ok(Self { simulator, shop, directory, config, endpoint })
    }

    /// The configuration, read and checked as certroll itself does.
    ///
    /// # Errors
    /// It is wrong.
    pub(crate) fn settings(&self) -> Result<Settings> {
        // Nothing of the environment: a variable that overrides a setting would lead the story elsewhere.
        Ok(config::load(&self.config, &Environment::default(), Timestamp::now())?)
    }

    /// certroll, put together from its configuration.
    ///
    /// # Errors
    /// A file that the settings name cannot be used.
    pub(crate) async fn work(&self, settings: &Settings, watch: Watch) -> Result<Work> {
        let records = Records::write(&settings.journal, "certroll-demo").await.map_err(anyhow::Error::new)?;
        Ok(Work::new(settings, records, Arc::new(watch))?)
    }

    /// Puts new versions into the vault.
    pub(crate) fn renew(&mut self, renew: impl FnOnce(&mut shop::Shop, &mut Cloud)) {
        let shop = &mut self.shop;
        self.simulator.with(|cloud| {
            // A vault tells times in whole seconds: without this, old and new versions could be of the same age.
            cloud.advance(Duration::from_secs(1));
            renew(shop, cloud);
        });
    }

    /// The set of certificates that the vault holds now.
    pub(crate) fn set_in_vault(&self) -> Set {
        Set {
            leaf: self.shop.leaf.thumbprint(),
            intermediate: pki::thumbprint(self.shop.intermediate.certificate_der()),
            root: self.shop.root.certificate_der().to_vec(),
        }
    }

    /// PUTs that the service was sent so far.
    pub(crate) fn puts(&self) -> usize {
        self.simulator.ledger().puts_of(shop::SERVICE).len()
    }

    /// The directory's path.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// A leaf with what is above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    /// The leaf's thumbprint.
    pub(crate) leaf: String,
    /// The intermediate's thumbprint.
    pub(crate) intermediate: String,
    /// The root, DER.
    pub(crate) root: Vec<u8>,
}

impl Set {
    /// The chain that servers present: roots are not sent.
    pub(crate) fn chain(&self) -> [&str; 2] {
        [&self.leaf, &self.intermediate]
    }
}

fn configuration(proxy: &str, service: &str, endpoint: SocketAddr, tempo: Tempo) -> String {
    let Tempo { poll_millis, settle_seconds, .. } = tempo;
    format!(
        r#"{MARK}
# It leads certroll to a simulated Azure on this machine. Without the two lines of `[http]` the same file would lead to
# the real one. Every key is explained in `config/certroll.toml` of the repository.

cloud = "china"

[identity]
kind = "client_secret"
tenant_id = "{tenant}"
client_id = "{client}"
client_secret_file = "{CLIENT_SECRET}"

[http]
proxy = "{proxy}"
ca_file = "{CA}"

# The real Azure takes minutes, and the defaults leave it hours. The simulated one takes seconds.
[rollout]
poll_interval = "{poll_millis}ms"
no_progress_for = "1m"
longest = "5m"
instances_within = "{settle_seconds}s"
probe_within = "{settle_seconds}s"
probe_connections = 4

# The daemon, `certroll run`, looks more often than it would have to.
[poll]
every = "10s"
jitter = "0s"

[plan]
settle = "5s"

[admin]
socket = "certroll.sock"

[journal]
directory = "{JOURNAL_DIRECTORY}"

[[service]]
id = "{service}"

# `Shop.TlsThumbprint` is a setting of the service that repeats the thumbprint: it changes together with it.
[[service.certificate]]
name = "ShopTls"
source = "{vault}/certificates/{leaf}"
settings = ["Shop.TlsThumbprint"]

[service.probe]
endpoints = [{{ address = "{endpoint}", server_name = "{name}" }}]
binding = true
"#,
        tenant = scenario::TENANT,
        client = scenario::CLIENT_ID,
        vault = shop::VAULT,
        leaf = shop::LEAF,
        name = shop::DNS_NAME,
    )
}
