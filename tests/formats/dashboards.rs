//! Alerts and the dashboard ask for metrics, labels and words that certroll has.

use std::collections::{BTreeMap, BTreeSet};

use certroll::status::ServiceWord;
use certroll::telemetry::metrics::METRICS;
use serde_json::Value;

use crate::support::written::repository;

/// Labels that Prometheus adds, or that stand in a histogram.
const OF_PROMETHEUS: [&str; 3] = ["instance", "job", "le"];

/// The labels of each metric, as `src/daemon/telemetry/metrics.rs` registers them.
fn labels() -> BTreeSet<&'static str> {
    [
        "version",
        "service",
        "role",
        "certificate",
        "state",
        "vault",
        "reason",
        "ending",
        "operation",
        "outcome",
        "subscription",
        "limit",
        "answer",
    ]
    .into()
}

/// Every PromQL expression of the rules and of the dashboard, by where it stands.
fn expressions() -> BTreeMap<String, String> {
    let read = |path: &str| std::fs::read_to_string(repository(path)).unwrap();
    let mut all = BTreeMap::new();
    let rules = read("deploy/monitoring/certroll.rules.yml");
    let mut name = String::new();
    let mut inside = false;
    for line in rules.lines() {
        let text = line.trim();
        if let Some(found) = text.strip_prefix("- alert: ").or_else(|| text.strip_prefix("- record: ")) {
            name = format!("rule {found}");
        }
        // A folded expression goes on until the next key of the rule.
        let begins = text.starts_with("expr:");
        inside = begins || inside && !text.is_empty() && line.starts_with("          ");
        if inside {
            let entry: &mut String = all.entry(name.clone()).or_default();
            entry.push_str(text.trim_start_matches("expr:").trim_start_matches(" >-"));
            entry.push(' ');
        }
    }
    let dashboard: Value = serde_json::from_str(&read("deploy/monitoring/grafana/certroll.json")).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let place = format!("panel {} {}", panel["title"], target["refId"]);
            all.insert(place, target["expr"].as_str().unwrap().to_owned());
        }
    }
    all
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':').filter(|word| !word.is_empty())
}

#[test]
fn every_metric_and_word_is_one_of_certroll() {
    let metrics: BTreeMap<&str, &str> = METRICS.iter().map(|(name, kind, _)| (*name, *kind)).collect();
    let recorded = "certroll:certificate_life_left:ratio";
    let expressions = expressions();
    assert!(expressions.len() > 30, "{}", expressions.len());
    let mut used = BTreeSet::new();
    for (place, text) in &expressions {
        let mut asks = false;
        for word in
            words(text).filter(|word| word.starts_with("certroll") && !text.contains(&format!("\"{word}\"")))
        {
            asks = true;
            if word == recorded {
                continue;
            }
            let parts = ["_bucket", "_count", "_sum"];
            let whole = parts.iter().find_map(|part| {
                let name = word.strip_suffix(part)?;
                (metrics.get(name) == Some(&"histogram")).then_some(name)
            });
            let name = whole.unwrap_or(word);
            assert!(metrics.contains_key(name), "{place}: no metric `{word}`: {text}");
            assert!(whole.is_some() || metrics[name] != "histogram", "{place}: `{word}` is a histogram");
            used.insert(name.to_owned());
        }
        assert!(asks || text.contains("up{"), "{place} asks for nothing: {text}");
        for (label, value) in matchers(text) {
            assert!(
                labels().contains(label.as_str()) || OF_PROMETHEUS.contains(&label.as_str()),
                "{place}: no label `{label}`: {text}"
            );
            let known = match label.as_str() {
                "state" => ServiceWord::ALL.iter().any(|word| word.word() == value),
                "ending" => ["verified", "restored", "stuck", "abandoned"].contains(&value.as_str()),
                _ => true,
            };
            assert!(known, "{place}: no {label} `{value}`: {text}");
        }
    }
    // What nobody draws or is woken by is told by its own name: when the process started, and the last event of a vault.
    let unused: Vec<&str> = metrics.keys().copied().filter(|name| !used.contains(*name)).collect();
    assert_eq!(unused, ["certroll_start_timestamp_seconds", "certroll_vault_last_event_timestamp_seconds"]);
}

/// Pairs of label and value that an expression selects by.
fn matchers(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for selector in text.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
        for part in selector.split(',').filter(|part| part.contains('=')) {
            let (label, value) = part.split_once('=').unwrap();
            found.push((label.trim().to_owned(), value.trim_matches(['~', '"', ' ']).to_owned()));
        }
    }
    found
}

#[test]
fn labels_are_those_of_the_metrics() {
    let code = std::fs::read_to_string(repository("src/daemon/telemetry/metrics.rs")).unwrap();
    for label in labels() {
        assert!(code.contains(&format!("\"{label}\"")), "no metric has the label `{label}`");
    }
}
