//! Who may ask what, in which version, and what lists look like.

use certroll_simulator::arm::rights::{Deploy, Rights};
use certroll_simulator::clock::Pace;
use certroll_simulator::publisher::{Provisioning, SubscriptionRequest};
use certroll_simulator::rates::Bucket;
use certroll_simulator::scenario::{OBJECT_ID, SUBSCRIPTION, fleet};
use certroll_simulator::switches::ListConfiguration;

use crate::support::{World, code, header, message, start};

#[test]
fn a_token_for_resource_manager_is_needed() {
    let mut world = World::new();
    let path = world.path("");
    let mut request = world.request("GET", &path, None);
    let mut refused = |headers: Vec<(String, String)>, world: &mut World| {
        request.headers = headers;
        match world.cloud.answer(&request) {
            certroll_simulator::cloud::Outcome::Answered(reply) => {
                assert_eq!(reply.status, 401);
                assert!(header(&reply, "www-authenticate").unwrap().contains("authorization_uri"));
                code(&reply).to_owned()
            }
            other => panic!("{other:?}"),
        }
    };
    let bearer = |token: String| vec![("authorization".to_owned(), format!("Bearer {token}"))];
    assert_eq!(refused(Vec::new(), &mut world), "AuthenticationFailed");
    assert_eq!(refused(bearer("x".to_owned()), &mut world), "InvalidAuthenticationToken");
    let vault = world.token_for("https://vault.azure.cn", 3600);
    assert_eq!(refused(bearer(vault), &mut world), "InvalidAuthenticationTokenAudience");
    let short = world.token_for("https://management.chinacloudapi.cn", 60);
    world.cloud.advance(std::time::Duration::from_secs(3600));
    assert_eq!(refused(bearer(short), &mut world), "ExpiredAuthenticationToken");
}

#[test]
fn rights_are_data() {
    let mut world = World::new();
    let body = world.update_body();
    let deny = |world: &mut World, rights: Rights| {
        world.cloud.rights.insert(OBJECT_ID.to_owned(), rights);
    };
    deny(&mut world, Rights { deploy: Deploy::Vaults(Vec::new()), ..Rights::all() });
    let reply = world.put(&body);
    assert_eq!((reply.status, code(&reply)), (403, "LinkedAuthorizationFailed"));
    deny(&mut world, Rights { write: false, ..Rights::all() });
    let reply = world.put(&body);
    assert_eq!((reply.status, code(&reply)), (403, "AuthorizationFailed"));
    assert!(message(&reply).contains("Microsoft.Compute/cloudServices/write"));
    deny(&mut world, Rights::none());
    let path = world.path("/instanceView");
    assert!(message(&world.send("GET", &path, None)).contains("instanceView/read"));
    let vault =
        format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.KeyVault/vaults?api-version=2022-07-01");
    assert_eq!(world.send("GET", &vault, None).status, 403);
}

#[test]
fn permissions_tell_the_rights_of_a_caller() {
    let mut world = World::new();
    let service = world.path("/providers/Microsoft.Authorization/permissions");
    let service = format!("{}?api-version=2022-04-01", service.split('?').next().unwrap());
    let all = world.send("GET", &service, None).body.unwrap();
    assert_eq!(all["value"][0]["actions"], serde_json::json!(["*"]));
    let reader = Rights { write: false, deploy: Deploy::Vaults(Vec::new()), ..Rights::all() };
    world.cloud.rights.insert(OBJECT_ID.to_owned(), reader);
    let some = world.send("GET", &service, None).body.unwrap().to_string();
    assert!(some.contains("cloudServices/read") && !some.contains("deploy/action"), "{some}");
    world.cloud.rights.insert(OBJECT_ID.to_owned(), Rights::none());
    assert_eq!(world.send("GET", &service, None).status, 403);
}

#[test]
fn event_subscriptions_are_told_without_their_secrets() {
    let mut world = World::new();
    let (id, name) = {
        let vault = &world.cloud.vaults[0];
        (vault.resource_id(), vault.name.clone())
    };
    let endpoint = "https://certroll.contoso.com/events?code=canary".parse().unwrap();
    let request = SubscriptionRequest::new("certroll", &name, endpoint).header("X-Secret", "canary");
    world.cloud.publisher.found(request, Provisioning::Failed);
    let path = format!("{id}/providers/Microsoft.EventGrid/eventSubscriptions?api-version=2022-06-15");
    let body = world.send("GET", &path, None).body.unwrap();
    assert_eq!(body["value"][0]["properties"]["provisioningState"], "Failed");
    let destination = &body["value"][0]["properties"]["destination"]["properties"];
    assert_eq!(destination["endpointBaseUrl"], "https://certroll.contoso.com/events");
    assert_eq!(destination["deliveryAttributeMappings"][0]["name"], "X-Secret");
    assert!(!body.to_string().contains("canary"), "{body}");
}

#[test]
fn versions_are_checked_and_change_what_is_returned() {
    let mut world = World::with(|plan| plan.zone("1"));
    let path = world.path("");
    let bare = path.split('?').next().unwrap().to_owned();
    assert_eq!(code(&world.send("GET", &bare, None)), "MissingApiVersionParameter");
    let unknown = format!("{bare}?api-version=2024-11-04");
    assert_eq!(code(&world.send("GET", &unknown, None)), "NoRegisteredProviderFound");
    let balancer = |model: &serde_json::Value| {
        let properties =
            &model["properties"]["networkProfile"]["loadBalancerConfigurations"][0]["properties"];
        properties.as_object().unwrap().keys().next().unwrap().clone()
    };
    for (version, system, zones, frontends) in [
        ("2020-10-01-preview", false, false, "frontendIPConfigurations"),
        ("2022-04-04", true, false, "frontendIPConfigurations"),
        ("2022-09-04", true, true, "frontendIpConfigurations"),
    ] {
        world.version = version;
        let model = world.get("");
        assert_eq!(model.get("systemData").is_some(), system);
        assert_eq!(model.get("zones").is_some(), zones);
        assert_eq!(balancer(&model), frontends);
    }
}

#[test]
fn what_is_not_there_is_named() {
    let mut world = World::new();
    let path = world.path("");
    for (from, to, expected) in [
        ("cloudServices/shop", "cloudServices/other", "ResourceNotFound"),
        ("resourceGroups/shop", "resourceGroups/other", "ResourceGroupNotFound"),
        (SUBSCRIPTION, "00000000-0000-0000-0000-000000000000", "SubscriptionNotFound"),
    ] {
        let reply = world.send("GET", &path.replace(from, to), None);
        assert_eq!((reply.status, code(&reply)), (404, expected));
    }
}

#[test]
fn lists_come_in_pages() {
    let (cloud, _) = fleet::fleet(2, 0, 7, Pace::Stepped, start());
    let mut world = World::new();
    world.cloud = cloud;
    world.cloud.page_size = 3;
    let mut next = Some(format!(
        "/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/cloudServices?api-version=2022-04-04"
    ));
    let mut sizes = Vec::new();
    while let Some(path) = next {
        let reply = world.send("GET", &path, None);
        let body = reply.body.unwrap();
        sizes.push(body["value"].as_array().unwrap().len());
        assert!(body["value"][0]["properties"]["configuration"].is_string());
        next = body["nextLink"].as_str().map(|link| {
            let url: url::Url = link.parse().unwrap();
            format!("{}?{}", url.path(), url.query().unwrap())
        });
    }
    assert_eq!(sizes, [3, 3, 1]);
    world.cloud.switches.list_configuration = ListConfiguration::LeftOut;
    let path = format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/SHOP/providers/Microsoft.Compute/cloudServices?api-version=2022-04-04"
    );
    let body = world.send("GET", &path, None).body.unwrap();
    assert_eq!(body["value"][0]["properties"].get("configuration"), None);
}

#[test]
fn vaults_are_resources_too() {
    let mut world = World::new();
    let id = world.cloud.vault("shop-kv").unwrap().resource_id();
    let body = world.send("GET", &format!("{id}?api-version=2022-07-01"), None).body.unwrap();
    assert_eq!(body["properties"]["enabledForDeployment"], true);
    assert_eq!(body["location"], "chinaeast2");
    assert_eq!(body["properties"]["vaultUri"], "https://shop-kv.vault.azure.cn/");
    let gone = world.send("GET", &format!("{}?api-version=2022-07-01", id.replace("shop-kv", "other")), None);
    assert_eq!((gone.status, code(&gone)), (404, "ResourceNotFound"));
    let list =
        format!("/subscriptions/{SUBSCRIPTION}/providers/Microsoft.KeyVault/vaults?api-version=2022-07-01");
    assert_eq!(world.send("GET", &list, None).body.unwrap()["value"][0], body);
}

#[test]
fn replies_count_what_remains_and_an_empty_bucket_refuses() {
    let mut world = World::new();
    let body = world.update_body();
    let reply = world.put(&body);
    let name = "Microsoft.Compute/CreateUpdateDeleteCloudServiceOperations30Min;299";
    assert_eq!(header(&reply, "x-ms-ratelimit-remaining-resource"), Some(format!("{name},{name}").as_str()));
    world.cloud.finish();
    world.cloud.rates.set_limit(Bucket::Write30Min, 1);
    let reply = world.put(&body);
    assert_eq!(reply.status, 429);
    assert!(header(&reply, "retry-after").unwrap().parse::<u32>().unwrap() > 0);
}

#[test]
fn tags_alone_can_be_patched() {
    let mut world = World::new();
    let path = world.path("");
    let reply = world.send("PATCH", &path, Some(&serde_json::json!({ "tags": { "a": "b" } })));
    assert_eq!(reply.body.unwrap()["tags"]["a"], "b");
    let reply = world.send("PATCH", &path, Some(&serde_json::json!({ "properties": {} })));
    assert_eq!(reply.status, 400);
}

#[test]
fn a_restart_is_answered_as_recorded() {
    let mut world = World::new();
    let path = world.path("/restart");
    let reply = world.send("POST", &path, Some(&serde_json::json!({ "roleInstances": ["Web_IN_0"] })));
    assert_eq!((reply.status, &reply.body), (202, &None));
    let location: url::Url = header(&reply, "location").unwrap().parse().unwrap();
    let location = format!("{}?{}", location.path(), location.query().unwrap());
    assert_eq!(world.send("GET", &location, None).status, 202);
    assert_eq!(world.states()[..2], ["RoleStateStopping", "RoleStateStarted"]);
    world.cloud.finish();
    assert_eq!(world.send("GET", &location, None).status, 200);
    let off = world.path("/poweroff");
    world.send("POST", &off, None);
    world.cloud.finish();
    assert_eq!(world.states(), ["RoleStateStopped"; 4]);
    let on = world.path("/start");
    world.send("POST", &on, None);
    world.cloud.finish();
    assert_eq!(world.states(), ["RoleStateStarted"; 4]);
}

#[test]
fn the_public_address_of_a_service_has_a_dns_name_where_a_label_was_chosen() {
    let mut world = World::new();
    let model = world.get("");
    let frontend = &model["properties"]["networkProfile"]["loadBalancerConfigurations"][0]["properties"]["frontendIpConfigurations"]
        [0]["properties"];
    let id = frontend["publicIPAddress"]["id"].as_str().unwrap().to_owned();
    let address = world.send("GET", &format!("{id}?api-version=2020-11-01"), None);
    let properties = &address.body.as_ref().unwrap()["properties"];
    assert_eq!(properties["dnsSettings"]["fqdn"], "shop.chinaeast2.cloudapp.chinacloudapi.cn");

    world.cloud.public_addresses[0].dns = None;
    let address = world.send("GET", &format!("{id}?api-version=2020-11-01"), None);
    assert!(address.body.as_ref().unwrap()["properties"].get("dnsSettings").is_none());

    let unknown = world.send("GET", &format!("{id}?api-version=1999-01-01"), None);
    assert_eq!((unknown.status, code(&unknown)), (400, "NoRegisteredProviderFound"));
    let absent = world.send("GET", &format!("{id}-two?api-version=2020-11-01"), None);
    assert_eq!((absent.status, code(&absent)), (404, "ResourceNotFound"));
    let rights = Rights { read_addresses: false, ..Rights::all() };
    world.cloud.rights.insert(OBJECT_ID.to_owned(), rights);
    let denied = world.send("GET", &format!("{id}?api-version=2020-11-01"), None);
    assert_eq!((denied.status, code(&denied)), (403, "AuthorizationFailed"));
    assert!(message(&denied).contains("publicIPAddresses/read"));
}
