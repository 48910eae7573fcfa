//! Judges the body of a PUT against the service as it is: what the new model would be, what is left out, what is
//! refused at once and what makes the operation fail.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::arm::problem::Problem;
use crate::service::cscfg::Cscfg;
use crate::service::delivery::{Sources, check_groups, desired, fetch};
use crate::service::model::{CertificateReference, Model, SecretGroup, UpgradeMode};
use crate::service::schema::{Members, put_body};
use crate::service::timeline::Delivery;
use crate::service::{Accepted, Service};
use crate::switches::{
    BootstrapFlag, CertificateChange, MissingThumbprints, OsProfileOmitted, ProtectedSettingsOmitted,
    SecretErrors, TagsOmitted, UnchangedPut, UpgradeModeOmitted, ZonesOmitted,
};

/// First api-version that knows `isBootstrapCertificate`.
const BOOTSTRAP_SINCE: &str = "2024-11-04";
/// Longest thumbprint in hexadecimal digits, for telling certificates from the rest of a cscfg.
const THUMBPRINT_DIGITS: usize = 40;

/// The groups that a PUT would leave the service with: the caller needs the right to deploy from each vault.
pub(crate) fn wanted_groups(service: &Service, body: &Value) -> Vec<String> {
    let sent = |name: &str, value: &Value| -> Option<Value> {
        value
            .as_object()?
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.clone())
    };
    let secrets = sent("properties", body)
        .and_then(|properties| sent("osProfile", &properties))
        .and_then(|profile| sent("secrets", &profile));
    match secrets {
        Some(Value::Array(groups)) => groups
            .iter()
            .filter_map(|group| sent("id", &sent("sourceVault", group)?)?.as_str().map(str::to_owned))
            .collect(),
        _ => service.model.secrets.iter().map(|group| group.vault_id.clone()).collect(),
    }
}

/// Judges a PUT.
pub(crate) fn judge(
    service: &Service,
    body: &Value,
    version: &str,
    members: Members,
    sources: &Sources<'_>,
) -> Result<Accepted, Problem> {
    let body = put_body(body, version, members)?;
    let switches = sources.switches;
    check_location(service, text(&body, "location"))?;
    let empty = Map::new();
    let properties = body.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    check_urls(properties)?;

    let mut model = service.model.clone();
    match (body.get("tags").and_then(Value::as_object), switches.tags_omitted) {
        (Some(tags), _) => model.tags = (!tags.is_empty()).then(|| tags.clone()),
        (None, TagsOmitted::Reset) => model.tags = None,
        (None, TagsOmitted::Kept) => {}
    }
    model.zones = zones(service, &body, switches.zones_omitted)?;
    model.upgrade_mode = match (text(properties, "upgradeMode"), switches.upgrade_mode_omitted) {
        (Some(word), _) => UpgradeMode::of(word).ok_or_else(|| {
            Problem::invalid("upgradeMode", "The value of parameter upgradeMode is invalid.")
        })?,
        (None, UpgradeModeOmitted::Reset) => UpgradeMode::Auto,
        (None, UpgradeModeOmitted::Kept) => model.upgrade_mode,
    };
    let cscfg = match text(properties, "configuration") {
        Some(configuration) => {
            let cscfg = configuration_of(service, configuration)?;
            model.configuration = configuration.to_owned();
            cscfg
        }
        None => service.cscfg.clone(),
    };
    roles(&mut model, properties, &cscfg)?;
    network(&mut model, properties)?;
    extensions(&mut model, properties, switches.protected_settings_omitted);
    secrets(&mut model, properties, version, sources);

    check_groups(&service.id, &model.secrets, sources.names, switches)?;
    let mut failure = None;
    let mut late = |problem: Problem, sync: bool| {
        if sync {
            return Err(problem);
        }
        failure = Some((problem.code, problem.message));
        Ok(())
    };
    let delivered = match fetch(&service.location, &model.secrets, &service.delivered, sources) {
        Ok(delivered) => Some(delivered),
        Err(problem) => {
            late(problem, switches.secret_errors == SecretErrors::Sync)?;
            None
        }
    };
    let desired = match delivered.as_ref().map(|delivered| desired(&cscfg, delivered, switches)) {
        Some(Ok(desired)) => desired,
        Some(Err(problem)) => {
            late(problem, switches.missing_thumbprints == MissingThumbprints::Sync)?;
            BTreeMap::new()
        }
        None => BTreeMap::new(),
    };
    let unchanged = model == service.model;
    let certificates_alone = without_thumbprints(&model.configuration)
        == without_thumbprints(&service.model.configuration)
        && Model { configuration: String::new(), secrets: Vec::new(), ..model.clone() }
            == Model { configuration: String::new(), secrets: Vec::new(), ..service.model.clone() };
    Ok(Accepted {
        delivery: match switches.certificate_change {
            CertificateChange::Live if certificates_alone => Delivery::Live,
            CertificateChange::Live | CertificateChange::Recycles => Delivery::Recycle,
        },
        touches_last_modified: !unchanged || switches.unchanged_put == UnchangedPut::MovesLastModified,
        model,
        cscfg,
        delivered: delivered.unwrap_or_default(),
        desired,
        failure,
    })
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}

fn check_location(service: &Service, location: Option<&str>) -> Result<(), Problem> {
    let location = location.unwrap_or_default();
    if location.to_ascii_lowercase().replace(' ', "") == service.location {
        return Ok(());
    }
    let message = format!(
        "The resource '{}' already exists in location '{}' in resource group '{}'. A resource with the same name \
         cannot be created in location '{location}'. Please select a new resource name.",
        service.id.name, service.location, service.id.resource_group
    );
    Err(Problem::new(409, "InvalidResourceLocation", message))
}

/// The package and configuration URLs are fetched by the service: an empty or plain one is refused, as recorded.
fn check_urls(properties: &Map<String, Value>) -> Result<(), Problem> {
    for name in ["packageUrl", "configurationUrl"] {
        let Some(url) = text(properties, name) else { continue };
        if !url.starts_with("https://") {
            return Err(Problem::invalid(name, format!("The value of parameter {name} is invalid.")));
        }
    }
    if properties.contains_key("configurationUrl") {
        return Err(Problem::invalid(
            "configurationUrl",
            "The value of parameter configurationUrl is invalid.",
        ));
    }
    Ok(())
}

fn zones(
    service: &Service,
    body: &Map<String, Value>,
    omitted: ZonesOmitted,
) -> Result<Option<Vec<String>>, Problem> {
    let Some(zones) = body.get("zones").and_then(Value::as_array) else {
        return Ok(match omitted {
            ZonesOmitted::Kept => service.model.zones.clone(),
            ZonesOmitted::Reset => None,
        });
    };
    let zones: Vec<String> = zones.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if zones != service.model.zones.clone().unwrap_or_default() {
        return Err(Problem::new(
            400,
            "ResourceZonesCannotBeModified",
            "The zones of a resource cannot be changed.",
        ));
    }
    Ok(service.model.zones.clone())
}

/// The package seals roles and certificate names; a configuration that does not fit them is refused.
fn configuration_of(service: &Service, configuration: &str) -> Result<Cscfg, Problem> {
    let mismatch = |details: String| {
        Problem::invalid(
            "configuration",
            format!(
                "The CSCFG did not match the CSDEF. More details: {details} https://aka.ms/cses-cscfg-csdef"
            ),
        )
    };
    let cscfg = Cscfg::parse(configuration).map_err(|error| {
        Problem::invalid(
            "configuration",
            format!("The value of parameter configuration is invalid: it {error}."),
        )
    })?;
    for role in &cscfg.roles {
        let Some(known) = service.cscfg.role(&role.name) else {
            return Err(mismatch(format!("No role named {} in the service definition.", role.name)));
        };
        for certificate in &role.certificates {
            if known.certificate(&certificate.name).is_none() {
                return Err(mismatch(format!(
                    "The service definition file does not provide a certificate definition for certificate '{}' for \
                     role '{}'.",
                    certificate.name, role.name
                )));
            }
        }
        if let Some(lost) = known.certificates.iter().find(|one| role.certificate(&one.name).is_none()) {
            return Err(mismatch(format!(
                "Role '{}' does not provide certificate '{}'.",
                role.name, lost.name
            )));
        }
    }
    if let Some(lost) = service.cscfg.roles.iter().find(|role| cscfg.role(&role.name).is_none()) {
        return Err(mismatch(format!("Role '{}' is missing.", lost.name)));
    }
    if cscfg.roles.len() != service.cscfg.roles.len() {
        return Err(mismatch("A role occurs twice.".to_owned()));
    }
    Ok(cscfg)
}

/// Role sizes and counts have to agree with package and cscfg unless the model overrides them.
fn roles(model: &mut Model, properties: &Map<String, Value>, cscfg: &Cscfg) -> Result<(), Problem> {
    let sent =
        properties.get("roleProfile").and_then(|profile| profile.get("roles")).and_then(Value::as_array);
    let overrides = properties.get("allowModelOverride").and_then(Value::as_bool);
    if let Some(sent) = sent {
        let size = |roles: &[Value], name: &str| {
            let named =
                |role: &&Value| role["name"].as_str().is_some_and(|one| one.eq_ignore_ascii_case(name));
            roles.iter().find(named).map(|role| role["sku"]["name"].clone())
        };
        // With the override gone, what it once allowed is judged anew: the package still has the old sizes.
        let was_overridden = model.allow_model_override && overrides != Some(true);
        for role in sent {
            let name = role["name"].as_str().unwrap_or_default();
            let differs = size(&model.roles, name) != Some(role["sku"]["name"].clone());
            if (differs && overrides != Some(true)) || was_overridden {
                return Err(Problem::invalid(
                    "roleProfile",
                    format!(
                        "The size of role '{name}' does not match the CSDEF and allowModelOverride is not set."
                    ),
                ));
            }
        }
        model.roles = sent.clone();
    }
    if overrides == Some(true) {
        model.allow_model_override = true;
    }
    for role in &cscfg.roles {
        let named =
            |one: &&Value| one["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(&role.name));
        let Some(profile) = model.roles.iter().find(named) else { continue };
        if profile["sku"]["capacity"].as_u64().is_some_and(|count| count != u64::from(role.instances)) {
            return Err(Problem::invalid(
                "roleProfile",
                format!(
                    "The instance count of role '{}' is {} in the CSCFG and {} in the roleProfile.",
                    role.name, role.instances, profile["sku"]["capacity"]
                ),
            ));
        }
    }
    Ok(())
}

/// The recording of an update that names another public address shows the old one in the reply, so differences in load
/// balancers are not taken over. What can never change is refused.
fn network(model: &mut Model, properties: &Map<String, Value>) -> Result<(), Problem> {
    let Some(sent) = properties.get("networkProfile") else { return Ok(()) };
    let target =
        |profile: &Value| profile["swappableCloudService"]["id"].as_str().map(str::to_ascii_lowercase);
    match (target(&model.network), target(sent)) {
        (Some(_), None) => {
            return Err(Problem::new(
                400,
                "SwappableCloudServicePropertyNotSet",
                "SwappableCloudService property in networkProfile cannot be removed once it is set.",
            ));
        }
        (Some(old), Some(new)) if old != new => {
            return Err(Problem::invalid(
                "swappableCloudService",
                "SwappableCloudService property in networkProfile cannot be updated once it is set.",
            ));
        }
        (None, Some(_)) => model.network["swappableCloudService"] = sent["swappableCloudService"].clone(),
        _ => {}
    }
    Ok(())
}

/// An empty list takes every extension away; what is left out stays. Protected settings come back from no GET.
fn extensions(model: &mut Model, properties: &Map<String, Value>, omitted: ProtectedSettingsOmitted) {
    let sent = properties.get("extensionProfile").and_then(|profile| profile.get("extensions"));
    let Some(sent) = sent.and_then(Value::as_array) else { return };
    let mut extensions = sent.clone();
    if omitted == ProtectedSettingsOmitted::Kept {
        for extension in &mut extensions {
            let old = model.extensions.iter().find(|old| old["name"] == extension["name"]);
            let settings = old.and_then(|old| old["properties"].get("protectedSettings"));
            if let Some(settings) = settings
                && let Some(properties) = extension.get_mut("properties").and_then(Value::as_object_mut)
            {
                properties.entry("protectedSettings").or_insert_with(|| settings.clone());
            }
        }
    }
    model.extensions = extensions;
}

fn secrets(model: &mut Model, properties: &Map<String, Value>, version: &str, sources: &Sources<'_>) {
    let sent =
        properties.get("osProfile").and_then(|profile| profile.get("secrets")).and_then(Value::as_array);
    let Some(sent) = sent else {
        if sources.switches.os_profile_omitted == OsProfileOmitted::Wiped {
            model.secrets.clear();
        }
        return;
    };
    let old_flag = |url: &str| {
        let known = model.secrets.iter().flat_map(|group| &group.certificates);
        known.filter(|one| one.url.eq_ignore_ascii_case(url)).find_map(|one| one.bootstrap.clone())
    };
    let certificate = |body: &Value| {
        let url = body["certificateUrl"].as_str().unwrap_or_default().to_owned();
        let keeps = version < BOOTSTRAP_SINCE && sources.switches.bootstrap_flag == BootstrapFlag::Kept;
        let bootstrap = body.get("isBootstrapCertificate").cloned();
        let bootstrap = bootstrap.or_else(|| if keeps { old_flag(&url) } else { None });
        CertificateReference { url, bootstrap }
    };
    let group = |body: &Value| SecretGroup {
        vault_id: body["sourceVault"]["id"].as_str().unwrap_or_default().to_owned(),
        certificates: body["vaultCertificates"].as_array().into_iter().flatten().map(certificate).collect(),
    };
    model.secrets = sent.iter().map(group).collect();
}

/// A cscfg with every run of forty hexadecimal digits masked.
fn without_thumbprints(configuration: &str) -> String {
    let mut masked = String::with_capacity(configuration.len());
    let mut run = String::new();
    for character in configuration.chars().chain(std::iter::once('\0')) {
        if character.is_ascii_hexdigit() {
            run.push(character);
            continue;
        }
        masked.push_str(if run.len() == THUMBPRINT_DIGITS { "#" } else { &run });
        run.clear();
        masked.push(character);
    }
    masked
}

/// The reply to a PUT: the new model, with an emptied extension list shown once, as recorded.
pub(crate) fn reply_body(service: &Service, version: &str, sent: &Value) -> Value {
    let mut body = service.model.to_json(service, version);
    let emptied = sent["properties"]["extensionProfile"]["extensions"].as_array().is_some_and(Vec::is_empty);
    if emptied {
        body["properties"]["extensionProfile"] = json!({ "extensions": [] });
    }
    body
}
