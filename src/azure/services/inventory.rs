//! What is deployed: subscriptions, the key vaults of one, and the public addresses by which services are reached.

use async_trait::async_trait;
use certroll_core::id::{PublicAddressId, SourceVaultId};
use certroll_core::ports::{Inventory, PortError, PublicAddress, Subscription};

use super::Services;
use crate::call::{Misread, Node, Operation, Subject};
use crate::words::printable;

/// api-version of the list of subscriptions, with all that is read of it here.
///
/// Source: `Subscriptions_List` in Microsoft's specification of Microsoft.Resources, 2020-01-01, in pages. An old one, so that
/// every cloud should answer it, which no document says.
const SUBSCRIPTIONS_API_VERSION: &str = "2020-01-01";
/// api-version of Microsoft.Network/publicIPAddresses, old enough that every cloud should answer it, which no document says.
///
/// Source: `publicIpAddress.json` in Microsoft's specification of Microsoft.Network, 2020-11-01.
const NETWORK_API_VERSION: &str = "2020-11-01";

#[async_trait]
impl Inventory for Services {
    async fn subscriptions(&self) -> Result<Vec<Subscription>, PortError> {
        let doing = "listing the subscriptions".to_owned();
        let call = self.call(
            Operation::SubscriptionList,
            doing,
            "/subscriptions",
            SUBSCRIPTIONS_API_VERSION,
            Subject::Subscription,
        )?;
        self.caller.read_pages(call, |item| subscription(item).map(Some)).await
    }

    async fn vaults(&self, subscription: &str) -> Result<Vec<SourceVaultId>, PortError> {
        let doing = format!("listing the key vaults of subscription `{}`", printable(subscription));
        let version = &self.caller.cloud.vault_resource_api_version;
        let below = "providers/Microsoft.KeyVault/vaults";
        let call =
            self.in_subscription(Operation::VaultResourceList, doing, (subscription, below), version)?;
        self.caller
            .read_pages(call, |item| {
                let id = item.required("id", "the resource id of a key vault")?;
                id.text()?.parse().map(Some).map_err(|_| id.unlike("the resource id of a key vault"))
            })
            .await
    }

    async fn public_address(&self, address: &PublicAddressId) -> Result<PublicAddress, PortError> {
        let doing = format!("reading public IP address `{}`", address.name());
        let path = address.to_string();
        let call =
            self.call(Operation::PublicAddress, doing, &path, NETWORK_API_VERSION, Subject::PublicAddress)?;
        let value = self.caller.read_json(&call).await?;
        public_address(&Node::root(&value)).map_err(|misread| call.malformed(&misread))
    }
}

/// One item of the list. Source: Microsoft's reference of `Subscriptions - List`, which names the states.
fn subscription(item: &Node<'_>) -> Result<Subscription, Misread> {
    let id = item.required("subscriptionId", "the subscription's id")?.text()?.to_owned();
    let name = item.text_of("displayName")?.map(printable).filter(|name| !name.is_empty());
    let state = item.text_of("state")?.unwrap_or_default();
    let readable = !["Disabled", "Deleted"].iter().any(|gone| gone.eq_ignore_ascii_case(state));
    Ok(Subscription { id, name, readable })
}

/// `dnsSettings` is absent where nobody chose a DNS name label.
fn public_address(root: &Node<'_>) -> Result<PublicAddress, Misread> {
    let properties = root.required("properties", "an object")?;
    let fqdn = match properties.member("dnsSettings") {
        Some(settings) => settings.text_of("fqdn")?.map(|name| name.trim_end_matches('.').to_owned()),
        None => None,
    };
    Ok(PublicAddress { fqdn: fqdn.filter(|name| !name.is_empty()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn subscriptions_that_are_gone_are_not_read() {
        for (item, expected) in [
            (
                json!({ "subscriptionId": "s", "displayName": "Shop", "state": "Enabled" }),
                Some((Some("Shop"), true)),
            ),
            (json!({ "subscriptionId": "s", "state": "Warned" }), Some((None, true))),
            (json!({ "subscriptionId": "s", "state": "disabled", "displayName": "" }), Some((None, false))),
            (json!({ "subscriptionId": "s" }), Some((None, true))),
            (json!({ "id": "/subscriptions/s" }), None),
            (json!({ "subscriptionId": 1 }), None),
        ] {
            let found = subscription(&Node::root(&item)).ok();
            let found = found.as_ref().map(|found| (found.name.as_deref(), found.readable));
            assert_eq!(found, expected, "{item}");
        }
    }

    #[test]
    fn the_dns_name_of_an_address_may_be_absent() {
        for (properties, expected) in [
            (
                json!({ "dnsSettings": { "domainNameLabel": "shop", "fqdn": "shop.x.cloudapp.azure.com." } }),
                Some("shop.x.cloudapp.azure.com"),
            ),
            (json!({ "dnsSettings": { "fqdn": "" } }), None),
            (json!({ "dnsSettings": null }), None),
            (json!({ "ipAddress": "192.0.2.1" }), None),
        ] {
            let address = public_address(&Node::root(&json!({ "properties": properties }))).unwrap();
            assert_eq!(address.fqdn.as_deref(), expected, "{properties}");
        }
        assert!(public_address(&Node::root(&json!({}))).is_err());
        assert!(
            public_address(&Node::root(&json!({ "properties": { "dnsSettings": { "fqdn": 4 } } }))).is_err()
        );
    }
}
