//! Answers on the admin socket.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path as Segment, State as Shared};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use certroll_core::id::CloudServiceId;
use certroll_core::plan::{Status, Wait};
use certroll_core::ports::{Clock, JournalFault, RolloutJournal};
use certroll_core::standing::{Decided, Decision};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::de::DeserializeOwned;
use serde_json::json;
use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::{
    ApproveRequest, PauseAnswer, PauseRequest, REQUEST, Refusal, ReleaseRequest, ReloadAnswer, ResumeRequest,
};
use crate::activation::{Activator, Reason};
use crate::cli::select;
use crate::status::PauseView;
use crate::unattended::reload::Asker;
use crate::unattended::state::State;

/// Connections at once: people and scripts of one machine.
const CONNECTIONS: usize = 32;
/// Longest time until the head of a request is there. Whoever connects here is a program that asks at once.
const HEAD: Duration = Duration::from_secs(10);
/// Longest time that an answer may take: all but writing the journal come from memory.
const WHOLE: Duration = Duration::from_secs(60);
/// How long answers under way may take once the process stops.
const LAST: Duration = Duration::from_secs(2);

/// Why the socket cannot be made.
#[derive(Debug, Error)]
pub enum SocketError {
    /// Another process answers there.
    #[error("another certroll answers at the admin socket `{path}`")]
    Taken {
        /// The socket.
        path: String,
    },
    /// Something else is there.
    #[error("`{path}` is there and is no socket")]
    Occupied {
        /// The path.
        path: String,
    },
    /// The system refuses.
    #[error("the admin socket `{path}` cannot be made: {reason}")]
    Refused {
        /// The socket.
        path: String,
        /// Why.
        reason: String,
        /// Why, as the system has it.
        source: io::Error,
    },
}

/// The socket, removed when this is dropped.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Makes the socket with mode 0600. One that a process left behind, which no longer answers, is replaced.
    ///
    /// # Errors
    /// Another process answers there, or the system refuses.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let shown = || path.display().to_string();
        let refused = |source: io::Error| {
            let missing = path.parent().filter(|parent| !parent.is_dir());
            let reason = missing.map_or_else(
                || source.to_string(),
                |parent| format!("the directory `{}` is not there", parent.display()),
            );
            SocketError::Refused { path: shown(), reason, source }
        };
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(refused(error)),
            Ok(there) if !there.file_type().is_socket() => {
                return Err(SocketError::Occupied { path: shown() });
            }
            Ok(_) => {
                if std::os::unix::net::UnixStream::connect(path).is_ok() {
                    return Err(SocketError::Taken { path: shown() });
                }
                fs::remove_file(path).map_err(refused)?;
            }
        }
        // Made under a name that nobody knows and closed before it gets its own: at no time may others connect.
        let hidden = path.with_extension(format!("{}.new", std::process::id()));
        let _ = fs::remove_file(&hidden);
        let made = std::os::unix::net::UnixListener::bind(&hidden)
            .and_then(|listener| {
                fs::set_permissions(&hidden, fs::Permissions::from_mode(0o600))?;
                fs::rename(&hidden, path)?;
                listener.set_nonblocking(true)?;
                UnixListener::from_std(listener)
            })
            .inspect_err(|_| {
                let _ = fs::remove_file(&hidden);
            });
        Ok(Self { listener: made.map_err(refused)?, path: path.to_owned() })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Gone already, or the next start replaces it.
        let _ = fs::remove_file(&self.path);
    }
}

/// What answers are made from.
#[derive(Clone)]
pub struct Desk {
    /// What the daemon knows of itself.
    pub state: Arc<State>,
    /// Asks for looks.
    pub activator: Activator,
    /// Asks for the configuration to be read again.
    pub reload: mpsc::Sender<Asker>,
    /// The journal, for what a person decides.
    pub journal: Arc<dyn RolloutJournal>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Answers until `stop` turns to `true`.
pub async fn serve(socket: Socket, desk: Desk, mut stop: watch::Receiver<bool>) {
    let router = router(desk);
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        tokio::select! {
            accepted = socket.listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let router = router.clone();
                    connections.spawn(async move {
                        answer(stream, router).await;
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(error = %error, "a connection to the admin socket cannot be taken");
                    // Usually too many open files, which only time mends.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            },
            () = asked_to(&mut stop) => break,
        }
        while connections.try_join_next().is_some() {}
    }
    let last = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LAST, last).await;
}

/// Waits until it is asked to stop, or nobody is left who could ask.
async fn asked_to(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn answer(stream: UnixStream, router: Router) {
    let service = TowerToHyperService::new(router);
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).keep_alive(false);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(WHOLE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(error = %error, "a connection to the admin socket broke off"),
        Err(_) => tracing::debug!("a connection to the admin socket took too long"),
    }
}

fn router(desk: Desk) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/activate", post(activate))
        .route("/reload", post(reload))
        .route("/pause", post(pause))
        .route("/resume", post(resume))
        .route("/approve", post(approve))
        .route("/release", post(release))
        .route("/services/{name}/update", get(update))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(REQUEST))
        .with_state(desk)
}

struct Refused(StatusCode, String, Option<String>);

impl Refused {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self(status, detail.into(), None)
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.2 = Some(hint.into());
        self
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, detail, hint) = self;
        let title = status.canonical_reason().unwrap_or_default().to_owned();
        let refusal = Refusal { title, status: status.as_u16(), detail, hint };
        let mut response = (status, Json(refusal)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

type Answered<T = Response> = Result<T, Refused>;

fn read<T: DeserializeOwned>(body: &Bytes) -> Answered<T> {
    serde_json::from_slice(body)
        .map_err(|error| Refused::new(StatusCode::BAD_REQUEST, format!("the request is malformed: {error}")))
}

fn stopping() -> Refused {
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, "certroll is stopping")
}

async fn unknown() -> Refused {
    Refused::new(StatusCode::NOT_FOUND, "this certroll does not know the request")
        .hint("is the command of another version than the daemon?")
}

async fn status(Shared(desk): Shared<Desk>) -> Response {
    Json(desk.state.view(desk.clock.now())).into_response()
}

async fn activate(Shared(desk): Shared<Desk>) -> Answered {
    desk.activator.activate(Reason::Person).map_err(|_| stopping())?;
    tracing::info!("a look was asked for");
    Ok(Json(json!({ "format": 1 })).into_response())
}

async fn reload(Shared(desk): Shared<Desk>) -> Answered {
    let (asker, reloaded) = oneshot::channel();
    desk.reload.send(asker).await.map_err(|_| stopping())?;
    // It breaks off where the process stops meanwhile.
    match reloaded.await.map_err(|_| stopping())? {
        Ok(changes) => Ok(Json(ReloadAnswer { changes }).into_response()),
        Err(why) => Err(Refused::new(StatusCode::UNPROCESSABLE_ENTITY, why)
            .hint("the former configuration stays in force; `certroll check` shows the mistakes")),
    }
}

impl Desk {
    fn services(&self, names: &[String]) -> Answered<Vec<CloudServiceId>> {
        let policy = self.state.policy();
        let find = |name: &String| {
            select::find(&policy, name).map(|found| found.service.clone()).map_err(|failure| {
                let refused = Refused::new(StatusCode::NOT_FOUND, failure.error.to_string());
                Refused(refused.0, refused.1, failure.hint)
            })
        };
        names.iter().map(find).collect()
    }

    async fn decide(&self, service: CloudServiceId, decision: Decision) -> Answered<()> {
        let decided = Decided { at: self.clock.now(), service, decision };
        self.journal.decide(&decided).await.map_err(|error| {
            let status = match error.kind {
                JournalFault::Full | JournalFault::ReadOnly => StatusCode::INSUFFICIENT_STORAGE,
                JournalFault::Held
                | JournalFault::Denied
                | JournalFault::Absent
                | JournalFault::Corrupt
                | JournalFault::Newer
                | JournalFault::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            };
            let refused = Refused::new(status, error.to_string());
            Refused(refused.0, refused.1, error.hint)
        })
    }
}

async fn pause(Shared(desk): Shared<Desk>, body: Bytes) -> Answered {
    let request: PauseRequest = read(&body)?;
    let services = desk.services(&request.services)?;
    let since = desk.clock.now();
    if request.until.is_some_and(|until| until <= since) {
        return Err(Refused::new(StatusCode::BAD_REQUEST, "the pause would end before it begins"));
    }
    let pause = PauseView { since, until: request.until, reason: request.reason };
    desk.state
        .change_pauses(|pauses| pauses.pause(&services, &pause))
        .map_err(|error| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    tracing::info!(services = services.len(), until = pause.until.map(|until| until.to_string()), "paused");
    // So that the end of the pause is among what is waited for.
    desk.activator.activate(Reason::Person).map_err(|_| stopping())?;
    Ok(Json(PauseAnswer { services, ended: 0 }).into_response())
}

async fn resume(Shared(desk): Shared<Desk>, body: Bytes) -> Answered {
    let request: ResumeRequest = read(&body)?;
    let services = desk.services(&request.services)?;
    let now = desk.clock.now();
    let ended = desk
        .state
        .change_pauses(|pauses| pauses.resume(&services, now))
        .map_err(|error| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    tracing::info!(services = services.len(), ended, "resumed");
    desk.activator.activate(Reason::Person).map_err(|_| stopping())?;
    Ok(Json(PauseAnswer { services, ended }).into_response())
}

/// The plan that waits for a person, so that it can be seen before it is approved.
async fn update(Shared(desk): Shared<Desk>, Segment(name): Segment<String>) -> Answered {
    let service = desk.services(&[name])?.remove(0);
    let report = desk.state.report(&service).ok_or_else(|| {
        Refused::new(StatusCode::CONFLICT, format!("`{}` was not looked at yet", service.name()))
            .hint("try again in a moment")
    })?;
    match report.status {
        Status::Waiting { reason: Wait::Approval { plan }, update, .. } => {
            Ok(Json(json!({ "format": 1, "plan": plan, "update": update })).into_response())
        }
        status => Err(Refused::new(
            StatusCode::CONFLICT,
            format!("`{}` does not wait for approval: it is {}", service.name(), word(&status)),
        )
        .hint("`certroll status` says how every service stands")),
    }
}

fn word(status: &Status) -> &'static str {
    match status {
        Status::Current => "current",
        Status::Planned { .. } => "planned, and begins by itself",
        Status::Waiting { .. } => "waiting for something else",
        Status::Blocked { .. } => "blocked",
        Status::Unreadable { .. } => "unreadable",
    }
}

async fn approve(Shared(desk): Shared<Desk>, body: Bytes) -> Answered {
    let request: ApproveRequest = read(&body)?;
    let report = desk.state.report(&request.service);
    let waits = report.is_some_and(|report| {
        matches!(&report.status, Status::Waiting { reason: Wait::Approval { plan }, .. } if *plan == request.plan)
    });
    if !waits {
        let detail = format!("this plan of `{}` is no longer the one that waits", request.service.name());
        return Err(Refused::new(StatusCode::CONFLICT, detail)
            .hint("look at the present one and approve that: `certroll approve`"));
    }
    desk.decide(request.service.clone(), Decision::Approved { plan: request.plan }).await?;
    tracing::info!(cloud_service = %request.service, "a plan was approved");
    desk.activator.activate(Reason::Person).map_err(|_| stopping())?;
    Ok(Json(json!({ "format": 1 })).into_response())
}

async fn release(Shared(desk): Shared<Desk>, body: Bytes) -> Answered {
    let request: ReleaseRequest = read(&body)?;
    desk.decide(request.service.clone(), Decision::Released).await?;
    tracing::info!(cloud_service = %request.service, "released");
    desk.activator.activate(Reason::Person).map_err(|_| stopping())?;
    Ok(Json(json!({ "format": 1 })).into_response())
}
