//! The hops of one command as bars on one scale.

#![expect(clippy::float_arithmetic, reason = "places on a screen, not money")]

use leptos::prelude::*;

use crate::{
    chart::tick_figure,
    figures,
    hops::{Stage, TimeLine},
};

#[component]
pub(crate) fn TimeLineView(line: TimeLine) -> impl IntoView {
    let of = line.stages.len();
    let range = line.range.clone();
    let ticks = range.ticks.iter().map(|tick| {
        let left = percent(range.share(tick.value));
        let figure = tick_figure(&range, tick.value, false);
        let is_major = tick.is_major;
        view! { <span class="bar-tick" class:major=is_major style:left=left>{figure.map(|figure| view! { <span>{figure}</span> })}</span> }
    });
    let ticks = ticks.collect_view();
    let stages = line.stages.iter().enumerate().map(|(place, stage)| {
        let bar = stage.span.map(|span| {
            let left = range.share(span.from_ms);
            let width = range.share(span.to_ms) - left;
            view! { <span class="hop-bar" style:left=percent(left) style:width=percent(width)></span> }
        });
        let figure = figure(stage);
        view! {
            <li class="hop" class:slowest=stage.is_slowest class:none=stage.span.is_none()>
                <span class="unseen">{stage.said(place, of)}</span>
                <span class="hop-title" aria-hidden="true">
                    <span class="hop-place">{place + 1}</span>
                    {stage.title.clone()}
                </span>
                <span class="hop-track" aria-hidden="true">{bar}</span>
                <span class="hop-figure" aria-hidden="true">{figure}</span>
                <span class="hop-detail">{stage.detail.clone()}</span>
            </li>
        }
    });
    let stages = stages.collect_view();
    view! {
        <div class="time-line">
            <div class="hop-scale" aria-hidden="true">
                <span>"milliseconds since the first stamp"</span>
                <div class="bar-axis"><div>{ticks}</div></div>
            </div>
            <ol>{stages}</ol>
        </div>
    }
}

fn percent(share: f64) -> String {
    format!("{:.3}%", share * 100.0)
}

fn figure(stage: &Stage) -> String {
    match stage.span {
        None => "no stamp".to_owned(),
        Some(span) if stage.is_slowest => {
            format!("{} slowest", figures::milliseconds(span.long_ms()))
        }
        Some(span) if span.long_ms() == 0.0 => {
            format!("at {}", figures::milliseconds(span.from_ms))
        }
        Some(span) => figures::milliseconds(span.long_ms()),
    }
}
