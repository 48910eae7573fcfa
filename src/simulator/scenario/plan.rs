//! A cloud service to be set up as if it had been running for long.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{RESOURCE_GROUP, SUBSCRIPTION, Stored};
use crate::arm::addresses::PublicAddress;
use crate::cloud::Cloud;
use crate::service::cscfg::Cscfg;
use crate::service::instance::Holdings;
use crate::service::model::{CertificateReference, Model, SecretGroup, UpgradeMode};
use crate::service::{Endpoint, Service, ServiceId};

/// What a service shall be.
#[derive(Clone, Debug)]
pub struct ServicePlan {
    id: ServiceId,
    location: String,
    roles: Vec<RolePlan>,
    configuration: Option<String>,
    endpoints: Vec<Endpoint>,
    surplus: Vec<Stored>,
    upgrade_mode: UpgradeMode,
    tags: Option<Map<String, Value>>,
    zones: Option<Vec<String>>,
    extensions: Vec<Value>,
    update_domains: u32,
    powered: bool,
}

#[derive(Clone, Debug)]
struct RolePlan {
    name: String,
    instances: u32,
    settings: Vec<(String, String)>,
    certificates: Vec<(String, Stored)>,
}

impl ServicePlan {
    /// A service of the scenario's subscription and group.
    pub fn new(name: &str, location: &str) -> Self {
        Self {
            id: ServiceId::new(SUBSCRIPTION, RESOURCE_GROUP, name),
            location: location.to_owned(),
            roles: Vec::new(),
            configuration: None,
            endpoints: Vec::new(),
            surplus: Vec::new(),
            upgrade_mode: UpgradeMode::Auto,
            tags: None,
            zones: None,
            extensions: Vec::new(),
            update_domains: 5,
            powered: true,
        }
    }

    /// In another subscription and group.
    #[must_use]
    pub fn at(mut self, subscription: &str, group: &str) -> Self {
        self.id = ServiceId::new(subscription, group, &self.id.name);
        self
    }

    /// With a role more.
    #[must_use]
    pub fn role(mut self, name: &str, instances: u32) -> Self {
        let (settings, certificates) = (Vec::new(), Vec::new());
        self.roles.push(RolePlan { name: name.to_owned(), instances, settings, certificates });
        self
    }

    /// With a setting in the role added last.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        let role = self.roles.last_mut().expect("a setting belongs to a role");
        role.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a certificate in the role added last.
    #[must_use]
    pub fn certificate(mut self, name: &str, stored: &Stored) -> Self {
        let role = self.roles.last_mut().expect("a certificate belongs to a role");
        role.certificates.push((name.to_owned(), stored.clone()));
        self
    }

    /// With a reference that no certificate of the cscfg names.
    #[must_use]
    pub fn surplus(mut self, stored: &Stored) -> Self {
        self.surplus.push(stored.clone());
        self
    }

    /// With a TLS endpoint of a role.
    #[must_use]
    pub fn endpoint(mut self, name: &str, role: &str, certificate: &str) -> Self {
        self.endpoints.push(Endpoint {
            name: name.to_owned(),
            role: role.to_owned(),
            certificate: certificate.to_owned(),
            chain: None,
        });
        self
    }

    /// With this text as its cscfg, instead of a generated one. Roles, counts and certificates must agree with the
    /// plan; `{Role|Name}` stands for the thumbprint of a certificate of the plan.
    #[must_use]
    pub fn configuration(mut self, text: &str) -> Self {
        self.configuration = Some(text.to_owned());
        self
    }

    /// With this way to walk update domains.
    #[must_use]
    pub fn upgrade_mode(mut self, mode: UpgradeMode) -> Self {
        self.upgrade_mode = mode;
        self
    }

    /// With a tag more.
    #[must_use]
    pub fn tag(mut self, name: &str, value: &str) -> Self {
        self.tags.get_or_insert_default().insert(name.to_owned(), json!(value));
        self
    }

    /// In this zone.
    #[must_use]
    pub fn zone(mut self, zone: &str) -> Self {
        self.zones.get_or_insert_default().push(zone.to_owned());
        self
    }

    /// With an extension, protected settings included.
    #[must_use]
    pub fn extension(mut self, extension: Value) -> Self {
        self.extensions.push(extension);
        self
    }

    /// With so many update domains.
    #[must_use]
    pub fn update_domains(mut self, count: u32) -> Self {
        self.update_domains = count;
        self
    }

    /// Powered off.
    #[must_use]
    pub fn powered_off(mut self) -> Self {
        self.powered = false;
        self
    }

    /// Adds the service to a cloud.
    ///
    /// # Panics
    /// If its cscfg does not parse.
    pub fn build(self, cloud: &mut Cloud) -> &mut Service {
        let configuration = self.text();
        let cscfg = Cscfg::parse(&configuration).expect("a scenario's cscfg parses");
        let mut groups: Vec<SecretGroup> = Vec::new();
        let mut delivered = BTreeMap::new();
        let named = self.roles.iter().flat_map(|role| &role.certificates).map(|(_, stored)| stored);
        for stored in named.chain(&self.surplus) {
            if delivered.insert(stored.url.to_ascii_lowercase(), stored.delivered.clone()).is_some() {
                continue;
            }
            let vault_id = cloud.vault(&stored.vault).expect("the certificate's vault exists").resource_id();
            let reference = CertificateReference { url: stored.url.clone(), bootstrap: None };
            match groups.iter_mut().find(|group| group.vault_id == vault_id) {
                Some(group) => group.certificates.push(reference),
                None => groups.push(SecretGroup { vault_id, certificates: vec![reference] }),
            }
        }
        let holdings = |role: &RolePlan| Holdings {
            certificates: role
                .certificates
                .iter()
                .map(|(name, one)| (name.clone(), one.delivered.clone()))
                .collect(),
        };
        let desired = self
            .roles
            .iter()
            .map(|role| (role.name.to_ascii_lowercase(), Arc::new(holdings(role))))
            .collect();
        let model = Model {
            tags: self.tags.clone(),
            zones: self.zones.clone(),
            configuration,
            upgrade_mode: self.upgrade_mode,
            roles: self.roles.iter().map(role_profile).collect(),
            secrets: groups,
            network: self.network(),
            extensions: self.extensions.clone(),
            allow_model_override: false,
        };
        let mut service =
            Service::running(self.id, &self.location, model, cscfg, self.update_domains, cloud.now());
        service.endpoints = self.endpoints;
        service.deliver_now(delivered, desired);
        if !self.powered {
            service.power_off_now();
        }
        let (at, name) =
            ((service.id.subscription.as_str(), service.id.resource_group.as_str()), &service.id.name);
        cloud.public_addresses.push(PublicAddress::labelled(
            &cloud.names,
            at,
            &format!("{name}-ip"),
            &service.location,
            name,
        ));
        cloud.services.push(service);
        cloud.services.last_mut().expect("one was just added")
    }

    fn text(&self) -> String {
        match &self.configuration {
            Some(text) => {
                let mut text = text.clone();
                for role in &self.roles {
                    for (name, stored) in &role.certificates {
                        text = text.replace(&format!("{{{}|{name}}}", role.name), &stored.thumbprint);
                    }
                }
                text
            }
            None => self.generated(),
        }
    }

    /// In the form that Visual Studio writes: declaration, comment, CRLF, two spaces.
    fn generated(&self) -> String {
        let mut roles = String::new();
        for role in &self.roles {
            let _ = write!(
                roles,
                "  <Role name=\"{}\">\n    <Instances count=\"{}\" />\n",
                role.name, role.instances
            );
            if !role.settings.is_empty() {
                roles.push_str("    <ConfigurationSettings>\n");
                for (name, value) in &role.settings {
                    let _ = writeln!(roles, "      <Setting name=\"{name}\" value=\"{value}\" />");
                }
                roles.push_str("    </ConfigurationSettings>\n");
            }
            if !role.certificates.is_empty() {
                roles.push_str("    <Certificates>\n");
                for (name, stored) in &role.certificates {
                    let _ = writeln!(
                        roles,
                        "      <Certificate name=\"{name}\" thumbprint=\"{}\" thumbprintAlgorithm=\"sha1\" />",
                        stored.thumbprint
                    );
                }
                roles.push_str("    </Certificates>\n");
            }
            roles.push_str("  </Role>\n");
        }
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- Generated for {name}. -->\n<ServiceConfiguration \
             serviceName=\"{name}\" xmlns=\"http://schemas.microsoft.com/ServiceHosting/2008/10/ServiceConfiguration\" \
             osFamily=\"6\" osVersion=\"*\" schemaVersion=\"2015-04.2.6\">\n{roles}  <NetworkConfiguration>\n    \
             <VirtualNetworkSite name=\"{name}-vnet\" />\n  </NetworkConfiguration>\n</ServiceConfiguration>",
            name = self.id.name
        );
        text.replace('\n', "\r\n")
    }

    fn network(&self) -> Value {
        let address = format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Network/publicIPAddresses/{}-ip",
            self.id.subscription, self.id.resource_group, self.id.name
        );
        json!({
            "slotType": "Production",
            "loadBalancerConfigurations": [{
                "name": format!("{}-lb", self.id.name),
                "properties": { "frontendIpConfigurations": [{
                    "name": format!("{}-fe", self.id.name),
                    "properties": { "publicIPAddress": { "id": address } },
                }] },
            }],
        })
    }
}

fn role_profile(role: &RolePlan) -> Value {
    json!({ "name": role.name, "sku": { "name": "Standard_D1_v2", "tier": "Standard", "capacity": role.instances } })
}
