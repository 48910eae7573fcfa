//! `certroll completions`: what a shell needs to complete the command line.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::exit::Exit;
use super::failure::Failure;
use super::{Cli, output};

/// Print what a shell needs to complete commands and options
///
/// The packages bring it where shells look for it. Without them, one of the examples puts it there; a new shell has it.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  certroll completions bash > ~/.local/share/bash-completion/completions/certroll
  certroll completions zsh > \"${fpath[1]}/_certroll\"
  certroll completions fish > ~/.config/fish/completions/certroll.fish
  certroll completions powershell >> $PROFILE

Exit codes:
  0   printed
  Others as for every command: see `certroll --help`.")]
pub struct CompletionsArguments {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// Runs the command.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(arguments: &CompletionsArguments) -> Result<Exit, Failure> {
    output::write_data(&script(arguments.shell))?;
    Ok(Exit::Ok)
}

fn script(shell: Shell) -> String {
    let mut written = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "certroll", &mut written);
    String::from_utf8_lossy(&written).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_is_told_of_every_command_and_option() {
        use clap::ValueEnum;
        let mut program = Cli::command();
        program.build();
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for command in program.get_subcommands() {
                let name = command.get_name();
                assert!(script.contains(name), "{shell}: {name}");
                for option in command.get_arguments().filter_map(clap::Arg::get_long) {
                    assert!(script.contains(option), "{shell}: {name} --{option}");
                }
            }
        }
    }
}
