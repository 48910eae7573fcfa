//! Runs the program as a person would, and shows what that person reads.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::documents;

/// A directory with files, and the environment that the program is started with.
pub(crate) struct Place {
    directory: TempDir,
    environment: Vec<(String, String)>,
}

/// What a run left.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Everything in one text, for snapshots.
    pub(crate) fn shown(&self) -> String {
        let mut shown = format!("exit code {}\n", self.code);
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                shown.push_str(&format!("--- {name}\n{text}"));
            }
        }
        shown
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: TempDir::new().unwrap(), environment: Vec::new() }
    }

    /// A directory whose `certroll.toml` holds a text.
    pub(crate) fn with_config(text: &str) -> Self {
        let place = Self::new();
        place.file("certroll.toml", text);
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file that only its owner can read.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        path
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The program in this directory, with nothing of the tests' own environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_certroll"));
        command.args(arguments).current_dir(self.path()).env_clear();
        command.env("CERTROLL_CONFIG", self.path().join("certroll.toml"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with_input(arguments, b"")
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that does not read its input may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        if arguments.contains(&"--json") && !arguments.contains(&"--schema") {
            documents::judge(arguments, &output.stdout);
        }
        Ran {
            code: output.status.code().unwrap(),
            stdout: self.steady(&String::from_utf8(output.stdout).unwrap()),
            stderr: self.steady(&String::from_utf8(output.stderr).unwrap()),
        }
    }

    /// Replaces what differs from run to run: the directory and times.
    fn steady(&self, text: &str) -> String {
        let text = text.replace(self.path().to_str().unwrap(), "[DIR]");
        let mut steady = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find('Z') {
            let (before, after) = rest.split_at(at + 1);
            match before
                .len()
                .checked_sub("2026-11-23T12:00:00Z".len())
                .filter(|start| before.is_char_boundary(*start))
            {
                Some(start) if before[start..].parse::<jiff::Timestamp>().is_ok() => {
                    steady.push_str(&before[..start]);
                    steady.push_str("[TIME]");
                }
                _ => steady.push_str(before),
            }
            rest = after;
        }
        steady.push_str(rest);
        steady
    }
}
