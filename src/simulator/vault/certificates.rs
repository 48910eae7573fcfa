//! `/certificates`: lists, bundles, import, attributes.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::paging::Window;
use super::refusal::{bad_parameter, not_found, state};
use super::secrets::{insert_tags, versions_after};
use super::store::{CertificatePart, Object, Version};
use super::{Kind, Reading, Vault, fields, import};
use crate::message::{Reply, Request};

impl Vault {
    /// `GET /certificates`: each with the facts of its current version.
    pub(super) fn list_certificates(&self, request: &Request) -> Result<Reply, Reply> {
        let window = Window::parse(request)?;
        let entries = self.objects_after(Kind::Certificate, &window).filter_map(|(key, object)| {
            let id = format!("https://{}/certificates/{}", self.host(), object.name);
            Some((key.clone(), certificate_item(id, object.version(None)?)?))
        });
        Ok(self.page(request, &window, entries))
    }

    /// `GET /certificates/{name}/versions`.
    pub(super) fn list_certificate_versions(&self, request: &Request, name: &str) -> Result<Reply, Reply> {
        let object = self.object(Kind::Certificate, name).ok_or_else(|| not_found("certificate", name))?;
        let window = Window::parse(request)?;
        let entries = versions_after(object, &window).filter_map(|version| {
            let id = self.certificate_url(&object.name, &version.id);
            Some((version.id.clone(), certificate_item(id, version)?))
        });
        Ok(self.page(request, &window, entries))
    }

    /// `GET /certificates/{name}` and `GET /certificates/{name}/{version}`. An expired one can always be read.
    pub(super) fn get_certificate(&self, name: &str, version: Option<&str>) -> Result<Reply, Reply> {
        let (object, version) = self.found(Kind::Certificate, name, version)?;
        let part = certificate(version)?;
        if !part.attributes.enabled && self.behaviour.disabled_certificate == Reading::Refused {
            return Err(state("certificate", "a disabled", "CertificateDisabled"));
        }
        Ok(Reply::json(200, self.certificate_bundle(object, version, part)))
    }

    /// `GET /certificates/{name}/policy`.
    pub(super) fn get_certificate_policy(&self, name: &str) -> Result<Reply, Reply> {
        let (object, version) = self.found(Kind::Certificate, name, None)?;
        Ok(Reply::json(200, self.policy(object, certificate(version)?)))
    }

    /// `POST /certificates/{name}/import`.
    pub(super) fn import_certificate(
        &mut self,
        request: &Request,
        name: &str,
        now: Timestamp,
    ) -> Result<Reply, Reply> {
        let body = fields::body(request)?;
        let change = fields::AttributeChange::parse(&body)?;
        let tags = fields::tags(&body)?.unwrap_or_default();
        let material = import::material(&body)?;
        if material.get().not_after <= now.as_second() {
            return Err(bad_parameter("The X.509 certificate in the specified content is expired."));
        }
        self.check_free(Kind::Certificate, name)?;
        let id = self.create_certificate_version(name, material, now);
        let version = self.found_mut(Kind::Certificate, name, Some(&id))?;
        version.change(Kind::Certificate, now, |attributes| change.apply(attributes));
        version.secret.tags.clone_from(&tags);
        if let Some(part) = &mut version.certificate {
            part.tags = tags;
        }
        let (object, version) = self.found(Kind::Certificate, name, Some(&id))?;
        Ok(Reply::json(200, self.certificate_bundle(object, version, certificate(version)?)))
    }

    /// `PATCH /certificates/{name}/{version}`.
    pub(super) fn patch_certificate(
        &mut self,
        request: &Request,
        name: &str,
        version: Option<&str>,
        now: Timestamp,
    ) -> Result<Reply, Reply> {
        let body = fields::body(request)?;
        let change = fields::AttributeChange::parse(&body)?;
        let tags = fields::tags(&body)?;
        let found = self.found_mut(Kind::Certificate, name, version)?;
        found.change(Kind::Certificate, now, |attributes| change.apply(attributes));
        if let (Some(part), Some(tags)) = (&mut found.certificate, tags) {
            part.tags = tags;
        }
        let (object, version) = self.found(Kind::Certificate, name, version)?;
        Ok(Reply::json(200, self.certificate_bundle(object, version, certificate(version)?)))
    }

    fn certificate_bundle(&self, object: &Object, version: &Version, part: &CertificatePart) -> Value {
        let packed = part.material.get();
        let mut bundle = Map::new();
        let mut insert = |name: &str, value: Value| bundle.insert(name.to_owned(), value);
        let (host, name, id) = (self.host(), &object.name, &version.id);
        insert("id", self.certificate_url(name, id).into());
        insert("kid", format!("https://{host}/keys/{name}/{id}").into());
        insert("sid", self.secret_url(name, id).into());
        insert("x5t", packed.x5t.as_str().into());
        insert("cer", packed.cer.as_str().into());
        insert("contentType", packed.content_type.into());
        insert("attributes", part.attributes.json());
        insert("policy", self.policy(object, part));
        insert_tags(&mut bundle, &part.tags);
        Value::Object(bundle)
    }

    fn policy(&self, object: &Object, part: &CertificatePart) -> Value {
        let id = format!("https://{}/certificates/{}/policy", self.host(), object.name);
        part.material.get().policy(&id, part.attributes.created, part.attributes.updated)
    }
}

fn certificate_item(id: String, version: &Version) -> Option<Value> {
    let part = version.certificate.as_ref()?;
    let mut item = Map::new();
    item.insert("id".to_owned(), id.into());
    item.insert("x5t".to_owned(), json!(part.material.get().x5t));
    item.insert("attributes".to_owned(), part.attributes.json());
    insert_tags(&mut item, &part.tags);
    Some(Value::Object(item))
}

/// The certificate of a version that was found as one.
fn certificate(version: &Version) -> Result<&CertificatePart, Reply> {
    version.certificate.as_ref().ok_or_else(|| not_found("certificate", &version.id))
}
