//! One connection, and all of them: what each is doing, how long it may, and which one gives way when there are too many.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::Request;
use http::header::EXPECT;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};
use tower::ServiceExt;

use super::listener::ListenerLimits;

/// Largest rest of a body that is read for nothing, in bytes. An answer to a request whose body is still under way is lost
/// when the connection closes on what is unread, and the sender would repeat what was refused. Beyond the largest body
/// that may be configured it is no delivery.
const DRAIN: u64 = 16 * 1024 * 1024;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The TLS handshake, or the head of the first request.
    Opening,
    /// We want more of a request's body than has come.
    Receiving,
    /// Nothing is missing from the client: it waits for us.
    Answering,
    /// The rest of an answer, and the head of the next request.
    Idle,
}

impl Phase {
    fn word(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Receiving => "receiving",
            Self::Answering => "answering",
            Self::Idle => "idle",
        }
    }

    fn limit(self, limits: &ListenerLimits) -> Duration {
        match self {
            Self::Opening => limits.opening,
            Self::Receiving => limits.receiving,
            Self::Answering => limits.answering,
            Self::Idle => limits.idle,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct State {
    phase: Phase,
    since: Instant,
}

struct Listed {
    state: watch::Sender<State>,
    task: Option<AbortHandle>,
}

#[derive(Default)]
struct Numbered {
    next: u64,
    open: BTreeMap<u64, Listed>,
}

/// All connections of a listener.
#[derive(Clone, Default)]
pub(super) struct Connections(Arc<Mutex<Numbered>>);

impl Connections {
    fn numbered(&self) -> MutexGuard<'_, Numbered> {
        // Nothing panics while the lock is held, and what it guards is whole after each statement.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more. Where there is none left, the connection that has kept us waiting longest gives way. None
    /// if all of them wait for us.
    pub(super) fn admit(&self, most: usize) -> Option<Seat> {
        let mut numbered = self.numbered();
        if numbered.open.len() >= most {
            let waiting = |listed: &Listed| {
                let state = *listed.state.borrow();
                (state.phase != Phase::Answering).then_some(state.since)
            };
            let oldest = numbered
                .open
                .iter()
                .filter_map(|(number, listed)| Some((waiting(listed)?, *number)))
                .min()
                .map(|(_, number)| number)?;
            if let Some(task) = numbered.open.remove(&oldest).and_then(|listed| listed.task) {
                task.abort();
                tracing::debug!("a connection gives way to another");
            }
        }
        let number = numbered.next;
        numbered.next += 1;
        let state = watch::Sender::new(State { phase: Phase::Opening, since: Instant::now() });
        numbered.open.insert(number, Listed { state: state.clone(), task: None });
        Some(Seat { number, state, connections: self.clone() })
    }

    /// Says which task serves a connection.
    pub(super) fn served_by(&self, number: u64, task: AbortHandle) {
        if let Some(listed) = self.numbered().open.get_mut(&number) {
            listed.task = Some(task);
        }
    }
}

/// The place of one connection, given back when it is dropped.
pub(super) struct Seat {
    pub(super) number: u64,
    state: watch::Sender<State>,
    connections: Connections,
}

impl Seat {
    fn enter(&self, phase: Phase) {
        self.state.send_replace(State { phase, since: Instant::now() });
    }

    /// Turns from one phase into another; from any other it stays.
    fn turn(&self, from: Phase, to: Phase) {
        self.state.send_if_modified(|state| {
            let turns = state.phase == from;
            if turns {
                *state = State { phase: to, since: Instant::now() };
            }
            turns
        });
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.numbered().open.remove(&self.number);
    }
}

/// Serves a connection until it ends, exceeds a limit, or everything stops and it has been answered.
pub(super) async fn serve<I>(
    io: I,
    seat: Seat,
    router: Router,
    limits: &ListenerLimits,
    mut stop: watch::Receiver<bool>,
) where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let seat = Arc::new(seat);
    let mut states = seat.state.subscribe();
    let service = {
        let seat = Arc::clone(&seat);
        service_fn(move |request| answer(request, router.clone(), Arc::clone(&seat)))
    };
    let mut connection = pin!(
        http1::Builder::new()
            .max_header_size(limits.head)
            // The limits of time are ours: hyper's would begin anew with each request's head.
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(io), service)
    );
    let mut stopping = false;
    loop {
        let State { phase, since } = *states.borrow_and_update();
        tokio::select! {
            // What has come counts before the time that has passed: if we were kept from looking, that is not the client's
            // fault.
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(phase = phase.word(), error = %error, "connection ended early");
                }
                return;
            }
            _ = states.changed() => {}
            () = stopped(&mut stop), if !stopping => {
                if phase == Phase::Opening {
                    return;
                }
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            () = sleep_until(since + phase.limit(limits)) => {
                tracing::debug!(phase = phase.word(), "connection was too slow");
                return;
            }
        }
    }
}

/// Returns once everything is to stop, also because whoever could say so is gone.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn answer(request: Request<Incoming>, router: Router, seat: Arc<Seat>) -> Result<Response, Infallible> {
    let expects = request.headers().contains_key(EXPECT);
    let rest = Rest::default();
    // Until somebody asks for the body in vain, it is us who are waited for: whoever judges the head takes our time.
    seat.enter(Phase::Answering);
    let request = request.map(|body| {
        let watched =
            Watched { body: Some(body), touched: false, seat: Arc::clone(&seat), rest: Arc::clone(&rest) };
        Body::new(watched)
    });
    let Ok(response) = router.oneshot(request).await;
    let left = rest.lock().unwrap_or_else(PoisonError::into_inner).take();
    // Who asked whether to send the body has not begun, and does not when it is answered with a refusal.
    if let Some((body, touched)) = left
        && (touched || !expects)
    {
        seat.turn(Phase::Answering, Phase::Receiving);
        drain(body).await;
    }
    seat.enter(Phase::Idle);
    Ok(response)
}

async fn drain(mut body: Incoming) {
    let mut left = DRAIN;
    if body.size_hint().lower() > DRAIN {
        return;
    }
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(less) = left.checked_sub(length) else { return };
        left = less;
    }
}

/// What was not read of a body, and whether any of it was.
type Rest = Arc<Mutex<Option<(Incoming, bool)>>>;

/// A body that tells when it is complete, and gives back what nobody read.
struct Watched {
    /// Taken when this is dropped.
    body: Option<Incoming>,
    touched: bool,
    seat: Arc<Seat>,
    rest: Rest,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.touched = true;
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        let polled = Pin::new(&mut *body).poll_frame(context);
        let ended = matches!(polled, Poll::Ready(None)) || (polled.is_ready() && body.is_end_stream());
        if ended {
            self.seat.turn(Phase::Receiving, Phase::Answering);
        } else if polled.is_pending() {
            // Once for the whole body: its time does not begin anew with each piece.
            self.seat.turn(Phase::Answering, Phase::Receiving);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = Some((body, self.touched));
        }
    }
}
