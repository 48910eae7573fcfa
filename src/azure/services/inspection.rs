//! What stands around vaults and services: permissions, a vault's own settings, its event subscriptions, the time of a
//! server. Reads only.

use std::sync::Arc;

use async_trait::async_trait;
use certroll_core::doctor::permission::PermissionEntry;
use certroll_core::id::{ObjectKind, SourceVaultId};
use certroll_core::ports::{
    AccessModel, EventSubscription, InspectedVault, Inspection, PortError, Scope, Server, ServerTime,
};

use super::{vault_call, vault_path, vault_resource};
use crate::call::{Call, Caller, Misread, Node, Operation, Subject};

/// A stable version of Microsoft.Authorization/permissions.
///
/// Source: `Permissions_ListForResource` in Microsoft's specification of Microsoft.Authorization, 2022-04-01, in pages.
const PERMISSIONS_API: &str = "2022-04-01";
/// A stable version of Microsoft.EventGrid/eventSubscriptions.
///
/// Source: `EventSubscriptions_ListByResource` in Microsoft's specification of Microsoft.EventGrid, 2022-06-15.
const EVENT_GRID_API: &str = "2022-06-15";
/// The list of subscriptions is the smallest thing that Resource Manager has: without a token it answers 401 at once.
///
/// Source: Microsoft's reference of `Subscriptions - List`.
const SUBSCRIPTIONS_API: &str = "2022-12-01";

/// Looks around in one cloud.
#[derive(Debug)]
pub(crate) struct Surroundings {
    caller: Arc<Caller>,
}

impl Surroundings {
    pub(crate) fn new(caller: Arc<Caller>) -> Self {
        Self { caller }
    }
}

#[async_trait]
impl Inspection for Surroundings {
    async fn permissions(&self, scope: &Scope) -> Result<Vec<PermissionEntry>, PortError> {
        let (path, named, subject) = match scope {
            Scope::Service(service) => {
                (service.to_string(), format!("cloud service `{}`", service.name()), Subject::Service)
            }
            Scope::Vault(vault) => {
                let name = vault.vault();
                (vault_path(vault), format!("vault `{name}`"), Subject::VaultResource { vault: name.clone() })
            }
        };
        let path = format!("{path}/providers/Microsoft.Authorization/permissions");
        let host = self.caller.cloud.resource_manager_host.as_str();
        let doing = format!("asking what is permitted on {named}");
        let call = Call::to(Operation::Permissions, doing, (host, &path), PERMISSIONS_API, subject)?;
        self.caller.read_pages(call, |item| entry(item).map(Some)).await
    }

    async fn vault(&self, vault: &SourceVaultId) -> Result<InspectedVault, PortError> {
        let call = vault_call(&self.caller, vault)?;
        let value = self.caller.read_json(&call).await?;
        let read = || -> Result<InspectedVault, Misread> {
            let root = Node::root(&value);
            let resource = vault_resource(&root)?;
            let by_roles = root.required("properties", "an object")?.flag_of("enableRbacAuthorization")?;
            // "When null or not specified, the vault is created with the default value of false."
            let access = if by_roles.unwrap_or(false) { AccessModel::Roles } else { AccessModel::Policies };
            Ok(InspectedVault { resource, access })
        };
        read().map_err(|misread| call.malformed(&misread))
    }

    async fn event_subscriptions(&self, vault: &SourceVaultId) -> Result<Vec<EventSubscription>, PortError> {
        let name = vault.vault().clone();
        let path = format!("{}/providers/Microsoft.EventGrid/eventSubscriptions", vault_path(vault));
        let host = self.caller.cloud.resource_manager_host.as_str();
        let doing = format!("listing the event subscriptions of vault `{name}`");
        let subject = Subject::VaultResource { vault: name };
        let call = Call::to(Operation::EventSubscriptions, doing, (host, &path), EVENT_GRID_API, subject)?;
        self.caller.read_pages(call, subscription).await
    }

    async fn server_time(&self, server: &Server) -> Result<ServerTime, PortError> {
        let cloud = &self.caller.cloud;
        let call = match server {
            Server::ResourceManager => {
                let host = cloud.resource_manager_host.as_str();
                let doing = "asking Resource Manager for the time".to_owned();
                let place = (host, "/subscriptions");
                Call::to(Operation::ServerTime, doing, place, SUBSCRIPTIONS_API, Subject::Subscription)?
            }
            Server::Vault(vault) => {
                let host = format!("{vault}.{}", cloud.vault_suffix);
                let doing = format!("asking vault `{vault}` for the time");
                let subject = Subject::Objects { vault: vault.clone(), kind: ObjectKind::Certificate };
                let place = (host.as_str(), "/certificates");
                Call::to(Operation::ServerTime, doing, place, &cloud.vault_api_version, subject)?
            }
        };
        self.caller.server_time(&call).await
    }
}

/// One item of `permissions`. Members that are absent permit nothing and take nothing away.
fn entry(item: &Node<'_>) -> Result<PermissionEntry, Misread> {
    Ok(PermissionEntry { actions: texts(item, "actions")?, not_actions: texts(item, "notActions")? })
}

fn texts(node: &Node<'_>, name: &str) -> Result<Vec<String>, Misread> {
    let Some(list) = node.member(name) else { return Ok(Vec::new()) };
    list.items()?.iter().map(|item| item.text().map(str::to_owned)).collect()
}

/// One item of `eventSubscriptions`, unless it delivers to something else than a webhook.
fn subscription(item: &Node<'_>) -> Result<Option<EventSubscription>, Misread> {
    let owned = |node: &Node<'_>, name: &str| node.text_of(name).map(|text| text.map(str::to_owned));
    let name = item.required("name", "the subscription's name")?.text()?.to_owned();
    let properties = item.required("properties", "an object")?;
    // With a managed identity the destination stands one level deeper.
    let destination = properties.member("destination").or_else(|| {
        properties.member("deliveryWithResourceIdentity").and_then(|delivery| delivery.member("destination"))
    });
    let Some(destination) = destination else { return Ok(None) };
    if !destination.text_of("endpointType")?.is_some_and(|kind| kind.eq_ignore_ascii_case("WebHook")) {
        return Ok(None);
    }
    let mut found = EventSubscription {
        name,
        state: owned(&properties, "provisioningState")?,
        schema: owned(&properties, "eventDeliverySchema")?,
        ..EventSubscription::default()
    };
    if let Some(webhook) = destination.member("properties") {
        // `endpointUrl` is never shown here; should it be, its query may be a secret.
        let shown = match owned(&webhook, "endpointBaseUrl")? {
            Some(base) => Some(base),
            None => owned(&webhook, "endpointUrl")?,
        };
        found.base_url = shown.map(|url| url.split(['?', '#']).next().unwrap_or_default().to_owned());
        found.tenant = owned(&webhook, "azureActiveDirectoryTenantId")?;
        found.application = owned(&webhook, "azureActiveDirectoryApplicationIdOrUri")?;
        if let Some(mappings) = webhook.member("deliveryAttributeMappings") {
            for mapping in mappings.items()? {
                found.headers.extend(owned(&mapping, "name")?);
            }
        }
    }
    if let Some(filter) = properties.member("filter") {
        found.subject_begins = owned(&filter, "subjectBeginsWith")?.unwrap_or_default();
        found.subject_ends = owned(&filter, "subjectEndsWith")?.unwrap_or_default();
        found.event_types = match filter.member("includedEventTypes") {
            Some(_) => Some(texts(&filter, "includedEventTypes")?),
            None => None,
        };
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn subscriptions_that_deliver_to_a_webhook_are_read_without_the_query() {
        let item = json!({ "name": "certroll", "properties": {
            "provisioningState": "Succeeded", "eventDeliverySchema": "EventGridSchema",
            "destination": { "endpointType": "WebHook", "properties": {
                "endpointBaseUrl": "https://certroll.contoso.com/events?code=canary",
                "deliveryAttributeMappings": [{ "name": "X-Secret", "type": "Static" }] } },
            "filter": { "subjectBeginsWith": "shop", "includedEventTypes": ["a"] } } });
        let found = subscription(&Node::root(&item)).unwrap().unwrap();
        assert_eq!(found.base_url.as_deref(), Some("https://certroll.contoso.com/events"));
        assert_eq!(
            (found.headers.as_slice(), found.subject_begins.as_str()),
            (&["X-Secret".to_owned()][..], "shop")
        );
        assert_eq!(found.event_types, Some(vec!["a".to_owned()]));
        for other in [
            json!({ "name": "x", "properties": { "destination": { "endpointType": "StorageQueue" } } }),
            json!({ "name": "x", "properties": {} }),
        ] {
            assert_eq!(subscription(&Node::root(&other)).unwrap(), None, "{other}");
        }
        assert!(subscription(&Node::root(&json!({ "name": "x" }))).is_err());
    }
}
