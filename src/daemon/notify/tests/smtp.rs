//! A mail server on loopback: enough of SMTP to take a mail, with STARTTLS or with TLS from the first byte.

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// How the server encrypts.
#[derive(Clone)]
pub(super) enum Encryption {
    Starttls(TlsAcceptor),
    Tls(TlsAcceptor),
    None,
}

/// What became of one connection.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Commands in clear.
    pub(super) clear: Vec<String>,
    /// Commands under TLS.
    pub(super) encrypted: Vec<String>,
    /// The mail.
    pub(super) mail: String,
}

pub(super) struct Smtp {
    pub(super) port: u16,
    sessions: mpsc::UnboundedReceiver<Session>,
}

impl Smtp {
    pub(super) async fn start(encryption: Encryption) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (send, sessions) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (send, encryption) = (send.clone(), encryption.clone());
                tokio::spawn(async move {
                    let mut session = Session::default();
                    match encryption {
                        Encryption::None => {
                            talk(&mut BufReader::new(stream), true, &[], &mut session, false).await;
                        }
                        Encryption::Starttls(tls) => {
                            let mut stream = BufReader::new(stream);
                            talk(&mut stream, true, &["STARTTLS"], &mut session, false).await;
                            if session.clear.last().is_some_and(|last| last == "STARTTLS")
                                && let Ok(stream) = tls.accept(stream.into_inner()).await
                            {
                                talk(
                                    &mut BufReader::new(stream),
                                    false,
                                    &["AUTH PLAIN LOGIN"],
                                    &mut session,
                                    true,
                                )
                                .await;
                            }
                        }
                        Encryption::Tls(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                talk(
                                    &mut BufReader::new(stream),
                                    true,
                                    &["AUTH PLAIN LOGIN"],
                                    &mut session,
                                    true,
                                )
                                .await;
                            }
                        }
                    }
                    let _ = send.send(session);
                });
            }
        });
        Self { port, sessions }
    }

    pub(super) async fn session(&mut self) -> Session {
        let coming = tokio::time::timeout(std::time::Duration::from_secs(30), self.sessions.recv());
        coming.await.expect("nobody came").unwrap()
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    greets: bool,
    offers: &[&str],
    session: &mut Session,
    encrypted: bool,
) {
    if greets {
        let _ = stream.write_all(b"220 localhost\r\n").await;
        let _ = stream.flush().await;
    }
    let mut in_data = false;
    let mut line = String::new();
    while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
        let command = line.trim_end_matches(['\r', '\n']).to_owned();
        line.clear();
        if in_data && command != "." {
            session.mail.push_str(&command);
            session.mail.push('\n');
            continue;
        }
        if !in_data {
            let said = if encrypted { &mut session.encrypted } else { &mut session.clear };
            said.push(command.clone());
        }
        let verb = command.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        let answer = match verb.as_str() {
            "." => "250 taken".to_owned(),
            "EHLO" => {
                let lines: Vec<String> = offers.iter().map(|offer| format!("250-{offer}\r\n")).collect();
                format!("250-localhost\r\n{}250 8BITMIME", lines.concat())
            }
            "DATA" => "354 go on".to_owned(),
            "QUIT" => "221 bye".to_owned(),
            "AUTH" => "235 welcome".to_owned(),
            "STARTTLS" => "220 now".to_owned(),
            _ => "250 ok".to_owned(),
        };
        in_data = verb == "DATA";
        let _ = stream.write_all(format!("{answer}\r\n").as_bytes()).await;
        let _ = stream.flush().await;
        if matches!(verb.as_str(), "QUIT" | "STARTTLS") {
            return;
        }
    }
}
