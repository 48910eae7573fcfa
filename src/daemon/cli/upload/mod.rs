//! `certroll upload`: a certificate into a vault, in the form that Cloud Services accept.

mod foreseen;
mod parcel;
mod report;
mod tag;
mod vault;

use std::collections::BTreeMap;
use std::sync::Arc;

use certroll_core::certificate::{self, Packable, VersionFacts};
use certroll_core::id::{VaultObject, VersionId};
use certroll_core::plan::{Foresight, PlanReport, VaultContent, foresee};
use certroll_core::policy::checks::Candidate;
use certroll_core::policy::{Guard, GuardPolicy, Policy};
use certroll_engine::outside::Outside;
use certroll_engine::pass;
use certroll_engine::world::World;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use self::foreseen::{Foreseen, Version};
use self::parcel::Parcel;
use self::report::Upload;
use self::tag::Tag;
use self::vault::{Newest, Target};
use super::certificate_file::CertificateFile;
use super::confirm::confirm;
use super::exit::Exit;
use super::failure::Failure;
use super::plan::Silence;
use super::select::{did_you_mean, near};
use super::waiting::Waiting;
use super::{Context, apply, output};
use crate::adapters::SystemClock;
use crate::assembly::{Assembled, assemble};
use crate::config::{self, Settings};
use crate::records::Records;
use crate::work::Occasion;

/// Put a certificate into a vault, in the form that Cloud Services accept
///
/// Takes a PFX, PEM or DER file and stores it as a new version of a vault certificate (with its key), or of a secret: as
/// the JSON document that Cloud Services read, with PKCS#12 in it that every Windows opens. A certificate without a key,
/// such as an intermediate or a root, goes into a secret.
///
/// Shows what it would upload, which services follow the object and what it replaces, and asks. Refuses what a guard
/// would refuse in `certroll plan`. Reads the new version back before it says that it is stored.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll upload shop.pfx --password-file shop.password --to shop-kv/certificates/shop-tls
  certroll upload intermediate.cer --to shop-kv/secrets/contoso-intermediate
  certroll upload root.pem --to shop-kv/secrets/contoso-root --tag owner=shop
  certroll upload shop.pfx --to shop-kv/certificates/shop-tls --dry-run
  certroll upload shop.pfx --to shop-kv/certificates/shop-tls --then apply
  cat shop.pem shop.key | certroll upload - --to shop-kv/certificates/shop-tls --yes

The password is never an argument: other users of the machine can read the arguments of a process. On a terminal it is
asked for where it is needed.

Without a configuration, `--cloud` says which cloud the vault is in, and the identity is found as with
`kind = \"auto\"`: a managed or workload identity, or whoever is logged in to the az command. `CERTROLL__` variables
override as ever.

With `--json` and `--then apply` there is one document at the end: `upload` is the upload's, `apply` that of `certroll apply`,
or null where nothing was applied.

Exit codes:
  0   the version is stored and reads back as it was sent
  65  a guard refuses it, or the vault does; with `--then apply` also as for that
  66  the file cannot be read
  69  the vault cannot be reached
  75  nothing was stored, or it is not known whether it was
  76  the version was stored and does not read back as it was sent
  77  a permission is missing
  Others as for every command: see `certroll --help`.")]
pub struct UploadArguments {
    #[command(flatten)]
    input: CertificateFile,

    /// The vault object: `VAULT/certificates/NAME` or `VAULT/secrets/NAME`
    #[arg(long, value_name = "OBJECT")]
    to: VaultObject,

    /// A tag of the new version; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    tag: Vec<Tag>,

    /// A guard that warns instead of refusing, by the name that it is refused by; may be repeated
    #[arg(long, value_name = "GUARD")]
    allow: Vec<Guard>,

    /// The cloud of the vault: `public`, `china` or `usgov`. Goes before the configuration
    #[arg(long, value_name = "CLOUD", value_parser = ["public", "china", "usgov"], hide_possible_values = true)]
    cloud: Option<String>,

    /// Show what would be uploaded, and what speaks against it, and end
    #[arg(long, conflicts_with_all = ["yes", "then"])]
    dry_run: bool,

    /// Do not ask. Needed where nobody can answer
    #[arg(long)]
    yes: bool,

    /// Go on with `certroll apply` for the services that follow the object
    #[arg(long, value_name = "COMMAND", hide_possible_values = true)]
    then: Option<Then>,
}

/// What may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Then {
    /// `certroll apply`.
    Apply,
}

/// The version of a vault object that is not there yet. No version has such an id: they are 32 hexadecimal digits.
const FORESEEN: &str = "new";

/// Runs the command.
///
/// # Errors
/// The file cannot be read, a guard refuses it, nobody said yes, or the vault does not take it.
pub async fn run(arguments: &UploadArguments, context: &Context) -> Result<Exit, Failure> {
    let tags = tag::tags(&arguments.tag, arguments.to.kind);
    let tags = tags.map_err(|fault| Failure::new(Exit::Usage, fault))?;
    // Opened before the configuration is read, so that a wrong password is said at once.
    let packable = arguments.input.open(context, certificate::open_to_pack)?;
    let parcel = Parcel::new(&packable, &arguments.to, &arguments.input.name())?;
    let configured = arguments.then.is_some() || !context.has_no_configuration();
    let settings = settings(arguments, configured, context)?;
    context.start_telemetry(&settings)?;
    // What holds the key is dropped here: what follows may take hours.
    let stored = store(arguments, packable, parcel, tags, (&settings, configured), context).await?;
    match arguments.then {
        None => Ok(Exit::Ok),
        Some(Then::Apply) => then_apply(stored, arguments.yes, &settings, context).await,
    }
}

/// What became of the object, and what becomes of the services.
struct Stored {
    foresight: Foresight,
    /// The upload as a document.
    told: Value,
}

/// Applies what the services that follow the object need, and tells of both at the end.
async fn then_apply(
    stored: Stored,
    yes: bool,
    settings: &Settings,
    context: &Context,
) -> Result<Exit, Failure> {
    let Stored { foresight, told } = stored;
    if foresight.followers.is_empty() {
        output::write_message("no service of the configuration is known to follow it; nothing to apply\n");
        if context.json {
            output::write_json(&json!({ "upload": told, "apply": null }))?;
        }
        return Ok(if foresight.unknown.is_empty() { Exit::Ok } else { Exit::Unavailable });
    }
    let services = foresight.followers.iter().map(ToString::to_string).collect();
    let led = apply::go_on(services, yes, settings, context).await;
    if context.json {
        output::write_json(&json!({ "upload": told, "apply": led.json() }))?;
        return led.outcome;
    }
    led.tell(context)
}

/// Shows, asks, stores and reads back; or shows alone, for a dry run. The document is printed here unless something follows.
async fn store(
    arguments: &UploadArguments,
    packable: Packable,
    parcel: Parcel,
    tags: BTreeMap<String, String>,
    (settings, configured): (&Settings, bool),
    context: &Context,
) -> Result<Stored, Failure> {
    let to = &arguments.to;
    let packed = parcel.opened()?;
    let Assembled { azure, outside, .. } =
        assemble(settings, Arc::new(SystemClock), Records::in_memory(), Arc::new(Silence))
            .map_err(|error| Failure::new(Exit::Config, error))?;
    let (reader, clock) = (Arc::clone(&outside.vaults), Arc::clone(&outside.clock));
    let pause = settings.rollout.poll_interval;
    let target = Target { object: to, reader, writer: azure.vault_writer(), clock, pause };
    let waiting =
        Waiting::new(&context.stderr, &format!("looking at `{to}` and what follows it")).counting(&azure);
    let looking = async {
        let before = target.look().await.map_err(|failure| other_vault(failure, to, &settings.policy))?;
        let alike = match &before.newest {
            Newest::None => target.alike().await,
            Newest::Known { .. } | Newest::Unreadable { .. } => None,
        };
        let foresight = foretell(arguments, &settings.policy, &outside, &parcel, &before.newest).await?;
        Ok::<_, Failure>((before, alike, foresight))
    };
    let (before, alike, foresight) = waiting.on(looking).await?;
    let upload = Upload {
        packable: &packable,
        packed: &packed,
        file: arguments.input.name(),
        to,
        newest: &before.newest,
        foresight: &foresight,
        alike: alike.as_ref(),
        configured,
        now: context.now,
    };
    show(arguments, &upload, context)?;
    refuse(&foresight)?;
    if arguments.dry_run {
        return Ok(Stored { foresight, told: Value::Null });
    }
    if !arguments.yes {
        output::write_message("\n");
    }
    confirm(arguments.yes, &format!("Upload it to `{to}`?"), "uploaded", context)?;

    let waiting =
        Waiting::new(&context.stderr, &format!("uploading to `{to}` and reading it back")).counting(&azure);
    let uploading = async {
        let identifier = target.put(&parcel, &packed.leaf, tags, &before).await?;
        target.verify(&identifier, &packable).await?;
        Ok::<_, Failure>(identifier)
    };
    let identifier = waiting.on(uploading).await?;
    let told = upload.json(Some(&identifier));
    if !context.json {
        output::write_data(&report::stored(to, &identifier, &packed.leaf, &context.stdout))?;
    } else if arguments.then.is_none() {
        output::write_json(&told)?;
    }
    Ok(Stored { foresight, told })
}

/// A vault that cannot be reached may be one of the configuration's whose name was mistyped.
fn other_vault(failure: Failure, to: &VaultObject, policy: &Policy) -> Failure {
    let mapped = policy.services.iter().flat_map(|service| &service.certificates);
    let known: Vec<&str> = mapped.map(|mapping| mapping.source.vault.as_str()).collect();
    let typed = to.vault.as_str();
    if failure.exit != Exit::Unavailable || known.contains(&typed) {
        return failure;
    }
    match near(typed, known) {
        Some(known) => failure.hint(did_you_mean(known)),
        None => failure,
    }
}

/// The configuration, or the defaults where there is none.
fn settings(arguments: &UploadArguments, configured: bool, context: &Context) -> Result<Settings, Failure> {
    let mut context = context.clone();
    if let Some(cloud) = &arguments.cloud {
        context.environment = context.environment.with("CERTROLL__CLOUD", cloud);
    }
    if configured {
        return context.settings();
    }
    config::load_if_present(&context.config, &context.environment, context.now)
        .map_err(|fault| Failure::new(Exit::Config, fault))
}

/// Plans as if the version were in its vault, and judges it by that.
async fn foretell(
    arguments: &UploadArguments,
    policy: &Policy,
    outside: &Outside,
    parcel: &Parcel,
    newest: &Newest,
) -> Result<Foresight, Failure> {
    let now = outside.clock.now();
    let content = VaultContent::of_secret(parcel.opened()?);
    let version: VersionId = FORESEEN.parse().map_err(|fault| Failure::new(Exit::Software, fault))?;
    let VaultObject { vault, name, .. } = &arguments.to;
    let identifier = outside.vaults.secret_identifier(vault, name, &version);
    let facts = VersionFacts {
        version,
        enabled: true,
        created: Some(now),
        updated: Some(now),
        not_before: None,
        expires: None,
    };
    let allowed = || arguments.allow.iter().copied();
    let mut policy = policy.clone();
    for service in &mut policy.services {
        service.guards.relaxed.extend(allowed());
    }
    let report = if policy.services.is_empty() {
        PlanReport { at: now, services: Vec::new(), vaults: Default::default() }
    } else {
        let version = Version {
            object: arguments.to.clone(),
            facts: facts.clone(),
            identifier: identifier.clone(),
            value: parcel.handed_out.clone(),
            content_type: parcel.content_type,
            der: content.leaf.der().to_vec(),
            thumbprint: content.thumbprint(),
        };
        let foreseen = Foreseen { vaults: Arc::clone(&outside.vaults), version };
        let outside = Outside { vaults: Arc::new(foreseen), ..outside.clone() };
        pass::look(&policy, &outside, &World::new(), Occasion::Person).await
    };
    let candidate = Candidate {
        subject: format!("the next version of {} `{}`", arguments.to.kind.noun(), arguments.to),
        source: arguments.to.to_string(),
        old: match newest {
            Newest::Known { content, .. } => Some(content),
            Newest::None | Newest::Unreadable { .. } => None,
        },
        new: &content,
        facts: &facts,
        now,
    };
    let guards = GuardPolicy { relaxed: allowed().collect(), ..GuardPolicy::default() };
    Ok(foresee(&report, &identifier, &candidate, &guards))
}

/// What would be uploaded is data where that is all that was asked for.
fn show(arguments: &UploadArguments, upload: &Upload<'_>, context: &Context) -> Result<(), Failure> {
    match (arguments.dry_run, context.json) {
        (true, true) => output::write_json(&upload.json(None)),
        (true, false) => output::write_data(&upload.text(&context.stdout)),
        (false, _) => {
            output::write_message(&upload.text(&context.stderr));
            Ok(())
        }
    }
}

fn refuse(foresight: &Foresight) -> Result<(), Failure> {
    let mut guards: Vec<&str> = foresight.violations.iter().map(|one| one.guard.as_str()).collect();
    guards.sort_unstable();
    guards.dedup();
    if guards.is_empty() {
        return Ok(());
    }
    let allow: Vec<String> = guards.iter().map(|guard| format!("`--allow {guard}`")).collect();
    let error = format!("nothing was uploaded, since it is refused by guard {}", guards.join(", "));
    Err(Failure::new(Exit::DataErr, error)
        .hint(format!("if it is meant to be so, {} lets it pass", allow.join(" "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    #[test]
    fn a_vault_that_is_not_reached_may_be_another_one() {
        let service = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/cloudServices/shop";
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("certroll.toml");
        let entry =
            "[[service.certificate]]\nname = \"ShopTls\"\nsource = \"shop-kv/certificates/shop-tls\"\n";
        std::fs::write(&path, format!("[[service]]\nid = \"{service}\"\n{entry}")).unwrap();
        let settings = config::load(&path, &Environment::default(), jiff::Timestamp::UNIX_EPOCH).unwrap();
        for (typed, exit, hint) in [
            ("shop-kw", Exit::Unavailable, Some("did you mean `shop-kv`?")),
            ("shop-kw", Exit::NoPerm, None),
            ("shop-kv", Exit::Unavailable, None),
            ("elsewhere", Exit::Unavailable, None),
        ] {
            let to: VaultObject = format!("{typed}/certificates/shop-tls").parse().unwrap();
            let failure = other_vault(Failure::new(exit, "no connection"), &to, &settings.policy);
            assert_eq!((failure.exit, failure.hint.as_deref()), (exit, hint), "{typed}");
        }
    }
}
