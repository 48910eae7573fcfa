//! What differs between two configurations, for people to read and for the check that nobody else changed one.

use std::collections::HashMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::configuration::ServiceConfiguration;
use super::mentions::is_separator;
use super::place::{Place, Places};
use super::tag::start_tag;
use super::value::{is_ignored_in_thumbprint, units};
use crate::id::Thumbprint;

/// A certificate or setting that differs, for a diff: its tag as far as it stands on the line of the value. Of a
/// setting's value only what looks like a thumbprint is shown, and only if the value changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineChange {
    /// The line of the value before, from 1; after, if there was none before.
    pub line: usize,
    /// What stood there; empty if it was added.
    pub before: String,
    /// What stands there; empty if it was removed.
    pub after: String,
}

/// The certificates and settings that differ, in the order of the old text, added ones last. Changes elsewhere are not
/// listed: [`differs_beyond_certificates`] finds the first of them.
pub fn changes(before: &ServiceConfiguration, after: &ServiceConfiguration) -> Vec<LineChange> {
    let old = elements(before);
    let new = elements(after);
    let mut by_key: HashMap<&Key, &Element> = new.iter().map(|element| (&element.key, element)).collect();
    let mut found = Vec::new();
    for element in &old {
        let successor = by_key.remove(&element.key);
        let same_value = successor.is_some_and(|other| element.value_in(before) == other.value_in(after));
        if successor.is_some_and(|other| same_value && element.tag_in(before) == other.tag_in(after)) {
            continue;
        }
        let shown = |configuration, element: &Element| element.shown(configuration, same_value);
        found.push(LineChange {
            line: element.line,
            before: shown(before, element),
            after: successor.map_or_else(String::new, |other| shown(after, other)),
        });
    }
    for element in new.iter().filter(|element| by_key.contains_key(&element.key)) {
        found.push(LineChange {
            line: element.line,
            before: String::new(),
            after: element.shown(after, false),
        });
    }
    found
}

/// The first place in `after` where two configurations differ in anything but the thumbprints of certificates, byte for
/// byte. `None` if they do not.
pub fn differs_beyond_certificates(
    before: &ServiceConfiguration,
    after: &ServiceConfiguration,
) -> Option<Place> {
    let gaps = |configuration: &ServiceConfiguration| {
        let starts: Vec<usize> = configuration.certificates().iter().map(|entry| entry.value.start).collect();
        let ends: Vec<usize> = configuration.certificates().iter().map(|entry| entry.value.end).collect();
        std::iter::once(0)
            .chain(ends)
            .zip(starts.into_iter().chain([configuration.text().len()]))
            .map(|(start, end)| start..end)
            .collect::<Vec<_>>()
    };
    let (old, new) = (gaps(before), gaps(after));
    let texts = old.iter().zip(&new);
    let (a, b) =
        texts.into_iter().find(|(a, b)| before.text()[(*a).clone()] != after.text()[(*b).clone()])?;
    let (left, right) = (before.text()[a.clone()].as_bytes(), after.text()[b.clone()].as_bytes());
    let same = left.iter().zip(right).take_while(|(x, y)| x == y).count();
    Some(Places::new(after.text()).at(b.start + same))
}

/// What an element is recognised by in another text: setting or certificate, role, name, and which of several of that
/// name.
type Key = (Kind, String, String, usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Certificate,
    Setting,
}

struct Element {
    key: Key,
    line: usize,
    tag: Range<usize>,
    value: Range<usize>,
}

/// The certificates and settings in the order of the text.
fn elements(configuration: &ServiceConfiguration) -> Vec<Element> {
    let certificates = configuration.certificates().iter().map(|entry| {
        (Kind::Certificate, &entry.role, &entry.name, entry.place, entry.tag, entry.value.clone())
    });
    let settings = configuration.settings().iter().map(|setting| {
        (Kind::Setting, &setting.role, &setting.name, setting.place, setting.tag, setting.raw.clone())
    });
    let mut seen = HashMap::<_, usize>::new();
    let mut found: Vec<Element> = certificates
        .chain(settings)
        .map(|(kind, role, name, place, tag, value)| {
            let (role, name) = (role.as_str().to_lowercase(), name.to_lowercase());
            let earlier = seen.entry((kind, role.clone(), name.clone())).or_default();
            let key = (kind, role, name, *earlier);
            *earlier += 1;
            let end = start_tag(configuration.text(), tag).map_or(value.end, |tag| tag.end);
            Element { key, line: place.line, tag: tag..end, value }
        })
        .collect();
    found.sort_by_key(|element| element.value.start);
    found
}

/// Longest piece of a tag besides the value that is shown, and longest value: a list of a hundred thumbprints.
const TAG_SHOWN: usize = 400;
const VALUE_SHOWN: usize = 4096;

impl Element {
    fn value_in<'a>(&self, configuration: &'a ServiceConfiguration) -> &'a str {
        &configuration.text()[self.value.clone()]
    }

    fn tag_in<'a>(&self, configuration: &'a ServiceConfiguration) -> &'a str {
        &configuration.text()[self.tag.clone()]
    }

    fn shown(&self, configuration: &ServiceConfiguration, same_value: bool) -> String {
        let text = configuration.text();
        let before = &text[self.tag.start..self.value.start];
        let before = before.rsplit('\n').next().unwrap_or(before).trim_start();
        let after = &text[self.value.end..self.tag.end];
        let after = after.split('\n').next().unwrap_or(after).trim_end();
        let value = self.value_in(configuration);
        let value = match self.key.0 {
            Kind::Certificate => visible(value.chars(), VALUE_SHOWN),
            Kind::Setting if same_value => HIDDEN.to_string(),
            Kind::Setting => visible(masked(value).chars(), VALUE_SHOWN),
        };
        format!("{}{value}{}", visible(before.chars(), TAG_SHOWN), visible(after.chars(), TAG_SHOWN))
    }
}

/// Stands for what is not shown.
const HIDDEN: char = '…';

/// A setting's value with only thumbprints and the separators around them.
fn masked(raw: &str) -> String {
    let value: String = units(raw).map(|unit| unit.c).collect();
    if value.parse::<Thumbprint>().is_ok() {
        return value;
    }
    let mut shown = String::new();
    for member in value.split_inclusive(is_separator) {
        let end = member.char_indices().next_back().filter(|(_, c)| is_separator(*c));
        let (member, separator) = member.split_at(end.map_or(member.len(), |(at, _)| at));
        if member.is_empty() || member.parse::<Thumbprint>().is_ok() {
            shown.push_str(member);
        } else if !shown.trim_end().ends_with(HIDDEN) {
            shown.push(HIDDEN);
        }
        shown.push_str(separator);
    }
    shown
}

/// Text that is safe to print on one line: what cannot be seen, or would change the line, is escaped.
fn visible(chars: impl Iterator<Item = char>, limit: usize) -> String {
    let mut shown = String::new();
    for (count, c) in chars.enumerate() {
        if count == limit {
            shown.push(HIDDEN);
            break;
        }
        match c {
            '\r' | '\n' | '\t' => shown.push(' '),
            _ if c.is_control() || (is_ignored_in_thumbprint(c) && !c.is_whitespace()) => {
                shown.extend(c.escape_unicode());
            }
            _ => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "9427BEFA18EC6865A9EBDC79D4C38DE50E6316FF";
    const NEW: &str = "0123456789ABCDEF0123456789ABCDEF01234567";

    fn text() -> String {
        format!(
            "<ServiceConfiguration xmlns='http://schemas.microsoft.com/ServiceHosting/2008/10/ServiceConfiguration'>\r\n\
             <Role name='Web'><Certificates>\r\n\
             \u{20}   <Certificate name='Tls' thumbprint='{OLD}' thumbprintAlgorithm='sha1' /> <!-- hunter1 -->\r\n\
             \u{20}   <Certificate name='Root'\r\n\
             \u{20}       thumbprint='{OLD}'\r\n\
             \u{20}       thumbprintAlgorithm='sha1' />\r\n\
             </Certificates><ConfigurationSettings>\r\n\
             <Setting name='Db' value='hunter2'/><Setting name='List' value='{OLD},hunter3'/>\r\n\
             </ConfigurationSettings></Role></ServiceConfiguration>"
        )
    }

    fn read(text: &str) -> ServiceConfiguration {
        ServiceConfiguration::parse(text).unwrap()
    }

    fn shown(after: &str) -> Vec<(usize, String, String)> {
        let changes = changes(&read(&text()), &read(after));
        changes.into_iter().map(|change| (change.line, change.before, change.after)).collect()
    }

    #[test]
    fn what_changed_is_shown_and_no_secret() {
        assert!(shown(&text()).is_empty());
        let line = |line, format: &dyn Fn(&str) -> String| (line, format(OLD), format(NEW));
        assert_eq!(
            shown(&text().replace(OLD, NEW)),
            [
                line(3, &|t| format!(
                    "<Certificate name='Tls' thumbprint='{t}' thumbprintAlgorithm='sha1' />"
                )),
                line(5, &|t| format!("thumbprint='{t}'")),
                line(8, &|t| format!("<Setting name='List' value='{t},…'/>")),
            ]
        );
        let secret = "<Setting name='Db' value='…'/>".to_owned();
        assert_eq!(shown(&text().replace("hunter2", "hunter4")), [(8, secret.clone(), secret.clone())]);
        let removed = text().replace("<Setting name='Db' value='hunter2'/>", "");
        assert_eq!(shown(&removed), [(8, secret.clone(), String::new())]);
        assert_eq!(changes(&read(&removed), &read(&text()))[0].after, secret);
    }

    #[test]
    fn marks_that_cannot_be_seen_are_shown() {
        let marked = text().replacen(OLD, &format!("\u{200e}{OLD}"), 1);
        let changes = changes(&read(&marked), &read(&text()));
        assert!(changes[0].before.contains(&format!("'\\u{{200e}}{OLD}'")), "{}", changes[0].before);
    }

    #[test]
    fn differences_beyond_the_thumbprints_of_certificates() {
        let entry = format!("thumbprint='{OLD}'");
        for (after, expected) in [
            (text(), None),
            (text().replace(&entry, &format!("thumbprint='{NEW}'")), None),
            (text().replace(&entry, "thumbprint=''"), None),
            (text().replace("Tls", "tls"), Some((3, 24))),
            (text().replace("hunter2", "hunter4"), Some((8, 33))),
            (text().replace(OLD, NEW), Some((8, 65))),
            (text().replacen("'sha1'", "'sha2'", 1), Some((3, 107))),
            (text() + "\r\n", Some((9, 55))),
            (text().replacen("    <C", "  <C", 1), Some((3, 3))),
            (
                text().replacen("<Certificate name='Tls'", "<Certificate xmlns='' name='Tls'", 1),
                Some((3, 18)),
            ),
        ] {
            let found = differs_beyond_certificates(&read(&text()), &read(&after));
            assert_eq!(found.map(|place| (place.line, place.column)), expected, "{after}");
        }
        let without = text().replacen("<Certificate name='Tls'", "<Certificate xmlns='' name='Tls'", 1);
        assert!(differs_beyond_certificates(&read(&without), &read(&text())).is_some());
    }
}
