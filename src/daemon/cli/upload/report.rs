//! What is to be uploaded, what speaks against it and what became of it, in words and as JSON. No key and no password is
//! part of it.

use std::fmt::Write;

use certroll_core::certificate::{Certificate, OpenedSecret, Packable};
use certroll_core::id::{ObjectKind, SecretIdentifier, VaultObject};
use certroll_core::plan::Foresight;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::vault::Newest;
use crate::cli::inspect::report::{certificates, holds, json as inspected, line};
use crate::cli::report::refusal;
use crate::cli::terminal::{Terminal, printable};

/// Version of the JSON form. Raised when a reader of the older form would misunderstand it.
const FORMAT: u32 = 1;

/// An upload as it is planned.
pub(super) struct Upload<'a> {
    pub(super) packable: &'a Packable,
    /// What a service will find.
    pub(super) packed: &'a OpenedSecret,
    pub(super) file: String,
    pub(super) to: &'a VaultObject,
    pub(super) newest: &'a Newest,
    pub(super) foresight: &'a Foresight,
    /// An object of nearly the same name, where this one is not there yet.
    pub(super) alike: Option<&'a VaultObject>,
    /// Whether there is a configuration that could name services.
    pub(super) configured: bool,
    pub(super) now: Timestamp,
}

impl Upload<'_> {
    /// For people, before anything is sent.
    pub(super) fn text(&self, terminal: &Terminal) -> String {
        let mut shown = holds(self.packable.opened(), &self.file, self.now, terminal);
        shown.push('\n');
        shown.push_str(&certificates(self.packable.opened(), self.now, terminal));
        shown.push('\n');
        let mut tell = |heading: &str, value: &str| shown.push_str(&line(heading, value, terminal));
        tell("to", &format!("{} `{}`", self.to.kind.noun(), self.to));
        tell("as", &self.form());
        let left_out = self.left_out();
        if !left_out.is_empty() {
            tell("left out", &left_out.join(", "));
        }
        tell("replaces", &self.replaces());
        tell("followed by", &self.followers());
        for warning in &self.foresight.warnings {
            let _ = writeln!(shown, "{} {}", terminal.notable("warning:"), printable(warning));
        }
        for violation in &self.foresight.violations {
            refusal(violation, terminal, &mut shown);
        }
        shown
    }

    /// For programs. `stored` is the new version, once it is there and verified.
    pub(super) fn json(&self, stored: Option<&SecretIdentifier>) -> Value {
        let replaces = match self.newest {
            Newest::None => Value::Null,
            Newest::Unreadable { reason } => json!({ "unreadable": reason }),
            Newest::Known { version, content } => json!({
                "version": version,
                "thumbprint": content.thumbprint(),
                "not_after": content.leaf.not_after().to_string(),
            }),
        };
        let left_out: Vec<_> = self.packable.left_out().map(Certificate::thumbprint).collect();
        json!({
            "format": FORMAT,
            "object": self.to,
            "thumbprint": self.packed.leaf.thumbprint(),
            "packed": inspected(self.packed, self.now),
            "left_out": left_out,
            "replaces": replaces,
            "followed_by": self.foresight.followers,
            "warnings": self.foresight.warnings,
            "violations": self.foresight.violations,
            "stored": stored.map(|identifier| json!({
                "version": identifier.version(),
                "certificate_url": identifier,
                "verified": true,
            })),
        })
    }

    fn form(&self) -> String {
        let what = match (self.packed.key.matches(), self.packed.chain.len()) {
            (false, _) => "the certificate alone".to_owned(),
            (true, 0) => "the certificate with its key, and no issuer".to_owned(),
            (true, 1) => "the certificate with its key and 1 issuer".to_owned(),
            (true, issuers) => format!("the certificate with its key and {issuers} issuers"),
        };
        match self.to.kind {
            ObjectKind::Certificate => format!("PKCS#12 (3DES, SHA-1 MAC), imported: {what}"),
            ObjectKind::Secret => {
                format!("base64 of a JSON document with PKCS#12 (3DES, SHA-1 MAC) in it: {what}")
            }
        }
    }

    fn left_out(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .packable
            .left_out()
            .map(|certificate| format!("{} ({})", certificate.thumbprint(), printable(certificate.subject())))
            .collect();
        if self.packable.opened().key.matches() && !self.packable.carries_key() {
            all.push("the private key, which is an authority's".to_owned());
        }
        match self.packable.opened().other_keys {
            0 => {}
            1 => all.push("1 more private key".to_owned()),
            more => all.push(format!("{more} more private keys")),
        }
        all
    }

    fn replaces(&self) -> String {
        match self.newest {
            Newest::None => {
                let alike = self.alike.map(|alike| format!("; did you mean `{alike}`?")).unwrap_or_default();
                format!("nothing: the object has no enabled version{alike}")
            }
            Newest::Unreadable { reason } => {
                format!("a version that is not compared, since it cannot be read: {}", printable(reason))
            }
            Newest::Known { version, content } => {
                let until = content.leaf.not_after().strftime("%F");
                format!("version {version}, {} until {until}", content.thumbprint())
            }
        }
    }

    fn followers(&self) -> String {
        if !self.configured {
            return "nobody knows: there is no configuration".to_owned();
        }
        let names: Vec<String> =
            self.foresight.followers.iter().map(|id| format!("`{}`", printable(id.name()))).collect();
        if names.is_empty() { "no service of the configuration".to_owned() } else { names.join(", ") }
    }
}

/// The new version, for people: what goes into a `certificateUrl` and into a cscfg.
pub(super) fn stored(
    to: &VaultObject,
    identifier: &SecretIdentifier,
    leaf: &Certificate,
    terminal: &Terminal,
) -> String {
    let verified = terminal.good("reads back as it was sent");
    [
        ("stored", format!("`{to}`, {verified}")),
        ("version", identifier.version().to_string()),
        ("thumbprint", leaf.thumbprint().to_string()),
        ("secret", identifier.to_string()),
    ]
    .map(|(heading, value)| line(heading, &value, terminal))
    .concat()
}
