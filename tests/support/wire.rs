//! The program's clients and the simulated Azure in one process: no socket, and a time that passes only while everybody
//! waits. The runtime's own clock is paused, so that time-outs of the client are simulated too, and several rollouts
//! wait at the same time, as they do in production.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use certroll_azure::{Answer, Azure, AzureOptions, Environment, Executor, IdentityKind};
use certroll_azure::{Outgoing, Sent, Transport, TransportFault, Wires};
use certroll_core::cloud::AzureCloud;
use certroll_core::ports::{Clock, EndpointProbe, FaultKind, Presentation, ProbeEndpoint};
use certroll_simulator::cloud::{Cloud, Outcome};
use certroll_simulator::endpoint;
use certroll_simulator::message::{Reply, Request};
use certroll_simulator::{pki, scenario};
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// Connections of one look at an endpoint, as the program's default is.
const CONNECTIONS: usize = 4;
/// Below this a wait may be one between two attempts of the client, which has jitter: see [`whole`].
const JITTERY: Duration = Duration::from_secs(8);

/// What stands between the client and the cloud: it may change the cloud, arm faults, and lose requests.
pub(crate) trait Customs: Send {
    /// A request before the cloud sees it.
    ///
    /// # Errors
    /// It never arrives.
    fn arriving(&mut self, cloud: &mut Cloud, request: &Request) -> Result<(), Lost>;
    /// The same request once it was answered, whether or not the answer will arrive.
    fn answered(&mut self, cloud: &mut Cloud, request: &Request, outcome: &Outcome);
}

/// A request that does not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// No connection comes to be: the client knows that nothing was sent.
    NoConnection,
    /// The connection breaks: the client does not know.
    Broken,
}

/// On which side of a call's effect the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The call has no effect any more.
    Before,
    /// The call has its effect, and nobody hears of it.
    After,
}

/// The simulated cloud, its time, and the place at which the process ends.
pub(crate) struct Net {
    cloud: Mutex<Cloud>,
    customs: Arc<Mutex<dyn Customs>>,
    began: (Timestamp, Instant),
    crash: Mutex<Crash>,
    crashed: Notify,
}

#[derive(Debug, Default)]
struct Crash {
    calls: u64,
    at: Option<(u64, Side)>,
}

impl Net {
    /// A net over a cloud whose time is stepped. Made within a runtime whose clock is paused.
    pub(crate) fn new(cloud: Cloud, customs: Arc<Mutex<dyn Customs>>) -> Arc<Self> {
        let began = (cloud.now(), Instant::now());
        Arc::new(Self {
            cloud: Mutex::new(cloud),
            customs,
            began,
            crash: Mutex::default(),
            crashed: Notify::new(),
        })
    }

    /// The simulated time.
    pub(crate) fn now(&self) -> Timestamp {
        let (origin, start) = self.began;
        origin + start.elapsed()
    }

    /// Looks at the cloud, or changes it, at the simulated time.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Cloud) -> T) -> T {
        let now = self.now();
        let mut cloud = self.cloud.lock().unwrap();
        if let Ok(behind) = Duration::try_from(now.duration_since(cloud.now())) {
            cloud.advance(behind);
        }
        work(&mut cloud)
    }

    /// The process ends at the call that is so many calls ahead.
    pub(crate) fn crash_at(&self, calls: u64, side: Side) {
        let mut crash = self.crash.lock().unwrap();
        crash.at = Some((crash.calls + calls, side));
    }

    /// It does not end any more. Returns whether it had not ended yet.
    pub(crate) fn no_crash(&self) -> bool {
        self.crash.lock().unwrap().at.take().is_some()
    }

    /// Returns when the process is to end.
    pub(crate) async fn crashed(&self) {
        self.crashed.notified().await;
    }

    /// A call begins: the process may end before its effect. Gives the call's number.
    pub(crate) async fn begin(&self) -> u64 {
        let number = {
            let mut crash = self.crash.lock().unwrap();
            crash.calls += 1;
            crash.calls
        };
        self.pass(number, Side::Before).await;
        number
    }

    /// The call has had its effect: the process may end before anybody hears of it.
    pub(crate) async fn done(&self, number: u64) {
        self.pass(number, Side::After).await;
    }

    async fn pass(&self, number: u64, side: Side) {
        let at = self.crash.lock().unwrap().at;
        if at == Some((number, side)) {
            self.end_of_the_process().await;
        }
    }

    async fn end_of_the_process(&self) {
        self.crash.lock().unwrap().at = None;
        self.crashed.notify_one();
        // Whoever waits for the notice drops this future: nothing after this line is ever done.
        std::future::pending::<()>().await;
    }

    fn answer(&self, request: &Request) -> Result<Outcome, Lost> {
        let host = request.url.host_str().unwrap_or_default().to_owned();
        self.with(|cloud| {
            let mut customs = self.customs.lock().unwrap();
            if !cloud.admits(&host, request.url.port_or_known_default().unwrap_or_default()) {
                return Err(Lost::NoConnection);
            }
            customs.arriving(cloud, request)?;
            let outcome = cloud.answer(request);
            customs.answered(cloud, request, &outcome);
            Ok(outcome)
        })
    }

    /// The program's own clients of this cloud, as a process has them that was just started.
    pub(crate) fn azure(self: &Arc<Self>) -> Azure {
        let clock = Arc::new(NetClock(Arc::clone(self)));
        let mut options = AzureOptions::new(AzureCloud::china(), clock);
        options.identity.environment = Environment::default();
        options.identity.kind = IdentityKind::ClientSecret {
            tenant_id: scenario::TENANT.to_owned(),
            client_id: scenario::CLIENT_ID.to_owned(),
            secret: Zeroizing::new(scenario::CLIENT_SECRET.to_owned()),
        };
        let wire = Arc::new(Wire(Arc::clone(self)));
        let wires = Wires { cloud: Arc::<Wire>::clone(&wire), metadata: wire, executor: Arc::new(NoCommand) };
        Azure::over(&options, wires).unwrap()
    }
}

/// The program's way into the net.
struct Wire(Arc<Net>);

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: Outgoing) -> Result<Answer, TransportFault> {
        let headers = request.headers.iter();
        let request = Request {
            method: request.method.as_str().to_owned(),
            url: request.url.clone(),
            headers: headers
                .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()))
                .collect(),
            body: request.body.to_vec(),
        };
        let fault = |sent, message: &str| TransportFault {
            kind: FaultKind::Unreachable,
            sent,
            message: message.to_owned(),
        };
        let number = self.0.begin().await;
        let outcome = self.0.answer(&request);
        self.0.done(number).await;
        match outcome {
            Ok(Outcome::Answered(reply)) => Ok(answer(&reply, None)),
            Ok(Outcome::Garbled(reply, bytes)) => Ok(answer(&reply, Some(bytes))),
            // The client gives up before it comes, if that is longer than its limit.
            Ok(Outcome::Delayed(reply, at)) => {
                NetClock(Arc::clone(&self.0)).sleep_until(at).await;
                Ok(answer(&reply, None))
            }
            Ok(Outcome::Cut) | Err(Lost::Broken) => {
                Err(fault(Sent::Perhaps, "the connection was closed before the answer"))
            }
            Err(Lost::NoConnection) => Err(fault(Sent::No, "no connection")),
        }
    }
}

fn answer(reply: &Reply, garbled: Option<Vec<u8>>) -> Answer {
    let mut headers: HashMap<String, String> = reply.headers.iter().cloned().collect();
    let body = garbled.or_else(|| reply.body.as_ref().map(|body| body.to_string().into_bytes()));
    if body.is_some() {
        headers.insert("content-type".to_owned(), "application/json; charset=utf-8".to_owned());
    }
    let headers = (&headers).try_into().unwrap();
    Answer { status: reply.status, headers, body: Zeroizing::new(body.unwrap_or_default()) }
}

/// Nobody is asked for a token by a command.
#[derive(Debug)]
struct NoCommand;

#[async_trait]
impl Executor for NoCommand {
    async fn run(&self, program: &OsStr, _: &[&OsStr]) -> std::io::Result<Output> {
        panic!("{} was run", program.display())
    }
}

/// The simulated time as the program's clock.
pub(crate) struct NetClock(pub(crate) Arc<Net>);

#[async_trait]
impl Clock for NetClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    async fn sleep_until(&self, until: Timestamp) {
        if let Ok(wait) = Duration::try_from(until.duration_since(self.0.now())) {
            tokio::time::sleep(whole(wait)).await;
        }
    }
}

/// A wait without its jitter, in even seconds, so that a seed is one run. The client spreads the waits between its
/// attempts over the upper half of 1, 2, 4 and 8 s: the next power of two takes that away. Even seconds take away the
/// second that a token's lifetime may lose, since `azure_identity` counts it by the real clock.
fn whole(wait: Duration) -> Duration {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Duration::from_secs(if wait <= JITTERY {
        seconds.next_power_of_two().max(2)
    } else {
        seconds.next_multiple_of(2)
    })
}

/// What the endpoints of the simulated instances present now. An endpoint's address is `<service>.<endpoint>:443`.
pub(crate) struct HeldProbe(pub(crate) Arc<Net>);

#[async_trait]
impl EndpointProbe for HeldProbe {
    async fn presented(&self, probed: &ProbeEndpoint) -> Vec<Presentation> {
        let (service, name) = probed.address.trim_end_matches(":443").split_once('.').unwrap();
        self.0.with(|cloud| {
            (0..CONNECTIONS)
                .map(|turn| Presentation {
                    address: probed.address.clone(),
                    outcome: endpoint::presented(cloud, service, name, turn)
                        .map(|found| {
                            found.chain.iter().map(|der| pki::thumbprint(der).parse().unwrap()).collect()
                        })
                        .ok_or_else(|| "the connection was closed".to_owned()),
                })
                .collect()
        })
    }
}
