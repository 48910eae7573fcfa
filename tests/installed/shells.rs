//! Completions, by the shells that they are for; manual pages, by a program that reads them strictly. No PowerShell is at
//! hand: its script is only read for the names that it must hold, in the tests of the program itself.

use std::process::Command;

fn certroll(arguments: &[&str]) -> String {
    let ran = Command::new(env!("CARGO_BIN_EXE_certroll")).args(arguments).output().unwrap();
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// What a program says, which must end well.
fn said(command: &mut Command, install: &str) -> String {
    let ran = command.output().unwrap_or_else(|fault| panic!("{command:?}: {fault}; install {install}"));
    let text = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{command:?}: {text}");
    text
}

/// The script of a shell, in a file.
fn script(shell: &str) -> (tempfile::TempDir, String) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("completions");
    std::fs::write(&path, certroll(&["completions", shell])).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (place, path)
}

#[test]
#[ignore = "needs bash"]
fn bash_completes_commands_and_options() {
    let (_place, script) = script("bash");
    let complete = |line: &str| {
        let words = line.split(' ').map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let count = line.split(' ').count() - 1;
        let (last, before) = (line.split(' ').next_back().unwrap(), line.split(' ').rev().nth(1).unwrap());
        let asked = format!(
            "source '{script}'; COMP_WORDS=({words}); COMP_CWORD={count}; _certroll certroll '{last}' '{before}'; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        said(Command::new("bash").args(["--norc", "-c", &asked]), "bash")
    };
    assert_eq!(complete("certroll up"), "upload\n");
    assert_eq!(complete("certroll upload --passw"), "--password-file\n--password-env\n");
    assert_eq!(complete("certroll completions power"), "powershell\n");
}

#[test]
#[ignore = "needs zsh"]
fn zsh_reads_its_script() {
    let (_place, script) = script("zsh");
    said(Command::new("zsh").args(["-f", "-n", &script]), "zsh");
    // `-D`: no cache of completions is written. Named by `-d`, even `/dev/null` would be replaced by a plain file.
    let asked =
        format!("autoload -U compinit; compinit -u -D; source '{script}'; print ${{_comps[certroll]}}");
    assert_eq!(said(Command::new("zsh").args(["-f", "-c", &asked]), "zsh").trim(), "_certroll");
}

#[test]
#[ignore = "needs fish"]
fn fish_completes_commands_and_options() {
    let (place, script) = script("fish");
    let complete = |line: &str| {
        let asked = format!("source '{script}'; complete --do-complete '{line}'");
        let mut fish = Command::new("fish");
        said(fish.args(["--no-config", "--command", &asked]).env("HOME", place.path()), "fish")
    };
    assert!(complete("certroll up").starts_with("upload\t"), "{}", complete("certroll up"));
    assert!(complete("certroll upload --passw").contains("--password-file\t"));
}

#[test]
#[ignore = "needs mandoc"]
fn manual_pages_are_well_formed() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("man1");
    certroll(&["man", "--out", directory.to_str().unwrap()]);
    let mut pages = 0;
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        said(Command::new("mandoc").args(["-T", "lint", "-W", "error"]).arg(&path), "mandoc");
        let read = said(Command::new("mandoc").args(["-T", "utf8"]).arg(&path), "mandoc");
        assert!(read.contains("certroll") && !read.contains(".SH"), "{path:?}: {read}");
        pages += 1;
    }
    assert!(pages > 15, "{pages} pages");
}
