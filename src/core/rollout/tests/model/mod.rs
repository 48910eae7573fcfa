//! The rollout, tried against an Azure that does whatever it may: everything that can be reached is searched, nearest
//! first, by the real functions of this crate ([`functions`]), for what must hold of it ([`properties`]).
//!
//! A [`world`] is the truth of [`azure`], certroll's process ([`engine`], [`calls`]) and what is written ([`rollouts`]).
//! Azure may do anything that [`azure`] has as a move, before every call and while certroll waits; others may edit the
//! service or start operations of their own; the process may die between any two of deciding, writing, calling and
//! being answered, and begin again at once or long after. What no document settles is a constant of a search
//! ([`azure::Facts`]), played both ways. [`mutants`] shows that each property catches a mistake.
//!
//! What is assumed:
//!
//! - A PUT that shows no trace within [`Limits::LOOKS`](super::super::Limits::LOOKS) looks, one poll interval apart,
//!   never will, whether its answer was lost or it was accepted. This is why there are that many looks.
//! - There is no `ETag`: what others begin between the look and the PUT, within one poll interval, is met unseen.
//! - Nobody makes the very same change while ours is under way, nor takes it back by hand before certroll looked: from
//!   outside neither can be told from our own.
//! - A refusal that was none shows at the next look, which can be made, and at which nobody else has changed anything.
//! - The record keeps what it took. A record that fails under way and a process that dies after it is not tried.
//! - A reading of the service, its instances and endpoints shows one moment.

mod azure;
mod calls;
mod engine;
mod functions;
mod hashing;
mod mutants;
mod past;
mod properties;
mod rollouts;
mod scene;
mod search;
mod words;
mod world;

use azure::Shown::{AtOnce, PerhapsLater};
use azure::{Facts, IntoRunning, Mode, Shown};
use engine::Engine;
use functions::{Functions, Habits};
use rollouts::Rollouts;
use scene::Scene;
use search::{Size, Violation, search};
use world::Budget;

fn explore(
    facts: Facts,
    functions: &Functions,
    habits: Habits,
    budget: Budget,
) -> Result<Size, Box<Violation>> {
    let scene = Scene::new(facts.mode);
    let rollouts = Rollouts::new(functions, &scene);
    let mut engine = Engine { facts, habits, rollouts };
    let start = engine.begin(budget);
    search(&mut engine, start)
}

/// Searches everything and prints how much that was.
#[expect(clippy::print_stdout, clippy::disallowed_types, reason = "the size of a search is to be seen")]
fn every_path_holds(mode: Mode, running: IntoRunning, shown: Shown, budget: Budget) -> Size {
    let facts = Facts { mode, running, shown };
    let begun = std::time::Instant::now();
    let size = match explore(facts, &Functions::REAL, Habits::REAL, budget) {
        Ok(size) => size,
        Err(violation) => panic!("{facts:?}, {budget:?}: {violation}"),
    };
    let Size { worlds, steps, longest, rollouts, endings: [verified, restored, stuck, abandoned] } = size;
    println!(
        "{mode:?}, a PUT into a running operation {running:?}, shown {shown:?}, {budget:?}: {worlds} worlds, {steps} \
         steps, the longest path {longest}, {rollouts} rollouts; endings: {verified} verified, {restored} restored, \
         {stuck} stuck, {abandoned} abandoned; {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    // A search that is cut short by a mistake in the model would find nothing wrong.
    assert!(worlds > 10_000 && [verified, restored, stuck, abandoned].iter().all(|endings| *endings > 1));
    size
}

const CRASHES: Budget = Budget { crashes: 2, others: 0, rollouts: 0 };
const OTHERS: Budget = Budget { crashes: 0, others: 1, rollouts: 0 };
const BOTH: Budget = Budget { crashes: 2, others: 1, rollouts: 0 };
const AGAIN: Budget = Budget { crashes: 1, others: 0, rollouts: 1 };

#[test]
fn every_path_of_a_service_that_walks_by_itself() {
    every_path_holds(Mode::Auto, IntoRunning::Refused, PerhapsLater, BOTH);
    every_path_holds(Mode::Auto, IntoRunning::Replaces, PerhapsLater, BOTH);
}

#[test]
fn every_path_of_a_service_whose_operation_ends_before_the_walk() {
    every_path_holds(Mode::EndsBeforeWalk, IntoRunning::Refused, PerhapsLater, CRASHES);
    every_path_holds(Mode::EndsBeforeWalk, IntoRunning::Replaces, PerhapsLater, OTHERS);
}

#[test]
fn every_path_of_a_service_whose_operation_waits_for_the_walk() {
    every_path_holds(Mode::WaitsForWalk, IntoRunning::Refused, PerhapsLater, CRASHES);
    every_path_holds(Mode::WaitsForWalk, IntoRunning::Replaces, PerhapsLater, OTHERS);
}

#[test]
fn every_path_of_one_rollout_after_another() {
    let once = every_path_holds(Mode::Auto, IntoRunning::Refused, AtOnce, Budget { rollouts: 0, ..AGAIN });
    let twice = every_path_holds(Mode::Auto, IntoRunning::Refused, AtOnce, AGAIN);
    assert!(twice.longest > once.longest, "a rollout that comes after");
}

/// Half a minute of one core: by hand, after a change of the rollout.
#[test]
#[ignore = "some fifty million steps"]
fn every_path_with_everything() {
    for mode in [Mode::Auto, Mode::EndsBeforeWalk, Mode::WaitsForWalk] {
        for running in [IntoRunning::Refused, IntoRunning::Replaces] {
            every_path_holds(mode, running, PerhapsLater, BOTH);
        }
    }
}
