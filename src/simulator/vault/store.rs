//! The objects of a vault, and the ways to change them without HTTP.
//!
//! A certificate and its secret share one name and one version id, so both are kept as one object. Attributes are
//! kept twice: a certificate's are copied to its secret when they change, a secret's are its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::material::Material;
use super::{Kind, Vault};

/// Recovery as new vaults have it.
const RECOVERY_LEVEL: &str = "Recoverable+Purgeable";
/// Days that a deleted object can be recovered: the default.
const RECOVERABLE_DAYS: u32 = 90;

/// One name with its versions.
#[derive(Clone, Debug)]
pub(super) struct Object {
    /// Name as it was first written.
    pub(super) name: String,
    /// What it was created as.
    pub(super) kind: Kind,
    /// In order of creation: the last one is current.
    pub(super) versions: Vec<Version>,
    /// Softly deleted.
    pub(super) deleted: bool,
}

/// One version.
#[derive(Clone, Debug)]
pub(super) struct Version {
    /// 32 hexadecimal digits.
    pub(super) id: String,
    /// The certificate, where the object is one.
    pub(super) certificate: Option<CertificatePart>,
    /// The secret: the certificate's own, or a plain one.
    pub(super) secret: SecretPart,
}

/// The certificate of a version.
#[derive(Clone, Debug)]
pub(super) struct CertificatePart {
    pub(super) attributes: Attributes,
    pub(super) tags: Tags,
    pub(super) material: Material,
}

/// The secret of a version.
#[derive(Clone, Debug)]
pub(super) struct SecretPart {
    pub(super) attributes: Attributes,
    pub(super) tags: Tags,
    pub(super) value: Arc<str>,
    pub(super) content_type: Option<String>,
}

/// Tags of an object's version.
pub(super) type Tags = BTreeMap<String, String>;

/// Attributes; instants in Unix seconds.
#[derive(Clone, Debug)]
pub(super) struct Attributes {
    pub(super) enabled: bool,
    pub(super) not_before: Option<i64>,
    pub(super) expires: Option<i64>,
    pub(super) created: i64,
    pub(super) updated: i64,
}

impl Attributes {
    /// Enabled, made now.
    pub(super) fn new(not_before: Option<i64>, expires: Option<i64>, now: Timestamp) -> Self {
        let now = now.as_second();
        Self { enabled: true, not_before, expires, created: now, updated: now }
    }

    /// As answers carry them.
    pub(super) fn json(&self) -> Value {
        let mut json = Map::new();
        json.insert("enabled".to_owned(), self.enabled.into());
        for (name, value) in [("nbf", self.not_before), ("exp", self.expires)] {
            if let Some(value) = value {
                json.insert(name.to_owned(), value.into());
            }
        }
        json.insert("created".to_owned(), self.created.into());
        json.insert("updated".to_owned(), self.updated.into());
        json.insert("recoveryLevel".to_owned(), json!(RECOVERY_LEVEL));
        json.insert("recoverableDays".to_owned(), json!(RECOVERABLE_DAYS));
        Value::Object(json)
    }

    /// Whether an instant is within both ends.
    pub(super) fn valid_at(&self, now: Timestamp) -> bool {
        let now = now.as_second();
        self.not_before.is_none_or(|begin| begin <= now) && !self.expired_at(now)
    }

    /// Whether the end has passed.
    pub(super) fn expired_at(&self, second: i64) -> bool {
        self.expires.is_some_and(|end| end <= second)
    }
}

impl Object {
    /// The current version, or one by its id; ids are compared without case.
    pub(super) fn version(&self, id: Option<&str>) -> Option<&Version> {
        match id {
            None => self.versions.last(),
            Some(id) => self.versions.iter().find(|version| version.id.eq_ignore_ascii_case(id)),
        }
    }

    /// The same, to change it.
    pub(super) fn version_mut(&mut self, id: Option<&str>) -> Option<&mut Version> {
        match id {
            None => self.versions.last_mut(),
            Some(id) => self.versions.iter_mut().find(|version| version.id.eq_ignore_ascii_case(id)),
        }
    }
}

impl Version {
    /// Applies a change to the attributes: a certificate's are its secret's too.
    pub(super) fn change(&mut self, kind: Kind, now: Timestamp, change: impl Fn(&mut Attributes)) {
        let own = match kind {
            Kind::Certificate => self.certificate.as_mut().map(|part| &mut part.attributes),
            Kind::Secret => None,
        };
        for attributes in own.into_iter().chain([&mut self.secret.attributes]) {
            change(attributes);
            attributes.updated = now.as_second();
        }
    }
}

/// Direct changes, for tests and the demo. Each panics where a name or version is not there, or where a name belongs
/// to the other kind of object: that is an error of the test, not of a client.
impl Vault {
    /// A new version of a certificate, current from now on; its id. Takes `&Issued`, or a [`Material`] made once.
    pub fn create_certificate_version(
        &mut self,
        name: &str,
        material: impl Into<Material>,
        now: Timestamp,
    ) -> String {
        self.create_certificate_version_as(name, &fresh_version_id(), material, now)
    }

    /// The same with an id of the caller's choice, for tests of order.
    pub fn create_certificate_version_as(
        &mut self,
        name: &str,
        version: &str,
        material: impl Into<Material>,
        now: Timestamp,
    ) -> String {
        let material = material.into();
        let packed = material.get();
        let attributes = Attributes::new(Some(packed.not_before), Some(packed.not_after), now);
        let secret = SecretPart {
            attributes: attributes.clone(),
            tags: Tags::new(),
            value: Arc::clone(&packed.value),
            content_type: Some(packed.content_type.to_owned()),
        };
        let certificate = Some(CertificatePart { attributes, tags: Tags::new(), material });
        let version = Version { id: version.to_owned(), certificate, secret };
        self.add_version(Kind::Certificate, name, version, now)
    }

    /// A new version of a plain secret, current from now on; its id.
    pub fn set_secret(
        &mut self,
        name: &str,
        value: &str,
        content_type: Option<&str>,
        now: Timestamp,
    ) -> String {
        self.set_secret_as(name, &fresh_version_id(), value, content_type, now)
    }

    /// The same with an id of the caller's choice, for tests of order.
    pub fn set_secret_as(
        &mut self,
        name: &str,
        version: &str,
        value: &str,
        content_type: Option<&str>,
        now: Timestamp,
    ) -> String {
        let secret = SecretPart {
            attributes: Attributes::new(None, None, now),
            tags: Tags::new(),
            value: value.into(),
            content_type: content_type.map(str::to_owned),
        };
        let version = Version { id: version.to_owned(), certificate: None, secret };
        self.add_version(Kind::Secret, name, version, now)
    }

    /// Enables or disables a version. Disabling a certificate's version disables its secret's too.
    pub fn set_enabled(&mut self, kind: Kind, name: &str, version: &str, enabled: bool, now: Timestamp) {
        self.existing(name, version).change(kind, now, |attributes| attributes.enabled = enabled);
    }

    /// Sets the attributes `nbf` and `exp` of a version, whatever its content says.
    pub fn set_validity(
        &mut self,
        kind: Kind,
        name: &str,
        version: &str,
        (not_before, expires): (Option<Timestamp>, Option<Timestamp>),
        now: Timestamp,
    ) {
        self.existing(name, version).change(kind, now, |attributes| {
            attributes.not_before = not_before.map(Timestamp::as_second);
            attributes.expires = expires.map(Timestamp::as_second);
        });
    }

    /// Sets a tag of a version.
    pub fn set_tag(&mut self, kind: Kind, name: &str, version: &str, tag: (&str, &str), now: Timestamp) {
        let version = self.existing(name, version);
        version.change(kind, now, |_| {});
        let tags = match (kind, &mut version.certificate) {
            (Kind::Certificate, Some(part)) => &mut part.tags,
            _ => &mut version.secret.tags,
        };
        tags.insert(tag.0.to_owned(), tag.1.to_owned());
    }

    /// Deletes an object softly, all its versions with it.
    pub fn delete(&mut self, name: &str) {
        self.object_named(name).deleted = true;
    }

    /// Brings a deleted object back with its versions.
    pub fn recover(&mut self, name: &str) {
        self.object_named(name).deleted = false;
    }

    /// Version ids of an object in order of creation; empty where there is none.
    pub fn versions(&self, name: &str) -> Vec<String> {
        self.objects
            .get(&key(name))
            .map(|object| object.versions.iter().map(|version| version.id.clone()).collect())
            .unwrap_or_default()
    }

    /// The secret identifier of a version: what goes into a certificateUrl.
    pub fn secret_url(&self, name: &str, version: &str) -> String {
        format!("https://{}/secrets/{name}/{version}", self.host())
    }

    /// The identifier of a certificate's version.
    pub fn certificate_url(&self, name: &str, version: &str) -> String {
        format!("https://{}/certificates/{name}/{version}", self.host())
    }

    /// Adds a version to an object, which is made where there is none.
    pub(super) fn add_version(&mut self, kind: Kind, name: &str, version: Version, now: Timestamp) -> String {
        let id = version.id.clone();
        let object = self.objects.entry(key(name)).or_insert_with(|| Object {
            name: name.to_owned(),
            kind,
            versions: Vec::new(),
            deleted: false,
        });
        assert!(object.kind == kind, "`{name}` belongs to the other kind of object");
        object.versions.push(version);
        self.note_version(kind, name, &id, now);
        id
    }

    /// An object of a kind that was not deleted. A certificate is found as a secret too.
    pub(super) fn object(&self, kind: Kind, name: &str) -> Option<&Object> {
        self.objects.get(&key(name)).filter(|object| !object.deleted && object.is(kind))
    }

    fn object_named(&mut self, name: &str) -> &mut Object {
        self.objects.get_mut(&key(name)).expect("an object of this name")
    }

    fn existing(&mut self, name: &str, version: &str) -> &mut Version {
        self.object_named(name).version_mut(Some(version)).expect("a version of this id")
    }
}

impl Object {
    /// Whether the object can be addressed as this kind.
    pub(super) fn is(&self, kind: Kind) -> bool {
        kind == Kind::Secret || self.kind == Kind::Certificate
    }
}

/// Names are compared without case.
pub(super) fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// A version id as the service makes it.
pub(super) fn fresh_version_id() -> String {
    Uuid::new_v4().simple().to_string()
}
