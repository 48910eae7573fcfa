//! `certroll inspect`: what a certificate file or secret value holds.

pub(super) mod report;

use certroll_core::certificate;
use clap::Args;

use super::Context;
use super::certificate_file::CertificateFile;
use super::exit::Exit;
use super::failure::Failure;
use super::output::{write_data, write_json};

/// The version of the JSON document.
const FORMAT: u32 = 1;

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
    #[command(flatten)]
    input: CertificateFile,
}

/// Runs the command.
///
/// # Errors
/// The file or the password cannot be read, or the file holds no certificate.
pub fn run(arguments: &InspectArguments, context: &Context) -> Result<Exit, Failure> {
    let opened = arguments.input.open(context, certificate::open_file)?;
    if context.json {
        let mut document = report::json(&opened, context.now);
        document["format"] = FORMAT.into();
        write_json(&document)?;
    } else {
        write_data(&report::text(&opened, &arguments.input.name(), context.now, &context.stdout))?;
    }
    Ok(Exit::Ok)
}
