//! The event subscriptions of a vault. Shape: Microsoft's document of event subscriptions; the endpoint's query and the
//! values of headers are not shown.

use serde_json::{Value, json};

use super::problem::Problem;
use super::{Asked, page, vaults};
use crate::cloud::Cloud;
use crate::message::Reply;
use crate::publisher::{Provisioning, Schema, Subscription};

/// The event subscriptions of one vault.
pub(crate) fn list(
    cloud: &Cloud,
    asked: &Asked<'_>,
    subscription: &str,
    group: &str,
    vault: &str,
) -> Result<Reply, Problem> {
    if asked.request.method != "GET" {
        return Err(vaults::method_not_allowed(asked));
    }
    // A vault that is not there is told as when it is read.
    let id = vaults::find(cloud, subscription, group, vault)?.resource_id();
    let of_vault = |one: &&Subscription| one.request.vault.eq_ignore_ascii_case(vault);
    let found =
        cloud.publisher.subscriptions().iter().filter(of_vault).map(|one| to_json(one, &id)).collect();
    page(asked.request, found, cloud.page_size).map(|body| Reply::json(200, body))
}

fn to_json(subscription: &Subscription, vault: &str) -> Value {
    let request = &subscription.request;
    let mut base = request.endpoint.clone();
    base.set_query(None);
    let mut webhook = json!({ "endpointBaseUrl": base.as_str() });
    if let Some(batching) = request.batching {
        webhook["maxEventsPerBatch"] = json!(batching.max_events);
        webhook["preferredBatchSizeInKilobytes"] = json!(batching.preferred_kilobytes);
    }
    if let Some(token) = &request.token {
        webhook["azureActiveDirectoryTenantId"] = json!(token.tenant);
        webhook["azureActiveDirectoryApplicationIdOrUri"] = json!(token.audience);
    }
    if !request.headers.is_empty() {
        let mapping = |(name, _): &(String, String)| json!({ "name": name, "type": "Static", "properties": { "value": "Hidden", "isSecret": true } });
        webhook["deliveryAttributeMappings"] = request.headers.iter().map(mapping).collect();
    }
    let types = (!request.event_types.is_empty()).then_some(&request.event_types);
    json!({
        "id": format!("{vault}/providers/Microsoft.EventGrid/eventSubscriptions/{}", request.name),
        "name": request.name,
        "type": "Microsoft.EventGrid/eventSubscriptions",
        "properties": {
            "topic": vault,
            "provisioningState": match subscription.provisioning {
                Provisioning::Succeeded => "Succeeded",
                Provisioning::AwaitingManualAction(_) => "AwaitingManualAction",
                Provisioning::Failed => "Failed",
            },
            "destination": { "endpointType": "WebHook", "properties": webhook },
            "filter": { "subjectBeginsWith": "", "subjectEndsWith": "", "includedEventTypes": types },
            "labels": [],
            "eventDeliverySchema": match request.schema {
                Schema::EventGrid => "EventGridSchema",
                Schema::CloudEvents => "CloudEventSchemaV1_0",
            },
            "retryPolicy": {
                "maxDeliveryAttempts": request.max_attempts, "eventTimeToLiveInMinutes": request.time_to_live,
            },
        },
    })
}
