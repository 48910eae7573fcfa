//! What `certroll status` shows of what a daemon answers.

use certroll::cli::status::text;
use certroll::cli::terminal::Terminal;
use certroll::status::StatusView;
use certroll::unattended::systemd::status_line;

use super::snapshot;

const NOW: &str = "2026-03-01T12:00:00Z";

/// The answer of a daemon in which every state is met.
fn answer() -> serde_json::Value {
    let id = |name: &str| {
        format!(
            "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/shop/providers/Microsoft.Compute/cloudServices/{name}"
        )
    };
    let served = |leaf: bool, not_after: Option<&str>| {
        serde_json::json!({
            "role": "Web", "name": if leaf { "ShopTls" } else { "Intermediate" },
            "thumbprint": if leaf { "AA".repeat(20) } else { "BB".repeat(20) },
            "leaf": leaf, "not_after": not_after,
        })
    };
    let service = |name: &str, state: &str, why: &[&str], more: serde_json::Value| {
        let mut service = serde_json::json!({
            "service": id(name), "mode": "auto", "stage": 1, "state": state, "why": why,
            "until": null, "plan": null, "paused": null, "rollout": null,
            "serves": [served(false, Some("2026-03-11T00:00:00Z")), served(true, Some("2026-04-30T00:00:00Z"))],
        });
        service.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        service
    };
    let nothing = || serde_json::json!({});
    serde_json::json!({
        "format": 1, "version": "0.1.0", "pid": 4711, "since": "2026-02-01T00:00:00Z", "cloud": "china",
        "stopping": false, "paused": null, "looking": null, "last_look": "2026-03-01T11:58:30Z",
        "next_look": "2026-03-01T12:03:30Z", "configured": "2026-02-01T00:00:00Z", "refused_configuration": null,
        "services": [
            service("bank", "current", &[], nothing()),
            service("blog", "running", &["waits for the operation, 3 min so far"], serde_json::json!({
                "rollout": { "rollout": "20260301T115500Z-0a1b2c3d", "since": "2026-03-01T11:55:00Z",
                    "step": "the change was accepted", "waits": "waits for the operation, 3 min so far" },
            })),
            service("cash", "waiting", &["a person has to approve it"], serde_json::json!({
                "mode": "approve", "plan": "3f0a".repeat(16),
            })),
            service("desk", "waiting", &["its window opens later"], serde_json::json!({
                "until": "2026-03-02T02:00:00Z",
            })),
            service("farm", "blocked", &["names: `www.farm.test` would be lost", "chain: the issuer is missing"], nothing()),
            service("game", "unreadable", &["reading cloud service `game`: a permission is missing (403)"], serde_json::json!({
                "serves": [],
            })),
            service("home", "planned", &["changes `ShopTls`"], serde_json::json!({
                "paused": { "since": "2026-03-01T11:00:00Z", "until": "2026-03-01T13:00:00Z", "reason": "sale" },
            })),
            service("idea", "unknown", &["it was not looked at yet"], serde_json::json!({
                "serves": [served(false, None)],
            })),
        ],
        "vaults": [
            { "vault": "shop-kv", "last_read": "2026-03-01T11:58:30Z", "fault": null, "last_event": null },
            { "vault": "farm-kv", "last_read": "2026-02-28T12:00:00Z", "fault": "no connection", "last_event": null },
        ],
    })
}

fn view(answer: serde_json::Value) -> StatusView {
    serde_json::from_value(answer).unwrap()
}

fn shown(answer: serde_json::Value, whole: bool, width: Option<usize>) -> String {
    text(&view(answer), whole, NOW.parse().unwrap(), &Terminal::plain(width))
}

#[test]
fn every_state_at_a_glance() {
    snapshot!("status_every_state", shown(answer(), false, Some(100)));
    snapshot!("status_line", status_line(&view(answer())));
}

#[test]
fn a_service_with_everything_that_is_known_of_it() {
    for name in ["blog", "cash", "farm", "home"] {
        let mut answer = answer();
        answer["services"]
            .as_array_mut()
            .unwrap()
            .retain(|service| service["service"].as_str().unwrap().ends_with(name));
        snapshot!(format!("status_of_{name}"), shown(answer, true, None));
    }
}

#[test]
fn what_concerns_everything_stands_above() {
    let mut answer = answer();
    answer["services"] = serde_json::json!([]);
    answer["stopping"] = true.into();
    answer["looking"] = "2026-03-01T11:59:50Z".into();
    answer["paused"] = serde_json::json!({ "since": "2026-03-01T11:00:00Z", "until": null, "reason": null });
    answer["refused_configuration"] = "error: `poll.every`: `never` is no duration".into();
    snapshot!("status_exceptions", shown(answer.clone(), false, None));
    let lines = |answer: &serde_json::Value| status_line(&view(answer.clone()));
    assert_eq!(lines(&answer), "stopping at the next safe point");
    answer["stopping"] = false.into();
    assert_eq!(lines(&answer), "no service is configured; paused; the last configuration was refused");
    let mut early = self::answer();
    early["last_look"] = serde_json::Value::Null;
    assert!(lines(&early).starts_with("making its first look; first certificate ends 2026-03-11"));
}
