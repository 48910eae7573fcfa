//! The main job: a renewed set of certificates reaches the service by one PUT, and nothing else of it changes.

use certroll_core::cscfg::{ServiceConfiguration, differs_beyond_certificates};
use certroll_core::id::Thumbprint;
use certroll_core::plan::Status;
use certroll_core::ports::ProbeEndpoint;
use certroll_core::rollout::Ending;
use certroll_simulator::clock::Pace;
use certroll_simulator::cloud::Cloud;
use certroll_simulator::names::Names;
use certroll_simulator::scenario::ServicePlan;
use certroll_simulator::scenario::shop::{self, Shop};
use certroll_simulator::service::model::Model;
use certroll_simulator::switches::Switches;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::azure::{Azure, renew, shop_service};

/// Members that a PUT never sends: an empty list of extensions would take them away, protected settings come back from
/// no GET, and the rest is read-only or refers to what only the first deployment has.
const NEVER_SENT: [&str; 9] = [
    "extensionProfile",
    "networkProfile",
    "roleProfile",
    "packageUrl",
    "configurationUrl",
    "provisioningState",
    "uniqueId",
    "startCloudService",
    "allowModelOverride",
];

/// What a real service has besides its certificates.
fn furnished(plan: ServicePlan) -> ServicePlan {
    plan.tag("cost centre", "4711").extension(json!({ "name": "RDP", "properties": {
        "publisher": "Microsoft.Windows.Azure.Extensions", "type": "RDP", "typeHandlerVersion": "1.2.1",
        "autoUpgradeMinorVersion": true, "settings": "<PublicConfig><UserName>ops</UserName></PublicConfig>",
        "protectedSettings": "<PrivateConfig><Password>opensesame</Password></PrivateConfig>",
        "rolesAppliedTo": ["*"] } }))
}

fn shop_in(names: Names, location: &str, zone: bool) -> (Cloud, Shop) {
    let change = |plan| if zone { furnished(plan).zone("1") } else { furnished(plan) };
    let (mut cloud, mut shop) = shop::shop_in(names, location, Pace::Stepped, Timestamp::now(), change);
    renew(&mut cloud, &mut shop);
    (cloud, shop)
}

fn model(azure: &Azure) -> Model {
    azure.with(|cloud| cloud.service(shop::SERVICE).unwrap().model.clone())
}

/// Carries the renewed set, and asserts everything that may and must have changed.
async fn carried(cloud: Cloud, shop: &Shop) -> Azure {
    let azure = Azure::start(cloud, |simulator| shop_service(simulator, "")).await;
    let (before, held_before) = (model(&azure), azure.deployed());
    let update = azure.planned().await;
    assert_eq!(update.certificates.len(), 4, "three certificates, one of them in two roles");
    let planned_configuration = update.wanted.configuration.clone();
    assert_eq!(azure.roll_out(update).await, Ending::Verified);

    let after = model(&azure);
    assert_only_thumbprints_differ(&before.configuration, &after.configuration);
    assert_eq!(after.configuration, planned_configuration);
    let rest = |model: Model| Model { configuration: String::new(), secrets: Vec::new(), ..model };
    assert_eq!(rest(after.clone()), rest(before.clone()), "tags, zones, extensions, network, roles, mode");
    let mut urls: Vec<&str> = after.certificate_urls().collect();
    let mut wanted = [&shop.stored_leaf.url, &shop.stored_intermediate.url, &shop.stored_root.url];
    urls.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(urls, wanted);
    assert_eq!(after.secrets.len(), before.secrets.len());
    assert_eq!(after.secrets[0].vault_id, before.secrets[0].vault_id);

    let held = azure.deployed().held;
    assert_eq!(held.len(), held_before.held.len());
    for (instance, name, thumbprint) in held {
        let new = match name.as_str() {
            "ShopTls" => &shop.stored_leaf.thumbprint,
            "ContosoIntermediate" => &shop.stored_intermediate.thumbprint,
            _ => &shop.stored_root.thumbprint,
        };
        assert_eq!(&thumbprint, new, "{name} on {instance}");
    }
    assert_presented(&azure, &shop.stored_leaf.thumbprint).await;
    assert_one_lean_put(&azure, &before);
    let look = azure.plan().await;
    assert_eq!(look.services[0].status, Status::Current, "a second look finds nothing to do");
    azure
}

fn assert_only_thumbprints_differ(before: &str, after: &str) {
    assert_ne!(before, after);
    let parsed = |text: &str| ServiceConfiguration::parse(text).unwrap();
    assert_eq!(differs_beyond_certificates(&parsed(before), &parsed(after)), None);
    // And without the program's own parser: byte for byte, but for the digits.
    assert_eq!(before.len(), after.len());
    let lines = |text: &str| text.split('\n').map(str::to_owned).collect::<Vec<_>>();
    let (old, new) = (lines(before), lines(after));
    assert_eq!(old.len(), new.len());
    let mut changed = 0;
    for (old, new) in old.iter().zip(&new).filter(|(old, new)| old != new) {
        changed += 1;
        let halves = |line: &str| {
            let at = line.find("thumbprint=\"").expect("only certificates change") + "thumbprint=\"".len();
            (line[..at].to_owned(), line[at..at + 40].to_owned(), line[at + 40..].to_owned())
        };
        let ((head, from, tail), (new_head, to, new_tail)) = (halves(old), halves(new));
        assert!(head.trim_start().starts_with("<Certificate "), "{old}");
        assert_eq!((head, tail), (new_head, new_tail));
        assert_ne!(from, to);
        assert!(to.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte)), "{to}");
    }
    assert_eq!(changed, 4);
}

async fn assert_presented(azure: &Azure, thumbprint: &str) {
    let address = azure.simulator.endpoint_address(shop::SERVICE, shop::ENDPOINT).unwrap().to_string();
    let endpoint = ProbeEndpoint { address, server_name: shop::DNS_NAME.to_owned() };
    let seen = azure.assembled.outside.probe.presented(&endpoint).await;
    assert_eq!(seen.len(), 4);
    let leaf: Thumbprint = thumbprint.parse().unwrap();
    for presentation in seen {
        assert_eq!(presentation.outcome.unwrap().first(), Some(&leaf));
    }
}

fn assert_one_lean_put(azure: &Azure, before: &Model) {
    let puts = azure.put_exchanges();
    let [put] = puts.as_slice() else { panic!("{} PUTs", puts.len()) };
    let body = put.request_body.as_object().unwrap();
    for name in ["id", "name", "type", "systemData", "etag"] {
        assert!(!body.contains_key(name), "{name}");
    }
    let mut members: Vec<&str> = body["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["configuration", "osProfile", "upgradeMode"]);
    let text = put.request_body.to_string();
    for name in NEVER_SENT {
        assert!(!text.contains(&format!("\"{name}\"")), "{name}");
    }
    assert_eq!(body["tags"], Value::Object(before.tags.clone().unwrap()));
    assert_eq!(body.get("zones"), before.zones.as_ref().map(|zones| json!(zones)).as_ref());
    assert_eq!(body["properties"]["upgradeMode"], before.upgrade_mode.word());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_set_reaches_the_service_by_one_put() {
    let (cloud, shop) = shop_in(Names::china(), shop::LOCATION, false);
    let azure = carried(cloud, &shop).await;
    if let Some(path) = std::env::var_os("CERTROLL_LEDGER_OUT") {
        azure.simulator.write_ledger(path.as_ref()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reading_of_what_is_not_documented_gives_the_same_result() {
    let (cloud, shop) = shop_in(Names::public(), "westeurope", true);
    let readings = [("documented", Switches::documented()), ("other", Switches::other())];
    for (name, switches) in readings.into_iter().chain(Switches::each_turned()) {
        println!("{name}");
        let mut cloud = cloud.clone();
        cloud.switches = switches;
        carried(cloud, &shop).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cloud_is_served_the_named_ones_and_a_custom_one() {
    let custom = Names::custom(
        &["login.microsoftonline.airgap.example"],
        "management.airgap.example",
        &["https://management.airgap.example"],
        "vault.airgap.example",
    );
    for (names, location, zone) in [
        (Names::public(), "westeurope", true),
        (Names::china(), shop::LOCATION, false),
        (Names::us_government(), "usgovvirginia", true),
        (custom, "airgapeast", true),
    ] {
        let (cloud, shop) = shop_in(names.clone(), location, zone);
        let azure = carried(cloud, &shop).await;
        for exchange in azure.simulator.ledger().exchanges() {
            assert!(names.host(exchange.host()).is_some(), "{}", exchange.url);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_repeats_the_thumbprint_changes_where_it_is_named_and_only_there() {
    let (mut cloud, mut shop) =
        shop::shop_in(Names::china(), shop::LOCATION, Pace::Stepped, Timestamp::now(), |plan| {
            plan.setting("Worker.Unnamed", "kept")
        });
    let old = shop.stored_leaf.thumbprint.clone();
    renew(&mut cloud, &mut shop);
    let mapping = "[[service.certificate]]\nname = \"ShopTls\"\nsource = \"shop-kv/certificates/shop-tls\"\n\
                   settings = [\"Shop.TlsThumbprint\"]\n";
    let azure = Azure::start(cloud, |simulator| shop_service(simulator, mapping)).await;
    let before = azure.deployed().configuration;
    let update = azure.planned().await;
    assert_eq!(azure.roll_out(update).await, Ending::Verified);
    let after = azure.deployed().configuration;
    let setting =
        |thumbprint: &str| format!("<Setting name=\"Shop.TlsThumbprint\" value=\"{thumbprint}\" />");
    assert!(before.contains(&setting(&old)));
    assert!(after.contains(&setting(&shop.stored_leaf.thumbprint)));
    assert!(!after.contains(&old));
    let mut expected = before.replace(&old, &shop.stored_leaf.thumbprint);
    let update = azure.journal.records();
    let certroll_core::rollout::Event::Opened { update, .. } = &update[0].event else { panic!("not opened") };
    for change in &update.certificates {
        expected = expected.replace(&change.from.unwrap().to_string(), &change.to.to_string());
    }
    assert_eq!(after, expected);
    assert_eq!(azure.puts(), 1);
}
