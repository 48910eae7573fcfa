//! The commands that mend. Each is one line that can be copied; role names are those of Microsoft's lists of built-in
//! roles.

use std::net::IpAddr;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::cloud::AzureCloud;
use crate::id::{ObjectKind, VaultName};

/// How something is mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mend {
    /// By this command line.
    Command(String),
    /// By a person who reads this.
    Words(String),
}

impl Serialize for Mend {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Command(command) => map.serialize_entry("command", command)?,
            Self::Words(words) => map.serialize_entry("words", words)?,
        }
        map.end()
    }
}

impl Mend {
    /// The command line, or what a person reads.
    pub fn text(&self) -> &str {
        match self {
            Self::Command(text) | Self::Words(text) => text,
        }
    }
}

/// Built-in roles that give what certroll needs.
///
/// Source: Microsoft's lists of built-in roles for Key Vault and in general.
pub mod role {
    /// Reads every resource.
    pub const READER: &str = "Reader";
    /// Writes every resource.
    pub const CONTRIBUTOR: &str = "Contributor";
    /// May deploy from a vault, beside all else about the resource.
    pub const VAULT_CONTRIBUTOR: &str = "Key Vault Contributor";
    /// Reads vault certificates with their secrets.
    pub const CERTIFICATE_USER: &str = "Key Vault Certificate User";
    /// Reads secrets.
    pub const SECRETS_USER: &str = "Key Vault Secrets User";
    /// Writes vault certificates.
    pub const CERTIFICATES_OFFICER: &str = "Key Vault Certificates Officer";
    /// Writes secrets.
    pub const SECRETS_OFFICER: &str = "Key Vault Secrets Officer";
}

/// The application of the az command: who holds its token is a person.
///
/// Source: the command's own documentation of its public client.
const AZ_COMMAND: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";

/// To whom permissions are given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principal {
    /// The object id, where a token tells it.
    pub object: Option<String>,
    /// Whether it is a person, as with the az command, and not an application.
    pub person: bool,
}

impl Principal {
    /// Whom a token is for, by the object id and the application that it names.
    pub fn of(object: Option<&str>, application: Option<&str>) -> Self {
        Self {
            object: object.map(str::to_owned),
            person: application.is_some_and(|id| id.eq_ignore_ascii_case(AZ_COMMAND)),
        }
    }
}

/// What is wanted of a vault's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To list and read them.
    Read,
    /// To add versions, too.
    Write,
}

/// The address from which a vault says in its refusal that it was asked.
///
/// Source: the text of published `ForbiddenByFirewall` answers.
pub fn seen_address(message: &str) -> Option<IpAddr> {
    let (_, after) = message.split_once("Client address: ")?;
    after.split_whitespace().next()?.parse().ok()
}

/// Writes az commands for one cloud and one identity.
#[derive(Clone, Debug)]
pub struct Az {
    cloud: &'static str,
    principal: Principal,
}

impl Az {
    /// For a cloud, by the name that the configuration gives it, and whom the permissions are for.
    pub fn new(cloud: &AzureCloud, principal: Principal) -> Self {
        Self::named(&cloud.name, principal)
    }

    /// The same by the cloud's name alone.
    pub fn named(cloud: &str, principal: Principal) -> Self {
        let cloud = match cloud {
            "china" => "AzureChinaCloud",
            "usgov" => "AzureUSGovernment",
            "public" => "AzureCloud",
            // Registered by whoever runs it, under a name that is not known here.
            _ => "<name of the cloud>",
        };
        Self { cloud, principal }
    }

    /// Points az at the cloud: goes before all others, once.
    pub fn select_cloud(&self) -> String {
        let cloud = self.cloud;
        let name = if cloud.starts_with('<') { format!("'{cloud}'") } else { cloud.to_owned() };
        format!("az cloud set --name {name}")
    }

    /// Whether az has to be pointed at the cloud: it begins with the public one.
    pub fn needs_cloud(&self) -> bool {
        self.cloud != "AzureCloud"
    }

    fn object(&self) -> String {
        quoted(self.principal.object.as_deref().unwrap_or("<object id>"))
    }

    /// Gives the identity a role at a scope.
    pub fn assign(&self, role: &str, scope: &str) -> Mend {
        self.assign_at(role, &quoted(scope))
    }

    /// Gives the identity a role on a vault of which only the name is known.
    pub fn assign_on_vault(&self, role: &str, vault: &VaultName) -> Mend {
        self.assign_at(role, &format!("\"$(az keyvault show --name {vault} --query id --output tsv)\""))
    }

    fn assign_at(&self, role: &str, scope: &str) -> Mend {
        let kind = if self.principal.person { "User" } else { "ServicePrincipal" };
        Mend::Command(format!(
            "az role assignment create --assignee-object-id {} --assignee-principal-type {kind} --role {} --scope {scope}",
            self.object(),
            quoted(role),
        ))
    }

    /// Lets the identity list and read objects of a vault that goes by access policies, or write them, too.
    pub fn set_policy(&self, vault: &VaultName, kind: ObjectKind, access: Access) -> Mend {
        let permissions = match (kind, access) {
            // Whoever reads vault certificates reads the secrets behind them, too.
            (ObjectKind::Certificate, Access::Read) => {
                "--certificate-permissions get list --secret-permissions get list"
            }
            (ObjectKind::Certificate, Access::Write) => {
                "--certificate-permissions get list import --secret-permissions get list"
            }
            (ObjectKind::Secret, Access::Read) => "--secret-permissions get list",
            (ObjectKind::Secret, Access::Write) => "--secret-permissions get list set",
        };
        Mend::Command(format!(
            "az keyvault set-policy --name {vault} --object-id {} {permissions}",
            self.object()
        ))
    }

    /// Lets services fetch from a vault.
    pub fn enable_for_deployment(&self, vault: &VaultName) -> Mend {
        Mend::Command(format!("az keyvault update --name {vault} --enabled-for-deployment true"))
    }

    /// Lets an address through the vault's firewall: the one that the vault says it saw, where it says so.
    pub fn admit(&self, vault: &VaultName, seen: Option<IpAddr>) -> Mend {
        let address = seen.map_or_else(|| "'<address of this machine>'".to_owned(), |seen| seen.to_string());
        Mend::Command(format!("az keyvault network-rule add --name {vault} --ip-address {address}"))
    }

    /// Makes an event subscription of a vault, or makes the one of that name anew.
    pub fn subscribe(&self, name: &str, vault_id: &str, credentials: &str) -> Mend {
        Mend::Command(format!(
            "az eventgrid event-subscription create --name {} --source-resource-id {} --endpoint \
             '<address of the webhook>' --included-event-types {}{credentials}",
            quoted(name),
            quoted(vault_id),
            super::events::WANTED.join(" ")
        ))
    }

    /// Changes an event subscription of a vault.
    pub fn resubscribe(&self, name: &str, vault_id: &str, change: &str) -> Mend {
        Mend::Command(format!(
            "az eventgrid event-subscription update --name {} --source-resource-id {} {change}",
            quoted(name),
            quoted(vault_id)
        ))
    }
}

/// A word as a POSIX shell reads it back: resource groups may have parentheses, roles have spaces.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
