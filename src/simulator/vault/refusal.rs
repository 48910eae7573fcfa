//! Errors as the data plane words them. Codes and inner codes are what clients go by; the texts follow published
//! answers where there are any.

use jiff::Timestamp;
use serde_json::json;

use super::{Access, Challenge, Permission, Throttle, Vault};
use crate::entra::{Caller, TokenFault};
use crate::message::Reply;

/// An error with an inner code.
pub(super) fn inner(status: u16, code: &str, message: &str, inner: &str) -> Reply {
    Reply::json(
        status,
        json!({ "error": { "code": code, "message": message, "innererror": { "code": inner } } }),
    )
}

/// 400 for a parameter, field or value.
pub(super) fn bad_parameter(message: &str) -> Reply {
    Reply::error(400, "BadParameter", message)
}

/// 409: the name belongs to something else.
pub(super) fn conflict(message: &str, inner_code: &str) -> Reply {
    inner(409, "Conflict", message, inner_code)
}

/// 404 for an object that is not here, or was deleted.
pub(super) fn not_found(noun: &str, path: &str) -> Reply {
    let code = if noun == "certificate" { "CertificateNotFound" } else { "SecretNotFound" };
    Reply::error(
        404,
        code,
        &format!(
            "A {noun} with (name/id) {path} was not found in this key vault. If you recently deleted this {noun} you may \
             be able to recover it using the correct recovery command. For help resolving this issue, please see \
             https://go.microsoft.com/fwlink/?linkid=2125182"
        ),
    )
}

/// 403 because of the version's state: its own adjective and inner code, such as `a disabled` and `SecretDisabled`.
pub(super) fn state(noun: &str, adjective: &str, inner_code: &str) -> Reply {
    inner(403, "Forbidden", &format!("Operation get is not allowed on {adjective} {noun}."), inner_code)
}

/// 429.
pub(super) fn throttled(throttle: &Throttle) -> Reply {
    let reply = Reply::error(
        429,
        "Throttled",
        "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached",
    );
    match throttle.retry_after {
        Some(seconds) => reply.with_header("retry-after", seconds.to_string()),
        None => reply,
    }
}

impl Vault {
    /// 401 with the challenge that tells a client whom to ask for a token, and for what.
    pub(super) fn unauthorized(&self, fault: TokenFault, now: Timestamp) -> Reply {
        let resource = self.resource();
        // Documented is that the message begins with AKV100 and two digits, not which number means what: no client
        // may lean on it.
        let message = match fault {
            TokenFault::Missing => "AKV10000: Request is missing a Bearer or PoP token.".to_owned(),
            TokenFault::Malformed => {
                "AKV10046: Unable to resolve the key used for signature validation.".to_owned()
            }
            TokenFault::Expired => {
                format!("AKV10052: Error validating token: the lifetime is over. Current time: {now}.")
            }
            TokenFault::WrongAudience => format!("AKV10022: Invalid audience. Expected {resource}."),
        };
        self.challenged(&message)
    }

    /// 401 for a token of another tenant.
    pub(super) fn wrong_tenant(&self, caller: &Caller) -> Reply {
        self.challenged(&format!(
            "AKV10032: Invalid issuer. Expected one of https://sts.windows.net/{}/, found https://sts.windows.net/{}/.",
            self.tenant, caller.tenant
        ))
    }

    fn challenged(&self, message: &str) -> Reply {
        let authority = format!("https://{}/{}", self.login_host, self.tenant);
        let resource = self.resource();
        let target = match self.behaviour.challenge {
            Challenge::Resource => format!("resource=\"{resource}\""),
            Challenge::Scope => format!("scope=\"{resource}/.default\""),
        };
        Reply::error(401, "Unauthorized", message)
            .with_header("www-authenticate", format!("Bearer authorization=\"{authority}\", {target}"))
    }

    /// 403 from the firewall.
    pub(super) fn outside_firewall(&self, caller: &Caller) -> Reply {
        let message = format!(
            "Client address is not authorized and caller is not a trusted service.\r\nClient address: 203.0.113.7\r\n\
             Caller: {}\r\nVault: {};location={}",
            shown(caller),
            self.name,
            self.location
        );
        inner(403, "Forbidden", &message, "ForbiddenByFirewall")
    }

    /// 403 because nobody granted this.
    pub(super) fn not_permitted(&self, caller: &Caller, permission: Permission, path: &str) -> Reply {
        let caller = shown(caller);
        match &self.access {
            Access::Rbac(_) => {
                let message = format!(
                    "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or \
                     role definitions were changed recently, please observe propagation time.\r\nCaller: {caller}\r\n\
                     Action: '{}'\r\nResource: '{}{path}'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\n\
                     DecisionReason: null \r\nVault: {};location={}\r\n",
                    permission.action(),
                    self.resource_id().to_ascii_lowercase(),
                    self.name,
                    self.location
                );
                inner(403, "Forbidden", &message, "ForbiddenByRbac")
            }
            Access::Policies(_) => {
                let message = format!(
                    "The user, group or application '{caller}' does not have {} permission on key vault '{};location={}'. \
                     For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287",
                    permission.policy_name(),
                    self.name,
                    self.location
                );
                inner(403, "Forbidden", &message, "ForbiddenByPolicy")
            }
        }
    }
}

impl Permission {
    fn action(self) -> &'static str {
        match self {
            Self::CertificatesGet | Self::CertificatesList => "Microsoft.KeyVault/vaults/certificates/read",
            Self::CertificatesImport => "Microsoft.KeyVault/vaults/certificates/import/action",
            Self::CertificatesUpdate => "Microsoft.KeyVault/vaults/certificates/update/action",
            Self::SecretsGet => "Microsoft.KeyVault/vaults/secrets/getSecret/action",
            Self::SecretsList => "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
            Self::SecretsSet => "Microsoft.KeyVault/vaults/secrets/setSecret/action",
        }
    }

    fn policy_name(self) -> &'static str {
        match self {
            Self::CertificatesGet => "certificates get",
            Self::CertificatesList => "certificates list",
            Self::CertificatesImport => "certificates import",
            Self::CertificatesUpdate => "certificates update",
            Self::SecretsGet => "secrets get",
            Self::SecretsList => "secrets list",
            Self::SecretsSet => "secrets set",
        }
    }
}

fn shown(caller: &Caller) -> String {
    let Caller { object_id, app_id, tenant } = caller;
    format!("appid={app_id};oid={object_id};iss=https://sts.windows.net/{tenant}/")
}
