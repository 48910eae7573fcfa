//! `certroll run` as a process of its own, heard by what it tells systemd: nothing here waits for a time to pass.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::live::Live;

/// Longest wait for anything: far beyond what any of it takes, so that it fails only where it would never come.
const NEVER: Duration = Duration::from_secs(60);

/// A running daemon.
pub(crate) struct Daemon {
    child: Child,
    told: std::sync::mpsc::Receiver<String>,
    /// The last status line.
    pub(crate) status: String,
    /// Where monitoring is answered.
    pub(crate) monitoring: Option<SocketAddr>,
    log: std::sync::mpsc::Receiver<String>,
    /// What was logged so far.
    pub(crate) logged: Vec<String>,
}

impl Daemon {
    /// Starts it, and waits until it is ready.
    pub(crate) fn start(live: &Live) -> Self {
        let mut daemon = Self::begin(live);
        daemon.hear(|told| told.lines().any(|line| line == "READY=1"));
        daemon
    }

    /// Starts it.
    pub(crate) fn begin(live: &Live) -> Self {
        let path = live.place.path().join("notify.sock");
        let _ = std::fs::remove_file(&path);
        let told = read_all(UnixDatagram::bind(&path).unwrap());
        let mut command = live.place.command(&["run"]);
        // As systemd asks for a sign of progress within a second.
        command.env("WATCHDOG_USEC", "1000000");
        command.env("NOTIFY_SOCKET", &path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (send, log) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, told, status: String::new(), monitoring: None, log, logged: Vec::new() }
    }

    /// Waits until it tells systemd what is wanted.
    pub(crate) fn hear(&mut self, mut wanted: impl FnMut(&str) -> bool) -> String {
        let begun = std::time::Instant::now();
        loop {
            // Signs of progress come all the time.
            let told = match self.told.recv_timeout(NEVER) {
                Ok(told) if begun.elapsed() < NEVER => told,
                _ => {
                    let log = self.log().join("\n");
                    panic!("what is waited for was not told; the last status was {:?}\n{log}", self.status);
                }
            };
            if let Some(status) = told.lines().find_map(|line| line.strip_prefix("STATUS=")) {
                self.status = status.to_owned();
            }
            if wanted(&told) {
                return told;
            }
        }
    }

    /// Waits for a status line with this text.
    pub(crate) fn hear_status(&mut self, text: &str) {
        if !self.status.contains(text) {
            self.hear(|told| told.lines().any(|line| line.starts_with("STATUS=") && line.contains(text)));
        }
    }

    /// Everything that was logged up to now.
    pub(crate) fn log(&mut self) -> &[String] {
        self.logged.extend(self.log.try_iter());
        &self.logged
    }

    /// Waits for a message in the log.
    pub(crate) fn hear_log(&mut self, text: &str) -> String {
        if let Some(line) = self.log().iter().find(|line| line.contains(text)) {
            return line.clone();
        }
        loop {
            let line = self.log.recv_timeout(NEVER).unwrap_or_else(|error| {
                panic!("`{text}` is not logged: {error}\n{}", self.logged.join("\n"))
            });
            self.logged.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Asks again and again until something is so that nobody tells of.
    pub(crate) fn until(&mut self, what: &str, mut so: impl FnMut() -> bool) {
        let begun = std::time::Instant::now();
        while !so() {
            assert!(begun.elapsed() < NEVER, "{what}: never\n{}", self.log().join("\n"));
        }
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end, and gives the exit code; none if a signal ended it.
    pub(crate) fn end(&mut self) -> Option<i32> {
        // What it logs at its end comes first, so that its pipe never holds it up.
        while let Ok(line) = self.log.recv_timeout(NEVER) {
            self.logged.push(line);
        }
        self.child.wait().unwrap().code()
    }

    /// Asks it to stop, and waits for its end.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.end()
    }

    /// Gets a path of the monitoring listener: status and body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.monitoring.unwrap()).unwrap();
        stream.set_read_timeout(Some(NEVER)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: certroll\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

/// Reads what is told as it comes, as systemd does, until nobody wants it any more.
fn read_all(socket: UnixDatagram) -> std::sync::mpsc::Receiver<String> {
    let (send, told) = std::sync::mpsc::channel();
    socket.set_read_timeout(Some(NEVER * 3)).unwrap();
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length) = socket.recv(&mut buffer) {
            if send.send(String::from_utf8_lossy(&buffer[..length]).into_owned()).is_err() {
                return;
            }
        }
    });
    told
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
