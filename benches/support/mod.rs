//! The built daemon at work against the simulated Azure, for the programs beside this one. They share it as source, and
//! each uses what it needs.
#![allow(dead_code, reason = "each program uses a part")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use certroll_simulator::Simulator;
use certroll_simulator::call::Call;
use certroll_simulator::cloud::Cloud;
use certroll_simulator::rates::Bucket;
use certroll_simulator::scenario;
use certroll_simulator::{Moment, Then};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Longest wait for anything that must come.
const NEVER: Duration = Duration::from_secs(120);
/// When no call has come for so long after the last ending, no look is going on: the calls of a look follow each other
/// within a few milliseconds.
const QUIET: Duration = Duration::from_millis(60);
/// The secret of deliveries.
const SECRET: &str = "6f1d0a0c9b7e4c1f8a2d3e4b5c6d7e8f";

/// What Resource Manager counts.
const BUCKETS: [Bucket; 7] = [
    Bucket::Write30Min,
    Bucket::Read3Min,
    Bucket::Read30Min,
    Bucket::NarrowRead3Min,
    Bucket::NarrowRead30Min,
    Bucket::SubscriptionReads,
    Bucket::SubscriptionWrites,
];

/// A simulated Azure and a directory with the daemon's configuration.
pub(crate) struct Ground {
    // Before the runtime, on which it works.
    pub(crate) simulator: Simulator,
    pub(crate) directory: TempDir,
    seen: Receiver<Seen>,
    _runtime: Runtime,
}

/// A call that came to the simulated Azure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) call: Call,
    pub(crate) moment: Moment,
    pub(crate) at: Instant,
}

impl Ground {
    /// Serves a cloud. `sections` and `services` are parts of the configuration.
    pub(crate) fn new(cloud: Cloud, sections: &str, services: impl FnOnce(&Simulator) -> String) -> Self {
        let runtime = Runtime::new().unwrap();
        let simulator = runtime.block_on(Simulator::start(cloud)).unwrap();
        // What is exchanged is counted as it passes; keeping it would cost the simulated Azure time.
        simulator.with(|cloud| {
            cloud.ledger.keep(0);
            // Here a day happens within a minute.
            for bucket in BUCKETS {
                cloud.rates.set_limit(bucket, u32::MAX);
            }
        });
        let (send, seen) = channel();
        simulator.watch(move |_, passing| {
            let _ = send.send(Seen { call: passing.call, moment: passing.moment, at: Instant::now() });
            Then::GoOn
        });
        let directory = TempDir::new().unwrap();
        let text = format!(
            "cloud = \"china\"\n\
             [identity]\nkind = \"client_secret\"\ntenant_id = \"{}\"\nclient_id = \"{}\"\nclient_secret_env = \"SECRET\"\n\
             [http]\nproxy = \"{}\"\nca_file = \"ca.pem\"\n\
             [journal]\ndirectory = \"journal\"\n[admin]\nsocket = \"admin.sock\"\n\
             [plan]\nsettle = \"0s\"\n[rollout]\npoll_interval = \"100ms\"\n{sections}{}",
            scenario::TENANT,
            scenario::CLIENT_ID,
            simulator.proxy_url(),
            services(&simulator),
        );
        let ground = Self { simulator, directory, seen, _runtime: runtime };
        ground.file("certroll.toml", &text);
        ground.file("ca.pem", &ground.simulator.ca_pem());
        ground.file("event-secret", SECRET);
        ground
    }

    fn file(&self, name: &str, content: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.directory.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The next call.
    pub(crate) fn next(&self) -> Seen {
        self.seen.recv_timeout(NEVER).expect("a call comes")
    }

    /// What came up to now and until no more comes for a while.
    pub(crate) fn until_quiet(&self) -> Vec<Seen> {
        let mut all = Vec::new();
        while let Ok(seen) = self.seen.recv_timeout(QUIET) {
            all.push(seen);
        }
        all
    }

    /// What came up to now.
    pub(crate) fn so_far(&self) -> Vec<Seen> {
        self.seen.try_iter().collect()
    }
}

/// How often each call arrived.
pub(crate) fn counted(seen: &[Seen]) -> BTreeMap<Call, usize> {
    let mut counts = BTreeMap::new();
    for seen in seen.iter().filter(|seen| seen.moment == Moment::Arrived) {
        *counts.entry(seen.call).or_default() += 1;
    }
    counts
}

/// A running daemon.
pub(crate) struct Daemon {
    child: Child,
    told: UnixDatagram,
    /// When it was started.
    pub(crate) started: Instant,
    /// How long it took until it was ready.
    pub(crate) ready: Duration,
}

impl Daemon {
    /// Starts it, and waits until it is ready. What stands in `CERTROLL_BENCH_ENV` as `NAME=value NAME=value` is added to
    /// its environment, which is empty otherwise.
    pub(crate) fn start(ground: &Ground) -> Self {
        let directory = ground.directory.path();
        let socket = directory.join("notify.sock");
        let _ = fs::remove_file(&socket);
        let told = UnixDatagram::bind(&socket).unwrap();
        told.set_read_timeout(Some(NEVER)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_certroll"));
        command.arg("run").current_dir(directory).env_clear();
        command.env("CERTROLL_CONFIG", directory.join("certroll.toml"));
        command.env("SECRET", scenario::CLIENT_SECRET).env("NOTIFY_SOCKET", &socket);
        let wanted = std::env::var("CERTROLL_BENCH_ENV").unwrap_or_default();
        command.envs(wanted.split_whitespace().filter_map(|one| one.split_once('=')));
        let log = File::create(directory.join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let started = Instant::now();
        let child = command.spawn().unwrap();
        let mut daemon = Self { child, told, started, ready: Duration::ZERO };
        daemon.hear(directory, |told| told.lines().any(|line| line == "READY=1"));
        daemon.ready = started.elapsed();
        daemon
    }

    /// Waits for a status line with this text.
    pub(crate) fn hear_status(&self, ground: &Ground, text: &str) {
        self.hear(ground.directory.path(), |told| {
            told.lines().any(|line| line.starts_with("STATUS=") && line.contains(text))
        });
    }

    fn hear(&self, directory: &std::path::Path, wanted: impl Fn(&str) -> bool) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let Ok(length) = self.told.recv(&mut buffer) else {
                panic!("it told nothing\n{}", fs::read_to_string(directory.join("log")).unwrap());
            };
            if wanted(&String::from_utf8_lossy(&buffer[..length])) {
                return;
            }
        }
    }

    /// A figure of `/proc/PID/status` in KiB, or without a unit.
    pub(crate) fn figure(&self, name: &str) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Time on a processor so far, of all threads.
    pub(crate) fn processor_time(&self) -> Duration {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name of the program, which may hold anything, ends with the last parenthesis.
        let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
        // `utime` and `stime` are fields 14 and 15 of all, counted from 1, in hundredths of a second.
        let ticks = |at: usize| fields[at - 3].parse::<u64>().unwrap();
        Duration::from_millis((ticks(14) + ticks(15)) * 10)
    }

    /// Asks it to stop, and waits for its end.
    pub(crate) fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address whose port was free a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The section by which the daemon listens for events.
pub(crate) fn events_section(address: SocketAddr, more: &str) -> String {
    format!(
        "[events]\nlisten = \"{address}\"\n{more}\
         [events.shared_secret]\nsecret_file = \"event-secret\"\nheader = \"x-certroll\"\n"
    )
}

/// One event of a vault of the scenarios, in the Event Grid schema.
pub(crate) fn event(vault: &str, object: &str, number: usize) -> String {
    let topic = format!(
        "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.KeyVault/vaults/{vault}",
        scenario::SUBSCRIPTION,
        scenario::RESOURCE_GROUP
    );
    format!(
        "{{\"id\":\"00000000-0000-4000-8000-{number:012x}\",\"topic\":\"{topic}\",\"subject\":\"{object}\",\
         \"eventType\":\"Microsoft.KeyVault.CertificateNewVersionCreated\",\"data\":{{\
         \"Id\":\"https://{vault}.vault.azure.cn/certificates/{object}/{number:032x}\",\"VaultName\":\"{vault}\",\
         \"ObjectType\":\"Certificate\",\"ObjectName\":\"{object}\",\"Version\":\"{number:032x}\",\"NBF\":1795430400,\
         \"EXP\":1803206400}},\"dataVersion\":\"1\",\"metadataVersion\":\"1\",\
         \"eventTime\":\"2026-11-23T12:00:00.0000000Z\"}}"
    )
}

/// Delivers events on a connection of their own, as Event Grid does, and gives the status of the answer.
pub(crate) fn deliver(address: SocketAddr, body: &str) -> u16 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(NEVER)).unwrap();
    let request = format!(
        "POST /events HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\naeg-event-type: Notification\r\n\
         x-certroll: {SECRET}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Minimum, median, 90th and 99th percentile and maximum, by nearest rank.
pub(crate) fn spread(times: &[Duration]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let rank = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
    let shown = |time: Duration| format!("{:.2} ms", time.as_secs_f64() * 1000.0);
    format!(
        "min {}, median {}, p90 {}, p99 {}, max {} ({} times)",
        shown(sorted[0]),
        shown(rank(50)),
        shown(rank(90)),
        shown(rank(99)),
        shown(sorted[sorted.len() - 1]),
        sorted.len()
    )
}
