//! What a service's state looks like from outside: instance view, role instances, roles, update domains. Shapes: the
//! recordings of Get-AzCloudServiceInstanceView and Get-AzCloudServiceRoleInstance.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::clock::utc_with_offset;
use crate::service::Service;
use crate::service::instance::Instance;
use crate::service::model::ProvisioningState;
use crate::switches::UpgradeDomainShown;

/// Version of the SDK that made the package, from the recordings.
const SDK_VERSION: &str = "2.9.6496.3";
/// Machines in one fault domain's turn: the recordings show two.
const FAULT_DOMAINS: u32 = 2;

/// The whole service.
pub(crate) fn instance_view(service: &Service, shown: UpgradeDomainShown) -> Value {
    let count = service.instances.len();
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for instance in &service.instances {
        *states.entry(instance.state.word()).or_default() += 1;
    }
    let (power, power_name) = if service.powered { ("started", "Started") } else { ("stopped", "Stopped") };
    let provisioning = match service.provisioning_state() {
        ProvisioningState::Updating => "updating",
        ProvisioningState::Succeeded => "succeeded",
        ProvisioningState::Failed => "failed",
        ProvisioningState::Canceled => "canceled",
    };
    let mut summary = vec![
        json!({ "code": format!("ProvisioningState/{provisioning}"), "count": count }),
        json!({ "code": format!("PowerState/{power}"), "count": count }),
    ];
    summary.extend(
        states.iter().map(|(state, count)| json!({ "code": format!("RoleState/{state}"), "count": count })),
    );
    // Recorded without an update only; zero-based numbers during one are what the field's name and range suggest.
    let current = match shown {
        UpgradeDomainShown::Number => service.current_domain().map_or(-1, i64::from),
        UpgradeDomainShown::Never => -1,
    };
    let highest = service.max_domain();
    let time = utc_with_offset(service.last_modified);
    json!({
        "roleInstance": { "statusesSummary": summary },
        "sdkVersion": SDK_VERSION,
        "privateIds": [service.private_id],
        "statuses": [
            { "code": format!("ProvisioningState/{provisioning}"), "level": "Info",
              "displayStatus": format!("Provisioning {provisioning}"), "time": time },
            { "code": format!("PowerState/{power}"), "level": "Info", "displayStatus": power_name, "time": time },
            { "code": format!("CurrentUpgradeDomain/{current}"), "level": "Info",
              "displayStatus": format!("Current Upgrade Domain of cloud service is {current}.") },
            { "code": format!("MaxUpgradeDomain/{highest}"), "level": "Info",
              "displayStatus": format!("Max Upgrade Domain of cloud service is {highest}.") },
        ],
    })
}

/// One role instance, its view only on request.
pub(crate) fn role_instance(service: &Service, instance: &Instance, expanded: bool) -> Value {
    let name = instance.name();
    let id = format!("{}/roleInstances/{name}", service.resource_id());
    let sku = sku(service, &instance.role);
    let mut body = json!({
        "name": name,
        "id": id,
        "type": "Microsoft.Compute/cloudServices/roleInstances",
        "location": service.location,
        "sku": { "name": sku["name"], "tier": sku["tier"] },
        "properties": {
            "networkProfile": { "networkInterfaces": [{ "id": format!("{id}/networkInterfaces/nic1") }] },
        },
    });
    if expanded {
        body["properties"]["instanceView"] = role_instance_view(service, instance);
    }
    body
}

/// State and update domain of one instance.
pub(crate) fn role_instance_view(service: &Service, instance: &Instance) -> Value {
    let state = instance.state.word();
    json!({
        "platformUpdateDomain": instance.domain,
        "platformFaultDomain": instance.number % FAULT_DOMAINS,
        "privateId": service.private_id,
        "statuses": [
            { "code": format!("RoleState/{state}"), "level": "Info", "displayStatus": state, "message": "" },
        ],
    })
}

/// The roles.
pub(crate) fn roles(service: &Service) -> Vec<Value> {
    let role = |name: &str| {
        json!({
            "name": name,
            "id": format!("{}/roles/{name}", service.resource_id()),
            "type": "Microsoft.Compute/cloudServices/roles",
            "location": service.location,
            "sku": sku(service, name),
            "properties": { "uniqueId": service.unique_id },
        })
    };
    service.cscfg.roles.iter().map(|one| role(&one.name)).collect()
}

/// One update domain.
pub(crate) fn update_domain(service: &Service, domain: u32) -> Value {
    json!({ "id": format!("{}/updateDomains/{domain}", service.resource_id()), "name": domain.to_string() })
}

fn sku(service: &Service, role: &str) -> Value {
    let named = |one: &&Value| one["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(role));
    let sku = service.model.roles.iter().find(named).map(|one| one["sku"].clone());
    sku.unwrap_or_else(|| json!({ "name": "Standard_D1_v2", "tier": "Standard", "capacity": 1 }))
}
