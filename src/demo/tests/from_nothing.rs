//! README's way from nothing: its commands, word for word, in an empty directory, against `certroll-demo --serve`.

// A test that fails may panic anywhere.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
const SERVICE: &str = "/cloudServices/shop?";

/// The simulated Azure, left running until it is told to end.
struct Served {
    demo: Child,
    ledger: PathBuf,
    /// The directory that it names.
    directory: String,
}

impl Served {
    fn start(place: &Path) -> Self {
        let ledger = place.join("ledger.ndjson");
        let mut demo = Command::new(env!("CARGO_BIN_EXE_certroll-demo"))
            .args(["--serve", "--port", "0", "--ledger"])
            .arg(&ledger)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(demo.stdout.take().unwrap());
        let mut line = String::new();
        let directory = loop {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "it ended before it served");
            if let Some(file) =
                line.trim().strip_prefix(". ").and_then(|file| file.strip_suffix("/azure.env"))
            {
                break file.to_owned();
            }
        };
        // What it says further is of no interest, but it must be able to say it.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Self { demo, ledger, directory }
    }

    /// Ends it, and gives every exchange.
    fn end(mut self) -> Vec<Value> {
        self.demo.stdin.take().unwrap().write_all(b"quit\n").unwrap();
        assert!(self.demo.wait().unwrap().success());
        let ledger = std::fs::read_to_string(&self.ledger).unwrap();
        ledger.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.demo.kill();
        let _ = self.demo.wait();
    }
}

/// `certroll` beside the demo. `cargo test --workspace` builds both; where only the demo is tested, it is built here.
fn certroll() -> PathBuf {
    let demo = Path::new(env!("CARGO_BIN_EXE_certroll-demo"));
    let certroll = demo.with_file_name("certroll");
    if !certroll.exists() {
        let mut build = Command::new(env!("CARGO"));
        build.args([
            "build",
            "--quiet",
            "--locked",
            "--package",
            "certroll",
            "--bin",
            "certroll",
            "--target-dir",
        ]);
        build.arg(demo.ancestors().nth(2).unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
        assert!(build.status().unwrap().success());
    }
    certroll
}

/// The commands of README's part, without the first line, which builds.
fn commands() -> Vec<String> {
    let readme = std::fs::read_to_string(README).unwrap();
    let (_, part) = readme.split_once("\n### From nothing\n").expect("README has the part");
    let (_, block) = part.split_once("```sh\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let lines = block.lines().filter(|line| !line.is_empty() && !line.starts_with("cargo build "));
    lines.map(str::to_owned).collect()
}

#[test]
fn six_commands_of_readme_lead_to_a_verified_service() {
    let place = tempfile::tempdir().unwrap();
    let empty = tempfile::tempdir().unwrap();
    let certroll = certroll();
    let served = Served::start(place.path());

    let commands = commands();
    let names: Vec<&str> =
        commands.iter().filter_map(|line| line.strip_prefix("certroll ")?.split(' ').next()).collect();
    assert_eq!(names, ["upload", "upload", "upload", "discover", "plan", "apply"]);

    let mut script = String::new();
    for command in &commands {
        let command = command.replace("DIR/", &format!("{}/", served.directory));
        // Nobody sits here to say yes.
        let (command, _) = command.split_once('#').unwrap_or((&command, ""));
        let answered =
            if command.contains(" upload ") || command.contains(" apply ") { " --yes" } else { "" };
        script.push_str(&format!("{}{answered}; echo \"exit $?\"\n", command.trim()));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories =
        std::iter::once(certroll.parent().unwrap().to_owned()).chain(std::env::split_paths(&path));
    let mut shell = Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .current_dir(empty.path())
        .env_clear()
        .env("PATH", std::env::join_paths(directories).unwrap())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    shell.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    shell.wait().unwrap();

    let exits: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("exit ")).collect();
    // The environment, three uploads, discover; a plan with changes pending; what was applied.
    assert_eq!(exits, ["0", "0", "0", "0", "0", "2", "0"], "{said}");
    assert!(said.contains("verified: the service has the wanted certificates"), "{said}");

    let ledger = served.end();
    let puts: Vec<&Value> = ledger
        .iter()
        .filter(|exchange| exchange["method"] == "PUT")
        .filter(|exchange| exchange["url"].as_str().is_some_and(|url| url.contains(SERVICE)))
        .collect();
    assert_eq!(puts.len(), 1, "{said}");
}
