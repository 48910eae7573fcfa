//! Vaults as resources. Shape: Microsoft's documents of Microsoft.KeyVault.

use serde_json::{Value, json};

use crate::arm::problem::Problem;
use crate::arm::{Asked, page};
use crate::cloud::Cloud;
use crate::message::Reply;
use crate::vault::{Access, Permission, Vault};

/// One vault.
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
    find(cloud, subscription, group, name).map(|vault| Reply::json(200, to_json(vault)))
}

/// The vault of that name, if it is there.
pub(crate) fn find<'a>(
    cloud: &'a Cloud,
    subscription: &str,
    group: &str,
    name: &str,
) -> Result<&'a Vault, Problem> {
    let here = |vault: &&Vault| {
        vault.subscription.eq_ignore_ascii_case(subscription)
            && vault.resource_group.eq_ignore_ascii_case(group)
            && vault.name.eq_ignore_ascii_case(name)
    };
    let vault = cloud.vaults.iter().find(here);
    vault.ok_or_else(|| Problem::resource_not_found("Microsoft.KeyVault/vaults", name, group))
}

/// The vaults of a subscription or of a group.
pub(crate) fn list(
    cloud: &Cloud,
    asked: &Asked<'_>,
    subscription: &str,
    group: Option<&str>,
) -> Result<Reply, Problem> {
    if asked.request.method != "GET" {
        return Err(method_not_allowed(asked));
    }
    let vaults = cloud
        .vaults
        .iter()
        .filter(|vault| vault.subscription.eq_ignore_ascii_case(subscription))
        .filter(|vault| group.is_none_or(|group| vault.resource_group.eq_ignore_ascii_case(group)))
        .map(to_json)
        .collect();
    page(asked.request, vaults, cloud.page_size).map(|body| Reply::json(200, body))
}

pub(crate) fn method_not_allowed(asked: &Asked<'_>) -> Problem {
    let message = format!("The method {} is not allowed here.", asked.request.method);
    Problem::new(405, "HttpMethodNotSupported", message)
}

fn to_json(vault: &Vault) -> Value {
    let (rbac, policies) = match &vault.access {
        Access::Rbac(_) => (true, Vec::new()),
        Access::Policies(policies) => {
            let policy = |(object_id, permissions): (&String, &Vec<Permission>)| json!({ "tenantId": vault.tenant, "objectId": object_id, "permissions": by_kind(permissions) });
            (false, policies.iter().map(policy).collect())
        }
    };
    json!({
        "id": vault.resource_id(),
        "name": vault.name,
        "type": "Microsoft.KeyVault/vaults",
        "location": vault.location,
        "tags": {},
        "properties": {
            "sku": { "family": "A", "name": "standard" },
            "tenantId": vault.tenant,
            "accessPolicies": policies,
            "enabledForDeployment": vault.enabled_for_deployment,
            "enabledForTemplateDeployment": false,
            "enableSoftDelete": true,
            "softDeleteRetentionInDays": 90,
            "enableRbacAuthorization": rbac,
            "vaultUri": format!("https://{}/", vault.host()),
            "provisioningState": "Succeeded",
            "publicNetworkAccess": if vault.firewall_closed { "Disabled" } else { "Enabled" },
        },
    })
}

fn by_kind(permissions: &[Permission]) -> Value {
    let (mut certificates, mut secrets) = (Vec::new(), Vec::new());
    for permission in permissions {
        match permission {
            Permission::CertificatesGet => certificates.push("get"),
            Permission::CertificatesList => certificates.push("list"),
            Permission::CertificatesImport => certificates.push("import"),
            Permission::CertificatesUpdate => certificates.push("update"),
            Permission::SecretsGet => secrets.push("get"),
            Permission::SecretsList => secrets.push("list"),
            Permission::SecretsSet => secrets.push("set"),
        }
    }
    json!({ "certificates": certificates, "secrets": secrets, "keys": [] })
}
