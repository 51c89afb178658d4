//! The last records of a topic, decoded, as they are written: stop them, filter them, open one, follow its command.

use leptos::{prelude::*, task::spawn_local};
use leptos_router::hooks::use_query_map;

use super::{frame::going, record::RecordFields, statement::LoadingLines};
use crate::{
    address,
    announcer::Announcer,
    api::{
        http,
        line::{Heard, Line, Subscription},
        records::{self as api_records, TopicRecord, TopicRecordsAnswer},
        response::ApiError,
        status::TopicStatus,
    },
    browser, drawing, figures, formats, hops, iban,
    records::{Records, SHOWN_MAX},
    watching::Watching,
    words,
};

const HEADING: &str = "#topic-heading";
const FOCUSED_ROW: &str = "#topic-records :focus-visible";
/// Shown of a command id and of a long key.
const ENDS: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Loading,
    Ready,
    Failed(String),
}

/// The browser of one topic.
#[component]
pub(crate) fn TopicBrowser(#[prop(into)] topic: Signal<String>) -> impl IntoView {
    let watching: Watching = expect_context();
    let announcer: Announcer = expect_context();
    let line: Line = expect_context();
    let query = use_query_map();
    let contains = Memo::new(move |_| {
        let text = query.with(|query| query.get("contains"));
        text.filter(|text| !text.is_empty())
    });
    let typed = RwSignal::new(contains.get_untracked().unwrap_or_default());
    // Opened by a link the route is far above; who chooses another topic here stays where they are.
    if !browser::is_in_control() {
        browser::show_soon(HEADING.to_owned());
    }
    let phase = RwSignal::new(Phase::Loading);
    let records = RwSignal::new(Records::default());
    // Stopped by the reader, or held while one goes through the rows by keyboard: the one with the focus must not leave.
    let [is_stopped, is_held] = [(); 2].map(|()| RwSignal::new(false));
    Effect::new(move |_| {
        let paused = is_stopped.get() || is_held.get();
        records.update(|records| records.pause(paused));
    });
    let hold = move || _ = is_held.try_set(browser::is_there(FOCUSED_ROW));
    let asked = RwSignal::new(0_u32);
    let subscription = StoredValue::new_local(None::<Subscription>);
    // Answers to an older choice of topic or filter come late now and then.
    let choice = StoredValue::new(0_u32);
    Effect::new(move |_| {
        asked.track();
        choice.update_value(|choice| *choice += 1);
        let mine = choice.get_value();
        let is_current = move || choice.try_get_value() == Some(mine);
        let (topic, contains) = (topic.get(), contains.get());
        phase.set(Phase::Loading);
        is_stopped.set(false);
        records.set(Records::default());
        let failed = move |error: &ApiError| {
            phase.try_set(Phase::Failed(words::load_failure(error)));
        };
        // First the stream, then the look back, so that nothing falls between them; what comes twice is shown once.
        let (pushed_topic, pushed_contains) = (topic.clone(), contains.clone());
        let listener = move |heard| match heard {
            _ if !is_current() => {}
            Heard::Subscribed => {}
            Heard::Next(TopicRecordsAnswer { topic_records }) => {
                records.try_update(|records| records.take(topic_records));
            }
            Heard::Refused(error) => failed(&error),
        };
        subscription.set_value(Some(line.subscribe(
            move || api_records::watch_topic(&pushed_topic, pushed_contains.as_deref()),
            listener,
        )));
        spawn_local(async move {
            let operation = api_records::topic_records(&topic, SHOWN_MAX, contains.as_deref());
            let answer = http::send::<TopicRecordsAnswer>(&operation).await;
            if !is_current() {
                return;
            }
            match answer {
                Ok(TopicRecordsAnswer { topic_records }) => {
                    records.try_update(|records| records.take(topic_records));
                    phase.try_set(Phase::Ready);
                }
                Err(error) => failed(&error),
            }
        });
    });
    on_cleanup(move || _ = subscription.try_set_value(None));
    let about = Memo::new(move |_| {
        let topic = topic.get();
        watching.status().and_then(|status| {
            let found = status.topics.iter().find(|known| known.name == topic);
            found.map(about)
        })
    });
    let going = going();
    // A topic and what its records must contain, both in the address.
    let go = move |topic: &str, contains: &str| {
        let path = format!("/live/topics/{}", address::escaped(topic));
        going.run(address::with_query(&path, &[("contains", contains)]));
    };
    let find = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let text = iban::compact(&typed.get_untracked());
        go(&topic.get_untracked(), &text);
    };
    let clear = move |_| go(&topic.get_untracked(), "");
    Effect::new(move |_| typed.set(contains.get().unwrap_or_default()));
    let is_paused = Memo::new(move |_| records.with(Records::is_paused));
    let pause = move |_| {
        let paused = !is_stopped.get_untracked();
        is_stopped.set(paused);
        announcer.status(if paused {
            "Updates paused."
        } else {
            "Updates resumed."
        });
    };
    let pause_label = move || match (is_paused.get(), records.with(Records::waiting)) {
        (false, _) => "Pause updates".to_owned(),
        (true, 0) => "Resume updates".to_owned(),
        (true, waiting) => format!("Resume updates, {} new", formats::count(waiting as u64)),
    };
    let choose = move |event| go(&event_target_value(&event), "");
    let option = move |name: &'static str| {
        view! { <option value=name selected=move || topic.with(|topic| topic == name)>{name}</option> }
    };
    let serials = Memo::new(move |_| {
        records.with(|records| records.shown().iter().map(hops::serial).collect::<Vec<_>>())
    });
    // The table stays in the page while rows come and go, and with it the focus and what is open.
    let is_empty = Memo::new(move |_| serials.with(Vec::is_empty));
    let body = move || {
        match phase.get() {
        Phase::Loading => view! { <LoadingLines/> }.into_any(),
        Phase::Failed(words) => view! {
            <p class="failure">{words}</p>
            <button type="button" on:click=move |_| asked.update(|asked| *asked += 1)>"Try again"</button>
        }
        .into_any(),
        Phase::Ready if is_empty.get() => match contains.get() {
            Some(_) => view! {
                <p class="empty">"Nothing matches these filters. " <button type="button" class="small" on:click=clear>"Clear filters"</button></p>
            }
            .into_any(),
            None => view! { <p class="empty">"No records here yet. Set a load, or make a payment."</p> }.into_any(),
        },
        Phase::Ready => view! {
            <table class="records">
                <caption class="unseen">"Last records, newest first"</caption>
                <thead>
                    <tr>
                        <th scope="col">"Time"</th>
                        <th scope="col">"Partition:offset"</th>
                        <th scope="col">"Key"</th>
                        <th scope="col">"Record"</th>
                        <th scope="col">"Schema"</th>
                        <th scope="col">"Command"</th>
                    </tr>
                </thead>
                <For each=move || serials.get() key=String::clone let(serial)>
                    {records.with_untracked(|records| {
                        let found = records.shown().iter().find(|record| hops::serial(record) == serial);
                        found.cloned().map(|record| view! { <RecordRow record=record/> })
                    })}
                </For>
            </table>
        }
        .into_any(),
    }
    };
    view! {
        <section class="topic-browser" aria-labelledby="topic-heading">
            <div class="section-head">
                <h2 id="topic-heading" tabindex="-1" data-heading="true">
                    <span class="unseen">"Topic "</span>
                    <code>{move || topic.get()}</code>
                </h2>
                <p class="hint">{move || about.get()}</p>
            </div>
            <form class="topic-tools" role="search" on:submit=find>
                <div class="field">
                    <label for="topic-choice">"Topic"</label>
                    <select id="topic-choice" on:change=choose prop:value=move || topic.get()>
                        {drawing::topic_names().map(option).collect_view()}
                    </select>
                </div>
                <div class="field">
                    <label for="topic-filter">"IBAN, key or command id"</label>
                    <input
                        id="topic-filter"
                        type="search"
                        autocomplete="off"
                        autocapitalize="off"
                        spellcheck="false"
                        prop:value=move || typed.get()
                        on:input=move |event| typed.set(event_target_value(&event))
                    />
                </div>
                <button type="submit" id="topic-find">"Filter"</button>
                <button type="button" id="topic-pause" on:click=pause>{pause_label}</button>
            </form>
            <div
                id="topic-records"
                on:focusin=move |_| hold()
                on:focusout=move |_| request_animation_frame(hold)
                aria-busy=move || (phase.get() == Phase::Loading).then_some("true")>{body}</div>
        </section>
    }
}

fn about(topic: &TopicStatus) -> String {
    let versions: Vec<String> = topic.schema_versions.iter().map(u32::to_string).collect();
    let versions = match versions.as_slice() {
        [] => String::new(),
        [one] => format!(", schema version {one}"),
        [all @ .., last] => format!(", schema versions {} and {last}", all.join(", ")),
    };
    format!(
        "{}, {}{versions}",
        figures::counted(topic.partitions.into(), "partition", "partitions"),
        figures::rate(topic.records_per_second)
    )
}

#[component]
fn RecordRow(record: TopicRecord) -> impl IntoView {
    let is_open = RwSignal::new(false);
    let serial = hops::serial(&record);
    let command = hops::command_of(&record).map(str::to_owned);
    let name = hops::short_name(&record).to_owned();
    let schema = match record.schema_version {
        Some(version) => format!("id {} v{version}", record.schema_id),
        None => format!("id {}", record.schema_id),
    };
    let details_id = format!("record-{}-{}", record.partition, record.offset);
    let controls = details_id.clone();
    let opened = record.clone();
    let follow = command.clone();
    view! {
        <tbody class="record" data-serial=serial.clone()>
            <tr>
                <td class="time"><time datetime=record.sent_at.clone() title=format!("{} UTC", record.sent_at)>{clock(&record.sent_at)}</time></td>
                <td class="serial">{serial.clone()}</td>
                <td class="key" translate="no">{shortened(&record.key)}</td>
                <td class="name">
                    <button
                        type="button"
                        class="opener"
                        aria-expanded=move || is_open.get().to_string()
                        aria-controls=controls
                        on:click=move |_| is_open.update(|open| *open = !*open)
                    >
                        {name}
                    </button>
                </td>
                <td class="serial">{schema}</td>
                <td class="serial">{command.map(|id| shortened(&id))}</td>
            </tr>
            <tr id=details_id.clone() class="opened" hidden=move || !is_open.get()>
                <td colspan="6">
                    <Show when=move || is_open.get()>
                        <RecordFields record=opened.clone()/>
                        {follow.clone().map(|id| view! { <p><a href=format!("/trail/{id}")>"Follow this command"</a></p> })}
                    </Show>
                </td>
            </tr>
        </tbody>
    }
}

/// `13:05:07,112` in the reader's zone.
fn clock(rfc3339: &str) -> String {
    const MICROS: i64 = 1_000_000;
    let millis = figures::micros_of(rfc3339).unwrap_or(0).rem_euclid(MICROS) / 1_000;
    let clock = browser::local_time(rfc3339).clock();
    let second = formats::decimal(0.0, 1);
    let mark = second.trim_matches('0');
    format!("{clock}{mark}{millis:03}")
}

/// `8c1f..c1e2`; an IBAN stays whole.
fn shortened(text: &str) -> String {
    const LONG: usize = 24;
    if text.chars().count() <= LONG {
        return text.to_owned();
    }
    let begin: String = text.chars().take(ENDS).collect();
    let end: String = text.chars().skip(text.chars().count() - ENDS).collect();
    format!("{begin}..{end}")
}
