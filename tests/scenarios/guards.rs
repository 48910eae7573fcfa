//! Guards: a certificate that would harm is refused before anything is sent, with what was expected and found.

use certroll_core::plan::{Status, Violation};
use certroll_simulator::clock::Pace;
use certroll_simulator::cloud::Cloud;
use certroll_simulator::pki::LeafRequest;
use certroll_simulator::scenario::shop::{self, Shop};
use certroll_simulator::scenario::{Data, ServicePlan, certificate, json_secret};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::support::azure::{Azure, HOUR, renew, shop_service};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// One way in which a renewal is wrong.
struct Wrong {
    guard: &'static str,
    expected: &'static str,
    found: &'static str,
    renew: fn(&mut Shop, &mut Cloud),
}

fn request(cloud: &Cloud) -> LeafRequest {
    LeafRequest::server(shop::DNS_NAME, cloud.now())
}

fn wrong_renewals() -> Vec<Wrong> {
    vec![
        Wrong {
            guard: "names",
            expected: "that it serves `shop.contoso.com` too",
            found: "`other.contoso.com`",
            renew: |shop, cloud| shop.renew_leaf_with_a_name_lost(cloud),
        },
        Wrong {
            guard: "server_auth",
            expected: "serverAuth",
            found: "other extended key usages only",
            renew: |shop, cloud| {
                let request = LeafRequest { server_auth: false, ..request(cloud) };
                shop.renew_leaf_as(cloud, &request);
            },
        },
        Wrong {
            guard: "validity",
            expected: "of life left",
            found: "validity until",
            renew: |shop, cloud| {
                let now = cloud.now();
                let request = request(cloud).valid(now - DAY * 90, now - DAY);
                shop.renew_leaf_as(cloud, &request);
            },
        },
        Wrong {
            guard: "validity",
            expected: "a certificate that is valid at",
            found: "validity from",
            renew: |shop, cloud| {
                let now = cloud.now();
                let request = request(cloud).valid(now + DAY, now + DAY * 90);
                shop.renew_leaf_as(cloud, &request);
            },
        },
        Wrong {
            guard: "age",
            expected: "as the deployed one has",
            found: "validity until",
            renew: |shop, cloud| {
                let now = cloud.now();
                let request = request(cloud).valid(now - DAY, now + DAY * 3);
                shop.renew_leaf_as(cloud, &request);
            },
        },
        Wrong {
            guard: "chain",
            expected: "its chain up to the root among the role's certificates",
            found: "no certificate of issuer",
            renew: |shop, cloud| shop.renew_leaf_with_a_broken_chain(cloud),
        },
        Wrong {
            guard: "role",
            expected: "an end-entity certificate, as the deployed one is",
            found: "a CA certificate",
            renew: |shop, cloud| {
                let request = request(cloud).authority();
                shop.renew_leaf_as(cloud, &request);
            },
        },
    ]
}

async fn blocked(azure: &Azure) -> Vec<Violation> {
    let report = azure.plan().await;
    assert_eq!(report.planned().count(), 0);
    assert!(report.has_trouble());
    let Status::Blocked { violations } = report.services[0].status.clone() else {
        panic!("expected a blocked service, found {:#?}", report.services[0].status)
    };
    violations
}

fn assert_refused(violations: &[Violation], guard: &str, expected: &str, found: &str) {
    let violation = violations.iter().find(|one| one.guard == guard && one.expected.contains(expected));
    let violation = violation.unwrap_or_else(|| panic!("{guard}, {expected}: {violations:#?}"));
    assert!(violation.found.contains(found), "{violation}");
    assert!(violation.hint.contains(&format!("relax = [\"{guard}\"]")), "{}", violation.hint);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_renewal_is_refused_and_nothing_is_sent() {
    for Wrong { guard, expected, found, renew: spoiled } in wrong_renewals() {
        let (mut cloud, mut shop) = shop::shop(Pace::Stepped, Timestamp::now());
        cloud.advance(HOUR);
        spoiled(&mut shop, &mut cloud);
        let azure = Azure::shop(cloud).await;
        let before = azure.deployed();
        let violations = blocked(&azure).await;
        assert_refused(&violations, guard, expected, found);
        assert!(
            violations.iter().all(|one| one.subject.contains("ShopTls") || one.subject.contains("role `"))
        );
        assert_eq!(azure.puts(), 0);
        assert_eq!(azure.deployed(), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_without_its_key_is_refused() {
    let (mut cloud, mut shop) = shop::shop(Pace::Stepped, Timestamp::now());
    let first =
        shop.intermediate.issue(&request(&cloud).valid(cloud.now() - DAY * 30, cloud.now() + DAY * 20));
    let stored = json_secret(&mut cloud, shop::VAULT, "shop-json", &first, Data::Key);
    cloud.services.clear();
    ServicePlan::new(shop::SERVICE, shop::LOCATION)
        .role("Web", 2)
        .certificate("ShopTls", &stored)
        .certificate("ContosoIntermediate", &shop.stored_intermediate)
        .certificate("ContosoRoot", &shop.stored_root)
        .build(&mut cloud);
    cloud.advance(HOUR);
    let renewed = shop.intermediate.issue(&request(&cloud));
    shop.stored_leaf = json_secret(&mut cloud, shop::VAULT, "shop-json", &renewed, Data::CertificateOnly);
    let azure = Azure::shop(cloud).await;
    let violations = blocked(&azure).await;
    assert_refused(
        &violations,
        "key",
        "the private key of the certificate",
        "no private key that matches it",
    );
    assert_eq!(azure.puts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_the_key_vault_extension_serves_is_left_to_it() {
    let (mut cloud, mut shop) = shop::shop_in(
        certroll_simulator::names::Names::china(),
        shop::LOCATION,
        Pace::Stepped,
        Timestamp::now(),
        |plan| {
            plan.extension(json!({ "name": "kv", "properties": {
                "publisher": "Microsoft.Azure.KeyVault", "type": "KeyVaultForPaaS", "typeHandlerVersion": "1.0" } }))
        },
    );
    renew(&mut cloud, &mut shop);
    let azure = Azure::shop(cloud).await;
    assert_refused(
        &blocked(&azure).await,
        "extension",
        "whose certificates nobody else rotates",
        "KeyVaultForPaaS",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_in_another_region_or_not_enabled_for_deployment_is_refused() {
    let (mut cloud, mut shop) = shop::shop(Pace::Stepped, Timestamp::now());
    renew(&mut cloud, &mut shop);
    let vault = cloud.vault_mut(shop::VAULT).unwrap();
    vault.location = "chinanorth3".to_owned();
    vault.enabled_for_deployment = false;
    let azure = Azure::shop(cloud).await;
    let violations = blocked(&azure).await;
    assert_refused(&violations, "placement", "a vault in region `chinaeast2`", "region `chinanorth3`");
    assert_refused(&violations, "placement", "enabled for deployment", "`enabledForDeployment` is off");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_is_relaxed_warns_and_lets_the_renewal_pass() {
    let (mut cloud, mut shop) = shop::shop(Pace::Stepped, Timestamp::now());
    cloud.advance(HOUR);
    shop.renew_leaf_with_a_name_lost(&mut cloud);
    let relaxed = "[service.guards]\nrelax = [\"names\"]\n";
    let azure = Azure::start(cloud, |simulator| shop_service(simulator, relaxed)).await;
    let update = azure.planned().await;
    assert!(
        update.warnings.iter().any(|one| one.contains("guard `names` is relaxed")),
        "{:?}",
        update.warnings
    );
    assert_eq!(azure.roll_out(update).await, certroll_core::rollout::Ending::Verified);
    assert_eq!(azure.leaves(), [shop.stored_leaf.thumbprint.clone()].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_the_other_half_of_a_pair_is_no_harm_to_the_rest() {
    // A root renewed ahead of the leaf: the deployed leaf would lose the chain that it has.
    let (mut cloud, shop) = shop::shop(Pace::Stepped, Timestamp::now());
    cloud.advance(HOUR);
    let stranger = certroll_simulator::pki::Authority::root("Contoso Root 9", cloud.now());
    json_secret(&mut cloud, shop::VAULT, shop::ROOT, &stranger.issued(), Data::CertificateOnly);
    certificate(&mut cloud, shop::VAULT, "unused", &shop.leaf);
    let azure = Azure::shop(cloud).await;
    let violations = blocked(&azure).await;
    assert_refused(&violations, "chain", "its chain up to the root", "no certificate of issuer");
}
