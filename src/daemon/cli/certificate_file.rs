//! A certificate file as commands are given it, with its password: from a file, from the environment or from whoever
//! sits at the terminal.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use certroll_core::certificate::{INPUT_LIMIT, Pkcs12Error, SecretError};
use clap::Args;
use zeroize::Zeroizing;

use super::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::write_message;
use crate::config::{Secret, read_limited, read_stream_limited};

/// Which file, and where its password is. The password itself is never an argument.
#[derive(Clone, Debug, Args)]
pub struct CertificateFile {
    /// The file; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// A file that holds the password of a PKCS#12 container
    #[arg(long, value_name = "FILE", conflicts_with = "password_env")]
    pub password_file: Option<PathBuf>,

    /// An environment variable that holds the password of a PKCS#12 container
    #[arg(long, value_name = "NAME")]
    pub password_env: Option<String>,
}

/// Largest password file. A password has some dozens of characters.
const PASSWORD_LIMIT: u64 = 4096;

impl CertificateFile {
    /// What messages call it.
    pub(super) fn name(&self) -> String {
        if self.is_stdin() { "standard input".to_owned() } else { self.file.display().to_string() }
    }

    /// Reads and opens the file. Where it needs a password and none was given, somebody at the terminal is asked.
    ///
    /// # Errors
    /// The file or the password cannot be read, or the file holds no certificate.
    pub(super) fn open<T>(
        &self,
        context: &Context,
        open: fn(&[u8], Option<&str>) -> Result<T, SecretError>,
    ) -> Result<T, Failure> {
        let content = self.read()?;
        let password = self.password(context)?;
        let opened = match open(&content, password.as_ref().map(Secret::reveal)) {
            Err(SecretError::Pkcs12(Pkcs12Error::NeedsPassword)) if password.is_none() => {
                let Some(asked) = self.ask()? else {
                    return Err(self.refused(SecretError::Pkcs12(Pkcs12Error::NeedsPassword)));
                };
                open(&content, Some(asked.reveal()))
            }
            other => other,
        };
        opened.map_err(|fault| self.refused(fault))
    }

    fn is_stdin(&self) -> bool {
        self.file == Path::new("-")
    }

    fn read(&self) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let limit = INPUT_LIMIT as u64;
        let content = if self.is_stdin() {
            read_stream_limited(std::io::stdin().lock(), limit)
        } else {
            read_limited(&self.file, limit)
        };
        content.map(Zeroizing::new).map_err(|fault| {
            Failure::new(Exit::NoInput, ReadError { what: format!("`{}`", self.name()), source: fault })
        })
    }

    fn password(&self, context: &Context) -> Result<Option<Secret>, Failure> {
        if let Some(variable) = &self.password_env {
            let value = context.environment.get(variable).ok_or_else(|| {
                Failure::new(Exit::Usage, format!("the environment variable `{variable}` is not set"))
                    .hint("`--password-env` takes the name of a variable, not the password")
            })?;
            return Ok(Some(Secret::new(value)));
        }
        let Some(file) = &self.password_file else { return Ok(None) };
        let what = || format!("the password file `{}`", file.display());
        let content = read_limited(file, PASSWORD_LIMIT)
            .map_err(|source| Failure::new(Exit::NoInput, ReadError { what: what(), source }))?;
        let content = Zeroizing::new(content);
        let text = std::str::from_utf8(&content)
            .map_err(|_| Failure::new(Exit::DataErr, format!("{} is not UTF-8", what())))?;
        // Editors add a newline; a space may be part of the password.
        Ok(Some(Secret::new(text.trim_end_matches(['\r', '\n']))))
    }

    /// Asks for the password, where there is somebody to ask.
    fn ask(&self) -> Result<Option<Secret>, Failure> {
        let somebody = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if !somebody || self.is_stdin() {
            return Ok(None);
        }
        write_message(&format!("password of `{}`: ", self.file.display()));
        let typed = rpassword::read_password().map_err(|fault| Failure::new(Exit::NoInput, fault))?;
        Ok(Some(Secret::new(typed)))
    }

    fn refused(&self, fault: SecretError) -> Failure {
        let needs_password =
            matches!(fault, SecretError::Pkcs12(Pkcs12Error::NeedsPassword | Pkcs12Error::WrongPassword));
        let failure = Failure::new(Exit::DataErr, OpenError { file: self.name(), source: fault });
        if needs_password {
            failure.hint("give the password with `--password-file FILE` or `--password-env NAME`")
        } else {
            failure
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("cannot read {what}")]
struct ReadError {
    what: String,
    source: std::io::Error,
}

#[derive(Debug, thiserror::Error)]
#[error("`{file}` yields no certificate")]
struct OpenError {
    file: String,
    source: SecretError,
}
