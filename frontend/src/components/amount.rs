//! Money on the page.

use leptos::prelude::*;

use crate::money::Cents;

/// Money that moved: signed, and named by its direction for those who cannot see the sign.
#[component]
pub(crate) fn Change(cents: Cents) -> impl IntoView {
    let (class, direction) = match cents.0 {
        ..0 => ("amount debit", "debit "),
        _ => ("amount credit", "credit "),
    };
    view! {
        <data class=class value=cents.to_string()>
            <span class="direction">{direction}</span>
            {move || cents.as_change()}
        </data>
    }
}

/// Whether an amount has so many digits that it needs a line of its own on a narrow screen.
pub(crate) fn is_wide(cents: Cents) -> bool {
    const DIGITS_MAX: u32 = 11;
    cents
        .0
        .unsigned_abs()
        .checked_ilog10()
        .is_some_and(|log| log >= DIGITS_MAX)
}

/// A balance at some moment.
#[component]
pub(crate) fn Balance(cents: Cents) -> impl IntoView {
    let class = if cents.0 < 0 {
        "amount below"
    } else {
        "amount"
    };
    view! { <data class=class value=cents.to_string()>{move || cents.as_balance()}</data> }
}

/// The balance of an account now, closed by the double rule.
#[component]
pub(crate) fn BalanceLine(
    #[prop(into)] cents: Signal<Cents>,
    /// In the document; another one where there are several.
    #[prop(default = "balance".to_owned(), into)]
    id: String,
    #[prop(default = "Balance")] label: &'static str,
) -> impl IntoView {
    view! {
        <p class="balance-line">
            <span class="label">{label}</span>
            <data
                id=id
                class="amount"
                class:below=move || cents.get().0 < 0
                class:wide=move || is_wide(cents.get())
                value=move || cents.get().to_string()
            >
                {move || cents.get().as_balance()}
            </data>
        </p>
    }
}
