//! Answers requests about cloud services and their operations.

use serde_json::{Value, json};

use crate::arm::problem::Problem;
use crate::arm::route::{Part, Route};
use crate::arm::{Asked, page};
use crate::call::Call;
use crate::cloud::Cloud;
use crate::message::Reply;
use crate::service::delivery::{Sources, vault_of};
use crate::service::operation::{OPERATION_TIMEOUT, Operation};
use crate::service::schema::patch_body;
use crate::service::{Service, put, views};
use crate::switches::{Actions, ListConfiguration, PutWhileUpdating};

/// Answers a request about a service, the list of services or an operation.
pub(crate) fn answer(cloud: &mut Cloud, asked: &Asked<'_>, route: Route) -> Result<Reply, Problem> {
    match route {
        Route::Services { subscription, group } if asked.call != Call::Other => {
            list(cloud, asked, &subscription, group.as_deref())
        }
        Route::Operation { subscription, id } if asked.call == Call::GetOperation => {
            poll(cloud, asked, &subscription, &id)
        }
        Route::Service { subscription, group, name, part } if asked.call != Call::Other => {
            let index = cloud.services.iter().position(|one| one.id.is(&subscription, &group, &name));
            let Some(index) = index else { return Err(absent(asked, &name, &group)) };
            about(cloud, asked, index, &part)
        }
        _ => Err(Problem::new(
            405,
            "HttpMethodNotSupported",
            format!("The method {} is not allowed at {}.", asked.request.method, asked.request.url.path()),
        )),
    }
}

/// Creating a service takes a package, which the simulator does not run: what the recording shows for a PUT whose
/// package cannot be read is the honest answer.
fn absent(asked: &Asked<'_>, name: &str, group: &str) -> Problem {
    if asked.call == Call::PutCloudService {
        return Problem::invalid("packageUrl", "The value of parameter packageUrl is invalid.");
    }
    Problem::resource_not_found("Microsoft.Compute/cloudServices", name, group)
}

fn about(cloud: &mut Cloud, asked: &Asked<'_>, index: usize, part: &Part) -> Result<Reply, Problem> {
    let expanded =
        asked.request.query("$expand").is_some_and(|what| what.eq_ignore_ascii_case("instanceView"));
    let service = &cloud.services[index];
    match part {
        Part::Model => match asked.call {
            Call::PutCloudService => put(cloud, asked, index),
            Call::PatchCloudService => patch(cloud, asked, index),
            _ => Ok(Reply::json(200, service.model.to_json(service, &asked.version))),
        },
        Part::InstanceView => {
            Ok(Reply::json(200, views::instance_view(service, cloud.switches.upgrade_domain_shown)))
        }
        Part::RoleInstances => {
            let all =
                service.instances.iter().map(|one| views::role_instance(service, one, expanded)).collect();
            page(asked.request, all, cloud.page_size).map(|body| Reply::json(200, body))
        }
        Part::RoleInstance { instance, view_only } => {
            let found = service.instances.iter().find(|one| one.name().eq_ignore_ascii_case(instance));
            let found = found.ok_or_else(|| {
                let kind = "Microsoft.Compute/cloudServices/roleInstances";
                Problem::resource_not_found(kind, instance, &service.id.resource_group)
            })?;
            Ok(Reply::json(
                200,
                if *view_only {
                    views::role_instance_view(service, found)
                } else {
                    views::role_instance(service, found, expanded)
                },
            ))
        }
        Part::Roles => Ok(Reply::json(200, json!({ "value": views::roles(service) }))),
        Part::UpdateDomains => {
            let all: Vec<Value> =
                (0..=service.max_domain()).map(|domain| views::update_domain(service, domain)).collect();
            Ok(Reply::json(200, json!({ "value": all })))
        }
        Part::UpdateDomain(number) => {
            let domain = number.parse::<u32>().ok().filter(|domain| *domain <= service.max_domain());
            let domain = domain.ok_or_else(|| {
                Problem::invalid("updateDomain", "The value of parameter updateDomain is invalid.")
            })?;
            match asked.call {
                Call::WalkUpdateDomain => walk(cloud, asked, index, domain),
                _ => Ok(Reply::json(200, views::update_domain(service, domain))),
            }
        }
        Part::Action(action) => act(cloud, asked, index, action),
    }
}

fn list(cloud: &Cloud, asked: &Asked<'_>, subscription: &str, group: Option<&str>) -> Result<Reply, Problem> {
    let services = cloud
        .services
        .iter()
        .filter(|one| one.id.subscription.eq_ignore_ascii_case(subscription))
        .filter(|one| group.is_none_or(|group| one.id.resource_group.eq_ignore_ascii_case(group)))
        .map(|one| {
            let mut body = one.model.to_json(one, &asked.version);
            if cloud.switches.list_configuration == ListConfiguration::LeftOut
                && let Some(properties) = body["properties"].as_object_mut()
            {
                properties.remove("configuration");
            }
            body
        })
        .collect();
    page(asked.request, services, cloud.page_size).map(|body| Reply::json(200, body))
}

fn poll(cloud: &Cloud, asked: &Asked<'_>, subscription: &str, id: &str) -> Result<Reply, Problem> {
    let operation =
        cloud.operations.get(id).filter(|one| one.subscription.eq_ignore_ascii_case(subscription));
    let operation = operation.ok_or_else(|| {
        Problem::new(404, "ResourceNotFound", format!("The entity {id} was not found in this location."))
    })?;
    let body = operation.to_json(cloud.switches.failed_operation);
    if asked.request.query("monitor").is_some() {
        // The URL of `Location` gives an empty 200 once all is done, and 202 before, as Resource Manager's guide says.
        return Ok(Reply::empty(if operation.ended.is_some() { 200 } else { 202 }));
    }
    Ok(Reply::json(200, body))
}

fn put(cloud: &mut Cloud, asked: &Asked<'_>, index: usize) -> Result<Reply, Problem> {
    let now = cloud.now();
    json_only(asked)?;
    let body = asked.request.json().ok_or_else(|| {
        Problem::new(
            400,
            "InvalidRequestContent",
            "The request content was invalid and could not be deserialized.",
        )
    })?;
    let service = &cloud.services[index];
    deploy_right(cloud, asked, service, &body)?;
    if service.is_busy() && cloud.switches.put_while_updating == PutWhileUpdating::Refused {
        return Err(busy(service));
    }
    let sources = Sources { vaults: &cloud.vaults, names: &cloud.names, switches: &cloud.switches, now };
    let change = put::judge(service, &body, &asked.version, cloud.members, &sources)?;

    let interference = asked.interference.clone();
    let (manual, durations) = (cloud.switches.manual_operation, cloud.durations);
    start(cloud, asked, index);
    let service = &mut cloud.services[index];
    let cancelled = service.accept(change, &asked.request_id, interference, manual, durations, now);
    let reply = put::reply_body(service, &asked.version, &body);
    let (header, query) = if asked.interference.poll_by_location {
        ("location", "monitor=true&")
    } else {
        ("azure-asyncoperation", "")
    };
    let reply = Reply::json(200, reply)
        .with_header(header, poll_url(cloud, asked, index, query))
        .with_header("x-ms-async-operation-timeout", OPERATION_TIMEOUT);
    cloud.end_operations(cancelled);
    Ok(reply)
}

/// Resource Manager takes no body that does not say that it is JSON.
fn json_only(asked: &Asked<'_>) -> Result<(), Problem> {
    let kind = asked.request.header("content-type").unwrap_or("<null>");
    if kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    let message =
        format!("The content media type '{kind}' is not supported. Only 'application/json' is supported.");
    Err(Problem::new(415, "UnsupportedMediaType", message))
}

fn patch(cloud: &mut Cloud, asked: &Asked<'_>, index: usize) -> Result<Reply, Problem> {
    json_only(asked)?;
    let body = asked.request.json().unwrap_or(Value::Null);
    let body = patch_body(&body, &asked.version)?;
    let now = cloud.now();
    let service = &mut cloud.services[index];
    if let Some(tags) = body.get("tags").and_then(Value::as_object) {
        service.model.tags = (!tags.is_empty()).then(|| tags.clone());
    }
    service.touch(now);
    Ok(Reply::json(200, service.model.to_json(service, &asked.version)))
}

fn walk(cloud: &mut Cloud, asked: &Asked<'_>, index: usize, domain: u32) -> Result<Reply, Problem> {
    let (now, durations) = (cloud.now(), cloud.durations);
    let service = &cloud.services[index];
    if service.is_busy() {
        return Err(busy(service));
    }
    start(cloud, asked, index);
    cloud.services[index].walk_domain(domain, &asked.request_id, &asked.interference, durations, now);
    moved(cloud, index);
    Ok(accepted(cloud, asked, index))
}

fn act(cloud: &mut Cloud, asked: &Asked<'_>, index: usize, action: &str) -> Result<Reply, Problem> {
    let (now, durations) = (cloud.now(), cloud.durations);
    if cloud.services[index].is_busy() {
        return Err(busy(&cloud.services[index]));
    }
    let body = asked.request.json().unwrap_or(Value::Null);
    let named: Vec<String> = body["roleInstances"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_ascii_lowercase)
        .collect();
    if named.is_empty() && !matches!(action, "start" | "poweroff") {
        return Err(Problem::invalid(
            "roleInstances",
            "Required parameter 'roleInstances' is missing (null).",
        ));
    }
    let wanted = |name: &str| named.iter().any(|one| one == "*" || one.eq_ignore_ascii_case(name));
    start(cloud, asked, index);
    let service = &mut cloud.services[index];
    service.power(action, wanted, &asked.request_id, &asked.interference, durations, now);
    moved(cloud, index);
    Ok(accepted(cloud, asked, index))
}

fn moved(cloud: &mut Cloud, index: usize) {
    if cloud.switches.actions == Actions::MoveLastModified {
        let now = cloud.now();
        cloud.services[index].touch(now);
    }
}

/// What POST actions are answered: 202 without a body and with both headers, as recorded.
fn accepted(cloud: &Cloud, asked: &Asked<'_>, index: usize) -> Reply {
    Reply::empty(202)
        .with_header("location", poll_url(cloud, asked, index, "monitor=true&"))
        .with_header("azure-asyncoperation", poll_url(cloud, asked, index, ""))
}

fn start(cloud: &mut Cloud, asked: &Asked<'_>, index: usize) {
    let now = cloud.now();
    let service = &cloud.services[index];
    let operation = Operation {
        id: asked.request_id.clone(),
        subscription: service.id.subscription.clone(),
        location: service.location.clone(),
        started: now,
        ended: None,
    };
    cloud.operations.insert(asked.request_id.clone(), operation);
}

fn poll_url(cloud: &Cloud, asked: &Asked<'_>, index: usize, query: &str) -> String {
    let foreign = asked.interference.foreign_poll_host.as_deref();
    let service = &cloud.services[index];
    format!(
        "https://{}/subscriptions/{}/providers/Microsoft.Compute/locations/{}/CsOperations/{}?{query}api-version={}",
        foreign.unwrap_or(&cloud.names.resource_manager),
        service.id.subscription,
        service.location,
        asked.request_id,
        asked.version
    )
}

/// No text of this refusal is known.
fn busy(service: &Service) -> Problem {
    Problem::not_allowed(format!(
        "The request cannot be carried out: another operation, {}, is in progress on the cloud service {}.",
        service.operation().unwrap_or_default(),
        service.id.name
    ))
}

fn deploy_right(cloud: &Cloud, asked: &Asked<'_>, service: &Service, body: &Value) -> Result<(), Problem> {
    let rights = cloud.rights_of(&asked.caller);
    for vault_id in put::wanted_groups(service, body) {
        let Ok((_, vault)) = vault_of(&vault_id) else { continue };
        if !rights.may_deploy(vault) {
            let who = &asked.caller.object_id;
            return Err(Problem::new(
                403,
                "LinkedAuthorizationFailed",
                format!(
                    "The client '{who}' with object id '{who}' has permission to perform action \
                     'Microsoft.Compute/cloudServices/write' on scope '{}'; however, it does not have permission to \
                     perform action 'Microsoft.KeyVault/vaults/deploy/action' on the linked scope(s) '{vault_id}' or \
                     the linked scope(s) are invalid.",
                    asked.request.url.path()
                ),
            ));
        }
    }
    Ok(())
}
