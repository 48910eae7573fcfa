//! Role instances and update domains.

use certroll_core::target::cloud_service::{InstanceState, RoleInstance};
use serde_json::Value;

use crate::call::{Misread, Node};

/// One item of `roleInstances?$expand=instanceView`.
pub(super) fn instance(item: &Node<'_>) -> Result<RoleInstance, Misread> {
    let name = item.required("name", "the instance's name")?.text()?.to_owned();
    let view = item.member("properties").and_then(|properties| properties.member("instanceView"));
    let update_domain = view
        .as_ref()
        .and_then(|view| view.member("platformUpdateDomain"))
        .and_then(|number| number.value().as_u64())
        .and_then(|number| u32::try_from(number).ok());
    let codes: Vec<&str> = view
        .iter()
        .filter_map(|view| view.member("statuses"))
        .filter_map(|statuses| statuses.value().as_array())
        .flatten()
        .filter_map(|status| status.get("code").and_then(Value::as_str))
        .collect();
    // Recorded answers hold the role's state alone; a service's own view mixes it with other kinds.
    let state = codes
        .iter()
        .find(|code| code.get(..10).is_some_and(|kind| kind.eq_ignore_ascii_case("RoleState/")))
        .or_else(|| codes.first())
        .map_or(InstanceState::Unknown, |code| InstanceState::from_code(code));
    Ok(RoleInstance { name, update_domain, state })
}

/// One item of `updateDomains`: its number is the last part of its id, or its name.
pub(super) fn update_domain(item: &Node<'_>) -> Result<u32, Misread> {
    const EXPECTED: &str = "an update domain, by its number";
    let from_id =
        item.text_of("id")?.and_then(|id| id.trim_end_matches('/').rsplit('/').next()?.parse().ok());
    let number = match from_id {
        Some(number) => Some(number),
        None => item.text_of("name")?.and_then(|name| name.parse().ok()),
    };
    number.ok_or_else(|| item.unlike(EXPECTED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn states_of_instances() {
        for (view, update_domain, state) in [
            (
                json!({ "platformUpdateDomain": 1, "statuses": [{ "code": "RoleState/RoleStateStarted" }] }),
                Some(1),
                InstanceState::Started,
            ),
            (
                json!({ "statuses": [{ "code": "PowerState/started" }, { "code": "rolestate/RoleStateBusy" }] }),
                None,
                InstanceState::Other("RoleStateBusy".to_owned()),
            ),
            (json!({ "statuses": [{ "code": "RoleStateStarted" }] }), None, InstanceState::Started),
            (json!({ "statuses": [] }), None, InstanceState::Unknown),
            (json!(null), None, InstanceState::Unknown),
        ] {
            let item = json!({ "name": "Web_IN_0", "properties": { "instanceView": view } });
            let expected = RoleInstance { name: "Web_IN_0".to_owned(), update_domain, state };
            assert_eq!(instance(&Node::root(&item)).unwrap(), expected, "{view}");
        }
        assert!(instance(&Node::root(&json!({ "properties": {} }))).is_err());
    }

    #[test]
    fn numbers_of_update_domains() {
        for (item, expected) in [
            (json!({ "id": "/subscriptions/s/updateDomains/3", "name": "x" }), Some(3)),
            (json!({ "name": "2" }), Some(2)),
            (json!({ "id": "/x/y", "name": "one" }), None),
            (json!({}), None),
        ] {
            assert_eq!(update_domain(&Node::root(&item)).ok(), expected, "{item}");
        }
    }
}
