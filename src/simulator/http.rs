//! The simulated cloud over sockets: a CONNECT proxy on loopback that ends TLS itself, with certificates of the
//! simulator's own authority. A client that is pointed at the proxy and trusts the authority needs no other setting.
//!
//! Only [`Cloud::answer`] decides anything; this layer carries, limits and cuts.

mod proxy;
mod tls;
mod watching;

pub(crate) use tls::server as tls_server;
pub use watching::{Moment, Passing, Then, Watcher};

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, watch};

use crate::clock::Pace;
use crate::cloud::{Cloud, Outcome};
use crate::endpoint;
use crate::ledger::Ledger;
use crate::message::Request;
use crate::pki::Authority;
use crate::publisher::Courier;

/// Connections at one time. A client under test keeps a few for each host; endpoints take one a handshake.
const MAX_CONNECTIONS: usize = 512;

/// A running simulator. It ends when this is dropped.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    endpoints: tokio::sync::Mutex<()>,
    stop: watch::Sender<bool>,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    cloud: Mutex<Cloud>,
    moved: Notify,
    watching: Mutex<watching::Watching>,
    authority: Authority,
    hosts: Mutex<HashMap<String, Arc<rustls::ServerConfig>>>,
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) stopped: watch::Receiver<bool>,
    endpoints: Mutex<HashMap<(String, String), SocketAddr>>,
}

impl Simulator {
    /// Serves a cloud on a free port of 127.0.0.1.
    pub async fn start(cloud: Cloud) -> io::Result<Self> {
        Self::start_on(cloud, 0).await
    }

    /// Serves a cloud on a port of 127.0.0.1, 0 for a free one. The endpoints of its services are opened too.
    pub async fn start_on(cloud: Cloud, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared {
            cloud: Mutex::new(cloud),
            moved: Notify::new(),
            watching: Mutex::default(),
            // Clients judge it by the real clock, whatever the simulated one shows.
            authority: Authority::root("Simulated cloud, loopback only", Timestamp::now()),
            hosts: Mutex::default(),
            connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            stopped,
            endpoints: Mutex::default(),
        });
        tokio::spawn(proxy::serve(listener, shared.clone()));
        if shared.with(|cloud| cloud.pace()) == Pace::Automatic {
            tokio::spawn(Courier::new(shared.clone()).run());
        }
        let simulator = Self { shared, address, endpoints: tokio::sync::Mutex::new(()), stop };
        simulator.open_endpoints().await?;
        Ok(simulator)
    }

    /// The proxy's URL, for a client's proxy setting.
    pub fn proxy_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The certificate of the authority that a client has to trust, as PEM.
    pub fn ca_pem(&self) -> String {
        self.shared.authority.certificate_pem()
    }

    /// Base URL of the managed identity endpoint: requests to the proxy's own address are answered as a virtual
    /// machine's or app host's metadata endpoint would.
    pub fn managed_identity_url(&self) -> String {
        format!("{}/metadata/identity/oauth2/token", self.proxy_url())
    }

    /// Looks at the cloud or changes it, once it is up to the time. Requests wait meanwhile.
    pub fn with<T>(&self, look: impl FnOnce(&mut Cloud) -> T) -> T {
        self.shared.with(look)
    }

    /// The simulated Event Grid at work. With a clock that runs by itself it delivers without being told.
    pub fn publisher(&self) -> Courier {
        Courier::new(self.shared.clone())
    }

    /// From now on somebody watches every exchange with the cloud, in place of whoever did before.
    pub fn watch(&self, watcher: impl FnMut(&mut Cloud, Passing<'_>) -> Then + Send + 'static) {
        lock(&self.shared.watching).begin(Box::new(watcher));
    }

    /// The exchanges so far.
    pub fn ledger(&self) -> Ledger {
        self.with(|cloud| cloud.ledger.clone())
    }

    /// Writes the exchanges so far to a file, one JSON object a line.
    pub fn write_ledger(&self, path: &Path) -> io::Result<()> {
        self.ledger().write(path)
    }

    /// Where an endpoint of a service listens. `None`: no such endpoint, or not opened yet.
    pub fn endpoint_address(&self, service: &str, endpoint: &str) -> Option<SocketAddr> {
        let key = (service.to_ascii_lowercase(), endpoint.to_ascii_lowercase());
        lock(&self.shared.endpoints).get(&key).copied()
    }

    /// Opens the endpoints that were added since the start.
    pub async fn open_endpoints(&self) -> io::Result<()> {
        let _one_at_a_time = self.endpoints.lock().await;
        let wanted: Vec<(String, String)> = self.with(|cloud| {
            let of = |service: &crate::service::Service| {
                let name = service.id.name.clone();
                service.endpoints.iter().map(move |one| (name.clone(), one.name.clone())).collect::<Vec<_>>()
            };
            cloud.services.iter().flat_map(of).collect()
        });
        for (service, endpoint) in wanted {
            if self.endpoint_address(&service, &endpoint).is_some() {
                continue;
            }
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let key = (service.to_ascii_lowercase(), endpoint.to_ascii_lowercase());
            lock(&self.shared.endpoints).insert(key, listener.local_addr()?);
            tokio::spawn(endpoint::serve(listener, self.shared.clone(), service, endpoint));
        }
        Ok(())
    }

    /// Ends it and gives the cloud back. Connections are cut.
    pub fn stop(self) -> Cloud {
        self.with(|cloud| cloud.clone())
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

impl Shared {
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Cloud) -> T) -> T {
        let mut cloud = lock(&self.cloud);
        cloud.settle();
        let result = look(&mut cloud);
        drop(cloud);
        self.moved.notify_waiters();
        result
    }

    /// Lets the cloud answer a request, before the eyes of whoever watches.
    pub(crate) fn answer(&self, request: &Request) -> Outcome {
        self.with(|cloud| {
            let mut watching = lock(&self.watching);
            let call = cloud.call(request);
            let mut tell =
                |cloud: &mut Cloud, moment| watching.tell(cloud, Passing { moment, call, request });
            if tell(cloud, Moment::Arrived) == Then::Cut {
                return cloud.lose(request);
            }
            let outcome = cloud.answer(request);
            match tell(cloud, Moment::Done) {
                Then::GoOn => outcome,
                Then::Cut => Outcome::Cut,
            }
        })
    }

    /// Waits until the simulated clock shows this time.
    pub(crate) async fn until(&self, at: Timestamp) {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            // Registered before the look, so that a move in between is not missed.
            moved.as_mut().enable();
            let (now, pace) = {
                let cloud = lock(&self.cloud);
                (cloud.now(), cloud.pace())
            };
            if now >= at {
                return;
            }
            match pace {
                Pace::Stepped => moved.await,
                Pace::Automatic => {
                    let rest = std::time::Duration::try_from(at.duration_since(now)).unwrap_or_default();
                    tokio::select! {
                        () = moved => {}
                        () = tokio::time::sleep(rest) => {}
                    }
                }
            }
        }
    }

    /// Waits until the cloud is looked at or changed, until the simulated clock shows the time that `when` gives, or
    /// so long at most.
    pub(crate) async fn until_moved_or(
        &self,
        at_most: std::time::Duration,
        when: impl FnOnce(&Cloud) -> Option<Timestamp>,
    ) {
        let moved = self.moved.notified();
        tokio::pin!(moved);
        moved.as_mut().enable();
        let rest = {
            let cloud = lock(&self.cloud);
            let rest = when(&cloud).map(|at| at.duration_since(cloud.now()));
            rest.map_or(at_most, |rest| std::time::Duration::try_from(rest).unwrap_or_default().min(at_most))
        };
        tokio::select! {
            () = moved => {}
            () = tokio::time::sleep(rest) => {}
        }
    }

    /// Waits until the simulator ends.
    pub(crate) async fn ended(&self) {
        // An error says that the sender is gone, which is an end too.
        let _ = self.stopped.clone().wait_for(|stopped| *stopped).await;
    }
}

/// A panic in a test's closure must not hide behind a poisoned lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
