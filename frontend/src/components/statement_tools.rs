//! What the reader may do with a statement: how many rows, which columns, which transactions; stop it, take it along.

use leptos::{prelude::*, task::spawn_local};

use crate::{
    announcer::Announcer,
    browser,
    choices::Choices,
    csv,
    filter::{Filter, FilterError},
    following::Following,
    preferences::{Column, ROWS_CHOICES},
    words,
};

/// Beside the heading. `all` of them, or only the pause; `id` is the statement's.
#[component]
pub(crate) fn Tools(following: Following, all: bool, id: String) -> impl IntoView {
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
            {all.then(|| view! {
                <RowsChoice/>
                <ColumnsChoice/>
                <FilterForm following=following id=id/>
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
fn FilterForm(following: Following, id: String) -> impl IntoView {
    let announcer: Announcer = expect_context();
    let [direction, least, most, text] = [(); 4].map(|()| RwSignal::new(String::new()));
    let wrong = RwSignal::new(None::<FilterError>);
    let read = move || {
        Filter::read(
            &direction.get_untracked(),
            &least.get_untracked(),
            &most.get_untracked(),
            &text.get_untracked(),
        )
    };
    let apply = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        match read() {
            Ok(filter) => {
                wrong.set(None);
                announcer.status(if filter.is_empty() {
                    "All transactions are shown."
                } else {
                    "Filtered."
                });
                following.set_filter(filter);
            }
            Err(error) => {
                announcer.alert(error.words());
                wrong.set(Some(error));
            }
        }
    };
    let clear = move |_| {
        [direction, least, most, text]
            .iter()
            .for_each(|field| field.set(String::new()));
        wrong.set(None);
        following.set_filter(Filter::default());
    };
    // Cleared elsewhere, as by the button in an empty list.
    Effect::new(move |was_filtered: Option<bool>| {
        let is_filtered = !following.filter().is_empty();
        if was_filtered == Some(true) && !is_filtered {
            [direction, least, most, text]
                .iter()
                .for_each(|field| field.set(String::new()));
        }
        is_filtered
    });
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
                        maxlength="140"
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
