//! A CONNECT proxy that ends TLS for the names of the cloud and answers requests by a script.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) host: String,
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// What the fake does with a request.
pub(crate) enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// Reads the request, then closes.
    Cut,
    /// Promises a body, sends a part, closes.
    CutBody,
    /// Never answers.
    Hang,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.to_string().into_bytes() }
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
    }

    pub(crate) fn error(status: u16, code: &str) -> Self {
        Self::json(status, &serde_json::json!({ "error": { "code": code, "message": "what happened" } }))
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

/// Answers a request, given how many were seen before it with the same host, method and target.
pub(crate) type Script = Box<dyn Fn(&Seen, usize) -> Reply + Send + Sync>;

/// The running fake.
pub(crate) struct Fake {
    pub(crate) port: u16,
    pub(crate) ca_pem: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    connects: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (acceptor, ca_pem) = tls();
        let fake = Self { port, ca_pem, seen: Arc::default(), connects: Arc::default() };
        let (seen, connects) = (Arc::clone(&fake.seen), Arc::clone(&fake.connects));
        let script: Arc<Script> = Arc::new(script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let (acceptor, script) = (acceptor.clone(), Arc::clone(&script));
                let (seen, connects) = (Arc::clone(&seen), Arc::clone(&connects));
                tokio::spawn(async move {
                    let _ = serve(stream, &acceptor, &script, &seen, &connects).await;
                });
            }
        });
        fake
    }

    /// Requests so far, without those for tokens.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let all = self.seen.lock().unwrap();
        all.iter().filter(|seen| !seen.host.starts_with("login.")).cloned().collect()
    }

    /// Requests for tokens so far.
    pub(crate) fn token_requests(&self) -> Vec<Seen> {
        let all = self.seen.lock().unwrap();
        all.iter().filter(|seen| seen.host.starts_with("login.")).cloned().collect()
    }

    /// Hosts to which connections were asked for.
    pub(crate) fn connects(&self) -> Vec<String> {
        self.connects.lock().unwrap().clone()
    }
}

fn tls() -> (TlsAcceptor, String) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
    let issuer = Issuer::new(ca, ca_key);
    let names = [
        "login.chinacloudapi.cn",
        "management.chinacloudapi.cn",
        "*.vault.azure.cn",
        "evil.example",
        "management.azure.com",
    ];
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(names.map(str::to_owned)).unwrap().signed_by(&key, &issuer).unwrap();
    let config = tokio_rustls::rustls::ServerConfig::builder_with_provider(Arc::new(
        tokio_rustls::rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
    .unwrap();
    (TlsAcceptor::from(Arc::new(config)), ca_pem)
}

async fn serve(
    mut stream: TcpStream,
    acceptor: &TlsAcceptor,
    script: &Script,
    seen: &Mutex<Vec<Seen>>,
    connects: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let connect = head(&mut stream).await?;
    let authority = connect.split(' ').nth(1).unwrap_or_default().to_owned();
    connects.lock().unwrap().push(authority.clone());
    if !connect.starts_with("CONNECT ") {
        return Ok(());
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
    let mut stream = acceptor.accept(stream).await?;
    let host = authority.split(':').next().unwrap_or_default().to_owned();
    loop {
        let request = head(&mut stream).await?;
        let mut lines = request.split("\r\n");
        let mut first = lines.next().unwrap_or_default().split(' ');
        let headers: HashMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let request = Seen {
            host: host.clone(),
            method: first.next().unwrap_or_default().to_owned(),
            target: first.next().unwrap_or_default().to_owned(),
            headers,
            body: String::from_utf8(body).unwrap(),
        };
        let before = {
            let mut seen = seen.lock().unwrap();
            let before = seen
                .iter()
                .filter(|old| {
                    (&old.host, &old.method, &old.target) == (&request.host, &request.method, &request.target)
                })
                .count();
            seen.push(request.clone());
            before
        };
        match script(&request, before) {
            Reply::Answer { status, headers, body } => {
                let mut text = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    text.push_str(&format!("{name}: {value}\r\n"));
                }
                text.push_str("\r\n");
                stream.write_all(text.as_bytes()).await?;
                stream.write_all(&body).await?;
                stream.flush().await?;
            }
            Reply::Cut => return stream.shutdown().await,
            Reply::CutBody => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"value\": [").await?;
                stream.flush().await?;
                return stream.shutdown().await;
            }
            Reply::Hang => std::future::pending().await,
        }
    }
}

/// Reads up to the empty line, byte by byte: requests of tests are small.
async fn head(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> std::io::Result<String> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        text.push(stream.read_u8().await?);
    }
    text.truncate(text.len() - 4);
    Ok(String::from_utf8(text).unwrap())
}
