//! Killed at each exchange, at each event and at any instant.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use certroll_simulator::Moment;
use certroll_simulator::call::Call;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::doomed::{Death, Doomed, Run, Story};

const STORIES: [Story; 3] = [Story::Good, Story::Walked, Story::Bad];
/// Programs at once, each with a simulator of its own: they mostly wait for it.
static AT_ONCE: Semaphore = Semaphore::const_new(8);
/// Programs that are killed at random instants, unless `CERTROLL_KILLS` says another number.
const KILLS: usize = 12;
/// Times that one program is killed at random instants, at most.
const LIVES: usize = 5;

/// What became of a program that was killed and started again until it ended by itself.
struct Lived {
    story: Story,
    killed: usize,
    forward: usize,
    back: usize,
}

/// Starts the program anew until it ends by itself, and judges. `deaths` are those of the first processes.
async fn lived(story: Story, deaths: impl Iterator<Item = Death>) -> Lived {
    let _permit = AT_ONCE.acquire().await.unwrap();
    let doomed = Doomed::start(story).await;
    tokio::task::block_in_place(|| {
        let mut killed = 0;
        let mut last: Option<Run> = None;
        for death in deaths {
            let run = doomed.run(death);
            killed += usize::from(run.killed);
            if !run.killed {
                last = Some(run);
                break;
            }
        }
        let last = last.unwrap_or_else(|| doomed.run(Death::None));
        let (forward, back) = doomed.judge(&last);
        Lived { story, killed, forward, back }
    })
}

/// A run in which nothing happens to the program.
async fn undisturbed(story: Story) -> Run {
    let _permit = AT_ONCE.acquire().await.unwrap();
    let doomed = Doomed::start(story).await;
    tokio::task::block_in_place(|| {
        let run = doomed.run(Death::None);
        doomed.judge(&run);
        run
    })
}

/// Lets every program live, and tells what became of them all.
async fn all(place: &str, programs: Vec<(Story, Vec<Death>)>) -> Vec<Lived> {
    let mut running = JoinSet::new();
    for (story, deaths) in programs {
        running.spawn(lived(story, deaths.into_iter()));
    }
    let all = running.join_all().await;
    let mut endings: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &all {
        *endings.entry(one.story.ending()).or_default() += 1;
    }
    let sum = |of: fn(&Lived) -> usize| all.iter().map(of).sum::<usize>();
    println!(
        "killed {} times at {place}, {} programs: {endings:?}; PUTs in effect: {} there, {} back",
        sum(|one| one.killed),
        all.len(),
        sum(|one| one.forward),
        sum(|one| one.back)
    );
    all
}

/// Where a program can be killed by its exchanges: from the one that captures the service, which is the read before the
/// look before the PUT; of a story that turns back, from the PUT of the way back.
fn exchanges(story: Story, calls: &[Call]) -> Vec<Death> {
    let puts: Vec<usize> = (0..calls.len()).filter(|at| calls[*at] == Call::PutCloudService).collect();
    let mut all = Vec::new();
    let mut each = |death: &dyn Fn(Moment) -> Death| all.extend([Moment::Arrived, Moment::Done].map(death));
    if story == Story::Bad {
        for number in 0..calls.len() - puts[1] {
            each(&|moment| Death::FromPut(2, number, moment));
        }
        return all;
    }
    let reads = (0..puts[0]).rev().filter(|at| calls[*at] == Call::GetCloudService);
    let capture = reads.take(2).last().unwrap();
    for number in capture..puts[0] {
        each(&|moment| Death::Exchange(number, moment));
    }
    for number in 0..calls.len() - puts[0] {
        each(&|moment| Death::FromPut(1, number, moment));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_killed_at_any_exchange_goes_on_where_it_was() {
    let mut programs = Vec::new();
    for story in STORIES {
        let clean = undisturbed(story).await;
        let deaths = exchanges(story, &clean.calls);
        programs.extend(deaths.into_iter().map(|death| (story, vec![death])));
    }
    // An operation is polled once more or less from run to run: the last places may not be reached.
    assert_most_were_killed(&all("exchanges", programs).await);
}

/// A few may have come to their end before their death did.
fn assert_most_were_killed(all: &[Lived]) {
    let killed = all.iter().filter(|one| one.killed == 1).count();
    assert!(killed * 5 >= all.len() * 4, "{killed} of {} were killed", all.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_killed_after_any_event_goes_on_where_it_was() {
    let mut programs = Vec::new();
    for story in STORIES {
        let clean = undisturbed(story).await;
        // After the last event it is over.
        programs.extend((1..clean.events.len()).map(|line| (story, vec![Death::Line(line)])));
    }
    assert_most_were_killed(&all("events", programs).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_killed_at_any_instants_goes_on_where_it_was() {
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = number("CERTROLL_SEED").unwrap_or(u64::from(now.subsec_nanos()));
    let programs = number("CERTROLL_KILLS").map_or(KILLS, |kills| usize::try_from(kills).unwrap());
    println!("the instants of CERTROLL_SEED={seed}");
    let mut chance = Chance(seed);
    let mut longest = Vec::new();
    for story in STORIES {
        longest.push((story, undisturbed(story).await.took));
    }
    let mut doomed = Vec::new();
    for (story, longest) in longest.into_iter().cycle().take(programs) {
        let mut deaths = vec![Death::After(chance.up_to(longest))];
        while deaths.len() < LIVES && chance.next().is_multiple_of(2) {
            deaths.push(Death::After(chance.up_to(longest)));
        }
        doomed.push((story, deaths));
    }
    let all = all("instants", doomed).await;
    assert!(all.iter().any(|one| one.killed > 0), "not one of {} was killed", all.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_asked_to_end_says_that_the_next_one_goes_on() {
    for story in STORIES {
        let doomed = Arc::new(Doomed::start(story).await);
        tokio::task::block_in_place(|| {
            // The operation runs, or waits for the walk.
            let asked = doomed.run(Death::Asked("Azure accepted it"));
            assert_eq!(asked.code, Some(75), "{asked:#?}");
            assert!(asked.stdout.contains("`certroll apply` goes on with the rollout"), "{asked:#?}");
            let last = doomed.run(Death::None);
            doomed.judge(&last);
            assert!(!last.events.iter().any(|event| event.starts_with("begins")), "{last:#?}");
        });
    }
}

/// Chance that can be had again: splitmix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        let longest = u64::try_from(longest.as_micros()).unwrap();
        Duration::from_micros(self.next() % longest)
    }
}
