//! One HTTP exchange with an endpoint on loopback: a connection for each, no redirect followed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Position, Url};

/// Bytes of an answer that are read: validation answers have a hundred, and of others only the status counts.
const MAX_ANSWER: usize = 64 * 1024;

/// A request to an endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(super) method: &'static str,
    pub(super) url: Url,
    /// `None`: not on loopback, and then nothing is sent.
    pub(super) address: Option<SocketAddr>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// What an endpoint answered.
#[derive(Clone, Debug)]
pub(crate) struct WireAnswer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    /// It took too long.
    #[error("none within the limit")]
    TimedOut,
    /// Not reached, not trusted, cut, or not HTTP.
    #[error("{0}")]
    Failed(#[from] io::Error),
}

impl Message {
    pub(super) fn new(method: &'static str, url: Url, address: Option<SocketAddr>) -> Self {
        Self { method, url, address, headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn header(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    fn into_request(self) -> io::Result<http::Request<Full<Bytes>>> {
        let mut request = http::Request::new(Full::new(Bytes::from(self.body)));
        *request.method_mut() = http::Method::from_bytes(self.method.as_bytes()).map_err(io::Error::other)?;
        let target = &self.url[Position::BeforePath..Position::AfterQuery];
        *request.uri_mut() = target.parse().map_err(io::Error::other)?;
        let host = &self.url[Position::BeforeHost..Position::AfterPort];
        let headers = request.headers_mut();
        headers.insert(header::HOST, HeaderValue::from_str(host).map_err(io::Error::other)?);
        for (name, value) in &self.headers {
            let name = HeaderName::try_from(name).map_err(io::Error::other)?;
            headers.append(name, HeaderValue::from_str(value).map_err(io::Error::other)?);
        }
        Ok(request)
    }
}

impl WireAnswer {
    /// The first value of a header, by its lower-case name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Sends a request; https only where the endpoint's certificate leads to one of these roots.
pub(super) async fn send(message: Message, roots: &[Vec<u8>]) -> io::Result<WireAnswer> {
    let address = message.address.ok_or_else(|| io::Error::other("the endpoint is not on loopback"))?;
    let stream = TcpStream::connect(address).await?;
    if message.url.scheme() != "https" {
        return exchange(stream, message).await;
    }
    let host = message.url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    let tls = TlsConnector::from(Arc::new(client(roots)?)).connect(name, stream).await?;
    exchange(tls, message).await
}

async fn exchange<S>(stream: S, message: Message) -> io::Result<WireAnswer>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let request = message.into_request()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let connection = async {
        // How the connection ends after the answer does not matter, and before it the sender is told.
        let _ = connection.await;
        std::future::pending::<()>().await;
    };
    let answer = async {
        let (head, body) = sender.send_request(request).await.map_err(io::Error::other)?.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(io::Error::other)?.to_bytes();
        let headers = head.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        Ok(WireAnswer { status: head.status.as_u16(), headers: headers.collect(), body: body.to_vec() })
    };
    tokio::select! {
        answer = answer => answer,
        () = connection => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

fn client(roots: &[Vec<u8>]) -> io::Result<rustls::ClientConfig> {
    let mut store = rustls::RootCertStore::empty();
    for root in roots {
        store.add(CertificateDer::from(root.as_slice())).map_err(io::Error::other)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
