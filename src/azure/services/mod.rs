//! Cloud services and key vaults in Resource Manager: reads, the one PUT, operations, instances, update domains; and
//! what is deployed at all.

mod inspection;
mod instances;
mod inventory;
mod operation;

use std::sync::Arc;

use async_trait::async_trait;
use certroll_core::id::{CloudServiceId, SourceVaultId};
use certroll_core::ports::{CloudServices, FaultKind, PortError, PutAccepted, VaultResource};
use certroll_core::target::cloud_service::{
    CloudServiceModel, OperationHandle, OperationStatus, PutBody, RoleInstance,
};
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use crate::call::{Call, Caller, Misread, Node, Operation, Subject};
use crate::transport::Answer;
use crate::words::printable;

pub(crate) use inspection::Surroundings;

/// Reads and updates the cloud services of one cloud.
#[derive(Debug)]
pub(crate) struct Services {
    caller: Arc<Caller>,
}

impl Services {
    pub(crate) fn new(caller: Arc<Caller>) -> Self {
        Self { caller }
    }

    fn call(
        &self,
        operation: Operation,
        doing: String,
        path: &str,
        api_version: &str,
        subject: Subject,
    ) -> Result<Call, PortError> {
        let host = self.caller.cloud.resource_manager_host.as_str();
        Call::to(operation, doing, (host, path), api_version, subject)
    }

    fn service_call(
        &self,
        operation: Operation,
        doing: &str,
        service: &CloudServiceId,
        below: &str,
    ) -> Result<Call, PortError> {
        let version = &self.caller.cloud.cloud_services_api_version;
        let path = format!("{service}{below}");
        self.call(operation, format!("{doing} `{}`", service.name()), &path, version, Subject::Service)
    }

    /// A list of a whole subscription, whose id comes from a person or an answer.
    fn in_subscription(
        &self,
        operation: Operation,
        doing: String,
        (subscription, below): (&str, &str),
        api_version: &str,
    ) -> Result<Call, PortError> {
        let plain = (1..=64).contains(&subscription.len())
            && subscription.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let path = format!("/subscriptions/{}/{below}", if plain { subscription } else { "-" });
        let call = self.call(operation, doing, &path, api_version, Subject::Subscription)?;
        if !plain {
            let message = "the subscription id is malformed; expected a GUID";
            return Err(PortError::Permanent(call.fault(FaultKind::Refused, message)));
        }
        Ok(call)
    }

    /// How a write that was accepted is followed.
    fn handle(call: &Call, answer: &Answer) -> OperationHandle {
        // A handle that points elsewhere is kept as it is: the write was accepted, and `operation` refuses to follow
        // it. Losing the answer here would make a known success ambiguous.
        let url = |name: &str| {
            let text = answer.header(name)?.trim();
            Url::parse(text).or_else(|_| call.url.join(text)).ok().map(String::from)
        };
        url("azure-asyncoperation")
            .map(OperationHandle::AsyncOperation)
            .or_else(|| url("location").map(OperationHandle::Location))
            .unwrap_or(OperationHandle::ProvisioningState)
    }
}

fn model(call: &Call, value: Value) -> Result<CloudServiceModel, PortError> {
    CloudServiceModel::new(value)
        .map_err(|fault| PortError::Permanent(call.fault(FaultKind::Malformed, fault.to_string())))
}

#[async_trait]
impl CloudServices for Services {
    async fn list(&self, subscription: &str) -> Result<Vec<CloudServiceModel>, PortError> {
        let doing = format!("listing the cloud services of subscription `{}`", printable(subscription));
        let version = &self.caller.cloud.cloud_services_api_version;
        let below = "providers/Microsoft.Compute/cloudServices";
        let call = self.in_subscription(Operation::ServiceList, doing, (subscription, below), version)?;
        self.caller
            .read_pages(call, |item| {
                CloudServiceModel::new(item.value().clone())
                    .map(Some)
                    .map_err(|_| item.unlike("a cloud service"))
            })
            .await
    }

    async fn read(&self, service: &CloudServiceId) -> Result<CloudServiceModel, PortError> {
        let call = self.service_call(Operation::ServiceRead, "reading cloud service", service, "")?;
        let value = self.caller.read_json(&call).await?;
        model(&call, value)
    }

    async fn put(&self, service: &CloudServiceId, body: &PutBody) -> Result<PutAccepted, PortError> {
        let call = self.service_call(Operation::ServicePut, "updating cloud service", service, "")?;
        let answer = self.caller.write(&call, json_bytes(body.value())).await?;
        let request_id = answer.header("x-ms-request-id").map(printable);
        Ok(PutAccepted { operation: Self::handle(&call, &answer), request_id })
    }

    async fn operation(
        &self,
        service: &CloudServiceId,
        handle: &OperationHandle,
    ) -> Result<OperationStatus, PortError> {
        let doing = "following an operation of cloud service";
        let mut call = self.service_call(Operation::OperationPoll, doing, service, "")?;
        if let OperationHandle::AsyncOperation(url) | OperationHandle::Location(url) = handle {
            call.url = call.follow(url)?;
        }
        operation::status(&self.caller, &call, handle).await
    }

    async fn instances(&self, service: &CloudServiceId) -> Result<Vec<RoleInstance>, PortError> {
        let doing = "reading the role instances of cloud service";
        let mut call = self.service_call(Operation::RoleInstances, doing, service, "/roleInstances")?;
        call.url.query_pairs_mut().append_pair("$expand", "instanceView");
        self.caller.read_pages(call, |item| instances::instance(item).map(Some)).await
    }

    async fn update_domains(&self, service: &CloudServiceId) -> Result<Vec<u32>, PortError> {
        let doing = "reading the update domains of cloud service";
        let call = self.service_call(Operation::UpdateDomains, doing, service, "/updateDomains")?;
        let mut found = self.caller.read_pages(call, |item| instances::update_domain(item).map(Some)).await?;
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    async fn walk_update_domain(
        &self,
        service: &CloudServiceId,
        domain: u32,
    ) -> Result<OperationHandle, PortError> {
        let doing = format!("updating update domain {domain} of cloud service");
        let below = format!("/updateDomains/{domain}");
        let call = self.service_call(Operation::UpdateDomainWalk, &doing, service, &below)?;
        let answer = self.caller.write(&call, Zeroizing::default()).await?;
        Ok(Self::handle(&call, &answer))
    }

    async fn vault(&self, vault: &SourceVaultId) -> Result<VaultResource, PortError> {
        let call = vault_call(&self.caller, vault)?;
        let value = self.caller.read_json(&call).await?;
        vault_resource(&Node::root(&value)).map_err(|misread| call.malformed(&misread))
    }
}

/// The path of a vault's resource.
fn vault_path(vault: &SourceVaultId) -> String {
    format!(
        "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.KeyVault/vaults/{}",
        vault.subscription(),
        vault.resource_group(),
        vault.vault(),
    )
}

fn vault_call(caller: &Caller, vault: &SourceVaultId) -> Result<Call, PortError> {
    let name = vault.vault();
    let place = (caller.cloud.resource_manager_host.as_str(), vault_path(vault));
    let subject = Subject::VaultResource { vault: name.clone() };
    let doing = format!("reading the resource of vault `{name}`");
    let version = &caller.cloud.vault_resource_api_version;
    Call::to(Operation::VaultResource, doing, (place.0, &place.1), version, subject)
}

fn vault_resource(root: &Node<'_>) -> Result<VaultResource, Misread> {
    let location = root.required("location", "the vault's region")?.text()?;
    let enabled = root.required("properties", "an object")?.flag_of("enabledForDeployment")?;
    let location = location.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
    Ok(VaultResource { location, enabled_for_deployment: enabled.unwrap_or(false) })
}

/// The body as bytes that are wiped: cscfg settings may hold connection strings.
fn json_bytes(value: &Value) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(value.to_string().into_bytes())
}
