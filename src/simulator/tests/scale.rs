//! A large world is cheap to build, and lists of it come in pages.

use certroll_simulator::clock::Pace;
use certroll_simulator::scenario::{SUBSCRIPTION, fleet};

use crate::support::{World, start};

#[test]
fn a_large_vault_and_many_services_are_served() {
    let (cloud, stored) = fleet::fleet(1000, 1000, 300, Pace::Stepped, start());
    assert_eq!(stored.len(), 1000);
    let mut world = World::new();
    world.cloud = cloud;
    let token = world.token_for("https://vault.azure.cn", 3600);
    let mut pages = 0;
    let mut next = Some("https://fleet-kv.vault.azure.cn/certificates?api-version=7.4".to_owned());
    while let Some(url) = next {
        let mut request = world.request("GET", "/", None);
        request.headers = vec![("authorization".to_owned(), format!("Bearer {token}"))];
        request.url = url.parse().unwrap();
        let certroll_simulator::cloud::Outcome::Answered(reply) = world.cloud.answer(&request) else {
            panic!()
        };
        assert_eq!(reply.status, 200, "{reply:?}");
        pages += 1;
        next = reply.body.unwrap()["nextLink"].as_str().filter(|link| !link.is_empty()).map(str::to_owned);
    }
    assert_eq!(pages, 40);
    let path = format!(
        "/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/cloudServices?api-version=2022-04-04"
    );
    let body = world.send("GET", &path, None).body.unwrap();
    assert_eq!(body["value"].as_array().unwrap().len(), 50);
}
