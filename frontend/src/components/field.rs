//! One form field with its label, hint and error. What is typed lives in a signal of the form and nowhere else, so
//! that nothing that arrives can touch it.

use leptos::prelude::*;

use crate::validation::{Field, FieldError};

/// The first error of a field, if any.
fn words_for(errors: Signal<Vec<FieldError>>, field: Field) -> Option<&'static str> {
    errors.with(|errors| {
        errors
            .iter()
            .find(|error| error.field == field)
            .map(|error| error.words)
    })
}

#[component]
pub(crate) fn TextField(
    field: Field,
    label: &'static str,
    value: RwSignal<String>,
    #[prop(into)] errors: Signal<Vec<FieldError>>,
    autocomplete: &'static str,
    #[prop(default = "text")] kind: &'static str,
    #[prop(optional)] inputmode: Option<&'static str>,
    /// Stands beside the field and is read with it.
    #[prop(optional, into)]
    hint: Option<Signal<String>>,
    /// Letters and digits that no dictionary should touch.
    #[prop(optional)]
    literal: bool,
) -> impl IntoView {
    let id = field.id();
    let error = Memo::new(move |_| words_for(errors, field));
    let described_by = if hint.is_some() {
        format!("{id}-error {id}-hint")
    } else {
        format!("{id}-error")
    };
    view! {
        <div class="field" class:wrong=move || error.get().is_some()>
            <label for=id>{label}</label>
            <p class="field-error" id=format!("{id}-error")>{move || error.get()}</p>
            <input
                id=id
                name=id
                type=kind
                inputmode=inputmode
                autocomplete=autocomplete
                autocapitalize="off"
                spellcheck=if literal { "false" } else { "true" }
                aria-invalid=move || error.get().map(|_| "true")
                aria-describedby=described_by
                prop:value=move || value.get()
                on:input=move |event| value.set(event_target_value(&event))
            />
            {hint.map(|hint| view! { <p class="hint" id=format!("{id}-hint")>{move || hint.get()}</p> })}
        </div>
    }
}
