//! `docs/commands.md`: help, outputs and errors of every command, from the snapshots that the tests of the commands hold.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::support::program::Place;
use crate::support::written::{assert_current, repository};

/// A command, and what is shown of it: a line that says what it is, and its snapshot.
struct Shown {
    command: &'static str,
    outputs: &'static [(&'static str, &'static str)],
    errors: &'static [(&'static str, &'static str)],
}

/// In the order of the help.
const COMMANDS: &[Shown] = &[
    Shown {
        command: "run",
        outputs: &[("its first words", "run_log")],
        errors: &[("another process holds the journal", "run_another_runs")],
    },
    Shown {
        command: "check",
        outputs: &[
            ("one service in the public cloud", "check_public-single-service"),
            ("a chain held as secrets, in China", "check_china-chain-as-secrets"),
            ("US Government, with a proxy and stages", "check_usgov-proxy-and-stages"),
            ("several files over one another", "check_layers"),
            ("as JSON", "check_json"),
        ],
        errors: &[
            ("as JSON", "check_json_problems"),
            ("there is no file", "malformed_main_absent"),
            ("the file is no text", "malformed_main_not_text"),
            ("wrong services", "malformed_services"),
            ("a wrong structure", "malformed_structure"),
            ("a wrong cloud", "malformed_cloud"),
            ("a wrong identity", "malformed_identity"),
            ("wrong times", "malformed_times"),
            ("wrong settings of HTTP", "malformed_http"),
            ("a damaged file of certificates", "malformed_ca_damaged"),
            ("a file without certificates", "malformed_ca_none"),
            ("wrong overrides of the environment", "malformed_environment"),
            ("wrong files", "malformed_files"),
            ("many mistakes at once", "malformed_everything"),
            ("a file with a secret that others can read", "secret_file_world_readable"),
        ],
    },
    Shown {
        command: "inspect",
        outputs: &[
            ("containers", "inspect_containers"),
            ("texts", "inspect_texts"),
            ("as JSON", "inspect_json"),
        ],
        errors: &[("what it cannot read", "inspect_refusals")],
    },
    Shown {
        command: "plan",
        outputs: &[
            ("a renewed set", "plan_renewed_set"),
            ("nothing to do", "plan_current"),
            ("a guard refuses", "plan_blocked"),
        ],
        errors: &[
            ("a vault that lets nobody through", "plan_firewall"),
            ("a service that is not in the configuration", "plan_unknown_service"),
        ],
    },
    Shown {
        command: "apply",
        outputs: &[
            ("a rollout that is verified", "apply_verified"),
            ("nothing to apply", "apply_nothing"),
            ("interrupted, and led on", "apply_interrupted"),
        ],
        errors: &[
            ("nobody can answer", "apply_without_an_answer"),
            ("a plan that was altered", "apply_altered_plan"),
            ("a plan of another format", "apply_plan_of_another_format"),
        ],
    },
    Shown {
        command: "history",
        outputs: &[
            ("the latest rollouts", "history_list"),
            ("one rollout", "history_one"),
            ("every record is whole", "history_whole"),
        ],
        errors: &[
            ("there is no journal", "history_no_journal"),
            ("no such rollout or service", "history_unknown"),
        ],
    },
    Shown {
        command: "restore",
        outputs: &[("the way back", "restore_verified")],
        errors: &[("a service that is not in the configuration", "restore_nothing_to_undo")],
    },
    Shown {
        command: "release",
        outputs: &[
            ("a set that was put back", "release_done"),
            ("nothing holds it", "release_nothing_holds"),
        ],
        errors: &[
            ("nobody can answer", "release_needs_an_answer"),
            ("a service that is not in the configuration", "release_unknown"),
        ],
    },
    Shown {
        command: "status",
        outputs: &[
            ("every state", "status_every_state"),
            ("what concerns everything", "status_exceptions"),
            ("the status line", "status_line"),
            ("one service that is blocked", "status_of_cash"),
            ("one that is current", "status_of_home"),
            ("one that waits", "status_of_blog"),
            ("one that cannot be read", "status_of_farm"),
        ],
        errors: &[("no certroll runs", "status_nobody_answers")],
    },
    Shown {
        command: "activate",
        outputs: &[("it looks", "activate_done")],
        errors: &[("no certroll runs", "activate_nobody_answers")],
    },
    Shown {
        command: "reload",
        outputs: &[("nothing changed", "reload_done")],
        errors: &[("no certroll runs", "reload_nobody_answers")],
    },
    Shown {
        command: "approve",
        outputs: &[("a change that waited for that", "approve_done")],
        errors: &[
            ("another plan waits", "approve_another_plan"),
            ("no certroll runs", "approve_nobody_answers"),
        ],
    },
    Shown {
        command: "pause",
        outputs: &[("everything", "pause_everything")],
        errors: &[
            ("a service that is not in the configuration", "pause_unknown"),
            ("no certroll runs", "pause_nobody_answers"),
        ],
    },
    Shown {
        command: "resume",
        outputs: &[("everything", "resume_everything")],
        errors: &[("no certroll runs", "resume_nobody_answers")],
    },
    Shown {
        command: "notify test",
        outputs: &[("the channel took it", "notify_test_taken")],
        errors: &[("no such channel", "notify_test_unknown")],
    },
    Shown {
        command: "upload",
        outputs: &[
            ("stored", "upload_stored"),
            ("what would be uploaded as a certificate", "upload_dry_run"),
            ("what would be uploaded as a secret", "upload_dry_run_secret"),
        ],
        errors: &[
            ("what a guard refuses", "upload_refused"),
            ("what no vault could use", "upload_unsuitable"),
        ],
    },
    Shown {
        command: "discover",
        outputs: &[
            ("the first time", "discover_first"),
            ("secrets named after their thumbprints", "discover_named_after_thumbprints"),
            ("again", "discover_again"),
            ("what a known service lacks", "discover_known"),
        ],
        errors: &[
            ("what it may not list", "discover_denied"),
            ("what it cannot read", "discover_unreadable"),
        ],
    },
    Shown {
        command: "doctor",
        outputs: &[("healthy", "doctor_healthy"), ("healthy, in full", "doctor_healthy_all")],
        errors: &[("ill", "doctor_ill")],
    },
    Shown { command: "completions", outputs: &[], errors: &[("no such shell", "completions_unknown")] },
    Shown { command: "man", outputs: &[], errors: &[("no such command", "man_unknown")] },
];

/// Commands whose output is a program for something else, of hundreds of lines.
const FOR_PROGRAMS: [&str; 2] = ["completions", "man"];

fn snapshot(name: &str) -> String {
    let path = format!("tests/snapshots/{name}.snap");
    let text = std::fs::read_to_string(repository(&path)).unwrap_or_else(|fault| panic!("{path}: {fault}"));
    let (_, text) = text.strip_prefix("---\n").and_then(|text| text.split_once("\n---\n")).expect(&path);
    text.trim_end().to_owned()
}

/// The commands that can be called, as the program itself lists them.
fn commands(place: &Place, above: &[&str]) -> Vec<String> {
    let help = place.run(&[above, &["-h"]].concat()).stdout;
    let Some((_, listed)) = help.split_once("Commands:\n") else { return vec![above.join(" ")] };
    let names = listed.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
    names.flat_map(|name| commands(place, &[above, &[name]].concat())).collect()
}

#[test]
fn the_document_has_every_command_with_what_it_prints() {
    let place = Place::new();
    let documented: Vec<&str> = COMMANDS.iter().map(|shown| shown.command).collect();
    let there = commands(&place, &[]);
    assert_eq!(
        documented.iter().copied().collect::<BTreeSet<_>>(),
        there.iter().map(String::as_str).collect(),
        "each command has a part of the document"
    );

    let mut document = "# Commands\n\nHelp, outputs and errors of every command, as the tests hold them. What differs from \
                        run to run stands in brackets. A test writes this file: see `tests/formats/commands_document.rs`.\n"
        .to_owned();
    let mut used = BTreeSet::from(["help".to_owned(), "help_short".to_owned(), "help_notify".to_owned()]);
    writeln!(document, "\n## certroll\n\n```text\n{}\n```", snapshot("help")).unwrap();
    for Shown { command, outputs, errors } in COMMANDS {
        assert!(!errors.is_empty(), "{command}: an error");
        assert!(!outputs.is_empty() || FOR_PROGRAMS.contains(command), "{command}: an output");
        let help = format!("help_{}", command.replace(' ', "_"));
        writeln!(document, "\n## certroll {command}\n\n```text\n{}\n```", snapshot(&help)).unwrap();
        used.insert(help);
        for (kind, parts) in [("Output", outputs), ("Error", errors)] {
            for (title, name) in *parts {
                writeln!(document, "\n{kind}: {title}\n\n```text\n{}\n```", snapshot(name)).unwrap();
                assert!(used.insert((*name).to_owned()), "{name} is shown twice");
            }
        }
    }
    let kept: BTreeSet<String> = std::fs::read_dir(repository("tests/snapshots"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".snap").map(str::to_owned))
        .collect();
    assert_eq!(
        kept.difference(&used).collect::<Vec<_>>(),
        Vec::<&String>::new(),
        "snapshots that are not shown"
    );
    assert_current("docs/commands.md", &document);
}
