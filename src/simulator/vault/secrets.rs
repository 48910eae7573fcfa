//! `/secrets`: lists, values, new versions, attributes.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::paging::Window;
use super::refusal::{bad_parameter, conflict, not_found, state};
use super::store::{Attributes, Object, SecretPart, Tags, Version, fresh_version_id, key};
use super::{Kind, Reading, Vault, fields};
use crate::message::{Reply, Request};

/// Longest value: 25 KB.
const MAX_VALUE: usize = 25 * 1024;
/// Longest content type.
const MAX_CONTENT_TYPE: usize = 255;

impl Vault {
    /// `GET /secrets`, those of certificates among them.
    pub(super) fn list_secrets(&self, request: &Request) -> Result<Reply, Reply> {
        let window = Window::parse(request)?;
        let entries = self.objects_after(Kind::Secret, &window).filter_map(|(key, object)| {
            let id = format!("https://{}/secrets/{}", self.host(), object.name);
            Some((key.clone(), secret_item(id, object, object.version(None)?)))
        });
        Ok(self.page(request, &window, entries))
    }

    /// `GET /secrets/{name}/versions`.
    pub(super) fn list_secret_versions(&self, request: &Request, name: &str) -> Result<Reply, Reply> {
        let object = self.object(Kind::Secret, name).ok_or_else(|| not_found("secret", name))?;
        let window = Window::parse(request)?;
        let entries = versions_after(object, &window).map(|version| {
            (version.id.clone(), secret_item(self.secret_url(&object.name, &version.id), object, version))
        });
        Ok(self.page(request, &window, entries))
    }

    /// `GET /secrets/{name}` and `GET /secrets/{name}/{version}`: no other version stands in for a disabled one.
    pub(super) fn get_secret(
        &self,
        name: &str,
        version: Option<&str>,
        now: Timestamp,
    ) -> Result<Reply, Reply> {
        let (object, version) = self.found(Kind::Secret, name, version)?;
        let attributes = &version.secret.attributes;
        if !attributes.enabled {
            return Err(state("secret", "a disabled", "SecretDisabled"));
        }
        if self.behaviour.out_of_validity == Reading::Refused && !attributes.valid_at(now) {
            return Err(if attributes.expired_at(now.as_second()) {
                state("secret", "an expired", "SecretExpired")
            } else {
                state("secret", "a not yet valid", "SecretNotYetValid")
            });
        }
        Ok(Reply::json(200, self.secret_bundle(object, version, Value::from(&*version.secret.value))))
    }

    /// `PUT /secrets/{name}`.
    pub(super) fn put_secret(
        &mut self,
        request: &Request,
        name: &str,
        now: Timestamp,
    ) -> Result<Reply, Reply> {
        let body = fields::body(request)?;
        let value = fields::text(&body, "value")?
            .ok_or_else(|| bad_parameter("The request body must contain the property value."))?;
        if value.len() > MAX_VALUE {
            return Err(bad_parameter(&format!(
                "The secret value is too long. Its length is {}, the maximum is {MAX_VALUE}.",
                value.len()
            )));
        }
        let content_type = content_type(&body)?;
        self.check_free(Kind::Secret, name)?;
        let change = fields::AttributeChange::parse(&body)?;
        let mut attributes = Attributes::new(None, None, now);
        change.apply(&mut attributes);
        let secret = SecretPart {
            attributes,
            tags: fields::tags(&body)?.unwrap_or_default(),
            value: Arc::from(value),
            content_type: content_type.map(str::to_owned),
        };
        let version = Version { id: fresh_version_id(), certificate: None, secret };
        self.add_version(Kind::Secret, name, version, now);
        let (object, version) = self.found(Kind::Secret, name, None)?;
        Ok(Reply::json(200, self.secret_bundle(object, version, value.into())))
    }

    /// `PATCH /secrets/{name}/{version}`; the answer has no value.
    pub(super) fn patch_secret(
        &mut self,
        request: &Request,
        name: &str,
        version: Option<&str>,
        now: Timestamp,
    ) -> Result<Reply, Reply> {
        let body = fields::body(request)?;
        let change = fields::AttributeChange::parse(&body)?;
        let tags = fields::tags(&body)?;
        let content_type = content_type(&body)?;
        let found = self.found_mut(Kind::Secret, name, version)?;
        found.change(Kind::Secret, now, |attributes| change.apply(attributes));
        if let Some(tags) = tags {
            found.secret.tags = tags;
        }
        if let Some(content_type) = content_type {
            found.secret.content_type = Some(content_type.to_owned());
        }
        let (object, version) = self.found(Kind::Secret, name, version)?;
        Ok(Reply::json(200, self.secret_bundle(object, version, Value::Null)))
    }

    /// Whether a new version of that kind may take this name.
    pub(super) fn check_free(&self, kind: Kind, name: &str) -> Result<(), Reply> {
        match self.objects.get(&key(name)) {
            Some(object) if object.deleted => Err(conflict(
                &format!(
                    "Object {name} is currently in a deleted but recoverable state, and its name cannot be reused; in \
                     this state, the object can only be recovered or purged."
                ),
                "ObjectIsDeletedButRecoverable",
            )),
            Some(object) if object.kind != kind => Err(conflict(
                &format!("The name {name} is in use by another kind of object in this key vault."),
                "NameConflict",
            )),
            _ => Ok(()),
        }
    }

    /// A version of an object, or 404.
    pub(super) fn found(
        &self,
        kind: Kind,
        name: &str,
        version: Option<&str>,
    ) -> Result<(&Object, &Version), Reply> {
        self.object(kind, name)
            .and_then(|object| Some((object, object.version(version)?)))
            .ok_or_else(|| absent(kind, name, version))
    }

    /// A version to change, or 404.
    pub(super) fn found_mut(
        &mut self,
        kind: Kind,
        name: &str,
        version: Option<&str>,
    ) -> Result<&mut Version, Reply> {
        self.objects
            .get_mut(&key(name))
            .filter(|object| !object.deleted && object.is(kind))
            .and_then(|object| object.version_mut(version))
            .ok_or_else(|| absent(kind, name, version))
    }

    fn secret_bundle(&self, object: &Object, version: &Version, value: Value) -> Value {
        let secret = &version.secret;
        let mut bundle = Map::new();
        if !value.is_null() {
            bundle.insert("value".to_owned(), value);
        }
        bundle.insert("id".to_owned(), self.secret_url(&object.name, &version.id).into());
        if object.kind == Kind::Certificate {
            let kid = format!("https://{}/keys/{}/{}", self.host(), object.name, version.id);
            bundle.insert("kid".to_owned(), kid.into());
        }
        described(&mut bundle, object, secret);
        Value::Object(bundle)
    }
}

fn absent(kind: Kind, name: &str, version: Option<&str>) -> Reply {
    let path = version.map_or_else(|| name.to_owned(), |version| format!("{name}/{version}"));
    not_found(kind.noun(), &path)
}

fn content_type(body: &Value) -> Result<Option<&str>, Reply> {
    let content_type = fields::text(body, "contentType")?;
    if content_type.is_some_and(|text| text.len() > MAX_CONTENT_TYPE) {
        return Err(bad_parameter("Property contentType is longer than 255 characters."));
    }
    Ok(content_type)
}

/// Versions behind the window's marker, in the order of their ids.
pub(super) fn versions_after<'a>(object: &'a Object, window: &Window) -> impl Iterator<Item = &'a Version> {
    let mut versions: Vec<&Version> = object
        .versions
        .iter()
        .filter(|version| window.after.as_ref().is_none_or(|after| version.id > *after))
        .collect();
    versions.sort_by(|one, other| one.id.cmp(&other.id));
    versions.into_iter()
}

fn secret_item(id: String, object: &Object, version: &Version) -> Value {
    let mut item = Map::new();
    item.insert("id".to_owned(), id.into());
    described(&mut item, object, &version.secret);
    Value::Object(item)
}

fn described(json: &mut Map<String, Value>, object: &Object, secret: &SecretPart) {
    if let Some(content_type) = &secret.content_type {
        json.insert("contentType".to_owned(), content_type.as_str().into());
    }
    if object.kind == Kind::Certificate {
        json.insert("managed".to_owned(), true.into());
    }
    json.insert("attributes".to_owned(), secret.attributes.json());
    insert_tags(json, &secret.tags);
}

/// Tags, where there are any.
pub(super) fn insert_tags(json: &mut Map<String, Value>, tags: &Tags) {
    if !tags.is_empty() {
        json.insert("tags".to_owned(), json!(tags));
    }
}
