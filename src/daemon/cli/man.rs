//! `certroll man`: the manual pages, from the same words as the help.

use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::exit::Exit;
use super::failure::Failure;
use super::{Cli, DEFAULT_CONFIG, output};
use crate::config;

/// Print a manual page, or write them all
///
/// The packages bring the pages. `certroll man COMMAND | man -l -` reads one without them.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll man | man -l -                  the page of certroll itself
  certroll man upload | man -l -           the page of a command
  certroll man --out /usr/local/share/man/man1

Exit codes:
  0   printed or written
  64  there is no such command
  73  a page cannot be written
  Others as for every command: see `certroll --help`.")]
pub struct ManArguments {
    /// The command whose page is printed; certroll's own if none is given
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    pub command: Option<String>,

    /// Write every page into this directory, which is made if it is not there
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// There is no such command, or a page cannot be written.
pub fn run(arguments: &ManArguments) -> Result<Exit, Failure> {
    let all = pages();
    if let Some(directory) = &arguments.out {
        write(&all, directory)?;
        return Ok(Exit::Ok);
    }
    let name = match &arguments.command {
        None => "certroll".to_owned(),
        Some(command) => format!("certroll-{command}"),
    };
    let Some(page) = all.iter().find(|page| page.name == name) else {
        let known: Vec<&str> = all.iter().filter_map(|page| page.name.strip_prefix("certroll-")).collect();
        let command = arguments.command.as_deref().unwrap_or_default();
        let hint = match config::nearest(command, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("these are there: {}", known.join(", ")),
        };
        return Err(Failure::new(Exit::Usage, format!("there is no command `{command}`")).hint(hint));
    };
    output::write_data(&page.text)?;
    Ok(Exit::Ok)
}

/// One manual page.
struct Page {
    /// Its name without the section: `certroll-upload`.
    name: String,
    text: String,
}

/// The page of certroll and those of its commands.
fn pages() -> Vec<Page> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let mut pages = vec![Page { name: "certroll".to_owned(), text: page(&program, "certroll", true) }];
    below(&program, "certroll", &mut pages);
    pages
}

fn below(command: &Command, name: &str, pages: &mut Vec<Page>) {
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        let name = format!("{name}-{}", inner.get_name());
        pages.push(Page { text: page(inner, &name, false), name: name.clone() });
        below(inner, &name, pages);
    }
}

fn page(command: &Command, name: &str, is_program: bool) -> String {
    let man = Man::new(command.clone());
    // The date stays empty: the version says which one it is.
    let (title, version) = (name.to_uppercase(), env!("CARGO_PKG_VERSION"));
    let mut written = format!(".TH {title} 1 \"\" \"certroll {version}\" \"certroll\"\n").into_bytes();
    // Infallible: it writes to memory.
    let _ = man.render_name_section(&mut written);
    let _ = man.render_synopsis_section(&mut written);
    let _ = man.render_description_section(&mut written);
    let _ = man.render_options_section(&mut written);
    if command.has_subcommands() {
        let _ = man.render_subcommands_section(&mut written);
    }
    let mut rest = Roff::new();
    if let Some(help) = command.get_after_long_help() {
        for (heading, lines) in parts(&help.to_string()) {
            literal(&mut rest, &manual_heading(&heading), &lines);
        }
    }
    if is_program {
        described(&mut rest, "FILES", &FILES);
        described(&mut rest, "ENVIRONMENT", &ENVIRONMENT);
    }
    let others: Vec<String> = if is_program {
        command.get_subcommands().map(|inner| format!("certroll-{}(1)", inner.get_name())).collect()
    } else {
        vec!["certroll(1)".to_owned()]
    };
    rest.control("SH", ["SEE ALSO"]).text([roman(others.join(", "))]);
    let _ = rest.to_writer(&mut written);
    // Each part begins with the same definition of an apostrophe.
    let mut seen = std::collections::BTreeSet::new();
    let text = String::from_utf8_lossy(&written);
    let once = text.split_inclusive('\n').filter(|line| !line.contains(".ds Aq ") || seen.insert(*line));
    once.collect()
}

/// What stands under the options in the long help: parts with a heading each, which ends with a colon.
fn parts(help: &str) -> Vec<(String, Vec<String>)> {
    let mut parts: Vec<(String, Vec<String>)> = Vec::new();
    for line in help.lines() {
        match line.strip_suffix(':') {
            Some(heading) if !line.starts_with(' ') => parts.push((heading.to_owned(), Vec::new())),
            _ => match parts.last_mut() {
                Some((_, lines)) => lines.push(line.to_owned()),
                None => parts.push(("Notes".to_owned(), vec![line.to_owned()])),
            },
        }
    }
    for (_, lines) in &mut parts {
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
    }
    parts
}

/// The heading that manuals use.
fn manual_heading(heading: &str) -> String {
    match heading {
        "Exit codes" => "EXIT STATUS".to_owned(),
        other => other.to_uppercase(),
    }
}

/// Lines as they are: they are laid out in columns.
fn literal(page: &mut Roff, heading: &str, lines: &[String]) {
    page.control("SH", [heading]).control("nf", []);
    for line in lines {
        page.text([roman(line.as_str())]);
    }
    page.control("fi", []);
}

fn described(page: &mut Roff, heading: &str, terms: &[(&str, &str)]) {
    page.control("SH", [heading]);
    for (term, text) in terms {
        page.control("TP", []).text([bold(*term)]).text([roman(*text)]);
    }
}

/// Files that certroll reads and writes without being told of them.
const FILES: [(&str, &str); 4] = [
    (
        DEFAULT_CONFIG,
        "The configuration. Everything that it may hold is in it, as comments, with the defaults.",
    ),
    (
        "/etc/certroll/certroll.d/*.toml",
        "Parts of the configuration, laid over it in the order of their names.",
    ),
    ("/var/lib/certroll", "The journal of every rollout, readable by its owner only."),
    (
        "/run/certroll/certroll.sock",
        "Where the running certroll is asked: status, activate, approve, pause, resume.",
    ),
];

/// Variables that certroll reads.
const ENVIRONMENT: [(&str, &str); 5] = [
    ("CERTROLL_CONFIG", "The configuration, where --config does not name it."),
    (
        "CERTROLL__SECTION__KEY",
        "Overrides one key of the configuration, such as CERTROLL__HTTP__PROXY for proxy in [http].",
    ),
    ("CERTROLL_LOG", "What is logged, as a filter of tracing: a level, or targets with levels."),
    ("NO_COLOR", "No colour, if it is set and not empty."),
    (
        "AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE, AZURE_AUTHORITY_HOST",
        "The identity of a workload, as Kubernetes sets it.",
    ),
];

fn write(pages: &[Page], directory: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, fault: std::io::Error| {
        Failure::new(Exit::CantCreat, format!("`{}` cannot be written: {fault}", path.display()))
            .hint("name another directory with `--out`")
    };
    std::fs::create_dir_all(directory).map_err(|fault| failed(directory, fault))?;
    for page in pages {
        let path = directory.join(format!("{}.1", page.name));
        std::fs::write(&path, &page.text).map_err(|fault| failed(&path, fault))?;
    }
    output::write_message(&format!("pages written to `{}`: {}\n", directory.display(), pages.len()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page_with_the_parts_that_people_look_for() {
        let pages = pages();
        let mut commands = Vec::new();
        for command in Cli::command().get_subcommands() {
            match command.get_subcommands().map(clap::Command::get_name).collect::<Vec<_>>().as_slice() {
                [] => commands.push(format!("certroll-{}", command.get_name())),
                inner => commands
                    .extend(inner.iter().map(|inner| format!("certroll-{}-{inner}", command.get_name()))),
            }
        }
        assert!(commands.len() > 15, "{commands:?}");
        for name in commands {
            let page = pages.iter().find(|page| page.name == name).expect(&name);
            for heading in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "EXIT STATUS", "\"SEE ALSO\""] {
                let line = if heading.contains(' ') && !heading.starts_with('"') {
                    format!(".SH \"{heading}\"")
                } else {
                    format!(".SH {heading}")
                };
                assert!(page.text.lines().any(|found| found == line), "{name}: {line}\n{}", page.text);
            }
        }
        let own = &pages[0].text;
        assert!(own.contains(".SH FILES") && own.contains(".SH ENVIRONMENT"), "{own}");
    }

    #[test]
    fn the_files_are_those_of_the_defaults() {
        let settings = crate::config::DEFAULTS;
        for (file, _) in &FILES[2..] {
            assert!(settings.contains(file), "{file} is no default");
        }
        let names = crate::config::Environment::from([("CERTROLL__HTTP__PROXY", "x")]);
        assert_eq!(names.overrides().count(), 1, "the form of the overrides");
    }
}
