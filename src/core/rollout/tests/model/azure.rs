//! The service as Azure has it, small enough to be one of a few thousand values, and what Azure may do by itself.
//!
//! Nothing here says how long something takes or how it ends: an operation may end well or badly before every call that
//! certroll makes and at every tick that it waits, or never. A path that takes each choice thus has the operation that
//! succeeds, that fails, that hangs and that ends after certroll gave it up.

use super::super::super::{Limits, Phase};

/// Which way a PUT goes; as [`Phase`], which cannot be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Way {
    Forward,
    Back,
}

impl From<Phase> for Way {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Forward => Self::Forward,
            Phase::Back => Self::Back,
        }
    }
}

impl From<Way> for Phase {
    fn from(way: Way) -> Self {
        match way {
            Way::Forward => Self::Forward,
            Way::Back => Self::Back,
        }
    }
}

/// What no document settles and what matters to a rollout: constants of one exploration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) mode: Mode,
    /// A PUT into a running operation: answered 409, or takes its place.
    pub(super) running: IntoRunning,
    /// When a GET shows a PUT that was accepted.
    pub(super) shown: Shown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Auto,
    /// Manual; the PUT's operation ends before the update domains are walked.
    EndsBeforeWalk,
    /// Manual; the PUT's operation waits for the walk.
    WaitsForWalk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IntoRunning {
    Refused,
    Replaces,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    AtOnce,
    /// At once, or as late as a PUT whose answer was lost.
    PerhapsLater,
}

/// What the resource shows of certificates, and whether somebody edited something else in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Content {
    pub(super) new: bool,
    pub(super) edited: bool,
}

impl Content {
    pub(super) const OLD: Self = Self { new: false, edited: false };
    pub(super) const NEW: Self = Self { new: true, edited: false };

    pub(super) fn wanted(way: Way) -> Self {
        match way {
            Way::Forward => Self::NEW,
            Way::Back => Self::OLD,
        }
    }
}

/// The resource's `provisioningState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Provisioning {
    Succeeded,
    Failed,
    Updating,
}

/// An instance, alone in its update domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Instance {
    pub(super) up: bool,
    /// Whether it serves the new leaf, while it is up.
    pub(super) new: bool,
}

/// Update domains, which are as many as instances.
pub(super) const DOMAINS: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    Put(Way),
    Walk(u8),
    Others,
}

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Operation {
    pub(super) whose: Whose,
    /// It began before the last look, or time has passed since: a PUT that was looked for first does not meet it.
    pub(super) seen: bool,
}

/// A PUT that was sent and shows no trace yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct OnItsWay {
    pub(super) way: Way,
    /// Poll intervals since it was sent.
    age: u8,
    /// Its answer said that it was accepted, so that it will take effect; otherwise it may.
    accepted: bool,
}

/// Poll intervals after which a PUT that shows no trace never will. [`Limits::LOOKS`] looks one interval apart, the
/// first right after the answer was lost, span one interval less than there are looks.
#[expect(clippy::cast_possible_truncation, reason = "a handful of looks")]
const TRACELESS: u8 = Limits::LOOKS as u8 - 1;

/// The truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Azure {
    pub(super) content: Content,
    /// The edit was there at the last look, or time has passed since.
    pub(super) edit_seen: bool,
    pub(super) failed: bool,
    pub(super) running: Option<Operation>,
    pub(super) on_its_way: Option<OnItsWay>,
    /// The operation of a PUT that waits for the walk.
    pub(super) waiting: Option<Way>,
    /// Update domains that the last PUT has not reached, in Manual mode.
    unwalked: [bool; DOMAINS],
    pub(super) instances: [Instance; DOMAINS],
    /// How the operation of our last PUT ended, as its own URL tells.
    put_ended: Option<bool>,
    /// How the last walk ended.
    walk_ended: Option<bool>,
    /// A forward PUT of ours took effect.
    pub(super) forward_took_effect: bool,
    /// Any PUT of ours did.
    pub(super) took_effect: bool,
}

/// What an operation's status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Status {
    Running,
    Succeeded,
    Failed,
}

/// What became of a PUT that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fate {
    /// It took effect.
    Taken,
    /// It will take effect.
    WillBeTaken,
    /// It may take effect.
    MayBeTaken,
    /// It never will.
    Nothing,
}

/// Something that happens without certroll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    EndsWell(Aftermath),
    EndsBadly { down: bool },
    Arrives,
    InstancesComeUp,
    OthersEdit,
    OthersUpdate,
    OthersRestart,
    OthersMakeTheChange,
}

/// Instances after an operation that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aftermath {
    Right,
    OneDown,
    AsBefore,
}

impl Azure {
    /// Before anything happened.
    pub(super) const OLD: Self = Self {
        content: Content::OLD,
        edit_seen: false,
        failed: false,
        running: None,
        on_its_way: None,
        waiting: None,
        unwalked: [false; DOMAINS],
        instances: [Instance { up: true, new: false }; DOMAINS],
        put_ended: None,
        walk_ended: None,
        forward_took_effect: false,
        took_effect: false,
    };

    pub(super) fn provisioning(&self) -> Provisioning {
        if self.running.is_some() || self.waiting.is_some() {
            Provisioning::Updating
        } else if self.failed {
            Provisioning::Failed
        } else {
            Provisioning::Succeeded
        }
    }

    /// Everything is as a way wants it, and every instance serves it, but for those that need not be up.
    pub(super) fn is_right(&self, way: Way, excused: [bool; DOMAINS]) -> bool {
        let wanted = Content::wanted(way);
        let right = |(one, excused): (&Instance, bool)| match one.up {
            true => one.new == wanted.new,
            false => excused,
        };
        self.content == wanted && self.instances.iter().zip(excused).all(right)
    }

    /// Instances that are down though nothing runs: they were before anything was done.
    pub(super) fn down_by_themselves(&self) -> [bool; DOMAINS] {
        let idle = self.provisioning() != Provisioning::Updating;
        self.instances.map(|one| idle && !one.up)
    }

    /// An instance once it is up.
    fn reached(&self, domain: usize) -> Instance {
        let Instance { new, .. } = self.instances[domain];
        Instance { up: true, new: if self.unwalked[domain] { new } else { self.content.new } }
    }

    /// A PUT or a walk would meet something that runs. An operation that waits for its walk lets both through.
    pub(super) fn is_occupied(&self) -> bool {
        self.running.is_some() || self.on_its_way.is_some_and(|put| put.accepted)
    }

    /// Certroll reads the resource before a PUT: what is there now does not surprise it.
    pub(super) fn looked_at(&mut self) {
        if let Some(operation) = &mut self.running {
            operation.seen = true;
        }
        self.edit_seen = self.content.edited;
    }

    /// One poll interval passes.
    pub(super) fn tick(&mut self, facts: Facts) {
        self.looked_at();
        let Some(mut put) = self.on_its_way.take() else { return };
        put.age += 1;
        if put.age < TRACELESS {
            self.on_its_way = Some(put);
        } else if put.accepted {
            self.take(put.way, facts);
        }
    }

    /// Something sends our PUT's body into the resource.
    pub(super) fn sent(&mut self, way: Way, fate: Fate, facts: Facts) {
        match fate {
            Fate::Taken => self.take(way, facts),
            Fate::WillBeTaken => self.on_its_way = Some(OnItsWay { way, age: 0, accepted: true }),
            Fate::MayBeTaken => self.on_its_way = Some(OnItsWay { way, age: 0, accepted: false }),
            Fate::Nothing => {}
        }
        if fate == Fate::WillBeTaken {
            self.put_ended = None;
        }
    }

    fn take(&mut self, way: Way, facts: Facts) {
        self.cancel();
        self.on_its_way = None;
        self.content = Content::wanted(way);
        self.put_ended = None;
        self.took_effect = true;
        self.forward_took_effect |= way == Way::Forward;
        self.unwalked = [facts.mode != Mode::Auto; DOMAINS];
        match facts.mode {
            Mode::Auto | Mode::EndsBeforeWalk => self.begin(Whose::Put(way)),
            Mode::WaitsForWalk => self.waiting = Some(way),
        }
    }

    fn begin(&mut self, whose: Whose) {
        self.running = Some(Operation { whose, seen: false });
    }

    /// What runs or waits gives way to something newer.
    fn cancel(&mut self) {
        let running = matches!(self.running, Some(Operation { whose: Whose::Put(_), .. }));
        if self.waiting.is_some() || running {
            self.put_ended = Some(false);
        }
        if matches!(self.running, Some(Operation { whose: Whose::Walk(_), .. })) {
            self.walk_ended = Some(false);
        }
        (self.running, self.waiting, self.failed) = (None, None, false);
        self.unwalked = [false; DOMAINS];
    }

    /// The walk to a domain is accepted.
    pub(super) fn walk(&mut self, domain: u8) {
        self.walk_ended = None;
        self.begin(Whose::Walk(domain));
    }

    /// What the resource says of whatever runs or ran last.
    pub(super) fn resource_status(&self) -> Status {
        match self.provisioning() {
            Provisioning::Updating => Status::Running,
            Provisioning::Succeeded => Status::Succeeded,
            Provisioning::Failed => Status::Failed,
        }
    }

    /// What the URL of our last PUT says; by the resource where the service knows of no such operation.
    pub(super) fn put_status(&self) -> Status {
        let running = matches!(self.running, Some(Operation { whose: Whose::Put(_), .. }));
        if running || self.waiting.is_some() || self.on_its_way.is_some_and(|put| put.accepted) {
            return Status::Running;
        }
        match self.put_ended {
            Some(true) => Status::Succeeded,
            Some(false) => Status::Failed,
            None => self.resource_status(),
        }
    }

    /// What the URL of the last walk says.
    pub(super) fn walk_status(&self) -> Status {
        match (self.running, self.walk_ended) {
            (Some(Operation { whose: Whose::Walk(_), .. }), _) => Status::Running,
            (_, Some(true)) => Status::Succeeded,
            (_, Some(false)) => Status::Failed,
            (_, None) => self.resource_status(),
        }
    }

    /// What Azure may do by itself now.
    pub(super) fn moves(&self, facts: Facts) -> Vec<(Move, Self)> {
        let mut moves = Vec::new();
        let mut may = |what: Move| moves.push((what, self.after(what, facts)));
        if let Some(operation) = self.running {
            let auto = facts.mode == Mode::Auto;
            may(Move::EndsWell(Aftermath::Right));
            if matches!(operation.whose, Whose::Walk(_)) || auto {
                may(Move::EndsWell(Aftermath::OneDown));
            }
            if auto {
                may(Move::EndsWell(Aftermath::AsBefore));
            }
            may(Move::EndsBadly { down: false });
            if auto && operation.whose != Whose::Others {
                may(Move::EndsBadly { down: true });
            }
        } else if self.waiting.is_some() {
            may(Move::EndsBadly { down: false });
        } else {
            let late = (0..DOMAINS).any(|domain| self.instances[domain] != self.reached(domain));
            if !self.failed && late {
                may(Move::InstancesComeUp);
            }
        }
        let let_in = self.running.is_none() || facts.running == IntoRunning::Replaces;
        if self.on_its_way.is_some_and(|put| put.accepted || let_in) {
            may(Move::Arrives);
        }
        moves
    }

    /// What somebody else may do now. Nobody makes the same change as ours once ours was sent: from outside the two
    /// could not be told apart.
    pub(super) fn moves_of_others(&self, facts: Facts, sent: bool) -> Vec<(Move, Self)> {
        let mut moves = vec![Move::OthersEdit];
        if !self.is_occupied() {
            moves.push(Move::OthersRestart);
        }
        if !self.is_occupied() || facts.running == IntoRunning::Replaces {
            moves.push(Move::OthersUpdate);
            if !sent {
                moves.push(Move::OthersMakeTheChange);
            }
        }
        moves.into_iter().map(|what| (what, self.after(what, facts))).collect()
    }

    fn after(mut self, what: Move, facts: Facts) -> Self {
        match what {
            Move::EndsWell(aftermath) => self.ends_well(aftermath, facts),
            Move::EndsBadly { down } => {
                match self.running {
                    Some(Operation { whose: Whose::Walk(_), .. }) => self.walk_ended = Some(false),
                    Some(Operation { whose: Whose::Others, .. }) => {}
                    Some(Operation { whose: Whose::Put(_), .. }) | None => {
                        self.put_ended = Some(false);
                        self.waiting = None;
                        self.unwalked = [false; DOMAINS];
                    }
                }
                (self.running, self.failed) = (None, true);
                if down {
                    self.instances[0].up = false;
                }
            }
            Move::Arrives => {
                if let Some(put) = self.on_its_way {
                    self.take(put.way, facts);
                }
            }
            Move::InstancesComeUp => self.instances = std::array::from_fn(|domain| self.reached(domain)),
            Move::OthersEdit => (self.content.edited, self.edit_seen) = (true, false),
            Move::OthersUpdate => {
                self.cancel();
                (self.content.edited, self.edit_seen) = (true, false);
                self.begin(Whose::Others);
            }
            Move::OthersRestart => {
                self.instances[0].up = false;
                self.begin(Whose::Others);
            }
            Move::OthersMakeTheChange => {
                self.cancel();
                self.content.new = true;
                self.begin(Whose::Others);
            }
        }
        self
    }

    fn ends_well(&mut self, aftermath: Aftermath, facts: Facts) {
        let Some(operation) = self.running.take() else { return };
        self.failed = false;
        match operation.whose {
            Whose::Walk(domain) => {
                self.walk_ended = Some(true);
                let domain = usize::from(domain);
                if self.unwalked[domain] {
                    self.unwalked[domain] = false;
                    self.instances[domain] = self.reached(domain);
                    self.instances[domain].up = aftermath != Aftermath::OneDown;
                }
                if self.unwalked == [false; DOMAINS]
                    && let Some(way) = self.waiting.take()
                {
                    self.begin(Whose::Put(way));
                }
                return;
            }
            Whose::Put(_) => self.put_ended = Some(true),
            Whose::Others => {}
        }
        // In Manual mode it is the walk that reaches instances.
        if aftermath == Aftermath::AsBefore || (facts.mode != Mode::Auto && operation.whose != Whose::Others)
        {
            return;
        }
        self.instances = std::array::from_fn(|domain| self.reached(domain));
        self.instances[0].up = aftermath != Aftermath::OneDown;
    }

    /// Leaves out what can no longer matter, so that fewer worlds differ.
    pub(super) fn forget(&mut self, put_is_followed: bool) {
        self.walk_ended = None;
        if !put_is_followed {
            self.put_ended = None;
        }
    }
}
