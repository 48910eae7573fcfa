//! A web server with TLS that verifies signatures by the recipe of `docs/notices.md`.

use crate::program::{Place, Program, assert_taken};

#[test]
#[ignore = "needs Python"]
fn a_web_server_verifies_the_signature_by_the_recipe() {
    let place = Place::new();
    let secret = "correct horse battery staple";
    let arguments = [&*place.text("server.pem"), &*place.text("server.key"), secret];
    let mut server = Program::python("web_server.py", &arguments, &[]);
    let port = server.line();
    place.file("url", &format!("https://localhost:{port}/hook/T0KEN"));
    let channel = "kind = \"webhook\"\nurl_file = \"url\"\nsigning_secret_env = \"SECRET\"";

    assert_taken(&place.notify(channel, &[("SECRET", secret)]));
    let seen = server.json();
    assert_eq!((&seen["path"], &seen["signed"]), (&"/hook/T0KEN".into(), &true.into()));
    assert_eq!(seen["body"]["notice"]["severity"], "info");

    let refused = place.notify(channel, &[("SECRET", "another secret of some length")]);
    assert_eq!(refused.status.code(), Some(69));
    assert_eq!(server.json()["signed"], false);
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("found 401") && !message.contains("T0KEN"), "{message}");
}
