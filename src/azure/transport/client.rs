//! The production transport: reqwest over rustls with ring, with the system's roots, and two clients. The cloud's
//! client may go through a proxy; the metadata client never does, since that endpoint exists on this machine only.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use certroll_core::ports::FaultKind;
use reqwest::NoProxy;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::body::{self, BodyLimit};
use super::roots::public_roots;
use super::{Answer, Outgoing, Sent, Transport, TransportFault};
use crate::options::{Limits, Network, Proxy, SetupError};
use crate::words::chain;

/// Connections idle for longer are closed. Azure's load balancers drop idle ones after four minutes without a word,
/// and a PUT on such a connection would be ambiguous.
const IDLE: Duration = Duration::from_secs(45);
/// A metadata endpoint is one hop away; where there is none, the connection often just hangs.
const METADATA_CONNECT: Duration = Duration::from_secs(2);
/// Largest metadata answer: a token with its frame is a few KB.
const METADATA_BODY: BodyLimit = BodyLimit(256 * 1024);

/// A reqwest client with a limit on answers.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    limit: BodyLimit,
}

impl Client {
    /// The client for the hosts of the cloud.
    ///
    /// # Errors
    /// A certificate or the proxy cannot be used.
    pub(crate) fn for_cloud(network: &Network, limits: &Limits) -> Result<Self, SetupError> {
        let builder = base(tls(&network.ca_pem)?)
            .connect_timeout(limits.connect)
            .read_timeout(limits.read)
            .timeout(limits.call);
        let builder = match &network.proxy {
            Proxy::None => builder.no_proxy(),
            Proxy::Environment => builder,
            Proxy::Url(url) => {
                let proxy = reqwest::Proxy::all(url.as_str()).map_err(|_| SetupError::Proxy)?;
                let exceptions = network.no_proxy.as_deref().and_then(NoProxy::from_string);
                builder.no_proxy().proxy(proxy.no_proxy(exceptions))
            }
        };
        Self::built(builder, limits.body)
    }

    /// The client for the metadata endpoint of this machine: no proxy, whatever the environment says.
    ///
    /// # Errors
    /// The client cannot be built.
    pub(crate) fn for_metadata(limits: &Limits) -> Result<Self, SetupError> {
        let builder = base(tls(&[])?).no_proxy().connect_timeout(METADATA_CONNECT).timeout(limits.identity);
        Self::built(builder, METADATA_BODY)
    }

    fn built(builder: reqwest::ClientBuilder, limit: BodyLimit) -> Result<Self, SetupError> {
        let http = builder.build().map_err(|fault| SetupError::Client(chain(&fault)))?;
        Ok(Self { http, limit })
    }
}

fn base(tls: rustls::ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // A PUT is sent once. The GETs are repeated by the caller, who counts them.
        .retry(reqwest::retry::never())
        .pool_idle_timeout(IDLE)
}

/// TLS with the system's roots, or the embedded ones where the system has none (a container from scratch), and those
/// of the configuration besides.
fn tls(ca_pem: &[u8]) -> Result<rustls::ClientConfig, SetupError> {
    let mut roots = public_roots().store;
    let mut added = 0;
    for certificate in CertificateDer::pem_slice_iter(ca_pem) {
        let certificate = certificate.map_err(|fault| SetupError::Roots(fault.to_string()))?;
        roots.add(certificate).map_err(|fault| SetupError::Roots(fault.to_string()))?;
        added += 1;
    }
    if added == 0 && !ca_pem.is_empty() {
        return Err(SetupError::Roots("it holds no PEM certificate".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|fault| SetupError::Client(fault.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[async_trait]
impl Transport for Client {
    async fn send(&self, request: Outgoing) -> Result<Answer, TransportFault> {
        let Outgoing { method, url, headers, body } = request;
        let sending = self.http.request(method, url).headers(headers);
        // reqwest holds the body itself, not a copy, and drops it once it is sent: it is wiped then.
        let sending = if body.is_empty() { sending } else { sending.body(Bytes::from_owner(body)) };
        let response = sending.send().await.map_err(fault_of)?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let body = body::read(response, self.limit).await?;
        Ok(Answer { status, headers, body })
    }
}

/// Tells apart what cannot have reached the service from what may have.
fn fault_of(fault: reqwest::Error) -> TransportFault {
    let kind = if fault.is_timeout() { FaultKind::TimedOut } else { FaultKind::Unreachable };
    let sent = if fault.is_connect() || fault.is_builder() { Sent::No } else { Sent::Perhaps };
    TransportFault::new(kind, sent, chain(&fault.without_url()))
}
