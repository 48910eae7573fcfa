//! `certroll inspect`: what a certificate file or secret value holds.

mod report;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use certroll_core::certificate::{self, INPUT_LIMIT, OpenedSecret, Pkcs12Error, SecretError};
use clap::Args;
use zeroize::Zeroizing;

use super::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{write_data, write_json, write_message};
use crate::config::{Secret, read_limited, read_stream_limited};

/// Show what a PFX, PEM, DER or secret value holds
///
/// Reads a file, or the value of a vault secret, in every form that vaults hold: PKCS#12, PEM, DER, base64 of those, and the
/// JSON document that Cloud Services read. Prints how it is stored, the leaf with its chain and what belongs to neither,
/// thumbprints, names and validity, whether the private key is there and is the leaf's, and whether Cloud Services accept
/// that form. Nothing is sent anywhere, and no key is printed.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll inspect shop.pfx
  certroll inspect shop.pfx --password-file shop.password
  PFX_PASSWORD=... certroll inspect shop.pfx --password-env PFX_PASSWORD
  az keyvault secret show --id URL --query value --output tsv | certroll inspect -

The password is never an argument: other users of the machine can read the arguments of a process. On a terminal it is
asked for where it is needed.

Exit codes:
  0   something was found
  65  the input holds no certificate, or needs another password
  66  the file cannot be read")]
pub struct InspectArguments {
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

/// Runs the command.
///
/// # Errors
/// The file or the password cannot be read, or the file holds no certificate.
pub fn run(arguments: &InspectArguments, context: &Context) -> Result<Exit, Failure> {
    let content = read(&arguments.file)?;
    let password = password(arguments, context)?;
    let opened = open(arguments, &content, password.as_ref())?;
    if context.json {
        write_json(&report::json(&opened, context.now))?;
    } else {
        write_data(&report::text(&opened, &name(&arguments.file), context.now, &context.stdout))?;
    }
    Ok(Exit::Ok)
}

fn name(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() }
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let limit = INPUT_LIMIT as u64;
    let content = if file == Path::new("-") {
        read_stream_limited(std::io::stdin().lock(), limit)
    } else {
        read_limited(file, limit)
    };
    content.map(Zeroizing::new).map_err(|fault| {
        Failure::new(Exit::NoInput, ReadError { what: format!("`{}`", name(file)), source: fault })
    })
}

fn password(arguments: &InspectArguments, context: &Context) -> Result<Option<Secret>, Failure> {
    if let Some(variable) = &arguments.password_env {
        let value = context.environment.get(variable).ok_or_else(|| {
            Failure::new(Exit::Usage, format!("the environment variable `{variable}` is not set"))
                .hint("`--password-env` takes the name of a variable, not the password")
        })?;
        return Ok(Some(Secret::new(value)));
    }
    let Some(file) = &arguments.password_file else { return Ok(None) };
    let what = || format!("the password file `{}`", file.display());
    let content = read_limited(file, PASSWORD_LIMIT)
        .map_err(|source| Failure::new(Exit::NoInput, ReadError { what: what(), source }))?;
    let content = Zeroizing::new(content);
    let text = std::str::from_utf8(&content)
        .map_err(|_| Failure::new(Exit::DataErr, format!("{} is not UTF-8", what())))?;
    // Editors add a newline; a space may be part of the password.
    Ok(Some(Secret::new(text.trim_end_matches(['\r', '\n']))))
}

fn open(
    arguments: &InspectArguments,
    content: &[u8],
    password: Option<&Secret>,
) -> Result<OpenedSecret, Failure> {
    let opened = certificate::open_file(content, password.map(Secret::reveal));
    let opened = match opened {
        Err(SecretError::Pkcs12(Pkcs12Error::NeedsPassword)) if password.is_none() => {
            let Some(asked) = ask(&arguments.file)? else {
                return Err(refused(&arguments.file, SecretError::Pkcs12(Pkcs12Error::NeedsPassword)));
            };
            certificate::open_file(content, Some(asked.reveal()))
        }
        other => other,
    };
    opened.map_err(|fault| refused(&arguments.file, fault))
}

/// Asks for the password, where there is somebody to ask.
fn ask(file: &Path) -> Result<Option<Secret>, Failure> {
    let somebody = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !somebody || file == Path::new("-") {
        return Ok(None);
    }
    write_message(&format!("password of `{}`: ", file.display()));
    let typed = rpassword::read_password().map_err(|fault| Failure::new(Exit::NoInput, fault))?;
    Ok(Some(Secret::new(typed)))
}

fn refused(file: &Path, fault: SecretError) -> Failure {
    let needs_password =
        matches!(fault, SecretError::Pkcs12(Pkcs12Error::NeedsPassword | Pkcs12Error::WrongPassword));
    let failure = Failure::new(Exit::DataErr, OpenError { file: name(file), source: fault });
    if needs_password {
        failure.hint("give the password with `--password-file FILE` or `--password-env NAME`")
    } else {
        failure
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
