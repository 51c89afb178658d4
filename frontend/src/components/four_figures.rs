//! The bank in four figures, one ruled line of text on the first page.

use leptos::prelude::*;

use crate::{
    api::status::{LatencyWindow, Status},
    figures, formats,
    watching::{Sight, Watching},
};

#[component]
pub(crate) fn FourFigures() -> impl IntoView {
    let watching: Watching = expect_context();
    let figures = move || {
        let Some(status) = watching.newest() else {
            let words = match watching.sight.get() {
                Sight::Refused { words, .. } => {
                    format!("No live figures: {}.", words.trim_end_matches('.'))
                }
                _ => "The live figures come in a moment.".to_owned(),
            };
            return view! { <p class="four-figures none">{words}</p> }.into_any();
        };
        let (invariants, not_asked) = watching.lamp.with(|lamp| (lamp.share(), lamp.not_asked()));
        let hold = match not_asked {
            Some(words) => format!("invariants hold, {words}"),
            None => "invariants hold".to_owned(),
        };
        let figure = |figure: String, what: &str| {
            view! { <div><dt>{what.to_owned()}</dt> <dd>{figure}</dd></div> }
        };
        view! {
            <dl class="four-figures">
                {figure(transfers(&status), "transfers/s")}
                {figure(newest_latency(&status), "request to push, p50")}
                {figure(owed(&status), "commands whose events are owed")}
                {figure(invariants.unwrap_or_else(|| "not known".to_owned()), &hold)}
            </dl>
        }
        .into_any()
    };
    view! { <div id="four-figures">{figures}</div> }
}

fn transfers(status: &Status) -> String {
    let topic = status
        .topics
        .iter()
        .find(|topic| topic.name == "money_transfer_feedback");
    topic.map_or_else(
        || "not known".to_owned(),
        |topic| figures::whole_or_short(topic.records_per_second),
    )
}

fn newest_latency(status: &Status) -> String {
    let newest = status
        .latency
        .iter()
        .rev()
        .find_map(|window: &LatencyWindow| window.p50_ms);
    newest.map_or_else(|| "none yet".to_owned(), figures::milliseconds)
}

fn owed(status: &Status) -> String {
    status
        .owed
        .map_or_else(|| "not known".to_owned(), formats::count)
}
