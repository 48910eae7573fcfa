//! Reads single values of a merged configuration and collects what is wrong with them.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use certroll_core::id::ParseIdError;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::at::At;
use super::duration::{DURATION_EXPECTED, parse_duration};
use super::environment::Environment;
use super::place::{Origin, Sources, Span};
use super::problem::{Problem, Severity};
use super::secret::Secret;
use super::structure::Paths;

/// Largest file that a setting may name: a bundle of all public roots is a quarter of it.
const NAMED_FILE_LIMIT: u64 = 1024 * 1024;

/// Everything that checking a value may need.
pub(crate) struct Checker<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) paths: Paths,
    pub(crate) environment: &'a Environment,
    /// Where relative paths of environment variables start: the main file's directory.
    pub(crate) directory: &'a Path,
    pub(crate) now: Timestamp,
    pub(crate) problems: Vec<Problem>,
}

impl Checker<'_> {
    /// Adds an error at a value.
    pub(crate) fn error(&mut self, span: &Span, message: impl Into<String>) -> &mut Problem {
        let problem = Problem::error(self.sources.place(span), self.paths.path(span), message);
        self.problems.push(problem);
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    /// Adds a warning at a value.
    pub(crate) fn warning(&mut self, span: &Span, message: impl Into<String>) -> &mut Problem {
        let problem = self.error(span, message);
        problem.severity = Severity::Warning;
        problem
    }

    /// Adds an error for a key that is not there.
    pub(crate) fn missing(&mut self, table: &Span, key: &str, expected: &str) {
        self.error(table, format!("the key `{key}` is missing")).expect(expected);
    }

    /// An identifier of Azure.
    pub(crate) fn id<T: FromStr<Err = ParseIdError>>(&mut self, at: &At<String>) -> Option<T> {
        match at.value.parse() {
            Ok(id) => Some(id),
            Err(ParseIdError { kind, found, reason, expected }) => {
                self.error(&at.span, format!("`{found}` is not {kind}: {reason}")).expect(expected);
                None
            }
        }
    }

    /// A duration between two limits.
    pub(crate) fn duration(&mut self, at: &At<String>, least: Duration, most: Duration) -> Option<Duration> {
        match parse_duration(&at.value) {
            Ok(duration) if (least..=most).contains(&duration) => Some(duration),
            Ok(_) => {
                let show = super::duration::show_duration;
                self.error(
                    &at.span,
                    format!("`{}` is too {}", at.value, {
                        let short = parse_duration(&at.value).is_ok_and(|found| found < least);
                        if short { "short" } else { "long" }
                    }),
                )
                .expect(format!("`{}` to `{}`", show(least), show(most)));
                None
            }
            Err(fault) => {
                self.error(&at.span, fault.to_string()).expect(DURATION_EXPECTED);
                None
            }
        }
    }

    /// A time zone of the IANA database.
    pub(crate) fn time_zone(&mut self, at: &At<String>) -> Option<TimeZone> {
        // An empty name and `Etc/Unknown` are zones to the library, and slips to us.
        let known = !at.value.is_empty() && !at.value.eq_ignore_ascii_case("etc/unknown");
        match TimeZone::get(&at.value).ok().filter(|_| known) {
            Some(zone) => Some(zone),
            None => {
                let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
                let near = super::problem::nearest(&at.value, names.iter().map(String::as_str));
                let near = near.map(|near| format!("did you mean `{near}`?"));
                let problem = self.error(&at.span, format!("the time zone `{}` is unknown", at.value));
                problem.expect("a name of the IANA time zone database, such as `Asia/Shanghai` or `UTC`");
                if let Some(near) = near {
                    problem.hint(near);
                }
                None
            }
        }
    }

    /// A path. `$CREDENTIALS_DIRECTORY/` at its start is the one variable that is replaced; a relative path starts at
    /// the directory of the file that it is written in.
    pub(crate) fn path(&mut self, at: &At<String>) -> Option<PathBuf> {
        if at.value.is_empty() {
            self.error(&at.span, "the path is empty");
            return None;
        }
        if let Some(name) = at.value.strip_prefix("$CREDENTIALS_DIRECTORY/") {
            let Some(directory) = self.environment.get("CREDENTIALS_DIRECTORY") else {
                self.error(&at.span, "`$CREDENTIALS_DIRECTORY` is not set").hint(
                    "systemd sets it for units with `LoadCredential=` or `LoadCredentialEncrypted=`; \
                     elsewhere, set it yourself",
                );
                return None;
            };
            return Some(Path::new(directory).join(name));
        }
        let base = match self.sources.origin(&at.span) {
            Origin::File(file) => file.parent().map(Path::to_owned).unwrap_or_default(),
            Origin::Defaults | Origin::Environment(_) => self.directory.to_owned(),
        };
        Some(base.join(&at.value))
    }

    /// A file that exists and can be read: its path and content.
    pub(crate) fn file(&mut self, at: &At<String>) -> Option<(PathBuf, Vec<u8>)> {
        let path = self.path(at)?;
        match super::file::read_limited(&path, NAMED_FILE_LIMIT) {
            Ok(content) => Some((path, content)),
            Err(fault) => {
                self.error(&at.span, format!("cannot read `{}`: {fault}", path.display()))
                    .expect("a file that this user can read");
                None
            }
        }
    }

    /// A file that holds a secret. One that every user of the machine can read is worth a warning.
    pub(crate) fn private_file(&mut self, at: &At<String>) -> Option<(PathBuf, Vec<u8>)> {
        let (path, content) = self.file(at)?;
        if super::file::is_world_readable(&path) {
            self.warning(&at.span, format!("every user can read `{}`", path.display()))
                .hint(format!("chmod 0600 {}", path.display()));
        }
        Some((path, content))
    }

    /// A secret from one of the two places that it may come from. White space at the end of a file is not part of it:
    /// editors add a newline.
    pub(crate) fn secret(&mut self, file: Option<&At<String>>, env: Option<&At<String>>) -> Option<Secret> {
        match (file, env) {
            (Some(_), Some(env)) => {
                self.error(&env.span, "the secret is given twice, by a file and by a variable")
                    .expect("one of the two keys");
                None
            }
            (Some(file), None) => {
                let (path, content) = self.private_file(file)?;
                let content = zeroize::Zeroizing::new(content);
                let text = std::str::from_utf8(&content).map(str::trim_end).unwrap_or_default();
                if text.is_empty() {
                    self.error(&file.span, format!("`{}` is empty or no text", path.display()))
                        .expect("the secret, on one line");
                    return None;
                }
                Some(Secret::new(text))
            }
            (None, Some(env)) => match self.environment.get(&env.value).filter(|value| !value.is_empty()) {
                Some(value) => Some(Secret::new(value)),
                None => {
                    self.error(&env.span, format!("the environment variable `{}` is not set", env.value));
                    None
                }
            },
            (None, None) => None,
        }
    }
}
