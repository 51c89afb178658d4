//! A chart: lines or bars as SVG, its finding above, the same figures as a table below.

#![expect(clippy::float_arithmetic, reason = "places on a screen, not money")]

use leptos::prelude::*;

use crate::{
    chart::{Bars, Chart, Plot, Series, tick_figure},
    figures,
};

/// Lines with a cross-hair that reads them. `name` is unique on the page.
#[component]
pub(crate) fn LineChart(
    chart: Signal<Option<Chart>>,
    name: &'static str,
    #[prop(into)] caption: Signal<String>,
    /// How a place on the lower axis is written.
    #[prop(optional, into)]
    x_words: Option<Callback<f64, String>>,
    /// The picture where there is room.
    #[prop(default = Plot::WIDE)]
    plot: Plot,
    /// What is read first.
    #[prop(optional)]
    begin_at: Option<f64>,
    /// Where there is none to draw.
    #[prop(into)]
    empty: Signal<String>,
) -> impl IntoView {
    // Which of the measured places is read; until someone chooses, where most can be compared, or else the last.
    let chosen = RwSignal::new(None::<usize>);
    let places = Memo::new(move |_| {
        chart.with(|chart| chart.as_ref().map(Chart::readable_at).unwrap_or_default())
    });
    let place = Memo::new(move |_| {
        let last = places.with(|places| places.len().saturating_sub(1));
        let begin = begin_at
            .and_then(|at| places.with(|places| places.iter().position(|place| *place >= at)));
        chosen.get().or(begin).unwrap_or(last).min(last)
    });
    let at = Memo::new(move |_| places.with(|places| places.get(place.get()).copied()));
    let in_words = move |value: f64| match x_words {
        Some(words) => words.run(value),
        None => chart.with(|chart| {
            let unit = chart.as_ref().map(|chart| chart.x_unit.clone());
            format!(
                "{}{}",
                figures::whole_or_short(value),
                unit.unwrap_or_default()
            )
        }),
    };
    let slid = move |event: web_sys::Event| {
        chosen.set(event_target_value(&event).parse().ok());
    };
    let caption_id = format!("{name}-caption");
    let range_id = format!("{name}-read");
    let picture = move |plot: Plot, is_narrow: bool| {
        move || {
            chart.get().map(|chart| {
                view! { <Picture chart=chart plot=plot is_narrow=is_narrow at=at x_words=x_words/> }
            })
        }
    };
    let has_some = Memo::new(move |_| places.with(|places| !places.is_empty()));
    let labelled = caption_id.clone();
    view! {
        <figure class="chart" aria-labelledby=caption_id.clone() data-chart=name>
            <figcaption id=caption_id.clone()>{move || caption.get()}</figcaption>
            <Show when=move || has_some.get() fallback=move || view! { <p class="empty">{empty.get()}</p> }>
                <p class="chart-title">{move || chart.with(|chart| chart.as_ref().map(|chart| chart.y_title.clone()))}</p>
                <svg class="chart-wide" viewBox=format!("0 0 {} {}", plot.width, plot.height) role="img" aria-labelledby=labelled.clone()>
                    {picture(plot, false)}
                </svg>
                <svg class="chart-narrow" viewBox=format!("0 0 {} {}", Plot::NARROW.width, Plot::NARROW.height) role="img" aria-labelledby=labelled.clone()>
                    {picture(Plot::NARROW, true)}
                </svg>
                <p class="chart-title below">{move || chart.with(|chart| chart.as_ref().map(|chart| chart.x_title.clone()))}</p>
                <div class="read-at">
                    <label for=range_id.clone()>"Read at"</label>
                    <input
                        id=range_id.clone()
                        type="range"
                        min="0"
                        step="1"
                        max=move || places.with(|places| places.len().saturating_sub(1)).to_string()
                        prop:value=move || place.get().to_string()
                        aria-valuetext=move || at.get().map(in_words)
                        on:input=slid
                    />
                    <output for=range_id.clone()>{move || at.get().map(in_words)}</output>
                </div>
                <ul class="legend">{move || chart.with(|chart| chart.as_ref().map(|chart| legend(chart, at.get())))}</ul>
                <details>
                    <summary>"Show as table"</summary>
                    <div class="scrolls" tabindex="0" role="region" aria-label=move || format!("Figures: {}", caption.get())>
                        {move || chart.with(|chart| chart.as_ref().map(|chart| table(chart, &in_words)))}
                    </div>
                    <p>{move || chart.with(|chart| chart.as_ref().map(|chart| csv_link(name, &chart.csv())))}</p>
                </details>
            </Show>
        </figure>
    }
}

fn csv_link(name: &str, csv: &str) -> impl IntoView + use<> {
    let text = String::from(js_sys::encode_uri_component(csv));
    view! { <a href=format!("data:text/csv;charset=utf-8,{text}") download=format!("{name}.csv")>"Download as CSV"</a> }
}

/// Names with their stroke and what is read at the chosen place.
fn legend(chart: &Chart, at: Option<f64>) -> impl IntoView + use<> {
    let read = chart.read(at.unwrap_or(0.0));
    let rows = read.into_iter().map(|(series, point)| {
        let value = chart.value_in_words(point, at);
        view! {
            <li class:ours=series.stroke == 1>
                <svg class="sample" viewBox="0 0 32 12" width="32" height="12" aria-hidden="true">
                    <g class=format!("series s{}", series.stroke)>
                        <path d="M0 6L32 6"/>
                        {mark(series.stroke, 16.0, 6.0)}
                    </g>
                </svg>
                <span class="name">{series.name.clone()}</span>
                <span class="value">{value}</span>
            </li>
        }
    });
    rows.collect_view()
}

fn table(chart: &Chart, x_words: &dyn Fn(f64) -> String) -> impl IntoView + use<> {
    let also = chart.also.clone();
    let heads = if also.is_empty() {
        vec![chart.y_title.clone()]
    } else {
        also.iter()
            .map(|name| format!("{name}, {}", chart.unit))
            .collect()
    };
    let rows = chart.series.iter().flat_map(|series| {
        series.points.iter().map(|point| {
            let figures: Vec<String> = if chart.also.is_empty() {
                vec![point.y.map_or_else(|| "none".to_owned(), figures::precise)]
            } else {
                point.also.iter().copied().map(figures::precise).collect()
            };
            let cells = figures
                .into_iter()
                .map(|figure| view! { <td class="figure">{figure}</td> })
                .collect_view();
            view! { <tr><th scope="row">{series.name.clone()}</th><td class="figure">{x_words(point.x)}</td>{cells}</tr> }
        })
    });
    view! {
        <table class="plain">
            <thead>
                <tr>
                    <th scope="col">"Line"</th>
                    <th scope="col" class="figure">{chart.x_title.clone()}</th>
                    {heads.into_iter().map(|head| view! { <th scope="col" class="figure">{head}</th> }).collect_view()}
                </tr>
            </thead>
            <tbody>{rows.collect_view()}</tbody>
        </table>
    }
}

/// All that is inside the SVG.
#[component]
fn Picture(
    chart: Chart,
    plot: Plot,
    is_narrow: bool,
    at: Memo<Option<f64>>,
    x_words: Option<Callback<f64, String>>,
) -> impl IntoView {
    const MAJOR: f64 = 6.0;
    const MINOR: f64 = 3.0;
    let (right, bottom) = (plot.x_end(), plot.y_end());
    let rising = chart.y.ticks.iter().map(|tick| {
        let y = plot.y(&chart.y, tick.value);
        let long = if tick.is_major { MAJOR } else { MINOR };
        let figure = tick_figure(&chart.y, tick.value, is_narrow);
        let grid = figure
            .is_some()
            .then(|| view! { <line class="grid" x1=plot.left x2=right y1=y y2=y/> });
        view! {
            {grid}
            <line class="axis" x1=plot.left - long x2=plot.left y1=y y2=y/>
            {figure.map(|figure| view! { <text class="axis-text" x=plot.left - 10.0 y=y + 4.0 text-anchor="end">{figure}</text> })}
        }
    });
    let rising = rising.collect_view();
    let running = chart.x.ticks.iter().map(|tick| {
        let x = plot.x(&chart.x, tick.value);
        let long = if tick.is_major { MAJOR } else { MINOR };
        let figure = tick_figure(&chart.x, tick.value, is_narrow).map(|figure| match x_words {
            Some(words) => words.run(tick.value),
            None => figure,
        });
        view! {
            <line class="axis" x1=x x2=x y1=bottom y2=bottom + long/>
            {figure.map(|figure| view! { <text class="axis-text" x=x y=bottom + 22.0 text-anchor="middle">{figure}</text> })}
        }
    });
    let running = running.collect_view();
    let drawn = chart
        .series
        .iter()
        .rev()
        .map(|series| line(&chart, series, &plot))
        .collect_view();
    let names = (!is_narrow).then(|| {
        let name = |end: crate::chart::EndName| {
            let series = &chart.series[end.series];
            let (x, y) = end.line;
            let hair = ((end.y - y).abs() > 4.0 || x < right - 1.0).then(|| {
                view! { <path class="hair" d=format!("M{:.1} {y:.1}L{:.1} {:.1}", x + 6.0, right + 8.0, end.y)/> }
            });
            view! {
                {hair}
                <text class="series-name" class:ours=series.stroke == 1 x=right + 12.0 y=end.y + 4.0>{series.name.clone()}</text>
            }
        };
        chart.end_names(&plot).into_iter().map(name).collect_view()
    });
    let x_range = chart.x.clone();
    let hair = move || {
        at.get().map(|at| {
            let x = plot.x(&x_range, at);
            view! { <line class="cross-hair" x1=x x2=x y1=plot.top y2=bottom/> }
        })
    };
    view! {
        {rising}
        {running}
        <path class="axis" d=format!("M{} {}L{} {bottom}L{right} {bottom}", plot.left, plot.top, plot.left)/>
        {hair}
        {drawn}
        {names}
    }
}

fn line(chart: &Chart, series: &Series, plot: &Plot) -> impl IntoView + use<> {
    /// With more, marks would cover the line.
    const MARKS_MAX: usize = 12;
    let places = chart.places(series, plot);
    let every = places.len().div_ceil(MARKS_MAX).max(1);
    let last = places.len().saturating_sub(1);
    let marks = places
        .iter()
        .enumerate()
        .filter(|(place, _)| place % every == 0 || *place == last)
        .map(|(_, (x, y))| mark(series.stroke, *x, *y));
    let cut = series
        .is_cut
        .then(|| places.last())
        .flatten()
        .map(|(x, y)| {
            let (left, right, up, down) = (x + 6.0, x + 14.0, y - 4.0, y + 4.0);
            view! { <path class="cut" d=format!("M{left:.1} {up:.1}L{right:.1} {down:.1}M{left:.1} {down:.1}L{right:.1} {up:.1}")/> }
        });
    view! {
        <g class=format!("series s{}", series.stroke)>
            <path d=chart.path(series, plot)/>
            {marks.collect_view()}
            {cut}
        </g>
    }
}

/// Disc, square, triangle, diamond, cross, bar: a line can be told from another without its colour.
fn mark(stroke: u8, x: f64, y: f64) -> impl IntoView + use<> {
    const HALF: f64 = 3.5;
    let (left, right, up, down) = (x - HALF, x + HALF, y - HALF, y + HALF);
    let path = match stroke {
        1 => format!("M{left:.1} {y:.1}a{HALF} {HALF} 0 1 0 7 0a{HALF} {HALF} 0 1 0 -7 0Z"),
        2 => format!("M{left:.1} {up:.1}H{right:.1}V{down:.1}H{left:.1}Z"),
        3 => format!("M{x:.1} {up:.1}L{right:.1} {down:.1}L{left:.1} {down:.1}Z"),
        4 => format!("M{x:.1} {up:.1}L{right:.1} {y:.1}L{x:.1} {down:.1}L{left:.1} {y:.1}Z"),
        5 => format!(
            "M{left:.1} {up:.1}L{right:.1} {down:.1}M{left:.1} {down:.1}L{right:.1} {up:.1}"
        ),
        _ => format!("M{x:.1} {up:.1}V{down:.1}"),
    };
    view! { <path class="mark" d=path/> }
}

/// Bars from zero, each with its figure.
#[component]
pub(crate) fn BarChart(bars: Bars, name: String) -> impl IntoView {
    let rows = bars.rows.iter().map(|row| {
        let width = format!("{:.2}%", bars.share_percent(row.value));
        view! {
            <tr class:ours=row.is_ours>
                <th scope="row">{row.name.clone()}</th>
                <td class="bar-cell" aria-hidden="true"><span class="bar-line" style:width=width></span></td>
                <td class="figure">{row.figure.clone()}</td>
                <td class="note">{row.note.clone()}</td>
            </tr>
        }
    });
    let rows = rows.collect_view();
    let range = bars.range();
    let ticks = range.ticks.iter().map(|tick| {
        let left = format!("{:.3}%", range.share(tick.value) * 100.0);
        let figure = tick_figure(&range, tick.value, false);
        let is_major = tick.is_major;
        view! { <span class="bar-tick" class:major=is_major style:left=left>{figure.map(|figure| view! { <span>{figure}</span> })}</span> }
    });
    let ticks = ticks.collect_view();
    view! {
        <table class="bars" data-chart=name.clone()>
            <caption>{bars.title.clone()}</caption>
            <thead class="unseen-head">
                <tr><th scope="col">"What"</th><td></td><th scope="col">"Figure"</th><th scope="col">"Beside it"</th></tr>
            </thead>
            <tbody>{rows}</tbody>
            <tfoot aria-hidden="true"><tr><td></td><td class="bar-axis"><div>{ticks}</div></td><td></td><td></td></tr></tfoot>
        </table>
        <p>{csv_link(&name, &bars.csv())}</p>
    }
}
