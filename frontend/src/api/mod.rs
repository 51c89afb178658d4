//! The page's side of `schema.graphql`: what can be asked, how it is sent, and how changes come in.

pub mod operations;
pub mod protocol;
#[cfg(test)]
mod schema_check;

#[cfg(target_arch = "wasm32")]
pub(crate) mod http;
#[cfg(target_arch = "wasm32")]
pub(crate) mod live;
