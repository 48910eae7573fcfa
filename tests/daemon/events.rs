//! What the daemon makes of events that the simulated Event Grid delivers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use certroll_simulator::entra::{DeliveryToken, TokenVersion};
use certroll_simulator::publisher::{Schema, SubscriptionRequest};
use certroll_simulator::scenario::{self, shop};

use crate::support::daemon::Daemon;
use crate::support::live::{Live, shop_with_a_secret_setting};

/// No poll comes while a test runs.
const SELDOM: &str = "[poll]\nevery = \"12h\"\njitter = \"0s\"\n[plan]\nsettle = \"0s\"\n";
const SECRET: &str = "6f1d0a0c9b7e4c1f8a2d3e4b5c6d7e8f";
const AUDIENCE: &str = "api://certroll";

fn endpoint(url: &str) -> url::Url {
    url.parse().unwrap()
}

fn free_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A daemon that hears of events, and the address where it does.
async fn listening(events: &str) -> (Live, shop::Shop, Daemon, SocketAddr) {
    let (cloud, shop) = shop_with_a_secret_setting();
    let address = free_port();
    let sections = format!("{SELDOM}[events]\nlisten = \"{address}\"\n{events}");
    let live = Live::start_with(cloud, &sections, "").await;
    live.place.file("event-secret", SECRET);
    let daemon = tokio::task::block_in_place(|| {
        let mut daemon = Daemon::start(&live);
        daemon.hear_status("1 current");
        daemon
    });
    (live, shop, daemon, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_makes_a_new_version_served_long_before_the_next_poll() {
    for schema in [Schema::EventGrid, Schema::CloudEvents] {
        let (live, mut shop, mut daemon, address) =
            listening("[events.shared_secret]\nsecret_file = \"event-secret\"\nquery = \"code\"\n").await;
        let courier = live.simulator.publisher();
        let url = |secret: &str| endpoint(&format!("http://{address}/events?code={secret}"));
        let wrong = SubscriptionRequest::new("wrong", shop::VAULT, url("0123456789abcdef0123456789abcdef"));
        assert!(courier.subscribe(wrong.schema(schema)).await.is_err(), "the secret is wrong");
        let right = SubscriptionRequest::new("shop-events", shop::VAULT, url(SECRET)).schema(schema);
        courier.subscribe(right).await.unwrap();
        live.simulator.with(|cloud| shop.renew_leaf(cloud));
        tokio::task::block_in_place(|| {
            daemon.hear_log("vaults told of changes");
            daemon.hear_log("a rollout has ended");
            daemon.hear_status("1 current");
            assert_eq!(live.puts(), 1);
            assert_eq!(daemon.stop(), Some(0));
            assert!(!daemon.logged.iter().any(|line| line.contains(SECRET)), "the secret was logged");
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_both_versions_are_believed_by_the_keys_that_entra_publishes() {
    for version in [TokenVersion::One, TokenVersion::Two] {
        let entra = format!(
            "[events.entra]\ntenant_id = \"{}\"\naudiences = [\"{AUDIENCE}\"]\napplication_id = \"{}\"\n",
            scenario::TENANT,
            shop_with_a_secret_setting().0.entra.event_grid_application,
        );
        let (live, mut shop, mut daemon, address) = listening(&entra).await;
        let courier = live.simulator.publisher();
        let request = |name: &str, token: Option<DeliveryToken>| {
            let request =
                SubscriptionRequest::new(name, shop::VAULT, endpoint(&format!("http://{address}/events")));
            token.into_iter().fold(request, SubscriptionRequest::token)
        };
        assert!(courier.subscribe(request("nobody", None)).await.is_err(), "a token is missing");
        let token = DeliveryToken::new(version, scenario::TENANT, AUDIENCE);
        courier.subscribe(request("shop-events", Some(token))).await.unwrap();
        live.simulator.with(|cloud| shop.renew_leaf(cloud));
        tokio::task::block_in_place(|| {
            daemon.hear_log("a rollout has ended");
            daemon.hear_status("1 current");
            assert_eq!(live.puts(), 1);
            assert_eq!(daemon.stop(), Some(0));
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_changed_by_a_reload_while_the_old_one_is_still_believed() {
    let events = "[events.shared_secret]\nsecret_file = \"event-secret\"\nheader = \"x-certroll\"\n";
    let (live, _, mut daemon, address) = listening(events).await;
    let courier = live.simulator.publisher();
    let request = |name: &str, secret: &str| {
        let url = endpoint(&format!("http://{address}/events"));
        SubscriptionRequest::new(name, shop::VAULT, url).header("x-certroll", secret)
    };
    let next = "c0ffee00c0ffee00c0ffee00c0ffee00";
    assert!(courier.subscribe(request("early", next)).await.is_err());
    live.place.file("event-secret", next);
    live.place.file("event-secret-before", SECRET);
    let main = std::fs::read_to_string(live.place.path().join("certroll.toml")).unwrap();
    let both = main.replace(events, &format!("{events}previous_secret_file = \"event-secret-before\"\n"));
    live.place.file("certroll.toml", both);
    tokio::task::block_in_place(|| {
        daemon.signal("HUP");
        let line = daemon.hear_log("the configuration changed");
        assert!(line.contains("[events]"), "{line}");
    });
    courier.subscribe(request("new", next)).await.unwrap();
    courier.subscribe(request("old", SECRET)).await.unwrap();
    tokio::task::block_in_place(|| {
        assert_eq!(daemon.stop(), Some(0));
        assert!(!daemon.logged.iter().any(|line| line.contains(SECRET) || line.contains(next)));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_webhook_loses_nothing_but_time() {
    let (live, mut shop, mut daemon, address) =
        listening("[events.shared_secret]\nsecret_file = \"event-secret\"\nquery = \"code\"\n").await;
    let courier = live.simulator.publisher();
    let url = endpoint(&format!("http://{address}/events?code={SECRET}"));
    courier.subscribe(SubscriptionRequest::new("shop-events", shop::VAULT, url)).await.unwrap();
    live.simulator.with(|cloud| {
        cloud.publisher.disturbances.gap = certroll_simulator::publisher::switches::Gap::Present;
        shop.renew(cloud);
    });
    tokio::task::block_in_place(|| {
        // The poll of the schedule, which a person brings forward here.
        assert_eq!(live.run(&["activate"]).code, 0);
        daemon.hear_log("a rollout has ended");
        daemon.hear_status("1 current");
        assert_eq!(live.puts(), 1);
        assert!(!daemon.log().iter().any(|line| line.contains("vaults told of changes")));
        assert_eq!(daemon.stop(), Some(0));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_an_unchanged_world_costs_a_call_an_object_and_one_a_service() {
    let (live, _, mut daemon, _) =
        listening("[events.shared_secret]\nsecret_file = \"event-secret\"\nquery = \"code\"\n").await;
    tokio::task::block_in_place(|| {
        let last_look = || {
            let ran = live.run(&["status", "--json"]);
            let status: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
            status["last_look"].as_str().unwrap().to_owned()
        };
        let (before, calls) = (last_look(), live.simulator.ledger().len());
        assert_eq!(live.run(&["activate"]).code, 0);
        while last_look() == before {}
        let ledger = live.simulator.ledger();
        let made: Vec<String> = ledger.exchanges().skip(calls).map(|one| one.path().to_owned()).collect();
        // The leaf's certificate, the versions of intermediate and root, the service; no token is asked for again.
        assert_eq!(made.len(), 4, "{made:#?}");
        assert_eq!(daemon.stop(), Some(0));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_deliveries_make_a_look_a_second_and_no_more() {
    let (live, _, mut daemon, address) =
        listening("[events.shared_secret]\nsecret_file = \"event-secret\"\nquery = \"code\"\n").await;
    tokio::task::block_in_place(|| {
        let service = format!("/cloudservices/{}", shop::SERVICE.to_ascii_lowercase());
        let looks = || {
            let ledger = live.simulator.ledger();
            ledger
                .exchanges()
                .filter(|exchange| exchange.path().to_ascii_lowercase().ends_with(&service))
                .count()
        };
        let (before, begun) = (looks(), std::time::Instant::now());
        for _ in 0..300 {
            assert!(delivered(address).starts_with("HTTP/1.1 200 "));
        }
        // What still waits for its second is taken along by a look that nothing holds up.
        assert_eq!(live.run(&["activate"]).code, 0);
        while looks() == before {}
        let (looks, seconds) = (looks() - before, begun.elapsed().as_secs());
        // One at once, one for each second that began, and that of the person.
        assert!(looks as u64 <= seconds + 3, "{looks} looks in {seconds} s");
        assert_eq!(daemon.stop(), Some(0));
    });
}

/// Delivers an event of the shop's vault, and gives the answer.
fn delivered(address: SocketAddr) -> String {
    let event = serde_json::json!([{
        "id": "1", "topic": "/subscriptions/s", "subject": shop::LEAF, "eventTime": "2026-01-01T00:00:00Z",
        "eventType": "Microsoft.KeyVault.CertificateNewVersionCreated", "dataVersion": "1",
        "metadataVersion": "1",
        "data": { "Id": "", "VaultName": shop::VAULT, "ObjectType": "Certificate", "ObjectName": shop::LEAF },
    }]);
    let body = event.to_string();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /events?code={SECRET} HTTP/1.1\r\nHost: certroll\r\nConnection: close\r\naeg-event-type: Notification\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
