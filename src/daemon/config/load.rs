//! Reads the files, merges, checks.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;
use toml::Spanned;
use toml::de::ValueDeserializer;

use super::check::Checker;
use super::environment::Environment;
use super::file::read_limited;
use super::fragment;
use super::place::{Origin, Place, Sources};
use super::problem::{ConfigError, Problem, Severity};
use super::section::{self, AdminSettings, Merged};
use super::settings::{self, Settings};
use super::structure::{self, Paths};
use super::{DEFAULTS, merge, schema};

/// Largest configuration file: some thousand services. More is a mistake in the path.
const FILE_LIMIT: u64 = 1024 * 1024;

/// Reads the main file, the drop-in files beside it and the environment's overrides.
///
/// The drop-in directory has the main file's name with `.d` instead of `.toml` (`certroll.d` for `certroll.toml`); its
/// `*.toml` files are read in the order of their names.
///
/// # Errors
/// Every problem that there is, not only the first.
pub fn load(path: &Path, environment: &Environment, now: Timestamp) -> Result<Settings, ConfigError> {
    whole(path, MainFile::Needed, environment, now)
}

/// Reads the same where the main file may be missing: then the defaults, drop-in files and the environment count.
///
/// # Errors
/// Every problem that there is, not only the first.
pub fn load_if_present(
    path: &Path,
    environment: &Environment,
    now: Timestamp,
) -> Result<Settings, ConfigError> {
    whole(path, MainFile::MayBeAbsent, environment, now)
}

/// What a missing main file means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MainFile {
    Needed,
    MayBeAbsent,
}

fn whole(
    path: &Path,
    main: MainFile,
    environment: &Environment,
    now: Timestamp,
) -> Result<Settings, ConfigError> {
    let Read { value: settings, mut problems, files } = read(path, main, environment, now, settings::check);
    let nothing = settings.as_ref().is_some_and(|settings| settings.policy.services.is_empty());
    // Where there is no file, nobody forgot anything.
    let nothing = nothing && files.iter().any(|file| file == path);
    if nothing && problems.iter().all(|problem| problem.severity == Severity::Warning) {
        let message = "no service is listed: there is nothing to do";
        let mut problem = Problem::error(Place::file(path), "service", message);
        problem.severity = Severity::Warning;
        problem.expect("at least one `[[service]]`");
        problems.push(problem);
    }
    let rank = |problem: &Problem| {
        let file = match &problem.place.origin {
            Origin::File(path) => files.iter().position(|known| known == path).unwrap_or(0),
            Origin::Defaults | Origin::Environment(_) => usize::MAX,
        };
        (file, problem.place.line, problem.place.column)
    };
    problems.sort_by_key(rank);
    match settings {
        Some(settings) if problems.iter().all(|problem| problem.severity == Severity::Warning) => {
            Ok(Settings { warnings: problems, ..settings })
        }
        _ => Err(ConfigError { problems }),
    }
}

/// Where a running certroll can be asked, whatever else is wrong with the configuration. Nothing where that itself cannot be
/// told.
pub fn admin(path: &Path, environment: &Environment, now: Timestamp) -> Option<AdminSettings> {
    let check = |merged: &Merged, checker: &mut Checker<'_>| section::check_admin(&merged.admin, checker);
    read(path, MainFile::Needed, environment, now, check).value
}

/// What was read, and what is wrong with it.
struct Read<T> {
    value: Option<T>,
    problems: Vec<Problem>,
    /// In the order in which they were laid over one another.
    files: Vec<PathBuf>,
}

fn read<T>(
    path: &Path,
    main: MainFile,
    environment: &Environment,
    now: Timestamp,
    check: impl FnOnce(&Merged, &mut Checker<'_>) -> Option<T>,
) -> Read<T> {
    let mut problems = Vec::new();
    let sources = gather(path, main, environment, &mut problems);
    let schema = schema::structure();
    let (mut tree, mut defaults) = (fragment::Tree::new(), fragment::Tree::new());
    for (origin, text, base) in sources.texts() {
        match origin {
            Origin::Environment(name) => {
                let path = environment.overrides().find(|(known, ..)| known == name).map(|(_, path, _)| path);
                let path = path.unwrap_or_default();
                if let Err(missing) = merge::set(&mut tree, &path, text, base, &schema) {
                    let place = sources.place(&(base..base + text.len()));
                    let message = format!("there is no entry `{missing}`");
                    problems.push(Problem::error(place, path.join("."), message));
                    let last = problems.last_mut();
                    last.map(|problem| problem.expect("the number of an entry of the files, counted from 0"));
                }
            }
            Origin::Defaults => {
                defaults = fragment::parse(&sources, text, base, &mut problems).unwrap_or_default();
            }
            Origin::File(_) => {
                if let Some(fragment) = fragment::parse(&sources, text, base, &mut problems) {
                    merge::lay_over(&mut tree, fragment);
                }
            }
        }
    }
    structure::check(&mut tree, &schema, &sources, &mut problems);
    merge::lay_under(&mut tree, defaults);
    let directory = path.parent().unwrap_or(Path::new(""));
    let paths = Paths::of(&tree);
    let mut checker = Checker { sources: &sources, paths, environment, directory, now, problems };
    let whole = Spanned::new(0..0, toml::de::DeValue::Table(tree));
    let value = match Merged::deserialize(ValueDeserializer::from(whole)) {
        Ok(merged) => check(&merged, &mut checker),
        Err(fault) => {
            // The structure was compared with the schema of the same types, so this is a fault of ours.
            let place = fault.span().map_or(Place::file(path), |span| sources.place(&span));
            let message = format!("cannot be read: {}", fault.message());
            checker.problems.push(Problem::error(place, "", message));
            None
        }
    };
    let problems = checker.problems;
    Read { value, problems, files: sources.files() }
}

/// All texts, in the order in which they are laid over one another.
fn gather(path: &Path, main: MainFile, environment: &Environment, problems: &mut Vec<Problem>) -> Sources {
    let mut sources = Sources::default();
    sources.add(Origin::Defaults, DEFAULTS.to_owned());
    let absent = main == MainFile::MayBeAbsent && matches!(path.try_exists(), Ok(false));
    let mut files = if absent { Vec::new() } else { vec![path.to_owned()] };
    files.extend(drop_ins(path, problems));
    for file in files {
        let text = read_limited(&file, FILE_LIMIT).and_then(|content| {
            String::from_utf8(content).map_err(|_| std::io::Error::other("it is not UTF-8"))
        });
        match text {
            Ok(text) => {
                // Editors of Windows begin a file with a byte order mark.
                let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
                sources.add(Origin::File(file), text);
            }
            Err(fault) => {
                let mut problem =
                    Problem::error(Place::file(&file), "", format!("cannot read the file: {fault}"));
                if file == path && fault.kind() == std::io::ErrorKind::NotFound {
                    let shown = path.display();
                    problem.hint(format!(
                        "name another by `--config` or `CERTROLL_CONFIG`, or write it by `certroll discover --out {shown}`"
                    ));
                }
                problems.push(problem);
            }
        }
    }
    for (name, _, value) in environment.overrides() {
        sources.add(Origin::Environment(name.to_owned()), value.to_owned());
    }
    sources
}

fn drop_ins(path: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let directory = path.with_extension("d");
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(fault) => {
            let message = format!("cannot read the directory: {fault}");
            problems.push(Problem::error(Place::file(&directory), "", message));
            return Vec::new();
        }
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}
