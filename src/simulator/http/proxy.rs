//! The CONNECT proxy and the exchanges inside its tunnels.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::Shared;
use crate::cloud::Outcome;
use crate::message::{Reply, Request};

/// Resource Manager refuses request bodies above 4 MiB.
const MAX_BODY: usize = 4 * 1024 * 1024;

type Body = Full<Bytes>;

/// Accepts until the simulator ends.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.ended() => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        let Ok(permit) = shared.connections.clone().acquire_owned().await else { return };
        let shared = shared.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = connection(stream, shared.clone()) => {}
                () = shared.ended() => {}
            }
            drop(permit);
        });
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(at_the_proxy(request, shared).await) }
    });
    // A client that goes away is no error of the simulator's.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
}

async fn at_the_proxy(request: hyper::Request<Incoming>, shared: Arc<Shared>) -> Response<Body> {
    if request.method() != Method::CONNECT {
        return metadata(request, &shared).await;
    }
    let Some(authority) = request.uri().authority().cloned() else { return plain(StatusCode::BAD_REQUEST) };
    let host = authority.host().to_ascii_lowercase();
    let port = authority.port_u16().unwrap_or(443);
    if !shared.with(|cloud| cloud.admits(&host, port)) {
        return plain(StatusCode::BAD_GATEWAY);
    }
    let Ok(permit) = shared.connections.clone().try_acquire_owned() else {
        return plain(StatusCode::SERVICE_UNAVAILABLE);
    };
    tokio::spawn(async move {
        let _permit = permit;
        let ended = shared.clone();
        tokio::select! {
            result = tunnel(request, host, shared) => {
                if let Err(error) = result {
                    tracing::debug!(%error, "tunnel ended");
                }
            }
            () = ended.ended() => {}
        }
    });
    plain(StatusCode::OK)
}

/// Ends TLS for a host and serves what comes through.
async fn tunnel(request: hyper::Request<Incoming>, host: String, shared: Arc<Shared>) -> io::Result<()> {
    let upgraded = hyper::upgrade::on(request).await.map_err(io::Error::other)?;
    let tls = TlsAcceptor::from(shared.tls(&host)?).accept(TokioIo::new(upgraded)).await?;
    let service = service_fn(move |request| {
        let (host, shared) = (host.clone(), shared.clone());
        async move { exchange(request, &format!("https://{host}"), &shared).await }
    });
    http1::Builder::new().serve_connection(TokioIo::new(tls), service).await.map_err(io::Error::other)
}

/// One exchange with the cloud. An error cuts the connection.
async fn exchange(
    request: hyper::Request<Incoming>,
    base: &str,
    shared: &Shared,
) -> io::Result<Response<Body>> {
    let request = match whole(request, base).await {
        Ok(request) => request,
        Err(status) => return Ok(plain(status)),
    };
    match shared.answer(&request) {
        Outcome::Answered(reply) => Ok(response(&reply, None)),
        Outcome::Delayed(reply, at) => {
            shared.until(at).await;
            Ok(response(&reply, None))
        }
        Outcome::Cut => Err(io::Error::new(io::ErrorKind::ConnectionReset, "cut by a fault")),
        Outcome::Garbled(reply, bytes) => Ok(response(&reply, Some(bytes))),
    }
}

/// Requests to the proxy itself are for the managed identity; a plain request for another host is not let through.
async fn metadata(request: hyper::Request<Incoming>, shared: &Shared) -> Response<Body> {
    if let Some(host) = request.uri().host() {
        let refused = format!("{host}:{}", request.uri().port_u16().unwrap_or(80));
        shared.with(|cloud| cloud.refuse_connect(refused));
        return plain(StatusCode::BAD_GATEWAY);
    }
    match whole(request, "http://169.254.169.254").await {
        Ok(request) => {
            let reply = shared.with(|cloud| cloud.answer_metadata(&request));
            response(&reply, None)
        }
        Err(status) => plain(status),
    }
}

async fn whole(request: hyper::Request<Incoming>, base: &str) -> Result<Request, StatusCode> {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let url = Url::parse(&format!("{base}{path}")).map_err(|_| StatusCode::BAD_REQUEST)?;
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST }
    })?;
    let method = head.method.as_str().to_ascii_uppercase();
    Ok(Request { method, url, headers, body: body.to_bytes().to_vec() })
}

fn response(reply: &Reply, garbled: Option<Vec<u8>>) -> Response<Body> {
    let bytes = garbled.or_else(|| reply.body.as_ref().map(|body| body.to_string().into_bytes()));
    let mut response = Response::new(Full::new(Bytes::from(bytes.clone().unwrap_or_default())));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    if bytes.is_some() {
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    }
    response
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = status;
    response
}
