//! The question before anything is changed.

use std::io::{BufRead, IsTerminal, Read};

use super::exit::Exit;
use super::failure::Failure;
use super::{Context, output};

/// Longest answer to a question.
const ANSWER_LIMIT: u64 = 64;

/// Asks a question, unless `--yes` was given. `done` is the word for what is otherwise not done.
///
/// # Errors
/// Nobody can answer, or the answer is not yes.
pub(super) fn confirm(yes: bool, question: &str, done: &str, context: &Context) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        let error = format!("nothing was {done}, since nobody can answer: standard input is not a terminal");
        return Err(Failure::new(Exit::Usage, error).hint("add `--yes` to go on without a question"));
    }
    output::write_message(&format!("{} [y/N] ", context.stderr.heading(question)));
    let mut answer = String::new();
    std::io::stdin().lock().take(ANSWER_LIMIT).read_line(&mut answer)?;
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(Failure::new(Exit::TempFail, format!("nothing was {done}, since the answer was not `y`")))
    }
}
