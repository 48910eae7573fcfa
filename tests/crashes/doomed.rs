//! The program as a process of its own, which is killed at a chosen place.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use certroll_simulator::call::Call;
use certroll_simulator::clock::Pace;
use certroll_simulator::cloud::Cloud;
use certroll_simulator::faults::{Effect, Fault, Which};
use certroll_simulator::names::Names;
use certroll_simulator::scenario::{CLIENT_SECRET, shop};
use certroll_simulator::service::model::{ProvisioningState, UpgradeMode};
use certroll_simulator::{Moment, Passing, Then};
use jiff::Timestamp;

use crate::support::live::Live;

/// What the program is to live through but for its death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Story {
    /// The new certificates are good.
    Good,
    /// The same, in Manual mode.
    Walked,
    /// One instance goes on serving the old leaf: the old state is put back.
    Bad,
}

/// Where the program is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// It is not.
    None,
    /// At an exchange of this process, by number from 0.
    Exchange(usize, Moment),
    /// At an exchange, by number from this PUT of all, 1 for the first: 0 is the PUT itself.
    FromPut(usize, usize, Moment),
    /// Once it has written this many lines about events.
    Line(usize),
    /// So much later than its start.
    After(Duration),
    /// It is asked to end, by SIGTERM, once it has written this of an event.
    Asked(&'static str),
}

impl Story {
    /// The ending that it must have.
    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Good | Self::Walked => "verified",
            Self::Bad => "restored",
        }
    }
}

/// What became of a process.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) killed: bool,
    pub(super) code: Option<i32>,
    /// What it wrote about events.
    pub(super) events: Vec<String>,
    pub(super) stdout: String,
    /// Everything that it wrote to standard error.
    pub(super) stderr: String,
    /// How long it ran.
    pub(super) took: Duration,
    /// What it asked for.
    pub(super) calls: Vec<Call>,
}

#[derive(Debug)]
struct Plot {
    child: Option<Child>,
    death: Death,
    killed: bool,
    calls: Vec<Call>,
    /// PUTs that arrived, of all processes, and exchanges since the last one.
    puts: usize,
    since: usize,
    into_an_operation: usize,
}

impl Plot {
    /// The kernel's word is the last: nothing of the process runs once this is over.
    fn kill(&mut self) {
        if let Some(child) = &mut self.child
            && !self.killed
        {
            child.kill().unwrap();
            child.wait().unwrap();
            self.killed = true;
        }
    }

    /// As a service manager does.
    fn ask_to_end(&self) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    fn passes(&mut self, cloud: &mut Cloud, passing: Passing<'_>) -> Then {
        let Passing { moment, call, .. } = passing;
        if moment == Moment::Arrived {
            self.calls.push(call);
            self.since += 1;
            if call == Call::PutCloudService {
                (self.puts, self.since) = (self.puts + 1, 0);
                let state = cloud.service(shop::SERVICE).unwrap().provisioning_state();
                self.into_an_operation += usize::from(state == ProvisioningState::Updating);
            }
        }
        let here = match self.death {
            Death::Exchange(number, at) => number + 1 == self.calls.len() && at == moment,
            Death::FromPut(put, number, at) => put == self.puts && number == self.since && at == moment,
            Death::None | Death::Line(_) | Death::After(_) | Death::Asked(_) => false,
        };
        if here && !self.killed {
            self.kill();
            return Then::Cut;
        }
        Then::GoOn
    }
}

/// A simulated Azure and a program that is killed while it speaks to it.
pub(super) struct Doomed {
    pub(super) live: Live,
    story: Story,
    before: String,
    plot: Arc<Mutex<Plot>>,
}

/// The cloud of a story.
fn cloud(story: Story) -> Cloud {
    let (mut cloud, mut shop) = shop::shop_in(
        Names::china(),
        shop::LOCATION,
        Pace::Automatic,
        Timestamp::now(),
        |plan| match story {
            Story::Good | Story::Bad => plan,
            Story::Walked => plan.upgrade_mode(UpgradeMode::Manual),
        },
    );
    shop.renew(&mut cloud);
    if story == Story::Bad {
        let one = Which::Named(vec!["Web_IN_1".to_owned()]);
        cloud.fault(Fault::next(Call::PutCloudService, Effect::OldCertificatePresented(one)));
    }
    cloud
}

impl Doomed {
    pub(super) async fn start(story: Story) -> Self {
        let live = Live::start(cloud(story), "").await;
        let before = deployed(&live);
        let plot = Arc::new(Mutex::new(Plot {
            child: None,
            death: Death::None,
            killed: false,
            calls: Vec::new(),
            puts: 0,
            since: 0,
            into_an_operation: 0,
        }));
        let watched = Arc::clone(&plot);
        live.simulator.watch(move |cloud, passing| watched.lock().unwrap().passes(cloud, passing));
        Self { live, story, before, plot }
    }

    /// Starts the program and follows it to its end, whichever that is.
    pub(super) fn run(&self, death: Death) -> Run {
        let begun = Instant::now();
        let (mut stdout, stderr) = {
            // Held until the child is known: its first request may come at once.
            let mut plot = self.plot.lock().unwrap();
            let mut command = self.live.place.command(&["apply", "--yes", "shop"]);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let pipes = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
            (plot.child, plot.death, plot.killed) = (Some(child), death, false);
            plot.calls.clear();
            pipes
        };
        let (over, watched) = mpsc::channel::<()>();
        let executioner = match death {
            Death::After(instant) => {
                let plot = Arc::clone(&self.plot);
                Some(std::thread::spawn(move || {
                    // The instant is what is tried; nothing is waited for by it.
                    if watched.recv_timeout(instant) == Err(RecvTimeoutError::Timeout) {
                        plot.lock().unwrap().kill();
                    }
                }))
            }
            Death::None | Death::Exchange(..) | Death::FromPut(..) | Death::Line(_) | Death::Asked(_) => None,
        };
        let (mut events, mut said) = (Vec::new(), String::new());
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            said.push_str(&line);
            said.push('\n');
            let Some(event) = event(&line) else { continue };
            events.push(event.to_owned());
            match death {
                Death::Line(number) if number == events.len() => self.plot.lock().unwrap().kill(),
                Death::Asked(word) if event.contains(word) => self.plot.lock().unwrap().ask_to_end(),
                _ => {}
            }
        }
        drop(over);
        if let Some(executioner) = executioner {
            executioner.join().unwrap();
        }
        let mut written = String::new();
        stdout.read_to_string(&mut written).unwrap();
        let child = self.plot.lock().unwrap().child.take();
        let status = child.unwrap().wait().unwrap();
        let took = begun.elapsed();
        let plot = self.plot.lock().unwrap();
        // A process that had ended by itself was not killed, though somebody tried.
        let killed = plot.killed && status.code().is_none();
        let (code, calls) = (status.code(), plot.calls.clone());
        Run { killed, code, events, stdout: written, stderr: said, took, calls }
    }

    /// Asserts that all is as it must be, after a process that ended by itself. Gives the PUTs that took effect, there
    /// and back.
    pub(super) fn judge(&self, last: &Run) -> (usize, usize) {
        let (story, said) = (self.story, format!("{last:#?}"));
        let now = deployed(&self.live);
        let ledger = self.live.simulator.ledger();
        assert!(!last.stderr.contains(CLIENT_SECRET), "a secret was shown");
        let (mut forward, mut back) = (0, 0);
        for put in ledger.puts_of(shop::SERVICE).iter().filter(|put| put.status == 200) {
            let old = put.request_body["properties"]["configuration"] == self.before.as_str();
            *(if old { &mut back } else { &mut forward }) += 1;
        }
        assert_eq!(self.plot.lock().unwrap().into_an_operation, 0, "a PUT went into an operation: {said}");
        assert_eq!(forward, 1, "updates that took effect: {said}");
        match story {
            Story::Good | Story::Walked => {
                assert_eq!(last.code, Some(0), "{said}");
                assert_eq!(back, 0, "old states that took effect: {said}");
                assert_ne!(now, self.before, "{said}");
            }
            Story::Bad => {
                // Restored, or told that the set did not work by a run before.
                assert_eq!(last.code, Some(65), "{said}");
                assert_eq!(back, 1, "old states that took effect: {said}");
                assert_eq!(now, self.before, "{said}");
            }
        }
        let plan = self.live.run(&["plan", "shop"]);
        match story {
            Story::Good | Story::Walked => assert_eq!(plan.code, 0, "{}", plan.shown()),
            Story::Bad => {
                assert_eq!(plan.code, 65, "{}", plan.shown());
                assert!(plan.stdout.contains("in quarantine"), "{}", plan.shown());
            }
        }
        let verified = self.live.run(&["history", "--verify"]);
        assert_eq!(verified.code, 0, "{}", verified.shown());
        (forward, back)
    }
}

/// What a line of standard error says of an event: those have the time since the start and the service's name first.
fn event(line: &str) -> Option<&str> {
    let (since, rest) = line.trim_start().split_once("  ")?;
    let counted = since.ends_with('s') && since.starts_with(|c: char| c.is_ascii_digit());
    rest.strip_prefix("shop  ").filter(|_| counted)
}

/// The cscfg that the shop has.
fn deployed(live: &Live) -> String {
    live.simulator.with(|cloud| cloud.service(shop::SERVICE).unwrap().model.configuration.clone())
}
