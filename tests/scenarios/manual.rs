//! Services in Manual mode: update domain after update domain, so that a bad certificate stops at the first one.

use certroll_core::rollout::{Cause, Ending, Event};
use certroll_simulator::call::Call;
use certroll_simulator::cloud::Cloud;
use certroll_simulator::faults::{Effect, Fault, Unready, Which};
use certroll_simulator::pki::LeafRequest;
use certroll_simulator::scenario::ServicePlan;
use certroll_simulator::scenario::shop::{self, Shop};
use certroll_simulator::service::instance::Delivered;
use certroll_simulator::service::model::UpgradeMode;
use certroll_simulator::switches::{ManualOperation, Switches};

use crate::support::azure::{Azure, renew, renewed_shop_with, somebody_else};

const READINGS: [ManualOperation; 2] = [ManualOperation::CompletesBeforeWalk, ManualOperation::WaitsForWalk];

/// Three instances a role, in three update domains.
fn manual(plan: ServicePlan) -> ServicePlan {
    plan.upgrade_mode(UpgradeMode::Manual)
}

fn manual_shop(reading: ManualOperation) -> (Cloud, Shop) {
    let (mut cloud, shop) = renewed_shop_with(manual);
    cloud.switches = Switches { manual_operation: reading, ..Switches::documented() };
    let now = cloud.now();
    let service = cloud.service_mut(shop::SERVICE).unwrap();
    for role in ["Web", "Worker"] {
        service.scale(role, 3, now).unwrap();
    }
    (cloud, shop)
}

/// The update domains that were walked, in the order of the requests that were taken.
fn walked(azure: &Azure) -> Vec<u32> {
    let ledger = azure.simulator.ledger();
    let walks = ledger.exchanges().filter(|one| one.method == "PUT" && one.status < 300);
    walks.filter_map(|one| one.path().rsplit_once("/updateDomains/")?.1.parse().ok()).collect()
}

/// The leaves that the instances of an update domain hold.
fn leaves_of(azure: &Azure, domain: u32) -> Vec<String> {
    azure.with(|cloud| {
        let service = cloud.service(shop::SERVICE).unwrap();
        let of_domain = service.instances.iter().filter(|one| one.domain == domain);
        let leaf = of_domain.map(|one| one.holds.certificate("ShopTls").unwrap().thumbprint.clone());
        let mut leaves: Vec<String> = leaf.collect();
        leaves.sort();
        leaves.dedup();
        leaves
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_update_domain_is_walked_once_and_in_order() {
    for reading in READINGS {
        let (cloud, shop) = manual_shop(reading);
        let azure = Azure::shop(cloud).await;
        let update = azure.planned().await;
        assert_eq!(azure.roll_out(update).await, Ending::Verified, "{reading:?}");
        assert_eq!(walked(&azure), [0, 1, 2], "{reading:?}");
        assert_eq!((azure.puts(), azure.puts_into_an_operation()), (1, 0));
        assert_eq!(azure.leaves(), [shop.stored_leaf.thumbprint.clone()].into());
        let done = azure
            .journal
            .records()
            .iter()
            .filter_map(|record| match record.event {
                Event::DomainDone { domain, last } => Some((domain, last)),
                _ => None,
            })
            .collect::<Vec<_>>();
        assert_eq!(done, [(0, false), (1, false), (2, true)]);
    }
}

/// What may go wrong with the first update domain, and a part of the message.
fn at_the_first_domain() -> Vec<(Effect, &'static str)> {
    let first = || Which::Named(vec!["Web_IN_0".to_owned(), "Worker_IN_0".to_owned()]);
    vec![
        (Effect::InstanceNeverReady(first(), Unready::Busy), "RoleStateBusy"),
        (Effect::InstanceNeverReady(first(), Unready::Unresponsive), "RoleStateUnresponsive"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_does_not_start_stops_the_walk_at_its_domain() {
    for reading in READINGS {
        for (effect, word) in at_the_first_domain() {
            let (mut cloud, shop) = manual_shop(reading);
            let old =
                cloud.service(shop::SERVICE).unwrap().instances[1].holds.certificate("ShopTls").unwrap();
            let old = old.thumbprint.clone();
            // While the PUT's operation runs, a walk is refused, and asked for again.
            let refused = u32::from(reading == ManualOperation::CompletesBeforeWalk);
            cloud.fault(Fault::next(Call::WalkUpdateDomain, effect).after(refused));
            let azure = Azure::shop(cloud).await;
            let before = azure.deployed();
            let update = azure.planned().await;
            let ending = azure.roll_out(update).await;
            let message = ending.cause().unwrap().to_string();
            assert!(message.contains(word) && message.contains("update domain 0"), "{reading:?}: {message}");
            match reading {
                // Nothing runs between two domains: the old state is put back, domain by domain.
                ManualOperation::CompletesBeforeWalk => {
                    assert!(matches!(ending, Ending::Restored { .. }), "{ending:?}");
                    assert_eq!(walked(&azure), [0, 0, 1, 2]);
                    assert_eq!(azure.puts(), 2);
                    assert_eq!(azure.deployed(), before);
                }
                // The operation waits for walks that will not come: nothing is sent into it.
                ManualOperation::WaitsForWalk => {
                    assert!(matches!(ending, Ending::Stuck { .. }), "{ending:?}");
                    assert_eq!(walked(&azure), [0]);
                    assert_eq!(azure.puts(), 1);
                }
            }
            for domain in [1, 2] {
                assert_eq!(
                    leaves_of(&azure, domain),
                    std::slice::from_ref(&old),
                    "domain {domain} was not reached"
                );
            }
            assert!(shop.stored_leaf.thumbprint != old);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_presents_a_foreign_certificate_stops_the_walk() {
    for reading in READINGS {
        let (cloud, _) = manual_shop(reading);
        let azure = Azure::shop(cloud).await;
        let update = azure.planned().await;
        let created = azure.with(|cloud| cloud.service(shop::SERVICE).unwrap().created);
        let foreign = LeafRequest::server("foreign.contoso.com", created).self_signed();
        let thumbprint = foreign.thumbprint();
        // Once the update was sent, an instance serves another name of the machine: neither the old nor the new leaf.
        let simulator = std::sync::Arc::clone(&azure.simulator);
        azure.heard.once("put accepted", move || {
            simulator.with(|cloud| {
                let instance = &mut cloud.service_mut(shop::SERVICE).unwrap().instances[2];
                let mut holdings = (*instance.holds).clone();
                let delivered = Delivered {
                    thumbprint: foreign.thumbprint(),
                    der: foreign.der.clone(),
                    key_pkcs8: Some(foreign.key_pkcs8.clone()),
                };
                for (_, held) in holdings.certificates.iter_mut().filter(|(name, _)| *name == "ShopTls") {
                    *held = delivered.clone().into();
                }
                instance.holds = holdings.into();
            });
        });
        let ending = azure.roll_out(update).await;
        let message = ending.cause().unwrap().to_string();
        assert!(message.contains("after the walk to update domain 0"), "{message}");
        assert!(message.contains(&thumbprint), "{message}");
        assert_eq!(walked(&azure)[0], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_certificates_in_every_domain_are_found_at_the_end_and_put_back() {
    for reading in READINGS {
        let (mut cloud, _) = manual_shop(reading);
        cloud.fault(Fault::next(Call::PutCloudService, Effect::OldCertificatePresented(Which::All)));
        let azure = Azure::shop(cloud).await;
        let before = azure.deployed();
        let update = azure.planned().await;
        let ending = azure.roll_out(update).await;
        let Ending::Restored { cause: Cause::Mismatch { .. } } = &ending else {
            panic!("{reading:?} {ending:?}")
        };
        assert_eq!(azure.deployed(), before);
        assert_eq!((azure.puts(), azure.puts_into_an_operation()), (2, 0));
        assert_eq!(walked(&azure), [0, 1, 2, 0, 1, 2]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_mode_needs_no_walk() {
    let (cloud, shop) = renewed_shop_with(|plan| plan.upgrade_mode(UpgradeMode::Simultaneous));
    let azure = Azure::shop(cloud).await;
    let update = azure.planned().await;
    assert_eq!(azure.roll_out(update).await, Ending::Verified);
    assert_eq!(walked(&azure), Vec::<u32>::new());
    assert_eq!(azure.leaves(), [shop.stored_leaf.thumbprint.clone()].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_were_left_with_something_else_are_walked_all_the_same() {
    let (cloud, mut shop) = manual_shop(ManualOperation::CompletesBeforeWalk);
    let azure = Azure::shop(cloud).await;
    // Somebody sent the second set and walked to no domain: the model names it, the instances go on with the first.
    let first = azure.leaves();
    let second = azure.planned().await;
    let model = azure.assembled.outside.services.read(&second.service).await.unwrap();
    let body = second.wanted.put_body(&model).unwrap();
    let reply = azure.with(|cloud| somebody_else(cloud, "PUT", "", Some(body.value())));
    assert_eq!(reply.status, 200, "{reply:?}");
    azure.with(|cloud| {
        cloud.finish();
        renew(cloud, &mut shop);
    });
    assert_eq!(azure.leaves(), first);
    let third = azure.planned().await;
    assert!(!third.probes[0].before.iter().any(|leaf| first.contains(&leaf.to_string())));
    assert_eq!(azure.roll_out(third).await, Ending::Verified);
    assert_eq!(azure.leaves(), [shop.stored_leaf.thumbprint.clone()].into());
    // It says what it saw before, and only that.
    let presented = azure.journal.records().iter().find_map(|record| match &record.event {
        Event::Captured { presented, .. } => Some(presented.iter().map(ToString::to_string).collect()),
        _ => None,
    });
    assert_eq!(presented, Some(first));
}
