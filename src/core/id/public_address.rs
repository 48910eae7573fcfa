//! Resource ids of public IP addresses.

use std::fmt;
use std::str::FromStr;

use super::ParseIdError;
use super::cloud_service::resource;

/// The resource id of a public IP address, as a cloud service's `networkProfile` names it. Compared without case.
#[derive(Clone, Debug)]
pub struct PublicAddressId {
    subscription: String,
    resource_group: String,
    name: String,
}

impl PublicAddressId {
    /// The address's own name.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn folded(&self) -> String {
        self.to_string().to_ascii_lowercase()
    }
}

impl FromStr for PublicAddressId {
    type Err = ParseIdError;

    /// # Errors
    /// Anything but a whole resource id of a public IP address.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const KIND: &str = "the id of a public IP address";
        const EXPECTED: &str = "`/subscriptions/<subscription id>/resourceGroups/<group>/providers/Microsoft.Network/publicIPAddresses/<name>`";
        let [subscription, resource_group, name] =
            resource(text, "Microsoft.Network", "publicIPAddresses")
                .map_err(|reason| ParseIdError::new(KIND, text, reason, EXPECTED))?;
        Ok(Self { subscription, resource_group, name })
    }
}

impl fmt::Display for PublicAddressId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Network/publicIPAddresses/{}",
            self.subscription, self.resource_group, self.name
        )
    }
}

impl PartialEq for PublicAddressId {
    fn eq(&self, other: &Self) -> bool {
        self.folded() == other.folded()
    }
}

impl Eq for PublicAddressId {}

impl PartialOrd for PublicAddressId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PublicAddressId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.folded().cmp(&other.folded())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_compared_without_case_and_refused_where_they_name_something_else() {
        let id: PublicAddressId =
            "/subscriptions/S/resourceGroups/shop/providers/Microsoft.Network/publicIPAddresses/shop-ip"
                .parse()
                .unwrap();
        let capitals: PublicAddressId =
            "/subscriptions/s/resourcegroups/SHOP/providers/microsoft.network/publicipaddresses/Shop-IP"
                .parse()
                .unwrap();
        assert_eq!(id, capitals);
        assert_eq!(capitals.name(), "Shop-IP");
        for text in [
            "",
            "shop-ip",
            "/subscriptions/s/resourceGroups/shop/providers/Microsoft.Network/loadBalancers/lb",
            "/subscriptions/s/resourceGroups/shop/providers/Microsoft.Network/publicIPAddresses/..",
            "/subscriptions/s/resourceGroups/shop/providers/Microsoft.Network/publicIPAddresses/a?b",
        ] {
            assert!(text.parse::<PublicAddressId>().is_err(), "{text}");
        }
    }
}
