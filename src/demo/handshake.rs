//! What a customer's browser would be presented: TLS handshakes of the demo's own, which share nothing with certroll's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use certroll_simulator::pki;
use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Longest time for one connection.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Connections for each instance that is looked for: the load balancer takes turns, other clients take turns away.
const TRIES: usize = 4;
/// Longest answer that is read: the simulated service answers with the name of the instance.
const ANSWER: u64 = 4096;

/// One certificate of a presented chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Presented {
    /// SHA-1 thumbprint.
    pub(crate) thumbprint: String,
    /// Subject.
    pub(crate) subject: String,
    /// End of its validity.
    pub(crate) not_after: Timestamp,
}

/// What one instance presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The instance, as it says itself.
    pub(crate) instance: String,
    /// The chain, leaf first.
    pub(crate) chain: Vec<Presented>,
}

/// Connects until so many instances have answered. The client trusts `root` alone, so a chain that does not lead there
/// is refused, as a browser would refuse it.
///
/// # Errors
/// A handshake failed, or instances are missing.
pub(crate) async fn look(
    address: SocketAddr,
    name: &str,
    root: &[u8],
    instances: usize,
) -> Result<Vec<Seen>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(root.to_vec())).context("the root cannot be trusted")?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("TLS cannot be set up")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // A resumed session presents no certificate.
    config.resumption = rustls::client::Resumption::disabled();
    let connector = TlsConnector::from(Arc::new(config));
    let mut seen: Vec<Seen> = Vec::new();
    for _ in 0..instances * TRIES {
        let one = tokio::time::timeout(TIMEOUT, once(&connector, address, name))
            .await
            .with_context(|| format!("no handshake with {address} within {} s", TIMEOUT.as_secs()))??;
        if !seen.contains(&one) {
            seen.push(one);
        }
        if seen.len() == instances {
            break;
        }
    }
    if seen.len() < instances {
        bail!("expected {instances} instances behind {address}, found {}", seen.len());
    }
    seen.sort_by(|a, b| a.instance.cmp(&b.instance));
    Ok(seen)
}

async fn once(connector: &TlsConnector, address: SocketAddr, name: &str) -> Result<Seen> {
    let server = ServerName::try_from(name.to_owned()).with_context(|| format!("`{name}` is no host"))?;
    let stream = TcpStream::connect(address).await.with_context(|| format!("{address} does not answer"))?;
    let mut tls = connector
        .connect(server, stream)
        .await
        .with_context(|| format!("the handshake with {address} failed"))?;
    let presented = tls.get_ref().1.peer_certificates().unwrap_or_default();
    let chain = presented.iter().map(|one| read(one)).collect::<Result<Vec<_>>>()?;
    tls.write_all(format!("GET / HTTP/1.1\r\nhost: {name}\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    // Some servers end a connection without the TLS farewell: what was read by then counts.
    let _ = tls.take(ANSWER).read_to_string(&mut answer).await;
    let instance = answer.lines().last().unwrap_or_default().trim().to_owned();
    if instance.is_empty() {
        bail!("{address} answered nothing after the handshake");
    }
    Ok(Seen { instance, chain })
}

fn read(der: &[u8]) -> Result<Presented> {
    let (_, certificate) =
        x509_parser::parse_x509_certificate(der).context("a presented certificate cannot be read")?;
    let not_after = Timestamp::from_second(certificate.validity().not_after.timestamp())
        .context("the end of a validity is out of range")?;
    let subject = certificate.subject().to_string();
    Ok(Presented { thumbprint: pki::thumbprint(der), subject, not_after })
}
