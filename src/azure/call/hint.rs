//! What a person can do about a fault: the missing role or flag, with the az command that mends it.
//!
//! Commands are written by [`Az`], as those of `certroll doctor` are.

use certroll_core::doctor::{Access, Az, Mend, Principal, role, seen_address};
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
    /// The application that the token names, if it tells.
    pub(crate) application: Option<&'a str>,
}

/// The hint for an answer with an error, where one is known.
pub(crate) fn for_answer(call: &Call, kind: FaultKind, said: &Said, who: Who<'_>) -> Option<String> {
    let cloud_name = who.cloud_name;
    let az = Az::named(cloud_name, Principal::of(who.object, who.application));
    let needs = |what: &str, mend: &Mend| format!("the identity needs {what}: {}", mend.text());
    let hint = match (kind, &call.subject) {
        (FaultKind::Forbidden, Subject::Objects { vault, kind } | Subject::Object { vault, kind }) => {
            vault_permission(vault, *kind, call.operation, said, &az)
        }
        (FaultKind::Firewall, Subject::Objects { vault, .. } | Subject::Object { vault, .. }) => format!(
            "let this machine through the vault's firewall: {}, or reach the vault by a private endpoint",
            az.admit(vault, seen_address(&said.message)).text()
        ),
        (FaultKind::Forbidden, _) if said.has_code("LinkedAuthorizationFailed") => needs(
            "`Microsoft.KeyVault/vaults/deploy/action` on the vault",
            &az.assign(role::VAULT_CONTRIBUTOR, "<vault id>"),
        ),
        (FaultKind::Forbidden, Subject::VaultResource { vault }) => {
            needs("the role `Reader` on the vault", &az.assign_on_vault(role::READER, vault))
        }
        (FaultKind::Forbidden, Subject::Subscription) => needs(
            "the role `Reader` on the subscription",
            &az.assign(role::READER, "/subscriptions/<subscription id>"),
        ),
        (FaultKind::Forbidden, Subject::PublicAddress) => needs(
            "`Microsoft.Network/publicIPAddresses/read`",
            &az.assign(role::READER, "<public IP address id>"),
        ),
        (FaultKind::Forbidden, Subject::Service) => {
            let (action, role) = match call.operation {
                Operation::ServicePut | Operation::UpdateDomainWalk => ("write", role::CONTRIBUTOR),
                _ => ("read", role::READER),
            };
            let action = format!("`Microsoft.Compute/cloudServices/{action}`");
            needs(&action, &az.assign(role, "<cloud service id>"))
        }
        // Which vault it is stands in the message, if anywhere.
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
    Some(in_cloud(hint, &az))
}

fn vault_permission(
    vault: &VaultName,
    kind: ObjectKind,
    operation: Operation,
    said: &Said,
    az: &Az,
) -> String {
    let (kind, access, role) = match (operation, kind) {
        (Operation::CertificateImport, _) => {
            (ObjectKind::Certificate, Access::Write, role::CERTIFICATES_OFFICER)
        }
        (Operation::SecretSet, _) => (ObjectKind::Secret, Access::Write, role::SECRETS_OFFICER),
        (_, ObjectKind::Certificate) => (kind, Access::Read, role::CERTIFICATE_USER),
        (_, ObjectKind::Secret) => (kind, Access::Read, role::SECRETS_USER),
    };
    if said.has_code("ForbiddenByPolicy") || said.message.contains("permission on key vault") {
        let mend = az.set_policy(vault, kind, access);
        return format!("the vault's access policy must name the identity: {}", mend.text());
    }
    format!(
        "the identity needs the role `{role}` on vault `{vault}`; a new assignment takes some minutes to act: {}",
        az.assign_on_vault(role, vault).text()
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
    let az = Az::named(cloud_name, Principal::default());
    let audience = match cloud_name {
        "china" => "api://AzureADTokenExchangeChina",
        "usgov" => "api://AzureADTokenExchangeUSGov",
        _ => "api://AzureADTokenExchange",
    };
    if any(&["AADSTS7000215", "AADSTS7000222"]) {
        let hint =
            "the client secret is wrong or has expired: az ad app credential reset --id <application id>";
        return Some(in_cloud(hint.to_owned(), &az));
    }
    if any(&["AADSTS70021", "AADSTS700211", "AADSTS700212", "AADSTS700213"]) {
        let hint = format!(
            "a federated credential must have this token's issuer and subject, and the audience `{audience}`: az \
             identity federated-credential list --identity-name <identity> --resource-group <group>"
        );
        return Some(in_cloud(hint, &az));
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
        .then(|| in_cloud("log in with az login, or configure another identity".to_owned(), &az))
}

/// Adds how the az command is pointed at a cloud other than the public one.
fn in_cloud(hint: String, az: &Az) -> String {
    if az.needs_cloud() { format!("{hint} (after {})", az.select_cloud()) } else { hint }
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
