//! The simulated Azure left running, to try certroll's own commands on.

use anyhow::{Context, Result};
use certroll::cli::table::Table;
use certroll_simulator::call::Call;
use certroll_simulator::cloud::Cloud;
use certroll_simulator::faults::{Effect, Fault, Which};
use certroll_simulator::pfx::{self, Contents, Lock};
use certroll_simulator::pki::{Authority, LeafRequest};
use certroll_simulator::scenario::{self, shop};
use tokio::sync::mpsc;

use crate::directory::{CA, CLIENT_SECRET, NEXT, OWN_JOURNAL, PFX, VARIABLES};
use crate::narrate::Narrator;
use crate::stage::Stage;

/// Lines that wait to be carried out: whoever types is slower.
const WAITING: usize = 8;
/// Longest line that is taken for a command.
const LINE: usize = 200;

/// Serves until somebody says so.
///
/// # Errors
/// A file cannot be written.
pub(crate) async fn serve(stage: &mut Stage, narrator: &Narrator) -> Result<()> {
    stage.renew(shop::Shop::renew);
    write_pfx(stage)?;
    write_next(stage)?;
    write_variables(stage)?;
    // Read and checked, so that nobody tries commands on a configuration that does not work.
    stage.settings()?;
    introduce(stage, narrator);
    let mut lines = lines();
    let mut reading = true;
    loop {
        let line = tokio::select! {
            line = lines.recv(), if reading => line,
            ended = ended() => {
                ended?;
                narrator.verbatim("\n");
                break;
            }
        };
        match line.as_deref().map(str::trim) {
            // The input is over: it was a file, or /dev/null. The simulated Azure stays.
            None => reading = false,
            Some("") => {}
            Some("quit") => break,
            Some(command) => obey(command, stage, narrator)?,
        }
    }
    narrator.verbatim("the simulated Azure has ended\n");
    Ok(())
}

fn introduce(stage: &Stage, narrator: &Narrator) {
    let config = shell_word(&stage.config.display().to_string());
    let pfx = shell_word(&stage.path().join(PFX).display().to_string());
    let plan = shell_word(&stage.path().join("shop.plan").display().to_string());
    let terminal = narrator.terminal();
    let after = if stage.directory.stays() { "stays" } else { "is removed" };
    narrator.heading("A simulated Azure, to try certroll on");
    narrator.verbatim(&format!(
        "It listens on {} and sends nothing anywhere. Its service `shop` has certificates whose renewed\n\
         versions are in the vault `shop-kv` already. The directory\n  {}\n{after} when it ends.\n\n",
        stage.simulator.proxy_url(),
        stage.path().display()
    ));
    narrator.verbatim(&format!(
        "{}\n  export CERTROLL_CONFIG={config}\n\
         \x20 cargo run -q -- check                    # is the configuration right?\n\
         \x20 cargo run -q -- plan                     # what would be changed?\n\
         \x20 cargo run -q -- apply                    # change it, after a question\n\
         \x20 cargo run -q -- plan --out {plan}\n\
         \x20 cargo run -q -- apply {plan}\n\
         \x20 cargo run -q -- inspect {pfx}\n\
         \x20 cargo run -q -- run                      # or let it do all of that by itself; in a third shell:\n\
         \x20 cargo run -q -- status --watch           # how it stands\n\n",
        terminal.heading("In another shell, in the root of the repository:")
    ));
    let place = |name: &str| shell_word(&stage.path().join(name).display().to_string());
    let [leaf, password, intermediate, root] = NEXT.map(place);
    narrator.verbatim(&format!(
        "{}\n  . {}\n\
         \x20 certroll upload {root} --to shop-kv/secrets/contoso-root\n\
         \x20 certroll upload {intermediate} --to shop-kv/secrets/contoso-intermediate\n\
         \x20 certroll upload {leaf} --password-file {password} --to shop-kv/certificates/shop-tls\n\
         \x20 certroll discover --no-probe --out certroll.toml   # no such site: nothing to connect to\n\
         \x20 certroll plan --config certroll.toml\n\
         \x20 certroll apply --config certroll.toml\n\n",
        terminal.heading("Or from nothing, in an empty directory, with `target/debug` in PATH:"),
        place(VARIABLES),
    ));
    narrator.verbatim(&format!("{}\n{HELP}\n", terminal.heading("Here:")));
}

const HELP: &str = "  \
  renew       renew the leaf, the intermediate and the root
  lose-name   renew the leaf with a mistake: for another name, which certroll refuses
  fail-next   let the next change fail: one instance goes on with its old certificate
  status      show what the service has and what the vault holds
  quit        end; Ctrl-C does the same
";

fn obey(command: &str, stage: &mut Stage, narrator: &Narrator) -> Result<()> {
    match command {
        "renew" => {
            stage.renew(shop::Shop::renew);
            write_pfx(stage)?;
            narrator.verbatim("renewed: a new root, intermediate and leaf are in the vault\n");
        }
        "lose-name" => {
            stage.renew(shop::Shop::renew_leaf_with_a_name_lost);
            write_pfx(stage)?;
            narrator.verbatim(
                "renewed with a mistake: the newest leaf is for `other.contoso.com`; `renew` puts a good one in its \
                 place\n",
            );
        }
        "fail-next" => {
            let effect = Effect::OldCertificatePresented(Which::Named(vec!["Web_IN_1".to_owned()]));
            stage.simulator.with(|cloud| cloud.fault(Fault::next(Call::PutCloudService, effect)));
            narrator.verbatim("after the next change, Web_IN_1 goes on with its old certificate\n");
        }
        "status" => status(stage, narrator),
        other => {
            let shown: String = other.chars().take(LINE).collect();
            narrator.verbatim(&format!(
                "no command `{}`; there are:\n{HELP}",
                certroll::cli::terminal::printable(&shown)
            ));
        }
    }
    Ok(())
}

fn status(stage: &Stage, narrator: &Narrator) {
    let newest = stage.set_in_vault();
    let shown = stage.simulator.with(|cloud| status_of(cloud, &newest.leaf, narrator));
    narrator.verbatim(&shown);
    narrator.verbatim(&format!("PUTs that the service was sent: {}\n", stage.puts()));
}

fn status_of(cloud: &Cloud, newest: &str, narrator: &Narrator) -> String {
    let Some(service) = cloud.service(shop::SERVICE) else { return "there is no service\n".to_owned() };
    let mut table = Table::new(["INSTANCE", "STATE", "LEAF", ""]).never_cut("LEAF");
    for instance in &service.instances {
        let leaf = instance.holds.certificate("ShopTls").map(|held| held.thumbprint.clone());
        let leaf = leaf.unwrap_or_default();
        let age = if leaf == newest { "the newest" } else { "an older one" };
        table.row([instance.name(), instance.state.word().to_owned(), leaf, age.to_owned()]);
    }
    format!(
        "service `{}`: {}\n{}newest leaf in the vault: {newest}\n",
        shop::SERVICE,
        service.provisioning_state().word(),
        table.render(narrator.terminal())
    )
}

/// The newest leaf with its key, as somebody would get it from an authority.
fn write_pfx(stage: &Stage) -> Result<()> {
    let leaf = &stage.shop.leaf;
    let contents = Contents {
        leaf: leaf.der.clone(),
        chain: leaf.chain.clone(),
        key_pkcs8: Some(leaf.key_pkcs8.clone()),
    };
    stage.directory.write(PFX, pfx::write(&contents, Lock::Password("")))?;
    Ok(())
}

/// A new leaf below a new intermediate and a new root, as files: nobody has put them into the vault.
fn write_next(stage: &Stage) -> Result<()> {
    const LOCKED: &str = "next year";
    let now = stage.simulator.with(|cloud| cloud.now());
    let root = Authority::root("Contoso Next Root", now);
    let intermediate = root.intermediate("Contoso Next Issuing", now);
    let leaf = intermediate.issue(&LeafRequest::server(shop::DNS_NAME, now));
    let [leaf_file, password, intermediate_file, root_file] = NEXT;
    let pfx = pfx::write(&Contents::from(&leaf), Lock::Password(LOCKED));
    stage.directory.write(leaf_file, pfx)?;
    stage.directory.write(password, format!("{LOCKED}\n"))?;
    stage.directory.write(intermediate_file, intermediate.certificate_der())?;
    stage.directory.write(root_file, root.certificate_der())?;
    Ok(())
}

/// What stands in the configuration of the story, but for the services: those are found by `certroll discover`.
fn write_variables(stage: &Stage) -> Result<()> {
    let path = |name: &str| stage.path().join(name).display().to_string();
    let variables = [
        ("CLOUD", "china".to_owned()),
        ("IDENTITY__KIND", "client_secret".to_owned()),
        ("IDENTITY__TENANT_ID", scenario::TENANT.to_owned()),
        ("IDENTITY__CLIENT_ID", scenario::CLIENT_ID.to_owned()),
        ("IDENTITY__CLIENT_SECRET_FILE", path(CLIENT_SECRET)),
        ("HTTP__PROXY", stage.simulator.proxy_url()),
        ("HTTP__CA_FILE", path(CA)),
        ("JOURNAL__DIRECTORY", path(OWN_JOURNAL)),
        ("ROLLOUT__POLL_INTERVAL", "500ms".to_owned()),
    ];
    let mut text = "# For a shell: leads certroll to the simulated Azure without a configuration.\nunset CERTROLL_CONFIG\n".to_owned();
    for (name, value) in variables {
        text.push_str(&format!("export CERTROLL__{name}={}\n", shell_word(&value)));
    }
    stage.directory.write(VARIABLES, text)?;
    Ok(())
}

/// Lines of standard input. A thread of its own reads them: a read that nobody answers must not hold up the end.
fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { return };
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Ctrl-C, or what service managers send.
async fn ended() -> Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminated = signal(SignalKind::terminate()).context("signals cannot be heard")?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted.context("signals cannot be heard"),
            _ = terminated.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.context("signals cannot be heard")
}

/// A path as a shell takes it.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
