//! The page: what a person sees of the Bank, in the browser. It speaks `schema.graphql` with the gateway and knows
//! nothing else of the house: queries and commands over HTTP, live changes over one WebSocket.
//!
//! In reading order: [`money`], [`formats`], [`iban`] and [`time`] turn what people write into values and back;
//! [`validation`] and [`words`] are what forms and answers say; [`api`] holds every operation; [`statement`] puts the
//! changes of an account together, [`filter`] and [`preferences`] choose among them, [`csv`] hands them on; [`outbox`]
//! keeps payments until there is an answer. All that is plain Rust and tested natively. What needs a browser follows:
//! `session`, `connection`, `payments` and `following` hold the state of the page, `components` and `pages` show it.

pub mod address;
pub mod api;
pub mod backoff;
pub mod chart;
pub mod csv;
pub mod desk;
pub mod drawing;
pub mod figures;
pub mod filter;
pub mod formats;
pub mod hops;
pub mod iban;
pub mod lamp;
pub mod latency;
pub mod load;
pub mod money;
pub mod outbox;
pub mod preferences;
pub mod readable;
pub mod records;
pub mod results;
pub mod scale;
pub mod statement;
pub mod time;
pub mod tour;
pub mod validation;
pub mod words;

#[cfg(target_arch = "wasm32")]
mod announcer;
#[cfg(target_arch = "wasm32")]
mod app;
#[cfg(target_arch = "wasm32")]
mod browser;
#[cfg(target_arch = "wasm32")]
mod choices;
#[cfg(target_arch = "wasm32")]
mod chosen_formats;
#[cfg(target_arch = "wasm32")]
mod components;
#[cfg(target_arch = "wasm32")]
mod connection;
#[cfg(target_arch = "wasm32")]
mod following;
#[cfg(target_arch = "wasm32")]
mod pages;
#[cfg(target_arch = "wasm32")]
mod payments;
#[cfg(target_arch = "wasm32")]
mod session;
#[cfg(target_arch = "wasm32")]
mod watching;

/// Called by the browser as soon as the program is loaded.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen(start)]
pub fn start() {
    leptos::mount::mount_to_body(app::App);
}
