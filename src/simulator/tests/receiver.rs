//! A webhook on loopback that notes what arrives and answers as a test wants.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use certroll_simulator::pki::Issued;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use url::Url;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Status, headers and body.
    Whole(u16, Vec<(&'static str, String)>, String),
    /// Never anything.
    Nothing,
    /// The connection is cut.
    Cut,
}

type Answers = Box<dyn FnMut(&Arrived) -> Answer + Send>;

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    arrived: watch::Sender<Vec<Arrived>>,
    answers: Arc<Mutex<Answers>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Arrived {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub(crate) fn status(status: u16) -> Answer {
    Answer::Whole(status, Vec::new(), String::new())
}

/// What an obliging webhook answers: it consents to everything.
pub(crate) fn obliging(arrived: &Arrived) -> Answer {
    if arrived.method == "OPTIONS" {
        return Answer::Whole(200, vec![("webhook-allowed-origin", "*".to_owned())], String::new());
    }
    if arrived.header("aeg-event-type") == Some("SubscriptionValidation") {
        let code = arrived.json()[0]["data"]["validationCode"].clone();
        return Answer::Whole(200, Vec::new(), json!({ "validationResponse": code }).to_string());
    }
    status(200)
}

impl Receiver {
    /// Plain HTTP, obliging until told otherwise.
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Behind TLS with this certificate.
    pub(crate) async fn start_tls(certificate: &Issued) -> Self {
        let chain = certificate.full_chain().into_iter().map(CertificateDer::from).collect();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certificate.key_pkcs8.clone()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Self::start_with(Some(tokio_rustls::TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn start_with(tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (arrived, _) = watch::channel(Vec::new());
        let answers: Arc<Mutex<Answers>> = Arc::new(Mutex::new(Box::new(obliging)));
        let shared = (arrived.clone(), Arc::clone(&answers));
        let accepting = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (tls, shared) = (tls.clone(), shared.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, shared).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, shared).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, arrived, answers, accepting }
    }

    pub(crate) fn url(&self, rest: &str) -> Url {
        format!("http://{}{rest}", self.address).parse().unwrap()
    }

    /// From now on this is answered to whatever is no handshake.
    pub(crate) fn answer(&self, answer: Answer) {
        self.answers(move |arrived| match obliging(arrived) {
            Answer::Whole(_, headers, body) if headers.is_empty() && body.is_empty() => answer.clone(),
            handshake => handshake,
        });
    }

    /// From now on this is what answers.
    pub(crate) fn answers(&self, answers: impl FnMut(&Arrived) -> Answer + Send + 'static) {
        *self.answers.lock().unwrap() = Box::new(answers);
    }

    /// What has arrived since this was asked last.
    pub(crate) fn take(&self) -> Vec<Arrived> {
        let mut taken = Vec::new();
        self.arrived.send_modify(|arrived| taken = std::mem::take(arrived));
        taken
    }

    /// Waits until so much has arrived, and takes it.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Arrived> {
        let mut arrived = self.arrived.subscribe();
        let _ = arrived.wait_for(|arrived| arrived.len() >= count).await.unwrap();
        drop(arrived);
        self.take()
    }
}

async fn serve<S>(stream: S, (arrived, answers): (watch::Sender<Vec<Arrived>>, Arc<Mutex<Answers>>))
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (cut, mut is_cut) = watch::channel(false);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (arrived, answers, cut) = (arrived.clone(), Arc::clone(&answers), cut.clone());
        async move {
            let (head, body) = request.into_parts();
            let headers = head
                .headers
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()));
            let one = Arrived {
                method: head.method.to_string(),
                target: head.uri.to_string(),
                headers: headers.collect(),
                body: body.collect().await.unwrap().to_bytes().to_vec(),
            };
            let answer = (answers.lock().unwrap())(&one);
            arrived.send_modify(|arrived| arrived.push(one));
            match answer {
                Answer::Whole(status, headers, body) => {
                    let mut response = http::Response::builder().status(status);
                    for (name, value) in headers {
                        response = response.header(name, value);
                    }
                    Ok::<_, Infallible>(response.body(Full::new(Bytes::from(body))).unwrap())
                }
                Answer::Nothing => std::future::pending().await,
                Answer::Cut => {
                    cut.send_replace(true);
                    std::future::pending().await
                }
            }
        }
    });
    tokio::select! {
        _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service) => {}
        _ = is_cut.wait_for(|cut| *cut) => {}
    }
}
