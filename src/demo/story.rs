//! The story: a renewal that works, one that is refused, and one that is put back.

use anyhow::Result;
use certroll::cli::endings::{Row, endings_text};
use certroll::cli::report;
use certroll::cli::table::Table;
use certroll::cli::watch::Watch;
use certroll::records;
use certroll::work::{ApprovedUpdate, Carried, Initiator, Outcome, PlanReport, Policy, Status, Work};
use certroll_simulator::call::Call;
use certroll_simulator::faults::{Effect, Fault, Which};
use certroll_simulator::scenario::shop;
use certroll_simulator::vault::Kind;

use crate::handshake::{self, Seen};
use crate::narrate::Narrator;
use crate::stage::{Set, Stage};
use crate::verdict::Chapter;

/// Instances of the role that serves customers.
const WEB_INSTANCES: usize = 2;
/// The instance that goes on with its old certificate in the third chapter.
const STUBBORN: &str = "Web_IN_1";

/// Something that makes a chapter go wrong, for tests of the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twist {
    /// The first renewal's operation fails.
    FirstFails,
    /// The second renewal has nothing that a guard would refuse.
    SecondIsGood,
    /// The third renewal works.
    ThirdWorks,
}

/// What was told, and how it came out.
pub(crate) struct Told {
    /// The chapters, judged.
    pub(crate) chapters: Vec<Chapter>,
}

/// Tells the whole story.
///
/// # Errors
/// The story cannot be told at all. What merely comes out wrong is in the chapters.
pub(crate) async fn tell(
    stage: &mut Stage,
    narrator: &Narrator,
    live: bool,
    twist: Option<Twist>,
) -> Result<Told> {
    narrator.heading("certroll, shown with three renewals on a simulated Azure");
    narrator.say(
        "A service `shop` runs in Azure Cloud Services (extended support). Such a service names each of its certificates \
         in two places: by thumbprint in its configuration (cscfg), and by the address of one version of a secret in a \
         key vault. When a certificate is renewed in the vault, the service keeps the old one until somebody \
         edits both places and sends them to Azure. certroll does that, looks whether it worked, and undoes it if it did not.",
    );
    narrator.say(
        "Only Azure is simulated here: it runs inside this program, and nothing leaves this machine. What follows a line \
         with `$` is what certroll prints for that command. Everything else is the demo speaking.",
    );
    let settings = stage.settings()?;
    let watch = {
        let narrator = narrator.clone();
        Watch::new(*narrator.terminal(), live, Box::new(move |text| narrator.verbatim(text)))
    };
    let work = stage.work(&settings, watch).await?;
    let deployed = stage.set_in_vault();
    let mut teller = Teller { stage, narrator, work, policy: settings.policy.clone(), deployed };
    let first = teller.rotation(twist).await?;
    let second = teller.refusal(twist).await?;
    let third = teller.restoration(twist).await?;
    let mut chapters = vec![first, second, third];
    let strangers = teller.stage.simulator.with(|cloud| cloud.refused_connects.join(", "));
    if let Some(last) = chapters.last_mut() {
        let found = if strangers.is_empty() { Ok(()) } else { Err(strangers) };
        last.holds("in all three chapters, certroll asked no host but those of the simulated Azure", found);
    }
    let whole = match records::reader(&settings.journal)?.verify().await {
        Ok(_) => Ok(()),
        Err(damages) => Err(damages.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
    };
    if let Some(last) = chapters.last_mut() {
        last.holds(
            "the journal of both rollouts is whole: each record is as it was written, and none is missing",
            whole,
        );
    }
    narrator.heading("What was checked");
    narrator.verdict(&chapters);
    Ok(Told { chapters })
}

struct Teller<'a> {
    stage: &'a mut Stage,
    narrator: &'a Narrator,
    work: Work,
    policy: Policy,
    /// The set that the service was last seen to have.
    deployed: Set,
}

impl Teller<'_> {
    async fn rotation(&mut self, twist: Option<Twist>) -> Result<Chapter> {
        let mut chapter = Chapter::new("1 rotation verified");
        self.narrator.heading("1. A renewal that works");
        self.narrator.say(
            "The shop's leaf certificate is a certificate of the vault `shop-kv`. Its intermediate and root are held \
             there as secrets. The service has the newest versions of all three, so there is nothing to do:",
        );
        let report = self.plan().await;
        chapter.equal("before, certroll found the service {}", &"current", &word(&report));
        self.customers("before, the old chain", &mut chapter).await;

        self.stage.renew(shop::Shop::renew);
        if twist == Some(Twist::FirstFails) {
            let (code, message) = ("InternalExecutionError".to_owned(), "It failed.".to_owned());
            self.fault(Effect::OperationFails { code, message });
        }
        self.narrator.say(
            "Now all three are renewed: a new root, a new intermediate and a new leaf are put into the vault. certroll \
             finds them, shows what it is going to change, and makes the change with a single request (one PUT). Then \
             it waits until Azure has restarted the instances, and connects to the shop as a customer would. The times \
             before its lines count from the start of the change.",
        );
        let report = self.plan_to_apply().await;
        let changes = report.planned().next().map(|update| (update.certificates.len(), update.secrets.len()));
        let changes = changes.unwrap_or_default();
        chapter.equal(
            "the plan changed {}",
            &"4 certificates of the cscfg and 3 secrets",
            &format!("{} certificates of the cscfg and {} secrets", changes.0, changes.1).as_str(),
        );
        let puts = self.stage.puts();
        let (ending, _) = self.apply(&report).await;
        chapter.equal("the change ended {}", &"verified", &ending.as_str());
        chapter.equal("the service was sent {} PUT", &1, &(self.stage.puts() - puts));
        self.deployed = self.stage.set_in_vault();
        self.customers("afterwards, the new chain", &mut chapter).await;
        Ok(chapter)
    }

    async fn refusal(&mut self, twist: Option<Twist>) -> Result<Chapter> {
        let mut chapter = Chapter::new("2 refused by guard names");
        self.narrator.heading("2. A renewal that is refused");
        if twist == Some(Twist::SecondIsGood) {
            self.stage.renew(shop::Shop::renew_leaf);
        } else {
            self.stage.renew(shop::Shop::renew_leaf_with_a_name_lost);
        }
        self.narrator.say(
            "Somebody renews the leaf and makes a mistake: the new certificate is for `other.contoso.com`. With it, \
             every customer of `shop.contoso.com` would see a warning. certroll compares each new certificate with the \
             one that is deployed, and refuses this one before anything is sent:",
        );
        let puts = self.stage.puts();
        let report = self.plan().await;
        chapter.equal(
            "with the wrong certificate, certroll called the service {}",
            &"blocked",
            &word(&report),
        );
        chapter.equal("what refused it was the guard {}, and no other", &"names", &guards(&report).as_str());
        // Whatever is planned after all is applied, so that the count of PUTs means something.
        if report.planned().next().is_some() {
            self.apply(&report).await;
        }
        let bad = self.stage.shop.stored_leaf.version.clone();
        self.narrator.say(
            "Nothing was sent to the service. The operator disables the wrong version in the vault. certroll goes by the \
             newest version that is enabled, which is now the deployed one again. (The demo disables it in its own \
             vault; for a real one this is the command.)",
        );
        self.narrator.command(&format!(
            "az keyvault certificate set-attributes --vault-name {} --name {} --version {bad} --enabled false",
            shop::VAULT,
            shop::LEAF
        ));
        self.stage.simulator.with(|cloud| {
            let now = cloud.now();
            if let Some(vault) = cloud.vault_mut(shop::VAULT) {
                vault.set_enabled(Kind::Certificate, shop::LEAF, &bad, false, now);
            }
        });
        let report = self.plan().await;
        chapter.equal(
            "with the wrong version disabled, certroll called the service {}",
            &"current",
            &word(&report),
        );
        chapter.equal("the service was sent {} PUTs", &0, &(self.stage.puts() - puts));
        self.customers("afterwards, still the chain of chapter 1", &mut chapter).await;
        Ok(chapter)
    }

    async fn restoration(&mut self, twist: Option<Twist>) -> Result<Chapter> {
        let mut chapter = Chapter::new("3 restored");
        self.narrator.heading("3. A renewal that is put back");
        let before = self.configuration();
        self.stage.renew(shop::Shop::renew);
        if twist != Some(Twist::ThirdWorks) {
            self.fault(Effect::OldCertificatePresented(Which::Named(vec![STUBBORN.to_owned()])));
        }
        self.narrator.say(
            "The whole set is renewed once more, without a mistake. This time Azure is at fault: it takes the change, \
             reports success, and every instance is started; yet one of the two Web instances goes on with its old \
             certificate. Azure's own answers show nothing of it. certroll sees it, since it connects to the shop \
             several times, and puts the old state back rather than leave the instances with different certificates. \
             (Its plan is like the first one and left out here.)",
        );
        let report = self.look().await;
        self.narrator.command("certroll apply --yes shop");
        let puts = self.stage.puts();
        let new = self.stage.set_in_vault().leaf;
        let (ending, why) = self.apply(&report).await;
        chapter.equal("the change ended {}", &"restored", &ending.as_str());
        let expected = format!("expected leaf {new}, found {}", self.deployed.leaf);
        let found = if why.contains(&expected) { Ok(()) } else { Err(why) };
        chapter.holds("what gave it away was the old leaf, presented where the new one had to be", found);
        chapter.equal(
            "the service was sent {} PUTs: the change and the old state",
            &2,
            &(self.stage.puts() - puts),
        );
        let after = self.configuration();
        let found = if before == after { Ok(()) } else { Err("it differs".to_owned()) };
        chapter.holds("afterwards, the service had the same cscfg as before, byte for byte", found);
        self.customers("afterwards, the chain of chapter 1 again", &mut chapter).await;
        Ok(chapter)
    }
}

/// The word of an ending, and why it ended so.
fn ending_of(carried: &Carried) -> (String, String) {
    match carried {
        Carried::Begun(Outcome::Ended { ending, .. }) => {
            (ending.word().to_owned(), ending.cause().map_or_else(String::new, ToString::to_string))
        }
        Carried::Begun(Outcome::Interrupted { .. }) => ("interrupted".to_owned(), String::new()),
        Carried::NotBegun(error) => ("not begun".to_owned(), error.to_string()),
        Carried::Locked | Carried::WindowClosed | Carried::HeldBack { .. } => {
            ("not begun".to_owned(), String::new())
        }
    }
}

impl Teller<'_> {
    async fn look(&self) -> PlanReport {
        self.work.look(&self.policy).await
    }

    /// One look, as the command shows it.
    async fn plan(&self) -> PlanReport {
        self.shown("certroll plan shop").await
    }

    async fn plan_to_apply(&self) -> PlanReport {
        self.shown("certroll apply --yes shop").await
    }

    async fn shown(&self, command: &str) -> PlanReport {
        let report = self.look().await;
        self.narrator.command(command);
        self.narrator.verbatim(&format!("{}\n", report::text(&report, self.narrator.terminal())));
        report
    }

    /// Carries out what is planned, and gives the word of the ending, and why it ended so.
    async fn apply(&self, report: &PlanReport) -> (String, String) {
        // Kept until the end: a channel whose sender is gone is no request to stop.
        let (_keep, stop) = tokio::sync::watch::channel(false);
        let approved =
            report.services.iter().filter_map(|service| ApprovedUpdate::planned(service, Initiator::Person));
        let carried = self.work.carry_out(approved.filter_map(Result::ok).collect(), &stop).await;
        let told = carried.first().map(|(_, carried)| ending_of(carried));
        let rows: Vec<Row> = carried.into_iter().map(Row::from).collect();
        self.narrator.verbatim(&format!("\n{}", endings_text(&rows, self.narrator.terminal())));
        told.unwrap_or_else(|| ("nothing was planned".to_owned(), String::new()))
    }

    /// Connects as customers do, shows what they are presented, and checks that it is what is deployed.
    async fn customers(&self, what: &str, chapter: &mut Chapter) {
        let what = format!(
            "{what}: presented by both Web instances, accepted by a client that trusts its root alone"
        );
        let root = &self.deployed.root;
        match handshake::look(self.stage.endpoint, shop::DNS_NAME, root, WEB_INSTANCES).await {
            Ok(seen) => {
                self.presented(&seen);
                let wrong: Vec<String> = seen
                    .iter()
                    .map(|one| (one, one.chain.iter().map(|one| one.thumbprint.as_str()).collect::<Vec<_>>()))
                    .filter(|(_, chain)| *chain != self.deployed.chain())
                    .map(|(one, chain)| format!("{} with {}", one.instance, chain.join(" below ")))
                    .collect();
                chapter.holds(what, if wrong.is_empty() { Ok(()) } else { Err(wrong.join(", ")) });
            }
            Err(error) => chapter.holds(what, Err(format!("{error:#}"))),
        }
    }

    /// What was presented: a table for all instances, or one for each that differs.
    fn presented(&self, seen: &[Seen]) {
        let mut rest = seen.to_vec();
        while let Some(chain) = rest.first().map(|first| first.chain.clone()) {
            let (same, others): (Vec<Seen>, Vec<Seen>) = rest.into_iter().partition(|one| one.chain == chain);
            rest = others;
            let names: Vec<&str> = same.iter().map(|one| one.instance.as_str()).collect();
            let verb = if names.len() == 1 { "presents" } else { "present" };
            self.narrator.say(&format!(
                "To a customer of https://{}, {} {verb}:",
                shop::DNS_NAME,
                names.join(" and ")
            ));
            let mut table = Table::new(["THUMBPRINT", "SUBJECT", "UNTIL"]).never_cut("THUMBPRINT");
            for one in &chain {
                let until = one.not_after.strftime("%F").to_string();
                table.row([one.thumbprint.clone(), one.subject.clone(), until]);
            }
            self.narrator.verbatim(&format!("\n{}", table.render(self.narrator.terminal())));
        }
    }

    /// Makes the next change go wrong.
    fn fault(&self, effect: Effect) {
        self.stage.simulator.with(|cloud| cloud.fault(Fault::next(Call::PutCloudService, effect)));
    }

    /// The service's cscfg, as Azure has it.
    fn configuration(&self) -> Option<String> {
        self.stage.simulator.with(|cloud| Some(cloud.service(shop::SERVICE)?.model.configuration.clone()))
    }
}

/// The status of the one service, in certroll's word.
fn word(report: &PlanReport) -> &'static str {
    match report.services.first().map(|service| &service.status) {
        None => "missing",
        Some(Status::Current) => "current",
        Some(Status::Planned { .. }) => "planned",
        Some(Status::Waiting { .. }) => "waiting",
        Some(Status::Blocked { .. }) => "blocked",
        Some(Status::Unreadable { .. }) => "unreadable",
    }
}

/// The guards that refuse, each once.
fn guards(report: &PlanReport) -> String {
    let violations = report.services.iter().filter_map(|service| match &service.status {
        Status::Blocked { violations } => Some(violations),
        _ => None,
    });
    let mut guards: Vec<&str> = violations.flatten().map(|violation| violation.guard.as_str()).collect();
    guards.sort_unstable();
    guards.dedup();
    if guards.is_empty() { "none".to_owned() } else { guards.join(", ") }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use certroll::cli::terminal::Terminal;

    use super::*;
    use crate::directory::Directory;
    use crate::stage::Tempo;

    /// The story at the quickest pace, and the text of it.
    async fn told(twist: Option<Twist>) -> (Told, String, usize) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let text = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&text);
        let write = move |line: &str| heard.lock().unwrap().push_str(line);
        let narrator = Narrator::new(Terminal::plain(None), Arc::new(write));
        let mut stage = Stage::set(Directory::temporary().unwrap(), Tempo::quick(), 0).await.unwrap();
        let told = tell(&mut stage, &narrator, false, twist).await.unwrap();
        let text = text.lock().unwrap().clone();
        (told, text, stage.puts())
    }

    fn right(told: &Told) -> Vec<bool> {
        told.chapters.iter().map(Chapter::is_right).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_story_comes_out_as_it_must() {
        let (told, text, puts) = told(None).await;
        assert_eq!(right(&told), [true, true, true], "{text}");
        assert_eq!(puts, 3);
        assert!(text.contains("blocked by guard `names`"), "{text}");
        assert!(text.contains("restored: "), "{text}");
        assert!(!text.contains('\u{1b}'), "colour where there is none: {text}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_chapter_that_goes_wrong_is_told() {
        for (twist, chapter) in [(Twist::FirstFails, 0), (Twist::SecondIsGood, 1), (Twist::ThirdWorks, 2)] {
            let (told, text, _) = told(Some(twist)).await;
            assert!(!told.chapters[chapter].is_right(), "{twist:?}: {text}");
            assert!(text.contains("WRONG   expected: "), "{twist:?}: {text}");
        }
    }
}
