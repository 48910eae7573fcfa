//! A listener that strangers cannot tie up: connections, heads, bodies and waits are bounded, and when all places are
//! taken, whoever has kept us waiting longest gives way to a newcomer. Knows no path: what is answered is the router's.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::connection::{self, Connections, Seat, stopped};
use super::tls::{CertificateError, Refreshed, ServerCertificate, TlsFiles};

/// Where to listen, and how much is borne.
#[derive(Clone, Debug)]
pub struct ListenerSettings {
    /// Address and port. Port 0 takes a free one.
    pub address: SocketAddr,
    /// What TLS is served with; none for plain HTTP.
    pub tls: Option<TlsFiles>,
    /// The limits.
    pub limits: ListenerLimits,
}

/// How much is borne.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Connections at once.
    pub connections: usize,
    /// Largest head of a request, in bytes.
    pub head: usize,
    /// From the connection to the end of the first request's head, with the TLS handshake.
    pub opening: Duration,
    /// For the body of a request, from the first time that more of it is wanted than has come.
    pub receiving: Duration,
    /// For us: to judge a head, and to answer what has come whole.
    pub answering: Duration,
    /// From an answer to the end of the next request's head.
    pub idle: Duration,
    /// From the word to stop until what is not answered is cut off.
    pub stopping: Duration,
    /// Between two looks at the certificate's files.
    pub certificate: Duration,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            // Event Grid opens a handful. This many take some 40 MB with their buffers and TLS.
            connections: 512,
            // Event Grid sends up to ten headers of 4 KB that subscribers choose, a token and its own.
            head: 64 * 1024,
            // A handshake over the slowest path takes two seconds.
            opening: Duration::from_secs(10),
            // Event Grid gives up after 30 s in all.
            receiving: Duration::from_secs(20),
            // The longest wait of ours is 10 s, for the keys of the token issuer.
            answering: Duration::from_secs(30),
            // Longer than the 60 s for which proxies keep theirs, so that they close first and lose no request.
            idle: Duration::from_secs(75),
            // systemd waits 90 s and Kubernetes 30 s; the rest of the process needs its share.
            stopping: Duration::from_secs(10),
            // A renewal comes days before it is needed.
            certificate: Duration::from_secs(30),
        }
    }
}

/// After a failed accept, which is for want of files or memory, the next one waits this long.
const PAUSE: Duration = Duration::from_millis(500);

/// Why nothing is listened on.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The address cannot be had.
    #[error("cannot listen on `{address}`: {reason}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
    /// The certificate cannot be presented.
    #[error("cannot serve TLS on `{address}`: {source}")]
    Certificate {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: CertificateError,
    },
    /// TLS cannot be served at all.
    #[error("cannot serve TLS on `{address}`: {source}")]
    Tls {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: rustls::Error,
    },
}

/// A socket that is listened on, before anything is served on it.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<(Arc<ServerCertificate>, Arc<rustls::ServerConfig>)>,
    limits: ListenerLimits,
}

impl Listener {
    /// Takes the address. Connections wait until [`serve`] takes them.
    ///
    /// # Errors
    /// The address cannot be had, or the certificate not be presented.
    pub async fn bind(settings: &ListenerSettings) -> Result<Self, ListenError> {
        let address = settings.address;
        let tls = match &settings.tls {
            None => None,
            Some(files) => {
                let certificate = ServerCertificate::load(files.clone())
                    .map_err(|source| ListenError::Certificate { address, source })?;
                let certificate = Arc::new(certificate);
                let config =
                    certificate.server_config().map_err(|source| ListenError::Tls { address, source })?;
                Some((certificate, Arc::new(config)))
            }
        };
        let refused = |error: io::Error| ListenError::Address { address, reason: reason(&error, address) };
        let socket = TcpListener::bind(address).await.map_err(refused)?;
        let address = socket.local_addr().map_err(refused)?;
        Ok(Self { socket, address, tls, limits: settings.limits.clone() })
    }

    /// Where it listens, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate that is presented, if TLS is served.
    pub fn certificate(&self) -> Option<Arc<ServerCertificate>> {
        self.tls.as_ref().map(|(certificate, _)| Arc::clone(certificate))
    }
}

fn reason(error: &io::Error, address: SocketAddr) -> String {
    match error.kind() {
        ErrorKind::AddrInUse => "another process listens there".to_owned(),
        ErrorKind::AddrNotAvailable => "no interface of this machine has this address".to_owned(),
        ErrorKind::PermissionDenied if address.port() < 1024 => {
            "ports below 1024 need the capability `CAP_NET_BIND_SERVICE`".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Serves until `stop` is true or its sender is gone: then no connection is taken any more, requests that are under way
/// are answered, and what is not answered within the limit is cut off. To be dropped at any time; everything ends with it.
pub async fn serve(listener: Listener, router: Router, mut stop: watch::Receiver<bool>) {
    let Listener { socket, address, tls, limits } = listener;
    let acceptor = tls.as_ref().map(|(_, config)| TlsAcceptor::from(Arc::clone(config)));
    let certificate = tls.map(|(certificate, _)| certificate);
    let limits = Arc::new(limits);
    let connections = Connections::default();
    let mut tasks = JoinSet::new();
    let mut looks = interval_at(Instant::now() + limits.certificate, limits.certificate);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            Some(_) = tasks.join_next() => {}
            _ = looks.tick(), if certificate.is_some() => {
                if let Some(certificate) = &certificate {
                    look(certificate, address).await;
                }
            }
            accepted = socket.accept() => match accepted {
                Ok((stream, _)) => {
                    // Everybody waits for us: a newcomer is worth less than any of them. Its sender repeats it.
                    let Some(seat) = connections.admit(limits.connections) else { continue };
                    let number = seat.number;
                    let connection = open(
                        stream, seat, acceptor.clone(), router.clone(), Arc::clone(&limits), stop.clone(),
                    );
                    connections.served_by(number, tasks.spawn(connection));
                }
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(address = %address, error = %error, "connection not taken");
                    sleep(PAUSE).await;
                }
            }
        }
    }
    drop(socket);
    let ended = timeout(limits.stopping, async { while tasks.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        tracing::debug!(address = %address, "connections cut off");
    }
}

/// The client went away before it was taken.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

async fn look(certificate: &Arc<ServerCertificate>, address: SocketAddr) {
    let certificate = Arc::clone(certificate);
    // File systems may be slow.
    match tokio::task::spawn_blocking(move || certificate.refresh()).await {
        Ok(Refreshed::Replaced) => tracing::info!(address = %address, "certificate of the listener replaced"),
        Ok(Refreshed::Refused(error)) => {
            tracing::error!(address = %address, error = %error, "new certificate of the listener not usable, the old one stays");
        }
        Ok(Refreshed::Unchanged) | Err(_) => {}
    }
}

async fn open(
    stream: TcpStream,
    seat: Seat,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    limits: Arc<ListenerLimits>,
    mut stop: watch::Receiver<bool>,
) {
    // Answers are small and whole: waiting for more to send only delays them. If it fails, they come later.
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = acceptor else {
        return connection::serve(stream, seat, router, &limits, stop).await;
    };
    let handshake = tokio::select! {
        handshake = timeout(limits.opening, acceptor.accept(stream)) => handshake,
        () = stopped(&mut stop) => return,
    };
    match handshake {
        Ok(Ok(stream)) => connection::serve(stream, seat, router, &limits, stop).await,
        Ok(Err(error)) => tracing::debug!(error = %error, "no TLS handshake"),
        Err(_) => tracing::debug!("TLS handshake was too slow"),
    }
}
