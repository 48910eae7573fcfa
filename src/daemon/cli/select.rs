//! Services by the names that people type.

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

fn unknown(known: &[&CloudServiceId], name: &str, place: &str) -> Failure {
    let names: Vec<&str> = known.iter().map(|service| service.name()).collect();
    let near =
        names.iter().map(|known| (strsim::jaro_winkler(&known.to_lowercase(), &name.to_lowercase()), *known));
    let nearest = near.filter(|(similarity, _)| *similarity > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = match nearest {
        Some((_, known)) => format!("did you mean `{known}`?"),
        None if names.is_empty() => format!("no `[[service]]` is {place}"),
        None => format!("these are {place}: {}", names.join(", ")),
    };
    Failure::new(Exit::Usage, format!("no service `{name}` is {place}")).hint(hint)
}
