//! The real program against a simulated Azure whose clock runs, at a quick pace.

use std::time::Duration;

use certroll_simulator::Simulator;
use certroll_simulator::clock::{Durations, Pace};
use certroll_simulator::cloud::Cloud;
use certroll_simulator::names::Names;
use certroll_simulator::scenario::{self, shop};
use jiff::Timestamp;

use super::program::{Place, Ran};

/// A simulated Azure, and a directory from which the program reaches it.
pub(crate) struct Live {
    pub(crate) simulator: Simulator,
    pub(crate) place: Place,
}

/// The value of a setting of the shop's cscfg that nobody may see.
pub(crate) const SECRET_SETTING: &str = "AccountKey=canary-of-a-connection-string";

/// The shop with a secret setting, at a pace that goes by itself.
pub(crate) fn shop_with_a_secret_setting() -> (Cloud, shop::Shop) {
    shop::shop_in(Names::china(), shop::LOCATION, Pace::Automatic, Timestamp::now(), |plan| {
        plan.setting("Shop.Storage", SECRET_SETTING)
    })
}

/// A whole operation takes a few tenths of a second.
pub(crate) const QUICK: Durations = Durations {
    operation: Duration::from_millis(60),
    update_domain: Duration::from_millis(30),
    health_gate: Duration::from_millis(200),
};

impl Live {
    /// Starts it with the shop of `cloud`. `extra` follows the shop's `id` in the configuration.
    pub(crate) async fn start(cloud: Cloud, extra: &str) -> Self {
        Self::start_with(cloud, "", extra).await
    }

    /// Starts it with further sections in the configuration.
    pub(crate) async fn start_with(mut cloud: Cloud, sections: &str, extra: &str) -> Self {
        cloud.durations = QUICK;
        let id = cloud.service(shop::SERVICE).unwrap().id.resource_id();
        let simulator = Simulator::start(cloud).await.unwrap();
        let endpoint = simulator.endpoint_address(shop::SERVICE, shop::ENDPOINT).unwrap();
        let text = format!(
            "cloud = \"china\"\n\
             [identity]\nkind = \"client_secret\"\ntenant_id = \"{}\"\nclient_id = \"{}\"\nclient_secret_env = \"SHOP_SECRET\"\n\
             [http]\nproxy = \"{}\"\nca_file = \"ca.pem\"\n\
             [journal]\ndirectory = \"journal\"\n\
             [admin]\nsocket = \"admin.sock\"\n{sections}\
             [rollout]\npoll_interval = \"100ms\"\ninstances_within = \"1s\"\nprobe_within = \"1s\"\n\
             [[service]]\nid = \"{id}\"\n{extra}\n\
             [service.probe]\nbinding = true\nendpoints = [{{ address = \"{endpoint}\", server_name = \"{}\" }}]\n",
            scenario::TENANT,
            scenario::CLIENT_ID,
            simulator.proxy_url(),
            shop::DNS_NAME,
        );
        let place = Place::with_config(&text).env("SHOP_SECRET", scenario::CLIENT_SECRET);
        place.file("ca.pem", simulator.ca_pem());
        Self { simulator, place }
    }

    /// Runs the program without blocking the simulated Azure, which lives in this process.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let ran = tokio::task::block_in_place(|| self.place.run(arguments));
        let tokens: Vec<String> =
            self.simulator.with(|cloud| cloud.entra.issued_tokens().map(str::to_owned).collect());
        for secret in tokens.iter().map(String::as_str).chain([scenario::CLIENT_SECRET, SECRET_SETTING]) {
            assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "a secret was shown");
        }
        ran
    }

    /// PUTs that the shop was sent.
    pub(crate) fn puts(&self) -> usize {
        self.simulator.ledger().puts_of(shop::SERVICE).len()
    }
}

/// A text without what differs from run to run: thumbprints, versions, days, ports and elapsed times.
pub(crate) fn steady(text: &str) -> String {
    let mut shown = String::new();
    for line in text.split_inclusive('\n') {
        let line = hexadecimal(line);
        let line = after(&line, "127.0.0.1:", "[PORT]", |c| c.is_ascii_digit());
        let line = after(&line, "until 20", "[DATE]", |c| c.is_ascii_digit() || c == '-');
        let line = after(&line, "[DATE] (", "[N]", |c| c.is_ascii_digit());
        let trimmed = line.trim_start();
        let elapsed: String = trimmed.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        if !elapsed.is_empty() && trimmed[elapsed.len()..].starts_with("s  ") {
            shown.push_str(&format!("[ELAPSED]{}", &trimmed[elapsed.len() + 1..]));
        } else {
            shown.push_str(&line);
        }
    }
    shown
}

/// Replaces what follows a mark, as long as it consists of some characters.
fn after(text: &str, mark: &str, name: &str, belongs: fn(char) -> bool) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(mark) {
        let end = at + mark.len();
        shown.push_str(&rest[..end]);
        let tail = rest[end..].trim_start_matches(belongs);
        if tail.len() < rest.len() - end {
            shown.push_str(name);
        }
        rest = tail;
    }
    shown.push_str(rest);
    shown
}

/// Replaces runs of 32 and more hexadecimal digits by names that tell different ones apart within a line only.
fn hexadecimal(text: &str) -> String {
    let mut shown = String::new();
    let mut run = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_hexdigit() {
            run.push(c);
            continue;
        }
        match run.len() {
            40 => shown.push_str("[THUMBPRINT]"),
            32 => shown.push_str("[VERSION]"),
            _ => shown.push_str(&run),
        }
        run.clear();
        if c != '\0' {
            shown.push(c);
        }
    }
    shown
}
