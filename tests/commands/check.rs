//! `certroll check` on configurations that can be used.

use std::process::Stdio;

use super::snapshot;
use crate::support::program::Place;
use crate::support::written::repository;

fn example(name: &str) -> Place {
    let text = std::fs::read_to_string(repository(&format!("config/examples/{name}.toml"))).unwrap();
    Place::with_config(&text).env("CONTOSO_CLIENT_SECRET", "correct horse")
}

/// The same at every hour: whether a window is open depends on when it is asked.
fn at_any_time(text: &str) -> String {
    let line = |line: &str| match line.split_once("\"next_window\": \"") {
        Some((before, _)) => format!("{before}\"next_window\": \"[TIME]\"\n"),
        None => line.replace("now, a window is open", "from [TIME]"),
    };
    text.split_inclusive('\n').map(line).collect()
}

#[test]
fn each_example_is_summed_up() {
    for entry in std::fs::read_dir(repository("config/examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let ran = example(name).run(&["check"]);
        assert!(!ran.shown().contains("horse"));
        snapshot!(format!("check_{name}"), at_any_time(&ran.shown()));
    }
}

#[test]
fn as_json() {
    let ran = example("china-chain-as-secrets").run(&["check", "--json"]);
    assert!(!ran.shown().contains("horse"));
    snapshot!("check_json", at_any_time(&ran.shown()));
}

#[test]
fn problems_as_json() {
    let ran = Place::with_config("cloud = \"chna\"\n[poll]\njiter = \"3s\"\n").run(&["check", "--json"]);
    snapshot!("check_json_problems", ran.shown());
}

#[test]
fn files_and_environment_override_one_another() {
    let place =
        Place::with_config("cloud = \"public\"\n[poll]\nevery = \"1h\"\n[rollout]\nconcurrency = 1\n")
            .env("CERTROLL__ROLLOUT__CONCURRENCY", "7")
            .env("CERTROLL__API__CLOUD_SERVICES", "2022-04-04")
            .env("CERTROLL__HTTP__NO_PROXY", "[\"a.example\"]")
            .env("CERTROLL__SERVICE__1__MODE", "observe")
            .env("CERTROLL__HTTP__PROXY", "http://me:horse@proxy.example:3128")
            .env("CERTROLL__POLL__JITTER", "");
    let service = |name: &str| {
        format!(
            "[[service]]\nid = \"/subscriptions/0b1f/resourceGroups/g/providers/Microsoft.Compute/cloudServices/{name}\"\n"
        )
    };
    place
        .file("certroll.d/20-b.toml", format!("cloud = \"china\"\n[poll]\nevery = \"2h\"\n{}", service("b")));
    place.file("certroll.d/10-a.toml", format!("cloud = \"usgov\"\n{}", service("a")));
    place.file("certroll.d/README", "not TOML");
    let ran = place.run(&["check"]);
    assert!(!ran.shown().contains("horse"));
    snapshot!("check_layers", ran.shown());
}

#[test]
fn an_empty_configuration_warns() {
    let ran = Place::with_config("").run(&["check"]);
    assert_eq!(ran.code, 0);
    assert!(ran.stderr.contains("no service is listed"), "{}", ran.stderr);
}

#[test]
fn the_schema_is_printed() {
    let ran = Place::new().run(&["check", "--schema"]);
    assert_eq!(ran.code, 0);
    assert_eq!(ran.stdout, std::fs::read_to_string(repository("config/certroll.schema.json")).unwrap());
}

#[test]
fn colour_is_given_when_asked_for() {
    let place = example("public-single-service");
    assert!(!place.run(&["check"]).stdout.contains('\u{1b}'));
    assert!(place.run(&["check", "--color", "always"]).stdout.contains('\u{1b}'));
    let wrong = Place::with_config("x = 1");
    assert!(!wrong.run(&["check"]).stderr.contains('\u{1b}'));
    assert!(wrong.run(&["check", "--color=always"]).stderr.contains('\u{1b}'));
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let place = example("public-single-service");
    let mut child =
        place.command(&["check", "--schema"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
