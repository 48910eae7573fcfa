//! What a person sees on a terminal: a pseudoterminal that util-linux' `script` makes, with a width of its own.

use std::io::Read;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use crate::program::Place;

const WIDTH: usize = 80;
const CHAIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/core/fixtures/pfx/null-vault.pfx");
/// Ends a test whose program says nothing more. Above every limit of the program in these tests.
const PATIENCE: &str = "60";

/// The program on a terminal. Everything it shows goes to the standard output of this process.
fn on_terminal(arguments: &[&str], environment: &[(&str, &str)]) -> Child {
    let words: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
    let command =
        format!("stty cols {WIDTH} rows 24; exec '{}' {}", env!("CARGO_BIN_EXE_certroll"), words.join(" "));
    let mut script = Command::new("timeout");
    script
        .args([PATIENCE, "script", "--quiet", "--flush", "--return", "--command", &command, "/dev/null"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("TERM", "xterm-256color")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    script.spawn().unwrap_or_else(|fault| panic!("script: {fault}; install util-linux"))
}

fn shown(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let output = on_terminal(arguments, environment).wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n")
}

#[test]
#[ignore = "needs util-linux"]
fn colour_is_for_terminals() {
    let inspect = ["inspect", CHAIN];
    let coloured = shown(&inspect, &[]);
    assert!(coloured.contains("\u{1b}[1mTHUMBPRINT") || coloured.contains("\u{1b}[1m     "), "{coloured}");
    for (environment, arguments) in [
        (&[("NO_COLOR", "1")][..], &inspect[..]),
        (&[("TERM", "dumb")], &inspect),
        (&[], &["--color", "never", "inspect", CHAIN]),
    ] {
        let plain = shown(arguments, environment);
        assert!(plain.contains("THUMBPRINT") && !plain.contains('\u{1b}'), "{environment:?}: {plain}");
    }
}

#[test]
#[ignore = "needs util-linux"]
fn what_is_shown_fits() {
    let texts = [
        shown(&["inspect", CHAIN], &[("NO_COLOR", "1")]),
        shown(&["--config", "/nowhere/at/all/certroll.toml", "plan"], &[("NO_COLOR", "1")]),
        shown(&["help", "upload"], &[("NO_COLOR", "1")]),
    ];
    for text in texts {
        assert!(text.lines().count() > 2, "{text}");
        for line in text.lines() {
            // What people copy is left whole, alone on its line.
            let whole = line.trim().starts_with('`');
            assert!(line.chars().count() <= WIDTH || whole, "{line}");
        }
    }
}

#[test]
#[ignore = "needs util-linux"]
fn what_is_waited_for_is_shown_on_a_terminal_only() {
    // Takes connections and answers nothing: it is what the program waits for.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let place = Place::new();
    place.file(
        "certroll.toml",
        &format!(
            "[http]\nproxy = \"http://{address}\"\n[identity]\nkind = \"client_secret\"\ntenant_id = \
             \"11111111-1111-1111-1111-111111111111\"\nclient_id = \
             \"22222222-2222-2222-2222-222222222222\"\nclient_secret_file = \"secret\"\n[journal]\ndirectory = \
             \"journal\"\n[[service]]\nid = \
             \"/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/shop/providers/Microsoft.\
             Compute/cloudServices/shop\"\n"
        ),
    );
    place.file("secret", "none of anybody");
    let config = place.text("certroll.toml");
    // Where standard error is a file, nothing of it is there. This one begins to wait before the other.
    let mut piped = Command::new(env!("CARGO_BIN_EXE_certroll"))
        .args(["--config", &config, "plan"])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let (accepting, tell_end) = (silent.try_clone().unwrap(), tell.clone());
    std::thread::spawn(move || tell.send(accepting.accept().ok().map(|(connection, _)| connection)));
    let mut output = piped.stdout.take().unwrap();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut output, &mut std::io::sink());
        tell_end.send(None)
    });
    let waits = told.recv().unwrap().expect("it connects before it ends");

    let mut child = on_terminal(&["--config", &config, "plan"], &[]);
    let mut terminal = child.stdout.take().unwrap();
    let mut seen = String::new();
    let mut part = [0; 4096];
    while !(seen.contains("looking at 1 service and what it follows") && seen.contains("calls to Azure")) {
        let count = terminal.read(&mut part).unwrap();
        assert!(count > 0, "it ended: {seen}");
        seen.push_str(&String::from_utf8_lossy(&part[..count]));
    }
    child.kill().unwrap();
    child.wait().unwrap();

    assert!(piped.try_wait().unwrap().is_none(), "it waits still");
    drop(waits);
    piped.kill().unwrap();
    let said = piped.wait_with_output().unwrap().stderr;
    let said = String::from_utf8_lossy(&said);
    assert!(!said.contains("looking at"), "{said}");
}
