//! Edits: new thumbprints in an otherwise untouched text.

use std::collections::HashMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::configuration::{CertificateEntry, EntryThumbprint, ServiceConfiguration, Setting};
use super::error::EditError;
use super::mentions::{MentionKind, occurrences};
use super::near::near;
use super::place::Places;
use crate::id::{RoleName, Thumbprint};

/// One change. It states what it expects to find, so that an edit made for another text refuses itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// The thumbprint of a certificate entry.
    Certificate {
        /// The role.
        role: RoleName,
        /// The certificate's name, compared without case.
        name: String,
        /// The thumbprint that it has now; `None` for an empty one.
        from: Option<Thumbprint>,
        /// The thumbprint that it gets.
        to: Thumbprint,
    },
    /// Every occurrence of a thumbprint in a setting's value that stands alone or in a list.
    Setting {
        /// The role.
        role: RoleName,
        /// The setting's name, compared without case unless that is ambiguous.
        name: String,
        /// The thumbprint that the value repeats now.
        from: Thumbprint,
        /// The thumbprint that it gets.
        to: Thumbprint,
    },
}

impl ServiceConfiguration {
    /// Makes the edits, all of them or none, and proves that nothing else changed: the result is read again, and has the
    /// same roles, names, values and bytes but for the thumbprints that were to change. Thumbprints are written as 40
    /// upper-case digits. An edit from a thumbprint to itself is checked, and changes nothing.
    ///
    /// # Errors
    /// The first edit that does not fit the text, or that contradicts another.
    pub fn replace(&self, edits: &[Edit]) -> Result<ServiceConfiguration, EditError> {
        let index = Index::of(self);
        let mut splices = Vec::new();
        for edit in edits {
            match edit {
                Edit::Certificate { role, name, from, to } => {
                    let entry = &self.certificates()[index.certificate(role, name)?];
                    expect(entry, *from)?;
                    let keep = *from == Some(*to);
                    splices.push(Splice { bytes: entry.value.clone(), to: *to, keep });
                }
                Edit::Setting { role, name, from, to } => {
                    let setting = &self.settings()[index.setting(role, name)?];
                    splices.extend(setting_splices(self, setting, *from, *to)?);
                }
            }
        }
        let splices = without_conflict(self.text(), splices)?;
        let after = spliced(self.text(), &splices);
        let after = ServiceConfiguration::parse(after)
            .map_err(|fault| EditError::NotProved { what: format!("it is not readable: {fault}") })?;
        prove(self, &after, &splices).map_err(|what| EditError::NotProved { what })?;
        Ok(after)
    }
}

/// New text for some bytes of the old one.
struct Splice {
    bytes: Range<usize>,
    to: Thumbprint,
    /// The thumbprint stands there already, and stays as it is written.
    keep: bool,
}

/// Refuses an entry that does not hold what the edit expects.
fn expect(entry: &CertificateEntry, expected: Option<Thumbprint>) -> Result<(), EditError> {
    let CertificateEntry { role, name, place, .. } = entry;
    let (role, name, place) = (role.clone(), name.clone(), *place);
    if let Some(found) = &entry.algorithm
        && !found.trim().eq_ignore_ascii_case("sha1")
    {
        return Err(EditError::OtherAlgorithm { place, role, name, found: found.clone() });
    }
    let found = match &entry.thumbprint {
        EntryThumbprint::Known(thumbprint) => Some(*thumbprint),
        EntryThumbprint::Empty => None,
        EntryThumbprint::Unreadable(reason) => {
            return Err(EditError::Unreadable { place, role, name, reason: reason.clone(), expected });
        }
    };
    if found == expected { Ok(()) } else { Err(EditError::Unexpected { place, role, name, expected, found }) }
}

fn setting_splices(
    before: &ServiceConfiguration,
    setting: &Setting,
    from: Thumbprint,
    to: Thumbprint,
) -> Result<Vec<Splice>, EditError> {
    let found = occurrences(&before.text()[setting.raw.clone()], &from);
    let splices: Vec<Splice> = found
        .iter()
        .filter(|occurrence| occurrence.kind != MentionKind::Within)
        .map(|occurrence| {
            let start = setting.raw.start;
            let bytes = start + occurrence.raw.start..start + occurrence.raw.end;
            Splice { bytes, to, keep: from == to }
        })
        .collect();
    if splices.is_empty() {
        let place = match found.first() {
            Some(within) => Places::new(before.text()).at(setting.raw.start + within.raw.start),
            None => setting.place,
        };
        let (role, name) = (setting.role.clone(), setting.name.clone());
        return Err(EditError::NotRepeated { place, role, name, expected: from, within: !found.is_empty() });
    }
    Ok(splices)
}

/// The splices in the order of the text, each once.
fn without_conflict(text: &str, mut splices: Vec<Splice>) -> Result<Vec<Splice>, EditError> {
    splices.sort_by_key(|splice| (splice.bytes.start, splice.bytes.end));
    let mut kept: Vec<Splice> = Vec::new();
    for splice in splices {
        match kept.last() {
            Some(last) if last.bytes == splice.bytes && last.to == splice.to => continue,
            Some(last) if last.bytes == splice.bytes || last.bytes.end > splice.bytes.start => {
                return Err(EditError::Conflict {
                    place: Places::new(text).at(splice.bytes.start),
                    first: last.to,
                    second: splice.to,
                });
            }
            _ => kept.push(splice),
        }
    }
    kept.retain(|splice| !splice.keep);
    Ok(kept)
}

fn spliced(text: &str, splices: &[Splice]) -> String {
    let mut result = String::with_capacity(text.len() + 40 * splices.len());
    let mut copied = 0;
    for splice in splices {
        result.push_str(&text[copied..splice.bytes.start]);
        result.push_str(&splice.to.to_string());
        copied = splice.bytes.end;
    }
    result.push_str(&text[copied..]);
    result
}

/// Proves that `after` is `before` with the splices, from what was read of both rather than from how it was written.
fn prove(
    before: &ServiceConfiguration,
    after: &ServiceConfiguration,
    splices: &[Splice],
) -> Result<(), String> {
    let (mut old, mut new) = (before.text(), after.text());
    let mut consumed = 0;
    for splice in splices {
        let gap = splice.bytes.start - consumed;
        let (kept, rest) = new.split_at_checked(gap).ok_or("it is too short")?;
        if kept != &old[..gap] {
            return Err("text besides the edited values changed".to_owned());
        }
        new = rest.strip_prefix(splice.to.to_string().as_str()).ok_or("a new thumbprint is not there")?;
        old = &before.text()[splice.bytes.end..];
        consumed = splice.bytes.end;
    }
    if old != new {
        return Err("text besides the edited values changed".to_owned());
    }

    let same_roles = before.roles().len() == after.roles().len()
        && before
            .roles()
            .iter()
            .zip(after.roles())
            .all(|(a, b)| a.name.as_str() == b.name.as_str() && a.instances == b.instances);
    if !same_roles || before.service_name() != after.service_name() {
        return Err("the roles changed".to_owned());
    }

    let edited = |value: &Range<usize>| {
        let first = splices.partition_point(|splice| splice.bytes.end < value.start);
        splices[first..].iter().take_while(|splice| splice.bytes.start <= value.end).collect::<Vec<_>>()
    };
    if before.certificates().len() != after.certificates().len() {
        return Err("the number of certificates changed".to_owned());
    }
    for (a, b) in before.certificates().iter().zip(after.certificates()) {
        let thumbprint = match edited(&a.value).as_slice() {
            [] => a.thumbprint.clone(),
            [splice] if splice.bytes == a.value => EntryThumbprint::Known(splice.to),
            _ => return Err(format!("certificate `{}` was edited in part", a.name)),
        };
        let same = a.role.as_str() == b.role.as_str()
            && a.name == b.name
            && a.algorithm == b.algorithm
            && b.thumbprint == thumbprint;
        if !same {
            return Err(format!("certificate `{}` is not as it should be", a.name));
        }
    }
    if before.settings().len() != after.settings().len() {
        return Err("the number of settings changed".to_owned());
    }
    for (a, b) in before.settings().iter().zip(after.settings()) {
        let splices = edited(&a.raw);
        let same_value = if splices.is_empty() {
            a.value == b.value
        } else {
            let raw = &after.text()[b.raw.clone()];
            splices.iter().all(|splice| {
                occurrences(raw, &splice.to).iter().any(|occurrence| occurrence.kind != MentionKind::Within)
            })
        };
        if a.role.as_str() != b.role.as_str() || a.name != b.name || !same_value {
            return Err(format!("setting `{}` is not as it should be", a.name));
        }
    }
    Ok(())
}

/// Finds entries by role and name without case.
struct Index<'a> {
    before: &'a ServiceConfiguration,
    certificates: HashMap<(String, String), usize>,
    settings: HashMap<(String, String), Vec<usize>>,
}

impl<'a> Index<'a> {
    fn of(before: &'a ServiceConfiguration) -> Self {
        let certificates = before.certificates().iter().enumerate();
        let mut settings = HashMap::<_, Vec<usize>>::new();
        for (i, setting) in before.settings().iter().enumerate() {
            settings.entry(key(&setting.role, &setting.name)).or_default().push(i);
        }
        Self {
            before,
            certificates: certificates.map(|(i, entry)| (key(&entry.role, &entry.name), i)).collect(),
            settings,
        }
    }

    fn certificate(&self, role: &RoleName, name: &str) -> Result<usize, EditError> {
        let names = || {
            let entries = self.before.certificates().iter().filter(|entry| entry.role == *role);
            entries.map(|entry| entry.name.as_str()).collect()
        };
        let found = self.certificates.get(&key(role, name)).copied();
        found.ok_or_else(|| self.not_found("certificate", role, name, names()))
    }

    /// Names of settings are the application's own: where two differ only in case, the exact one is meant.
    fn setting(&self, role: &RoleName, name: &str) -> Result<usize, EditError> {
        let Some(found) = self.settings.get(&key(role, name)) else {
            let settings = self.before.settings().iter().filter(|setting| setting.role == *role);
            let names = settings.map(|setting| setting.name.as_str()).collect();
            return Err(self.not_found("setting", role, name, names));
        };
        let exact: Vec<usize> =
            found.iter().copied().filter(|i| self.before.settings()[*i].name == name).collect();
        match if exact.is_empty() { found.as_slice() } else { exact.as_slice() } {
            [first, second, ..] => Err(EditError::AmbiguousSetting {
                place: self.before.settings()[*second].place,
                first: self.before.settings()[*first].place,
                role: role.clone(),
                name: name.to_owned(),
            }),
            [only, ..] => Ok(*only),
            [] => Err(self.not_found("setting", role, name, Vec::new())),
        }
    }

    fn not_found(&self, kind: &'static str, role: &RoleName, name: &str, names: Vec<&str>) -> EditError {
        let roles = self.before.roles();
        if roles.iter().any(|known| known.name == *role) {
            let near = near(name, names.into_iter());
            return EditError::NotFound { kind, role: role.clone(), name: name.to_owned(), near };
        }
        let near = near(role.as_str(), roles.iter().map(|role| role.name.as_str()));
        EditError::UnknownRole { role: role.clone(), near }
    }
}

fn key(role: &RoleName, name: &str) -> (String, String) {
    (role.as_str().to_lowercase(), name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "9427BEFA18EC6865A9EBDC79D4C38DE50E6316FF";
    const NEW: &str = "0123456789ABCDEF0123456789ABCDEF01234567";
    const OTHER: &str = "79D4C38DE50E6316FF9427BEFA18EC6865A9EBDC";

    fn configuration() -> ServiceConfiguration {
        let text = format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-16\"?>\r\n<!-- {OLD} -->\r\n<ServiceConfiguration \
             xmlns=\"http://schemas.microsoft.com/ServiceHosting/2008/10/ServiceConfiguration\">\r\n\
             <Role name='Web'>\r\n  <Certificates>\r\n\
             <Certificate name='ShopTls' thumbprint='{}' thumbprintAlgorithm='sha1' />\r\n\
             <Certificate name='Copy' thumbprint = \"{OLD}\" thumbprintAlgorithm=\"SHA1\"/>\r\n\
             <Certificate name='Blank' thumbprint=''/>\r\n\
             <Certificate name='Template' thumbprint='[later]'/>\r\n\
             <Certificate name='Long' thumbprint='{OLD}' thumbprintAlgorithm='sha256'/>\r\n\
             </Certificates><ConfigurationSettings>\r\n\
             <Setting name='List' value='{OTHER},{OLD};x={OLD}'/>\r\n\
             <Setting name='Text' value='Find={OLD};Store=My'/>\r\n\
             <Setting name='Twice' value='{OLD}'/><Setting name='Twice' value='{OLD}'/>\r\n\
             <Setting name='Case' value='{OLD}'/><Setting name='case' value='x'/>\r\n\
             </ConfigurationSettings></Role>\r\n<Role name='Api'/></ServiceConfiguration>",
            OLD.to_lowercase()
        );
        ServiceConfiguration::parse(text).unwrap()
    }

    fn thumbprint(text: &str) -> Thumbprint {
        text.parse().unwrap()
    }

    fn certificate(role: &str, name: &str, from: Option<&str>, to: &str) -> Edit {
        let (role, name) = (RoleName::new(role), name.to_owned());
        Edit::Certificate { role, name, from: from.map(thumbprint), to: thumbprint(to) }
    }

    fn setting(role: &str, name: &str, from: &str, to: &str) -> Edit {
        let (role, name) = (RoleName::new(role), name.to_owned());
        Edit::Setting { role, name, from: thumbprint(from), to: thumbprint(to) }
    }

    #[test]
    fn edits_change_what_they_name_and_nothing_else() {
        let before = configuration();
        let lower = format!("'{}'", OLD.to_lowercase());
        for (edits, old, new) in [
            (vec![], "", ""),
            (vec![certificate("Web", "ShopTls", Some(OLD), NEW)], lower.as_str(), &format!("'{NEW}'")),
            (vec![certificate("WEB", "SHOPTLS", Some(OLD), NEW)], &lower, &format!("'{NEW}'")),
            (vec![certificate("Web", "ShopTls", Some(OLD), OLD)], "", ""),
            (
                vec![certificate("Web", "Copy", Some(OLD), NEW); 2],
                &format!("= \"{OLD}"),
                &format!("= \"{NEW}"),
            ),
            (vec![certificate("Web", "Blank", None, NEW)], "thumbprint=''", &format!("thumbprint='{NEW}'")),
            (vec![setting("Web", "list", OLD, NEW)], &format!(",{OLD};"), &format!(",{NEW};")),
            (
                vec![setting("Web", "List", OLD, OTHER), setting("Web", "List", OTHER, OLD)],
                &format!("{OTHER},{OLD};"),
                &format!("{OLD},{OTHER};"),
            ),
            (vec![setting("Web", "List", OLD, OLD)], "", ""),
            (
                vec![setting("Web", "Case", OLD, NEW)],
                &format!("'Case' value='{OLD}"),
                &format!("'Case' value='{NEW}"),
            ),
        ] {
            let after = before.replace(&edits).unwrap_or_else(|fault| panic!("{fault}: {edits:?}"));
            assert_eq!(after.text(), before.text().replacen(old, new, 1), "{edits:?}");
        }
    }

    #[test]
    fn refusals_say_what_was_found_and_expected() {
        for (edits, expected) in [
            (
                vec![certificate("Wbe", "ShopTls", Some(OLD), NEW)],
                "found no role `Wbe`; expected one to edit, such as `Web`".to_owned(),
            ),
            (
                vec![certificate("Web", "ShopTsl", Some(OLD), NEW)],
                "found no certificate `ShopTsl` in role `Web`; expected one to edit, such as `ShopTls`".to_owned(),
            ),
            (
                vec![setting("Api", "List", OLD, NEW)],
                "found no setting `List` in role `Api`; expected one to edit".to_owned(),
            ),
            (
                vec![certificate("Web", "Copy", Some(OTHER), NEW)],
                format!("line 7, column 40: found {OLD} for certificate `Copy` in role `Web`; expected {OTHER}"),
            ),
            (
                vec![certificate("Web", "Copy", None, NEW)],
                format!("line 7, column 40: found {OLD} for certificate `Copy` in role `Web`; expected an empty thumbprint"),
            ),
            (
                vec![certificate("Web", "Blank", Some(OLD), NEW)],
                format!("line 8, column 39: found an empty thumbprint for certificate `Blank` in role `Web`; expected {OLD}"),
            ),
            (
                vec![certificate("Web", "Template", Some(OLD), NEW)],
                format!(
                    "line 9, column 42: the thumbprint of certificate `Template` in role `Web` cannot be read, it holds \
                     something that is no hexadecimal digit; expected {OLD}"
                ),
            ),
            (
                vec![certificate("Web", "Long", Some(OLD), NEW)],
                "line 10, column 38: found the thumbprint algorithm `sha256` for certificate `Long` in role `Web`; \
                 expected `sha1`"
                    .to_owned(),
            ),
            (
                vec![setting("Web", "List", NEW, OLD)],
                format!(
                    "line 12, column 29: found another value in setting `List` of role `Web`; expected {NEW}, alone or \
                     in a list"
                ),
            ),
            (
                vec![setting("Web", "Text", OLD, NEW)],
                format!(
                    "line 13, column 34: found the thumbprint only within a longer text in setting `Text` of role \
                     `Web`; expected {OLD}, alone or in a list"
                ),
            ),
            (
                vec![setting("Web", "Twice", OLD, NEW)],
                "line 14, column 102: found a second setting `Twice` in role `Web`; expected one to edit, such as that \
                 at line 14, column 30"
                    .to_owned(),
            ),
            (
                vec![setting("Web", "CASE", OLD, NEW)],
                "line 15, column 100: found a second setting `CASE` in role `Web`; expected one to edit, such as that at \
                 line 15, column 29"
                    .to_owned(),
            ),
            (
                vec![certificate("Web", "Copy", Some(OLD), NEW), certificate("web", "copy", Some(OLD), OTHER)],
                format!("line 7, column 40: found edits to both {NEW} and {OTHER}; expected one thumbprint"),
            ),
            (
                vec![certificate("Web", "Copy", Some(OLD), OLD), certificate("Web", "Copy", Some(OLD), OTHER)],
                format!("line 7, column 40: found edits to both {OLD} and {OTHER}; expected one thumbprint"),
            ),
        ] {
            assert_eq!(configuration().replace(&edits).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn what_was_not_as_intended_is_not_proved() {
        let before = configuration();
        let entry = before.certificates()[0].value.clone();
        let splices = [Splice { bytes: entry, to: thumbprint(NEW), keep: false }];
        let right = spliced(before.text(), &splices);
        for (text, expected) in [
            (before.text().to_owned(), Err("a new thumbprint is not there".to_owned())),
            (right.clone() + " ", Err("text besides the edited values changed".to_owned())),
            (right.replacen("Web", "web", 1), Err("text besides the edited values changed".to_owned())),
            (right, Ok(())),
        ] {
            assert_eq!(prove(&before, &ServiceConfiguration::parse(text).unwrap(), &splices), expected);
        }
    }
}
