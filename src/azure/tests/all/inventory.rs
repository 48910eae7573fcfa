//! What is deployed: subscriptions, vaults, public addresses.

use certroll_azure::Operation;
use certroll_core::ports::{FaultKind, PortError};
use serde_json::{Value, json};

use crate::fake::{Reply, Seen};
use crate::world::{MANAGEMENT, world};

const ADDRESS: &str =
    "/subscriptions/0b1f6471/resourceGroups/shop/providers/Microsoft.Network/publicIPAddresses/shop-ip";
const VAULTS: &str = "/subscriptions/0b1f6471/providers/Microsoft.KeyVault/vaults";

fn vault(name: &str) -> Value {
    json!({ "id": format!("/subscriptions/0b1f6471/resourceGroups/shop/providers/Microsoft.KeyVault/vaults/{name}") })
}

#[tokio::test]
async fn lists_are_read_to_their_end_and_an_address_by_its_id() {
    let world = world(|seen: &Seen, _| match seen.path() {
        "/subscriptions" if seen.target.contains("skip") => {
            Reply::json(200, &json!({ "value": [{ "subscriptionId": "two", "state": "Disabled" }] }))
        }
        "/subscriptions" => Reply::json(
            200,
            &json!({ "value": [{ "subscriptionId": "one", "displayName": "Shop", "state": "Enabled" }],
                "nextLink": format!("https://{MANAGEMENT}{}&skip=1", seen.target) }),
        ),
        VAULTS => Reply::json(200, &json!({ "value": [vault("shop-kv"), vault("old-kv")], "nextLink": "" })),
        ADDRESS => Reply::json(
            200,
            &json!({ "properties": { "dnsSettings": { "fqdn": "shop.chinaeast2.cloudapp.chinacloudapi.cn" } } }),
        ),
        _ => Reply::error(404, "ResourceNotFound"),
    })
    .await;
    let inventory = world.azure.inventory();
    let subscriptions = inventory.subscriptions().await.unwrap();
    let told: Vec<_> =
        subscriptions.iter().map(|one| (one.id.as_str(), one.name.as_deref(), one.readable)).collect();
    assert_eq!(told, [("one", Some("Shop"), true), ("two", None, false)]);
    let vaults = inventory.vaults("0b1f6471").await.unwrap();
    let names: Vec<&str> = vaults.iter().map(|vault| vault.vault().as_str()).collect();
    assert_eq!(names, ["shop-kv", "old-kv"]);
    let address = inventory.public_address(&ADDRESS.parse().unwrap()).await.unwrap();
    assert_eq!(address.fqdn.as_deref(), Some("shop.chinaeast2.cloudapp.chinacloudapi.cn"));
    let seen = world.fake.seen();
    assert!(seen.iter().all(|seen| seen.host == MANAGEMENT && seen.method == "GET"));
    assert_eq!(seen.last().unwrap().target, format!("{ADDRESS}?api-version=2020-11-01"));
    let operations: Vec<Operation> = world.azure.calls().iter().map(|count| count.operation).collect();
    assert_eq!(
        operations,
        [Operation::SubscriptionList, Operation::VaultResourceList, Operation::PublicAddress]
    );
}

#[tokio::test]
async fn what_may_not_be_read_says_which_role_is_missing() {
    let world = world(|_, _| Reply::error(403, "AuthorizationFailed")).await;
    let inventory = world.azure.inventory();
    let address = inventory.public_address(&ADDRESS.parse().unwrap()).await.unwrap_err();
    assert_eq!(address.kind(), FaultKind::Forbidden);
    assert!(address.fault().hint.as_ref().unwrap().contains("publicIPAddresses/read"), "{address:?}");
    let vaults = inventory.vaults("0b1f6471").await.unwrap_err();
    assert!(vaults.fault().hint.as_ref().unwrap().contains("`Reader` on the subscription"), "{vaults:?}");

    let calls = world.fake.seen().len();
    let malformed = inventory.vaults("../other").await.unwrap_err();
    assert!(matches!(malformed, PortError::Permanent(_)));
    assert_eq!((malformed.kind(), world.fake.seen().len()), (FaultKind::Refused, calls));
}
