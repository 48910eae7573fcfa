//! `docs/runbook.md` has a place for everything that a person may meet, and for nothing else; and what the documents tell
//! people to type can be typed.

use std::collections::{BTreeMap, BTreeSet};

use certroll::cli::endings::WITHOUT_ENDING;
use certroll::cli::exit::Exit;
use certroll::status::ServiceWord;
use certroll_core::notice::NoticeKind;
use certroll_core::plan::Violation;
use certroll_core::policy::Guard;
use certroll_core::ports::FaultKind;
use certroll_core::rollout::Ending;

use crate::support::program::Place;
use crate::support::written::repository;

const RUNBOOK: &str = "docs/runbook.md";

/// The lines that each place has, in this order: what is seen, what it means, what is to be done, what certroll does.
const LEADS: [&str; 4] = ["- **Seen:** ", "- **Means:** ", "- **Do:** ", "- **Then:** "];

fn text(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap()
}

/// What the runbook's headings of one kind name, such as ``### Guard `names` ``, each with the text below it.
fn places<'t>(runbook: &'t str, kind: &str) -> Vec<(&'t str, &'t str)> {
    let heading = format!("### {kind} `");
    let below = |at: usize| {
        let rest = &runbook[at..];
        let (line, rest) = rest.split_once('\n').unwrap();
        (
            line.strip_suffix('`').expect(line),
            rest.split("\n## ").next().unwrap().split("\n### ").next().unwrap(),
        )
    };
    runbook.match_indices(&heading).map(|(at, _)| below(at + heading.len())).collect()
}

/// Compares the places of one kind with what the program knows, and sees that each says all four things.
fn assert_has(kind: &str, known: impl IntoIterator<Item = String>) {
    let runbook = text(RUNBOOK);
    let found = places(&runbook, kind);
    let words: Vec<&str> = found.iter().map(|(word, _)| *word).collect();
    assert_eq!(words, known.into_iter().collect::<Vec<_>>(), "{RUNBOOK}, headings `### {kind} ...`");
    for (word, below) in found {
        let leads: Vec<&str> =
            below.lines().filter_map(|line| LEADS.into_iter().find(|lead| line.starts_with(lead))).collect();
        assert_eq!(leads, LEADS, "{RUNBOOK}, {kind} `{word}`");
    }
}

#[test]
fn every_notice_has_its_place() {
    assert_has("Notice", NoticeKind::all().map(|kind| kind.word().to_owned()));
}

#[test]
fn every_ending_has_its_place() {
    assert_has("Ending", Ending::WORDS.into_iter().chain(WITHOUT_ENDING).map(str::to_owned));
}

#[test]
fn every_guard_has_its_place() {
    assert_has("Guard", Guard::all().map(|guard| guard.name().to_owned()));
    assert_has("Reason", Violation::NO_GUARDS.map(str::to_owned));
}

#[test]
fn every_state_has_its_place() {
    assert_has("State", ServiceWord::ALL.map(|state| state.word().to_owned()));
}

#[test]
fn every_fault_of_azure_has_its_place() {
    assert_has("Fault", FaultKind::ALL.map(|kind| kind.to_string()));
}

#[test]
fn every_exit_code_has_its_row() {
    let runbook = text(RUNBOOK);
    let rows: Vec<String> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(word, _)| word.to_owned())
        .filter(|word| word.parse::<u8>().is_ok())
        .collect();
    assert_eq!(rows, Exit::ALL.map(|exit| exit.code().to_string()));
}

/// What begins like a command and is none: the first line of what the journal's chain is made of.
const NOT_TYPED: &str = "certroll journal 1";

/// The lines that a document tells people to type.
fn typed(document: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut fenced = false;
    for line in document.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            lines.push(
                line.trim_start().trim_start_matches("$ ").trim_start_matches("sudo -u certroll ").to_owned(),
            );
        } else {
            lines.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    lines.retain(|line| line.starts_with("certroll ") && line != NOT_TYPED);
    lines
}

#[test]
fn what_the_documents_tell_to_type_can_be_typed() {
    let place = Place::new();
    let mut help: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut missing = Vec::new();
    let documents = std::fs::read_dir(repository("docs")).unwrap().map(|entry| entry.unwrap().path());
    let documents = documents.chain([repository("README.md")]);
    for path in documents.filter(|path| path.extension().is_some_and(|end| end == "md")) {
        for line in typed(&std::fs::read_to_string(&path).unwrap()) {
            let words = line.split_whitespace().skip(1).take_while(|word| !["#", "|", "&&"].contains(word));
            let words: Vec<&str> = words.collect();
            // What is a sentence about certroll, or only a name, is no command.
            let Some(command) = words.first().filter(|word| word.bytes().all(|b| b.is_ascii_lowercase()))
            else {
                continue;
            };
            let flags = help.entry((*command).to_owned()).or_insert_with(|| {
                let ran = place.run(&[command, "--help"]);
                let shown = if ran.code == 0 { ran.stdout } else { String::new() };
                let flags = shown.split(|c: char| c.is_whitespace() || [',', '=', ']'].contains(&c));
                flags.filter(|word| word.starts_with("--")).map(str::to_owned).collect()
            });
            let unknown =
                |word: &&&str| word.starts_with("--") && !flags.contains(word.split('=').next().unwrap());
            if flags.is_empty() || words.iter().any(|word| unknown(&word)) {
                missing.push(format!("{}: {line}", path.file_name().unwrap().display()));
            }
        }
    }
    assert!(help.len() > 10, "the documents name hardly any command: {:?}", help.keys());
    assert!(missing.is_empty(), "there is no such command or option:\n{}", missing.join("\n"));
}

/// The messages of two levels in a source text.
fn messages(source: &str) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    for level in ["warn", "error"] {
        for (at, opening) in source.match_indices(&format!("tracing::{level}!(")) {
            // The message is the last text of the call, and no text in it holds a parenthesis.
            let call = &source[at + opening.len()..];
            let mut depth = 1;
            let end = call.find(|c: char| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                depth == 0
            });
            let call = &call[..end.expect(call)];
            let message = call.rsplit('"').nth(1).expect(call);
            found.push((level, message.to_owned()));
        }
    }
    found
}

/// Every source file of the crates that the daemon is made of, but for tests.
fn sources(directory: &std::path::Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            found.push(std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_message_that_asks_for_somebody_has_its_row() {
    let mut texts = Vec::new();
    for package in ["azure", "core", "daemon", "engine", "journal"] {
        sources(&repository("src").join(package), &mut texts);
    }
    let logged: BTreeSet<(&str, String)> = texts.iter().flat_map(|text| messages(text)).collect();
    let runbook = text(RUNBOOK);
    let (_, table) = runbook.split_once("## Log lines\n").unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let told: BTreeSet<(&str, String)> = rows.iter().map(|row| (row[1], row[0].to_owned())).collect();
    assert_eq!(rows.len(), told.len(), "a message stands twice");
    let missing: Vec<_> = logged.difference(&told).collect();
    let surplus: Vec<_> = told.difference(&logged).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "not in {RUNBOOK}: {missing:#?}\nnot in the code: {surplus:#?}"
    );
}

/// Quoted, and put together of pieces by the program, or said by a library.
const PUT_TOGETHER: [&str; 10] = [
    "Why the change was turned back: …",
    "Why the change was given up: …",
    "shop: a renewal is blocked, guard `names` refuses",
    "guards chain, form refuse",
    "ShopTls ends in 6 days and is not renewed",
    "7 services cannot be read",
    "expected at least one day of life left",
    "expected a CA certificate, as the deployed one is",
    "tunnel error",
    "panicked at",
];

/// What the runbook quotes, as pieces that stand in a text of the program: without names, numbers and what is left out.
fn quoted(runbook: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    let mut fenced = false;
    for line in runbook.lines() {
        fenced ^= line.starts_with("```");
        if line.is_empty() || ["- ", "|", "#"].iter().any(|mark| line.starts_with(mark)) {
            blocks.push(String::new());
        }
        if let Some(block) = blocks.last_mut().filter(|_| !fenced) {
            block.extend([line.trim_start(), " "]);
        }
    }
    let mut pieces = Vec::new();
    for text in blocks.iter().flat_map(|block| block.split('"').skip(1).step_by(2)) {
        if PUT_TOGETHER.contains(&text) {
            continue;
        }
        // What stands in backticks is put in by the program.
        let said: Vec<&str> = text.split('`').step_by(2).collect();
        let said = said.join("…").replace("shop-kv", "…").replace("shop", "…").replace("ShopTls", "…");
        let pieces_of = said.split(|c: char| c == '…' || c == ':' || c.is_ascii_digit()).map(|piece| {
            let piece = piece.trim_matches([' ', '.', ',', ';']);
            ["expected ", "found "]
                .iter()
                .find_map(|word| piece.strip_prefix(word))
                .unwrap_or(piece)
                .to_owned()
        });
        pieces.extend(pieces_of.filter(|piece| piece.len() > 5));
    }
    pieces
}

#[test]
fn the_words_that_are_quoted_are_the_programs() {
    let mut texts = Vec::new();
    for package in ["azure", "core", "daemon", "engine", "journal"] {
        sources(&repository("src").join(package), &mut texts);
    }
    // A text that is broken over lines stands in one piece when it is printed.
    let said: String = texts
        .iter()
        .flat_map(|text| text.split("\\\n").enumerate())
        .map(|(number, part)| if number == 0 { part } else { part.trim_start() })
        .collect();
    let pieces = quoted(&text(RUNBOOK));
    assert!(pieces.len() > 80, "hardly anything is quoted: {pieces:?}");
    let unknown: Vec<_> = pieces.iter().filter(|piece| !said.contains(piece.as_str())).collect();
    assert!(unknown.is_empty(), "the program does not say: {unknown:#?}");
}
