//! What a caller may do with a resource. Shape: Microsoft's document of the permissions API, with the actions of its
//! built-in roles Contributor and Reader.

use serde_json::{Value, json};

use super::problem::Problem;
use super::rights::Rights;
use super::route::Route;
use super::{Asked, page, vaults};
use crate::cloud::Cloud;
use crate::message::Reply;

/// The permissions of the caller at a service or a vault, one entry a role.
pub(crate) fn list(cloud: &Cloud, asked: &Asked<'_>, of: &Route) -> Result<Reply, Problem> {
    if asked.request.method != "GET" {
        return Err(vaults::method_not_allowed(asked));
    }
    let vault = match of {
        Route::Vault { name, .. } => Some(name.as_str()),
        _ => None,
    };
    let entries = entries(cloud.rights_of(&asked.caller), vault);
    page(asked.request, entries, cloud.page_size).map(|body| Reply::json(200, body))
}

fn entries(rights: &Rights, vault: Option<&str>) -> Vec<Value> {
    let entry = |actions: &[&str], not_actions: &[&str]| json!({ "actions": actions, "notActions": not_actions, "dataActions": [], "notDataActions": [] });
    if *rights == Rights::all() {
        let not = [
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
        ];
        return vec![entry(&["*"], &not)];
    }
    let mut found = Vec::new();
    if rights.read {
        let not: &[&str] = match rights.read_instances {
            true => &[],
            false => &["Microsoft.Compute/cloudServices/roleInstances/*"],
        };
        found.push(entry(
            &["Microsoft.Compute/cloudServices/*/read", "Microsoft.Compute/cloudServices/read"],
            not,
        ));
    }
    if rights.write {
        // As a custom role grants it: everything of the service but reading it.
        found.push(entry(&["Microsoft.Compute/cloudServices/*"], &["Microsoft.Compute/cloudServices/read"]));
    }
    if rights.read_vaults {
        found.push(entry(
            &["Microsoft.KeyVault/vaults/read", "Microsoft.EventGrid/eventSubscriptions/read"],
            &[],
        ));
    }
    if vault.is_some_and(|vault| rights.may_deploy(vault)) {
        found.push(entry(&["Microsoft.KeyVault/vaults/deploy/action"], &[]));
    }
    found
}
