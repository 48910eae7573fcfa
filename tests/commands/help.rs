//! The help texts.

use super::snapshot;
use crate::support::program::Place;

#[test]
fn of_the_program() {
    let place = Place::new();
    snapshot!("help", place.run(&["--help"]).shown());
    snapshot!("help_short", place.run(&["-h"]).shown());
}

/// The commands that the program says it has, and those below them.
fn commands(place: &Place, above: &[&str]) -> Vec<Vec<String>> {
    let help = place.run(&[above, &["-h"]].concat()).stdout;
    let Some((_, listed)) = help.split_once("Commands:\n") else { return Vec::new() };
    let names = listed.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    let whole = |name: &str| above.iter().copied().chain([name]).map(str::to_owned).collect::<Vec<_>>();
    names
        .map(whole)
        .flat_map(|command| {
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            let below = commands(place, &words);
            [vec![command], below].concat()
        })
        .collect()
}

#[test]
fn of_each_command() {
    let place = Place::new();
    let commands = commands(&place, &[]);
    assert!(commands.contains(&vec!["notify".to_owned(), "test".to_owned()]), "{commands:?}");
    for command in commands {
        let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        arguments.push("--help");
        snapshot!(format!("help_{}", command.join("_")), place.run(&arguments).shown());
    }
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let place = Place::new();
    for arguments in [
        &["chek"][..],
        &["check", "--colour"],
        &["check", "--color", "sometimes"],
        &["check", "-v", "--log-level", "info"],
        &[],
    ] {
        let ran = place.run(arguments);
        assert_eq!(ran.code, 64, "{arguments:?}");
        assert_eq!(ran.stdout, "", "{arguments:?}");
        assert!(ran.stderr.contains("Usage:") || ran.stderr.contains("--help"), "{}", ran.stderr);
    }
    assert!(place.run(&["chek"]).stderr.contains("check"));
}

#[test]
fn the_version_is_data() {
    let ran = Place::new().run(&["--version"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines[0], concat!("certroll ", env!("CARGO_PKG_VERSION")));
    let keys: Vec<&str> = lines[1..].iter().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(keys, ["commit", "target", "compiler", "profile"], "{}", ran.stdout);
    // The short form is for scripts.
    assert_eq!(Place::new().run(&["-V"]).stdout.lines().collect::<Vec<_>>(), [lines[0]]);
}

#[test]
fn a_malformed_log_filter_is_a_usage_error() {
    let place = Place::with_config("").env("CERTROLL_LOG", "certroll=loud");
    let ran = place.run(&["plan"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (64, ""));
    assert!(ran.stderr.contains("error: `CERTROLL_LOG` is `certroll=loud`"), "{}", ran.stderr);
}
