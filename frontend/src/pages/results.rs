//! Results: what was measured, one chart at a time, beside 2019 or another run. Which chart is in the address.

use std::sync::Arc;

use leptos::{prelude::*, task::spawn_local};
use leptos_router::hooks::{use_params_map, use_query_map};

use comparison::Comparison;
use tables::{Machine, Targets};

use crate::{
    api::{
        http,
        status::{self, ResultsAnswer},
    },
    browser,
    components::{
        chart::{BarChart, LineChart},
        frame::{going, name_page},
    },
    results::{self, Against, Drawn, Kind, Percentile, Picture, Published, Run},
    words,
};

mod comparison;
mod tables;

/// The load at which the article and ours can be compared best.
const READ_FIRST: f64 = 300.0;

#[derive(Clone)]
enum Phase {
    Loading,
    Ready,
    Failed(String),
}

/// What is chosen on the route.
#[derive(Clone, Copy)]
struct Chosen {
    runs: RwSignal<Vec<Arc<Run>>>,
    /// In the address.
    choice: Memo<results::Choice>,
    published: StoredValue<Arc<Published>>,
    kind: Memo<Option<Kind>>,
    go: Callback<String>,
}

impl Chosen {
    /// The chosen run; the newest of the whole bank until someone chooses.
    fn run(self) -> Option<Arc<Run>> {
        let name = self.choice.with(|choice| choice.run.clone());
        self.runs.with(|runs| {
            let named =
                name.and_then(|name| runs.iter().find(|run| run.about.name == name).cloned());
            named.or_else(|| results::first_shown(runs))
        })
    }

    /// A run is not compared with itself: then it is what was published.
    fn against(self) -> Against {
        let against = self.choice.with(|choice| choice.against.clone());
        let is_itself = self
            .run()
            .is_some_and(|run| run.about.name == against.name());
        if is_itself {
            Against::Published
        } else {
            against
        }
    }

    /// What is chosen is kept by the address alone, with the chart that is shown.
    fn choose(self, change: impl FnOnce(&mut results::Choice)) {
        let mut choice = self.choice.get_untracked();
        change(&mut choice);
        let shown = self.kind.get_untracked().unwrap_or(Kind::Latency);
        self.go.run(choice.address(shown));
    }

    fn percentile(self) -> Percentile {
        self.choice.with(|choice| choice.percentile)
    }

    fn other(self) -> Option<Arc<Run>> {
        let Against::Run(name) = self.against() else {
            return None;
        };
        self.runs
            .with(|runs| runs.iter().find(|run| run.about.name == name).cloned())
    }
}

#[component]
pub(crate) fn Results() -> impl IntoView {
    let (params, query) = (use_params_map(), use_query_map());
    let kind =
        Memo::new(move |_| params.with(|params| Kind::from_id(params.get("chart").as_deref())));
    name_page(move || match kind.get() {
        Some(kind) => format!("{} - Results", kind.title()),
        None => "Results".to_owned(),
    });
    let chosen = Chosen {
        runs: RwSignal::new(Vec::new()),
        choice: Memo::new(move |_| {
            query.with(|query| results::Choice::read(|name| query.get(name)))
        }),
        published: StoredValue::new(Arc::new(results::published())),
        kind,
        go: going(),
    };
    let phase = RwSignal::new(Phase::Loading);
    let load = move || {
        phase.set(Phase::Loading);
        spawn_local(async move {
            match http::send::<ResultsAnswer>(&status::results()).await {
                Ok(ResultsAnswer { results }) => {
                    let runs = results.into_iter().map(|about| Arc::new(Run::read(about)));
                    chosen.runs.try_set(runs.collect());
                    phase.try_set(Phase::Ready);
                }
                Err(error) => {
                    phase.try_set(Phase::Failed(words::load_failure(&error)));
                }
            }
        });
    };
    load();
    let trouble = move || {
        match phase.get() {
        Phase::Loading => Some(view! { <p class="hint">"Loading our runs."</p> }.into_any()),
        Phase::Ready => chosen.runs.with(Vec::is_empty).then(|| {
            view! { <p class="empty">"No run yet. Start one with " <code>"cargo bank perf"</code> "."</p> }.into_any()
        }),
        Phase::Failed(words) => Some(
            view! {
                <p class="failure">{words} " Our own runs are not shown."</p>
                <button type="button" on:click=move |_| load()>"Try again"</button>
            }
            .into_any(),
        ),
    }
    };
    let chart = move || {
        match kind.get() {
        None => view! { <p class="empty">"There is no such chart. " <a href="/results">"Latency by load"</a></p> }.into_any(),
        Some(Kind::Targets) => view! { <Targets chosen=chosen/> }.into_any(),
        Some(Kind::Machine) => view! { <Machine chosen=chosen/> }.into_any(),
        Some(kind) => view! { <ChartOf kind=kind chosen=chosen/> }.into_any(),
    }
    };
    view! {
        <div class="route results">
            <h1 tabindex="-1">"Results"</h1>
            <Choice chosen=chosen/>
            {trouble}
            <div class="results-body">
                <ChartList kind=kind chosen=chosen/>
                <div class="chart-of">{chart}</div>
            </div>
            <Comparison chosen=chosen/>
        </div>
    }
}

/// Which run, and beside what.
#[component]
fn Choice(chosen: Chosen) -> impl IntoView {
    let name_of = |run: &Run| {
        let at = browser::local_time(&run.about.measured_at).in_full();
        let subject = match (run.bank(), run.handler()) {
            (Some(bank), _) => format!("whole bank, {}", bank.kind),
            (_, Some(_)) => "the handler alone".to_owned(),
            _ => run.about.name.clone(),
        };
        format!("{at}, {subject}")
    };
    let shown = Memo::new(move |_| chosen.run().map(|run| run.about.name.clone()));
    let options = move || {
        let option = |run: &Arc<Run>| {
            let name = run.about.name.clone();
            let is_chosen = {
                let name = name.clone();
                move || shown.with(|shown| shown.as_ref() == Some(&name))
            };
            view! { <option value=name selected=is_chosen>{name_of(run)}</option> }
        };
        chosen
            .runs
            .with(|runs| runs.iter().map(option).collect_view())
    };
    let against = Memo::new(move |_| chosen.against().name().to_owned());
    let others = move || {
        let option = |run: &Arc<Run>| {
            let name = run.about.name.clone();
            let is_chosen = {
                let name = name.clone();
                move || against.with(|against| *against == name)
            };
            view! { <option value=name selected=is_chosen>{name_of(run)}</option> }
        };
        let comparable = |run: &&Arc<Run>| {
            run.bank().is_some() && shown.with(|shown| shown.as_ref() != Some(&run.about.name))
        };
        chosen
            .runs
            .with(|runs| runs.iter().filter(comparable).map(option).collect_view())
    };
    let choose = move |event| chosen.choose(|choice| choice.run = Some(event_target_value(&event)));
    let compare = move |event| {
        let name = event_target_value(&event);
        chosen.choose(|choice| choice.against = Against::from_name(Some(&name)));
    };
    let fixed = move |value: Against, name: &'static str| {
        let value = value.name().to_owned();
        let is_chosen = {
            let value = value.clone();
            move || against.with(|against| *against == value)
        };
        view! { <option value=value selected=is_chosen>{name}</option> }
    };
    let about = move || {
        chosen.run().map(|run| {
            let verdict = run.about.verdict.clone();
            let noisy = run.about.noisy.then_some(", noisy");
            let commit =
                (!run.about.commit.is_empty()).then(|| format!(", commit {}", run.about.commit));
            view! {
                <p class="hint run-about">
                    {run.machine()} {commit} {noisy}
                    {(!verdict.is_empty()).then(|| format!(", auditor: {verdict}"))}
                </p>
            }
        })
    };
    let has_runs = move || chosen.runs.with(|runs| !runs.is_empty());
    view! {
        <div class="results-choice">
            <Show when=has_runs>
                <div class="field">
                    <label for="results-run">"Run"</label>
                    <select id="results-run" on:change=choose prop:value=move || shown.get()>{options}</select>
                </div>
            </Show>
            <div class="field">
                <label for="results-against">"Against"</label>
                <select id="results-against" on:change=compare prop:value=move || against.get()>
                    {fixed(Against::Published, "2019, the article, 9 CPUs")}
                    {others}
                    {fixed(Against::Nothing, "nothing")}
                </select>
            </div>
            {about}
        </div>
    }
}

/// At the left on a large screen, a list to unfold on a small one.
#[component]
fn ChartList(kind: Memo<Option<Kind>>, chosen: Chosen) -> impl IntoView {
    let link = move |entry: Kind| {
        let here = move || (kind.get() == Some(entry)).then_some("page");
        let href = move || chosen.choice.with(|choice| choice.address(entry));
        view! { <li><a href=href aria-current=here>{entry.title()}</a></li> }
    };
    let shown = move || kind.get().map_or("Charts", Kind::title);
    view! {
        <nav class="chart-list" aria-label="Charts">
            <ul class="wide-list">{Kind::ALL.map(link)}</ul>
            <details class="narrow-list">
                <summary>"Chart: " {shown}</summary>
                <ul>{Kind::ALL.map(link)}</ul>
            </details>
        </nav>
    }
}

#[component]
fn ChartOf(kind: Kind, chosen: Chosen) -> impl IntoView {
    let drawn = Memo::new(move |_| {
        let run = chosen.run();
        let is_against_2019 = chosen.against() == Against::Published;
        let published = chosen.published.get_value();
        let published = is_against_2019.then_some(&*published);
        results::draw(kind, run.as_deref(), published, chosen.percentile())
    });
    let finding = Signal::derive(move || drawn.with(|drawn| drawn.finding.clone()));
    let has_percentiles = matches!(kind, Kind::Latency | Kind::Handler);
    let percentile = move |entry: Percentile| {
        let is_chosen = move || chosen.percentile() == entry;
        let choose = move |_| chosen.choose(|choice| choice.percentile = entry);
        view! {
            <label class="check">
                <input type="radio" name="percentile" prop:checked=is_chosen on:change=choose/>
                {entry.name()}
            </label>
        }
    };
    let lines = Signal::derive(move || {
        drawn.with(|drawn| {
            drawn.pictures.iter().find_map(|picture| match picture {
                Picture::Lines(chart) => Some(chart.clone()),
                Picture::Bars(_) => None,
            })
        })
    });
    let bars = move || {
        drawn.with(|drawn| {
            let bars = drawn.pictures.iter().filter_map(|picture| match picture {
                Picture::Bars(bars) => Some(bars.clone()),
                Picture::Lines(_) => None,
            });
            let draw = |(place, bars)| view! { <BarChart bars=bars name=format!("{}-{place}", kind.id())/> };
            bars.enumerate().map(draw).collect_view()
        })
    };
    let has_lines = Memo::new(move |_| lines.with(Option::is_some));
    let differs = move || {
        drawn.with(|Drawn { differs, .. }| {
            (!differs.is_empty()).then(|| {
                let lines = differs
                    .iter()
                    .map(|line| view! { <p>{line.clone()}</p> })
                    .collect_view();
                view! { <div class="differs"><h3>"What differs"</h3>{lines}</div> }
            })
        })
    };
    view! {
        <section aria-labelledby="chart-heading">
            <div class="section-head">
                <h2 id="chart-heading" tabindex="-1" data-heading="true">{kind.title()}</h2>
                {has_percentiles.then(|| view! {
                    <fieldset class="percentiles"><legend class="unseen">"Percentile"</legend>{Percentile::ALL.map(percentile)}</fieldset>
                })}
            </div>
            <Show when=move || !has_lines.get()><p class="finding">{move || finding.get()}</p></Show>
            <div class="bar-charts">{bars}</div>
            <Show when=move || has_lines.get()>
                <LineChart chart=lines name=kind.id() caption=finding begin_at=READ_FIRST empty="Nothing measured to draw."/>
            </Show>
            {differs}
        </section>
    }
}
