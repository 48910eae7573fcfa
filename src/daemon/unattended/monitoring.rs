//! `/livez`, `/readyz` and `/metrics`, for monitoring. Nothing here tells of what is secret, and nothing can be changed.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use certroll_core::ports::{Clock, RolloutJournal};
use tokio::sync::watch;

use super::generation::Generation;
use super::heart::Heart;
use super::state::State;
use crate::telemetry::metrics::{CONTENT_TYPE, Metrics};

/// What answers are made from.
#[derive(Clone)]
pub struct Watchtower {
    /// What the daemon knows of itself.
    pub state: Arc<State>,
    /// Proof of progress.
    pub heart: Heart,
    /// Every metric.
    pub metrics: Arc<Metrics>,
    /// The configuration in force.
    pub generations: watch::Receiver<Arc<Generation>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The journal.
    pub journal: Arc<dyn RolloutJournal>,
}

/// Answers the three paths.
pub fn router(watchtower: Watchtower) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(watchtower)
}

/// One thing that must hold.
struct Check {
    name: &'static str,
    fault: Option<String>,
}

fn answer(word: &str, checks: &[Check], query: Option<&str>) -> Response {
    let ok = checks.iter().all(|check| check.fault.is_none());
    let verbose =
        query.is_some_and(|query| query.split('&').any(|pair| pair.split('=').next() == Some("verbose")));
    let mut text = String::new();
    // Infallible: they write to a string.
    for check in checks {
        match &check.fault {
            Some(fault) => {
                let _ = writeln!(text, "[-] {}: {fault}", check.name);
            }
            None if verbose => {
                let _ = writeln!(text, "[+] {}", check.name);
            }
            None => {}
        }
    }
    let _ = writeln!(text, "{}", if ok { word.to_owned() } else { format!("not {word}") });
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")], text)
        .into_response()
}

/// The process alone: nothing that a restart would not mend.
async fn livez(Shared(watchtower): Shared<Watchtower>, RawQuery(query): RawQuery) -> Response {
    let fault = (!watchtower.heart.is_alive()).then(|| "no progress is made".to_owned());
    answer("live", &[Check { name: "progress", fault }], query.as_deref())
}

/// Whether it does its work: it may be sent events.
async fn readyz(Shared(watchtower): Shared<Watchtower>, RawQuery(query): RawQuery) -> Response {
    let view = watchtower.state.view(watchtower.clock.now());
    let look = if watchtower.state.has_looked() {
        None
    } else if view.last_look.is_some() {
        Some("no service could be read".to_owned())
    } else {
        Some("the first look has not ended".to_owned())
    };
    let journal = watchtower.journal.standings().await.err().map(|error| error.to_string());
    let checks = [
        Check { name: "look", fault: look },
        Check { name: "journal", fault: journal },
        Check { name: "running", fault: view.stopping.then(|| "certroll is stopping".to_owned()) },
    ];
    answer("ready", &checks, query.as_deref())
}

async fn metrics(Shared(watchtower): Shared<Watchtower>) -> Response {
    let view = watchtower.state.view(watchtower.clock.now());
    let generation = Arc::clone(&watchtower.generations.borrow());
    match watchtower.metrics.render(&view, &generation.azure) {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(error = %error, "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
