//! Where what was found goes to: standard output, or the file that `--out` names. Only new services are ever written.

use std::path::PathBuf;

use certroll_core::discover::NotProposed;
use certroll_core::id::CloudServiceId;
use serde_json::{Value, json};

use super::{Asked, DiscoverArguments, Told, file};
use crate::cli::failure::Failure;
use crate::cli::terminal::printable;
use crate::cli::{Context, output};

/// The version of the JSON document.
const FORMAT: u32 = 1;

/// What is to be read.
pub(super) struct Texts {
    /// New services: TOML.
    pub(super) proposed: String,
    /// What services that are known lack: comments, because it belongs to a place within a file.
    pub(super) additions: String,
}

/// What became of the file that `--out` names.
enum Written {
    Nothing,
    Created(PathBuf),
    Appended(PathBuf),
}

/// Prints or writes the texts, and says what became of them. Only new services are ever written.
pub(super) fn deliver(
    arguments: &DiscoverArguments,
    context: &Context,
    asked: &Asked,
    told: &Told,
    texts: &Texts,
) -> Result<(), Failure> {
    let nothing = told.no_service();
    let same = told.no_addition();
    let proposed = &texts.proposed;
    let mut shown = String::new();
    let mut written = Written::Nothing;
    let became = match (&arguments.out, &asked.existing) {
        (None, _) if nothing && asked.configuration.is_some() => match same {
            true => "; nothing is new".to_owned(),
            false => String::new(),
        },
        (None, _) => {
            shown.push_str(proposed);
            String::new()
        }
        (Some(path), Some(_)) if nothing => match same {
            true => format!("; nothing is new to `{}`", path.display()),
            false => {
                format!("; `{}` is left as it is: what is shown belongs to its services", path.display())
            }
        },
        (Some(path), Some(existing)) if arguments.append => {
            let services = told.proposals.iter().map(|proposal| proposal.service.clone()).collect();
            file::append(existing, proposed, &services)?;
            written = Written::Appended(path.clone());
            format!("; added to `{}`", path.display())
        }
        (Some(path), Some(_)) => {
            shown.push_str(proposed);
            format!("; `{}` is left as it is, and `--append` adds the new services", path.display())
        }
        (Some(path), None) => match &asked.configuration {
            Some(main) if nothing => match same {
                true => format!("; nothing is new to `{}`", main.display()),
                false => format!("; no service is new to `{}`, and no file is written", main.display()),
            },
            Some(main) => {
                file::create(path, proposed)?;
                written = Written::Created(path.clone());
                let (main, beside) = (main.display(), main.with_extension("d"));
                format!(
                    "; written to `{}`. It holds what `{main}` does not have: put it among the files of `{}`",
                    path.display(),
                    beside.display()
                )
            }
            None => {
                file::create(path, proposed)?;
                written = Written::Created(path.clone());
                let path = path.display();
                format!("; written to `{path}`. Read it, then try `certroll plan --config {path}`")
            }
        },
    };
    shown.push_str(&texts.additions);
    if context.json {
        output::write_json(&as_json(told, asked, proposed, &written))?;
    } else if !shown.is_empty() {
        output::write_data(&shown)?;
    }
    output::write_message(&printable(&format!("{}{became}\n", counts(told))));
    Ok(())
}

/// What was found, in numbers.
fn counts(told: &Told) -> String {
    let unresolved = told.proposals.iter().map(|proposal| proposal.unresolved().count()).sum::<usize>();
    let lacking = told.additions.len();
    let not_compared = told.not_compared.len();
    let mut said = format!("cloud services proposed: {}", told.proposals.len());
    for (count, what) in [
        (unresolved, "certificates of unknown source"),
        (told.not_proposed.len(), "services that cannot be proposed"),
        (told.discovered.known.len(), "known already"),
        (lacking, "of these with something new"),
        (not_compared, "that could not be compared"),
    ] {
        if count > 0 {
            said.push_str(&format!(", {what}: {count}"));
        }
    }
    said
}

fn as_json(told: &Told, asked: &Asked, proposed: &str, written: &Written) -> Value {
    let services: Vec<Value> = told
        .proposals
        .iter()
        .map(|proposal| {
            let mut value = json!(proposal);
            value["roles"] = proposal
                .roles
                .iter()
                .map(|(role, instances)| json!({ "role": role, "instances": instances }))
                .collect();
            value["surplus"] = proposal
                .surplus
                .iter()
                .map(|surplus| {
                    let (about, fault) = (surplus.about.as_ref().ok(), surplus.about.as_ref().err());
                    json!({ "object": surplus.object, "about": about, "fault": fault })
                })
                .collect();
            value["unresolved"] =
                json!(proposal.unresolved().map(|finding| &finding.name).collect::<Vec<_>>());
            value
        })
        .collect();
    let not = |(service, not): &(CloudServiceId, NotProposed)| json!({ "service": service, "reason": not.reason, "hint": not.hint });
    let not_proposed: Vec<Value> = told.not_proposed.iter().map(not).collect();
    let not_compared: Vec<Value> = told.not_compared.iter().map(not).collect();
    let written = match written {
        Written::Nothing => Value::Null,
        Written::Created(path) => json!({ "file": path, "how": "created" }),
        Written::Appended(path) => json!({ "file": path, "how": "appended" }),
    };
    let failed: Vec<Value> = told
        .discovered
        .failed
        .iter()
        .map(|error| json!({ "reason": error.fault().brief(), "hint": error.fault().hint }))
        .collect();
    json!({
        "format": FORMAT,
        "cloud": asked.settings.cloud.name,
        "identity": asked.settings.identity.kind(),
        "subscriptions": told.discovered.subscriptions,
        "services": services,
        "not_proposed": not_proposed,
        "known": told.discovered.known,
        "additions": told.additions,
        "not_compared": not_compared,
        "failed": failed,
        "left_out": told.discovered.left_out,
        "configuration": proposed,
        "written": written,
    })
}
