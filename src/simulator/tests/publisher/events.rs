use std::collections::BTreeMap;
use std::time::Duration;

use certroll_simulator::cloud::Outcome;
use certroll_simulator::message::Request;
use certroll_simulator::publisher::Schema;
use certroll_simulator::publisher::switches::{
    Blanks, ClosedVault, EarlierVersions, EventTime, Gap, Members, NearExpiry, Renewal, SubscriptionName,
    Switches, Validity,
};
use certroll_simulator::scenario::{CLIENT_ID, OBJECT_ID, TENANT, shop};
use certroll_simulator::vault::{Access, Kind, Permission};
use serde_json::{Value, json};

use super::{SECRET, Stage, counted};

#[tokio::test]
async fn a_renewal_is_told_as_certificate_key_and_secret() {
    let mut stage = Stage::subscribed().await;
    stage.renew();
    let deliveries = stage.publisher().deliver_due().await;
    let types: Vec<String> = deliveries.iter().map(|one| one.event.event_type()).collect();
    assert_eq!(
        types,
        [
            "Microsoft.KeyVault.CertificateNewVersionCreated",
            "Microsoft.KeyVault.KeyNewVersionCreated",
            "Microsoft.KeyVault.SecretNewVersionCreated",
        ]
    );
    let arrived = stage.receiver.take();
    assert_eq!(arrived.len(), 3);
    let version = stage.shop.stored_leaf.version.clone();
    let resource = stage.simulator.with(|cloud| cloud.vault(shop::VAULT).unwrap().resource_id());
    let words = [("certificates", "Certificate"), ("keys", "Key"), ("secrets", "Secret")];
    for ((one, delivery), (collection, word)) in arrived.iter().zip(&deliveries).zip(words) {
        assert_eq!(
            one.json(),
            json!([{
                "id": delivery.event.id,
                "topic": resource,
                "subject": "shop-tls",
                "eventType": format!("Microsoft.KeyVault.{word}NewVersionCreated"),
                "data": {
                    "Id": format!("https://shop-kv.vault.azure.cn/{collection}/shop-tls/{version}"),
                    "VaultName": "shop-kv",
                    "ObjectType": word,
                    "ObjectName": "shop-tls",
                    "Version": version,
                    "NBF": null,
                    "EXP": null,
                },
                "dataVersion": "1",
                "metadataVersion": "1",
                "eventTime": "2026-11-23T12:00:00.0000000Z",
            }])
        );
        assert_eq!(one.header("aeg-event-type"), Some("Notification"));
        assert_eq!(one.header("aeg-subscription-name"), Some("SHOP-EVENTS"));
        assert_eq!(one.header("aeg-delivery-count"), Some("0"));
        assert_eq!(one.header("aeg-data-version"), Some("1"));
        assert_eq!(one.header("aeg-metadata-version"), Some("1"));
        assert_eq!(one.header("aeg-output-event-id"), Some(delivery.event.id.as_str()));
        assert_eq!(one.header("content-type"), Some("application/json; charset=utf-8"));
        assert_eq!(one.header("accept"), None);
    }
}

#[tokio::test]
async fn cloud_events_are_one_object_with_their_own_headers() {
    let stage = Stage::subscribed_as(|request| request.schema(Schema::CloudEvents)).await;
    let version = stage.secrets(1).remove(0);
    let deliveries = stage.publisher().deliver_due().await;
    let [one] = &stage.receiver.take()[..] else { panic!("one request") };
    let mut body = one.json();
    assert_eq!(
        body["data"].take()["Id"],
        format!("https://shop-kv.vault.azure.cn/secrets/{SECRET}/{version}")
    );
    assert_eq!(
        body,
        json!({
            "id": deliveries[0].event.id,
            "source": deliveries[0].event.topic,
            "subject": SECRET,
            "type": "Microsoft.KeyVault.SecretNewVersionCreated",
            "specversion": "1.0",
            "time": "2026-11-23T12:00:01.0000000Z",
            "data": null,
        })
    );
    assert_eq!(one.header("content-type"), Some("application/cloudevents+json; charset=utf-8"));
    assert_eq!(one.header("webhook-request-origin"), Some("eventgrid.azure.cn"));
    assert_eq!(one.header("aeg-data-version"), None);
}

/// `data`, `eventTime` and name of the one event under these readings.
async fn written(switches: Switches) -> (Value, String, String) {
    let stage = Stage::subscribed().await;
    stage.simulator.with(|cloud| cloud.publisher.switches = switches);
    stage.secret_until(100);
    stage.publisher().deliver_due().await;
    let [one] = &stage.receiver.take()[..] else { panic!("one request") };
    let body = one.json();
    let name = one.header("aeg-subscription-name").unwrap().to_owned();
    (body[0]["data"].clone(), body[0]["eventTime"].as_str().unwrap().to_owned(), name)
}

#[tokio::test]
async fn events_are_written_as_the_switches_say() {
    let documented = Switches::documented();
    let (data, time, name) = written(Switches {
        members: Members::Camel,
        validity: Validity::Number,
        event_time: EventTime::WholeSeconds,
        subscription_name: SubscriptionName::AsGiven,
        ..documented
    })
    .await;
    assert_eq!((time.as_str(), name.as_str()), ("2026-11-23T12:00:00Z", "Shop-Events"));
    assert_eq!((&data["vaultName"], &data["objectName"]), (&json!("shop-kv"), &json!(SECRET)));
    assert_eq!((&data["nbf"], &data["exp"]), (&json!(null), &json!(1_804_075_200.0)));
    assert!(data["exp"].is_f64());

    let (data, ..) =
        written(Switches { validity: Validity::Text, blanks: Blanks::Stray, ..documented }).await;
    assert_eq!((&data["ObjectName "], &data["EXP"]), (&json!(SECRET), &json!("1804075200")));
    let version = data["Version"].as_str().unwrap();
    assert!(version.starts_with(' ') && version.len() == 33, "{version:?}");
}

#[tokio::test]
async fn a_renewal_may_be_told_by_the_certificate_alone() {
    let mut stage = Stage::subscribed().await;
    stage.simulator.with(|cloud| cloud.publisher.switches.renewal = Renewal::CertificateAlone);
    stage.renew();
    assert_eq!(stage.types().await, counted(&[("CertificateNewVersionCreated", 1)]));
}

#[tokio::test]
async fn only_new_versions_are_told_and_only_to_who_asked() {
    let mut stage = Stage::new().await;
    stage.renew();
    let mut request = stage.request();
    request.event_types = vec!["microsoft.keyvault.secretnewversioncreated".to_owned()];
    stage.publisher().subscribe(request).await.unwrap();
    assert_eq!(stage.types().await, BTreeMap::new(), "nothing is replayed");
    let version = stage.secrets(1).remove(0);
    stage.renew();
    assert_eq!(stage.types().await, counted(&[("SecretNewVersionCreated", 2)]));
    stage.simulator.with(|cloud| {
        let now = cloud.now();
        let vault = cloud.vault_mut(shop::VAULT).unwrap();
        vault.set_enabled(Kind::Secret, SECRET, &version, false, now);
        vault.set_enabled(Kind::Secret, SECRET, &version, true, now);
        vault.set_tag(Kind::Secret, SECRET, &version, ("owner", "shop"), now);
        vault.delete(SECRET);
        vault.recover(SECRET);
    });
    assert_eq!(stage.types().await, BTreeMap::new());
}

#[tokio::test]
async fn a_secret_that_a_client_sets_is_told() {
    let stage = Stage::subscribed().await;
    let outcome = stage.simulator.with(|cloud| {
        let caller = certroll_simulator::entra::Caller {
            object_id: OBJECT_ID.to_owned(),
            app_id: CLIENT_ID.to_owned(),
            tenant: TENANT.to_owned(),
        };
        let now = cloud.now();
        let token = cloud.entra.issue(&caller, "https://vault.azure.cn", now, 3600);
        cloud.answer(&Request {
            method: "PUT".to_owned(),
            url: format!("https://shop-kv.vault.azure.cn/secrets/{SECRET}?api-version=7.4").parse().unwrap(),
            headers: vec![("authorization".to_owned(), format!("Bearer {token}"))],
            body: json!({ "value": "sesame" }).to_string().into_bytes(),
        })
    });
    assert!(matches!(outcome, Outcome::Answered(reply) if reply.status == 200));
    assert_eq!(stage.types().await, counted(&[("SecretNewVersionCreated", 1)]));
}

#[tokio::test]
async fn an_expiry_is_told_thirty_days_before_and_when_it_comes() {
    let stage = Stage::subscribed().await;
    stage.secret_until(31);
    assert_eq!(stage.types().await, counted(&[("SecretNewVersionCreated", 1)]));
    stage.pass(1);
    assert_eq!(stage.types().await, counted(&[("SecretNearExpiry", 1)]));
    stage.pass(1);
    assert_eq!(stage.types().await, BTreeMap::new(), "once");
    stage.pass(28);
    assert_eq!(stage.types().await, BTreeMap::new(), "the shop's old leaf has expired, but is older");
    stage.pass(1);
    assert_eq!(stage.types().await, counted(&[("SecretExpired", 1)]));
}

#[tokio::test]
async fn a_superseded_version_does_not_expire_and_older_ones_or_repeats_may_be_told() {
    let mut stage = Stage::subscribed().await;
    stage.simulator.with(|cloud| {
        cloud.publisher.switches.earlier_versions = EarlierVersions::Told;
        cloud.publisher.switches.near_expiry = NearExpiry::Daily;
    });
    stage.secret_until(31);
    stage.secret_until(60);
    stage.types().await;
    stage.pass(1);
    let leaf = [("CertificateNearExpiry", 1), ("SecretNearExpiry", 1)];
    assert_eq!(
        stage.types().await,
        counted(&leaf),
        "the leaf ended twelve days after the start, near since before"
    );
    stage.pass(1);
    assert_eq!(stage.types().await, counted(&leaf), "again");
    stage.pass(10);
    let expired = [("CertificateExpired", 1), ("KeyExpired", 1), ("SecretExpired", 1)];
    assert_eq!(stage.types().await, counted(&expired));
    stage.renew();
    stage.types().await;
    stage.pass(1);
    assert_eq!(stage.types().await, BTreeMap::new());
}

#[tokio::test]
async fn a_changed_policy_is_told_and_a_role_assignment_is_not() {
    let stage = Stage::subscribed().await;
    let change = |change: &dyn Fn(&mut Access)| {
        stage.simulator.with(|cloud| change(&mut cloud.vault_mut(shop::VAULT).unwrap().access));
    };
    let told = counted(&[("VaultAccessPolicyChanged", 1)]);
    change(&|access| {
        let (Access::Rbac(grants) | Access::Policies(grants)) = access;
        grants.insert("somebody".to_owned(), Permission::READ.to_vec());
    });
    assert_eq!(stage.types().await, BTreeMap::new());
    change(&|access| *access = Access::Policies(BTreeMap::new()));
    assert_eq!(stage.types().await, told);
    change(&|access| {
        let (Access::Rbac(grants) | Access::Policies(grants)) = access;
        grants.insert("somebody".to_owned(), Permission::READ.to_vec());
    });
    assert_eq!(stage.types().await, told);
    change(&|access| *access = Access::Rbac(BTreeMap::new()));
    assert_eq!(stage.types().await, told);
}

#[tokio::test]
async fn a_closed_vault_or_a_gap_may_tell_nothing() {
    let stage = Stage::subscribed().await;
    stage.simulator.with(|cloud| cloud.vault_mut(shop::VAULT).unwrap().firewall_closed = true);
    stage.secrets(1);
    assert_eq!(stage.types().await.len(), 1);
    stage.simulator.with(|cloud| cloud.publisher.switches.closed_vault = ClosedVault::Silent);
    stage.secrets(1);
    assert_eq!(stage.types().await, BTreeMap::new());
    stage.simulator.with(|cloud| {
        cloud.vault_mut(shop::VAULT).unwrap().firewall_closed = false;
        cloud.publisher.disturbances.gap = Gap::Present;
    });
    stage.secrets(2);
    assert_eq!(stage.types().await, BTreeMap::new());
    stage.simulator.with(|cloud| {
        assert_eq!(cloud.publisher.lost(), 2);
        cloud.publisher.disturbances.gap = Gap::Absent;
    });
    stage.secrets(1);
    assert_eq!(stage.types().await.len(), 1, "what was lost does not come back");
}

#[tokio::test]
async fn an_event_comes_after_the_latency() {
    let stage = Stage::subscribed().await;
    stage.simulator.with(|cloud| cloud.publisher.latency = Duration::from_secs(90));
    stage.secrets(1);
    assert_eq!(stage.types().await, BTreeMap::new());
    stage.simulator.with(|cloud| cloud.advance(Duration::from_secs(90)));
    assert_eq!(stage.types().await.len(), 1);
}
