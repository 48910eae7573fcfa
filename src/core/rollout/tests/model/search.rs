//! Everything that can be reached, nearest first, so that the first violation found has a shortest path.

use std::fmt;

use super::engine::Engine;
use super::hashing::Table;
use super::properties::Property;
use super::rollouts::Over;
use super::words::{self, Label};
use super::world::{At, World};

/// More worlds than any exploration has: a time that is not cut off, say, makes ever new ones.
const TOO_MANY: usize = 6_000_000;

/// How much was searched.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    pub(super) worlds: usize,
    pub(super) steps: usize,
    pub(super) longest: usize,
    pub(super) rollouts: usize,
    /// Endings: verified, restored, stuck, abandoned.
    pub(super) endings: [usize; 4],
}

/// A property that does not hold, and how that comes about.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) property: Property,
    pub(super) path: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "violated: {}\n{}", self.property, self.path)
    }
}

/// A world's number, in the order in which they were found.
type Index = u32;

struct Found {
    worlds: Vec<World>,
    numbers: Table<World, Index>,
    /// From where each was reached first, and how.
    from: Vec<(Index, Label)>,
}

impl Found {
    fn path_to(&self, index: Index) -> Vec<(Label, World)> {
        let mut path = Vec::new();
        let mut index = index;
        while index != 0 {
            let (from, label) = self.from[index as usize];
            path.push((label, self.worlds[index as usize]));
            index = from;
        }
        path.reverse();
        path
    }
}

/// Searches everything from `start` on.
pub(super) fn search(engine: &mut Engine<'_>, start: World) -> Result<Size, Box<Violation>> {
    let mut found = Found { worlds: vec![start], numbers: Table::default(), from: Vec::new() };
    found.numbers.insert(start, 0);
    found.from.push((0, Label::Passes));
    // The successors of each world, one after the other, and where those of each begin.
    let (mut edges, mut begins): (Vec<Index>, Vec<usize>) = (Vec::new(), Vec::new());
    let mut size = Size::default();
    let mut next = 0;
    while next < found.worlds.len() {
        let world = found.worlds[next];
        let here = Index::try_from(next).unwrap();
        begins.push(edges.len());
        if let At::Over(over) = world.at {
            size.endings[match over {
                Over::Verified => 0,
                Over::Restored => 1,
                Over::Stuck => 2,
                Over::Abandoned => 3,
            }] += 1;
        }
        for step in engine.steps(&world) {
            let to = match step.to {
                Ok(to) => to,
                Err(property) => {
                    let mut path = found.path_to(here);
                    path.push((step.label, world));
                    return Err(violation(property, &path, engine, ""));
                }
            };
            let new = Index::try_from(found.worlds.len()).unwrap();
            let index = *found.numbers.entry(to).or_insert(new);
            if index == new {
                found.worlds.push(to);
                found.from.push((here, step.label));
            }
            edges.push(index);
        }
        if found.worlds.len() > TOO_MANY {
            let path = found.path_to(Index::try_from(found.worlds.len() - 1).unwrap());
            return Err(violation(Property::EveryPathEnds, &path, engine, "and so on\n"));
        }
        next += 1;
    }
    begins.push(edges.len());
    size.worlds = found.worlds.len();
    size.steps = edges.len();
    size.rollouts = engine.rollouts.len();
    match longest(&edges, &begins) {
        Ok(longest) => size.longest = longest,
        Err(circle) => {
            let (first, rest) = circle.split_first().unwrap();
            let mut path = found.path_to(*first);
            let mut from = found.worlds[*first as usize];
            for index in rest {
                let to = found.worlds[*index as usize];
                let step = engine.steps(&from).into_iter().find(|step| step.to == Ok(to)).unwrap();
                path.push((step.label, to));
                from = to;
            }
            let note = format!("and again from {}\n", path.len() + 1 - rest.len());
            return Err(violation(Property::EveryPathEnds, &path, engine, &note));
        }
    }
    Ok(size)
}

fn violation(
    property: Property,
    path: &[(Label, World)],
    engine: &mut Engine<'_>,
    note: &str,
) -> Box<Violation> {
    Box::new(Violation { property, path: words::path(path, &mut engine.rollouts) + note })
}

/// The length of the longest path, or a circle: its places in order, the first of them again at the end.
fn longest(edges: &[Index], begins: &[usize]) -> Result<usize, Vec<Index>> {
    let worlds = begins.len() - 1;
    let after = |index: usize| &edges[begins[index]..begins[index + 1]];
    let mut entries = vec![0u32; worlds];
    for to in edges {
        entries[*to as usize] += 1;
    }
    let mut depth = vec![0usize; worlds];
    let mut open: Vec<usize> = (0..worlds).filter(|index| entries[*index] == 0).collect();
    let mut done = 0;
    while let Some(index) = open.pop() {
        done += 1;
        for to in after(index) {
            let to = *to as usize;
            depth[to] = depth[to].max(depth[index] + 1);
            entries[to] -= 1;
            if entries[to] == 0 {
                open.push(to);
            }
        }
    }
    if done == worlds {
        return Ok(depth.into_iter().max().unwrap_or(0));
    }
    Err(circle(&entries, worlds, after))
}

/// A circle among the worlds that were never free of entries: of those, the ones that also lead to one another.
fn circle<'a>(entries: &[u32], worlds: usize, after: impl Fn(usize) -> &'a [Index]) -> Vec<Index> {
    let mut inside: Vec<bool> = entries.iter().map(|entries| *entries > 0).collect();
    // Backwards, since most steps lead to a later world: few rounds.
    loop {
        let mut gone = false;
        for index in (0..worlds).rev() {
            if inside[index] && !after(index).iter().any(|to| inside[*to as usize]) {
                inside[index] = false;
                gone = true;
            }
        }
        if !gone {
            break;
        }
    }
    let mut here = inside.iter().position(|inside| *inside).expect("a circle lies inside");
    let mut way: Vec<Index> = Vec::new();
    loop {
        let index = Index::try_from(here).unwrap();
        if let Some(first) = way.iter().position(|before| *before == index) {
            way.push(index);
            return way.split_off(first);
        }
        way.push(index);
        here = after(here).iter().map(|to| *to as usize).find(|to| inside[*to]).expect("it leads on inside");
    }
}
