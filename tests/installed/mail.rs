//! Mail servers, with STARTTLS and with TLS from the first byte. Both want a user and a password.

use crate::program::{Place, Program, assert_taken};

fn channel(port: &str, security: &str) -> String {
    format!(
        "kind = \"email\"\nserver = \"localhost:{port}\"\nsecurity = \"{security}\"\nusername = \"certroll\"\n\
         password_env = \"PASSWORD\"\nfrom = \"certroll <certroll@corp.example>\"\n\
         to = [\"ops@corp.example\", \"Jürgen <j@corp.example>\"]"
    )
}

#[test]
#[ignore = "needs Python and aiosmtpd"]
fn a_mail_server_takes_a_mail_under_tls_and_only_with_the_right_password() {
    for security in ["starttls", "tls"] {
        let place = Place::new();
        let arguments = [security, &place.text("server.pem"), &place.text("server.key")];
        let mut server = Program::python("mail_server.py", &arguments, &[]);
        let port = server.line();

        let refused = place.notify(&channel(&port, security), &[("PASSWORD", "wrong")]);
        assert_eq!(refused.status.code(), Some(69), "{security}");
        let message = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(message.contains("535") && !message.contains("wrong"), "{message}");

        assert_taken(&place.notify(&channel(&port, security), &[("PASSWORD", "hunter2")]));
        let mail = server.json();
        assert_eq!(mail["tls"], true, "{security}");
        assert_eq!(mail["user"], "certroll");
        assert_eq!(mail["recipients"], serde_json::json!(["ops@corp.example", "j@corp.example"]));
        assert_eq!(
            mail["headers"]["Subject"],
            "[certroll] info: test of the channel ops: nothing has happened"
        );
        assert_eq!(mail["headers"]["Auto-Submitted"], "auto-generated");
        assert_eq!(mail["types"], serde_json::json!(["multipart/alternative", "text/plain", "text/html"]));
        assert!(mail["text"].as_str().unwrap().contains("Nothing needs to be done."), "{mail}");
    }
}
