//! Tags of the new version, within what Key Vault takes.

use std::collections::BTreeMap;
use std::str::FromStr;

use certroll_core::id::ObjectKind;

/// Longest name and longest value of a tag: Key Vault's limit.
const TEXT_LIMIT: usize = 256;

/// Most tags of a version: Key Vault's limit.
const TAG_LIMIT: usize = 15;

/// The tag that the az command gives a secret whose value is the base64 of a file: its download decodes such a one.
const ENCODING: (&str, &str) = ("file-encoding", "base64");

/// `NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    name: String,
    value: String,
}

impl FromStr for Tag {
    type Err = String;

    /// # Errors
    /// No `=`, no name, or too long.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) =
            text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("expected `NAME=VALUE`")?;
        if name.chars().count() > TEXT_LIMIT || value.chars().count() > TEXT_LIMIT {
            return Err(format!("expected at most {TEXT_LIMIT} characters on either side of `=`"));
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

/// The tags of a new version.
///
/// # Errors
/// More than a vault takes, or one name twice.
pub(super) fn tags(asked: &[Tag], kind: ObjectKind) -> Result<BTreeMap<String, String>, String> {
    let mut tags = BTreeMap::new();
    for Tag { name, value } in asked {
        if tags.insert(name.clone(), value.clone()).is_some() {
            return Err(format!("the tag `{name}` is given twice"));
        }
    }
    if kind == ObjectKind::Secret {
        let (name, value) = ENCODING;
        tags.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    if tags.len() > TAG_LIMIT {
        return Err(format!("the version would have {} tags; expected at most {TAG_LIMIT}", tags.len()));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_within_the_limits_of_a_vault() {
        let tag = |text: &str| text.parse::<Tag>();
        assert_eq!(tag("a=b=c"), Ok(Tag { name: "a".to_owned(), value: "b=c".to_owned() }));
        assert_eq!(tag("a="), Ok(Tag { name: "a".to_owned(), value: String::new() }));
        for wrong in ["a", "=b", &format!("a={}", "x".repeat(257)), &format!("{}=", "x".repeat(257))] {
            assert!(tag(wrong).is_err(), "{wrong}");
        }
        let many: Vec<Tag> = (0..15).map(|n| tag(&format!("t{n}=v")).unwrap()).collect();
        assert_eq!(tags(&many, ObjectKind::Certificate).unwrap().len(), 15);
        assert!(tags(&many, ObjectKind::Secret).is_err());
        assert!(tags(&[tag("a=b").unwrap(), tag("a=c").unwrap()], ObjectKind::Certificate).is_err());
        assert_eq!(tags(&[], ObjectKind::Secret).unwrap()["file-encoding"], "base64");
        let own = [tag("file-encoding=utf-8").unwrap()];
        assert_eq!(tags(&own, ObjectKind::Secret).unwrap()["file-encoding"], "utf-8");
    }
}
