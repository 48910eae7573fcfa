//! A web server on loopback that answers as it is told and hands on what it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) head: String,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// A whole answer, as it goes over the wire.
    Text(String),
    /// Nothing, ever.
    Hang,
}

impl Answer {
    pub(super) fn status(line: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Text(format!(
            "HTTP/1.1 {line}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
        ))
    }
}

pub(super) struct Web {
    pub(super) url: String,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    requests: mpsc::UnboundedReceiver<Request>,
}

impl Web {
    /// Answers with 200 whenever nothing else was asked for.
    pub(super) async fn start(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (send, requests) = mpsc::unbounded_channel();
        let answers: Arc<Mutex<VecDeque<Answer>>> = Arc::default();
        let script = Arc::clone(&answers);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (send, script, tls) = (send.clone(), Arc::clone(&script), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &send, &script).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &send, &script).await;
                            }
                        }
                    }
                });
            }
        });
        Self { url: format!("{scheme}://{address}/hook/T0KEN"), answers, requests }
    }

    pub(super) fn answers(&self, answer: Answer) -> &Self {
        self.answers.lock().unwrap().push_back(answer);
        self
    }

    pub(super) async fn request(&mut self) -> Request {
        // A guard against a test that waits for ever: a request that comes at all comes at once.
        let coming = tokio::time::timeout(std::time::Duration::from_secs(30), self.requests.recv());
        coming.await.expect("no request came").unwrap()
    }

    pub(super) fn nothing_more(&mut self) {
        assert!(self.requests.try_recv().is_err());
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    requests: &mpsc::UnboundedSender<Request>,
    script: &Mutex<VecDeque<Answer>>,
) {
    let mut stream = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let headers: BTreeMap<String, String> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.unwrap();
    requests.send(Request { head: lines[0].clone(), headers, body }).unwrap();
    let answer = script.lock().unwrap().pop_front().unwrap_or(Answer::status("200 OK", "", "ok"));
    match answer {
        Answer::Text(text) => {
            // Who reads no more closes.
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        Answer::Hang => std::future::pending().await,
    }
}
