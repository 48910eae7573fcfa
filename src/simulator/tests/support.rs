//! What the tests share: a shop, a caller with a token, and the bodies of PUTs.

use std::time::Duration;

use certroll_simulator::clock::Pace;
use certroll_simulator::cloud::{Cloud, Outcome};
use certroll_simulator::entra::Caller;
use certroll_simulator::message::{Reply, Request};
use certroll_simulator::scenario::shop::{self, Shop};
use certroll_simulator::scenario::{CLIENT_ID, OBJECT_ID, RESOURCE_GROUP, SUBSCRIPTION, ServicePlan, TENANT};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The api-version of most tests.
pub(crate) const VERSION: &str = "2022-09-04";

/// A shop and a caller who may do everything.
pub(crate) struct World {
    pub(crate) cloud: Cloud,
    pub(crate) shop: Shop,
    pub(crate) version: &'static str,
}

pub(crate) fn start() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|plan| plan)
    }

    pub(crate) fn with(change: impl FnOnce(ServicePlan) -> ServicePlan) -> Self {
        let names = certroll_simulator::names::Names::china();
        let (cloud, shop) = shop::shop_in(names, shop::LOCATION, Pace::Stepped, start(), change);
        Self { cloud, shop, version: VERSION }
    }

    /// Renews everything in the vault.
    pub(crate) fn renew(&mut self) {
        self.cloud.advance(Duration::from_secs(60));
        self.shop.renew(&mut self.cloud);
    }

    pub(crate) fn token(&mut self) -> String {
        let audience = self.cloud.names.resource_manager_audiences[0].clone();
        self.token_for(&audience, 3600)
    }

    pub(crate) fn token_for(&mut self, audience: &str, lifetime: i64) -> String {
        let caller = Caller {
            object_id: OBJECT_ID.to_owned(),
            app_id: CLIENT_ID.to_owned(),
            tenant: TENANT.to_owned(),
        };
        let now = self.cloud.now();
        self.cloud.entra.issue(&caller, audience, now, lifetime)
    }

    pub(crate) fn request(&mut self, method: &str, path: &str, body: Option<&Value>) -> Request {
        let token = self.token();
        let host = self.cloud.names.resource_manager.clone();
        Request {
            method: method.to_owned(),
            url: format!("https://{host}{path}").parse().unwrap(),
            headers: vec![
                ("authorization".to_owned(), format!("Bearer {token}")),
                ("content-type".to_owned(), "application/json; charset=utf-8".to_owned()),
            ],
            body: body.map(|body| body.to_string().into_bytes()).unwrap_or_default(),
        }
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        match self.outcome(method, path, body) {
            Outcome::Answered(reply) => reply,
            other => panic!("not answered: {other:?}"),
        }
    }

    pub(crate) fn outcome(&mut self, method: &str, path: &str, body: Option<&Value>) -> Outcome {
        let request = self.request(method, path, body);
        self.cloud.answer(&request)
    }

    /// A path below the shop's service, with the api-version.
    pub(crate) fn path(&self, below: &str) -> String {
        let separator = if below.contains('?') { '&' } else { '?' };
        format!(
            "/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.Compute/cloudServices/\
             {}{below}{separator}api-version={}",
            shop::SERVICE,
            self.version
        )
    }

    pub(crate) fn get(&mut self, below: &str) -> Value {
        let path = self.path(below);
        let reply = self.send("GET", &path, None);
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body.unwrap()
    }

    pub(crate) fn put(&mut self, body: &Value) -> Reply {
        let path = self.path("");
        self.send("PUT", &path, Some(body))
    }

    /// The body that carries what is in the vault now into the service.
    pub(crate) fn update_body(&mut self) -> Value {
        let model = self.get("");
        let mut configuration = model["properties"]["configuration"].as_str().unwrap().to_owned();
        let service = self.cloud.service(shop::SERVICE).unwrap();
        let (web, shop) = (service.cscfg.role("Web").unwrap(), &self.shop);
        for (name, new) in [
            ("ShopTls", &shop.stored_leaf),
            ("ContosoIntermediate", &shop.stored_intermediate),
            ("ContosoRoot", &shop.stored_root),
        ] {
            configuration =
                configuration.replace(&web.certificate(name).unwrap().thumbprint, &new.thumbprint);
        }
        let vault = self.cloud.vault(shop::VAULT).unwrap().resource_id();
        let urls = [&shop.stored_leaf, &shop.stored_intermediate, &shop.stored_root];
        json!({
            "location": model["location"],
            "tags": model["tags"],
            "properties": {
                "configuration": configuration,
                "upgradeMode": model["properties"]["upgradeMode"],
                "osProfile": { "secrets": [{
                    "sourceVault": { "id": vault },
                    "vaultCertificates":
                        urls.iter().map(|one| json!({ "certificateUrl": one.url })).collect::<Vec<_>>(),
                }] },
            },
        })
    }

    /// Path and query of the poll URL in a reply.
    pub(crate) fn poll_path(reply: &Reply) -> String {
        let url = header(reply, "azure-asyncoperation").expect("a poll URL");
        let url: url::Url = url.parse().unwrap();
        format!("{}?{}", url.path(), url.query().unwrap_or_default())
    }

    pub(crate) fn poll(&mut self, path: &str) -> Value {
        let reply = self.send("GET", path, None);
        assert_eq!(reply.status, 200);
        reply.body.unwrap()
    }

    pub(crate) fn states(&self) -> Vec<&'static str> {
        self.cloud.service(shop::SERVICE).unwrap().instances.iter().map(|one| one.state.word()).collect()
    }

    /// Thumbprints of the leaf on each instance.
    pub(crate) fn leaves(&self) -> Vec<String> {
        let service = self.cloud.service(shop::SERVICE).unwrap();
        service
            .instances
            .iter()
            .map(|one| one.holds.certificate("ShopTls").unwrap().thumbprint.clone())
            .collect()
    }
}

pub(crate) fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

pub(crate) fn code(reply: &Reply) -> &str {
    reply.body.as_ref().and_then(|body| body["error"]["code"].as_str()).unwrap_or_default()
}

pub(crate) fn message(reply: &Reply) -> &str {
    reply.body.as_ref().and_then(|body| body["error"]["message"].as_str()).unwrap_or_default()
}
