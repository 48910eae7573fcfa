//! Services by the names that people type.

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
    if let Ok(id) = name.parse::<certroll_core::id::CloudServiceId>() {
        return policy
            .services
            .iter()
            .find(|service| service.service == id)
            .ok_or_else(|| unknown(policy, name));
    }
    let fits: Vec<&ServicePolicy> =
        policy.services.iter().filter(|service| service.service.name().eq_ignore_ascii_case(name)).collect();
    match fits.as_slice() {
        [service] => Ok(service),
        [] => Err(unknown(policy, name)),
        several => {
            let ids: Vec<String> = several.iter().map(|service| format!("`{}`", service.service)).collect();
            Err(Failure::new(
                Exit::Usage,
                format!("`{name}` names {} services: {}", several.len(), ids.join(", ")),
            )
            .hint("name one by its resource id"))
        }
    }
}

fn unknown(policy: &Policy, name: &str) -> Failure {
    let names: Vec<&str> = policy.services.iter().map(|service| service.service.name()).collect();
    let near =
        names.iter().map(|known| (strsim::jaro_winkler(&known.to_lowercase(), &name.to_lowercase()), *known));
    let nearest = near.filter(|(similarity, _)| *similarity > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = match nearest {
        Some((_, known)) => format!("did you mean `{known}`?"),
        None if names.is_empty() => "the configuration has no `[[service]]`".to_owned(),
        None => format!("the configuration has {}", names.join(", ")),
    };
    Failure::new(Exit::Usage, format!("no service `{name}` in the configuration")).hint(hint)
}
