//! One audit, from the cut to the report.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::by_account::ByAccount;
use crate::by_command::ByCommand;
use crate::clients::{Heard, read_history};
use crate::cut::{Cut, scratch};
use crate::dead_places::read_letters;
use crate::invariants::Name;
use crate::kafka::{Counters, Kafka};
use crate::letters::Letters;
use crate::reading::{LANES, Read, Reading, View};
use crate::registry::Registry;
use crate::replay::{decisions, replay};
use crate::report::CannotCheck;
use crate::rows::{read_books, read_model, resolve};
use crate::spill::{BUCKETS, Writer, Written, for_each_sorted};
use crate::tally::Tally;
use crate::{OnProgress, Options, Progress, Report, Sources};

/// Between two words about how far it is.
const PROGRESS_EACH: Duration = Duration::from_millis(250);
/// Threads that sort and judge; each needs room for one bucket.
const JUDGES: usize = 2;

/// Runs work on a thread of its own.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CannotCheck> + Send + 'static,
) -> Result<T, CannotCheck> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.map_err(|error| CannotCheck::Ended(error.to_string()))?
}

/// Judges everything.
pub(crate) async fn audit(
    sources: &Sources,
    options: &Options,
    progress: OnProgress<'_>,
) -> Result<Report, CannotCheck> {
    let started = Instant::now();
    let scratch = scratch(options.scratch.as_deref())?;
    let mut tally = Tally::default();
    let kafka = Kafka::new(&sources.kafka_brokers, &sources.topic_prefix);
    progress(&Progress {
        what: "waiting until the bank has dealt with what there is".to_owned(),
        done: 0,
        total: 0,
    });
    let (cut, stand) = Cut::take(&kafka, sources, options, &mut tally).await?;
    let counters = Counters::shared();
    let expected = expected(&cut).await?;
    let telling = tell(progress, &counters, expected);
    let gathering = gather(sources, &kafka, &cut, &counters, scratch.path());
    let gathered = tokio::select! {
        gathered = gathering => gathered?,
        never = telling => match never {},
    };
    tally.add(gathered.tally);
    let directory = scratch.path().to_owned();
    let (judged, counters) =
        judge(gathered.facts, &cut, options, directory, progress, counters).await?;
    tally.add(judged.tally);
    let registry = gathered.registry;
    tally.add(decide_again(&cut, options, &kafka, &registry, progress).await?);
    stand.look_again(sources, &mut tally).await?;
    let memory = options.schema_memory.clone();
    let tally = beside(move || {
        registry.judge(memory.as_deref(), &mut tally)?;
        Ok(tally)
    })
    .await?;
    let findings = finish(tally, &cut, options, judged.inversions).findings();
    Ok(Report {
        findings,
        records: counters.records.load(Ordering::Relaxed),
        rows: gathered.rows,
        repeated: judged.repeated,
        took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// The reference model's judgement.
async fn decide_again(
    cut: &Cut,
    options: &Options,
    kafka: &Kafka,
    registry: &Arc<Registry>,
    progress: OnProgress<'_>,
) -> Result<Tally, CannotCheck> {
    let commands = cut.decided.values().sum::<i64>();
    let commands = u64::try_from(commands).unwrap_or_default();
    if commands > options.replay_max {
        let mut tally = Tally::default();
        let why = format!("more than {} commands", options.replay_max);
        tally.not_asked(Name::E3, &why);
        return Ok(tally);
    }
    progress(&Progress {
        what: "deciding everything again".to_owned(),
        done: 0,
        total: commands,
    });
    let decisions = decisions(cut).await?;
    let view = View::of(cut);
    let (kafka, registry) = (kafka.clone(), Arc::clone(registry));
    beside(move || replay(decisions, &kafka, &registry, &view)).await
}

fn finish(mut tally: Tally, cut: &Cut, options: &Options, inversions: u64) -> Tally {
    if cut.is_read_model_behind {
        tally.not_checked(Name::D4, "the projection did not catch up within the wait");
    }
    if inversions > 0 && !options.is_order_strict {
        tally.note(
            Name::C4,
            format!("{inversions} first copies stand before an earlier version, as they may"),
        );
    }
    tally
}

/// Records and rows there are about, for the progress.
async fn expected(cut: &Cut) -> Result<u64, CannotCheck> {
    let records: i64 = cut.decided.values().chain(cut.read_to.values()).sum();
    let estimate = "select coalesce(sum(greatest(n_live_tup, 0)), 0)::bigint \
         from pg_stat_user_tables \
         where relname in ('outcome', 'ledger_entry', 'account', 'account_transaction')";
    let mut total = u64::try_from(records).unwrap_or_default();
    for database in [&cut.handler, &cut.gateway] {
        let rows: i64 = database.query(estimate, &[]).await?[0].get(0);
        total += u64::try_from(rows).unwrap_or_default();
    }
    Ok(total)
}

async fn tell(
    progress: OnProgress<'_>,
    counters: &Counters,
    total: u64,
) -> std::convert::Infallible {
    loop {
        let records = counters.records.load(Ordering::Relaxed);
        let rows = counters.rows.load(Ordering::Relaxed);
        progress(&Progress {
            what: "reading topics and databases".to_owned(),
            done: (records + rows).min(total),
            total,
        });
        tokio::time::sleep(PROGRESS_EACH).await;
    }
}

/// All facts, on disk.
struct Facts {
    of_commands: Vec<Written>,
    of_accounts: Vec<Written>,
    letters: Vec<Written>,
}

struct Gathered {
    facts: Facts,
    tally: Tally,
    registry: Arc<Registry>,
    rows: u64,
}

async fn gather(
    sources: &Sources,
    kafka: &Kafka,
    cut: &Cut,
    counters: &Arc<Counters>,
    directory: &Path,
) -> Result<Gathered, CannotCheck> {
    let registry = Arc::new(Registry::new(&sources.schema_registry_url));
    let view = View::of(cut);
    let prefix = sources.topic_prefix.clone();
    let directory = directory.to_owned();

    let (letters, dead) = {
        let (kafka, prefix, view) = (kafka.clone(), prefix.clone(), view.clone());
        let (counters, directory) = (Arc::clone(counters), directory.clone());
        beside(move || read_letters(&kafka, &prefix, &view.ends, &counters, &directory)).await?
    };
    let reading = Arc::new(Reading {
        kafka: kafka.clone(),
        registry: Arc::clone(&registry),
        counters: Arc::clone(counters),
        letters,
    });
    let lane = |topics: &'static [u8]| {
        let (reading, view, directory) = (Arc::clone(&reading), view.clone(), directory.clone());
        beside(move || reading.read(&view, topics, &directory))
    };
    let history = {
        let (path, directory) = (sources.history.clone(), directory.clone());
        beside(move || read_history(path.as_deref(), &directory))
    };
    let [changes, others] = LANES;
    let (changes, others, heard, books, model): (Read, Read, Heard, _, _) = tokio::try_join!(
        lane(changes),
        lane(others),
        history,
        read_books(cut, counters, &directory),
        read_model(cut, counters, &directory),
    )?;
    let mut tally = books.tally;
    let ids = books.schema_ids;
    let asked = Arc::clone(&registry);
    tally.add(
        beside(move || {
            let mut tally = Tally::default();
            resolve(ids, &asked, &mut tally)?;
            Ok(tally)
        })
        .await?,
    );
    for other in [
        dead.tally,
        changes.tally,
        others.tally,
        heard.tally,
        model.tally,
    ] {
        tally.add(other);
    }
    Ok(Gathered {
        facts: Facts {
            of_commands: vec![
                changes.of_commands,
                others.of_commands,
                books.of_commands,
                heard.of_commands,
            ],
            of_accounts: vec![model.of_accounts, heard.of_accounts],
            letters: vec![dead.letters, changes.letters, others.letters],
        },
        tally,
        registry,
        rows: books.rows + model.rows,
    })
}

/// What came of judging.
#[derive(Default)]
struct Judged {
    tally: Tally,
    repeated: u64,
    inversions: u64,
    of_accounts: Option<Written>,
}

/// How a judge is told what to do; the same for all judges of a round.
#[derive(Clone, Copy)]
struct Rules {
    is_order_strict: bool,
    is_read_model_behind: bool,
    are_letters_owed: bool,
}

#[derive(Clone, Copy)]
enum Round {
    Letters,
    Commands,
    Accounts,
}

async fn judge(
    facts: Facts,
    cut: &Cut,
    options: &Options,
    directory: PathBuf,
    progress: OnProgress<'_>,
    counters: Arc<Counters>,
) -> Result<(Judged, Arc<Counters>), CannotCheck> {
    let rules = Rules {
        is_order_strict: options.is_order_strict,
        is_read_model_behind: cut.is_read_model_behind,
        are_letters_owed: cut.are_letters_owed,
    };
    let mut all = Judged::default();
    let mut of_accounts = facts.of_accounts;
    for (round, written) in [
        (Round::Letters, facts.letters),
        (Round::Commands, facts.of_commands),
    ] {
        for judged in run(round, written, rules, &directory, progress, &counters).await? {
            of_accounts.extend(judged.of_accounts);
            all.tally.add(judged.tally);
            all.repeated += judged.repeated;
        }
    }
    for judged in run(
        Round::Accounts,
        of_accounts,
        rules,
        &directory,
        progress,
        &counters,
    )
    .await?
    {
        all.tally.add(judged.tally);
        all.inversions += judged.inversions;
    }
    Ok((all, counters))
}

async fn run(
    round: Round,
    written: Vec<Written>,
    rules: Rules,
    directory: &Path,
    progress: OnProgress<'_>,
    counters: &Arc<Counters>,
) -> Result<Vec<Judged>, CannotCheck> {
    let total: u64 = written.iter().map(|it| it.count).sum();
    let written = Arc::new(written);
    let next = Arc::new(AtomicUsize::new(0));
    counters.facts.store(0, Ordering::Relaxed);
    let judge = |number: usize| {
        let (written, next, counters) = (
            Arc::clone(&written),
            Arc::clone(&next),
            Arc::clone(counters),
        );
        let directory = directory.to_owned();
        beside(move || judge_buckets(round, &written, &next, rules, &directory, number, &counters))
    };
    let judges: [_; JUDGES] = std::array::from_fn(judge);
    let all = futures_util::future::try_join_all(judges);
    let what = match round {
        Round::Letters => "judging dead letters",
        Round::Commands => "judging commands",
        Round::Accounts => "judging accounts",
    };
    let telling = async {
        loop {
            progress(&Progress {
                what: what.to_owned(),
                done: counters.facts.load(Ordering::Relaxed).min(total),
                total,
            });
            tokio::time::sleep(PROGRESS_EACH).await;
        }
    };
    tokio::select! {
        all = all => all,
        () = telling => Ok(Vec::new()),
    }
}

/// Takes one bucket after another until none is left.
fn judge_buckets(
    round: Round,
    written: &[Written],
    next: &AtomicUsize,
    rules: Rules,
    directory: &Path,
    number: usize,
    counters: &Counters,
) -> Result<Judged, CannotCheck> {
    let mut of_accounts = Writer::new(directory, &format!("accounts{number}"));
    let mut judged = Judged::default();
    loop {
        let bucket = next.fetch_add(1, Ordering::Relaxed);
        if bucket >= BUCKETS {
            break;
        }
        let mut facts = 0;
        let mut counted = |work: Result<(), CannotCheck>| {
            facts += 1;
            work
        };
        match round {
            Round::Letters => {
                let mut letters = Letters::new(rules.are_letters_owed);
                for_each_sorted(written, bucket, &mut |it| counted(letters.take(it)))?;
                letters.judge();
                judged.tally.add(letters.tally);
            }
            Round::Commands => {
                let mut commands = ByCommand::new(&mut of_accounts);
                for_each_sorted(written, bucket, &mut |it| counted(commands.take(it)))?;
                commands.judge()?;
                judged.repeated += commands.repeated;
                judged.tally.add(commands.tally);
            }
            Round::Accounts => {
                let mut accounts =
                    ByAccount::new(rules.is_order_strict, rules.is_read_model_behind);
                for_each_sorted(written, bucket, &mut |it| counted(accounts.take(it)))?;
                accounts.finish();
                judged.inversions += accounts.inversions;
                judged.tally.add(accounts.tally);
            }
        }
        counters.facts.fetch_add(facts, Ordering::Relaxed);
    }
    judged.of_accounts = Some(of_accounts.finish()?);
    Ok(judged)
}
