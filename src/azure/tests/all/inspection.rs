//! What stands around vaults and services.

use certroll_azure::{Operation, Outcome};
use certroll_core::doctor::permission::{PermissionEntry, permits};
use certroll_core::id::SourceVaultId;
use certroll_core::ports::{AccessModel, FaultKind, Scope, Server};
use serde_json::json;

use crate::fake::{Reply, Seen};
use crate::world::{MANAGEMENT, VAULT, world};

const SERVICE: &str =
    "/subscriptions/0b1f6471/resourceGroups/shop/providers/Microsoft.Compute/cloudServices/shop";
const VAULT_ID: &str =
    "/subscriptions/0b1f6471/resourceGroups/shop/providers/Microsoft.KeyVault/vaults/shop-kv";

fn vault() -> SourceVaultId {
    VAULT_ID.parse().unwrap()
}

#[tokio::test]
async fn permissions_are_read_page_by_page_at_their_scope() {
    let world = world(|seen: &Seen, _| {
        let second = seen.target.contains("skiptoken");
        let page = if second {
            json!({ "value": [{ "actions": ["Microsoft.KeyVault/vaults/deploy/action"] }] })
        } else {
            let next = format!("https://{MANAGEMENT}{}&$skiptoken=2", seen.target);
            json!({ "value": [{ "actions": ["*/read"], "notActions": [], "dataActions": [] }], "nextLink": next })
        };
        Reply::json(200, &page)
    })
    .await;
    let inspection = world.azure.inspection();
    let entries: Vec<PermissionEntry> = inspection.permissions(&Scope::Vault(vault())).await.unwrap();
    assert!(permits(&entries, "Microsoft.KeyVault/vaults/deploy/action"));
    assert!(!permits(&entries, "Microsoft.KeyVault/vaults/write"));
    inspection.permissions(&Scope::Service(SERVICE.parse().unwrap())).await.unwrap();
    let seen = world.fake.seen();
    assert_eq!(
        seen[0].target,
        format!("{VAULT_ID}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01")
    );
    assert_eq!(seen[2].path(), format!("{SERVICE}/providers/Microsoft.Authorization/permissions"));
    assert!(
        seen.iter().all(|seen| seen.method == "GET" && seen.header("authorization").starts_with("Bearer "))
    );
    let counted = world.azure.calls();
    let of = |count: &&certroll_azure::CallCount| count.operation == Operation::Permissions;
    assert!(counted.iter().find(of).is_some_and(|count| count.outcome == Outcome::Ok && count.count == 4));
}

#[tokio::test]
async fn who_may_not_ask_is_told() {
    let world = world(|_, _| Reply::error(403, "AuthorizationFailed")).await;
    let refused = world.azure.inspection().permissions(&Scope::Vault(vault())).await.unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Forbidden);
}

#[tokio::test]
async fn a_vault_tells_by_what_it_decides() {
    for (flag, access) in [
        (json!(true), AccessModel::Roles),
        (json!(false), AccessModel::Policies),
        (json!(null), AccessModel::Policies),
    ] {
        let body = json!({ "location": "China East 2",
            "properties": { "enabledForDeployment": true, "enableRbacAuthorization": flag } });
        let world = world(move |_, _| Reply::json(200, &body)).await;
        let seen = world.azure.inspection().vault(&vault()).await.unwrap();
        assert_eq!((seen.access, seen.resource.location.as_str()), (access, "chinaeast2"));
        assert!(seen.resource.enabled_for_deployment);
    }
}

#[tokio::test]
async fn event_subscriptions_are_those_of_webhooks() {
    let world = world(|_, _| {
        Reply::json(
            200,
            &json!({ "value": [
                { "name": "queue", "properties": { "destination": { "endpointType": "StorageQueue" } } },
                { "name": "certroll", "properties": { "destination": { "endpointType": "WebHook",
                    "properties": { "endpointBaseUrl": "https://certroll.contoso.com/events" } } } }] }),
        )
    })
    .await;
    let found = world.azure.inspection().event_subscriptions(&vault()).await.unwrap();
    assert_eq!(found.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["certroll"]);
    let target = &world.fake.seen()[0].target;
    let expected =
        format!("{VAULT_ID}/providers/Microsoft.EventGrid/eventSubscriptions?api-version=2022-06-15");
    assert_eq!(target, &expected);
}

#[tokio::test]
async fn the_time_is_asked_for_without_a_token_and_once() {
    let date = "Mon, 23 Nov 2026 08:30:00 GMT";
    let world = world(move |_, _| Reply::error(401, "Unauthorized").with("date", date)).await;
    for (server, host) in
        [(Server::ResourceManager, MANAGEMENT), (Server::Vault("shop-kv".parse().unwrap()), VAULT)]
    {
        let time = world.azure.inspection().server_time(&server).await.unwrap();
        assert_eq!(time.server, "2026-11-23T08:30:00Z".parse().unwrap());
        assert!(time.asked <= time.answered);
        let seen = world.fake.seen();
        let last = seen.last().unwrap();
        assert_eq!((last.host.as_str(), last.header("authorization")), (host, ""));
    }
    assert_eq!((world.fake.seen().len(), world.fake.token_requests().len()), (2, 0));
    let dateless = crate::world::world(|_, _| Reply::text(503, "")).await;
    let refused = dateless.azure.inspection().server_time(&Server::ResourceManager).await.unwrap_err();
    assert_eq!(refused.kind(), FaultKind::Malformed);
}
