//! The body of a PUT, member by member, as Microsoft's OpenAPI documents of Microsoft.Compute list them. The service
//! reads names without case (a recording sends `frontendIPConfigurations` and gets `frontendIpConfigurations`), so
//! what passes comes out with the document's own spelling.

use serde_json::{Map, Value};

use crate::arm::problem::Problem;

/// What a member may hold.
enum Shape {
    Text,
    Flag,
    Integer,
    /// Anything: `settings` is typed differently by versions, and strings and objects both occur.
    Opaque,
    Texts,
    TextMap,
    Object(&'static [Member]),
    Objects(&'static [Member]),
}

struct Member {
    name: &'static str,
    shape: Shape,
    /// First api-version that has it.
    since: &'static str,
    need: Need,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Required,
    Optional,
    ReadOnly,
}

const ANY_VERSION: &str = "";

const fn member(name: &'static str, shape: Shape, need: Need) -> Member {
    Member { name, shape, since: ANY_VERSION, need }
}

const fn since(version: &'static str, name: &'static str, shape: Shape) -> Member {
    Member { name, shape, since: version, need: Need::Optional }
}

const REFERENCE: &[Member] = &[member("id", Shape::Text, Need::Required)];

const SERVICE: &[Member] = &[
    member("id", Shape::Text, Need::ReadOnly),
    member("name", Shape::Text, Need::ReadOnly),
    member("type", Shape::Text, Need::ReadOnly),
    member("systemData", Shape::Opaque, Need::ReadOnly),
    member("location", Shape::Text, Need::Required),
    member("tags", Shape::TextMap, Need::Optional),
    since("2022-09-04", "zones", Shape::Texts),
    member("properties", Shape::Object(PROPERTIES), Need::Optional),
];

const PROPERTIES: &[Member] = &[
    member("packageUrl", Shape::Text, Need::Optional),
    member("configuration", Shape::Text, Need::Optional),
    member("configurationUrl", Shape::Text, Need::Optional),
    member("startCloudService", Shape::Flag, Need::Optional),
    member("allowModelOverride", Shape::Flag, Need::Optional),
    member("upgradeMode", Shape::Text, Need::Optional),
    member(
        "roleProfile",
        Shape::Object(&[member("roles", Shape::Objects(ROLE), Need::Optional)]),
        Need::Optional,
    ),
    member(
        "osProfile",
        Shape::Object(&[member("secrets", Shape::Objects(GROUP), Need::Optional)]),
        Need::Optional,
    ),
    member("networkProfile", Shape::Object(NETWORK), Need::Optional),
    member(
        "extensionProfile",
        Shape::Object(&[member("extensions", Shape::Objects(EXTENSION), Need::Optional)]),
        Need::Optional,
    ),
    member("provisioningState", Shape::Text, Need::ReadOnly),
    member("uniqueId", Shape::Text, Need::ReadOnly),
];

const ROLE: &[Member] = &[
    member("name", Shape::Text, Need::Optional),
    member(
        "sku",
        Shape::Object(&[
            member("name", Shape::Text, Need::Optional),
            member("tier", Shape::Text, Need::Optional),
            member("capacity", Shape::Integer, Need::Optional),
        ]),
        Need::Optional,
    ),
];

const GROUP: &[Member] = &[
    member("sourceVault", Shape::Object(REFERENCE), Need::Required),
    member(
        "vaultCertificates",
        Shape::Objects(&[
            member("certificateUrl", Shape::Text, Need::Required),
            // The document's own example writes the flag as text.
            since("2024-11-04", "isBootstrapCertificate", Shape::Opaque),
        ]),
        Need::Required,
    ),
];

const NETWORK: &[Member] = &[
    member("loadBalancerConfigurations", Shape::Objects(LOAD_BALANCER), Need::Optional),
    since("2022-04-04", "slotType", Shape::Text),
    member("swappableCloudService", Shape::Object(REFERENCE), Need::Optional),
];

const LOAD_BALANCER: &[Member] = &[
    since("2022-04-04", "id", Shape::Text),
    member("name", Shape::Text, Need::Required),
    member(
        "properties",
        Shape::Object(&[member("frontendIpConfigurations", Shape::Objects(FRONTEND), Need::Required)]),
        Need::Required,
    ),
];

const FRONTEND: &[Member] = &[
    member("name", Shape::Text, Need::Required),
    member(
        "properties",
        Shape::Object(&[
            member("publicIPAddress", Shape::Object(REFERENCE), Need::Optional),
            member("subnet", Shape::Object(REFERENCE), Need::Optional),
            member("privateIPAddress", Shape::Text, Need::Optional),
        ]),
        Need::Required,
    ),
];

const EXTENSION: &[Member] = &[
    member("name", Shape::Text, Need::Optional),
    member(
        "properties",
        Shape::Object(&[
            member("publisher", Shape::Text, Need::Optional),
            member("type", Shape::Text, Need::Optional),
            member("typeHandlerVersion", Shape::Text, Need::Optional),
            member("autoUpgradeMinorVersion", Shape::Flag, Need::Optional),
            member("settings", Shape::Opaque, Need::Optional),
            member("protectedSettings", Shape::Opaque, Need::Optional),
            member("protectedSettingsFromKeyVault", Shape::Opaque, Need::Optional),
            member("forceUpdateTag", Shape::Text, Need::Optional),
            member("provisioningState", Shape::Text, Need::ReadOnly),
            member("rolesAppliedTo", Shape::Texts, Need::Optional),
        ]),
        Need::Optional,
    ),
];

/// How unforgiving a PUT is about members that it may not carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Members {
    /// Read-only members are refused, so that a client which sends back a whole GET is found out.
    Strict,
    /// Read-only members are ignored, as the real service does with `id`, `name` and `type`.
    ReadOnlyIgnored,
}

/// The body of a PUT with the document's spelling, without what is null or ignored.
pub(crate) fn put_body(body: &Value, version: &str, members: Members) -> Result<Map<String, Value>, Problem> {
    match object(body, SERVICE, "", version, members)? {
        Value::Object(members) => Ok(members),
        _ => Err(refusal("The request content was invalid: it is not an object.".to_owned())),
    }
}

/// The body of a PATCH: tags and nothing else.
pub(crate) fn patch_body(body: &Value, version: &str) -> Result<Map<String, Value>, Problem> {
    const UPDATE: &[Member] = &[member("tags", Shape::TextMap, Need::Optional)];
    match object(body, UPDATE, "", version, Members::Strict)? {
        Value::Object(members) => Ok(members),
        _ => Err(refusal("The request content was invalid: it is not an object.".to_owned())),
    }
}

fn object(
    value: &Value,
    schema: &[Member],
    path: &str,
    version: &str,
    strictness: Members,
) -> Result<Value, Problem> {
    let Value::Object(given) = value else {
        return Err(mistyped(path, "an object"));
    };
    let mut kept = Map::new();
    for (name, value) in given {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let known = schema.iter().find(|one| one.name.eq_ignore_ascii_case(name) && one.since <= version);
        let Some(known) = known else {
            return Err(refusal(format!(
                "The request content was invalid and could not be deserialized: 'Could not find member '{name}' on \
                 object of api-version '{version}'. Path '{path}'.'"
            )));
        };
        if known.need == Need::ReadOnly {
            match strictness {
                Members::Strict => {
                    return Err(refusal(format!("The request content was invalid: '{path}' is read-only.")));
                }
                Members::ReadOnlyIgnored => continue,
            }
        }
        if value.is_null() {
            continue;
        }
        if kept.contains_key(known.name) {
            return Err(refusal(format!("The request content was invalid: '{path}' occurs twice.")));
        }
        kept.insert(known.name.to_owned(), shaped(value, &known.shape, &path, version, strictness)?);
    }
    for needed in schema.iter().filter(|one| one.need == Need::Required) {
        if !kept.contains_key(needed.name) {
            let path =
                if path.is_empty() { needed.name.to_owned() } else { format!("{path}.{}", needed.name) };
            return Err(Problem::invalid(&path, format!("Required parameter '{path}' is missing (null).")));
        }
    }
    Ok(Value::Object(kept))
}

fn shaped(
    value: &Value,
    shape: &Shape,
    path: &str,
    version: &str,
    strictness: Members,
) -> Result<Value, Problem> {
    let fits = match shape {
        Shape::Opaque => true,
        Shape::Text => value.is_string(),
        Shape::Flag => value.is_boolean(),
        Shape::Integer => value.is_i64() || value.is_u64(),
        Shape::Texts => value.as_array().is_some_and(|items| items.iter().all(Value::is_string)),
        Shape::TextMap => value.as_object().is_some_and(|entries| entries.values().all(Value::is_string)),
        Shape::Object(schema) => return object(value, schema, path, version, strictness),
        Shape::Objects(schema) => {
            let Value::Array(items) = value else {
                return Err(mistyped(path, "an array"));
            };
            return items
                .iter()
                .enumerate()
                .map(|(index, item)| object(item, schema, &format!("{path}[{index}]"), version, strictness))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::Array);
        }
    };
    if fits { Ok(value.clone()) } else { Err(mistyped(path, "of another type")) }
}

fn mistyped(path: &str, expected: &str) -> Problem {
    let path = if path.is_empty() { "the body" } else { path };
    refusal(format!(
        "The request content was invalid and could not be deserialized: '{path}' should be {expected}."
    ))
}

fn refusal(message: String) -> Problem {
    Problem::new(400, "InvalidRequestContent", message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judge(body: &Value, version: &str) -> Result<Map<String, Value>, String> {
        put_body(body, version, Members::Strict).map_err(|problem| problem.message)
    }

    #[test]
    fn names_are_read_without_case_and_come_out_as_documented() {
        let body = json!({ "Location": "chinaeast2", "properties": { "networkProfile": {
            "loadBalancerConfigurations": [{ "name": "lb", "properties": { "frontendIPConfigurations": [] } }] } } });
        let read = judge(&body, "2022-09-04").unwrap();
        let inner = &read["properties"]["networkProfile"]["loadBalancerConfigurations"][0]["properties"];
        assert!(inner.get("frontendIpConfigurations").is_some());
        assert!(read.contains_key("location"));
    }

    #[test]
    fn what_does_not_belong_there_is_refused_by_name() {
        let with = |properties: Value| json!({ "location": "x", "properties": properties });
        let flagged = json!({ "osProfile": { "secrets": [{ "sourceVault": { "id": "v" },
            "vaultCertificates": [{ "certificateUrl": "u", "isBootstrapCertificate": "true" }] }] } });
        for (body, version, part) in [
            (json!({}), "2022-04-04", "location"),
            (json!({ "location": "x", "id": "y" }), "2022-04-04", "'id' is read-only"),
            (json!({ "location": "x", "zones": ["1"] }), "2022-04-04", "zones"),
            (json!({ "location": 1 }), "2022-04-04", "location"),
            (with(json!({ "provisioningState": "Succeeded" })), "2022-04-04", "properties.provisioningState"),
            (with(json!({ "colour": 1 })), "2022-04-04", "properties.colour"),
            (with(flagged.clone()), "2022-09-04", "isBootstrapCertificate"),
            (json!([]), "2022-09-04", "the body"),
        ] {
            let error = judge(&body, version).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert!(judge(&with(flagged), "2024-11-04").is_ok());
        let lenient =
            put_body(&json!({ "location": "x", "id": "y" }), "2022-04-04", Members::ReadOnlyIgnored);
        assert!(!lenient.unwrap().contains_key("id"));
    }
}
