//! Every metric, with its help. Names end in their base unit or in `_total`; times are Unix seconds, so that an alert
//! takes the difference to `time()`. Labels have few values: no version, no URL, no rollout.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use certroll_azure::Azure;
use certroll_core::rollout::{Ending, Rollout};
use jiff::Timestamp;
use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts,
    Registry, TextEncoder, core::Collector,
};
use thiserror::Error;

use crate::status::{ServiceWord, StatusView};

/// The format that is written: the one that every Prometheus reads.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Buckets of durations of rollouts, in seconds: a minute to the longest that Azure allows.
const ROLLOUT_SECONDS: [f64; 10] =
    [60.0, 180.0, 300.0, 600.0, 1200.0, 2400.0, 3600.0, 7200.0, 14_400.0, 43_200.0];
/// Buckets from first sight to verified, in seconds: windows and approvals make it days.
const SEEN_SECONDS: [f64; 9] =
    [120.0, 300.0, 900.0, 1800.0, 3600.0, 14_400.0, 43_200.0, 172_800.0, 604_800.0];
/// Buckets of looks, in seconds.
const LOOK_SECONDS: [f64; 8] = [0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

/// Names and helps: the table of the documentation is made from this.
pub const METRICS: [(&str, &str, &str); 21] = [
    ("certroll_build_info", "gauge", "Always 1; the version that runs is its label."),
    ("certroll_start_timestamp_seconds", "gauge", "When the process started."),
    (
        "certroll_certificate_not_after_timestamp_seconds",
        "gauge",
        "When a certificate ends that a service serves.",
    ),
    (
        "certroll_certificate_not_before_timestamp_seconds",
        "gauge",
        "When a certificate began that a service serves: with its end, how much of its life is left.",
    ),
    ("certroll_services", "gauge", "Services by how they stand."),
    ("certroll_paused", "gauge", "1 where a person keeps changes of a service from beginning."),
    ("certroll_last_look_timestamp_seconds", "gauge", "When the last look ended."),
    ("certroll_next_look_timestamp_seconds", "gauge", "When the schedule looks next."),
    (
        "certroll_vault_last_read_timestamp_seconds",
        "gauge",
        "When everything that is followed in a vault could last be read.",
    ),
    (
        "certroll_vault_last_event_timestamp_seconds",
        "gauge",
        "When a vault last told of a change by an event.",
    ),
    (
        "certroll_configuration_refused",
        "gauge",
        "1 where a newer configuration was refused and an older one is in force.",
    ),
    ("certroll_look_duration_seconds", "histogram", "How long looks took."),
    ("certroll_looks_total", "counter", "Looks by the reasons for them; one look may have several."),
    ("certroll_rollout_duration_seconds", "histogram", "How long rollouts took, by their ending."),
    (
        "certroll_seen_to_verified_seconds",
        "histogram",
        "From the first sight of the newest version of a change to its verified ending.",
    ),
    ("certroll_rollouts_not_begun_total", "counter", "Planned changes that could not be begun."),
    (
        "certroll_api_calls_total",
        "counter",
        "Calls to Azure by what was asked and how it ended; every attempt counts.",
    ),
    ("certroll_api_quota_remaining", "gauge", "Calls that Resource Manager last said are left of a limit."),
    ("certroll_event_deliveries_total", "counter", "Deliveries of Event Grid by how they were answered."),
    ("certroll_event_gaps_total", "counter", "New versions that polling found and no event told of."),
    ("certroll_process_resident_memory_bytes", "gauge", "Resident memory of the process."),
];

/// Why metrics cannot be made: a fault of this file, which the first start shows.
#[derive(Debug, Error)]
pub enum MetricsError {
    /// A name that is used and not in [`METRICS`].
    #[error("the metric `{0}` is not in the table")]
    Unknown(String),
    /// What the library refuses.
    #[error(transparent)]
    Library(#[from] prometheus::Error),
}

/// Every metric of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    build_info: IntGaugeVec,
    start: GaugeVec,
    not_after: GaugeVec,
    not_before: GaugeVec,
    services: IntGaugeVec,
    paused: IntGaugeVec,
    last_look: GaugeVec,
    next_look: GaugeVec,
    last_read: GaugeVec,
    last_event: GaugeVec,
    configuration_refused: IntGaugeVec,
    look_seconds: Histogram,
    looks: IntCounterVec,
    rollout_seconds: HistogramVec,
    seen_seconds: Histogram,
    not_begun: IntCounter,
    api_calls: IntCounterVec,
    api_quota: GaugeVec,
    deliveries: IntCounterVec,
    gaps: IntCounterVec,
    resident: GaugeVec,
    /// Held while gauges are set and read, so that two readers at once do not count calls twice.
    reading: Mutex<()>,
}

fn opts(name: &str) -> Result<Opts, MetricsError> {
    let known = METRICS.iter().find(|(known, ..)| *known == name);
    let (name, _, help) = known.ok_or_else(|| MetricsError::Unknown(name.to_owned()))?;
    Ok(Opts::new(*name, *help))
}

impl Metrics {
    /// All of them, at nothing.
    ///
    /// # Errors
    /// A name is used twice or is not in [`METRICS`].
    pub fn new() -> Result<Self, MetricsError> {
        let registry = Registry::new();
        fn kept<C: Collector + Clone + 'static>(registry: &Registry, made: C) -> Result<C, MetricsError> {
            registry.register(Box::new(made.clone()))?;
            Ok(made)
        }
        let gauge = |name: &str, labels: &[&str]| kept(&registry, GaugeVec::new(opts(name)?, labels)?);
        let whole = |name: &str, labels: &[&str]| kept(&registry, IntGaugeVec::new(opts(name)?, labels)?);
        let counter = |name: &str, labels: &[&str]| kept(&registry, IntCounterVec::new(opts(name)?, labels)?);
        let histogram = |name: &str, buckets: &[f64]| {
            let opts = HistogramOpts::from(opts(name)?).buckets(buckets.to_vec());
            kept(&registry, Histogram::with_opts(opts)?)
        };
        Ok(Self {
            build_info: whole("certroll_build_info", &["version"])?,
            start: gauge("certroll_start_timestamp_seconds", &[])?,
            not_after: gauge(
                "certroll_certificate_not_after_timestamp_seconds",
                &["service", "role", "certificate"],
            )?,
            not_before: gauge(
                "certroll_certificate_not_before_timestamp_seconds",
                &["service", "role", "certificate"],
            )?,
            services: whole("certroll_services", &["state"])?,
            paused: whole("certroll_paused", &["service"])?,
            last_look: gauge("certroll_last_look_timestamp_seconds", &[])?,
            next_look: gauge("certroll_next_look_timestamp_seconds", &[])?,
            last_read: gauge("certroll_vault_last_read_timestamp_seconds", &["vault"])?,
            last_event: gauge("certroll_vault_last_event_timestamp_seconds", &["vault"])?,
            configuration_refused: whole("certroll_configuration_refused", &[])?,
            look_seconds: histogram("certroll_look_duration_seconds", &LOOK_SECONDS)?,
            looks: counter("certroll_looks_total", &["reason"])?,
            rollout_seconds: kept(
                &registry,
                HistogramVec::new(
                    HistogramOpts::from(opts("certroll_rollout_duration_seconds")?)
                        .buckets(ROLLOUT_SECONDS.to_vec()),
                    &["ending"],
                )?,
            )?,
            seen_seconds: histogram("certroll_seen_to_verified_seconds", &SEEN_SECONDS)?,
            not_begun: kept(&registry, IntCounter::with_opts(opts("certroll_rollouts_not_begun_total")?)?)?,
            api_calls: counter("certroll_api_calls_total", &["operation", "outcome"])?,
            api_quota: gauge("certroll_api_quota_remaining", &["subscription", "limit"])?,
            deliveries: counter("certroll_event_deliveries_total", &["answer"])?,
            gaps: counter("certroll_event_gaps_total", &["vault"])?,
            resident: gauge("certroll_process_resident_memory_bytes", &[])?,
            registry,
            reading: Mutex::new(()),
        })
    }

    /// A look has ended.
    pub fn looked<'a>(&self, reasons: impl Iterator<Item = &'a str>, took: Duration) {
        self.look_seconds.observe(took.as_secs_f64());
        // Events of several vaults are one reason here.
        for reason in reasons.collect::<BTreeSet<_>>() {
            self.looks.with_label_values(&[reason]).inc();
        }
    }

    /// A rollout has ended.
    pub fn ended(&self, rollout: &Rollout, ending: &Ending, first_seen: Option<Timestamp>, now: Timestamp) {
        let since = |time: Timestamp| now.duration_since(time).as_secs_f64().max(0.0);
        self.rollout_seconds.with_label_values(&[ending.word()]).observe(since(rollout.opened()));
        if let (Ending::Verified, Some(first_seen)) = (ending, first_seen) {
            self.seen_seconds.observe(since(first_seen));
        }
    }

    /// A planned change could not be begun.
    pub fn not_begun(&self) {
        self.not_begun.inc();
    }

    /// A delivery was answered.
    pub fn delivered(&self, answer: &str) {
        self.deliveries.with_label_values(&[answer]).inc();
    }

    /// An event did not come.
    pub fn gap(&self, vault: &str) {
        self.gaps.with_label_values(&[vault]).inc();
    }

    /// Everything as text, with what the daemon and its clients know now.
    ///
    /// # Errors
    /// The library refuses.
    pub fn render(&self, view: &StatusView, azure: &Azure) -> Result<Vec<u8>, MetricsError> {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        self.take(view);
        self.api_calls.reset();
        for calls in azure.calls() {
            let labels = [calls.operation.name(), calls.outcome.name()];
            self.api_calls.with_label_values(&labels).inc_by(calls.count);
        }
        self.api_quota.reset();
        for quota in azure.quota() {
            self.api_quota
                .with_label_values(&[&quota.subscription, &quota.limit])
                .set(precise(quota.remaining));
        }
        if let Some(bytes) = resident() {
            self.resident.with_label_values::<&str>(&[]).set(precise(bytes));
        }
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    fn take(&self, view: &StatusView) {
        let seconds = |time: Timestamp| time.as_duration().as_secs_f64();
        let set = |gauge: &GaugeVec, labels: &[&str], time: Option<Timestamp>| {
            if let Some(time) = time {
                gauge.with_label_values(labels).set(seconds(time));
            }
        };
        self.build_info.with_label_values(&[&view.version]).set(1);
        set(&self.start, &[], Some(view.since));
        set(&self.last_look, &[], view.last_look);
        set(&self.next_look, &[], view.next_look);
        self.configuration_refused
            .with_label_values::<&str>(&[])
            .set(i64::from(view.refused_configuration.is_some()));
        // What is gone must not be told for ever.
        self.not_after.reset();
        self.not_before.reset();
        self.paused.reset();
        for service in &view.services {
            let id = service.service.to_string();
            let paused = view.paused.is_some() || service.paused.is_some();
            self.paused.with_label_values(&[&id]).set(i64::from(paused));
            for served in &service.serves {
                let labels: [&str; 3] = [&id, &served.role, &served.name];
                set(&self.not_after, &labels, served.not_after);
                set(&self.not_before, &labels, served.not_before);
            }
        }
        for word in ServiceWord::ALL {
            let count = view.services.iter().filter(|service| service.state == word).count();
            self.services.with_label_values(&[word.word()]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.last_read.reset();
        self.last_event.reset();
        for vault in &view.vaults {
            set(&self.last_read, &[vault.vault.as_str()], vault.last_read);
            set(&self.last_event, &[vault.vault.as_str()], vault.last_event);
        }
    }
}

/// A count as the library has it: exact up to 2^53, which no count here comes near.
#[expect(clippy::cast_precision_loss, reason = "argued above")]
fn precise(count: u64) -> f64 {
    count as f64
}

/// Resident memory in bytes, where the system tells.
pub fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
