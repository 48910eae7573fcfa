//! Public IP addresses. Shape: Microsoft's reference of `Public IP Addresses - Get`.

use serde_json::{Value, json};

use super::vaults::method_not_allowed;
use crate::arm::Asked;
use crate::arm::problem::Problem;
use crate::cloud::Cloud;
use crate::message::Reply;
use crate::names::Names;

/// A public IP address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicAddress {
    /// Subscription.
    pub subscription: String,
    /// Resource group.
    pub resource_group: String,
    /// Name.
    pub name: String,
    /// Region.
    pub location: String,
    /// The address: one that is reserved for documents, so that nobody is reached by mistake.
    pub ip_address: String,
    /// `dnsSettings.domainNameLabel` and `dnsSettings.fqdn`, if a label was chosen.
    pub dns: Option<(String, String)>,
}

impl PublicAddress {
    /// An address with a DNS name label, and the name that follows from it in a cloud and region.
    pub fn labelled(names: &Names, at: (&str, &str), name: &str, location: &str, label: &str) -> Self {
        let zone =
            names.resource_manager.strip_prefix("management.").unwrap_or(&names.resource_manager).to_owned();
        let fqdn = format!("{label}.{location}.cloudapp.{zone}");
        Self {
            subscription: at.0.to_owned(),
            resource_group: at.1.to_owned(),
            name: name.to_owned(),
            location: location.to_owned(),
            ip_address: "192.0.2.10".to_owned(),
            dns: Some((label.to_owned(), fqdn)),
        }
    }

    fn to_json(&self) -> Value {
        let mut properties = json!({
            "provisioningState": "Succeeded",
            "ipAddress": self.ip_address,
            "publicIPAddressVersion": "IPv4",
            "publicIPAllocationMethod": "Static",
            "idleTimeoutInMinutes": 4,
            "ipTags": [],
        });
        if let Some((label, fqdn)) = &self.dns {
            properties["dnsSettings"] = json!({ "domainNameLabel": label, "fqdn": fqdn });
        }
        json!({
            "name": self.name,
            "id": format!(
                "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Network/publicIPAddresses/{}",
                self.subscription, self.resource_group, self.name
            ),
            "type": "Microsoft.Network/publicIPAddresses",
            "location": self.location,
            "properties": properties,
            "sku": { "name": "Basic", "tier": "Regional" },
        })
    }
}

/// One address.
pub(crate) fn get(
    cloud: &Cloud,
    asked: &Asked<'_>,
    subscription: &str,
    group: &str,
    name: &str,
) -> Result<Reply, Problem> {
    if asked.request.method != "GET" {
        return Err(method_not_allowed(asked));
    }
    let here = |address: &&PublicAddress| {
        address.subscription.eq_ignore_ascii_case(subscription)
            && address.resource_group.eq_ignore_ascii_case(group)
            && address.name.eq_ignore_ascii_case(name)
    };
    let address = cloud.public_addresses.iter().find(here);
    let kind = "Microsoft.Network/publicIPAddresses";
    let address = address.ok_or_else(|| Problem::resource_not_found(kind, name, group))?;
    Ok(Reply::json(200, address.to_json()))
}
