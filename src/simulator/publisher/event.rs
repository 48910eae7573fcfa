//! One event of a vault, and how it is written in either schema.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::subscription::Schema;
use super::switches::{Blanks, EventTime, Members, Switches, Validity};
use crate::vault::Vault;

/// What something happened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A certificate.
    Certificate,
    /// A key: of a certificate, since the simulated vault has no other.
    Key,
    /// A secret, plain or a certificate's.
    Secret,
    /// The vault itself.
    Vault,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happened {
    /// A version was created, of an object that may be new.
    NewVersionCreated,
    /// The current version expires within thirty days.
    NearExpiry,
    /// The current version has expired.
    Expired,
    /// An access policy of the vault was changed, or it turned from policies to roles or back.
    AccessPolicyChanged,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Id, the same in every delivery of it.
    pub id: String,
    /// Resource id of the vault.
    pub topic: String,
    /// Name of the vault.
    pub vault: String,
    /// Host of the vault.
    pub host: String,
    /// What it happened to.
    pub subject: Subject,
    /// What happened.
    pub happened: Happened,
    /// Name of the object; of the vault where it happened to that.
    pub name: String,
    /// Version; `None` where it happened to the vault.
    pub version: Option<String>,
    /// `nbf` and `exp` of the version in Unix seconds.
    pub validity: (Option<i64>, Option<i64>),
    /// When.
    pub at: Timestamp,
}

impl Event {
    pub(super) fn of_version(
        vault: &Vault,
        (subject, happened): (Subject, Happened),
        (name, version): (&str, &str),
        validity: (Option<i64>, Option<i64>),
        at: Timestamp,
    ) -> Self {
        let (name, version) = (name.to_owned(), Some(version.to_owned()));
        Self { subject, happened, name, version, validity, ..Self::of_vault(vault, at) }
    }

    /// The vault's access has changed.
    pub(super) fn of_vault(vault: &Vault, at: Timestamp) -> Self {
        Self {
            id: Uuid::new_v4().to_string(),
            topic: vault.resource_id(),
            vault: vault.name.clone(),
            host: vault.host(),
            subject: Subject::Vault,
            happened: Happened::AccessPolicyChanged,
            name: vault.name.clone(),
            version: None,
            validity: (None, None),
            at,
        }
    }

    /// Such as `Microsoft.KeyVault.CertificateNewVersionCreated`.
    pub fn event_type(&self) -> String {
        let happened = match self.happened {
            Happened::NewVersionCreated => "NewVersionCreated",
            Happened::NearExpiry => "NearExpiry",
            Happened::Expired => "Expired",
            Happened::AccessPolicyChanged => "AccessPolicyChanged",
        };
        format!("Microsoft.KeyVault.{}{happened}", self.subject.word())
    }

    pub(super) fn written(&self, schema: Schema, switches: &Switches) -> Value {
        match schema {
            Schema::EventGrid => json!({
                "id": self.id,
                "topic": self.topic,
                "subject": self.name,
                "eventType": self.event_type(),
                "data": self.data(switches),
                "dataVersion": DATA_VERSION,
                "metadataVersion": METADATA_VERSION,
                "eventTime": time(self.at, switches.event_time),
            }),
            Schema::CloudEvents => json!({
                "id": self.id,
                "source": self.topic,
                "subject": self.name,
                "type": self.event_type(),
                "specversion": "1.0",
                "time": time(self.at, switches.event_time),
                "data": self.data(switches),
            }),
        }
    }

    fn data(&self, switches: &Switches) -> Value {
        let id = match (&self.version, self.subject.collection()) {
            (Some(version), Some(collection)) => {
                format!("https://{}/{collection}/{}/{version}", self.host, self.name)
            }
            _ => format!("https://{}", self.host),
        };
        let (not_before, expires) = self.validity;
        let blank = if switches.blanks == Blanks::Stray { " " } else { "" };
        let version = self.version.as_ref().map(|version| format!("{blank}{version}"));
        let members = [
            ("Id", "id", String::new(), json!(id)),
            ("VaultName", "vaultName", String::new(), json!(self.vault)),
            ("ObjectType", "objectType", String::new(), json!(self.subject.word())),
            ("ObjectName", "objectName", blank.to_owned(), json!(self.name)),
            ("Version", "version", String::new(), json!(version)),
            ("NBF", "nbf", String::new(), moment(not_before, switches.validity)),
            ("EXP", "exp", String::new(), moment(expires, switches.validity)),
        ];
        let members = members.into_iter().map(|(pascal, camel, blank, value)| {
            let name = match switches.members {
                Members::Pascal => pascal,
                Members::Camel => camel,
            };
            (format!("{name}{blank}"), value)
        });
        Value::Object(members.collect::<Map<_, _>>())
    }
}

impl Subject {
    /// The word in types and data. The vault's own event says it twice: `VaultAccessPolicyChanged`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Certificate => "Certificate",
            Self::Key => "Key",
            Self::Secret => "Secret",
            Self::Vault => "Vault",
        }
    }

    fn collection(self) -> Option<&'static str> {
        match self {
            Self::Certificate => Some("certificates"),
            Self::Key => Some("keys"),
            Self::Secret => Some("secrets"),
            Self::Vault => None,
        }
    }
}

/// `dataVersion` of Key Vault's events.
pub(super) const DATA_VERSION: &str = "1";
/// `metadataVersion`: the only one there is.
pub(super) const METADATA_VERSION: &str = "1";

fn moment(second: Option<i64>, form: Validity) -> Value {
    match (second, form) {
        (None, _) | (_, Validity::Null) => Value::Null,
        // A second of this century is far below what a double holds exactly.
        (Some(second), Validity::Number) => json!(second as f64),
        (Some(second), Validity::Text) => json!(second.to_string()),
    }
}

pub(super) fn time(at: Timestamp, form: EventTime) -> String {
    let second = at.strftime("%Y-%m-%dT%H:%M:%S");
    match form {
        EventTime::SevenDigits => format!("{second}.{:07}Z", at.subsec_nanosecond().unsigned_abs() / 100),
        EventTime::WholeSeconds => format!("{second}Z"),
    }
}
