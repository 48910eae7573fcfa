//! Pop-ups, on a session bus of their own.

use std::os::unix::net::UnixListener;
use std::process::Command;

use crate::program::{Place, Program, assert_taken};

#[test]
#[ignore = "needs dbus-daemon, Python and dbus-next"]
fn a_notification_daemon_shows_what_it_was_told() {
    let place = Place::new();
    let address = format!("unix:dir={}", place.path("").display());
    let mut bus = Program::start(
        Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address", "--address"])
            .arg(address),
        "dbus (dbus-daemon)",
    );
    let address = bus.line();
    let session = [("DBUS_SESSION_BUS_ADDRESS", address.as_str())];

    // Nobody shows anything yet.
    let output = place.notify("kind = \"desktop\"", &session);
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no notification daemon"));

    let mut daemon = Program::python("notification_daemon.py", &[], &session);
    assert_eq!(daemon.line(), "ready");
    assert_taken(&place.notify("kind = \"desktop\"", &session));
    let shown = daemon.json();
    assert_eq!(shown["app"], "certroll");
    assert_eq!(shown["summary"], "test of the channel ops: nothing has happened");
    assert_eq!(shown["body"], "A person asked certroll to try this channel. Nothing needs to be done.");
    assert_eq!(shown["urgency"], 0);
}

#[test]
#[ignore = "goes with the others"]
fn a_bus_that_never_answers_is_given_up_in_time() {
    let place = Place::new();
    // It takes connections, in its queue, and nobody ever accepts one.
    let _listener = UnixListener::bind(place.path("bus")).unwrap();
    let address = format!("unix:path={}", place.text("bus"));
    let output = place
        .notify("kind = \"desktop\"\ntimeout = \"1s\"", &[("DBUS_SESSION_BUS_ADDRESS", address.as_str())]);
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no answer within 1s"));
}
