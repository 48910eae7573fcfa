//! Tests: the shapes in which service configurations come, and the refusal of those that are none.

use super::configuration::{CertificateEntry, EntryThumbprint, NAMESPACE, Role, ServiceConfiguration};
use super::place::Place;
use crate::id::RoleName;

const LEAF: &str = "9427BEFA18EC6865A9EBDC79D4C38DE50E6316FF";

fn within(roles: &str) -> String {
    format!(
        "<ServiceConfiguration serviceName=\"shop\" xmlns=\"{NAMESPACE}\">\n{roles}\n</ServiceConfiguration>"
    )
}

fn role(certificates: &str) -> String {
    within(&format!(
        "<Role name='Web'><Instances count='2'/><Certificates>{certificates}</Certificates></Role>"
    ))
}

fn only(certificate: &str) -> CertificateEntry {
    let configuration = ServiceConfiguration::parse(role(certificate)).unwrap();
    assert_eq!(configuration.certificates().len(), 1, "{certificate}");
    configuration.certificates()[0].clone()
}

#[test]
fn everything_that_surrounds_the_entries_is_read_past() {
    let body = role(&format!("<Certificate name='Tls' thumbprint='{LEAF}' thumbprintAlgorithm='sha1'/>"));
    for text in [
        body.clone(),
        format!("\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<!-- made by a tool -->\r\n{body}"),
        format!("<?xml version='1.0' encoding='utf-16'?>\n{body}\n"),
        body.replace('\n', "\r\n"),
        body.replace("xmlns=", "xmlns:c=")
            .replace("</", "</c:")
            .replace('<', "<c:")
            .replace("<c:/c:", "</c:"),
        body.replace(
            "<Role",
            "<!-- <Role name='Web'> --><![CDATA[<Role name='Web'>]]><?x <Role name='Web'/>?><Role",
        ),
        body.replace("<Role", "<o:Role xmlns:o='urn:other' name='Web'/><Role"),
        body.replace("<Certificate ", "<Certificate\r\n\tx='1'\r\n\t"),
        body.replace("='", &format!("{0}={0}'", " ".repeat(300))),
    ] {
        let read =
            ServiceConfiguration::parse(text.clone()).unwrap_or_else(|fault| panic!("{fault}: {text}"));
        assert_eq!(read.text(), text);
        assert_eq!(read.service_name(), Some("shop"));
        assert_eq!(read.roles(), [Role { name: RoleName::new("Web"), instances: Some(2) }]);
        let [entry] = read.certificates() else { panic!("{text}") };
        assert_eq!(entry.thumbprint, EntryThumbprint::Known(LEAF.parse().unwrap()));
        assert_eq!((entry.name.as_str(), entry.written.as_str()), ("Tls", LEAF));
        assert_eq!(entry.algorithm.as_deref(), Some("sha1"));
    }
}

#[test]
fn only_certificates_of_roles_count() {
    let certificate = format!("<Certificate name='x' thumbprint='{LEAF}'/>");
    for text in [
        within(&certificate),
        within(&format!("<Certificates>{certificate}</Certificates>")),
        within(&format!("<Role name='Web'>{certificate}</Role>")),
        role(&format!("<Deeper>{certificate}</Deeper>")),
        role(&format!("<!--{certificate}-->")),
        role(&format!("<![CDATA[{certificate}]]>")),
        role(
            &certificate
                .replace("<C", "<C xmlns='urn:other' ")
                .replace("<C xmlns='urn:other' ertificate", "<Certificate xmlns='urn:other'"),
        ),
        role(&certificate.replace("Certificate", "certificate")),
        within(&format!(
            "<Wrapper><Role name='Web'><Certificates>{certificate}</Certificates></Role></Wrapper>"
        )),
    ] {
        assert!(ServiceConfiguration::parse(text.clone()).unwrap().certificates().is_empty(), "{text}");
    }
}

#[test]
fn thumbprints_as_people_and_tools_write_them() {
    let known = EntryThumbprint::Known(LEAF.parse().unwrap());
    let spaced = "\u{200e}94 27 be fa 18 ec 68 65 a9 eb dc 79 d4 c3 8d e5 0e 63 16 ff";
    let few = EntryThumbprint::Unreadable("it has fewer than 40 digits".to_owned());
    let foreign = EntryThumbprint::Unreadable("it holds something that is no hexadecimal digit".to_owned());
    for (written, expected) in [
        (LEAF.to_owned(), &known),
        (LEAF.to_lowercase(), &known),
        (spaced.to_owned(), &known),
        (format!("\r\n  {LEAF}\r\n"), &known),
        (LEAF.replacen("94", "&#x39;&#52;", 1), &known),
        (String::new(), &EntryThumbprint::Empty),
        (" \u{200e}&#x20;".to_owned(), &EntryThumbprint::Empty),
        ("9427".to_owned(), &few),
        ("[thumbprint]".to_owned(), &foreign),
    ] {
        let entry = only(&format!("<Certificate thumbprint=\"{written}\" name=\"Tls\"/>"));
        assert_eq!((&entry.thumbprint, &entry.written), (expected, &written));
        assert_eq!(entry.algorithm, None);
    }
}

#[test]
fn places_are_those_of_the_values() {
    let entry = only(&format!("\n\n   <Certificate name='é'\n\tthumbprint = '{LEAF}'/>"));
    assert_eq!(entry.place, Place { line: 5, column: 16 });
}

#[test]
fn roles_and_settings() {
    let text = within(
        "<Role name='Web'><ConfigurationSettings><Setting name='A' value='x&amp;y'/></ConfigurationSettings>\
         <Instances count='3'/></Role><Role name='Worker'><Instances count='many'/>\
         <ConfigurationSettings><Setting value='' name='a'/><Setting name='A' value=\"'\"/></ConfigurationSettings></Role>",
    );
    let read = ServiceConfiguration::parse(text).unwrap();
    let roles: Vec<_> = read.roles().iter().map(|role| (role.name.as_str(), role.instances)).collect();
    assert_eq!(roles, [("Web", Some(3)), ("Worker", None)]);
    let settings: Vec<_> = read
        .settings()
        .iter()
        .map(|setting| (setting.role.as_str(), setting.name.as_str(), setting.value.as_str()))
        .collect();
    assert_eq!(settings, [("Web", "A", "x&y"), ("Worker", "a", ""), ("Worker", "A", "'")]);
}

#[test]
fn secrets_are_not_printed() {
    let text = within(
        "<Role name='Web'><ConfigurationSettings><Setting name='Db' value='Password=hunter2'/>\
         </ConfigurationSettings></Role>",
    );
    let printed = format!("{:?}", ServiceConfiguration::parse(text.clone()).unwrap());
    assert!(printed.contains("Db") && !printed.contains("hunter2"), "{printed}");
    let broken = text.replace("Password", "a&hunter2;");
    let fault = ServiceConfiguration::parse(broken).unwrap_err();
    assert!(!fault.to_string().contains("hunter2") && !format!("{fault:?}").contains("hunter2"), "{fault}");
}

#[test]
fn refusals_name_the_place_and_what_is_expected() {
    let tls = format!("<Certificate name='Tls' thumbprint='{LEAF}'/>");
    for (text, expected) in [
        (
            String::new(),
            "line 1, column 1: found the end of the text; expected an element `ServiceConfiguration`",
        ),
        (
            "PFN".to_owned(),
            "line 1, column 1: found text or markup that cannot stand here; expected one root element",
        ),
        (
            "<!-- x".to_owned(),
            "line 1, column 1: found a comment that is not closed; expected its end before",
        ),
        (
            "<a>\n<b>".to_owned(),
            "line 2, column 1: found an element that is not closed; expected its end before",
        ),
        (
            "<a>\n <b></a>".to_owned(),
            "line 2, column 5: found the end tag `a`; expected `b` to be closed first",
        ),
        ("<a/>\n<a/>".to_owned(), "line 2, column 1: found text or markup that cannot stand here"),
        (
            "<c:a/>".to_owned(),
            "line 1, column 2: found the undeclared namespace prefix `c`; expected a prefix",
        ),
        ("<a x='1'\n x='2'/>".to_owned(), "line 2, column 2: found a second attribute `x`; expected each"),
        (
            "<a é='x&y'/>".to_owned(),
            "line 1, column 8: found a `&` that begins no reference known to XML; expected `&amp;`",
        ),
        ("\u{feff}<a \u{1}/>".to_owned(), "line 1, column 4: found no name; expected the name"),
        ("<!DOCTYPE a><a/>".to_owned(), "line 1, column 1: found a document type declaration; expected none"),
        (
            "<!-- --><ServiceConfiguration/>".to_owned(),
            "line 1, column 9: found the root element `ServiceConfiguration` in no namespace; expected `ServiceConfiguration` in",
        ),
        (
            "<ServiceDefinition xmlns='urn:x'/>".to_owned(),
            "line 1, column 1: found the root element `ServiceDefinition` in the namespace `urn:x`; expected",
        ),
        (within("<Role/>"), "line 2, column 1: found a `Role` without name; expected `name=\"…\"`"),
        (within("<Role name=''/>"), "line 2, column 1: found a `Role` without name"),
        (
            role("<Certificate name='Tls'/>"),
            "line 2, column 54: found a `Certificate` without thumbprint; expected",
        ),
        (role("<Certificate thumbprint=''/>"), "line 2, column 54: found a `Certificate` without name"),
        (
            within(&format!("<Role name='{}'/>", "x".repeat(257))),
            "line 2, column 1: found a `Role` with a name of 257 bytes; expected at most 256",
        ),
        (
            within("<Role name='Web'/>\n<Role name='WEB'/>"),
            "line 3, column 1: found a second role `WEB`; expected one, which is at line 2, column 1",
        ),
        (
            role(&format!("{tls}\n {}", tls.replace("Tls", "TLS"))),
            "line 3, column 2: found a second certificate `TLS` in role `Web`; expected one, which is at line 2, column 54",
        ),
    ] {
        let message = ServiceConfiguration::parse(text.clone()).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{text:?}\n   is: {message}\n want: {expected}");
    }
}
