//! Prometheus' own linter on what `/metrics` answers.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use certroll::adapters::SystemClock;
use certroll::status::{FORMAT, ServedView, ServiceView, ServiceWord, StatusView, VaultView};
use certroll::telemetry::metrics::Metrics;
use certroll_azure::{Azure, AzureOptions};
use certroll_core::cloud::AzureCloud;
use certroll_core::policy::Mode;
use jiff::Timestamp;

/// A service and a vault of which everything is known.
fn view(now: Timestamp) -> StatusView {
    let id = "/subscriptions/5f2b7c90-8d41-4a3c-b6e7-91c0d4f8a2e6/resourceGroups/shop/providers/Microsoft.Compute/cloudServices/shop";
    let served = ServedView {
        role: "Web".to_owned(),
        name: "ShopTls".to_owned(),
        thumbprint: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
        leaf: Some(true),
        not_after: Some(now),
        not_before: None,
    };
    StatusView {
        format: FORMAT,
        version: "1.0.0".to_owned(),
        pid: 1,
        since: now,
        cloud: "public".to_owned(),
        stopping: false,
        paused: None,
        looking: None,
        last_look: Some(now),
        next_look: Some(now),
        configured: now,
        refused_configuration: None,
        services: vec![ServiceView {
            service: id.parse().unwrap(),
            mode: Mode::Auto,
            stage: 0,
            state: ServiceWord::Current,
            why: Vec::new(),
            until: None,
            plan: None,
            paused: None,
            rollout: None,
            serves: vec![served],
        }],
        vaults: vec![VaultView {
            vault: "shop-kv".parse().unwrap(),
            last_read: Some(now),
            fault: None,
            last_event: Some(now),
        }],
    }
}

#[test]
#[ignore = "needs promtool, of Debian's package prometheus"]
fn the_linter_of_prometheus_has_nothing_to_say() {
    let azure = Azure::new(&AzureOptions::new(AzureCloud::public(), Arc::new(SystemClock))).unwrap();
    let metrics = Metrics::new().unwrap();
    metrics.looked(["start", "event"].into_iter(), Duration::from_millis(80));
    metrics.delivered("activated");
    metrics.gap("shop-kv");
    metrics.not_begun();
    let text = metrics.render(&view(Timestamp::now()), &azure).unwrap();
    assert!(String::from_utf8_lossy(&text).contains("certroll_certificate_not_after_timestamp_seconds{"));
    let mut linter = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool; install the Debian package prometheus");
    linter.stdin.take().unwrap().write_all(&text).unwrap();
    let said = linter.wait_with_output().unwrap();
    let words = [said.stdout, said.stderr].concat();
    assert!(said.status.success() && words.is_empty(), "{}", String::from_utf8_lossy(&words));
}
