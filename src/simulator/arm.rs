//! Azure Resource Manager in front of everything else: who calls, whether they may, which api-version, which resource,
//! and the headers that every reply carries.

pub mod addresses;
mod permissions;
pub(crate) mod problem;
pub mod rights;
pub(crate) mod route;
mod subscriptions;
mod vaults;

use serde_json::{Value, json};
use url::Url;

use crate::call::Call;
use crate::clock::http_date;
use crate::cloud::Cloud;
use crate::entra::{Caller, TokenFault};
use crate::message::{Reply, Request};
use crate::rates::{Bucket, Exhausted};
use crate::service;
use crate::service::timeline::Interference;
use problem::Problem;
use route::{Part, Route};

/// api-versions of Microsoft.KeyVault's control plane in Microsoft's specifications.
const KEY_VAULT_VERSIONS: [&str; 9] = [
    "2019-09-01",
    "2021-10-01",
    "2022-07-01",
    "2022-11-01",
    "2023-02-01",
    "2023-07-01",
    "2024-11-01",
    "2025-05-01",
    "2026-02-01",
];
/// Stable api-versions of the permissions of Microsoft.Authorization in Microsoft's specifications.
const PERMISSIONS_VERSIONS: [&str; 2] = ["2015-07-01", "2022-04-01"];
/// Stable api-versions of Microsoft.EventGrid's event subscriptions in Microsoft's specifications.
const EVENT_GRID_VERSIONS: [&str; 5] = ["2019-06-01", "2020-06-01", "2021-12-01", "2022-06-15", "2025-02-15"];
/// api-versions of the list of subscriptions.
const SUBSCRIPTION_VERSIONS: [&str; 5] =
    ["2016-06-01", "2019-11-01", "2020-01-01", "2021-01-01", "2022-12-01"];

/// api-versions of Microsoft.Network in Microsoft's specifications, of which there are several a year.
const NETWORK_VERSIONS: [&str; 9] = [
    "2018-11-01",
    "2019-11-01",
    "2020-11-01",
    "2021-08-01",
    "2022-07-01",
    "2023-09-01",
    "2024-01-01",
    "2024-05-01",
    "2025-01-01",
];

/// What a request is about, once it is known who asks.
pub(crate) struct Asked<'a> {
    pub(crate) request: &'a Request,
    pub(crate) call: Call,
    pub(crate) caller: Caller,
    pub(crate) version: String,
    pub(crate) interference: Interference,
    /// Id of this request and of the operation that it may start.
    pub(crate) request_id: String,
}

/// Answers a request to Resource Manager.
pub(crate) fn answer(cloud: &mut Cloud, request: &Request, call: Call, interference: Interference) -> Reply {
    let request_id = uuid::Uuid::new_v4().to_string();
    let reply = match dispatch(cloud, request, call, interference, &request_id) {
        Ok(reply) => reply,
        Err(problem) => refused(cloud, &problem),
    };
    let correlation = request.header("x-ms-correlation-request-id").unwrap_or(&request_id).to_owned();
    let mut reply = rates(cloud, call, &resource(request), reply)
        .with_header("cache-control", "no-cache")
        .with_header("pragma", "no-cache")
        .with_header("expires", "-1")
        .with_header("strict-transport-security", "max-age=31536000; includeSubDomains")
        .with_header("x-content-type-options", "nosniff")
        .with_header("server", "Microsoft-HTTPAPI/2.0")
        .with_header("x-ms-request-id", request_id)
        .with_header("x-ms-correlation-request-id", correlation)
        .with_header("date", http_date(cloud.now()));
    if let Some(id) = request.header("x-ms-client-request-id") {
        reply = reply.with_header("x-ms-client-request-id", id);
    }
    reply
}

fn dispatch(
    cloud: &mut Cloud,
    request: &Request,
    call: Call,
    interference: Interference,
    request_id: &str,
) -> Result<Reply, Problem> {
    let now = cloud.now();
    let caller = cloud
        .entra
        .authenticate(request, &cloud.names.resource_manager_audiences, now)
        .map_err(|fault| unauthenticated(fault, cloud))?;
    let Some(route) = Route::of(request) else {
        let message = format!("No resource of the simulated cloud is at {}.", request.url.path());
        return Err(Problem::new(404, "InvalidResourceType", message));
    };
    let version = api_version(cloud, request, &route)?;
    if let Some(subscription) = route.subscription()
        && !cloud.knows_subscription(subscription)
    {
        return Err(Problem::subscription_not_found(subscription));
    }
    let asked = Asked { request, call, caller, version, interference, request_id: request_id.to_owned() };
    authorize(cloud, &asked, &route)?;
    if let (Some(subscription), Some(group)) = (route.subscription(), route.group())
        && !cloud.knows_group(subscription, group)
    {
        return Err(Problem::group_not_found(group));
    }
    throttle(cloud, call, &resource(request))?;
    match route {
        Route::Subscriptions => Ok(subscriptions(cloud)),
        Route::Vaults { subscription, group } => vaults::list(cloud, &asked, &subscription, group.as_deref()),
        Route::Vault { subscription, group, name } => {
            vaults::get(cloud, &asked, &subscription, &group, &name)
        }
        Route::PublicAddress { subscription, group, name } => {
            addresses::get(cloud, &asked, &subscription, &group, &name)
        }
        Route::Permissions { of } => permissions::list(cloud, &asked, &of),
        Route::EventSubscriptions { subscription, group, vault } => {
            subscriptions::list(cloud, &asked, &subscription, &group, &vault)
        }
        route => service::answer(cloud, &asked, route),
    }
}

/// Cuts a list into pages and names the next one by `$skiptoken`.
pub(crate) fn page(request: &Request, items: Vec<Value>, size: usize) -> Result<Value, Problem> {
    let start = match request.query("$skiptoken") {
        None => 0,
        Some(token) => token
            .strip_prefix("page-")
            .and_then(|rest| rest.parse::<usize>().ok())
            .filter(|start| *start < items.len())
            .ok_or_else(|| Problem::new(400, "InvalidParameter", "The skip token is invalid."))?,
    };
    let end = items.len().min(start.saturating_add(size.max(1)));
    let more = end < items.len();
    let page: Vec<Value> = items.into_iter().skip(start).take(end - start).collect();
    let mut body = json!({ "value": page });
    if more {
        body["nextLink"] = json!(next_link(&request.url, end));
    }
    Ok(body)
}

fn next_link(url: &Url, start: usize) -> String {
    let mut next = url.clone();
    let kept: Vec<(String, String)> =
        url.query_pairs().into_owned().filter(|(name, _)| !name.eq_ignore_ascii_case("$skiptoken")).collect();
    next.query_pairs_mut().clear().extend_pairs(kept).append_pair("$skiptoken", &format!("page-{start}"));
    next.to_string()
}

fn api_version(cloud: &Cloud, request: &Request, route: &Route) -> Result<String, Problem> {
    let Some(version) = request.query("api-version").filter(|version| !version.is_empty()) else {
        return Err(Problem::new(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        ));
    };
    let (known, kind): (Vec<&str>, &str) = match route {
        Route::Subscriptions => (SUBSCRIPTION_VERSIONS.to_vec(), "subscriptions"),
        Route::Vaults { .. } | Route::Vault { .. } => (KEY_VAULT_VERSIONS.to_vec(), "vaults"),
        Route::PublicAddress { .. } => (NETWORK_VERSIONS.to_vec(), "publicIPAddresses"),
        Route::Permissions { .. } => (PERMISSIONS_VERSIONS.to_vec(), "permissions"),
        Route::EventSubscriptions { .. } => (EVENT_GRID_VERSIONS.to_vec(), "eventSubscriptions"),
        Route::Services { .. } | Route::Service { .. } => {
            (cloud.api_versions.iter().map(String::as_str).collect(), "cloudServices")
        }
        Route::Operation { .. } => {
            (cloud.api_versions.iter().map(String::as_str).collect(), "locations/CsOperations")
        }
    };
    if known.contains(&version.as_str()) {
        return Ok(version);
    }
    let supported = known.join(", ");
    if matches!(route, Route::Subscriptions) {
        return Err(Problem::new(
            400,
            "InvalidApiVersionParameter",
            format!("The api-version '{version}' is invalid. The supported versions are '{supported}'."),
        ));
    }
    Err(Problem::new(
        400,
        "NoRegisteredProviderFound",
        format!(
            "No registered resource provider found for location '' and API version '{version}' for type '{kind}'. The \
             supported api-versions are '{supported}'."
        ),
    ))
}

fn unauthenticated(fault: TokenFault, cloud: &Cloud) -> Problem {
    let (code, message) = match fault {
        TokenFault::Missing => (
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.".to_owned(),
        ),
        TokenFault::Malformed => ("InvalidAuthenticationToken", "The access token is invalid.".to_owned()),
        TokenFault::Expired => (
            "ExpiredAuthenticationToken",
            format!("The access token expiry UTC time is earlier than current UTC time '{}'.", cloud.now()),
        ),
        TokenFault::WrongAudience => (
            "InvalidAuthenticationTokenAudience",
            format!(
                "The access token has been obtained for wrong audience or resource. It should exactly match with one \
                 of the allowed audiences '{}'.",
                cloud.names.resource_manager_audiences.join("','")
            ),
        ),
    };
    Problem::new(401, code, message)
}

/// The reply to a refused request. 401 says where to get a token, 429 when to come back.
fn refused(cloud: &Cloud, problem: &Problem) -> Reply {
    let mut reply = problem.reply().with_header("x-ms-failure-cause", "gateway");
    if problem.status == 401 {
        let login = cloud.names.login.first().map_or("", String::as_str);
        let challenge = format!(
            "Bearer authorization_uri=\"https://{login}/{}\", error=\"invalid_token\", error_description=\"{}\"",
            cloud.tenant(),
            problem.message
        );
        reply = reply.with_header("www-authenticate", challenge);
    }
    if let Some(seconds) = problem.target.as_deref().filter(|_| problem.status == 429) {
        reply = reply.with_header("retry-after", seconds);
    }
    reply
}

fn authorize(cloud: &Cloud, asked: &Asked<'_>, route: &Route) -> Result<(), Problem> {
    let rights = cloud.rights_of(&asked.caller);
    let (allowed, action) = match (route, asked.request.method.as_str()) {
        (Route::Subscriptions | Route::Operation { .. }, _) => return Ok(()),
        (Route::Vaults { .. } | Route::Vault { .. }, _) => {
            (rights.read_vaults, "Microsoft.KeyVault/vaults/read")
        }
        (Route::PublicAddress { .. }, _) => {
            (rights.read_addresses, "Microsoft.Network/publicIPAddresses/read")
        }
        // Every role has it that reads anything: `*/read`, or the resource provider's own.
        (Route::Permissions { .. }, _) => {
            (rights.read || rights.read_vaults, "Microsoft.Authorization/permissions/read")
        }
        (Route::EventSubscriptions { .. }, _) => {
            (rights.read_vaults, "Microsoft.EventGrid/eventSubscriptions/read")
        }
        (Route::Services { .. }, _) => (rights.read, "Microsoft.Compute/cloudServices/read"),
        (Route::Service { part, .. }, "GET") => {
            let action = match part {
                Part::InstanceView => "Microsoft.Compute/cloudServices/instanceView/read",
                Part::RoleInstances | Part::RoleInstance { .. } => {
                    "Microsoft.Compute/cloudServices/roleInstances/read"
                }
                Part::Roles => "Microsoft.Compute/cloudServices/roles/read",
                Part::UpdateDomains | Part::UpdateDomain(_) => {
                    "Microsoft.Compute/cloudServices/updateDomains/read"
                }
                Part::Model | Part::Action(_) => "Microsoft.Compute/cloudServices/read",
            };
            let other = !matches!(part, Part::RoleInstances | Part::RoleInstance { .. });
            (rights.read && (other || rights.read_instances), action)
        }
        (Route::Service { .. }, _) => (rights.write, "Microsoft.Compute/cloudServices/write"),
    };
    if allowed {
        return Ok(());
    }
    let who = &asked.caller.object_id;
    Err(Problem::new(
        403,
        "AuthorizationFailed",
        format!(
            "The client '{who}' with object id '{who}' does not have authorization to perform action '{action}' over \
             scope '{}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
            asked.request.url.path()
        ),
    ))
}

fn subscriptions(cloud: &Cloud) -> Reply {
    let one = |id: &str| {
        json!({ "id": format!("/subscriptions/{id}"), "subscriptionId": id, "displayName": id, "state": "Enabled",
                "tenantId": cloud.tenant() })
    };
    let all: Vec<Value> = cloud.subscriptions().map(one).collect();
    Reply::json(200, json!({ "value": all, "count": { "type": "Total", "value": all.len() } }))
}

fn is_write(call: Call) -> bool {
    call.starts_operation() || call == Call::PatchCloudService
}

/// Reads of a service, its instances and lists; polls of operations count as none, as the recordings show.
fn is_service_read(call: Call) -> bool {
    matches!(
        call,
        Call::GetCloudService
            | Call::ListCloudServices
            | Call::ListAllCloudServices
            | Call::GetInstanceView
            | Call::ListRoleInstances
            | Call::GetRoleInstance
            | Call::ListRoles
            | Call::ListUpdateDomains
    )
}

fn throttle(cloud: &mut Cloud, call: Call, resource: &str) -> Result<(), Problem> {
    let now = cloud.now();
    let buckets: &[Bucket] = if is_write(call) {
        &[Bucket::Write30Min, Bucket::SubscriptionWrites]
    } else if is_service_read(call) {
        &[
            Bucket::Read3Min,
            Bucket::Read30Min,
            Bucket::NarrowRead3Min,
            Bucket::NarrowRead30Min,
            Bucket::SubscriptionReads,
        ]
    } else {
        &[Bucket::SubscriptionReads]
    };
    for bucket in buckets {
        if let Err(Exhausted(seconds)) = cloud.rates.take(*bucket, resource, now) {
            let mut problem = Problem::new(
                429,
                "TooManyRequests",
                "The server rejected the request because too many requests have been received for this subscription.",
            );
            problem.target = Some(seconds.to_string());
            return Err(problem);
        }
    }
    Ok(())
}

/// The resource that a call counts for: a service, or the list.
fn resource(request: &Request) -> String {
    match Route::of(request) {
        Some(Route::Service { group, name, .. }) => format!("{group}/{name}"),
        _ => String::new(),
    }
}

fn rates(cloud: &Cloud, call: Call, resource: &str, reply: Reply) -> Reply {
    let left = |bucket| cloud.rates.remaining(bucket, resource, cloud.now());
    if is_write(call) {
        let writes = left(Bucket::Write30Min);
        let name = "Microsoft.Compute/CreateUpdateDeleteCloudServiceOperations30Min";
        // Named twice in replies of 2022 and later.
        return reply
            .with_header("x-ms-ratelimit-remaining-resource", format!("{name};{writes},{name};{writes}"))
            .with_header(
                "x-ms-ratelimit-remaining-subscription-writes",
                left(Bucket::SubscriptionWrites).to_string(),
            );
    }
    let reads = left(Bucket::SubscriptionReads).to_string();
    let reply = reply.with_header("x-ms-ratelimit-remaining-subscription-reads", reads);
    if !is_service_read(call) {
        return reply;
    }
    let resource = format!(
        "Microsoft.Compute/GetCloudService3Min;{},Microsoft.Compute/GetCloudService30Min;{},\
         Microsoft.Compute/GetCloudService3Min;{},Microsoft.Compute/GetCloudService30Min;{}",
        left(Bucket::Read3Min),
        left(Bucket::Read30Min),
        left(Bucket::NarrowRead3Min),
        left(Bucket::NarrowRead30Min)
    );
    reply.with_header("x-ms-ratelimit-remaining-resource", resource)
}
