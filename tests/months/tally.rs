//! What was counted, over a seed or over all of them.

use std::collections::BTreeMap;
use std::fmt;

use certroll_core::rollout::Ending;

/// Counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) seeds: u64,
    pub(super) services: u64,
    pub(super) days: u64,
    pub(super) polls: u64,
    /// Rollouts by ending.
    pub(super) endings: BTreeMap<&'static str, u64>,
    /// Services by how they stand at the end.
    pub(super) stands: BTreeMap<&'static str, u64>,
    /// Known defects that rollouts met.
    pub(super) known: BTreeMap<&'static str, u64>,
    pub(super) crashes: u64,
    pub(super) resumed: u64,
    pub(super) requests: u64,
    pub(super) puts: u64,
    /// PUTs that the service took.
    pub(super) applied: u64,
    /// Faults that struck, outages included.
    pub(super) faults: u64,
    /// What happened by chance, by its word.
    pub(super) happenings: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(super) fn ended(&mut self, ending: &Ending) {
        *self.endings.entry(ending.word()).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.services += other.services;
        self.days += other.days;
        self.polls += other.polls;
        self.crashes += other.crashes;
        self.resumed += other.resumed;
        self.requests += other.requests;
        self.puts += other.puts;
        self.applied += other.applied;
        self.faults += other.faults;
        for (into, from) in [
            (&mut self.endings, &other.endings),
            (&mut self.stands, &other.stands),
            (&mut self.happenings, &other.happenings),
            (&mut self.known, &other.known),
        ] {
            for (word, count) in from {
                *into.entry(word).or_default() += count;
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |counts: &BTreeMap<&'static str, u64>| {
            counts.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
        };
        writeln!(
            f,
            "{} seeds, {} services, {} simulated days, {} polls; rollouts: {}; {} crashes, {} resumed; {} requests, \
             {} PUTs of which {} took effect; {} faults struck",
            self.seeds,
            self.services,
            self.days,
            self.polls,
            words(&self.endings),
            self.crashes,
            self.resumed,
            self.requests,
            self.puts,
            self.applied,
            self.faults
        )?;
        writeln!(f, "at the end: {}", words(&self.stands))?;
        if !self.known.is_empty() {
            writeln!(f, "known defects met: {}", words(&self.known))?;
        }
        write!(f, "by chance: {}", words(&self.happenings))
    }
}
