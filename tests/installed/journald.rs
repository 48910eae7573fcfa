//! What the systemd journal is given. A socket of the test stands at the journal's place, in a mount namespace of the program's own:
//! needs `unshare` and `mount` (Debian: `util-linux mount`), and user namespaces or root.

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Far beyond what any message takes.
const NEVER: Duration = Duration::from_secs(30);

/// The fields of an entry, in the journal's native protocol: `NAME=value`, or the name, a line end, the length and the value
/// (systemd.io/JOURNAL_NATIVE_PROTOCOL).
fn fields(mut entry: &[u8]) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    while let Some(end) = entry.iter().position(|byte| *byte == b'\n') {
        let (line, rest) = (&entry[..end], &entry[end + 1..]);
        let (name, value, rest) = match line.iter().position(|byte| *byte == b'=') {
            Some(equals) => (&line[..equals], &line[equals + 1..], rest),
            None => {
                let (length, rest) = rest.split_first_chunk::<8>().unwrap();
                let (value, rest) = rest.split_at(usize::try_from(u64::from_le_bytes(*length)).unwrap());
                (line, value, &rest[1..])
            }
        };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        fields.insert(text(name), text(value));
        entry = rest;
    }
    fields
}

#[test]
#[ignore = "needs unshare and mount"]
fn the_journal_gets_messages_with_their_fields_and_priorities() {
    let place = tempfile::tempdir().unwrap();
    let journal = place.path().join("journal");
    std::fs::create_dir(&journal).unwrap();
    let socket = UnixDatagram::bind(journal.join("socket")).unwrap();
    socket.set_read_timeout(Some(NEVER)).unwrap();
    let main = format!(
        "[poll]\nevery = \"12h\"\njitter = \"0s\"\n[journal]\ndirectory = \"{0}/state\"\n[admin]\nsocket = \"{0}/admin.sock\"\n\
         [log]\nformat = \"journald\"\n",
        place.path().display()
    );
    let config = place.path().join("certroll.toml");
    std::fs::write(&config, &main).unwrap();
    let script = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind \"$1\" /run/systemd/journal \
                  && shift && exec \"$@\"";
    let mut program = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(&journal)
        .arg(env!("CARGO_BIN_EXE_certroll"))
        .arg("run")
        .env("CERTROLL_CONFIG", &config)
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("`unshare` is not installed (Debian: `util-linux`)");
    let mut buffer = vec![0; 256 * 1024];
    let mut hear = |program: &mut std::process::Child, message: &str| loop {
        let Ok(length) = socket.recv(&mut buffer) else {
            let _ = program.kill();
            let mut said = String::new();
            let stderr = program.stderr.take().unwrap();
            std::io::Read::read_to_string(&mut { stderr }, &mut said).unwrap();
            panic!("`{message}` did not come; the program says: {said}");
        };
        let fields = fields(&buffer[..length]);
        // The first datagram is empty: it asks whether somebody listens.
        if fields.get("MESSAGE").is_some_and(|said| said == message) {
            return fields;
        }
    };

    let running = hear(&mut program, "certroll is running");
    assert_eq!(running["SYSLOG_IDENTIFIER"], "certroll");
    // `info` is a notice in the words of syslog.
    assert_eq!(running["PRIORITY"], "5");
    assert_eq!(running["CERTROLL_SERVICES"], "0");
    assert_eq!(running["CERTROLL_VERSION"], env!("CARGO_PKG_VERSION"));

    std::fs::write(&config, main.replace("12h", "never\\nagain")).unwrap();
    let pid = program.id().to_string();
    let signal = |name: &str| assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    signal("-HUP");
    let refused = hear(&mut program, "the new configuration is refused; the old one stays in force");
    assert_eq!(refused["PRIORITY"], "3");
    assert!(refused["CERTROLL_REASON"].contains('\n') && refused["CERTROLL_REASON"].contains("poll.every"));
    signal("-TERM");
    hear(&mut program, "stopping at the next safe point; a second signal leaves at once");
    assert!(program.wait().unwrap().success());
}
