//! The routes.

#![expect(
    unreachable_pub,
    reason = "what the component macro makes of a component is `pub`"
)]

pub(crate) mod client;
pub(crate) mod employee;
pub(crate) mod home;
pub(crate) mod how_it_works;
pub(crate) mod live;
pub(crate) mod not_found;
pub(crate) mod results;
pub(crate) mod trail;
