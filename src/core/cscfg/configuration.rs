//! A service configuration, as it was read.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use roxmltree::{Attribute, Document, Node, ParsingOptions};

use super::error::{CscfgError, malformed};
use super::limits::{self, NAME_LIMIT};
use super::place::{Place, Places};
use super::value::{is_ignored_in_thumbprint, units};
use crate::id::{RoleName, Thumbprint};

/// The text of a service configuration with the places of its certificates and settings.
///
/// The text is never written out anew. Two configurations are equal if their texts are, byte for byte.
#[derive(Clone)]
pub struct ServiceConfiguration {
    text: String,
    service_name: Option<String>,
    roles: Vec<Role>,
    certificates: Vec<CertificateEntry>,
    settings: Vec<Setting>,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: RoleName,
    /// How many instances it has; `None` where the text gives no number.
    pub instances: Option<u32>,
}

/// A `Certificate` element of a role.
#[derive(Clone, Debug)]
pub struct CertificateEntry {
    /// The role.
    pub role: RoleName,
    /// The name, which the service definition binds to endpoints and certificate stores. Compared without case.
    pub name: String,
    /// The thumbprint.
    pub thumbprint: EntryThumbprint,
    /// The thumbprint's value as it stands in the text, between the quotes.
    pub written: String,
    /// The value of `thumbprintAlgorithm`; only `sha1` is known.
    pub algorithm: Option<String>,
    /// Where the thumbprint's value begins.
    pub place: Place,
    /// The `<` of its tag.
    pub(super) tag: usize,
    /// The bytes of the value.
    pub(super) value: Range<usize>,
}

/// What a certificate entry says of its thumbprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryThumbprint {
    /// A thumbprint.
    Known(Thumbprint),
    /// Nothing, or nothing but white space: a template that was not filled in.
    Empty,
    /// Something else; the reason is a fragment such as "it has fewer than 40 digits".
    Unreadable(String),
}

/// A `Setting` element of a role. Its value may be a secret: it is not printed by `Debug`.
#[derive(Clone)]
pub struct Setting {
    /// The role.
    pub role: RoleName,
    /// The name.
    pub name: String,
    /// The value as XML reads it.
    pub value: String,
    /// Where the value begins.
    pub place: Place,
    pub(super) tag: usize,
    pub(super) raw: Range<usize>,
}

pub(super) const NAMESPACE: &str = "http://schemas.microsoft.com/ServiceHosting/2008/10/ServiceConfiguration";

impl ServiceConfiguration {
    /// Reads the `configuration` string as Resource Manager returns it. A byte order mark is kept, a declared encoding
    /// is not looked at: the text is a string already.
    ///
    /// # Errors
    /// Text that is not well-formed XML, that is no service configuration, whose roles or certificates are ambiguous,
    /// or that would cost too much to read.
    pub fn parse(text: impl Into<String>) -> Result<Self, CscfgError> {
        let text = text.into();
        let open = limits::check(&text)?;
        let options = ParsingOptions { allow_dtd: false, ..ParsingOptions::default() };
        let document = Document::parse_with_options(&text, options)
            .map_err(|fault| malformed(&fault, &text, open.as_ref()))?;
        let mut reader = Reader {
            text: &text,
            places: Places::new(&text),
            roles: Vec::new(),
            certificates: Vec::new(),
            settings: Vec::new(),
        };
        let service_name = reader.read(document.root_element())?;
        let Reader { roles, certificates, settings, .. } = reader;
        drop(document);
        Ok(Self { text, service_name, roles, certificates, settings })
    }

    /// The text, byte for byte as it was read, or with the edits that were made.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The root's `serviceName`.
    pub fn service_name(&self) -> Option<&str> {
        self.service_name.as_deref()
    }

    /// The roles in the order of the text. No two have the same name.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// The certificates of all roles in the order of the text. No two of a role have the same name.
    pub fn certificates(&self) -> &[CertificateEntry] {
        &self.certificates
    }

    /// The settings of all roles in the order of the text.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }
}

impl PartialEq for ServiceConfiguration {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for ServiceConfiguration {}

/// Without the text, which may hold secrets.
impl fmt::Debug for ServiceConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceConfiguration")
            .field("service_name", &self.service_name)
            .field("roles", &self.roles)
            .field("certificates", &self.certificates)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Without the value, which may be a secret.
impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting")
            .field("role", &self.role)
            .field("name", &self.name)
            .field("value", &format_args!("<redacted>"))
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl EntryThumbprint {
    /// The thumbprint, if there is one that can be read.
    pub fn known(&self) -> Option<Thumbprint> {
        match self {
            Self::Known(thumbprint) => Some(*thumbprint),
            Self::Empty | Self::Unreadable(_) => None,
        }
    }

    fn read(raw: &str) -> Self {
        let value: String = units(raw).map(|unit| unit.c).collect();
        if value.chars().all(is_ignored_in_thumbprint) {
            return Self::Empty;
        }
        match value.parse() {
            Ok(thumbprint) => Self::Known(thumbprint),
            Err(fault) => Self::Unreadable(fault.reason.to_owned()),
        }
    }
}

/// Collects what a document holds.
struct Reader<'a> {
    text: &'a str,
    places: Places<'a>,
    roles: Vec<Role>,
    certificates: Vec<CertificateEntry>,
    settings: Vec<Setting>,
}

impl Reader<'_> {
    fn read(&mut self, root: Node<'_, '_>) -> Result<Option<String>, CscfgError> {
        if !root.has_tag_name((NAMESPACE, "ServiceConfiguration")) {
            return Err(CscfgError::WrongRoot {
                place: self.place_of(root),
                name: root.tag_name().name().to_owned(),
                namespace: root.tag_name().namespace().map(str::to_owned),
            });
        }
        let mut seen = HashMap::new();
        for role in children(root, "Role") {
            let name = RoleName::new(self.name_of(role, "Role")?);
            if let Some(first) = seen.insert(name.clone(), role) {
                return Err(CscfgError::DuplicateRole {
                    place: self.place_of(role),
                    first: self.place_of(first),
                    role: name,
                });
            }
            let instances = children(role, "Instances")
                .find_map(|instances| instances.attribute("count"))
                .and_then(|count| count.trim().parse().ok());
            self.roles.push(Role { name: name.clone(), instances });
            self.read_settings(role, &name)?;
            self.read_certificates(role, &name)?;
        }
        Ok(root.attribute("serviceName").map(str::to_owned))
    }

    fn read_certificates(&mut self, role: Node<'_, '_>, role_name: &RoleName) -> Result<(), CscfgError> {
        let mut seen = HashMap::new();
        for certificate in
            children(role, "Certificates").flat_map(|certificates| children(certificates, "Certificate"))
        {
            let name = self.name_of(certificate, "Certificate")?;
            if let Some(first) = seen.insert(name.to_lowercase(), certificate) {
                return Err(CscfgError::DuplicateCertificate {
                    place: self.place_of(certificate),
                    first: self.place_of(first),
                    role: role_name.clone(),
                    name,
                });
            }
            let value = self.value_of(certificate, "Certificate", "thumbprint")?;
            let written = &self.text[value.clone()];
            self.certificates.push(CertificateEntry {
                role: role_name.clone(),
                name,
                thumbprint: EntryThumbprint::read(written),
                written: written.to_owned(),
                algorithm: certificate.attribute("thumbprintAlgorithm").map(str::to_owned),
                place: self.places.at(value.start),
                tag: certificate.range().start,
                value,
            });
        }
        Ok(())
    }

    fn read_settings(&mut self, role: Node<'_, '_>, role_name: &RoleName) -> Result<(), CscfgError> {
        for setting in
            children(role, "ConfigurationSettings").flat_map(|settings| children(settings, "Setting"))
        {
            let raw = self.value_of(setting, "Setting", "value")?;
            self.settings.push(Setting {
                role: role_name.clone(),
                name: self.name_of(setting, "Setting")?,
                value: setting.attribute("value").unwrap_or_default().to_owned(),
                place: self.places.at(raw.start),
                tag: setting.range().start,
                raw,
            });
        }
        Ok(())
    }

    fn name_of(&self, node: Node<'_, '_>, element: &'static str) -> Result<String, CscfgError> {
        match node.attribute("name").filter(|name| !name.is_empty()) {
            None => Err(self.missing(node, element, "name")),
            Some(name) if name.len() > NAME_LIMIT => Err(CscfgError::LongName {
                place: self.place_of(node),
                element,
                found: name.len(),
                limit: NAME_LIMIT,
            }),
            Some(name) => Ok(name.to_owned()),
        }
    }

    fn value_of(
        &self,
        node: Node<'_, '_>,
        element: &'static str,
        attribute: &'static str,
    ) -> Result<Range<usize>, CscfgError> {
        node.attribute_node(attribute)
            .map(|found| value_range(self.text, found))
            .ok_or_else(|| self.missing(node, element, attribute))
    }

    fn missing(&self, node: Node<'_, '_>, element: &'static str, attribute: &'static str) -> CscfgError {
        CscfgError::MissingAttribute { place: self.place_of(node), element, attribute }
    }

    fn place_of(&self, node: Node<'_, '_>) -> Place {
        self.places.at(node.range().start)
    }
}

/// The children of that name in the namespace of service configurations.
fn children<'a, 'input>(
    node: Node<'a, 'input>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'input>> {
    node.children().filter(move |child| child.has_tag_name((NAMESPACE, name)))
}

/// The bytes between the quotes. The parser's own range of the value is wrong where more than 255 bytes of white space
/// surround the `=`; its range of the whole attribute is right, and the first quote in it opens the value.
fn value_range(text: &str, attribute: Attribute<'_, '_>) -> Range<usize> {
    let range = attribute.range();
    let opening = text[range.clone()].find(['"', '\'']).unwrap_or(0);
    range.start + opening + 1..range.end - 1
}
