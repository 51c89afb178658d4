//! Live: the drawing is the page. Below it what can be done to the bank, how fast it is, what it uses, the records of a
//! topic, and what the auditor says.

use leptos::prelude::*;
use leptos_router::hooks::{use_location, use_params_map};

use crate::{
    api::types::Role,
    browser,
    chart::Plot,
    components::{
        auditor_list::AuditorList, break_it::BreakIt, chart::LineChart, drawing::Drawing,
        frame::name_page, gate::Gate, load_slider::LoadSlider, service_list::ServiceList,
        statement::LoadingLines, topic_browser::TopicBrowser, topic_list::TopicList,
    },
    figures, latency,
    watching::{Sight, Watching},
};

const SENTENCE: &str = "The bank as a drawing, with what flows through it each second, how fast, how healthy, and what the \
    auditor says. Bank employees see it; in demo mode everyone does.";

#[component]
pub(crate) fn Live() -> impl IntoView {
    let params = use_params_map();
    let topic = Memo::new(move |_| params.with(|params| params.get("topic")));
    let has_errors = RwSignal::new(false);
    name_page(move || match (has_errors.get(), topic.get()) {
        (true, _) => "Error: Live".to_owned(),
        (false, Some(topic)) => format!("{topic} - Live"),
        (false, None) => "Live".to_owned(),
    });
    view! {
        <div class="route live">
            <Gate title="Live" sentence=SENTENCE role=Role::Employee demo=true has_errors=has_errors>
                <Scene topic=topic/>
            </Gate>
        </div>
    }
}

#[component]
fn Scene(topic: Memo<Option<String>>) -> impl IntoView {
    let watching: Watching = expect_context();
    let has_state = Memo::new(move |_| watching.status().is_some());
    // What the address names below the drawing takes the focus, as soon as it is there and after the heading had it.
    let hash = use_location().hash;
    Effect::new(move |_| {
        let hash = hash.get();
        let name = hash.trim_start_matches('#').to_owned();
        if has_state.get() && !name.is_empty() {
            browser::show_soon(format!("#{name}"));
        }
    });
    let standing = move || match (watching.status(), watching.sight.get()) {
        (None, Sight::Refused { words, .. }) => words,
        (None, _) => String::new(),
        (Some(status), sight) => {
            let at = browser::local_time(&status.at).clock();
            match sight {
                _ if watching.is_paused() => format!("as of {at}, paused"),
                Sight::Live => format!("{at}, updated each second"),
                _ => format!("as of {at}, nothing heard since"),
            }
        }
    };
    let pause = move |_| {
        if watching.is_paused() {
            watching.resume();
        } else {
            watching.pause();
        }
    };
    on_cleanup(move || watching.resume());
    let pause_label = move || {
        if watching.is_paused() {
            "Resume updates"
        } else {
            "Pause updates"
        }
    };
    let nothing = move || match watching.sight.get() {
        Sight::Refused { words, .. } => view! {
            <p class="failure">{words}</p>
            <button type="button" on:click=move |_| watching.begin()>"Try again"</button>
        }
        .into_any(),
        _ => view! { <LoadingLines/> }.into_any(),
    };
    let chart =
        Signal::derive(move || watching.status().and_then(|status| latency::chart(&status)));
    let finding = Signal::derive(move || {
        watching
            .status()
            .map(|status| latency::finding(&status))
            .unwrap_or_default()
    });
    let below = move || match topic.get() {
        Some(_) => {
            view! { <TopicBrowser topic=Signal::derive(move || topic.get().unwrap_or_default())/> }
                .into_any()
        }
        None => view! { <TopicList/> }.into_any(),
    };
    let seconds_ago =
        Callback::new(|seconds: f64| format!("{}\u{a0}s", figures::whole_or_short(seconds)));
    view! {
        <div class="section-head">
            <h1 tabindex="-1">"Live"</h1>
            <p class="hint" id="live-standing">{standing}</p>
            <button type="button" id="live-pause" on:click=pause>{pause_label}</button>
        </div>
        <Show when=move || has_state.get() fallback=nothing>
            <Drawing status=Signal::derive(move || watching.status())/>
            <div class="two-columns">
                <LoadSlider/>
                <BreakIt/>
            </div>
            {below}
            <div class="two-columns wide-left">
                <section class="latency" aria-labelledby="latency-heading">
                    <h2 id="latency-heading">"Latency, last 5 minutes"</h2>
                    <LineChart
                        chart=chart
                        name="latency"
                        plot=Plot::MIDDLE
                        caption=finding
                        x_words=seconds_ago
                        empty="No payments through this gateway in the last 5 minutes. Make one on Client."
                    />
                </section>
                <ServiceList/>
            </div>
            <AuditorList/>
        </Show>
    }
}
