//! Programs that a test starts, and ends with itself.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use rcgen::{CertificateParams, KeyPair, SanType};
use serde_json::Value;
use tempfile::TempDir;

/// A program that says something on each line.
pub(crate) struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    pub(crate) fn start(command: &mut Command, install: &str) -> Self {
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|fault| panic!("{command:?}: {fault}; install {install}"));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// One of the Python programs beside this file.
    pub(crate) fn python(script: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let python = std::env::var("CERTROLL_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/installed").join(script);
        let mut command = Command::new(python);
        command.arg(path).args(arguments).envs(environment.iter().copied());
        Self::start(&mut command, "Python 3 as `python3`, or name it in CERTROLL_TEST_PYTHON")
    }

    pub(crate) fn line(&mut self) -> String {
        match self.lines.next() {
            Some(line) => line.unwrap(),
            None => panic!(
                "the program ended, see above; it needs aiosmtpd and dbus-next, which Debian's python3-aiosmtpd and \
                 python3-dbus-next bring for /usr/bin/python3: CERTROLL_TEST_PYTHON names another Python than the first of the path"
            ),
        }
    }

    pub(crate) fn json(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory with a configuration, and a certificate for `localhost` that it trusts.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
        place.file("server.pem", &params.self_signed(&key).unwrap().pem());
        place.file("server.key", &key.serialize_pem());
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn file(&self, name: &str, content: &str) {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(self.path(name)).unwrap().write_all(content.as_bytes()).unwrap();
    }

    /// `certroll notify test ops`, with a channel of these keys.
    pub(crate) fn notify(&self, channel: &str, environment: &[(&str, &str)]) -> Output {
        let text =
            format!("[http]\nca_file = \"server.pem\"\n[[notify.channel]]\nname = \"ops\"\n{channel}\n");
        self.file("certroll.toml", &text);
        Command::new(env!("CARGO_BIN_EXE_certroll"))
            .args(["notify", "test", "ops", "--config"])
            .arg(self.path("certroll.toml"))
            .env_clear()
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

/// The channel took it.
#[track_caller]
pub(crate) fn assert_taken(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
