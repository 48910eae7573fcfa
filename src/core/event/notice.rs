//! One event of a vault.

use jiff::Timestamp;
use serde_json::Value;
use url::Url;

use super::fields::Fields;
use crate::id::VaultName;

/// What an event says happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NoticeKind {
    /// An object or a version of it was made.
    NewVersion,
    /// The current version ends soon.
    NearExpiry,
    /// The current version has ended.
    Expired,
    /// Who may read the vault has changed: what could not be read may be readable now.
    AccessChanged,
}

impl NoticeKind {
    /// The kind of an event type such as `Microsoft.KeyVault.SecretNewVersionCreated`; none of any other. Keys are no
    /// certificates, but a vault certificate's version comes with one: a hint is a hint.
    pub(super) fn of(event_type: &str) -> Option<Self> {
        let (prefix, what) = event_type.split_at_checked("Microsoft.KeyVault.".len())?;
        if !prefix.eq_ignore_ascii_case("Microsoft.KeyVault.") {
            return None;
        }
        let what = what.to_ascii_lowercase();
        if what == "vaultaccesspolicychanged" {
            return Some(Self::AccessChanged);
        }
        let what =
            ["certificate", "secret", "key"].into_iter().find_map(|object| what.strip_prefix(object))?;
        match what {
            "newversioncreated" => Some(Self::NewVersion),
            "nearexpiry" => Some(Self::NearExpiry),
            "expired" => Some(Self::Expired),
            _ => None,
        }
    }

    /// The kind's word, the same in messages and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::NewVersion => "new_version",
            Self::NearExpiry => "near_expiry",
            Self::Expired => "expired",
            Self::AccessChanged => "access_changed",
        }
    }
}

/// A hint that something happened in a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultNotice {
    /// The vault, by its name alone: whether it is one that anybody follows is for the configuration to say.
    pub vault: VaultName,
    /// What happened.
    pub kind: NoticeKind,
    /// The object's name, where the event tells, for messages.
    pub object: Option<String>,
    /// When it happened, where the event tells.
    pub at: Option<Timestamp>,
}

/// What all events have, wherever the schema or the mode keeps it.
pub(super) struct Envelope<'a> {
    pub(super) event_type: &'a str,
    /// `topic` or `source`: the vault's resource id.
    pub(super) source: Option<&'a str>,
    pub(super) subject: Option<&'a str>,
    pub(super) time: Option<&'a str>,
    pub(super) data: Option<&'a Value>,
}

/// Longest name that is kept of an object, as Key Vault has it.
const NAME: usize = 127;

impl Envelope<'_> {
    /// The notice, if the event is of a vault and of a type that is known.
    pub(super) fn notice(&self) -> Option<VaultNotice> {
        let kind = NoticeKind::of(self.event_type)?;
        let unpacked = self.data.and_then(unpacked);
        let fields = unpacked.as_ref().or(self.data).and_then(Fields::of);
        let text = |name: &str| fields.and_then(|fields| fields.text(name));
        let vault = text("Id")
            .and_then(vault_of_url)
            .or_else(|| text("VaultName").and_then(|name| name.parse().ok()))
            .or_else(|| self.source.and_then(vault_of_resource))?;
        let object = text("ObjectName").or(self.subject).map(str::to_owned);
        let object = object.filter(|name| name.len() <= NAME && name.chars().all(|c| !c.is_control()));
        // The service writes seven digits of a second.
        let at = self.time.and_then(|time| time.parse().ok());
        Some(VaultNotice { vault, kind, object, at })
    }
}

/// Some subscriptions deliver `data` as a text that holds JSON.
fn unpacked(data: &Value) -> Option<Value> {
    serde_json::from_str(data.as_str()?).ok()
}

/// `https://<vault>.<suffix>/<collection>/<name>[/<version>]`
fn vault_of_url(text: &str) -> Option<VaultName> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "https")?;
    url.host_str()?.split('.').next()?.parse().ok()
}

/// `/subscriptions/.../providers/Microsoft.KeyVault/vaults/<vault>`
fn vault_of_resource(text: &str) -> Option<VaultName> {
    let mut segments = text.trim_matches('/').rsplit('/');
    let name = segments.next()?;
    segments.next().filter(|kind| kind.eq_ignore_ascii_case("vaults"))?;
    name.parse().ok()
}

/// The vault whose resource id a topic is.
pub(super) fn vault_of_topic(topic: Option<&str>) -> Option<VaultName> {
    topic.and_then(vault_of_resource)
}
