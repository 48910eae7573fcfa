//! The metadata endpoint of a virtual machine, as far as it gives tokens. Its numbers are text.

use jiff::Timestamp;
use serde_json::json;

use super::{Caller, Entra, ManagedIdentity};
use crate::message::{Reply, Request};

/// Path on `169.254.169.254`.
const PATH: &str = "/metadata/identity/oauth2/token";
/// Those of the endpoint's versions that documents of tokens (the first) and Microsoft's own clients (both) ask by.
const API_VERSIONS: [&str; 2] = ["2018-02-01", "2019-08-01"];

/// Query parameters that name a user-assigned identity.
const SELECTORS: [&str; 3] = ["client_id", "object_id", "msi_res_id"];

impl Entra {
    /// Answers a request to the metadata endpoint of a virtual machine.
    pub fn managed_identity_answer(&mut self, request: &Request, now: Timestamp) -> Reply {
        if request.url.path() != PATH {
            return refused(404, "not_found", "The requested resource is not here.");
        }
        if request.method != "GET" {
            return refused(405, "method_not_allowed", "HTTP method not supported");
        }
        if request.header("metadata").is_none_or(|value| !value.eq_ignore_ascii_case("true")) {
            return refused(400, "invalid_request", "Required metadata header not specified");
        }
        // A request that came through a proxy was not made by the machine itself.
        if request.header("x-forwarded-for").is_some() {
            return refused(400, "invalid_request", "Requests with X-Forwarded-For are not allowed");
        }
        match request.query("api-version").as_deref() {
            Some(version) if API_VERSIONS.contains(&version) => {}
            Some(_) => return refused(400, "invalid_request", "The api-version is not supported"),
            None => {
                return refused(400, "invalid_request", "Required query variable 'api-version' is missing");
            }
        }
        let Some(resource) = request.query("resource") else {
            return refused(400, "invalid_request", "Required query variable 'resource' is missing");
        };
        let identity = match self.chosen_identity(request) {
            Ok(identity) => identity.clone(),
            Err(reason) => return refused(400, "invalid_request", reason),
        };
        if let Err(refusal) = self.known_resource(&resource, &identity.tenant) {
            let (error, text) = refusal.into_parts();
            return refused(400, error, &text);
        }
        let lifetime = self.managed_identity_lifetime;
        let caller = Caller {
            object_id: identity.object_id,
            app_id: identity.client_id.clone(),
            tenant: identity.tenant,
        };
        let token = self.issue(&caller, &resource, now, lifetime);
        Reply::json(
            200,
            json!({
                "access_token": token,
                "client_id": identity.client_id,
                "expires_in": lifetime.to_string(),
                "expires_on": (now.as_second() + lifetime).to_string(),
                "ext_expires_in": lifetime.to_string(),
                "not_before": now.as_second().to_string(),
                "resource": resource,
                "token_type": "Bearer",
            }),
        )
    }

    fn chosen_identity(&self, request: &Request) -> Result<&ManagedIdentity, &'static str> {
        const NOT_FOUND: &str = "Identity not found";
        let named: Vec<(&str, String)> = SELECTORS
            .into_iter()
            .filter_map(|selector| request.query(selector).map(|value| (selector, value)))
            .collect();
        match named.as_slice() {
            [] => match self.managed_identities.iter().find(|identity| identity.resource_id.is_none()) {
                Some(system) => Ok(system),
                None => match self.managed_identities.as_slice() {
                    [] => Err(NOT_FOUND),
                    [only] => Ok(only),
                    _ => Err(
                        "Multiple user assigned identities exist, please specify the clientId / resourceId of \
                              the identity in the token request",
                    ),
                },
            },
            [(selector, value)] => self
                .managed_identities
                .iter()
                .find(|identity| {
                    let known = match *selector {
                        "client_id" => Some(&identity.client_id),
                        "object_id" => Some(&identity.object_id),
                        _ => identity.resource_id.as_ref(),
                    };
                    known.is_some_and(|known| known.eq_ignore_ascii_case(value))
                })
                .ok_or(NOT_FOUND),
            _ => Err("Only one of client_id, object_id and msi_res_id can be specified"),
        }
    }
}

fn refused(status: u16, error: &str, description: &str) -> Reply {
    Reply::json(status, json!({ "error": error, "error_description": description }))
}
