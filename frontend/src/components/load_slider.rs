//! The pace of the simulated public: what is wanted and what is achieved, on one scale.

#![expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "places on a screen, not money"
)]

use leptos::{prelude::*, task::spawn_local};

use crate::{
    announcer::Announcer,
    api::{
        http,
        status::{self, SetLoadAnswer},
    },
    figures, formats,
    load::{Pace, RATE_MAX, Watch},
    scale::{LOAD_STEPS, load_share, load_step},
    session::Session,
    watching::Watching,
    words,
};

/// Steps that have their figure below them.
const NAMED: [u32; 6] = [0, 1, 10, 100, 400, 2_000];
/// Steps of a Page key.
const PAGE: usize = 3;

#[component]
pub(crate) fn LoadSlider() -> impl IntoView {
    let session: Session = expect_context();
    let watching: Watching = expect_context();
    let announcer: Announcer = expect_context();
    let may_set = Memo::new(move |_| {
        session.is_employee() || session.bank.get().is_some_and(|bank| bank.demo_mode)
    });
    // What the person chose, until it is set; else what is wanted now.
    let chosen = RwSignal::new(None::<u32>);
    let working = RwSignal::new(false);
    let failure = RwSignal::new(None::<String>);
    let target = Memo::new(move |_| {
        watching
            .newest()
            .map(|status| status.load.heartbeats_per_second)
    });
    let shown = Memo::new(move |_| chosen.get().or(target.get()).unwrap_or(0));
    let achieved = Memo::new(move |_| watching.newest().map(|status| status.achieved_per_second));
    let watch = StoredValue::new(Watch::default());
    let pace = Memo::new(move |_| {
        let status = watching.newest()?;
        let mut pace = None;
        watch.update_value(|watch| pace = Some(watch.take(&status)));
        pace
    });
    Effect::new(move |before: Option<Option<Pace>>| {
        let now = pace.get();
        if let (Some(Some(Pace::Settling)), Some(Pace::Steady)) = (&before, &now) {
            let rate = achieved.get_untracked().unwrap_or(0.0);
            announcer.status(format!(
                "Load steady at {} per second.",
                figures::whole_or_short(rate)
            ));
        }
        now
    });
    let set = move |rate: u32| {
        if working.get_untracked() || !may_set.get_untracked() {
            return;
        }
        working.set(true);
        failure.set(None);
        spawn_local(async move {
            let answer = http::send::<SetLoadAnswer>(&status::set_load(rate)).await;
            working.try_set(false);
            match answer {
                Ok(SetLoadAnswer { set_load }) => {
                    announcer.status(format!(
                        "Load set to {} per second.",
                        formats::count(set_load.heartbeats_per_second.into())
                    ));
                    chosen.try_set(None);
                }
                Err(error) => {
                    let words = words::load_failure(&error);
                    announcer.status(format!("The load was not set. {words}"));
                    failure.try_set(Some(format!("The load was not set. {words}")));
                }
            }
        });
    };
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        set(shown.get_untracked());
    };
    let stop = move |_| {
        chosen.set(None);
        set(0);
    };
    let slid = move |event: web_sys::Event| {
        let step: usize = event_target_value(&event).parse().unwrap_or(0);
        chosen.set(LOAD_STEPS.get(step).copied());
    };
    let page_keys = move |event: web_sys::KeyboardEvent| {
        let step = load_step(shown.get_untracked());
        let to = match event.key().as_str() {
            "PageUp" => (step + PAGE).min(LOAD_STEPS.len() - 1),
            "PageDown" => step.saturating_sub(PAGE),
            _ => return,
        };
        event.prevent_default();
        chosen.set(Some(LOAD_STEPS[to]));
    };
    let typed = move |event: web_sys::Event| {
        if let Ok(rate) = event_target_value(&event).trim().parse::<u32>() {
            chosen.set(Some(rate.min(RATE_MAX)));
        }
    };
    let said = move || format!("target {} per second", formats::count(shown.get().into()));
    let standing = move || match (pace.get(), achieved.get()) {
        (_, None) => "Achieved: not known.".to_owned(),
        (Some(Pace::Short(reason)), Some(rate)) => {
            format!("Achieved {}: {reason}.", figures::rate(rate))
        }
        (Some(Pace::Steady), Some(rate)) => format!("Achieved {}, steady.", figures::rate(rate)),
        (_, Some(rate)) => format!("Achieved {}.", figures::rate(rate)),
    };
    let is_short = move || matches!(pace.get(), Some(Pace::Short(_)));
    let why_not = move || {
        (!may_set.get()).then(|| {
            view! { <p class="hint">"Only bank employees set the load. " <a href="/employee">"Sign in"</a></p> }
        })
    };
    view! {
        <form class="load-slider" on:submit=submit aria-labelledby="load-heading">
            <h2 id="load-heading">"Load"</h2>
            <div class="load-scale" class:short=is_short>
                <LoadScale target=Signal::derive(move || target.get().unwrap_or(0)) achieved=achieved/>
                <input
                    id="load-range"
                    type="range"
                    min="0"
                    max=(LOAD_STEPS.len() - 1).to_string()
                    step="1"
                    aria-label="Load"
                    aria-valuetext=said
                    disabled=move || !may_set.get()
                    prop:value=move || load_step(shown.get()).to_string()
                    on:input=slid
                    on:keydown=page_keys
                />
            </div>
            <div class="load-line">
                <label for="load-target">"Target, per second"</label>
                <input
                    id="load-target"
                    type="number"
                    inputmode="numeric"
                    min="0"
                    max=RATE_MAX.to_string()
                    disabled=move || !may_set.get()
                    prop:value=move || shown.get().to_string()
                    on:input=typed
                />
                <button type="submit" id="load-set" disabled=move || !may_set.get() aria-disabled=move || working.get().then_some("true")>
                    "Set load"
                </button>
                <button type="button" id="load-stop" disabled=move || !may_set.get() on:click=stop>"Stop"</button>
                <p id="load-achieved" class="achieved" class:short=is_short>{standing}</p>
            </div>
            {move || failure.get().map(|words| view! { <p class="failure">{words}</p> })}
            {why_not}
        </form>
    }
}

/// Ticks, the bar of what is achieved and the mark of what is wanted.
#[component]
fn LoadScale(target: Signal<u32>, achieved: Memo<Option<f64>>) -> impl IntoView {
    const WIDTH: f64 = 1_000.0;
    let last = (LOAD_STEPS.len() - 1) as f64;
    let ticks = LOAD_STEPS.iter().enumerate().map(|(place, step)| {
        let x = WIDTH * place as f64 / last;
        let y = if NAMED.contains(step) { "4" } else { "10" };
        view! { <line class="tick" x1=x x2=x y1=y y2="16"/> }
    });
    let names = NAMED.map(|step| {
        let left = format!("{}%", load_share(f64::from(step)) * 100.0);
        view! { <span style:left=left>{move || formats::count(step.into())}</span> }
    });
    let width = move || WIDTH * load_share(achieved.get().unwrap_or(0.0));
    let mark = move || WIDTH * load_share(f64::from(target.get()));
    view! {
        <div class="load-ticks" aria-hidden="true">
            <svg viewBox="0 0 1000 16" preserveAspectRatio="none">
                <rect class="achieved" x="0" y="11" height="5" width=width/>
                <line class="base" x1="0" x2="1000" y1="16" y2="16"/>
                {ticks.collect_view()}
                <line class="target" x1=mark x2=mark y1="0" y2="16"/>
            </svg>
            <div class="load-names">{names}</div>
        </div>
    }
}
