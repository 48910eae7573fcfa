//! What the service reads out of a service configuration: roles, instance counts, certificates. Grammar: Microsoft's
//! `.cscfg` schema pages. The text itself is kept and returned byte for byte.

use roxmltree::{Document, Node};

/// A service configuration of one megabyte is far beyond any real one (recorded ones have a few kilobytes).
const MAX_CONFIGURATION: usize = 1024 * 1024;
/// The namespace that every service configuration declares.
const NAMESPACE: &str = "http://schemas.microsoft.com/ServiceHosting/2008/10/ServiceConfiguration";

/// A parsed service configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cscfg {
    /// Roles in the order of the file.
    pub roles: Vec<Role>,
}

/// One role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Name, fixed by the package.
    pub name: String,
    /// Instance count.
    pub instances: u32,
    /// Certificates in the order of the file.
    pub certificates: Vec<Certificate>,
}

/// One certificate of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Name, fixed by the package.
    pub name: String,
    /// Thumbprint in upper case without spaces.
    pub thumbprint: String,
}

impl Cscfg {
    /// Parses the text as the service does: a leading byte order mark and the declared encoding do not matter, since
    /// the text travels in JSON (recordings hold texts that declare utf-16).
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_CONFIGURATION {
            return Err(format!("is longer than {MAX_CONFIGURATION} bytes"));
        }
        let document =
            Document::parse(without_declaration(text)).map_err(|error| format!("is not XML: {error}"))?;
        let root = document.root_element();
        if root.tag_name().name() != "ServiceConfiguration" || root.tag_name().namespace() != Some(NAMESPACE)
        {
            return Err("has no ServiceConfiguration element of the 2008/10 namespace".to_owned());
        }
        let roles = children(root, "Role").map(role).collect::<Result<Vec<_>, _>>()?;
        if roles.is_empty() {
            return Err("has no Role element".to_owned());
        }
        Ok(Self { roles })
    }

    /// The role of that name, compared without case.
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.name.eq_ignore_ascii_case(name))
    }
}

impl Role {
    /// The certificate of that name, compared without case.
    pub fn certificate(&self, name: &str) -> Option<&Certificate> {
        self.certificates.iter().find(|one| one.name.eq_ignore_ascii_case(name))
    }
}

fn without_declaration(text: &str) -> &str {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match text.strip_prefix("<?xml").and_then(|rest| rest.find("?>").map(|end| &rest[end + 2..])) {
        Some(rest) => rest.trim_start(),
        None => text,
    }
}

fn children<'a>(node: Node<'a, 'a>, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

fn required<'a>(node: Node<'a, 'a>, attribute: &str) -> Result<&'a str, String> {
    node.attribute(attribute).ok_or_else(|| format!("has a {} without `{attribute}`", node.tag_name().name()))
}

fn role(node: Node<'_, '_>) -> Result<Role, String> {
    let name = required(node, "name")?.to_owned();
    let counts = children(node, "Instances")
        .map(|one| {
            let count = required(one, "count")?;
            count.parse::<u32>().map_err(|_| format!("has the instance count `{count}`"))
        })
        .collect::<Result<Vec<_>, String>>()?;
    let [instances] = counts[..] else {
        return Err(format!("has {} Instances elements in role {name}", counts.len()));
    };
    let mut certificates: Vec<Certificate> = Vec::new();
    for entry in children(node, "Certificates").flat_map(|list| children(list, "Certificate")) {
        let certificate = certificate(entry)?;
        if certificates.iter().any(|one| one.name.eq_ignore_ascii_case(&certificate.name)) {
            return Err(format!("has the certificate {} twice in role {name}", certificate.name));
        }
        certificates.push(certificate);
    }
    Ok(Role { name, instances, certificates })
}

fn certificate(node: Node<'_, '_>) -> Result<Certificate, String> {
    let name = required(node, "name")?.to_owned();
    let written = required(node, "thumbprint")?;
    let thumbprint = written.to_ascii_uppercase();
    if thumbprint.len() != 40 || !thumbprint.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("has the thumbprint `{written}` for {name}"));
    }
    let algorithm = required(node, "thumbprintAlgorithm")?;
    if !algorithm.eq_ignore_ascii_case("sha1") {
        return Err(format!("has the thumbprint algorithm `{algorithm}` for {name}"));
    }
    Ok(Certificate { name, thumbprint })
}

#[cfg(test)]
mod tests {
    use super::*;

    const THUMBPRINT: &str = "9427befa18ec6865a9ebdc79d4c38de50e6316ff";

    fn text(roles: &str) -> String {
        format!(
            "<ServiceConfiguration serviceName=\"s\" xmlns=\"{NAMESPACE}\">{roles}</ServiceConfiguration>"
        )
    }

    #[test]
    fn a_mark_and_a_declared_utf16_do_not_matter() {
        let roles = format!(
            "<Role name=\"Web\"><Certificates><Certificate name=\"Tls\" thumbprint=\"{THUMBPRINT}\" \
             thumbprintAlgorithm=\"sha1\"/></Certificates><Instances count=\"2\"/></Role>"
        );
        let text =
            format!("\u{feff}<?xml version=\"1.0\" encoding=\"utf-16\"?>\r\n<!-- x -->\r\n{}", text(&roles));
        let role = &Cscfg::parse(&text).unwrap().roles[0];
        assert_eq!(role.instances, 2);
        assert_eq!(role.certificate("tls").unwrap().thumbprint, THUMBPRINT.to_uppercase());
    }

    #[test]
    fn what_the_schema_forbids_is_refused() {
        for (roles, part) in [
            ("", "no Role"),
            ("<Role><Instances count=\"1\"/></Role>", "without `name`"),
            ("<Role name=\"Web\"/>", "0 Instances"),
            ("<Role name=\"Web\"><Instances count=\"x\"/></Role>", "count `x`"),
            (
                "<Role name=\"Web\"><Instances count=\"1\"/><Certificates><Certificate name=\"a\" thumbprint=\"b\" \
                 thumbprintAlgorithm=\"sha1\"/></Certificates></Role>",
                "thumbprint `b`",
            ),
        ] {
            let error = Cscfg::parse(&text(roles)).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert!(Cscfg::parse("<a>").is_err());
        assert!(Cscfg::parse("<ServiceConfiguration/>").is_err());
    }
}
