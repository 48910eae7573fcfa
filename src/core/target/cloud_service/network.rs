//! What a service's `networkProfile` tells: by which public addresses it is reached.

use serde_json::Value;

use super::CloudServiceModel;
use crate::id::PublicAddressId;

/// A member by its name without case: versions of the interface disagree about `frontendIpConfigurations`.
fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn items<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    member(value, name).and_then(Value::as_array).into_iter().flatten()
}

impl CloudServiceModel {
    /// The public addresses of the service's load balancers, each once, in their order. An id that cannot be understood
    /// is left out: nothing can be asked about it.
    pub fn public_addresses(&self) -> Vec<PublicAddressId> {
        let profile =
            member(self.value(), "properties").and_then(|properties| member(properties, "networkProfile"));
        let mut found: Vec<PublicAddressId> = Vec::new();
        let balancers = profile.into_iter().flat_map(|profile| items(profile, "loadBalancerConfigurations"));
        let frontends = balancers
            .filter_map(|balancer| member(balancer, "properties"))
            .flat_map(|properties| items(properties, "frontendIpConfigurations"));
        for frontend in frontends {
            let id = member(frontend, "properties")
                .and_then(|properties| member(properties, "publicIPAddress"))
                .and_then(|address| member(address, "id"))
                .and_then(Value::as_str)
                .and_then(|text| text.parse().ok());
            if let Some(id) = id
                && !found.contains(&id)
            {
                found.push(id);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn addresses_are_found_in_both_spellings_and_once() {
        let address = |name: &str| {
            format!(
                "/subscriptions/s/resourceGroups/shop/providers/Microsoft.Network/publicIPAddresses/{name}"
            )
        };
        let frontend = |id: &str| json!({ "name": "fe", "properties": { "publicIPAddress": { "id": id } } });
        let model = CloudServiceModel::new(json!({ "properties": { "networkProfile": { "loadBalancerConfigurations": [
            { "name": "a", "properties": { "frontendIPConfigurations": [frontend(&address("one")), frontend(&address("ONE"))] } },
            { "name": "b", "properties": { "frontendIpConfigurations": [
                frontend("nothing"), frontend(&address("two")),
                { "name": "inner", "properties": { "privateIPAddress": "10.0.0.4" } },
            ] } },
            { "name": "c" },
        ] } } }))
        .unwrap();
        let names: Vec<String> =
            model.public_addresses().iter().map(|address| address.name().to_owned()).collect();
        assert_eq!(names, ["one", "two"]);
        assert!(CloudServiceModel::new(json!({})).unwrap().public_addresses().is_empty());
    }
}
