//! One seed from its first day to its last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use certroll_core::id::{CloudServiceId, RolloutId, SecretIdentifier};
use certroll_core::plan::{Status, VaultContent};
use certroll_core::policy::Policy;
use certroll_core::ports::{
    Clock, JournalError, Progress, Recorded, RolloutJournal, RolloutObserver, VersionMemory,
};
use certroll_core::rollout::Limits;
use certroll_core::standing::{Decided, Decision, Standings};
use certroll_engine::locks::ServiceLocks;
use certroll_engine::outside::Outside;
use certroll_engine::pass::{self, Pass};
use certroll_engine::rollouts::{Carried, Rollouts};
use certroll_engine::world::World;
use certroll_journal::memory::MemoryJournal;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::fleet::{self, Fleet};
use super::season::{Season, Telling};
use super::tally::Tally;
use super::trouble::Trouble;
use super::truth;
use crate::support::chance::Chance;
use crate::support::wire::{Customs, HeldProbe, Net, NetClock, Side};

/// Rollouts at once, as the program's default is.
const AT_ONCE: usize = 4;
/// Days at the end in which nothing happens any more: the windows of one stage after the other open, each twice.
const QUIET_DAYS: i64 = 45;
/// A process that ends again and again while it goes on with what it left is left alone after so many times.
const CRASHES_IN_A_ROW: u32 = 3;

/// What came of a seed.
pub(super) struct Report {
    pub(super) tally: Tally,
    /// What must not be.
    pub(super) wrong: Vec<String>,
    pub(super) story: Vec<String>,
    pub(super) journal: Vec<Recorded>,
}

/// Runs a seed.
pub(super) fn seed(number: u64, telling: Telling) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        // What is read of secrets is read in one order.
        .max_blocking_threads(1)
        .build()
        .unwrap();
    runtime.block_on(months(number, telling))
}

/// Everything that outlives a process.
struct Months {
    net: Arc<Net>,
    season: Arc<Mutex<Season>>,
    journal: Arc<Tap>,
    versions: Arc<Remembered>,
    policy: Policy,
    limits: Limits,
}

/// A process: what is lost when it ends.
struct Process {
    rollouts: Rollouts,
    world: World,
}

/// Whether a service is another than its report says.
fn has_changed(pass: &Pass) -> bool {
    pass.carried.iter().any(|(_, carried)| carried.is_well())
}

impl Process {
    fn start(months: &Months) -> Self {
        let azure = months.net.azure();
        let clock: Arc<dyn Clock> = Arc::new(NetClock(Arc::clone(&months.net)));
        let outside = Outside {
            vaults: azure.vault_reader(),
            services: azure.cloud_services(),
            journal: Arc::<Tap>::clone(&months.journal),
            clock,
            versions: Some(Arc::<Remembered>::clone(&months.versions)),
            probe: Arc::new(HeldProbe(Arc::clone(&months.net))),
            observer: Arc::new(Nobody),
        };
        let locks = ServiceLocks::new();
        let rollouts = Rollouts { outside, limits: months.limits, locks, at_once: AT_ONCE };
        Self { rollouts, world: World::new() }
    }

    /// One pass: a look, and what follows from it.
    async fn pass(&self, months: &Months) -> Pass {
        let (_keep, stop) = watch::channel(false);
        pass::run(&months.policy, &self.rollouts, &self.world, &stop).await
    }

    /// Goes on with what another process left.
    async fn recover(&self, months: &Months) -> usize {
        let (_keep, stop) = watch::channel(false);
        let recovered = self.rollouts.recover(&stop).await.unwrap();
        for one in &recovered {
            if !matches!(one.carried, Carried::Begun(_)) {
                let now = months.net.now();
                months
                    .season()
                    .wrong(now, format_args!("{} cannot be led on: {:?}", one.rollout, one.carried));
            }
        }
        recovered.len()
    }
}

impl Months {
    fn season(&self) -> MutexGuard<'_, Season> {
        self.season.lock().unwrap()
    }

    /// Time passes, and what is due happens at its time.
    async fn pass_until(&self, until: Timestamp) {
        loop {
            let due = self.season().queue.first_key_value().map(|((at, _), _)| *at);
            let next = due.map_or(until, |at| at.min(until));
            if let Ok(wait) = Duration::try_from(next.duration_since(self.net.now())) {
                tokio::time::sleep(wait).await;
            }
            self.net.with(|cloud| self.season().tick(cloud));
            if self.net.now() >= until {
                return;
            }
        }
    }

    /// A pass, and the ends of the process on the way: each time another process goes on with what was left.
    async fn poll(&self, process: Process) -> (Process, Option<Pass>) {
        let mut process = process;
        self.season().pass_begins(self.net.now());
        self.season().tally.polls += 1;
        let pass = tokio::select! {
            biased;
            () = self.net.crashed() => None,
            pass = process.pass(self) => Some(pass),
        };
        if pass.is_some() {
            self.net.no_crash();
            return (process, pass);
        }
        for again in 1..=CRASHES_IN_A_ROW {
            let started_again = self.end_of_the_process();
            self.pass_until(started_again).await;
            process = Process::start(self);
            if again < CRASHES_IN_A_ROW && self.season().chance.percent(25) {
                let (calls, side) = self.a_crash(40);
                self.net.crash_at(calls, side);
            }
            let resumed = tokio::select! {
                biased;
                () = self.net.crashed() => None,
                resumed = process.recover(self) => Some(resumed),
            };
            if let Some(resumed) = resumed {
                self.season().tally.resumed += resumed as u64;
                break;
            }
        }
        self.net.no_crash();
        (process, None)
    }

    /// The process has ended; when another one is started.
    fn end_of_the_process(&self) -> Timestamp {
        let now = self.net.now();
        let mut season = self.season();
        season.tally.crashes += 1;
        season.story.tell(now, "certroll ends, and is started again");
        season.trouble(None, Trouble::Crash);
        now + SignedDuration::from_secs(2 * i64::try_from(season.chance.between(1, 600)).unwrap())
    }

    fn a_crash(&self, within: u64) -> (u64, Side) {
        let mut season = self.season();
        let calls = season.chance.between(1, within);
        (calls, *season.chance.pick(&[Side::Before, Side::After]))
    }

    /// People look at services that are stuck, and release them once they have.
    async fn people_release(&self, percent: u64) {
        let standings = self.journal.standings().await.unwrap();
        for (service, _) in standings.all().filter(|(_, standing)| standing.stuck.is_some()) {
            if !self.season().chance.percent(percent) {
                continue;
            }
            let at = self.net.now();
            self.season().story.tell(at, format_args!("{}: released", service.name()));
            let decision = Decision::Released;
            self.journal.decide(&Decided { at, service: service.clone(), decision }).await.unwrap();
        }
    }

    /// What must hold after every poll.
    fn check(&self) {
        self.net.with(|cloud| {
            let mut season = self.season();
            let now = cloud.now();
            let mut wrong: Vec<String> = Vec::new();
            for member in &season.fleet.services {
                wrong.extend(truth::whole(&season.fleet, member, cloud.service(&member.name).unwrap()));
            }
            for course in season.open.values() {
                wrong.push(format!("{} has no ending, and nobody drives it", course.id));
            }
            wrong.extend(cloud.refused_connects.drain(..).map(|host| format!("{host} was asked for")));
            for what in wrong {
                season.wrong(now, what);
            }
        });
    }

    /// The next poll: soon where something is under way. The polls between, of which each finds what the one before
    /// found, are passed over: the next one is where something has happened or something becomes due.
    fn next_poll(&self, said: &Said, end: Timestamp) -> Timestamp {
        let now = self.net.now();
        if said.changed {
            // What waited for it may go on while its window is open.
            return now + SignedDuration::from_mins(5);
        }
        let mut season = self.season();
        let minutes = i64::try_from(season.chance.between(180, 1440)).unwrap();
        let soon = SignedDuration::from_mins(minutes);
        let due = season.queue.first_key_value().map_or(end, |((at, _), _)| *at);
        let next = if said.again { due.max(now) + soon } else { now + soon };
        let next = next.min(now + SignedDuration::from_hours(48));
        next.min(said.waits_until.unwrap_or(next)).max(now + SignedDuration::from_mins(2))
    }
}

/// What the polls say, as far as it decides when the next one is worth making.
#[derive(Default)]
struct Said {
    /// By service.
    last: BTreeMap<String, String>,
    /// Whether the last poll said what the one before said.
    again: bool,
    /// Whether the last poll changed a service.
    changed: bool,
    waits_until: Option<Timestamp>,
}

impl Said {
    /// Takes in what a poll said: nothing, where the process ended.
    fn hear(&mut self, months: &Months, pass: Option<&Pass>) {
        let Some(pass) = pass else {
            *self = Self::default();
            return;
        };
        let mut says: BTreeMap<String, String> = pass
            .report
            .services
            .iter()
            .map(|one| (one.service.name().to_owned(), word(&one.status).to_owned()))
            .collect();
        let mut season = months.season();
        for (service, end) in season.endings_of(&pass.carried) {
            says.entry(service).and_modify(|word| *word = format!("{word}, then {end}"));
        }
        for (service, word) in says.iter().filter(|(service, word)| self.last.get(*service) != Some(*word)) {
            season.story.tell(months.net.now(), format_args!("{service}: {word}"));
        }
        self.changed = has_changed(pass);
        self.again = says == self.last;
        self.last = says;
        self.waits_until = pass
            .report
            .services
            .iter()
            .filter_map(|service| match &service.status {
                Status::Waiting { until, .. } => *until,
                _ => None,
            })
            .min();
    }
}

async fn months(number: u64, telling: Telling) -> Report {
    let mut chance = Chance::new(number);
    let (cloud, fleet, policy) = fleet::build(&mut chance);
    let days = chance.between(60, 120);
    let start = cloud.now();
    let season = Arc::new(Mutex::new(Season::new(fleet, chance.apart(), telling)));
    let customs: Arc<Mutex<dyn Customs>> = Arc::<Mutex<Season>>::clone(&season);
    let net = Net::new(cloud, customs);
    let journal =
        Arc::new(Tap { net: Arc::clone(&net), season: Arc::clone(&season), kept: MemoryJournal::new() });
    let limits = Limits {
        poll_interval: Duration::from_secs(120),
        settle: Duration::from_secs(45 * 60),
        probe: Duration::from_secs(10 * 60),
        ..Limits::default()
    };
    let versions = Arc::new(Remembered::default());
    let months = Months { net, season, journal, versions, policy, limits };
    months.season().foresee(start, days);
    {
        let mut season = months.season();
        season.tally.seeds = 1;
        season.tally.days = days;
        season.tally.services = season.fleet.services.len() as u64;
    }

    let end = start + SignedDuration::from_hours(24 * i64::try_from(days).unwrap());
    let mut process = Process::start(&months);
    let mut said = Said::default();
    while months.net.now() < end {
        months.pass_until(months.next_poll(&said, end)).await;
        months.net.with(|cloud| months.season().arm(cloud));
        if months.season().chance.percent(15) {
            let (calls, side) = months.a_crash(120);
            months.net.crash_at(calls, side);
        }
        let pass;
        (process, pass) = months.poll(process).await;
        months.net.with(|cloud| months.season().disarm(cloud));
        months.check();
        said.hear(&months, pass.as_ref());
        months.people_release(10).await;
    }
    quiet(&months, process).await;
    let journal = months.journal.kept.records();
    let mut season = months.season();
    Report {
        tally: std::mem::take(&mut season.tally),
        wrong: std::mem::take(&mut season.wrong),
        story: std::mem::take(&mut season.story.lines),
        journal,
    }
}

/// The weather clears, and certroll has time: then every service is right, or what is said of it says why.
async fn quiet(months: &Months, process: Process) {
    let mut process = process;
    let now = months.net.now();
    months.season().story.tell(now, "nothing happens any more");
    let left = months.season().left_to_mend();
    months.net.with(|cloud| months.season().clear_up(cloud));
    for happening in left {
        // Versions of one second cannot be told apart.
        months.pass_until(months.net.now() + SignedDuration::from_secs(10)).await;
        months.net.with(|cloud| months.season().happen(cloud, happening));
    }
    // What still hangs is given up by Azure.
    months.pass_until(months.net.now() + SignedDuration::from_hours(10)).await;
    let mut said = Said::default();
    let mut pass: Option<Pass> = None;
    let mut held_back = BTreeSet::new();
    let quiet = months.net.now() + SignedDuration::from_hours(24 * QUIET_DAYS);
    // What a pass has changed is looked at once more.
    while months.net.now() < quiet || pass.as_ref().is_none_or(has_changed) {
        let within = months.net.now() + SignedDuration::from_hours(48);
        months.pass_until(months.next_poll(&said, within)).await;
        (process, pass) = months.poll(process).await;
        months.check();
        said.hear(months, pass.as_ref());
        let carried = pass.iter().flat_map(|pass| &pass.carried);
        let back = carried.filter(|(_, carried)| matches!(carried, Carried::HeldBack { .. }));
        held_back.extend(back.map(|(service, _)| service.clone()));
        if said.again && said.waits_until.is_none() {
            break;
        }
    }
    let Some(pass) = pass else { return };
    months.net.with(|cloud| {
        let mut season = months.season();
        let now = cloud.now();
        for service in &pass.report.services {
            let name = service.service.name().to_owned();
            let Some(number) = season.fleet.member(&name) else { continue };
            let before = truth::Before {
                last: season.last.get(&number),
                failed: season.failed.get(&number).map_or(&[], Vec::as_slice),
                held_back: held_back.contains(&service.service),
            };
            match truth::stand(cloud, &season.fleet, number, &service.status, &before) {
                Ok(stand) => {
                    season.story.tell(now, format_args!("{name} is {stand}"));
                    *season.tally.stands.entry(stand).or_default() += 1;
                }
                Err(why) => season.wrong(now, format_args!("{name} at the end: {why}")),
            }
        }
    });
}

fn word(status: &Status) -> &'static str {
    match status {
        Status::Current => "current",
        Status::Planned { .. } => "planned",
        Status::Waiting { .. } => "waiting",
        Status::Blocked { .. } => "blocked",
        Status::Unreadable { .. } => "unreadable",
    }
}

impl Season {
    /// How the rollouts of a pass ended.
    fn endings_of(&self, carried: &[(CloudServiceId, Carried)]) -> Vec<(String, &'static str)> {
        let word = |fleet: &Fleet, service: &CloudServiceId| {
            let last = fleet.member(service.name()).and_then(|number| self.last.get(&number));
            last.and_then(|course| course.ending.as_ref()).map_or("", |ending| ending.word())
        };
        let mut all: Vec<(String, &'static str)> = carried
            .iter()
            .map(|(service, carried)| {
                let what = match carried {
                    Carried::Begun(_) => word(&self.fleet, service),
                    Carried::NotBegun(_) => "not begun",
                    Carried::Locked => "locked",
                    Carried::WindowClosed => "too late for its window",
                    Carried::HeldBack { .. } => "held back",
                };
                (service.name().to_owned(), what)
            })
            .collect();
        all.sort();
        all
    }
}

/// The journal, at which the process may end and what is written is looked at.
struct Tap {
    net: Arc<Net>,
    season: Arc<Mutex<Season>>,
    kept: MemoryJournal,
}

#[async_trait]
impl RolloutJournal for Tap {
    async fn append(&self, record: &Recorded) -> Result<(), JournalError> {
        let number = self.net.begin().await;
        self.kept.append(record).await?;
        self.net.with(|cloud| self.season.lock().unwrap().recorded(cloud, record));
        self.net.done(number).await;
        Ok(())
    }

    async fn unfinished(&self) -> Result<Vec<Vec<Recorded>>, JournalError> {
        self.kept.unfinished().await
    }

    async fn decide(&self, decided: &Decided) -> Result<(), JournalError> {
        self.kept.decide(decided).await
    }

    async fn history(
        &self,
        service: Option<&CloudServiceId>,
        rollouts: usize,
    ) -> Result<Vec<Vec<Recorded>>, JournalError> {
        self.kept.history(service, rollouts).await
    }

    async fn rollout(&self, rollout: &RolloutId) -> Result<Vec<Recorded>, JournalError> {
        self.kept.rollout(rollout).await
    }

    async fn standings(&self) -> Result<Standings, JournalError> {
        self.kept.standings().await
    }
}

/// What is remembered of versions from process to process.
#[derive(Default)]
struct Remembered(Mutex<BTreeMap<SecretIdentifier, VaultContent>>);

#[async_trait]
impl VersionMemory for Remembered {
    async fn recall(&self, version: &SecretIdentifier) -> Option<VaultContent> {
        self.0.lock().unwrap().get(version).cloned()
    }

    async fn remember(&self, version: &SecretIdentifier, content: &VaultContent) {
        self.0.lock().unwrap().insert(version.clone(), content.clone());
    }
}

/// Nobody watches: the journal shows everything.
struct Nobody;

impl RolloutObserver for Nobody {
    fn recorded(&self, _: &Recorded) {}

    fn waiting(&self, _: &RolloutId, _: &Progress) {}
}
