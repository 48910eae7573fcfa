//! What a caller may do at a scope, as Resource Manager tells it: entries of actions with wildcards.
//!
//! Source: Microsoft's document of the permissions API (`Microsoft.Authorization/permissions`, 2022-04-01) and of role
//! definitions. `notActions` take away from their own entry only; entries add up. Deny assignments are not in the answer.

/// One entry: the actions of one role that is assigned to the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermissionEntry {
    /// What is permitted.
    pub actions: Vec<String>,
    /// What of it is not.
    pub not_actions: Vec<String>,
}

impl PermissionEntry {
    fn permits(&self, action: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, action));
        any(&self.actions) && !any(&self.not_actions)
    }
}

/// Whether an action is permitted by any entry.
pub fn permits(entries: &[PermissionEntry], action: &str) -> bool {
    entries.iter().any(|entry| entry.permits(action))
}

/// Whether a pattern covers an action. `*` stands for anything, slashes too; case does not matter.
pub fn matches(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = action.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}
