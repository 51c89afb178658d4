//! The page's side of `schema.graphql`: what can be asked, how it is sent, and how changes come in.

pub mod operations;
pub mod protocol;
pub mod records;
pub mod response;
#[cfg(test)]
mod schema_check;
pub mod status;
pub mod types;

#[cfg(target_arch = "wasm32")]
pub(crate) mod http;
/// All subscriptions of the page go over the one line: `expect_context::<Line>().subscribe(...)`.
#[cfg(target_arch = "wasm32")]
pub(crate) mod line;
