//! The help texts.

use super::snapshot;
use crate::support::program::Place;

#[test]
fn of_the_program() {
    let place = Place::new();
    snapshot!("help", place.run(&["--help"]).shown());
    snapshot!("help_short", place.run(&["-h"]).shown());
}

#[test]
fn of_each_command() {
    let place = Place::new();
    for command in ["check", "inspect", "plan", "apply", "history", "restore", "release", "doctor"] {
        snapshot!(format!("help_{command}"), place.run(&[command, "--help"]).shown());
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
    assert!(ran.stdout.starts_with("certroll "));
}

#[test]
fn a_malformed_log_filter_is_a_usage_error() {
    let place = Place::with_config("").env("CERTROLL_LOG", "certroll=loud");
    let ran = place.run(&["plan"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (64, ""));
    assert!(ran.stderr.contains("error: `CERTROLL_LOG` is `certroll=loud`"), "{}", ran.stderr);
}
