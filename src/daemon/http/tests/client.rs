//! A client that sends exactly what a test writes.

use std::collections::HashMap;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A request in the making.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) method: &'static str,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Message {
    pub(super) fn post(body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type".to_owned(), "application/json; charset=utf-8".to_owned())];
        Self { method: "POST", target: "/events".to_owned(), headers, body: body.into() }
    }

    pub(super) fn options() -> Self {
        Self { method: "OPTIONS", target: "/events".to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    pub(super) fn to(mut self, target: &str) -> Self {
        self.target = target.to_owned();
        self
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The bytes up to the body.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: certroll.example\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() || self.method == "POST" {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend(&self.body);
        bytes
    }

    /// Sends it on a connection of its own, and reads the answer.
    pub(super) async fn send(&self, address: SocketAddr) -> Reply {
        let mut stream = TcpStream::connect(address).await.unwrap();
        self.exchange(&mut stream).await.unwrap()
    }

    /// Sends it, and reads the answer; none if the connection ends before.
    pub(super) async fn exchange<S>(&self, stream: &mut S) -> Option<Reply>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        stream.write_all(&self.bytes()).await.ok()?;
        read(stream).await
    }
}

/// Reads one answer, whose length must be told.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Reply> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: HashMap<String, String> = lines
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        })
        .collect();
    assert!(!headers.contains_key("transfer-encoding"), "{head}");
    let length = headers.get("content-length").unwrap_or_else(|| panic!("no length: {head}"));
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.ok()?;
    Some(Reply { status, headers, body })
}

/// Waits until the other side ends a connection.
pub(super) async fn ended(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // An end and a reset are the same here.
    let _ = stream.read_to_end(&mut rest).await;
    assert_eq!(rest, b"", "nothing was answered");
}
