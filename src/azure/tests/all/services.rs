//! Cloud services: the PUT above all.

use std::time::Duration;

use certroll_azure::{AzureOptions, Operation, Outcome, Proxy};
use certroll_core::id::CloudServiceId;
use certroll_core::ports::{FaultKind, PortError};
use certroll_core::target::cloud_service::{
    InstanceState, OperationHandle, OperationStatus, ProvisioningState, PutBody,
};
use serde_json::{Value, json};

use crate::fake::{Reply, Seen};
use crate::world::{MANAGEMENT, World, world, world_with};

const SERVICE: &str =
    "/subscriptions/0b1f6471/resourceGroups/shop/providers/Microsoft.Compute/cloudServices/shop";
const OPERATION: &str = "https://management.chinacloudapi.cn/subscriptions/0b1f6471/providers/Microsoft.Compute/locations/chinaeast2/CsOperations/509f?api-version=2022-04-04";

fn service() -> CloudServiceId {
    SERVICE.parse().unwrap()
}

fn body() -> PutBody {
    serde_json::from_value(json!({ "location": "chinaeast2", "properties": { "configuration": "<x/>" } }))
        .unwrap()
}

fn resource(state: &str) -> Value {
    json!({ "id": SERVICE, "name": "shop", "location": "China East 2",
        "properties": { "configuration": "<x/>", "provisioningState": state } })
}

async fn put(
    change: impl FnOnce(&mut AzureOptions),
    reply: impl Fn() -> Reply + Send + Sync + 'static,
) -> (World, Result<OperationHandle, PortError>) {
    let world = world_with(change, move |_, _| reply()).await;
    let outcome = world.azure.cloud_services().put(&service(), &body()).await;
    (world, outcome.map(|accepted| accepted.operation))
}

#[tokio::test]
async fn a_put_is_sent_once_and_its_fate_is_told() {
    type Case = (&'static str, fn() -> Reply, FaultKind, &'static str);
    let cases: [Case; 12] = [
        ("cut after the body", || Reply::Cut, FaultKind::Unreachable, "ambiguous"),
        ("cut in the answer", || Reply::CutBody, FaultKind::Unreachable, "ambiguous"),
        ("no answer", || Reply::Hang, FaultKind::TimedOut, "ambiguous"),
        ("500", || Reply::error(500, "InternalOperationError"), FaultKind::ServiceFault, "ambiguous"),
        ("503", || Reply::text(503, "<html>"), FaultKind::ServiceFault, "ambiguous"),
        ("408", || Reply::text(408, ""), FaultKind::TimedOut, "ambiguous"),
        ("204", || Reply::text(204, ""), FaultKind::Malformed, "ambiguous"),
        ("409", || Reply::error(409, "Conflict"), FaultKind::Conflict, "retryable"),
        (
            "429",
            || Reply::error(429, "TooManyRequests").with("retry-after", "33"),
            FaultKind::Throttled,
            "retryable",
        ),
        ("400", || Reply::error(400, "InvalidParameter"), FaultKind::Refused, "permanent"),
        ("403", || Reply::error(403, "AuthorizationFailed"), FaultKind::Forbidden, "permanent"),
        ("404", || Reply::error(404, "ResourceNotFound"), FaultKind::NotFound, "permanent"),
    ];
    for (name, reply, kind, class) in cases {
        let (world, outcome) = put(|options| options.limits.call = Duration::from_millis(700), reply).await;
        let fault = outcome.unwrap_err();
        let found = match &fault {
            PortError::Retryable { .. } => "retryable",
            PortError::Permanent(_) => "permanent",
            PortError::Ambiguous(_) => "ambiguous",
        };
        assert_eq!((fault.kind(), found), (kind, class), "{name}: {fault}");
        assert_eq!(world.fake.seen().len(), 1, "{name}");
        assert!(world.clock.slept().is_empty(), "{name}");
        if let PortError::Retryable { after: Some(after), .. } = fault {
            assert_eq!(after.as_secs(), 33);
        }
        let counts = world.azure.calls();
        assert_eq!((counts[0].operation, counts[0].outcome), (Operation::ServicePut, Outcome::Fault(kind)));
    }
}

#[tokio::test]
async fn a_put_that_finds_no_connection_was_not_sent() {
    let world = world(|_, _| Reply::json(200, &resource("Succeeded"))).await;
    // A token first; then the way to the cloud is closed.
    let closed = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let mut options = crate::world::options(&world.fake, &world.clock);
    options.network.proxy = Proxy::Url(format!("http://{closed}").parse().unwrap());
    let mut wires = certroll_azure::Wires::new(&options).unwrap();
    let open = certroll_azure::Wires::new(&crate::world::options(&world.fake, &world.clock)).unwrap();
    wires.cloud = std::sync::Arc::new(TokensOnly { tokens: open.cloud, rest: wires.cloud });
    let azure = certroll_azure::Azure::over(&options, wires).unwrap();
    let fault = azure.cloud_services().put(&service(), &body()).await.unwrap_err();
    assert!(matches!(fault, PortError::Retryable { .. }), "{fault}");
    assert_eq!(fault.kind(), FaultKind::Unreachable);
    assert_eq!((world.fake.token_requests().len(), world.fake.seen().len()), (1, 0));
}

/// Token requests by one wire, everything else by another.
#[derive(Debug)]
struct TokensOnly {
    tokens: std::sync::Arc<dyn certroll_azure::Transport>,
    rest: std::sync::Arc<dyn certroll_azure::Transport>,
}

#[async_trait::async_trait]
impl certroll_azure::Transport for TokensOnly {
    async fn send(
        &self,
        request: certroll_azure::Outgoing,
    ) -> Result<certroll_azure::Answer, certroll_azure::TransportFault> {
        let wire =
            if request.url.host_str() == Some("login.chinacloudapi.cn") { &self.tokens } else { &self.rest };
        wire.send(request).await
    }
}

#[tokio::test]
async fn an_accepted_put_tells_how_it_is_followed() {
    let location = "https://management.chinacloudapi.cn/x?monitor=true";
    for (asynchronous, location, expected) in [
        (Some(OPERATION), Some(location), OperationHandle::AsyncOperation(OPERATION.to_owned())),
        (None, Some(location), OperationHandle::Location(location.to_owned())),
        (None, None, OperationHandle::ProvisioningState),
    ] {
        let (world, outcome) = put(
            |_| {},
            move || {
                let mut reply = Reply::json(200, &resource("Updating")).with("x-ms-request-id", "509f").with(
                    "x-ms-ratelimit-remaining-resource",
                    "Microsoft.Compute/CreateUpdateDeleteCloudServiceOperations30Min;288",
                );
                for (name, value) in [("Azure-AsyncOperation", asynchronous), ("Location", location)] {
                    if let Some(value) = value {
                        reply = reply.with(name, value);
                    }
                }
                reply
            },
        )
        .await;
        assert_eq!(outcome.unwrap(), expected);
        let seen = &world.fake.seen()[0];
        assert_eq!((seen.host.as_str(), seen.method.as_str()), (MANAGEMENT, "PUT"));
        assert_eq!(seen.target, format!("{SERVICE}?api-version=2022-04-04"));
        assert_eq!(serde_json::from_str::<Value>(&seen.body).unwrap(), *body().value());
        assert!(seen.header("content-type").starts_with("application/json"));
        let quota = world.azure.quota();
        assert_eq!((quota.len(), quota[0].remaining), (1, 288));
    }
}

#[tokio::test]
async fn a_refused_token_on_a_put() {
    let first = world(|_, _| Reply::error(401, "ExpiredAuthenticationToken")).await;
    let fault = first.azure.cloud_services().put(&service(), &body()).await.unwrap_err();
    assert!(matches!(fault, PortError::Permanent(_)), "a token that was just given: {fault}");
    assert_eq!((first.fake.seen().len(), first.fake.token_requests().len()), (1, 1));

    let served = world(|seen, _| match (seen.method.as_str(), seen.header("authorization")) {
        ("PUT", "Bearer canary-token-1") => Reply::error(401, "ExpiredAuthenticationToken"),
        _ => Reply::json(200, &resource("Succeeded")),
    })
    .await;
    let services = served.azure.cloud_services();
    services.read(&service()).await.unwrap();
    served.clock.step(120);
    let fault = services.put(&service(), &body()).await.unwrap_err();
    assert!(matches!(fault, PortError::Retryable { .. }), "{fault}");
    services.put(&service(), &body()).await.unwrap();
    assert_eq!(served.fake.token_requests().len(), 2);
}

#[tokio::test]
async fn operations_are_followed_on_their_host_only() {
    let world = world(|seen, before| match (seen.path(), before) {
        (path, 0) if path.contains("CsOperations") => {
            Reply::json(200, &json!({ "status": "InProgress" })).with("retry-after", "17")
        }
        (path, 1) if path.contains("CsOperations") => Reply::json(200, &json!({ "status": "Succeeded" })),
        (path, _) if path.contains("CsOperations") => {
            Reply::json(200, &json!({ "status": "Failed", "error": { "code": "A", "details": [{ "code": "B", "message": "c" }] } }))
        }
        ("/location", _) => Reply::error(400, "InvalidParameter"),
        ("/gone", _) => Reply::error(404, "NotFound"),
        _ => Reply::json(200, &resource("Canceled")),
    })
    .await;
    let services = world.azure.cloud_services();
    let follow = async |handle: OperationHandle| services.operation(&service(), &handle).await;
    let asynchronous = || OperationHandle::AsyncOperation(OPERATION.to_owned());
    let wait = Some(Duration::from_secs(17));
    assert_eq!(follow(asynchronous()).await, Ok(OperationStatus::InProgress { retry_after: wait }));
    assert_eq!(follow(asynchronous()).await, Ok(OperationStatus::Succeeded));
    let failed = |status: Result<OperationStatus, PortError>| match status {
        Ok(OperationStatus::Failed(failure)) => failure.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(failed(follow(asynchronous()).await), "B: c");
    let at = |path: &str| OperationHandle::Location(format!("https://{MANAGEMENT}{path}"));
    assert_eq!(failed(follow(at("/location")).await), "InvalidParameter: what happened");
    assert_eq!(follow(at("/gone")).await.unwrap_err().kind(), FaultKind::NotFound);
    assert_eq!(
        failed(follow(OperationHandle::ProvisioningState).await),
        "Canceled: the service gave no reason"
    );

    let before = world.fake.seen().len();
    for url in [
        "https://evil.example/operation",
        "https://management.azure.com/operation",
        "https://login.chinacloudapi.cn/operation",
        "http://management.chinacloudapi.cn/operation",
        "https://management.chinacloudapi.cn:444/operation",
        "https://management.chinacloudapi.cn@evil.example/operation",
    ] {
        for handle in
            [OperationHandle::AsyncOperation(url.to_owned()), OperationHandle::Location(url.to_owned())]
        {
            let fault = follow(handle).await.unwrap_err();
            assert!(matches!(fault, PortError::Permanent(_)));
            assert_eq!(fault.kind(), FaultKind::ForeignHost, "{url}");
        }
    }
    assert_eq!(world.fake.seen().len(), before);
    assert!(!world.fake.connects().iter().any(|host| host.contains("evil") || host.contains("azure.com")));
}

#[tokio::test]
async fn services_instances_and_vaults_are_read() {
    let world = world(|seen: &Seen, _| {
        let below = seen.path().strip_prefix(SERVICE).unwrap_or(seen.path());
        match (seen.method.as_str(), below) {
            ("GET", "") => Reply::json(200, &resource("Succeeded")),
            ("GET", "/subscriptions/0b1f6471/providers/Microsoft.Compute/cloudServices") => {
                let more = seen.target.contains("page=2");
                let next = format!("https://{MANAGEMENT}{}?page=2", seen.path());
                let next = if more { Value::Null } else { json!(next) };
                Reply::json(200, &json!({ "value": [resource("Succeeded")], "nextLink": next }))
            }
            ("GET", "/roleInstances") => Reply::json(
                200,
                &json!({ "value": [{ "name": "Web_IN_0", "properties": { "instanceView": {
                    "platformUpdateDomain": 1, "statuses": [{ "code": "RoleState/RoleStateStarted" }] } } }] }),
            ),
            ("GET", "/updateDomains") => Reply::json(
                200,
                &json!({ "value": [
                    { "id": format!("{SERVICE}/updateDomains/1"), "name": "1" },
                    { "id": format!("{SERVICE}/updateDomains/0"), "name": "0" },
                ] }),
            ),
            ("PUT", "/updateDomains/1") => Reply::text(202, "").with("Azure-AsyncOperation", OPERATION),
            ("GET", path) if path.ends_with("/vaults/shop-kv") => Reply::json(
                200,
                &json!({ "location": "China East 2", "properties": { "enabledForDeployment": true } }),
            ),
            _ => Reply::error(404, "ResourceNotFound"),
        }
    })
    .await;
    let services = world.azure.cloud_services();
    let model = services.read(&service()).await.unwrap();
    assert_eq!(model.provisioning_state(), ProvisioningState::Succeeded);
    assert_eq!(services.list("0b1f6471").await.unwrap().len(), 2);
    let fault = services.list("0b1f/../x?y").await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Refused);
    let instances = services.instances(&service()).await.unwrap();
    assert_eq!((instances[0].update_domain, &instances[0].state), (Some(1), &InstanceState::Started));
    assert_eq!(services.update_domains(&service()).await.unwrap(), [0, 1]);
    let handle = services.walk_update_domain(&service(), 1).await.unwrap();
    assert_eq!(handle, OperationHandle::AsyncOperation(OPERATION.to_owned()));
    let vault =
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/Shop-KV".parse().unwrap();
    let vault = services.vault(&vault).await.unwrap();
    assert_eq!((vault.location.as_str(), vault.enabled_for_deployment), ("chinaeast2", true));
    let seen = world.fake.seen();
    let expanded = seen.iter().find(|seen| seen.path().ends_with("roleInstances")).unwrap();
    assert!(expanded.target.contains("%24expand=instanceView"), "{}", expanded.target);
    let walk = seen.iter().find(|seen| seen.method == "PUT").unwrap();
    assert_eq!((walk.header("content-length"), walk.body.as_str()), ("0", ""));
    let resource = seen.last().unwrap();
    assert_eq!(
        resource.target,
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/shop-kv?api-version=2026-02-01"
    );
    assert_eq!(world.fake.token_requests().len(), 1);
}
