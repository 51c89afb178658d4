//! What the reader may do with a statement: how many rows, which columns, which transactions; stop it, take it along.

use leptos::{prelude::*, task::spawn_local};
use leptos_router::hooks::use_query_map;

use super::frame::going;
use crate::{
    announcer::Announcer,
    browser,
    choices::Choices,
    csv,
    desk::Desk,
    filter::{Direction, Filter, FilterError, TEXT_CHARACTERS_MAX},
    following::Following,
    money::Cents,
    preferences::{Column, ROWS_CHOICES},
    words,
};

const OWN_ACCOUNT: &str = "/client";

/// The filter of a statement, as it stands in the address.
#[derive(Clone, Copy)]
pub(crate) struct Filtering {
    following: Following,
    /// Where several accounts are followed; else it is one's own.
    desk: Option<Memo<Desk>>,
    go: Callback<String>,
}

impl Filtering {
    /// Lets the statement follow the address.
    pub(crate) fn begin(following: Following, desk: Option<Memo<Desk>>) -> Self {
        let query = use_query_map();
        Effect::new(move |_| {
            following.set_filter(match desk {
                Some(desk) => desk.with(|desk| desk.filter.clone()),
                None => query.with(|query| Filter::from_address(&|name| query.get(name))),
            });
        });
        Self {
            following,
            desk,
            go: going(),
        }
    }

    /// The choice before is one step back; the same again is none.
    pub(crate) fn choose(self, filter: Filter) {
        if untrack(|| self.following.filter()) != filter {
            self.go.run(match self.desk {
                Some(desk) => desk.with_untracked(|desk| desk.filtered(filter).address()),
                None => filter.address(OWN_ACCOUNT, &[]),
            });
        }
    }
}

/// Beside the heading. Without filtering only the pause; `id` is the statement's.
#[component]
pub(crate) fn Tools(
    following: Following,
    filtering: Option<Filtering>,
    id: String,
) -> impl IntoView {
    let pause = move || {
        let paused = following.is_paused();
        let label = if paused {
            "Resume updates"
        } else {
            "Pause updates"
        };
        view! { <button type="button" class="small" on:click=move |_| following.pause(!paused)>{label}</button> }
    };
    view! {
        <div class="tools">
            {filtering.map(|filtering| view! {
                <RowsChoice/>
                <ColumnsChoice/>
                <FilterForm filtering=filtering id=id/>
                <Download following=following/>
            })}
            {pause}
        </div>
    }
}

#[component]
fn RowsChoice() -> impl IntoView {
    let choices: Choices = expect_context();
    let chosen = move || choices.preferences.with(|preferences| preferences.rows);
    let choose = move |event| {
        if let Ok(rows) = event_target_value(&event).parse() {
            choices.prefer(|preferences| preferences.rows = rows);
        }
    };
    let option = move |rows: usize| {
        view! { <option value=rows.to_string() selected=move || chosen() == rows>{rows.to_string()}</option> }
    };
    view! {
        <label class="inline">
            <span>"Show "</span>
            <select class="rows" on:change=choose prop:value=move || chosen().to_string()>{ROWS_CHOICES.map(option)}</select>
        </label>
    }
}

#[component]
fn ColumnsChoice() -> impl IntoView {
    let choices: Choices = expect_context();
    let choice = move |column: Column| {
        let shown = move || {
            choices
                .preferences
                .with(|preferences| preferences.shows(column))
        };
        let choose = move |event| {
            let shown = event_target_checked(&event);
            choices.prefer(|preferences| preferences.show(column, shown));
        };
        view! {
            <label class="check">
                <input type="checkbox" data-column=column.key() prop:checked=shown on:change=choose/>
                {column.label()}
            </label>
        }
    };
    view! {
        <details class="disclosure columns">
            <summary>"Columns"</summary>
            <fieldset>
                <legend class="unseen">"Columns to show"</legend>
                {Column::ALL.map(choice)}
            </fieldset>
        </details>
    }
}

#[component]
fn Download(following: Following) -> impl IntoView {
    let announcer: Announcer = expect_context();
    let is_working = RwSignal::new(false);
    let download = move |_| {
        if is_working.get_untracked() {
            return;
        }
        is_working.set(true);
        spawn_local(async move {
            match following.everything().await {
                Ok(transactions) => {
                    let name = format!("{}.csv", following.iban());
                    browser::download(&name, "text/csv", &csv::write(&transactions));
                    announcer.status(format!(
                        "Downloaded {} rows.",
                        words::counted(transactions.len() as u64)
                    ));
                }
                Err(error) => announcer.alert(format!(
                    "Nothing was downloaded. {}",
                    words::load_failure(&error)
                )),
            }
            is_working.try_set(false);
        });
    };
    view! {
        <button type="button" class="small download" aria-disabled=move || is_working.get().then_some("true") on:click=download>
            <span class="unseen">"Download "</span>
            "CSV"
        </button>
    }
}

/// Direction, amounts and a text; takes effect when asked to, so that nothing moves while one types.
#[component]
fn FilterForm(filtering: Filtering, id: String) -> impl IntoView {
    let announcer: Announcer = expect_context();
    let following = filtering.following;
    let fields = [(); 4].map(|()| RwSignal::new(String::new()));
    let [direction, least, most, text] = fields;
    let wrong = RwSignal::new(None::<FilterError>);
    let fill = move |filter: &Filter| {
        let typed = |bound: Option<Cents>| bound.map(Cents::as_typed).unwrap_or_default();
        direction.set(filter.direction.map_or("", Direction::key).to_owned());
        least.set(typed(filter.least));
        most.set(typed(filter.most));
        text.set(filter.text.clone());
        wrong.set(None);
    };
    // Also chosen by a link, by going back, and by the button in an empty list.
    Effect::new(move |before: Option<Filter>| {
        let filter = following.filter();
        if before.as_ref() != Some(&filter) {
            fill(&filter);
        }
        filter
    });
    let apply = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let [direction, least, most, text] = fields.map(|field| field.get_untracked());
        match Filter::read(&direction, &least, &most, &text) {
            Ok(filter) => {
                fill(&filter);
                announcer.status(if filter.is_empty() {
                    "All transactions are shown."
                } else {
                    "Filtered."
                });
                filtering.choose(filter);
            }
            Err(error) => {
                announcer.alert(error.words());
                wrong.set(Some(error));
            }
        }
    };
    let clear = move |_| {
        fill(&Filter::default());
        filtering.choose(Filter::default());
    };
    let amount = |name: String, label: &'static str, value: RwSignal<String>, at: FilterError| {
        let is_wrong = move || {
            wrong
                .get()
                .is_some_and(|error| error == at || error == FilterError::Crossed)
        };
        view! {
            <label>
                {label}
                <input
                    id=name
                    type="text"
                    inputmode="decimal"
                    autocomplete="off"
                    prop:value=move || value.get()
                    on:input=move |event| value.set(event_target_value(&event))
                    aria-invalid=move || is_wrong().then_some("true")
                />
            </label>
        }
    };
    let [direction_id, least_id, most_id, text_id] =
        ["direction", "least", "most", "text"].map(|part| format!("{id}-filter-{part}"));
    view! {
        <details class="disclosure filter">
            <summary>{move || if following.filter().is_empty() { "Filter" } else { "Filter (in use)" }}</summary>
            <form class="filter-form" novalidate=true on:submit=apply>
                <label>
                    "Credit and debit"
                    <select id=direction_id prop:value=move || direction.get() on:change=move |event| direction.set(event_target_value(&event))>
                        <option value="">"both"</option>
                        <option value="CREDIT">"credit"</option>
                        <option value="DEBIT">"debit"</option>
                    </select>
                </label>
                {amount(least_id, "From €", least, FilterError::Least)}
                {amount(most_id, "to €", most, FilterError::Most)}
                <label>
                    "Text"
                    <input
                        id=text_id
                        type="text"
                        autocomplete="off"
                        maxlength=TEXT_CHARACTERS_MAX
                        prop:value=move || text.get()
                        on:input=move |event| text.set(event_target_value(&event))
                    />
                </label>
                <p class="field-error">{move || wrong.get().map(FilterError::words)}</p>
                <div class="buttons">
                    <button type="submit" class="small apply">"Filter"</button>
                    <button type="button" class="small" on:click=clear>"Clear filters"</button>
                </div>
            </form>
        </details>
    }
}
