//! Resource Manager's paths, compared without case as it does.

use crate::call::Call;
use crate::message::Request;

/// A path of Azure Resource Manager that the simulator knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Subscriptions,
    Services { subscription: String, group: Option<String> },
    Service { subscription: String, group: String, name: String, part: Part },
    Operation { subscription: String, id: String },
    Vaults { subscription: String, group: Option<String> },
    Vault { subscription: String, group: String, name: String },
    PublicAddress { subscription: String, group: String, name: String },
    Permissions { of: Box<Route> },
    EventSubscriptions { subscription: String, group: String, vault: String },
}

/// What of a cloud service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Model,
    InstanceView,
    RoleInstances,
    RoleInstance { instance: String, view_only: bool },
    Roles,
    UpdateDomains,
    UpdateDomain(String),
    Action(String),
}

impl Route {
    pub(crate) fn of(request: &Request) -> Option<Self> {
        Self::of_segments(&request.segments())
    }

    fn of_segments(segments: &[String]) -> Option<Self> {
        let lower: Vec<String> = segments.iter().map(|part| part.to_ascii_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        let at = |index: usize| segments[index].clone();
        match lower.as_slice() {
            // An extension resource: below any other.
            [.., "providers", "microsoft.authorization", "permissions"] => {
                let of = Self::of_segments(&segments[..segments.len() - 3])?;
                Some(Route::Permissions { of: Box::new(of) })
            }
            [.., "providers", "microsoft.eventgrid", "eventsubscriptions"] => {
                match Self::of_segments(&segments[..segments.len() - 3])? {
                    Route::Vault { subscription, group, name } => {
                        Some(Route::EventSubscriptions { subscription, group, vault: name })
                    }
                    _ => None,
                }
            }
            ["subscriptions"] => Some(Route::Subscriptions),
            ["subscriptions", _, "providers", "microsoft.compute", "cloudservices"] => {
                Some(Route::Services { subscription: at(1), group: None })
            }
            ["subscriptions", _, "providers", "microsoft.compute", "locations", _, "csoperations", id] => {
                Some(Route::Operation { subscription: at(1), id: (*id).to_owned() })
            }
            ["subscriptions", _, "providers", "microsoft.keyvault", "vaults"] => {
                Some(Route::Vaults { subscription: at(1), group: None })
            }
            ["subscriptions", _, "resourcegroups", _, "providers", "microsoft.keyvault", "vaults"] => {
                Some(Route::Vaults { subscription: at(1), group: Some(at(3)) })
            }
            ["subscriptions", _, "resourcegroups", _, "providers", "microsoft.keyvault", "vaults", _] => {
                Some(Route::Vault { subscription: at(1), group: at(3), name: at(7) })
            }
            [
                "subscriptions",
                _,
                "resourcegroups",
                _,
                "providers",
                "microsoft.network",
                "publicipaddresses",
                _,
            ] => Some(Route::PublicAddress { subscription: at(1), group: at(3), name: at(7) }),
            ["subscriptions", _, "resourcegroups", _, "providers", "microsoft.compute", "cloudservices"] => {
                Some(Route::Services { subscription: at(1), group: Some(at(3)) })
            }
            [
                "subscriptions",
                _,
                "resourcegroups",
                _,
                "providers",
                "microsoft.compute",
                "cloudservices",
                _,
                rest @ ..,
            ] => {
                let part = Part::of(rest, &segments[8..])?;
                Some(Route::Service { subscription: at(1), group: at(3), name: at(7), part })
            }
            _ => None,
        }
    }

    pub(crate) fn call(&self, method: &str) -> Call {
        match (self, method) {
            (Route::Subscriptions, "GET") => Call::ListSubscriptions,
            (Route::Services { group: None, .. }, "GET") => Call::ListAllCloudServices,
            (Route::Services { group: Some(_), .. }, "GET") => Call::ListCloudServices,
            (Route::Operation { .. }, "GET") => Call::GetOperation,
            (Route::Vaults { .. }, "GET") => Call::ListVaults,
            (Route::Vault { .. }, "GET") => Call::GetVault,
            (Route::PublicAddress { .. }, "GET") => Call::GetPublicAddress,
            (Route::Permissions { .. }, "GET") => Call::ListPermissions,
            (Route::EventSubscriptions { .. }, "GET") => Call::ListEventSubscriptions,
            (Route::Service { part, .. }, method) => part.call(method),
            _ => Call::Other,
        }
    }

    pub(crate) fn subscription(&self) -> Option<&str> {
        match self {
            Route::Subscriptions => None,
            Route::Permissions { of } => of.subscription(),
            Route::Services { subscription, .. }
            | Route::Service { subscription, .. }
            | Route::Operation { subscription, .. }
            | Route::Vaults { subscription, .. }
            | Route::Vault { subscription, .. }
            | Route::PublicAddress { subscription, .. }
            | Route::EventSubscriptions { subscription, .. } => Some(subscription),
        }
    }

    pub(crate) fn group(&self) -> Option<&str> {
        match self {
            Route::Services { group, .. } | Route::Vaults { group, .. } => group.as_deref(),
            Route::Permissions { of } => of.group(),
            Route::Service { group, .. }
            | Route::Vault { group, .. }
            | Route::PublicAddress { group, .. }
            | Route::EventSubscriptions { group, .. } => Some(group),
            Route::Subscriptions | Route::Operation { .. } => None,
        }
    }
}

impl Part {
    fn of(lower: &[&str], segments: &[String]) -> Option<Self> {
        match lower {
            [] => Some(Part::Model),
            ["instanceview"] => Some(Part::InstanceView),
            ["roleinstances"] => Some(Part::RoleInstances),
            ["roleinstances", _] => {
                Some(Part::RoleInstance { instance: segments[1].clone(), view_only: false })
            }
            ["roleinstances", _, "instanceview"] => {
                Some(Part::RoleInstance { instance: segments[1].clone(), view_only: true })
            }
            ["roles"] => Some(Part::Roles),
            ["updatedomains"] => Some(Part::UpdateDomains),
            ["updatedomains", number] => Some(Part::UpdateDomain((*number).to_owned())),
            [action @ ("start" | "poweroff" | "restart" | "reimage" | "rebuild")] => {
                Some(Part::Action((*action).to_owned()))
            }
            _ => None,
        }
    }

    fn call(&self, method: &str) -> Call {
        match (self, method) {
            (Part::Model, "GET") => Call::GetCloudService,
            (Part::Model, "PUT") => Call::PutCloudService,
            (Part::Model, "PATCH") => Call::PatchCloudService,
            (Part::InstanceView, "GET") => Call::GetInstanceView,
            (Part::RoleInstances, "GET") => Call::ListRoleInstances,
            (Part::RoleInstance { .. }, "GET") => Call::GetRoleInstance,
            (Part::Roles, "GET") => Call::ListRoles,
            (Part::UpdateDomains | Part::UpdateDomain(_), "GET") => Call::ListUpdateDomains,
            (Part::UpdateDomain(_), "PUT") => Call::WalkUpdateDomain,
            (Part::Action(_), "POST") => Call::PowerAction,
            _ => Call::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_without_case() {
        let request = |method: &str, path: &str| Request {
            method: method.to_owned(),
            url: format!("https://management.azure.com{path}").parse().unwrap(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let base = "/Subscriptions/S/resourcegroups/G/providers/microsoft.compute/CLOUDSERVICES";
        for (method, rest, call) in [
            ("GET", "", Call::ListCloudServices),
            ("PUT", "/a", Call::PutCloudService),
            ("PUT", "/a/updateDomains/0", Call::WalkUpdateDomain),
            ("GET", "/a/roleInstances/R_IN_0/instanceView", Call::GetRoleInstance),
            ("GET", "/a/providers/Microsoft.Authorization/permissions", Call::ListPermissions),
            ("POST", "/a/restart", Call::PowerAction),
            ("DELETE", "/a", Call::Other),
        ] {
            let request = request(method, &format!("{base}{rest}"));
            assert_eq!(Route::of(&request).unwrap().call(method), call, "{rest}");
        }
        assert_eq!(Route::of(&request("GET", &format!("{base}/a/nothing"))), None);
    }
}
