//! ASKS: banishctl, a client of the bus, and a look at configuration and filters without the daemon.
//!
//! Comes in: a command line. Goes out: calls on the bus, text or JSON on stdout, errors on stderr and
//! an exit code. To the daemon it can do nothing that `busctl` could not; what it does without the
//! daemon reads files and journals and changes nothing.

mod client;
mod config_dump;
mod conformance;
mod filter_test;
pub mod import;
mod lines;
mod monitor;
mod pager;
mod render;
mod span;
mod tree;
mod unit;
mod verify;

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueHint};

use crate::cli::client::{Client, ClientError};
use crate::cli::config_dump::ConfigVerb;
use crate::cli::conformance::Conformance;
use crate::cli::filter_test::{Test, TestError};
use crate::cli::render::Style;
use crate::cli::verify::{Verdict, Verify};
use crate::dbus::error::chain;
use crate::engine::address::Offender;
use crate::engine::time::BanTime;

/// Look at and change what banishd bans.
#[derive(Debug, Parser)]
#[command(name = "banishctl", version, arg_required_else_help = true)]
#[command(after_help = "See banishctl(1) for all of it, with examples.")]
struct Arguments {
    /// Print JSON, one object a line
    #[arg(long, global = true, display_order = 1000)]
    json: bool,
    /// Do not show long text in a pager
    #[arg(long, global = true, display_order = 1000)]
    no_pager: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the daemon and its jails, or one jail
    Status {
        /// The jail
        jail: Option<String>,
    },
    /// Name the jails, one a line
    Jails,
    /// List bans
    Bans {
        /// Of this jail only
        jail: Option<String>,
        /// Only those that cover this address or lie within this prefix
        #[arg(long, value_name = "ADDRESS", conflicts_with = "jail")]
        of: Option<String>,
    },
    /// Show why an address is banned
    Why {
        /// The address, or a prefix that it may lie within
        address: String,
    },
    /// Ban an address or a prefix
    Ban {
        /// The jail
        jail: String,
        /// The address or prefix
        address: String,
        /// For this long: 600, 10min, "1h 30min", forever (default: as long as the jail does)
        #[arg(long = "for", value_name = "TIME", value_parser = span::parse, allow_hyphen_values = true)]
        time: Option<BanTime>,
    },
    /// Lift bans: of an address in one jail or in all, or all of them
    Unban(Unban),
    /// Read the configuration again, and wait until it is in force
    Reload,
    /// Let a stopped jail run again
    Start {
        /// The jail
        jail: String,
    },
    /// Stop a jail and lift its bans, until it is started or banishd restarts
    Stop {
        /// The jail
        jail: String,
    },
    /// Take over the bans of fail2ban, and how often it banned whom
    Import {
        /// fail2ban's database
        #[arg(default_value = "/var/lib/fail2ban/fail2ban.sqlite3", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Only say what would be taken over
        #[arg(long)]
        dry_run: bool,
    },
    /// Follow what happens
    Monitor,
    /// Check the configuration as the service would read it, without running it
    Verify(Verify),
    /// Look at the configuration, without the daemon
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Try filters, without the daemon
    Filter {
        #[command(subcommand)]
        verb: FilterVerb,
    },
    /// Try a log message on a jail's filter
    Test {
        /// The jail
        jail: String,
        /// The message
        message: String,
    },
}

#[derive(Debug, Subcommand)]
enum FilterVerb {
    /// Try a filter on log lines
    Test(Box<Test>),
    /// Put filters to annotated log lines
    Conformance(Conformance),
}

#[derive(Debug, Args)]
#[command(
    override_usage = "banishctl unban [OPTIONS] [JAIL] ADDRESS\n       banishctl unban [OPTIONS] --all [JAIL]"
)]
struct Unban {
    /// The address or prefix, before it the jail if only one is meant; with --all the jail alone
    #[arg(value_name = "WHAT", num_args = 1..=2, required_unless_present = "all")]
    what: Vec<String>,
    /// Lift every ban, of the jail if one is named
    #[arg(long)]
    all: bool,
}

/// Every verb and option, as the command line has them.
#[must_use]
pub fn command_line() -> clap::Command {
    Arguments::command()
}

/// Runs one command.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (json, pages) = (arguments.json, !arguments.json && !arguments.no_pager);
    match &arguments.verb {
        Verb::Filter { verb } => return offline(verb, json),
        Verb::Verify(verify) => return told(&verify.run(json), pages),
        Verb::Config(ConfigVerb::Dump(dump)) => return told(&dump.run(json), pages),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments)),
        Err(error) => Err(ClientError::Output(error)),
    };
    // Not before the runtime is gone: the bus is not kept waiting for a reader.
    let result = result.and_then(|text| pager::show(&text, pages).map_err(ClientError::Output));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(ClientError::Output(error)) if is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Whether whoever reads the output has seen enough.
fn is_closed(error: &io::Error) -> bool {
    error.kind() == ErrorKind::BrokenPipe
}

/// The verbs that try filters.
fn offline(verb: &FilterVerb, json: bool) -> ExitCode {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    let mut print = |text: &str| stdout.write_all(text.as_bytes());
    let result = match verb {
        FilterVerb::Conformance(conformance) => conformance.run(json, &mut print),
        FilterVerb::Test(test) => test.run(json, &mut print),
    };
    match result.and_then(|code| stdout.flush().map(|()| code).map_err(TestError::Output)) {
        Ok(code) => code,
        Err(TestError::Output(error)) if is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{}", chain(&error));
            ExitCode::from(2)
        }
    }
}

/// Says what came of a verb that needs neither bus nor daemon.
fn told(verdict: &Verdict, pages: bool) -> ExitCode {
    if let Some(remark) = &verdict.remark {
        let _ = writeln!(io::stderr(), "{remark}");
    }
    match pager::show(&verdict.text, pages) {
        Err(error) if !is_closed(&error) => {
            let _ = writeln!(io::stderr(), "{}", ClientError::Output(error));
            ExitCode::FAILURE
        }
        _ => ExitCode::from(verdict.code),
    }
}

/// The verbs that are calls on the bus; what to print.
async fn run(arguments: Arguments) -> Result<String, ClientError> {
    let client = Client::connect().await?;
    let json = arguments.json;
    let style = Style::of_stdout();
    Ok(match arguments.verb {
        Verb::Status { jail: None } => {
            let status = client.status().await?;
            match json {
                true => render::to_json(&status),
                false => render::status(&status, client::now(), style),
            }
        }
        Verb::Status { jail: Some(jail) } => {
            let jail = client.jail(&jail).await?;
            match json {
                true => render::to_json(&jail),
                false => render::jail(&jail, client::now(), style),
            }
        }
        Verb::Jails => {
            let jails = client.jails().await?;
            let line = |name: &String| match json {
                true => render::to_json(&serde_json::json!({ "jail": name })),
                false => format!("{name}\n"),
            };
            jails.iter().map(line).collect()
        }
        Verb::Bans { jail, of } => {
            let bans = client.bans(jail.as_deref(), of.as_deref()).await?;
            match json {
                true => render::bans_json(&bans),
                false => render::bans(&bans, client::now()),
            }
        }
        Verb::Why { address } => {
            let reasons = client.why(&address).await?;
            match json {
                true => render::why_json(&reasons),
                false => render::why(&canonical(&address), &reasons, client::now()),
            }
        }
        Verb::Import { file, dry_run } => {
            let outcome = import::import(&client, &file, dry_run, client::now()).await?;
            match json {
                true => render::to_json(&outcome),
                false => outcome.text(),
            }
        }
        Verb::Monitor => monitor::follow(&client, json).await?,
        other => change(&client, other, json).await?,
    })
}

/// The verbs that change something, or try something.
async fn change(client: &Client, verb: Verb, json: bool) -> Result<String, ClientError> {
    let (text, value) = match verb {
        Verb::Ban {
            jail,
            address,
            time,
        } => {
            let changed = client.ban(&jail, &address, time).await?;
            let text = match changed {
                true => format!("Banned {} in '{jail}'.\n", canonical(&address)),
                false => format!("{} was banned in '{jail}' already.\n", canonical(&address)),
            };
            (text, serde_json::json!({ "changed": changed }))
        }
        Verb::Unban(unban) => {
            let removed = lift(client, &unban).await?;
            let text = match removed {
                0 => "Nothing was banned.\n".to_owned(),
                n => format!("Lifted {}.\n", render::plural(n, "ban")),
            };
            (text, serde_json::json!({ "removed": removed }))
        }
        Verb::Reload => {
            let warnings = client.reload().await.map_err(kept)?;
            let text = warnings.iter().map(|warning| format!("{warning}\n"));
            (text.collect(), serde_json::json!({ "warnings": warnings }))
        }
        Verb::Start { jail } => {
            client.start(&jail).await?;
            (String::new(), serde_json::json!({}))
        }
        Verb::Stop { jail } => {
            client.stop(&jail).await?;
            (String::new(), serde_json::json!({}))
        }
        Verb::Test { jail, message } => {
            let (matched, address, rule) = client.test(&jail, &message).await?;
            let text = match matched {
                true => format!("A failure of {address}, found by\n  {rule}\n"),
                false => format!("No failure for '{jail}'.\n"),
            };
            let value = serde_json::json!({ "matched": matched, "address": address, "rule": rule });
            (text, value)
        }
        Verb::Status { .. }
        | Verb::Jails
        | Verb::Bans { .. }
        | Verb::Why { .. }
        | Verb::Config(_)
        | Verb::Import { .. }
        | Verb::Monitor
        | Verb::Verify(_)
        | Verb::Filter { .. } => {
            return Ok(String::new());
        }
    };
    Ok(if json { format!("{value}\n") } else { text })
}

/// The address as the daemon writes it: without host bits, IPv4-mapped IPv6 as IPv4.
fn canonical(address: &str) -> String {
    let parsed = address.parse::<Offender>();
    parsed.map_or_else(|_| address.to_owned(), |offender| offender.to_string())
}

/// Says after the diagnostics of a refused reload what that means.
fn kept(error: ClientError) -> ClientError {
    match error {
        ClientError::Refused(text) => {
            let end = "Nothing was changed: the old configuration stays in force.";
            ClientError::Refused(format!("{}\n{end}", text.trim_end()))
        }
        other => other,
    }
}

async fn lift(client: &Client, unban: &Unban) -> Result<u32, ClientError> {
    match (unban.all, unban.what.as_slice()) {
        (true, []) => client.unban_all("").await,
        (true, [jail]) => client.unban_all(jail).await,
        (false, [address]) => match client.unban_address(address).await {
            Err(ClientError::Refused(text)) if address.parse::<Offender>().is_err() => {
                let hint = format!("'banishctl unban --all {address}' lifts every ban of a jail.");
                Err(ClientError::Refused(format!("{text} {hint}")))
            }
            answer => answer,
        },
        (false, [jail, address]) => client.unban(jail, address).await.map(u32::from),
        _ => Err(ClientError::Usage(
            "'unban --all' takes at most a jail, 'unban' an address or a jail and an address",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command_line().debug_assert();
    }
}
