//! All topics, each a way into its records.

use leptos::{either::Either, prelude::*};

use crate::{api::status::TopicStatus, browser, figures, formats, watching::Watching};

#[component]
pub(crate) fn TopicList() -> impl IntoView {
    let watching: Watching = expect_context();
    let names = Memo::new(move |_| {
        watching
            .status()
            .map(|status| {
                let names = status.topics.iter().map(|topic| topic.name.clone());
                names.collect::<Vec<_>>()
            })
            .unwrap_or_default()
    });
    let row = move |name: String| {
        let href = format!("/live/topics/{name}");
        let shown = name.clone();
        let topic = Memo::new(move |_| {
            watching.status().and_then(|status| {
                let found = status.topics.iter().find(|topic| topic.name == name);
                found.cloned()
            })
        });
        view! {
            <tr role="row">
                <th scope="row" role="rowheader"><a href=href><code>{shown}</code></a></th>
                {move || topic.get().map(|topic| view! { <Cells topic=topic/> })}
            </tr>
        }
    };
    view! {
        <section class="topics" aria-labelledby="topics-heading">
            <h2 id="topics-heading">"Topics"</h2>
            <table class="plain" role="table">
                <caption class="unseen">"Topics of the bank; choose one to see its last records"</caption>
                <thead role="rowgroup">
                    <tr role="row">
                        <th scope="col" role="columnheader">"Topic"</th>
                        <th scope="col" role="columnheader" class="figure">"Partitions"</th>
                        <th scope="col" role="columnheader" class="figure">"Records"</th>
                        <th scope="col" role="columnheader" class="figure">"Lag"</th>
                        <th scope="col" role="columnheader" class="figure">"Last record"</th>
                    </tr>
                </thead>
                <tbody role="rowgroup"><For each=move || names.get() key=String::clone let(name)>{row(name)}</For></tbody>
            </table>
        </section>
    }
}

#[component]
fn Cells(topic: TopicStatus) -> impl IntoView {
    let last = match topic.last_record_at {
        Some(at) => {
            let moment = browser::local_time(&at);
            Either::Left(view! { <time datetime=at title=moment.in_full()>{moment.clock()}</time> })
        }
        None => Either::Right("–"),
    };
    view! {
        <td role="cell" class="figure" data-label="partitions">{formats::count(topic.partitions.into())}</td>
        <td role="cell" class="figure" data-label="records">{figures::rate(topic.records_per_second)}</td>
        <td role="cell" class="figure" data-label="lag">{topic.lag.map_or_else(|| "–".to_owned(), formats::count)}</td>
        <td role="cell" class="figure" data-label="last">{last}</td>
    }
}
