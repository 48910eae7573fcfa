//! Services by the names that people type, and the nearest name where none is known.

use certroll_core::id::CloudServiceId;
use certroll_core::policy::{Policy, ServicePolicy};

use super::exit::Exit;
use super::failure::Failure;

/// The policy for the services that are named, by name or resource id; the whole policy if none is.
///
/// # Errors
/// A name that no service has, or that several have.
pub fn select(policy: &Policy, named: &[String]) -> Result<Policy, Failure> {
    let mut selected = policy.clone();
    if named.is_empty() {
        return Ok(selected);
    }
    selected.services.clear();
    for name in named {
        let service = find(policy, name)?;
        if !selected.services.iter().any(|have| have.service == service.service) {
            selected.services.push(service.clone());
        }
    }
    Ok(selected)
}

/// The service of the policy that is named, by name or resource id.
///
/// # Errors
/// No service has the name, or several have.
pub(crate) fn find<'a>(policy: &'a Policy, name: &str) -> Result<&'a ServicePolicy, Failure> {
    let known = policy.services.iter().map(|service| &service.service);
    let wanted = named(known, name, "in the configuration")?;
    // It is one of them.
    let found = policy.services.iter().find(|service| service.service == *wanted);
    found.ok_or_else(|| unknown(&[], name, "in the configuration"))
}

/// The one of the services that is named, by name or resource id; `place` says where they are known.
///
/// # Errors
/// No service has the name, or several have.
pub(crate) fn named<'a>(
    known: impl Iterator<Item = &'a CloudServiceId>,
    name: &str,
    place: &str,
) -> Result<&'a CloudServiceId, Failure> {
    let known: Vec<&CloudServiceId> = known.collect();
    let fits: Vec<&CloudServiceId> = match name.parse::<CloudServiceId>() {
        Ok(id) => known.iter().copied().filter(|service| **service == id).collect(),
        Err(_) => known.iter().copied().filter(|service| service.name().eq_ignore_ascii_case(name)).collect(),
    };
    match fits.as_slice() {
        [service] => Ok(service),
        [] => Err(unknown(&known, name, place)),
        several => {
            let ids: Vec<String> = several.iter().map(|service| format!("`{service}`")).collect();
            Err(Failure::new(
                Exit::Usage,
                format!("`{name}` names {} services: {}", several.len(), ids.join(", ")),
            )
            .hint("name one by its resource id"))
        }
    }
}

/// How alike two names must be, from 0 to 1: `shpo` finds `shop`, `desk` does not.
const ALIKE: f64 = 0.8;

/// The known name that is most like the one that was typed, if any is.
pub(crate) fn near<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let ranked = known.into_iter().map(|known| (strsim::jaro_winkler(&known.to_lowercase(), &typed), known));
    let (_, nearest) =
        ranked.filter(|(alike, _)| *alike > ALIKE).max_by(|one, other| one.0.total_cmp(&other.0))?;
    Some(nearest)
}

/// The hint that goes with it.
pub(crate) fn did_you_mean(known: &str) -> String {
    format!("did you mean `{known}`?")
}

fn unknown(known: &[&CloudServiceId], name: &str, place: &str) -> Failure {
    let names: Vec<&str> = known.iter().map(|service| service.name()).collect();
    // Who names a resource id is shown one.
    let ids: Vec<String> = known.iter().map(ToString::to_string).collect();
    let nearest = near(name, names.iter().copied()).or_else(|| near(name, ids.iter().map(String::as_str)));
    let hint = match nearest {
        Some(known) => did_you_mean(known),
        None if names.is_empty() => format!("no `[[service]]` is {place}"),
        None => format!("these are {place}: {}", names.join(", ")),
    };
    Failure::new(Exit::Usage, format!("no service `{name}` is {place}")).hint(hint)
}
