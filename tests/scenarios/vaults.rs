//! Trouble with a vault: that service is reported with the reason and the way out, the others go on.

use std::collections::BTreeMap;

use certroll_core::plan::{PlanReport, ServiceReport, Status};
use certroll_core::rollout::Ending;
use certroll_simulator::Simulator;
use certroll_simulator::call::Call;
use certroll_simulator::clock::Pace;
use certroll_simulator::cloud::Cloud;
use certroll_simulator::faults::{Effect, Fault, HostKind, Times, When};
use certroll_simulator::pki::{Authority, LeafRequest};
use certroll_simulator::scenario::shop::{self, Shop};
use certroll_simulator::scenario::{ServicePlan, certificate, certificate_of, vault};
use certroll_simulator::vault::{Access, Behaviour, Kind, Material, Permission, Reading, Throttle};
use jiff::Timestamp;

use crate::support::azure::{Azure, HOUR, renewed_shop};

const OTHER: &str = "other";
const OTHER_VAULT: &str = "other-kv";

/// The shop, and a service `other` with a vault of its own. Both have a renewed certificate.
fn two_services() -> (Cloud, Shop) {
    let (mut cloud, mut shop) = shop::shop(Pace::Stepped, Timestamp::now());
    let now = cloud.now();
    vault(&mut cloud, OTHER_VAULT, shop::LOCATION);
    let issuer = Authority::root("Contoso Other", now);
    let leaf = issuer.issue(&LeafRequest::server("other.contoso.com", now));
    let stored = certificate(&mut cloud, OTHER_VAULT, "other-tls", &leaf);
    ServicePlan::new(OTHER, shop::LOCATION).role("Web", 2).certificate("Tls", &stored).build(&mut cloud);
    cloud.advance(HOUR);
    let now = cloud.now();
    let renewed = issuer.issue(&LeafRequest::server("other.contoso.com", now));
    certificate(&mut cloud, OTHER_VAULT, "other-tls", &renewed);
    shop.renew(&mut cloud);
    (cloud, shop)
}

fn both(simulator: &Simulator) -> String {
    simulator.with(|cloud| {
        let entry =
            |name: &str| format!("[[service]]\nid = \"{}\"\n", cloud.service(name).unwrap().id.resource_id());
        entry(shop::SERVICE) + &entry(OTHER)
    })
}

fn of<'a>(report: &'a PlanReport, service: &str) -> &'a ServiceReport {
    report.services.iter().find(|one| one.service.name() == service).unwrap()
}

/// Reasons and hints of a service that has no plan, in one text.
fn told(report: &ServiceReport) -> String {
    match &report.status {
        Status::Unreadable { reasons } => reasons
            .iter()
            .map(|reason| format!("{}\nhint: {}\n", reason.message, reason.hint.as_deref().unwrap_or("none")))
            .collect(),
        Status::Blocked { violations } => {
            violations.iter().map(|one| format!("{one}\nhint: {}\n", one.hint)).collect()
        }
        other => panic!("expected trouble, found {other:#?}"),
    }
}

struct Trouble {
    name: &'static str,
    make: fn(&mut Cloud, &mut Shop),
    says: &'static [&'static str],
}

fn fault_of_the_shop_s_vault(effect: Effect, times: Times) -> Fault {
    Fault { when: When { host: Some(HostKind::Vault), path: None, ..When::default() }, effect, times }
}

fn troubles() -> Vec<Trouble> {
    vec![
        Trouble {
            name: "403 by role assignments",
            make: |cloud, _| cloud.vault_mut(shop::VAULT).unwrap().access = Access::Rbac(BTreeMap::new()),
            says: &["a permission is missing", "ForbiddenByRbac", "Key Vault Secrets User", "shop-kv"],
        },
        Trouble {
            name: "403 by access policies",
            make: |cloud, _| cloud.vault_mut(shop::VAULT).unwrap().access = Access::Policies(BTreeMap::new()),
            says: &["a permission is missing", "ForbiddenByPolicy", "az keyvault set-policy --name shop-kv"],
        },
        Trouble {
            name: "metadata only",
            make: |cloud, _| {
                let mut allowed = BTreeMap::new();
                let object = certroll_simulator::scenario::OBJECT_ID.to_owned();
                allowed.insert(object, Permission::READ_METADATA.to_vec());
                cloud.vault_mut(shop::VAULT).unwrap().access = Access::Rbac(allowed);
            },
            says: &["a permission is missing", "Key Vault Secrets User"],
        },
        Trouble {
            name: "403 by the firewall",
            make: |cloud, _| cloud.vault_mut(shop::VAULT).unwrap().firewall_closed = true,
            says: &[
                "the vault's firewall refused this address",
                "az keyvault network-rule add --name shop-kv",
            ],
        },
        Trouble {
            name: "limit with Retry-After",
            make: |cloud, _| throttled(cloud, Some(5)),
            says: &["too many calls (429"],
        },
        Trouble {
            name: "limit without Retry-After",
            make: |cloud, _| throttled(cloud, None),
            says: &["too many calls (429"],
        },
        Trouble {
            name: "PEM certificate",
            make: |cloud, shop| {
                let material = Material::pem(&shop.leaf);
                shop.stored_leaf = certificate_of(cloud, shop::VAULT, shop::LEAF, &shop.leaf, &material);
            },
            says: &["a secret that Cloud Services accept", "PEM", "relax = [\"form\"]"],
        },
        Trouble {
            name: "secret that is no certificate",
            make: |cloud, _| {
                cloud.advance(HOUR);
                let now = cloud.now();
                cloud.vault_mut(shop::VAULT).unwrap().set_secret(shop::ROOT, "just a password", None, now);
            },
            says: &["shop-kv/secrets/contoso-root", "base64 of JSON"],
        },
        Trouble {
            name: "every version disabled",
            make: |cloud, _| {
                let now = cloud.now();
                let vault = cloud.vault_mut(shop::VAULT).unwrap();
                for version in vault.versions(shop::ROOT) {
                    vault.set_enabled(Kind::Secret, shop::ROOT, &version, false, now);
                }
            },
            says: &["expected a version that is enabled", "2 versions, all disabled", "enable a version"],
        },
    ]
}

fn throttled(cloud: &mut Cloud, retry_after: Option<u32>) {
    let vault = cloud.vault_mut(shop::VAULT).unwrap();
    // One window is longer than all attempts of a look.
    let throttle = Some(Throttle { requests: 0, window: 1_000_000, retry_after });
    vault.behaviour = Behaviour { throttle, ..Behaviour::default() };
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_one_vault_is_reported_and_stops_no_other_service() {
    for Trouble { name, make, says } in troubles() {
        println!("{name}");
        let (mut cloud, mut shop) = two_services();
        make(&mut cloud, &mut shop);
        let azure = Azure::start(cloud, both).await;
        let report = azure.plan().await;
        let told = told(of(&report, shop::SERVICE));
        println!("{told}");
        for word in says {
            assert!(told.contains(word), "{name}: {word}: {told}");
        }
        let Status::Planned { update } = &of(&report, OTHER).status else { panic!("{name}: {report:#?}") };
        assert_eq!(azure.roll_out((**update).clone()).await, Ending::Verified);
        assert_eq!(azure.puts(), 0, "of the shop");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_pass_are_waited_for() {
    for retry_after in [Some(3), None] {
        let (mut cloud, _) = two_services();
        let reply = Effect::Reply { status: 429, code: "Throttled".to_owned(), retry_after };
        cloud.fault(fault_of_the_shop_s_vault(reply, Times::Next(3)));
        let azure = Azure::start(cloud, both).await;
        let before = azure.with(|cloud| cloud.now());
        assert_eq!(azure.plan().await.planned().count(), 2);
        assert!(azure.with(|cloud| cloud.now()) > before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_newest_version_leaves_the_version_before_in_force() {
    for reading in [Reading::Refused, Reading::Allowed] {
        let (mut cloud, shop) = two_services();
        let now = cloud.now();
        let vault = cloud.vault_mut(shop::VAULT).unwrap();
        vault.behaviour.disabled_certificate = reading;
        vault.set_enabled(Kind::Certificate, shop::LEAF, &shop.stored_leaf.version, false, now);
        for stored in [&shop.stored_intermediate, &shop.stored_root] {
            vault.set_enabled(Kind::Secret, &stored.name, &stored.version, false, now);
        }
        let azure = Azure::start(cloud, both).await;
        for _ in 0..2 {
            let report = azure.plan().await;
            assert_eq!(of(&report, shop::SERVICE).status, Status::Current);
        }
        // Enabled again, it is taken at the next look.
        azure.with(|cloud| {
            cloud.advance(std::time::Duration::from_secs(60));
            let now = cloud.now();
            let vault = cloud.vault_mut(shop::VAULT).unwrap();
            vault.set_enabled(Kind::Certificate, shop::LEAF, &shop.stored_leaf.version, true, now);
            for stored in [&shop.stored_intermediate, &shop.stored_root] {
                vault.set_enabled(Kind::Secret, &stored.name, &stored.version, true, now);
            }
        });
        assert_eq!(azure.plan().await.planned().count(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_that_is_gone_and_stays_is_refused_since_the_service_would_refuse_it() {
    let (mut cloud, _) = two_services();
    cloud.vault_mut(shop::VAULT).unwrap().delete(shop::ROOT);
    let azure = Azure::start(cloud, both).await;
    let report = azure.plan().await;
    let told = told(of(&report, shop::SERVICE));
    for word in ["contoso-root", "which stays", "it does not exist (404", "relax = [\"enabled\"]"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    assert!(of(&report, shop::SERVICE).notes.iter().any(|note| note.contains("is gone from its vault")));
    assert!(matches!(of(&report, OTHER).status, Status::Planned { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_version_that_is_gone_is_replaced_by_the_new_one() {
    let (mut cloud, shop) = two_services();
    let now = cloud.now();
    let vault = cloud.vault_mut(shop::VAULT).unwrap();
    let old = vault.versions(shop::LEAF)[0].clone();
    vault.set_enabled(Kind::Certificate, shop::LEAF, &old, false, now);
    let azure = Azure::start(cloud, both).await;
    let report = azure.plan().await;
    let Status::Planned { update } = &of(&report, shop::SERVICE).status else { panic!("{report:#?}") };
    assert_eq!(azure.roll_out((**update).clone()).await, Ending::Verified);
    assert_eq!(azure.leaves(), [shop.stored_leaf.thumbprint.clone()].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_answers_late_or_garbled_is_reported() {
    for (effect, says) in [
        (Effect::MalformedJson, "the answer is not understood"),
        (Effect::CutAfter, "no connection"),
        (
            Effect::Reply { status: 500, code: "InternalError".to_owned(), retry_after: None },
            "the service failed (500",
        ),
    ] {
        let (mut cloud, _) = two_services();
        let when = When { path: Some(shop::LEAF.to_owned()), host: Some(HostKind::Vault), ..When::default() };
        cloud.fault(Fault { when, effect, times: Times::Always });
        let azure = Azure::start(cloud, both).await;
        let report = azure.plan().await;
        let told = told(of(&report, shop::SERVICE));
        assert!(told.contains(says), "{told}");
        assert!(matches!(of(&report, OTHER).status, Status::Planned { .. }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_whose_next_page_is_elsewhere_is_not_followed() {
    let (mut cloud, _) =
        certroll_simulator::scenario::fleet::fleet(60, 0, 10, Pace::Stepped, Timestamp::now());
    let elsewhere = Effect::ForeignNextLink("pages.example".to_owned());
    cloud.fault(Fault::always(Call::ListCertificates, elsewhere));
    let azure = Azure::start(cloud, |simulator| {
        simulator.with(|cloud| {
            cloud
                .services
                .iter()
                .map(|one| format!("[[service]]\nid = \"{}\"\n", one.id.resource_id()))
                .collect::<String>()
        })
    })
    .await;
    let report = azure.plan().await;
    // Tokens go to the hosts of the cloud only: the harness fails the test if the foreign host was asked for.
    let trouble =
        report.services.iter().filter(|one| matches!(one.status, Status::Unreadable { .. })).count();
    let current = report.services.iter().filter(|one| one.status == Status::Current).count();
    assert_eq!(trouble + current, 10);
    for service in report.services.iter().filter(|one| one.status != Status::Current) {
        assert!(told(service).contains("names a foreign host"), "{}", told(service));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_remembered_of_a_reference_that_stays_does_not_pass_for_its_being_there() {
    let (cloud, mut shop) = renewed_shop();
    let azure = Azure::shop(cloud).await;
    // Everything is read, opened and remembered, and deployed.
    let update = azure.planned().await;
    assert_eq!(azure.roll_out(update).await, Ending::Verified);
    azure.with(|cloud| cloud.advance(HOUR));
    azure.with(|cloud| shop.renew_leaf(cloud));
    azure.planned().await;
    // Then the root, which stays, is deleted: the service could not fetch it at the update.
    azure.with(|cloud| cloud.vault_mut(shop::VAULT).unwrap().delete(shop::ROOT));
    let report = azure.plan().await;
    let Status::Blocked { violations } = &report.services[0].status else { panic!("{report:#?}") };
    assert_eq!(violations[0].guard, "enabled");
    assert!(violations[0].subject.ends_with("which stays"), "{violations:#?}");
    assert_eq!(azure.puts(), 1);
}
