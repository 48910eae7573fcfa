//! One entry: its columns, and how it is chained to the one before.

use std::collections::BTreeSet;
use std::fmt;

use certroll_core::id::{CloudServiceId, RolloutId};
use certroll_core::ports::{JournalError, JournalFault, Recorded};
use certroll_core::rollout::Event;
use certroll_core::standing::{Decided, Decision};
use jiff::Timestamp;
use rusqlite::Row;
use serde::de::IntoDeserializer;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Longest JSON of one entry. The largest, `captured`, holds a resource; Resource Manager takes requests of 4 MiB, and
/// JSON in JSON grows by its escapes.
pub(crate) const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// The word of what retention dropped.
const DROPPED: &str = "dropped";

/// SHA-256.
pub(crate) type Hash = [u8; 32];

/// A place in the chain: the number of an entry, and the hash that stands for it and all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) seq: i64,
    pub(crate) chain: Hash,
}

impl Mark {
    /// Before the first entry.
    pub(crate) const BEGINNING: Self = Self { seq: 0, chain: [0; 32] };
}

/// Kinds of entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An event of a rollout.
    Event,
    /// What a person decided.
    Decision,
    /// What retention dropped.
    Dropped,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Decision => "decision",
            Self::Dropped => "dropped",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::Event, Self::Decision, Self::Dropped].into_iter().find(|kind| kind.word() == word)
    }
}

/// What retention dropped, and why a body or an entry may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Drops {
    /// Rollouts whose events lost their bodies.
    pub(crate) rollouts: BTreeSet<String>,
    /// Decisions that lost their bodies, by the numbers of their entries.
    pub(crate) decisions: BTreeSet<i64>,
    /// The last entry that was removed altogether.
    pub(crate) base: i64,
}

/// An entry that is to be written.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) at: String,
    pub(crate) kind: Kind,
    pub(crate) rollout: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) word: String,
    pub(crate) body: String,
    pub(crate) digest: Hash,
}

impl Draft {
    /// Of an event.
    pub(crate) fn event(record: &Recorded) -> Result<Self, JournalError> {
        let service = match &record.event {
            Event::Opened { rollout, update, .. } if *rollout == record.rollout => Some(key(&update.service)),
            Event::Opened { rollout, .. } => {
                let message = format!("the rollout {} opens another one, {rollout}", record.rollout);
                return Err(JournalError::new(JournalFault::Failed, message));
            }
            _ => None,
        };
        let what = || format!("the event `{}` of the rollout {}", record.event.word(), record.rollout);
        let body = json(&record.event, what)?;
        let word = event_word(&body).map_err(|error| JournalError::new(JournalFault::Failed, error))?;
        let rollout = Some(record.rollout.as_str().to_owned());
        Ok(Self::new(record.at, Kind::Event, rollout, service, word, body))
    }

    /// Of a decision.
    pub(crate) fn decision(decided: &Decided) -> Result<Self, JournalError> {
        let body = json(decided, || format!("a decision on {}", decided.service))?;
        let word = decision_word(&decided.decision);
        let service = Some(key(&decided.service));
        Ok(Self::new(decided.at, Kind::Decision, None, service, word.to_owned(), body))
    }

    /// Of what retention drops.
    pub(crate) fn drops(at: Timestamp, drops: &Drops) -> Result<Self, JournalError> {
        let body = json(drops, || format!("the list of {} dropped rollouts", drops.rollouts.len()))?;
        Ok(Self::new(at, Kind::Dropped, None, None, DROPPED.to_owned(), body))
    }

    fn new(
        at: Timestamp,
        kind: Kind,
        rollout: Option<String>,
        service: Option<String>,
        word: String,
        body: String,
    ) -> Self {
        let digest = Sha256::digest(&body).into();
        Self { at: at.to_string(), kind, rollout, service, word, body, digest }
    }

    /// The hash that stands for it and everything before it.
    pub(crate) fn chain(&self, previous: &Mark) -> Hash {
        let texts = [Some(self.at.as_str()), Some(self.kind.word()), self.rollout.as_deref()];
        let more = [self.service.as_deref(), Some(self.word.as_str())];
        link(&previous.chain, previous.seq + 1, texts.into_iter().chain(more), &self.digest)
    }
}

/// SHA-256 over the hash before, the number, each text (`0`, or `1`, its length and its bytes) and the digest of the body.
/// The body itself is not part of it, so that it can be dropped.
fn link<'a>(
    previous: &Hash,
    seq: i64,
    texts: impl IntoIterator<Item = Option<&'a str>>,
    digest: &Hash,
) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(b"certroll journal 1\n");
    hasher.update(previous);
    hasher.update(seq.to_be_bytes());
    for text in texts {
        match text {
            None => hasher.update([0]),
            Some(text) => {
                hasher.update([1]);
                hasher.update((text.len() as u64).to_be_bytes());
                hasher.update(text);
            }
        }
    }
    hasher.update(digest);
    hasher.finalize().into()
}

/// A service as it is looked for: the id in lower case, since it is compared without case.
pub(crate) fn key(service: &CloudServiceId) -> String {
    service.to_string().to_ascii_lowercase()
}

fn json(value: &impl Serialize, what: impl Fn() -> String) -> Result<String, JournalError> {
    let text = serde_json::to_string(value)
        .map_err(|error| JournalError::new(JournalFault::Failed, format!("{}: {error}", what())))?;
    if text.len() > BODY_LIMIT {
        let message = format!(
            "{} has {} bytes; expected at most {BODY_LIMIT}, which an entry takes",
            what(),
            text.len()
        );
        return Err(JournalError::new(JournalFault::Failed, message));
    }
    Ok(text)
}

/// The tag of an event, which is part of the format; the word in messages is not.
fn event_word(body: &str) -> Result<String, serde_json::Error> {
    #[derive(Deserialize)]
    struct Tagged {
        event: String,
    }
    serde_json::from_str(body).map(|Tagged { event }| event)
}

fn decision_word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Released => "released",
        Decision::Approved { .. } => "approved",
    }
}

/// The name of a rollout from its column.
pub(crate) fn rollout_id(text: &str) -> Result<RolloutId, String> {
    let read: Result<RolloutId, serde::de::value::Error> = RolloutId::deserialize(text.into_deserializer());
    read.map_err(|error| format!("its rollout `{text}` is not understood: {error}"))
}

/// An entry as it is in the file.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) seq: i64,
    pub(crate) at: String,
    pub(crate) kind: String,
    pub(crate) rollout: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) word: String,
    pub(crate) body: Option<String>,
    pub(crate) digest: Hash,
    pub(crate) chain: Hash,
}

/// What an entry says.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Event(Box<Recorded>),
    Decision(Decided),
    Dropped(Drops),
}

impl Entry {
    /// The columns in the order in which [`Entry::of`] takes them, of the table `e`.
    pub(crate) const COLUMNS: &str =
        "e.seq, e.at, e.kind, e.rollout, e.service, e.word, e.body, e.digest, e.chain";

    /// Reads the columns.
    pub(crate) fn of(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            seq: row.get(0)?,
            at: row.get(1)?,
            kind: row.get(2)?,
            rollout: row.get(3)?,
            service: row.get(4)?,
            word: row.get(5)?,
            body: row.get(6)?,
            digest: row.get(7)?,
            chain: row.get(8)?,
        })
    }

    /// Its place in the chain.
    pub(crate) fn mark(&self) -> Mark {
        Mark { seq: self.seq, chain: self.chain }
    }

    /// Whether it is what was written after the entry before it.
    pub(crate) fn follows(&self, previous: &Mark) -> bool {
        let texts = [Some(self.at.as_str()), Some(self.kind.as_str()), self.rollout.as_deref()];
        let more = [self.service.as_deref(), Some(self.word.as_str())];
        previous.seq + 1 == self.seq
            && link(&previous.chain, self.seq, texts.into_iter().chain(more), &self.digest) == self.chain
    }

    /// Whether `drops` tell why it has no body.
    pub(crate) fn is_dropped(&self, drops: &Drops) -> bool {
        match Kind::of(&self.kind) {
            Some(Kind::Event) => self.rollout.as_deref().is_some_and(|id| drops.rollouts.contains(id)),
            Some(Kind::Decision) => drops.decisions.contains(&self.seq),
            Some(Kind::Dropped) | None => false,
        }
    }

    /// What it says; nothing where it has no body.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn content(&self) -> Result<Option<Content>, String> {
        let Some(body) = &self.body else { return Ok(None) };
        if self.digest != <Hash>::from(Sha256::digest(body)) {
            return Err("its body does not have the digest it was written with".to_owned());
        }
        let not_understood = |error: serde_json::Error| format!("its body is not understood: {error}");
        let kind = Kind::of(&self.kind).ok_or_else(|| format!("its kind `{}` is not known", self.kind))?;
        let at: Timestamp =
            self.at.parse().map_err(|error| format!("its time `{}` is not understood: {error}", self.at))?;
        let content = match kind {
            Kind::Event => {
                let event: Event = serde_json::from_str(body).map_err(not_understood)?;
                let rollout = rollout_id(self.rollout.as_deref().unwrap_or_default())?;
                Content::Event(Box::new(Recorded { at, rollout, event }))
            }
            Kind::Decision => Content::Decision(serde_json::from_str(body).map_err(not_understood)?),
            Kind::Dropped => Content::Dropped(serde_json::from_str(body).map_err(not_understood)?),
        };
        let word = match &content {
            Content::Event(_) => event_word(body).map_err(not_understood)?,
            Content::Decision(decided) => decision_word(&decided.decision).to_owned(),
            Content::Dropped(_) => DROPPED.to_owned(),
        };
        if self.word == word && self.agrees(&content) {
            Ok(Some(content))
        } else {
            Err("its columns do not agree with its body".to_owned())
        }
    }

    /// Whether the columns by which it is found say what the body says.
    fn agrees(&self, content: &Content) -> bool {
        match content {
            Content::Event(record) => match &record.event {
                Event::Opened { rollout, update, .. } => {
                    *rollout == record.rollout && self.service == Some(key(&update.service))
                }
                _ => self.service.is_none(),
            },
            Content::Decision(decided) => {
                self.rollout.is_none()
                    && self.service == Some(key(&decided.service))
                    && self.at == decided.at.to_string()
            }
            Content::Dropped(_) => self.rollout.is_none() && self.service.is_none(),
        }
    }
}

/// The place, for people.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {} (", self.seq)?;
        match &self.rollout {
            Some(rollout) => write!(f, "rollout {rollout}, {} `{}`", self.kind, self.word)?,
            None => write!(f, "{} `{}`", self.kind, self.word)?,
        }
        if let (None, Some(service)) = (&self.rollout, &self.service) {
            write!(f, " on {service}")?;
        }
        write!(f, ", written at {})", self.at)
    }
}
