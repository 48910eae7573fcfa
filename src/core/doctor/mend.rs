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

/// To whom permissions are given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principal {
    /// The object id, where a token tells it.
    pub object: Option<String>,
    /// Whether it is a person, as with the az command, and not an application.
    pub person: bool,
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
        let cloud = match cloud.name.as_str() {
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

    fn object(&self) -> String {
        quoted(self.principal.object.as_deref().unwrap_or("<object id>"))
    }

    /// Gives the identity a role at a scope.
    pub fn assign(&self, role: &str, scope: &str) -> Mend {
        let kind = if self.principal.person { "User" } else { "ServicePrincipal" };
        Mend::Command(format!(
            "az role assignment create --assignee-object-id {} --assignee-principal-type {kind} --role {} --scope {}",
            self.object(),
            quoted(role),
            quoted(scope)
        ))
    }

    /// Lets the identity list and read objects of a vault that goes by access policies.
    pub fn set_policy(&self, vault: &VaultName, kind: ObjectKind) -> Mend {
        let permissions = match kind {
            // Whoever reads vault certificates reads the secrets behind them, too.
            ObjectKind::Certificate => "--certificate-permissions get list --secret-permissions get list",
            ObjectKind::Secret => "--secret-permissions get list",
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
