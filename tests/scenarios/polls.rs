//! What a look costs when nothing has changed: list pages, or one call for each followed object, whichever is cheaper.

use certroll_core::plan::Status;
use certroll_simulator::Simulator;
use certroll_simulator::clock::Pace;
use certroll_simulator::cloud::Cloud;
use certroll_simulator::names::Host;
use certroll_simulator::scenario::fleet::{self, fleet};
use certroll_simulator::scenario::{ServicePlan, Stored};
use certroll_simulator::service::model::CertificateReference;
use certroll_simulator::switches::{ListConfiguration, Switches};
use certroll_simulator::vault::Kind;
use jiff::Timestamp;

use crate::support::azure::Azure;

/// What was asked for during one look, by path.
#[derive(Debug, Default, PartialEq, Eq)]
struct Cost {
    certificate_pages: usize,
    secret_pages: usize,
    /// Calls about single vault objects.
    objects: usize,
    service_pages: usize,
    /// Calls about single services.
    services: usize,
    other: usize,
}

/// References of one service: real ones have some tens at most.
const PER_SERVICE: usize = 100;

/// A world of so many certificates and plain secrets. The first of both are referenced by services, a hundred by each.
fn vault_of(certificates: usize, secrets: usize, followed: (usize, usize)) -> Cloud {
    let (mut cloud, stored) = fleet(certificates, secrets, 0, Pace::Stepped, Timestamp::now());
    let services = (followed.0 + followed.1).div_ceil(PER_SERVICE);
    let vault = cloud.vault(fleet::VAULT).unwrap();
    let url = |number: usize| {
        let name = format!("text-{number:04}");
        vault.secret_url(&name, &vault.versions(&name)[0])
    };
    let urls: Vec<String> = (0..followed.1).map(url).collect();
    for service in 0..services {
        let name = format!("svc-{service:04}");
        let of_service = stored[..followed.0].iter().skip(service).step_by(services);
        let plan = ServicePlan::new(&name, fleet::LOCATION).role("Web", 2);
        of_service.fold(plan, |plan, stored: &Stored| plan.surplus(stored)).build(&mut cloud);
        let of_service = urls.iter().skip(service).step_by(services);
        let group = &mut cloud.service_mut(&name).unwrap().model.secrets[0].certificates;
        group.extend(of_service.map(|url| CertificateReference { url: url.clone(), bootstrap: None }));
    }
    cloud
}

fn every_service(simulator: &Simulator) -> String {
    simulator.with(|cloud| {
        cloud.services.iter().map(|one| format!("[[service]]\nid = \"{}\"\n", one.id.resource_id())).collect()
    })
}

/// The cost of one look, at which everything must turn out to be current.
async fn cost_of_a_look(azure: &Azure) -> Cost {
    azure.with(|cloud| cloud.ledger.clear());
    let report = azure.poll().await;
    for service in &report.services {
        assert_eq!(service.status, Status::Current, "{}", service.service);
    }
    let names = azure.with(|cloud| cloud.names.clone());
    let mut cost = Cost::default();
    for exchange in azure.simulator.ledger().exchanges() {
        assert_eq!(
            exchange.method,
            if names.host(exchange.host()) == Some(Host::Login) { "POST" } else { "GET" }
        );
        let path = exchange.path().to_ascii_lowercase();
        let counter = match names.host(exchange.host()).unwrap() {
            Host::Login => continue,
            Host::Vault(_) if path == "/certificates" => &mut cost.certificate_pages,
            Host::Vault(_) if path == "/secrets" => &mut cost.secret_pages,
            Host::Vault(_) => &mut cost.objects,
            Host::ResourceManager if path.ends_with("/cloudservices") => &mut cost.service_pages,
            Host::ResourceManager if path.contains("/cloudservices/") => &mut cost.services,
            Host::ResourceManager => &mut cost.other,
        };
        *counter += 1;
    }
    cost
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_followed_objects_that_have_not_changed_cost_their_list_pages() {
    let azure = Azure::start(vault_of(1_000, 1_000, (1_000, 1_000)), every_service).await;
    let first = cost_of_a_look(&azure).await;
    assert_eq!(first.objects, 2_000, "each object is looked at once");
    for _ in 0..2 {
        let later = cost_of_a_look(&azure).await;
        let expected = Cost { certificate_pages: 40, secret_pages: 80, service_pages: 1, ..Cost::default() };
        assert_eq!(later, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_followed_objects_of_a_large_vault_cost_three_calls() {
    let azure = Azure::start(vault_of(1_000, 1_000, (2, 1)), every_service).await;
    cost_of_a_look(&azure).await;
    let later = cost_of_a_look(&azure).await;
    assert_eq!(later, Cost { objects: 3, services: 1, ..Cost::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_followed_objects_than_list_pages_are_asked_for_one_by_one() {
    // 1,000 certificates are 40 pages, and with 1,000 plain secrets 80: 39 and 79 are cheaper one by one.
    let azure = Azure::start(vault_of(1_000, 1_000, (39, 79)), every_service).await;
    cost_of_a_look(&azure).await;
    cost_of_a_look(&azure).await;
    let later = cost_of_a_look(&azure).await;
    assert_eq!(later, Cost { objects: 39 + 79, services: 2, ..Cost::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_services_cost_the_list_pages_of_their_subscription() {
    let (cloud, _) = fleet(30, 0, 300, Pace::Stepped, Timestamp::now());
    let azure = Azure::start(cloud, every_service).await;
    cost_of_a_look(&azure).await;
    let later = cost_of_a_look(&azure).await;
    assert_eq!(later, Cost { certificate_pages: 2, service_pages: 6, ..Cost::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_without_a_cscfg_cost_one_call_a_service_and_are_not_asked_for_again() {
    let (mut cloud, _) = fleet(30, 0, 300, Pace::Stepped, Timestamp::now());
    cloud.switches = Switches { list_configuration: ListConfiguration::LeftOut, ..Switches::documented() };
    let azure = Azure::start(cloud, every_service).await;
    cost_of_a_look(&azure).await;
    let later = cost_of_a_look(&azure).await;
    assert_eq!(later, Cost { certificate_pages: 2, services: 300, ..Cost::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn one_changed_object_among_a_thousand_costs_a_few_calls_more() {
    let azure = Azure::start(vault_of(1_000, 0, (1_000, 0)), every_service).await;
    cost_of_a_look(&azure).await;
    azure.with(|cloud| {
        cloud.advance(std::time::Duration::from_secs(60));
        let now = cloud.now();
        let vault = cloud.vault_mut(fleet::VAULT).unwrap();
        let version = vault.versions("tls-0500")[0].clone();
        let tag = ("owner", "somebody");
        vault.set_tag(Kind::Certificate, "tls-0500", &version, tag, now);
    });
    let later = cost_of_a_look(&azure).await;
    assert_eq!(later, Cost { certificate_pages: 40, objects: 1, service_pages: 1, ..Cost::default() });
    let then = cost_of_a_look(&azure).await;
    assert_eq!(then, Cost { certificate_pages: 40, service_pages: 1, ..Cost::default() });
}
