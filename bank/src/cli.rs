//! Every command and its options.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    audit, build, chaos, down, failure::EXIT_CODES, load, logs, perf, perf_bank, perf_steady,
    preflight, rebuild, reset, status, test_run, up, workspace::Workspace,
};

/// The page's port when none is given.
const DEFAULT_PORT: u16 = 8181;

/// The most heartbeats per second that can be asked for.
const MOST_HEARTBEATS_PER_SECOND: i64 = 2000;

/// Steps of three seconds instead of a minute, past where all four handlers of 2019 had stopped.
const ARTICLE_FASTER: f64 = 20.0;
const ARTICLE_UP_TO: u32 = 600;
/// A soak of `perf soak`, unless somebody says otherwise.
const SOAK_MINUTES: u64 = 30;
/// A day; every command of a soak is remembered.
const SOAK_MINUTES_MAX: u64 = 24 * 60;
/// Transfers per second of a soak that leaves the machine to others.
const SOAK_RATE: u32 = 200;
/// Transfers per second of `perf statistics`.
const STATISTICS_RATE: u32 = 1_000;
/// More is nothing that a machine with two cores keeps up.
const STEADY_RATE_MAX: i64 = 5_000;

/// Build, start, watch and test the Bank.
#[derive(Debug, Parser)]
#[command(name = "cargo bank", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Where all data, logs and secrets of the running bank are [default: .bank in the repository].
    #[arg(long, global = true, env = "BANK_DIRECTORY", value_name = "DIR")]
    directory: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build what is not built and start everything; Ctrl-C stops it.
    Up {
        /// Go on in the background once the bank is ready.
        #[arg(long)]
        detach: bool,
        /// Only Kafka, the registry and PostgreSQL; nothing of ours is built or started.
        #[arg(long)]
        cluster: bool,
        /// The port of the page on 127.0.0.1.
        #[arg(long, default_value_t = DEFAULT_PORT, env = "BANK_PORT", value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
    },
    /// Stop everything, in order.
    Down,
    /// Show addresses, processes, topics and consumer lag.
    Status {
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Let the simulated public do N things a second (0 to 2000).
    Load {
        /// Heartbeats per second.
        #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(0..=MOST_HEARTBEATS_PER_SECOND))]
        heartbeats_per_second: u32,
    },
    /// Show what the processes wrote.
    Logs {
        /// Only this one, as named by `status`.
        service: Option<String>,
        /// Go on showing what is added.
        #[arg(long, short)]
        follow: bool,
    },
    /// Stop everything and remove all its data.
    Reset {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Build the services and the page.
    Build,
    /// Run every test against a real cluster; arguments go to `cargo test`.
    Test {
        /// For `cargo test`, like `-p topology` or `-- --nocapture`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Measure the whole bank on a cluster of its own, with nothing else running on the machine (at most 6 minutes).
    #[command(args_conflicts_with_subcommands = true)]
    Perf {
        /// Something else than the whole bank.
        #[command(subcommand)]
        subject: Option<Subject>,
        /// Longer and more often (about 20 minutes).
        #[arg(long)]
        full: bool,
        /// A few seconds of each, to see that everything works; the figures mean little.
        #[arg(long, conflicts_with = "full")]
        smoke: bool,
        /// A bank that runs already, like http://127.0.0.1:8181, through its gateway.
        #[arg(long, value_name = "URL", conflicts_with = "full")]
        target: Option<String>,
        /// With --target: the project of Compose whose containers are watched [default: COMPOSE_PROJECT_NAME, or the
        /// only one with a gateway].
        #[arg(long, value_name = "NAME", requires = "target")]
        project: Option<String>,
        /// Repeats all that is drawn [default: 1].
        #[arg(long, value_name = "N")]
        seed: Option<u64>,
        /// Where to write everything that was measured.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Where to write the report: one file that needs nothing else.
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// Break a bank of the lab's own on purpose, under load, and judge what is left.
    Chaos {
        /// Scenarios as in `--list`, or `all`, `smoke`, `swarm`; without any the list is shown.
        #[arg(value_name = "SCENARIO")]
        scenarios: Vec<String>,
        /// Repeats a schedule [default: another one each time].
        #[arg(long, value_name = "N")]
        seed: Option<u64>,
        /// How long a swarm does harm.
        #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
        seconds: u64,
        /// Where to write everything, with the seed, the commit and what was done when.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Show what each scenario does, which promise it attacks and what to expect.
        #[arg(long)]
        list: bool,
    },
    /// Judge every invariant of the bank that runs: 0 holds, 1 violated, 2 could not be checked.
    Audit {
        /// For programs.
        #[arg(long, conflicts_with = "follow")]
        json: bool,
        /// Go on while the bank runs; /status and /metrics tell.
        #[arg(long)]
        follow: bool,
        /// With --follow: at least this long between two rounds.
        #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
        every: u64,
        /// How long the bank may take to deal with what stands in the topics.
        #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=3_600))]
        wait: u64,
        /// What clients recorded.
        #[arg(long, value_name = "FILE")]
        history: Option<PathBuf>,
        /// First copies of changes must stand in the order of their versions, as with one handler.
        #[arg(long)]
        strict_order: bool,
    },
    /// Make the read model anew from the topics while the old one serves, and compare both.
    Rebuild,
    /// What `up --detach` leaves running.
    #[command(hide = true)]
    Supervise {
        #[arg(long)]
        cluster: bool,
        #[arg(long)]
        port: u16,
    },
}

/// What can be measured.
#[derive(Debug, Subcommand)]
enum Subject {
    /// The command handler, from topic to topic: drains, steady loads, counts, kills (about 15 minutes).
    Handler {
        /// Fewer and shorter measurements (at most 4 minutes).
        #[arg(long)]
        quick: bool,
        /// Where to write everything that was measured.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// Two runs of the whole bank: 0 nothing became worse, 1 something did, 2 unclear.
    Compare {
        /// Results of the first run, as JSON.
        first: PathBuf,
        /// Results of the second run.
        second: PathBuf,
        /// Share that a figure may move by.
        #[arg(long, default_value_t = ::perf::bank::compare::THRESHOLD)]
        threshold: f64,
    },
    /// A modest load for long: whether memory, files or threads grow under it.
    Soak {
        /// How long.
        #[arg(long, default_value_t = SOAK_MINUTES, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..=SOAK_MINUTES_MAX))]
        minutes: u64,
        /// Transfers per second.
        #[arg(long, default_value_t = SOAK_RATE, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=STEADY_RATE_MAX))]
        rate: u32,
        /// Where to write everything that was measured.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Where to write the report.
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// One steady load while the Kafka clients tell everything of themselves, and once more while they do not.
    Statistics {
        /// Transfers per second.
        #[arg(long, default_value_t = STATISTICS_RATE, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=STEADY_RATE_MAX))]
        rate: u32,
        /// Where to write everything that was measured.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Where to write the report.
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// The experiment of the article of 2019 again: a browser, and ten heartbeats a second more step by step.
    Article {
        /// How much shorter each step is than the article's minute.
        #[arg(long, default_value_t = ARTICLE_FASTER, value_name = "TIMES")]
        faster: f64,
        /// Heartbeats per second of the last step.
        #[arg(long, default_value_t = ARTICLE_UP_TO, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=MOST_HEARTBEATS_PER_SECOND))]
        up_to: u32,
        /// Where to write everything that was measured.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// Where to write the report.
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
}

/// Does what was asked.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find()?;
    let directory = arguments
        .directory
        .unwrap_or_else(|| workspace.root.join(".bank"));
    let directory = std::path::absolute(directory)?;
    // One thread: everything here waits for processes.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let request = |cluster, port| up::Request {
        directory: directory.clone(),
        only_cluster: cluster,
        port,
    };
    match arguments.command {
        Command::Up {
            detach,
            cluster,
            port,
        } => runtime.block_on(up::up(&workspace, &request(cluster, port), detach)),
        Command::Supervise { cluster, port } => {
            runtime.block_on(up::supervise(&workspace, &request(cluster, port)))
        }
        Command::Rebuild => rebuild::rebuild(&workspace, &directory),
        Command::Down => runtime.block_on(down::down(&directory)),
        Command::Status { json } => runtime.block_on(status::status(&directory, json)),
        Command::Load {
            heartbeats_per_second,
        } => runtime.block_on(load::load(&directory, heartbeats_per_second)),
        Command::Logs { service, follow } => logs::logs(&directory, service.as_deref(), follow),
        Command::Reset { yes } => runtime.block_on(reset::reset(&directory, yes)),
        Command::Build => {
            preflight::check(preflight::For::Build, &workspace)?;
            build::build(&workspace)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Perf {
            subject: None,
            full,
            smoke,
            target,
            project,
            seed,
            json,
            html,
        } => {
            let wish = perf_bank::Wish {
                full,
                smoke,
                target,
                project,
                seed,
                json,
                html,
            };
            runtime.block_on(perf_bank::bank(&workspace, &wish))
        }
        Command::Perf {
            subject: Some(subject),
            ..
        } => match subject {
            Subject::Handler { quick, json } => {
                runtime.block_on(perf::handler(&workspace, &perf::Wish { quick, json }))
            }
            Subject::Compare {
                first,
                second,
                threshold,
            } => perf_bank::compare(&first, &second, threshold),
            Subject::Soak {
                minutes,
                rate,
                json,
                html,
            } => {
                let wish = perf_steady::Wish { rate, json, html };
                runtime.block_on(perf_steady::soak(&workspace, minutes, &wish))
            }
            Subject::Statistics { rate, json, html } => {
                let wish = perf_steady::Wish { rate, json, html };
                runtime.block_on(perf_steady::statistics(&workspace, &wish))
            }
            Subject::Article {
                faster,
                up_to,
                json,
                html,
            } => {
                let wish = perf_bank::ArticleWish {
                    faster,
                    up_to,
                    json,
                    html,
                };
                runtime.block_on(perf_bank::article(&workspace, &wish))
            }
        },
        Command::Audit {
            json,
            follow,
            every,
            wait,
            history,
            strict_order,
        } => {
            // It has a runtime of its own, with more threads.
            let wish = audit::Wish {
                json,
                follow,
                every_seconds: every,
                wait_seconds: wait,
                history,
                strict_order,
            };
            audit::audit(&directory, &wish)
        }
        Command::Chaos {
            scenarios,
            seed,
            seconds,
            json,
            list,
        } => {
            // It has a runtime of its own, with more threads.
            let wish = chaos::Wish {
                scenarios,
                seed,
                seconds,
                json,
                list,
            };
            chaos::chaos(&workspace, &wish)
        }
        Command::Test { arguments } => runtime.block_on(test_run::test(&workspace, &arguments)),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn given_the_definition_when_checked_then_clap_accepts_it() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn given_a_load_when_parsed_then_only_0_to_2000_is_taken() {
        for (text, accepted) in [
            ("0", true),
            ("2000", true),
            ("2001", false),
            ("-1", false),
            ("1.5", false),
            ("many", false),
        ] {
            assert_eq!(
                Arguments::try_parse_from(["bank", "load", text]).is_ok(),
                accepted,
                "{text}"
            );
        }
    }
}
