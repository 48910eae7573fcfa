//! What a person can do about a fault: the missing role or flag, with the az command that mends it.
//!
//! Role names are those of Microsoft's guide to Key Vault's roles.

use certroll_core::id::{ObjectKind, VaultName};
use certroll_core::ports::FaultKind;

use super::classify::Said;
use super::{Call, Operation};
use crate::token::NoToken;

/// What a call is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The list of a vault's objects, or of an object's versions.
    Objects { vault: VaultName, kind: ObjectKind },
    /// An object of a vault.
    Object { vault: VaultName, kind: ObjectKind },
    /// A subscription.
    Subscription,
    /// A cloud service, its instances or its operations.
    Service,
    /// A key vault as a resource.
    VaultResource { vault: VaultName },
    /// A public IP address.
    PublicAddress,
}

/// Who asked, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who<'a> {
    /// The configured cloud.
    pub(crate) cloud_name: &'a str,
    /// The object id to which roles are assigned, if the token tells it.
    pub(crate) object: Option<&'a str>,
}

/// The hint for an answer with an error, where one is known.
pub(crate) fn for_answer(call: &Call, kind: FaultKind, said: &Said, who: Who<'_>) -> Option<String> {
    let hint = known(call, kind, said, who.cloud_name)?;
    Some(match who.object {
        Some(object) => hint.replace("<object id>", object),
        None => hint,
    })
}

fn known(call: &Call, kind: FaultKind, said: &Said, cloud_name: &str) -> Option<String> {
    let hint = match (kind, &call.subject) {
        (FaultKind::Forbidden, Subject::Objects { vault, kind } | Subject::Object { vault, kind }) => {
            vault_permission(vault, *kind, call.operation, said)
        }
        (FaultKind::Firewall, Subject::Objects { vault, .. } | Subject::Object { vault, .. }) => format!(
            "let this machine through the vault's firewall: az keyvault network-rule add --name {vault} \
             --ip-address <address>, or reach the vault by a private endpoint"
        ),
        (FaultKind::Forbidden, _) if said.has_code("LinkedAuthorizationFailed") => {
            "the identity needs `Microsoft.KeyVault/vaults/deploy/action` on the vault: az role assignment create \
             --assignee <object id> --role \"Key Vault Contributor\" --scope <vault id>"
                .to_owned()
        }
        (FaultKind::Forbidden, Subject::VaultResource { .. }) => {
            "the identity needs the role `Reader` on the vault: az role assignment create --assignee <object id> \
             --role Reader --scope <vault id>"
                .to_owned()
        }
        (FaultKind::Forbidden, Subject::Subscription) => {
            "the identity needs the role `Reader` on the subscription: az role assignment create --assignee \
             <object id> --role Reader --scope /subscriptions/<subscription id>"
                .to_owned()
        }
        (FaultKind::Forbidden, Subject::PublicAddress) => {
            "the identity needs `Microsoft.Network/publicIPAddresses/read`: az role assignment create --assignee \
             <object id> --role Reader --scope <public IP address id>"
                .to_owned()
        }
        (FaultKind::Forbidden, Subject::Service) => match call.operation {
            Operation::ServicePut | Operation::UpdateDomainWalk => {
                "the identity needs `Microsoft.Compute/cloudServices/write`: az role assignment create --assignee \
                 <object id> --role Contributor --scope <cloud service id>"
                    .to_owned()
            }
            _ => "the identity needs `Microsoft.Compute/cloudServices/read`: az role assignment create --assignee \
                  <object id> --role Reader --scope <cloud service id>"
                .to_owned(),
        },
        (_, Subject::Service) if said.has_code("KeyVaultAccessForbidden") => {
            "let services fetch from the vault: az keyvault update --name <vault> --enabled-for-deployment true; \
             if it is set, the source vault's id is not that of the vault in the URL"
                .to_owned()
        }
        (FaultKind::Refused, Subject::Object { vault, kind })
            if said.has_code("ObjectIsDeletedButRecoverable") =>
        {
            let noun = match kind {
                ObjectKind::Certificate => "certificate",
                ObjectKind::Secret => "secret",
            };
            format!(
                "an object of that name was deleted and can be recovered, which keeps the name: az keyvault {noun} recover \
                 --vault-name {vault} --name <name>, or choose another name"
            )
        }
        (FaultKind::Refused, _) if said.has_code("ScopeLocked") => {
            "a lock forbids changes: az lock list --resource-group <group>".to_owned()
        }
        (FaultKind::Refused, _) if names_api_version(said) => {
            return Some("this cloud does not know the api-version: set an older one in the configuration".to_owned());
        }
        (FaultKind::Unauthorized, _) => {
            return Some(format!(
                "the token is of another cloud, tenant or audience than the service expects; `{cloud_name}` is configured"
            ));
        }
        _ => return None,
    };
    Some(in_cloud(hint, cloud_name))
}

fn vault_permission(vault: &VaultName, kind: ObjectKind, operation: Operation, said: &Said) -> String {
    let (permissions, role) = match (operation, kind) {
        (Operation::CertificateImport, _) => {
            ("--certificate-permissions get list import", "Key Vault Certificates Officer")
        }
        (Operation::SecretSet, _) => ("--secret-permissions get list set", "Key Vault Secrets Officer"),
        (_, ObjectKind::Certificate) => ("--certificate-permissions get list", "Key Vault Certificate User"),
        (_, ObjectKind::Secret) => ("--secret-permissions get list", "Key Vault Secrets User"),
    };
    if said.has_code("ForbiddenByPolicy") || said.message.contains("permission on key vault") {
        return format!(
            "the vault's access policy must name the identity: az keyvault set-policy --name {vault} --object-id \
             <object id> {permissions}"
        );
    }
    format!(
        "the identity needs the role `{role}` on vault `{vault}`; a new assignment takes some minutes to act: az role \
         assignment create --assignee <object id> --role \"{role}\" --scope $(az keyvault show --name {vault} \
         --query id --output tsv)"
    )
}

fn names_api_version(said: &Said) -> bool {
    let codes = ["InvalidApiVersionParameter", "NoRegisteredProviderFound", "UnsupportedApiVersion"];
    codes.iter().any(|code| said.has_code(code))
        || (said.has_code("BadParameter") && said.message.to_ascii_lowercase().contains("api-version"))
}

/// The hint for a fault of the transport, where one is known.
pub(crate) fn for_transport(call: &Call, kind: FaultKind, message: &str) -> Option<String> {
    let message = message.to_ascii_lowercase();
    match (kind, &call.subject) {
        (FaultKind::Unreachable, _) if message.contains("certificate") => {
            Some("if a proxy or gateway ends TLS here, add its root certificate by `http.ca_file`".to_owned())
        }
        (FaultKind::Unreachable, Subject::Objects { vault, .. } | Subject::Object { vault, .. })
            if message.contains("dns") || message.contains("lookup") =>
        {
            Some(format!("is there a vault `{vault}` in the configured cloud? its name is not known to DNS"))
        }
        _ => None,
    }
}

/// The hint for a chain of identities that gave no token, from the token authority's own codes.
///
/// Source: Microsoft's list of Entra ID error codes; the audiences of federated credentials by cloud.
pub(crate) fn for_no_token(none: &NoToken, cloud_name: &str) -> Option<String> {
    let said = |code: &str| none.reasons.iter().any(|(_, reason)| reason.contains(code));
    let any = |codes: &[&str]| codes.iter().any(|code| said(&format!("{code}:")));
    let audience = match cloud_name {
        "china" => "api://AzureADTokenExchangeChina",
        "usgov" => "api://AzureADTokenExchangeUSGov",
        _ => "api://AzureADTokenExchange",
    };
    if any(&["AADSTS7000215", "AADSTS7000222"]) {
        let hint =
            "the client secret is wrong or has expired: az ad app credential reset --id <application id>";
        return Some(in_cloud(hint.to_owned(), cloud_name));
    }
    if any(&["AADSTS70021", "AADSTS700211", "AADSTS700212", "AADSTS700213"]) {
        let hint = format!(
            "a federated credential must have this token's issuer and subject, and the audience `{audience}`: az \
             identity federated-credential list --identity-name <identity> --resource-group <group>"
        );
        return Some(in_cloud(hint, cloud_name));
    }
    if any(&["AADSTS700027"]) {
        return Some(
            "the certificate is not one of the application's: upload its public part there".to_owned(),
        );
    }
    if any(&["AADSTS90002", "AADSTS900023", "AADSTS700016"]) {
        return Some(format!("tenant and application must be those of the configured cloud, `{cloud_name}`"));
    }
    none.reasons
        .iter()
        .any(|(link, reason)| *link == "azure_cli" && reason.to_ascii_lowercase().contains("az login"))
        .then(|| in_cloud("log in with az login, or configure another identity".to_owned(), cloud_name))
}

/// Adds how the az command is pointed at a cloud other than the public one.
fn in_cloud(hint: String, cloud_name: &str) -> String {
    match cloud_name {
        "china" => format!("{hint} (after az cloud set --name AzureChinaCloud)"),
        "usgov" => format!("{hint} (after az cloud set --name AzureUSGovernment)"),
        _ => hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_s_codes_have_hints() {
        for (link, reason, cloud, expected) in [
            (
                "client_secret",
                "AADSTS7000222: The provided client secret keys are expired.",
                "public",
                "credential reset",
            ),
            (
                "workload_identity",
                "AADSTS700212: No matching record",
                "china",
                "`api://AzureADTokenExchangeChina`",
            ),
            (
                "workload_identity",
                "AADSTS70021: No matching record",
                "public",
                "`api://AzureADTokenExchange`",
            ),
            ("client_secret", "AADSTS90002: Tenant 't' not found.", "usgov", "`usgov`"),
            ("azure_cli", "Please run 'az login'", "china", "AzureChinaCloud"),
            ("managed_identity", "no metadata endpoint", "public", ""),
        ] {
            let none =
                NoToken { reasons: vec![(link, format!("status 400: x: {reason}"))], transient: false };
            let hint = for_no_token(&none, cloud).unwrap_or_default();
            assert!(hint.contains(expected) && hint.is_empty() == expected.is_empty(), "{reason}: {hint}");
        }
    }
}
