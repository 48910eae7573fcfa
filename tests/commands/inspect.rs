//! `certroll inspect` on files and secret values of many forms.

use std::path::PathBuf;

use super::snapshot;
use crate::support::program::{Place, Ran};
use crate::support::written::repository;

/// The password of the fixtures that have one.
const PASSWORD: &str = "correct horse";

fn fixture(path: &str) -> PathBuf {
    repository("src/core/fixtures").join(path)
}

/// Runs in a directory that holds the input as `input`.
fn inspect(content: &[u8], arguments: &[&str]) -> Ran {
    let place = Place::new().env("PFX_PASSWORD", PASSWORD).env("WRONG_PASSWORD", "battery staple");
    place.file("input", content);
    place.file("password", format!("{PASSWORD}\n"));
    let mut all = vec!["inspect", "input"];
    all.extend(arguments);
    let ran = place.run(&all);
    assert!(!ran.shown().contains(PASSWORD));
    ran
}

/// Without what changes from day to day.
fn shown(ran: &Ran) -> String {
    ran.shown().lines().map(|line| undated(line) + "\n").collect()
}

/// Replaces the number before ` days left`, in the column after a date, and after `"days_left": `.
fn undated(line: &str) -> String {
    let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).count();
    if let Some((before, rest)) = line.split_once("\"days_left\": ") {
        return format!("{before}\"days_left\": [N]{}", &rest[digits(rest)..]);
    }
    if let Some((before, rest)) = line.split_once(" days left") {
        let start = before.trim_end_matches(|c: char| c.is_ascii_digit());
        return format!("{start}[N] days left{rest}");
    }
    let dated =
        |at: &usize| line[*at..].get(..12).is_some_and(|text| text.starts_with("20") && text.ends_with("  "));
    let Some(at) = line.char_indices().map(|(at, _)| at).find(dated) else { return line.to_owned() };
    let (before, rest) = line.split_at(at + 12);
    format!("{before}[N]  {}", rest[digits(rest)..].trim_start())
}

#[test]
fn containers_with_and_without_passwords() {
    let mut all = String::new();
    for (name, arguments) in [
        ("3des", &["--password-file", "password"][..]),
        ("rc2-40", &["--password-env", "PFX_PASSWORD"]),
        ("aes-256", &["--password-env", "PFX_PASSWORD"]),
        ("pbmac1", &["--password-env", "PFX_PASSWORD"]),
        ("empty-3des", &[]),
        ("null-vault", &[]),
        ("null-plain", &[]),
        ("certificates-only", &[]),
        ("foreign-key", &[]),
        ("two-chains", &[]),
    ] {
        let content = std::fs::read(fixture(&format!("pfx/{name}.pfx"))).unwrap();
        all.push_str(&format!(">>> {name}\n{}\n", shown(&inspect(&content, arguments))));
    }
    snapshot!("inspect_containers", all);
}

#[test]
fn texts_and_bare_certificates() {
    let mut all = String::new();
    for path in ["pki/rsa.cer", "pki/weak.cer", "secret/pkcs8.pem", "secret/az-encoded.txt"] {
        let content = std::fs::read(fixture(path)).unwrap();
        all.push_str(&format!(">>> {path}\n{}\n", shown(&inspect(&content, &[]))));
    }
    snapshot!("inspect_texts", all);
}

#[test]
fn refusals_say_what_was_expected() {
    let read = |path: &str| std::fs::read(fixture(path)).unwrap();
    let mut all = String::new();
    for (what, content, arguments) in [
        ("nothing", Vec::new(), &[][..]),
        ("a text", b"hello".to_vec(), &[]),
        ("JSON without data", b"{\"password\": \"x\"}".to_vec(), &[]),
        ("a password is needed", read("pfx/3des.pfx"), &[]),
        ("a wrong password", read("pfx/3des.pfx"), &["--password-env", "WRONG_PASSWORD"]),
        ("a password that is not set", read("pfx/3des.pfx"), &["--password-env", "NOT_SET"]),
        ("a password file that is not there", read("pfx/3des.pfx"), &["--password-file", "absent"]),
        ("only a key", read("pfx/key-only.pfx"), &[]),
        ("two leaves", read("pfx/two-chains-no-key.pfx"), &[]),
        ("scrypt", read("pfx/scrypt.pfx"), &["--password-env", "PFX_PASSWORD"]),
        ("endless work", read("pfx/endless.pfx"), &["--password-env", "PFX_PASSWORD"]),
        ("PKCS#7", read("secret/bundle.p7b"), &[]),
        ("two sources of a password", b"x".to_vec(), &["--password-file", "a", "--password-env", "b"]),
    ] {
        let ran = inspect(&content, arguments);
        assert!(matches!(ran.code, 64..=66), "{what}: {}", ran.code);
        assert_eq!(ran.stdout, "", "{what}");
        all.push_str(&format!(">>> {what}\n{}\n", shown(&ran)));
    }
    all.push_str(&format!(
        ">>> a file that is not there\n{}",
        Place::new().run(&["inspect", "absent"]).shown()
    ));
    snapshot!("inspect_refusals", all);
}

#[test]
fn standard_input_and_json() {
    let value = std::fs::read(fixture("secret/az-encoded.txt")).unwrap();
    let ran = Place::new().run_with_input(&["inspect", "-", "--json"], &value);
    snapshot!("inspect_json", shown(&ran));
}

#[test]
fn more_than_the_limit_is_refused() {
    let place = Place::new();
    place.file("large", vec![b'A'; 1024 * 1024 + 1]);
    let ran = place.run(&["inspect", "large"]);
    assert_eq!(ran.code, 66);
    assert!(ran.stderr.contains("larger than 1048576 bytes"), "{}", ran.stderr);
}
