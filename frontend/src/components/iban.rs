//! An IBAN in groups of four, with a button that copies it.

use std::time::Duration;

use leptos::{html::Span, prelude::*, task::spawn_local};

use crate::{announcer::Announcer, browser, iban};

const COPIED_SHOWN_FOR: Duration = Duration::from_secs(2);

/// Shows an IBAN. `id` is for the one that is the reader's own.
#[component]
pub(crate) fn Iban(iban: String, #[prop(optional)] id: Option<&'static str>) -> impl IntoView {
    let announcer: Announcer = expect_context();
    let shown = NodeRef::<Span>::new();
    let copied = RwSignal::new(false);
    let compact = iban.clone();
    let copy = move |_| {
        let compact = compact.clone();
        spawn_local(async move {
            if browser::copy(&compact).await {
                announcer.status("IBAN copied.");
                copied.try_set(true);
                browser::sleep(COPIED_SHOWN_FOR).await;
                copied.try_set(false);
            } else {
                if let Some(Some(shown)) = shown.try_get_untracked() {
                    browser::select(&shown);
                }
                announcer.status("Copying is blocked here. The IBAN is selected.");
            }
        });
    };
    view! {
        <span class="iban-with-copy">
            <span id=id class="iban" translate="no" data-iban=iban.clone() node_ref=shown>
                {iban::grouped(&iban)}
            </span>
            <button type="button" class="small" on:click=copy aria-label=format!("Copy IBAN ending {}", iban::ending(&iban))>
                {move || if copied.get() { "Copied" } else { "Copy" }}
            </button>
        </span>
    }
}

/// A side of a transfer as the ledger names it: cash, an account of ours, or a name.
#[component]
pub(crate) fn Party(account: String) -> impl IntoView {
    if account == "cash" {
        view! { <span>"cash"</span> }.into_any()
    } else if iban::is_valid(&account) {
        view! { <span class="iban" translate="no">{iban::grouped(&account)}</span> }.into_any()
    } else {
        view! { <span translate="no">{account}</span> }.into_any()
    }
}
