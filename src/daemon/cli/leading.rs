//! What commands that lead rollouts have in common: they hold the journal, lead on what has no ending, hear signals, and
//! tell how everything ended.

use std::sync::Arc;

use serde_json::Value;

use super::endings::{Row, endings_json, endings_text, exit_of, worst};
use super::exit::Exit;
use super::failure::Failure;
use super::interrupts::Interrupts;
use super::watch::Watch;
use super::{Context, output};
use crate::config::Settings;
use crate::records::Records;
use crate::work::{ApprovedUpdate, Work};

/// A command that leads rollouts, once it has led on what an earlier run left.
pub(super) struct Leading {
    pub(super) work: Work,
    interrupts: Interrupts,
    rows: Vec<Row>,
}

/// What a command is to carry out, and what it found besides.
#[derive(Default)]
pub(super) struct Chosen {
    pub(super) updates: Vec<ApprovedUpdate>,
    /// What everything else means for a script: services that are blocked or could not be read.
    pub(super) exit: Option<Exit>,
}

impl Leading {
    /// Opens the journal, and leads on every rollout without an ending.
    ///
    /// # Errors
    /// The journal cannot be used, or the settings do not fit together.
    pub(super) async fn begin(
        settings: &Settings,
        program: &str,
        context: &Context,
    ) -> Result<Self, Failure> {
        let live = context.stderr.width().is_some() && !context.json;
        let watch = Watch::new(context.stderr, live, Box::new(output::write_message));
        let records = Records::write(&settings.journal, program).await?;
        let work = Work::new(settings, records, Arc::new(watch))
            .map_err(|error| Failure::new(Exit::Config, error))?;
        let interrupts = Interrupts::start();
        interrupts.leading(true);
        let rows = work.recover(interrupts.stop()).await?.into_iter().map(Row::from).collect();
        if !interrupts.is_asked() {
            interrupts.leading(false);
        }
        Ok(Self { work, interrupts, rows })
    }

    /// Whether the command is to end before it begins anything of its own.
    pub(super) fn is_asked_to_end(&self) -> bool {
        self.interrupts.is_asked()
    }

    /// Carries out what was chosen, tells how everything ended, and gives what that means for a script. What was led on
    /// is told even where nothing could be chosen.
    ///
    /// # Errors
    /// Nothing could be chosen, or the endings cannot be printed.
    pub(super) async fn end(
        self,
        chosen: Result<Chosen, Failure>,
        context: &Context,
    ) -> Result<Exit, Failure> {
        self.carry_out(chosen).await.tell(context)
    }

    /// Carries out what was chosen, and tells nobody.
    pub(super) async fn carry_out(mut self, chosen: Result<Chosen, Failure>) -> Led {
        let chosen = match chosen {
            Ok(chosen) => chosen,
            Err(failure) => return Led { rows: self.rows, outcome: Err(failure) },
        };
        if !chosen.updates.is_empty() {
            self.interrupts.leading(true);
            let carried = self.work.carry_out(chosen.updates, self.interrupts.stop()).await;
            self.rows.extend(carried.into_iter().map(Row::from));
        }
        let exit = worst([exit_of(&self.rows)].into_iter().chain(chosen.exit));
        Led { rows: self.rows, outcome: Ok(exit) }
    }
}

/// How everything ended that a command led.
pub(super) struct Led {
    rows: Vec<Row>,
    /// What it means for a script, or why nothing was chosen.
    pub(super) outcome: Result<Exit, Failure>,
}

impl Led {
    /// Nothing was begun.
    pub(super) fn nothing(failure: Failure) -> Self {
        Self { rows: Vec::new(), outcome: Err(failure) }
    }

    /// The endings as a document; none where nothing was chosen and nothing led on.
    pub(super) fn json(&self) -> Option<Value> {
        (self.outcome.is_ok() || !self.rows.is_empty()).then(|| endings_json(&self.rows))
    }

    /// Prints the endings, and gives what they mean.
    ///
    /// # Errors
    /// Nothing could be chosen, or the endings cannot be printed.
    pub(super) fn tell(self, context: &Context) -> Result<Exit, Failure> {
        if context.json {
            if let Some(endings) = self.json() {
                output::write_json(&endings)?;
            }
        } else if !self.rows.is_empty() {
            output::write_data(&endings_text(&self.rows, &context.stdout))?;
        }
        self.outcome
    }
}
