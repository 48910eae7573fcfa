//! Every step of a rollout, each of its calls and each write of its journal, struck by everything that can happen to it:
//! how the rollout ends, and what was sent. The steps and calls are those that a run makes in which nothing goes wrong,
//! so that a new one is struck on the day it is added. The result is `docs/faults.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use certroll::adapters::{ProbeLimits, TlsProbe};
use certroll_core::plan::{ApprovedUpdate, PlannedUpdate};
use certroll_core::policy::Mode;
use certroll_core::rollout::{Phase, Rollout, Step};
use certroll_core::standing::Standings;
use certroll_engine::locks::ServiceLocks;
use certroll_engine::rollout::{Outcome, resume};
use certroll_engine::rollouts::Rollouts;
use certroll_simulator::call::Call;
use certroll_simulator::cloud::Cloud;
use certroll_simulator::faults::{Effect, Fault, Which};
use certroll_simulator::scenario::shop;
use certroll_simulator::service::model::UpgradeMode;
use certroll_simulator::switches::Switches;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::document;
use super::holds::{Held, held};
use crate::support::azure::{Azure, renewed_shop_with, shop_service};
use crate::support::strikes::{Asked, Place, Strike, Strikes, written};
use crate::support::written::assert_current;

/// Rollouts that run at once. They share two processors with everything else, and each waits for its own simulator.
const AT_ONCE: usize = 12;
/// Processes that a rollout may take, one after the other: each of them writes an event at least, and a rollout there
/// and back through two update domains has some thirty.
const PROCESSES: usize = 60;

/// One connection says which leaf is served: all instances hold the same here, and handshakes are what most of the time
/// goes into.
const ONE_CONNECTION: ProbeLimits = ProbeLimits { connections: 1, timeout: Duration::from_secs(10) };

/// How the service takes updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Upgrade {
    Automatic,
    Manual,
}

/// Which reading of what is not documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reading {
    Documented,
    Other,
}

/// What a rollout goes through but for the one thing that strikes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scenario {
    pub(super) upgrade: Upgrade,
    pub(super) reading: Reading,
    /// Forward: the certificates are good. Back: they are not served, and the old ones are put back.
    pub(super) way: Way,
}

/// A strike at a place.
type Aim = (Place, Strike);

/// One cell of the table: what strikes, and the crash before it for what only a process does that goes on.
#[derive(Clone, Copy, Debug)]
struct Cell {
    scenario: Scenario,
    crash: Option<Aim>,
    aim: Aim,
}

/// [`Phase`], with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Forward,
    Back,
}

impl Way {
    fn phase(self) -> Phase {
        match self {
            Self::Forward => Phase::Forward,
            Self::Back => Phase::Back,
        }
    }
}

/// What came of a rollout.
struct Came {
    ending: String,
    held: Held,
    seen: Vec<Place>,
}

impl Came {
    /// A cell of the table.
    fn cell(&self) -> String {
        let Held { sent, forward, back, .. } = self.held;
        let effect = if back == 0 { forward.to_string() } else { format!("{forward} + {back}") };
        let of = if sent == forward + back { String::new() } else { format!(" of {sent}") };
        let one = if of.is_empty() { effect == "1" } else { sent == 1 };
        format!("{}, {effect}{of} PUT{}", self.ending, if one { "" } else { "s" })
    }
}

/// The shop with a renewed set, and what certroll plans for it.
#[derive(Clone)]
struct Renewed {
    cloud: Cloud,
    update: PlannedUpdate,
}

type Worlds = BTreeMap<Upgrade, Renewed>;

/// The shop of each kind. Its update is planned once: what is tried here begins with it.
async fn worlds() -> Worlds {
    let mut worlds = Worlds::new();
    for (upgrade, mode) in [(Upgrade::Automatic, UpgradeMode::Auto), (Upgrade::Manual, UpgradeMode::Manual)] {
        let (cloud, _) = renewed_shop_with(|plan| plan.upgrade_mode(mode));
        let azure = Azure::start(cloud.clone(), |simulator| shop_service(simulator, "")).await;
        worlds.insert(upgrade, Renewed { cloud, update: azure.planned().await });
    }
    worlds
}

fn world(scenario: Scenario, worlds: &Worlds) -> Renewed {
    let Renewed { mut cloud, update } = worlds[&scenario.upgrade].clone();
    cloud.switches = match scenario.reading {
        Reading::Documented => Switches::documented(),
        Reading::Other => Switches::other(),
    };
    if scenario.way == Way::Back {
        // Every instance starts with what it had: the new certificates are deployed, and not served.
        cloud.fault(Fault::next(Call::PutCloudService, Effect::OldCertificatePresented(Which::All)));
    }
    Renewed { cloud, update }
}

/// Carries the planned update to its ending, by as many processes as it takes.
async fn carried(world: Renewed, aims: Vec<Aim>) -> Came {
    let Renewed { cloud, mut update } = world;
    let mut azure = Azure::start(cloud, |simulator| shop_service(simulator, "")).await;
    azure.assembled.outside.probe = Arc::new(TlsProbe::new(ONE_CONNECTION));
    let before = azure.deployed();
    let endpoint = azure.simulator.endpoint_address(shop::SERVICE, shop::ENDPOINT).unwrap();
    for probe in &mut update.probes {
        probe.endpoint.address = endpoint.to_string();
    }
    let wanted = update.wanted.configuration.clone();
    let strikes = Strikes::new(&azure);
    strikes.aim(aims);
    let outside = strikes.between(&azure.assembled.outside);
    let limits = azure.assembled.limits;
    // Each process has its own locks, and no memory but the journal.
    let process = || Rollouts { outside: outside.clone(), limits, locks: ServiceLocks::new(), at_once: 1 };
    let (_keep, stop) = watch::channel(false);
    let approved = ApprovedUpdate::saved(update, Mode::Auto, &Standings::default()).unwrap();
    strikes.process(process().carry_out(vec![approved], &stop)).await;
    let mut processes = 1;
    while !outside.journal.unfinished().await.unwrap().is_empty() && processes < PROCESSES {
        strikes.process(process().recover(&stop)).await;
        processes += 1;
    }

    let mut wrong = Vec::new();
    if !strikes.has_struck() {
        wrong.push("nothing was struck".to_owned());
    }
    if strikes.puts_into_an_operation() > 0 {
        wrong.push("a PUT was sent into a running operation".to_owned());
    }
    let (records, ending) = written(&azure.journal);
    let Some(ending) = ending else {
        if !records.is_empty() {
            wrong.push(format!("no ending after {processes} processes"));
        }
        let puts = azure.puts();
        if puts > 0 || azure.deployed() != before {
            wrong.push("not begun, and changed".to_owned());
        }
        let held = Held { sent: puts, forward: 0, back: 0, wrong };
        return Came { ending: "not begun".to_owned(), held, seen: strikes.seen() };
    };
    match Rollout::fold(records.iter().map(|one| (one.at, &one.event))) {
        Ok(rollout) if rollout.ending() == Some(&ending) => {}
        Ok(rollout) => wrong.push(format!("the journal ends with {:?}", rollout.stage())),
        Err(error) => wrong.push(format!("the journal does not fold: {error}")),
    }
    // What has ended is done with: another process finds nothing to do, and resuming it does nothing.
    let exchanges = azure.with(|cloud| cloud.ledger.len());
    let permit = ServiceLocks::new().acquire(&azure.settings.policy.services[0].service).unwrap();
    let again = resume(&permit, &records, &limits, &azure.assembled.outside, stop.clone()).await;
    let same = matches!(again, Ok(Outcome::Ended { ending: again, .. }) if again == ending);
    let recovered = process().recover(&stop).await.unwrap();
    let quiet =
        azure.with(|cloud| cloud.ledger.len()) == exchanges && azure.journal.records().len() == records.len();
    if !same || !recovered.is_empty() || !quiet {
        wrong.push("a rollout that had ended was gone on with".to_owned());
    }
    let mut held = held(&azure, &before, &wanted, &ending);
    held.wrong.extend(wrong);
    Came { ending: ending.word().to_owned(), held, seen: strikes.seen() }
}

/// How a rollout ends that is struck. Whatever the ending, [`held`] judges it by the service.
fn expected(scenario: Scenario, place: Place, strike: Strike) -> &'static [&'static str] {
    let good: &[&str] = match scenario.way {
        Way::Forward => &["verified"],
        Way::Back => &["restored"],
    };
    match strike {
        // A call that is refused for good ends what it was made for, unless it only reads what is under way.
        Strike::Refused => match (scenario.way, place.step, place.asked) {
            // What endpoints present before the change is kept where it can be seen.
            (Way::Forward, Some(Step::Capture), Asked::Probe) => good,
            (Way::Forward, Some(Step::Capture | Step::Look | Step::Put), _) => &["abandoned"],
            (Way::Back, _, Asked::Put) => &["stuck"],
            // Stuck where the PUT's operation waits for a walk that will not come.
            (_, _, Asked::Walk) => match scenario.reading {
                Reading::Documented => &["restored"],
                Reading::Other => &["stuck"],
            },
            _ => good,
        },
        // Nothing was written, so nothing was begun.
        Strike::PutOff | Strike::CrashBefore if place.asked == Asked::Write("opened") => &["not begun"],
        _ => good,
    }
}

/// Runs all at once, as many as may, and gives them back in order.
async fn all<T: Send + 'static>(
    works: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for (number, work) in works.into_iter().enumerate() {
        let permits = Arc::clone(&permits);
        running.spawn(async move {
            let _permit = permits.acquire_owned().await;
            (number, work.await)
        });
    }
    let mut done = running.join_all().await;
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, came)| came).collect()
}

fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for upgrade in [Upgrade::Automatic, Upgrade::Manual] {
        for way in [Way::Forward, Way::Back] {
            for reading in [Reading::Documented, Reading::Other] {
                all.push(Scenario { upgrade, reading, way });
            }
        }
    }
    all
}

/// Every strike at a place.
fn cells(scenario: Scenario, crash: Option<Aim>, place: Place) -> impl Iterator<Item = Cell> {
    let of_journal = place.asked.is_write_of_the_journal();
    let strikes: &[Strike] = if of_journal { &Strike::OF_WRITES } else { &Strike::OF_CALLS };
    strikes.iter().map(move |strike| Cell { scenario, crash, aim: (place, *strike) })
}

/// What a rollout does of itself: each scenario without a strike, with the places of its way.
async fn undisturbed(worlds: &Worlds) -> BTreeMap<Scenario, Vec<Place>> {
    let scenarios = scenarios();
    let came = all(scenarios.iter().map(|scenario| carried(world(*scenario, worlds), Vec::new()))).await;
    let mut seen = BTreeMap::new();
    for (scenario, came) in scenarios.into_iter().zip(came) {
        let good = if scenario.way == Way::Forward { "verified, 1 PUT" } else { "restored, 1 + 1 PUTs" };
        assert_eq!(came.cell(), good, "{scenario:?}");
        assert!(came.held.wrong.is_empty(), "{scenario:?}: {:?}", came.held.wrong);
        seen.insert(scenario, came.seen);
    }
    seen
}

/// The places that are struck in a scenario. The way back begins with the decision to turn: what comes before is struck
/// on the way forward.
fn of_its_way(seen: &BTreeMap<Scenario, Vec<Place>>, scenario: Scenario) -> Vec<Place> {
    let forward = &seen[&Scenario { way: Way::Forward, ..scenario }];
    let there = |place: &&Place| scenario.way == Way::Forward || !forward.contains(place);
    seen[&scenario].iter().filter(there).copied().collect()
}

/// No step may be left out: a rollout forward makes all of them, in Manual mode or not, and the way back all but the
/// first.
fn assert_every_step(seen: &BTreeMap<Scenario, Vec<Place>>) {
    for upgrade in [Upgrade::Automatic, Upgrade::Manual] {
        for way in [Way::Forward, Way::Back] {
            let of_both = seen.keys().filter(|one| one.upgrade == upgrade && one.way == way);
            let made: BTreeSet<Step> =
                of_both.flat_map(|one| of_its_way(seen, *one)).filter_map(|place| place.step).collect();
            let expected = Step::ALL.into_iter().filter(|step| match step {
                Step::Capture => way == Way::Forward,
                Step::Walk => upgrade == Upgrade::Manual,
                Step::Look | Step::Put | Step::Operation | Step::Examine => true,
            });
            assert_eq!(made, expected.collect(), "{upgrade:?} {way:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_is_struck_by_everything_that_can_happen_to_it() {
    let worlds = worlds().await;
    let seen = undisturbed(&worlds).await;
    assert_every_step(&seen);
    let struck = async |cells: &[Cell]| {
        let aims = |cell: &Cell| cell.crash.into_iter().chain([cell.aim]).collect();
        all(cells.iter().map(|cell| carried(world(cell.scenario, &worlds), aims(cell)))).await
    };

    let mut first: Vec<Cell> = Vec::new();
    for scenario in scenarios() {
        let places = of_its_way(&seen, scenario);
        first.extend(places.into_iter().flat_map(|place| cells(scenario, None, place)));
    }
    let came = struck(&first).await;
    // What only a process does that goes on after another: struck as well, after the crash that leads there.
    let mut again: Vec<Cell> = Vec::new();
    for (cell, came) in first.iter().zip(&came) {
        let crash = matches!(cell.aim.1, Strike::CrashBefore | Strike::CrashAfter);
        let of_way = came.seen.iter().filter(|place| crash && place.phase == cell.scenario.way.phase());
        for place in of_way.filter(|place| !seen[&cell.scenario].contains(place)) {
            let known = |one: &Cell| one.scenario == cell.scenario && one.aim.0 == *place;
            if !again.iter().any(known) {
                again.extend(cells(cell.scenario, Some(cell.aim), *place));
            }
        }
    }
    let came_again = struck(&again).await;

    let (mut tables, mut wrong) = (Vec::new(), Vec::new());
    let rollouts = first.len() + again.len();
    for (cell, came) in first.into_iter().chain(again).zip(came.into_iter().chain(came_again)) {
        let Cell { scenario, crash, aim: (place, strike) } = cell;
        let mut faulty = came.held.wrong.clone();
        let expected = expected(scenario, place, strike);
        if !expected.contains(&came.ending.as_str()) {
            faulty.push(format!("expected {expected:?}"));
        }
        if !faulty.is_empty() {
            wrong.push(format!("{cell:?}: {}: {}", came.cell(), faulty.join("; ")));
        }
        document::put(&mut tables, scenario, &row(place, crash), place, strike, came.cell());
    }
    println!("{rollouts} rollouts");
    let text = document::text(&tables);
    println!("{text}");
    assert!(wrong.is_empty(), "{} of {rollouts} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_current("docs/faults.md", &text);
}

/// What a row is called.
fn row(place: Place, crash: Option<Aim>) -> String {
    if crash.is_some() { format!("{place} *again*") } else { place.to_string() }
}
