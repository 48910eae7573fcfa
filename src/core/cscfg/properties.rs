//! Tests: properties of generated service configurations. A model is rendered to text; the same model with other
//! values says what an edit of that text must yield, byte for byte.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::configuration::NAMESPACE;
use super::{Edit, EntryThumbprint, MentionKind, ServiceConfiguration, changes, differs_beyond_certificates};
use crate::id::{RoleName, Thumbprint};

/// A service configuration and how it is written.
#[derive(Clone, Debug)]
struct Model {
    style: Style,
    roles: Vec<ModelRole>,
}

#[derive(Clone, Debug)]
struct Style {
    mark: bool,
    declaration: &'static str,
    newline: &'static str,
    prefix: &'static str,
}

#[derive(Clone, Debug)]
struct ModelRole {
    certificates_first: bool,
    certificates: Vec<ModelCertificate>,
    settings: Vec<ModelSetting>,
}

#[derive(Clone, Debug)]
struct ModelCertificate {
    thumbprint: Option<Written>,
    algorithm: Option<&'static str>,
    quote: char,
    equals: &'static str,
    space: &'static str,
    thumbprint_first: bool,
    decoy: usize,
}

#[derive(Clone, Debug)]
struct ModelSetting {
    members: Vec<Member>,
    separator: &'static str,
    quote: char,
}

#[derive(Clone, Debug)]
enum Member {
    Thumbprint(Written),
    /// Text around a thumbprint, which an edit must leave alone.
    Within(usize),
    Word(&'static str),
}

/// A thumbprint of the pool, and how its digits are written.
#[derive(Clone, Copy, Debug)]
struct Written {
    pool: usize,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Upper,
    Lower,
    Spaced,
    Referenced,
}

const POOL: usize = 4;

/// Thumbprints without regularity: two never overlap.
fn pool(number: usize) -> Thumbprint {
    Thumbprint::of_der(&[number as u8])
}

fn fresh(number: usize) -> Thumbprint {
    pool(number + 100)
}

impl Written {
    /// What stands before the digits that an edit of a setting would replace, and those digits.
    fn parts(self) -> (&'static str, String) {
        let upper = pool(self.pool).to_string();
        match self.form {
            Form::Upper => ("", upper),
            Form::Lower => ("", upper.to_lowercase()),
            Form::Spaced => {
                let pairs: Vec<&str> = (0..20).map(|i| &upper[2 * i..2 * i + 2]).collect();
                ("\u{200e}", pairs.join(" "))
            }
            Form::Referenced => {
                let reference = |(i, c): (usize, char)| match i % 3 {
                    0 => format!("&#x{:x};", u32::from(c)),
                    1 => format!("&#0{};", u32::from(c)),
                    _ => c.to_string(),
                };
                ("", upper.chars().enumerate().map(reference).collect())
            }
        }
    }

    fn text(self) -> String {
        let (mark, digits) = self.parts();
        format!("{mark}{digits}")
    }
}

impl Member {
    /// As it is written, with the thumbprints that edits replace by others.
    fn text(&self, edited: &dyn Fn(usize) -> Option<Thumbprint>) -> String {
        match self {
            Self::Thumbprint(written) => {
                let (mark, digits) = written.parts();
                format!("{mark}{}", edited(written.pool).map_or(digits, |new| new.to_string()))
            }
            Self::Within(number) => format!("Find={}:My", pool(*number)),
            Self::Word(word) => (*word).to_owned(),
        }
    }
}

impl ModelSetting {
    fn text(&self, edited: &dyn Fn(usize) -> Option<Thumbprint>) -> String {
        let members: Vec<String> = self.members.iter().map(|member| member.text(edited)).collect();
        members.join(self.separator)
    }

    fn repeats(&self, number: usize) -> bool {
        let same = |member: &Member| matches!(member, Member::Thumbprint(written) if written.pool == number);
        self.members.iter().any(same)
    }
}

/// What an edit makes of the value of a certificate, and of a thumbprint in a setting.
type NewCertificate<'a> = &'a dyn Fn(usize, usize) -> Option<Thumbprint>;
type NewMember<'a> = &'a dyn Fn(usize, usize, usize) -> Option<Thumbprint>;

impl Model {
    fn text(&self) -> String {
        self.edited(&|_, _| None, &|_, _, _| None)
    }

    fn parsed(&self) -> ServiceConfiguration {
        let text = self.text();
        ServiceConfiguration::parse(text.clone()).unwrap_or_else(|fault| panic!("{fault}:\n{text}"))
    }

    fn edited(&self, certificate: NewCertificate<'_>, member: NewMember<'_>) -> String {
        let Style { mark, declaration, newline, prefix } = self.style;
        let p = if prefix.is_empty() { String::new() } else { format!("{prefix}:") };
        let xmlns = if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") };
        let mut text = String::from(if mark { "\u{feff}" } else { "" });
        text += declaration;
        text += &format!("<{p}ServiceConfiguration {xmlns}=\"{NAMESPACE}\">\n");
        for (r, role) in self.roles.iter().enumerate() {
            text += &format!("  <{p}Role name=\"Role{r}\">\n    <{p}Instances count='{r}' />\n");
            let certificates = role.certificates(r, &p, certificate);
            let settings = role.settings(r, &p, member);
            text +=
                &if role.certificates_first { certificates + &settings } else { settings + &certificates };
            text += &format!("  </{p}Role>\n");
        }
        text += &format!("</{p}ServiceConfiguration>\n");
        text.replace('\n', newline)
    }
}

impl ModelRole {
    fn certificates(&self, r: usize, p: &str, edited: NewCertificate<'_>) -> String {
        let mut text = format!("    <{p}Certificates>\n");
        for (c, entry) in self.certificates.iter().enumerate() {
            let ModelCertificate { quote: q, equals: e, space: s, .. } = entry;
            let decoy = pool(c % POOL);
            text += &match entry.decoy {
                1 => format!("<!-- <{p}Certificate name='Cert{c}' thumbprint='{decoy}' /> -->"),
                2 => format!("<![CDATA[<{p}Certificate name='Cert{c}' thumbprint='{decoy}' />]]>"),
                3 => format!("<?pi <{p}Certificate name='Cert{c}' thumbprint='{decoy}' />?>"),
                4 => format!("<o:Certificate xmlns:o='urn:o' name='Cert{c}' thumbprint='{decoy}' />"),
                5 => format!("<x><{p}Certificate name='Cert{c}' thumbprint='{decoy}' /></x>"),
                _ => String::new(),
            };
            let value = match edited(r, c) {
                Some(new) => new.to_string(),
                None => entry.thumbprint.map_or_else(String::new, Written::text),
            };
            let name = format!("name{e}{q}Cert{c}{q}");
            let thumbprint = format!("thumbprint{e}{q}{value}{q}");
            let (first, second) =
                if entry.thumbprint_first { (thumbprint, name) } else { (name, thumbprint) };
            text += &format!("      <{p}Certificate{s}{first}{s}{second}");
            if let Some(algorithm) = entry.algorithm {
                text += &format!("{s}thumbprintAlgorithm{e}{q}{algorithm}{q}");
            }
            text += " />\n";
        }
        text + &format!("    </{p}Certificates>\n")
    }

    fn settings(&self, r: usize, p: &str, edited: NewMember<'_>) -> String {
        let mut text = format!("    <{p}ConfigurationSettings>\n");
        for (s, setting) in self.settings.iter().enumerate() {
            let value = setting.text(&|number| edited(r, s, number));
            let q = setting.quote;
            text += &format!("      <{p}Setting name={q}Set{s}{q} value={q}{value}{q} />\n");
        }
        text + &format!("    </{p}ConfigurationSettings>\n")
    }
}

fn written() -> impl Strategy<Value = Written> {
    (0..POOL, select(vec![Form::Upper, Form::Lower, Form::Spaced, Form::Referenced]))
        .prop_map(|(pool, form)| Written { pool, form })
}

fn quote() -> impl Strategy<Value = char> {
    select(vec!['"', '\''])
}

fn model() -> impl Strategy<Value = Model> {
    let style = (
        any::<bool>(),
        select(vec![
            "",
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- <Role name='Role0'> é -->\n",
            "<?xml version='1.0' encoding='utf-16'?>",
        ]),
        select(vec!["\n", "\r\n"]),
        select(vec!["", "c", "sc"]),
    )
        .prop_map(|(mark, declaration, newline, prefix)| Style { mark, declaration, newline, prefix });
    let certificate = (
        proptest::option::weighted(0.9, written()),
        select(vec![None, Some("sha1"), Some("SHA1")]),
        quote(),
        select(vec!["=", " = ", "=\n", "\t="]),
        select(vec![" ", "  ", "\n        ", "\t"]),
        any::<bool>(),
        0..8_usize,
    )
        .prop_map(|(thumbprint, algorithm, quote, equals, space, thumbprint_first, decoy)| {
            ModelCertificate { thumbprint, algorithm, quote, equals, space, thumbprint_first, decoy }
        });
    let member = prop_oneof![
        3 => written().prop_map(Member::Thumbprint),
        1 => (0..POOL).prop_map(Member::Within),
        1 => select(vec!["", "é", "UseDevelopmentStorage=true", "&lt;x&gt;", "&amp;amp;", "z"]).prop_map(Member::Word),
    ];
    let separators = vec![",", ";", " ", ", ", ",\n  ", "&#44;", ";&#x20;"];
    let setting = (vec(member, 0..4), select(separators), quote())
        .prop_map(|(members, separator, quote)| ModelSetting { members, separator, quote });
    let role = (any::<bool>(), vec(certificate, 0..4), vec(setting, 0..4)).prop_map(
        |(certificates_first, certificates, settings)| ModelRole {
            certificates_first,
            certificates,
            settings,
        },
    );
    (style, vec(role, 0..4)).prop_map(|(style, roles)| Model { style, roles })
}

fn role_name(r: usize) -> RoleName {
    RoleName::new(format!("ROLE{r}"))
}

/// An edit of every certificate and of every repeated thumbprint for which `chosen` says so, to a fresh thumbprint; and
/// those edits backwards.
fn edits(model: &Model, chosen: &dyn Fn(usize) -> bool) -> (Vec<Edit>, Vec<Edit>) {
    let (mut forth, mut back) = (Vec::new(), Vec::new());
    for (r, role) in model.roles.iter().enumerate() {
        for (c, entry) in role.certificates.iter().enumerate().filter(|(c, _)| chosen(r + c)) {
            let (role, name) = (role_name(r), format!("cert{c}"));
            let from = entry.thumbprint.map(|written| pool(written.pool));
            let to = fresh(c);
            forth.push(Edit::Certificate { role: role.clone(), name: name.clone(), from, to });
            if let Some(old) = from {
                back.push(Edit::Certificate { role, name, from: Some(to), to: old });
            }
        }
        for (s, setting) in role.settings.iter().enumerate() {
            for number in (0..POOL).filter(|number| chosen(r + s + number) && setting.repeats(*number)) {
                let (role, name) = (role_name(r), format!("set{s}"));
                let (from, to) = (pool(number), fresh(number));
                forth.push(Edit::Setting { role: role.clone(), name: name.clone(), from, to });
                back.push(Edit::Setting { role, name, from: to, to: from });
            }
        }
    }
    (forth, back)
}

/// The line and column of a byte, counted plainly.
fn plain_place(text: &str, byte: usize) -> (usize, usize) {
    let before = text[..byte].trim_start_matches('\u{feff}');
    let line = before.matches('\n').count() + 1;
    (line, before.rsplit('\n').next().unwrap_or(before).chars().count() + 1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(model in model()) {
        let read = model.parsed();
        prop_assert_eq!(read.roles().len(), model.roles.len());
        let certificates: Vec<_> = model.roles.iter().flat_map(|role| &role.certificates).collect();
        prop_assert_eq!(read.certificates().len(), certificates.len());
        for (entry, expected) in read.certificates().iter().zip(certificates) {
            let thumbprint = match expected.thumbprint {
                Some(written) => EntryThumbprint::Known(pool(written.pool)),
                None => EntryThumbprint::Empty,
            };
            prop_assert_eq!(&entry.thumbprint, &thumbprint);
            prop_assert_eq!(&read.text()[entry.value.clone()], entry.written.as_str());
            let place = plain_place(read.text(), entry.value.start);
            prop_assert_eq!((entry.place.line, entry.place.column), place);
        }
        for setting in read.settings() {
            let raw = &read.text()[setting.raw.clone()];
            let value: String = super::value::units(raw).map(|unit| unit.c).collect();
            prop_assert_eq!(&value, &setting.value);
            let place = plain_place(read.text(), setting.raw.start);
            prop_assert_eq!((setting.place.line, setting.place.column), place);
        }
    }

    #[test]
    fn an_edit_keeps_every_other_byte(model in model(), choice in vec(any::<bool>(), 16)) {
        let chosen = |i: usize| choice[i % choice.len()];
        let (forth, back) = edits(&model, &chosen);
        let before = model.parsed();
        let after = before.replace(&forth).map_err(|fault| TestCaseError::fail(fault.to_string()))?;
        let expected = model.edited(
            &|r, c| chosen(r + c).then(|| fresh(c)),
            &|r, s, number| chosen(r + s + number).then(|| fresh(number)),
        );
        prop_assert_eq!(after.text(), expected.as_str());

        // Back again: the same bytes, but for how the thumbprints were written.
        let plain = {
            let mut model = model.clone();
            for role in &mut model.roles {
                let members = role.settings.iter_mut().flat_map(|setting| &mut setting.members);
                let members = members.filter_map(|member| match member {
                    Member::Thumbprint(written) => Some(written),
                    Member::Within(_) | Member::Word(_) => None,
                });
                let entries = role.certificates.iter_mut().map(|entry| {
                    entry.thumbprint.get_or_insert(Written { pool: 0, form: Form::Upper })
                });
                entries.chain(members).for_each(|written| written.form = Form::Upper);
            }
            model
        };
        let (plain_forth, plain_back) = edits(&plain, &chosen);
        let original = plain.parsed();
        let changed = original.replace(&plain_forth).unwrap();
        let restored = changed.replace(&plain_back).unwrap();
        prop_assert_eq!(restored.text(), original.text());
        prop_assert!(after.replace(&back).is_ok());
        // A second time, the edits find the new thumbprints and refuse.
        prop_assert!(plain_forth.is_empty() || changed.replace(&plain_forth).is_err());
    }

    #[test]
    fn differences_are_those_of_the_edits(model in model(), choice in vec(any::<bool>(), 16)) {
        let chosen = |i: usize| choice[i % choice.len()];
        let (forth, _) = edits(&model, &chosen);
        let before = model.parsed();
        let after = before.replace(&forth).unwrap();
        let settings = forth.iter().any(|edit| matches!(edit, Edit::Setting { .. }));
        prop_assert_eq!(differs_beyond_certificates(&before, &after).is_some(), settings);
        let shown = changes(&before, &after);
        prop_assert!(shown.len() <= forth.len());
        prop_assert_eq!(shown.is_empty(), forth.is_empty());
        prop_assert!(shown.iter().all(|change| change.before != change.after));
        prop_assert!(shown.iter().all(|change| !change.after.contains("UseDevelopmentStorage")));
    }

    #[test]
    fn mentions_are_the_settings_that_repeat_it(model in model(), number in 0..POOL) {
        let read = model.parsed();
        let found: Vec<_> = read
            .mentions(&pool(number))
            .into_iter()
            .map(|mention| (mention.role, mention.setting, mention.kind == MentionKind::Within))
            .collect();
        let mut expected = Vec::new();
        for (r, role) in model.roles.iter().enumerate() {
            for (s, setting) in role.settings.iter().enumerate() {
                let within = setting.members.iter().any(|m| matches!(m, Member::Within(n) if *n == number));
                if setting.repeats(number) || within {
                    expected.push((role_name(r), format!("Set{s}"), !setting.repeats(number)));
                }
            }
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn faults_are_placed(model in model(), at in any::<Index>()) {
        let read = model.parsed();
        if !read.certificates().is_empty() {
            let entry = &read.certificates()[at.index(read.certificates().len())];
            let mut broken = read.text().to_owned();
            broken.insert(entry.value.start, '<');
            let message = ServiceConfiguration::parse(broken).unwrap_err().to_string();
            prop_assert!(message.starts_with(&format!("{}: ", entry.place)), "{}: {message}", entry.place);
            let end = entry.tag + read.text()[entry.tag..].find("thumbprint").unwrap();
            let broken = format!("{}T{}", &read.text()[..end], &read.text()[end + 1..]);
            let message = ServiceConfiguration::parse(broken).unwrap_err().to_string();
            let (line, column) = plain_place(read.text(), entry.tag);
            let expected = format!("line {line}, column {column}: found a `Certificate` without thumbprint");
            prop_assert!(message.starts_with(&expected), "{expected}: {message}");
        }
    }

    #[test]
    fn mutated_text_never_panics(
        model in model(),
        mutations in vec((any::<Index>(), 0..12_usize, select(vec![
            "", "<", ">", "</", "/>", "<!--", "-->", "<![CDATA[", "]]>", "<?", "?>", "&", "&#x39;", "\"", "'", "=", " ",
            "\u{feff}", "\u{0}", "é", "<!DOCTYPE", "xmlns=''", "<Role name='Role0'>", "thumbprint=''",
        ])), 1..6),
        cut in any::<Index>(),
    ) {
        let mut text = model.text();
        let boundary = |text: &str, mut at: usize| {
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        for (at, remove, insert) in mutations {
            let start = boundary(&text, at.index(text.len() + 1));
            let end = boundary(&text, (start + remove).min(text.len())).max(start);
            text.replace_range(start..end, insert);
        }
        let truncated = text[..boundary(&text, cut.index(text.len() + 1))].to_owned();
        for text in [truncated, text] {
            match ServiceConfiguration::parse(text.clone()) {
                Ok(read) => {
                    let before = model.parsed();
                    prop_assert_eq!(read.text(), text.as_str());
                    read.mentions(&pool(0));
                    changes(&before, &read);
                    prop_assert_eq!(differs_beyond_certificates(&read, &read), None);
                    let (forth, _) = edits(&model, &|_| true);
                    if let Err(fault) = read.replace(&forth) {
                        prop_assert!(!matches!(fault, super::EditError::NotProved { .. }), "{fault}");
                    }
                }
                Err(fault) => prop_assert!(!fault.to_string().is_empty()),
            }
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in "(<|</|/>|>|<!--|-->|<!\\[CDATA\\[|\\]\\]>|<\\?|\\?>|[ab=&;#x'\" \n\u{feff}]|xmlns){0,40}") {
        prop_assert!(ServiceConfiguration::parse(text).is_err());
    }
}
