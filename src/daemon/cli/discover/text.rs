//! Proposals as TOML that reads as if a careful person had written it.
//!
//! Values are escaped by the `toml` crate. Comments hold words from outside (subjects, names, messages), so that they are
//! written by [`Page::comment`] alone, which lets no line end through.

use std::collections::BTreeMap;

use certroll_core::discover::{
    About, Authority, Finding, Mapped, ProbeFinding, Proposal, ProposedProbe, Source, Unread,
};
use certroll_core::id::RoleName;
use certroll_core::policy::Mode;
use jiff::Timestamp;
use toml::Value;

use super::Told;
use super::given::Given;

/// Width of comments, their mark included.
const WIDTH: usize = 118;
/// Names of a certificate that a comment lists: enough to know it by.
const NAMES: usize = 4;

/// A text that grows.
#[derive(Default)]
pub(super) struct Page(pub(super) String);

impl Page {
    /// A comment, wrapped, with every line that follows the first one indented.
    pub(super) fn comment(&mut self, text: &str) {
        self.comment_with("", "", text);
    }

    /// A line of TOML that a person may take out of the comment: not wrapped. Values hold no line end.
    pub(super) fn example(&mut self, toml: &str) {
        self.line(&format!("# {toml}"));
    }

    /// An item of a list.
    fn item(&mut self, text: &str) {
        self.comment_with("- ", "  ", text);
    }

    fn comment_with(&mut self, first: &str, rest: &str, text: &str) {
        let clean: String = text
            .chars()
            .map(|c| if c.is_whitespace() { ' ' } else { c })
            .flat_map(|c| {
                let steers = c.is_control() || is_invisible(c);
                let escaped: Vec<char> = if steers { c.escape_default().collect() } else { vec![c] };
                escaped
            })
            .collect();
        let mut line = format!("# {first}");
        let mut empty = true;
        for word in clean.split_ascii_whitespace() {
            if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(&line);
                line = format!("# {rest}");
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        self.line(&line);
    }

    pub(super) fn line(&mut self, text: &str) {
        self.0.push_str(text.trim_end());
        self.0.push('\n');
    }

    pub(super) fn blank(&mut self) {
        self.0.push('\n');
    }

    fn value(&mut self, key: &str, value: impl Into<Value>) {
        self.line(&format!("{key} = {}", inline(value)));
    }
}

/// Characters that change how a line reads without being seen.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A value on one line.
pub(super) fn inline(value: impl Into<Value>) -> String {
    match value.into() {
        // The crate writes such texts over several lines, or as they are: nobody would see what they do.
        Value::String(text) if text.contains(|c: char| c.is_control() || is_invisible(c)) => escaped(&text),
        Value::Array(items) => {
            let items: Vec<String> = items.into_iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        value => value.to_string(),
    }
}

/// A basic string of TOML in which nothing is hidden.
fn escaped(text: &str) -> String {
    let mut shown = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => shown.extend(['\\', c]),
            c if c.is_control() || is_invisible(c) => shown.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => shown.push(c),
        }
    }
    shown.push('"');
    shown
}

/// What a new configuration begins with.
pub(super) fn head(given: &Given, now: Timestamp) -> String {
    let mut page = Page::default();
    page.comment(&format!(
        "Configuration of certroll, proposed by `certroll discover` on {}.",
        now.strftime("%F")
    ));
    page.line("#");
    page.comment(
        "Read it before you use it. `certroll check` tells what certroll makes of it, `certroll plan` what it would change \
         today; neither changes anything. What is not set here has its default.",
    );
    for reason in &given.left_out {
        page.comment(reason);
    }
    page.blank();
    page.comment("The Azure cloud that vaults and services are in.");
    page.value("cloud", given.cloud.as_str());
    for (name, table) in &given.tables {
        page.blank();
        match *name {
            "identity" => page.comment("Who certroll is to Azure."),
            "http" => page.comment("How certroll reaches Azure."),
            "api" => page.comment("Versions of Azure's interfaces."),
            _ => page.comment("The hosts of the cloud."),
        }
        page.line(&format!("[{name}]"));
        // The kind of an identity says what the other keys are for.
        let (kind, rest): (Vec<_>, Vec<_>) = table.iter().partition(|(key, _)| *key == "kind");
        for (key, value) in kind.into_iter().chain(rest) {
            page.value(key, value.clone());
        }
    }
    page.0
}

/// Everything that was found, service by service.
pub(super) fn services(told: &Told) -> String {
    let mut page = Page::default();
    for error in &told.discovered.failed {
        let hint = error.fault().hint.as_ref().map(|hint| format!(" To mend it: {hint}")).unwrap_or_default();
        page.blank();
        page.comment(&format!("NOT LISTED: {}.{hint}", error.fault().brief()));
    }
    for reason in &told.discovered.left_out {
        page.blank();
        page.comment(&format!("LEFT OUT: {reason}."));
    }
    let names = subscription_names(told);
    for proposal in &told.proposals {
        page.blank();
        service(&mut page, proposal, names.get(&proposal.service.subscription().to_ascii_lowercase()));
    }
    for (service, not) in &told.not_proposed {
        page.blank();
        let hint = not.hint.as_ref().map(|hint| format!(" To mend it: {hint}")).unwrap_or_default();
        page.comment(&format!("NOT PROPOSED: cloud service `{service}`: {}.{hint}", not.reason));
    }
    if told.proposals.is_empty() && told.not_proposed.is_empty() {
        page.blank();
        page.comment("No cloud service was found that is not known already.");
    }
    page.0
}

fn subscription_names(told: &Told) -> BTreeMap<String, &str> {
    let names = told.discovered.subscriptions.iter();
    names
        .filter_map(|(id, name)| Some((id.to_ascii_lowercase(), name.as_deref().filter(|name| name != id)?)))
        .collect()
}

fn service(page: &mut Page, proposal: &Proposal, subscription: Option<&&str>) {
    let place = proposal.location.as_ref().map(|place| format!(" in {place}")).unwrap_or_default();
    let of = subscription.map(|name| format!(" of subscription \"{name}\"")).unwrap_or_default();
    page.comment(&format!("Cloud service `{}`{place}{of}. {}", proposal.service.name(), roles(proposal)));
    for note in &proposal.notes {
        page.comment(&format!("Note: {note}."));
    }
    cannot_be_read(page, &proposal.unread);
    page.line("[[service]]");
    page.value("id", proposal.service.to_string());
    page.blank();
    page.comment("Every secret of the service follows the newest version of its own vault object. Of its certificates:");
    for finding in &proposal.certificates {
        certificate(page, finding);
    }
    if proposal.certificates.is_empty() {
        page.item("there is none in its cscfg");
    }
    for surplus in &proposal.surplus {
        let about = match &surplus.about {
            Ok(found) => about(found),
            Err(reason) => format!("it cannot be read: {reason}"),
        };
        page.item(&format!("a secret that no certificate of the cscfg names, `{}`: {about}", surplus.object));
    }
    page.value("follow", "references");
    page.blank();
    page.comment("Who decides that a change is made: `auto` certroll, `approve` a person, `observe` nobody.");
    page.value("mode", mode(proposal.mode));
    for finding in proposal.unresolved() {
        unresolved(page, finding, &proposal.unread);
    }
    for (finding, mapped) in proposal.mapped() {
        mapping(page, finding, mapped);
    }
    probes(page, &proposal.probes);
}

pub(super) fn cannot_be_read(page: &mut Page, unread: &[Unread]) {
    for unread in unread {
        let objects: Vec<String> = unread.objects.iter().map(|object| format!("`{object}`")).collect();
        let alike = if objects.len() > 1 { " The others alike." } else { "" };
        page.comment(&format!("CANNOT BE READ: {}: {}.{alike}", objects.join(", "), unread.reason));
        if let Some(hint) = &unread.hint {
            page.comment(&format!("To mend it: {hint}."));
        }
    }
}

fn roles(proposal: &Proposal) -> String {
    let told: Vec<String> = proposal
        .roles
        .iter()
        .map(|(name, instances)| match instances {
            Some(1) => format!("{name} (1 instance)"),
            Some(count) => format!("{name} ({count} instances)"),
            None => name.to_string(),
        })
        .collect();
    if told.is_empty() { "It has no roles.".to_owned() } else { format!("Roles: {}.", told.join(", ")) }
}

/// What becomes of a certificate, as an item of the list above `follow`.
fn certificate(page: &mut Page, finding: &Finding) {
    let becomes = match &finding.source {
        Source::Followed { object } => format!("follows `{object}`"),
        Source::Mapped(mapped) => format!("is listed below, from `{}`", mapped.object),
        Source::Left { reason } => format!("is left alone: {reason}"),
        Source::Unresolved { .. } => "UNRESOLVED, see below".to_owned(),
    };
    let about = finding.about.as_ref().map(|found| format!("; {}", about(found))).unwrap_or_default();
    let notes: String = finding.notes.iter().map(|note| format!("; {note}")).collect();
    page.item(&format!("{} {becomes}{about}{notes}", titled(finding)));
}

/// The name with its roles.
fn titled(finding: &Finding) -> String {
    let roles: Vec<&str> = finding.roles.iter().map(RoleName::as_str).collect();
    format!("`{}` ({})", finding.name, roles.join(", "))
}

fn about(about: &About) -> String {
    let until = about.not_after.strftime("%F");
    match about.authority {
        Authority::Leaf => {
            let names = match about.names.as_slice() {
                [] => format!("`{}`", about.subject),
                few if few.len() <= NAMES => few.join(", "),
                many => format!("{} and {} more", many[..NAMES].join(", "), many.len() - NAMES),
            };
            format!("a leaf for {names}, until {until}")
        }
        Authority::Intermediate => format!("an intermediate CA, `{}`, until {until}", about.subject),
        Authority::Root => format!("a root CA, `{}`, until {until}", about.subject),
    }
}

pub(super) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Auto => "auto",
        Mode::Approve => "approve",
        Mode::Observe => "observe",
    }
}

pub(super) fn unresolved(page: &mut Page, finding: &Finding, told: &[Unread]) {
    let Source::Unresolved { reason, hint } = &finding.source else { return };
    let thumbprint = finding.thumbprint.map(|thumbprint| format!(", {thumbprint}")).unwrap_or_default();
    page.blank();
    page.comment(&format!(
        "UNRESOLVED: where {}{thumbprint} comes from is not known: {reason}.",
        titled(finding)
    ));
    let new = |hint: &&String| told.iter().all(|unread| unread.hint.as_ref() != Some(*hint));
    if let Some(hint) = hint.as_ref().filter(new) {
        page.comment(&format!("To mend it: {hint}."));
    }
    page.comment("Or name its source:");
    let role = (!finding.every_role).then(|| finding.roles.first()).flatten();
    let mut example = Page::default();
    example.line("[[service.certificate]]");
    example.value("name", finding.name.as_str());
    if let Some(role) = role {
        example.value("role", role.as_str());
    }
    example.value("source", "<vault>/certificates/<name>");
    example.0.lines().for_each(|line| page.example(line));
}

pub(super) fn mapping(page: &mut Page, finding: &Finding, mapped: &Mapped) {
    page.blank();
    page.comment(&format!("{}: {}.", titled(finding), mapped.why));
    if let Some(decide) = &mapped.decide {
        page.comment(&format!("TO DECIDE: {decide}."));
    }
    let every: [Option<&RoleName>; 1] = [None];
    let of_each: Vec<Option<&RoleName>> = finding.roles.iter().map(Some).collect();
    let roles: &[Option<&RoleName>] = if finding.every_role { &every } else { &of_each };
    for (at, role) in roles.iter().enumerate() {
        if at > 0 {
            page.blank();
        }
        page.line("[[service.certificate]]");
        page.value("name", finding.name.as_str());
        if let Some(role) = role {
            page.value("role", role.as_str());
        }
        page.value("source", mapped.object.to_string());
        if let Some(vault) = &mapped.source_vault {
            page.value("source_vault", vault.as_str());
        }
        if !finding.settings.is_empty() {
            page.value("settings", finding.settings.clone());
        }
    }
}

/// Endpoints that present what is deployed are written, others are shown.
pub(super) fn probes(page: &mut Page, probes: &[ProposedProbe]) {
    let (seen, unseen): (Vec<_>, Vec<_>) =
        probes.iter().partition(|probe| probe.finding == ProbeFinding::Presents);
    if !unseen.is_empty() {
        page.blank();
        page.comment(
            "Endpoints that were not seen to present what is deployed. One that does not would turn every update back, so \
             that they are only shown:",
        );
        for probe in &unseen {
            let found = match &probe.finding {
                ProbeFinding::Differs { found } => found.as_str(),
                ProbeFinding::NotTried => "it was not tried",
                ProbeFinding::Presents => "",
            };
            page.item(&format!("{}: {found}; {}", probe.endpoint, probe.why));
        }
        if seen.is_empty() {
            page.comment("With an endpoint that this machine reaches:");
            page.example("[service.probe]");
            page.example(&format!("endpoints = [{}]", endpoints(&unseen)));
        }
    }
    if !seen.is_empty() {
        page.blank();
        page.comment(
            "TLS handshakes that must present the new leaf after an update, or it is turned back. Each presents today what \
             is deployed.",
        );
        page.line("[service.probe]");
        page.line(&format!("endpoints = [{}]", endpoints(&seen)));
    }
}

fn endpoints(probes: &[&ProposedProbe]) -> String {
    probes.iter().map(|probe| endpoint(probe)).collect::<Vec<_>>().join(", ")
}

fn endpoint(probe: &ProposedProbe) -> String {
    let address = &probe.endpoint.address;
    let bare = address.rsplit_once(':').is_some_and(|(host, _)| host == probe.endpoint.server_name);
    let named = probe.certificate.as_ref();
    if bare && named.is_none() {
        return inline(address.as_str());
    }
    let mut members = vec![format!("address = {}", inline(address.as_str()))];
    if !bare {
        members.push(format!("server_name = {}", inline(probe.endpoint.server_name.as_str())));
    }
    if let Some(name) = named {
        members.push(format!("certificate = {}", inline(name.as_str())));
    }
    format!("{{ {} }}", members.join(", "))
}

#[cfg(test)]
mod tests {
    use certroll_core::discover::{NotProposed, Surplus};
    use certroll_core::id::SourceVaultId;
    use certroll_core::policy::{CertificateMapping, Follow, ServicePolicy};
    use certroll_core::ports::ProbeEndpoint;
    use certroll_engine::discover::Discovered;

    use super::*;
    use crate::config::{self, Environment};

    const SHOP: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/cloudServices/shop";
    const THUMBPRINT: &str = "B0F1AA6E30B3C4F6A5B2A9E7D61CCE8E3E50D9A7";
    const VAULT: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/new-kv";
    /// What would break out of a comment or a value, or hide in it.
    const HOSTILE: &str = "a\"b\\c\r\n[[service]]\nid = 'x' #\u{1b}[31m\u{202e}]\u{0}";

    fn finding(name: &str, roles: &[&str], every_role: bool, source: Source) -> Finding {
        Finding {
            name: name.to_owned(),
            roles: roles.iter().map(|role| RoleName::new(*role)).collect(),
            every_role,
            thumbprint: Some(THUMBPRINT.parse().unwrap()),
            about: None,
            source,
            settings: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn mapped(source: &str) -> Source {
        Source::Mapped(Mapped {
            object: source.parse().unwrap(),
            source_vault: None,
            why: "why".to_owned(),
            decide: None,
            newer: false,
        })
    }

    fn probe(server_name: &str, certificate: Option<&str>, finding: ProbeFinding) -> ProposedProbe {
        ProposedProbe {
            endpoint: ProbeEndpoint {
                address: "shop.example:443".to_owned(),
                server_name: server_name.to_owned(),
            },
            thumbprint: THUMBPRINT.parse().unwrap(),
            certificate: certificate.map(str::to_owned),
            why: "why".to_owned(),
            finding,
        }
    }

    fn proposal(certificates: Vec<Finding>, probes: Vec<ProposedProbe>) -> Proposal {
        Proposal {
            service: SHOP.parse().unwrap(),
            location: Some("chinaeast2".to_owned()),
            roles: vec![(RoleName::new("Web"), Some(2)), (RoleName::new("Jobs"), Some(1))],
            mode: Mode::Auto,
            certificates,
            surplus: Vec::new(),
            unread: Vec::new(),
            probes,
            notes: Vec::new(),
        }
    }

    /// Writes proposals, and reads what was written as the program reads it.
    fn loaded(proposals: Vec<Proposal>, not_proposed: Vec<NotProposed>) -> (String, Vec<ServicePolicy>) {
        let given = super::super::given::sections(&Environment::default(), std::path::Path::new("x"));
        let told = Told {
            discovered: Discovered::default(),
            proposals,
            not_proposed: not_proposed.into_iter().map(|not| (SHOP.parse().unwrap(), not)).collect(),
            additions: Vec::new(),
            not_compared: Vec::new(),
        };
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        let text = format!("{}{}", head(&given, now), services(&told));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("certroll.toml");
        std::fs::write(&path, &text).unwrap();
        let settings = config::load(&path, &Environment::default(), now)
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        let warnings: Vec<_> = settings.warnings.iter().filter(|warning| warning.key != "service").collect();
        assert!(warnings.is_empty(), "{warnings:?}\n{text}");
        (text, settings.policy.services)
    }

    #[test]
    fn what_is_written_is_read_as_it_was_meant() {
        let mut repeated =
            finding("ShopTls", &["Web", "Jobs"], true, mapped("shop-kv/certificates/shop-tls"));
        repeated.settings = vec!["Shop.Tls".to_owned(), HOSTILE.to_owned()];
        let certificates = vec![
            finding(
                "Root",
                &["Web"],
                true,
                Source::Followed { object: "shop-kv/secrets/root".parse().unwrap() },
            ),
            repeated,
            finding("Api", &["Web", HOSTILE], false, mapped("shop-kv/secrets/api")),
            finding(
                HOSTILE,
                &["Web"],
                true,
                Source::Mapped(Mapped {
                    object: "new-kv/certificates/x".parse().unwrap(),
                    source_vault: Some(VAULT.parse().unwrap()),
                    why: HOSTILE.to_owned(),
                    decide: Some(HOSTILE.to_owned()),
                    newer: true,
                }),
            ),
        ];
        let probes = vec![
            probe("shop.contoso.com", Some(HOSTILE), ProbeFinding::Presents),
            probe("shop.example", None, ProbeFinding::Presents),
            probe("no.contoso.com", None, ProbeFinding::Differs { found: HOSTILE.to_owned() }),
        ];
        let (text, services) = loaded(vec![proposal(certificates, probes)], Vec::new());
        let [service] = services.as_slice() else { panic!("{text}") };
        assert_eq!((service.follow, service.mode), (Follow::References, Mode::Auto));
        let told: Vec<(&str, Option<&str>, String, Option<&str>)> = service
            .certificates
            .iter()
            .map(|mapping: &CertificateMapping| {
                let vault = mapping.source_vault.as_ref().map(SourceVaultId::as_str);
                (
                    mapping.name.as_str(),
                    mapping.role.as_ref().map(RoleName::as_str),
                    mapping.source.to_string(),
                    vault,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("ShopTls", None, "shop-kv/certificates/shop-tls".to_owned(), None),
                ("Api", Some("Web"), "shop-kv/secrets/api".to_owned(), None),
                ("Api", Some(HOSTILE), "shop-kv/secrets/api".to_owned(), None),
                (HOSTILE, None, "new-kv/certificates/x".to_owned(), Some(VAULT)),
            ]
        );
        assert_eq!(service.certificates[0].settings, ["Shop.Tls", HOSTILE]);
        let probed: Vec<_> = service
            .probe
            .endpoints
            .iter()
            .map(|probed| (probed.endpoint.server_name.as_str(), probed.certificate.as_deref()))
            .collect();
        assert_eq!(probed, [("shop.contoso.com", Some(HOSTILE)), ("shop.example", None)]);
        assert!(service.probe.binding);
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\0', '\r']), "{text}");
    }

    #[test]
    fn what_is_not_known_is_a_comment() {
        let unresolved = |hint: Option<&str>| Source::Unresolved {
            reason: HOSTILE.to_owned(),
            hint: hint.map(str::to_owned),
        };
        let certificates = vec![
            finding(HOSTILE, &["Web"], false, unresolved(Some(HOSTILE))),
            finding("Rdp", &["Web"], true, Source::Left { reason: HOSTILE.to_owned() }),
        ];
        let mut proposed =
            proposal(certificates, vec![probe("shop.contoso.com", None, ProbeFinding::NotTried)]);
        proposed.mode = Mode::Observe;
        proposed.notes = vec![HOSTILE.to_owned()];
        proposed.location = Some(HOSTILE.to_owned());
        proposed.surplus = vec![Surplus { object: HOSTILE.to_owned(), about: Err(HOSTILE.to_owned()) }];
        proposed.unread = vec![Unread {
            objects: vec![HOSTILE.to_owned(), HOSTILE.to_owned()],
            reason: HOSTILE.to_owned(),
            hint: Some("other".to_owned()),
        }];
        let not = NotProposed { reason: HOSTILE.to_owned(), hint: Some(HOSTILE.to_owned()) };
        let (text, services) = loaded(vec![proposed], vec![not]);
        let [service] = services.as_slice() else { panic!("{text}") };
        assert_eq!((service.mode, service.certificates.len()), (Mode::Observe, 0));
        assert!(service.probe.endpoints.is_empty());
        for expected in ["# UNRESOLVED:", "# NOT PROPOSED:", "# [service.probe]", "# To mend it:"] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\0', '\r']), "{text}");
    }

    #[test]
    fn a_configuration_of_nothing_can_be_read() {
        let (text, services) = loaded(Vec::new(), Vec::new());
        assert!(services.is_empty());
        assert!(text.contains("# No cloud service was found"), "{text}");
    }
}
