//! The parts of the page.

#![expect(
    unreachable_pub,
    reason = "what the component macro makes of a component is `pub`"
)]

pub(crate) mod amount;
pub(crate) mod auditor_lamp;
pub(crate) mod connection_banner;
pub(crate) mod credentials;
pub(crate) mod deposit;
pub(crate) mod error_summary;
pub(crate) mod failure;
pub(crate) mod field;
pub(crate) mod four_figures;
pub(crate) mod frame;
pub(crate) mod iban;
pub(crate) mod load_slider;
pub(crate) mod open_account;
pub(crate) mod pay_form;
pub(crate) mod sign_in;
pub(crate) mod statement;
pub(crate) mod transaction_row;
