//! The routes.

#![expect(
    unreachable_pub,
    reason = "what the component macro makes of a component is `pub`"
)]

pub(crate) mod client;
pub(crate) mod employee;
pub(crate) mod home;
pub(crate) mod not_found;
