//! The parts of the page.

#![expect(
    unreachable_pub,
    reason = "what the component macro makes of a component is `pub`"
)]

pub(crate) mod account_list;
pub(crate) mod amount;
pub(crate) mod auditor_lamp;
pub(crate) mod auditor_list;
pub(crate) mod break_it;
pub(crate) mod chart;
pub(crate) mod connection_banner;
pub(crate) mod credentials;
pub(crate) mod deposit;
pub(crate) mod drawing;
pub(crate) mod error_summary;
pub(crate) mod failure;
pub(crate) mod field;
pub(crate) mod four_figures;
pub(crate) mod frame;
pub(crate) mod gate;
pub(crate) mod iban;
pub(crate) mod load_slider;
pub(crate) mod open_account;
pub(crate) mod pay_form;
pub(crate) mod record;
pub(crate) mod service_list;
pub(crate) mod settings;
pub(crate) mod sign_in;
pub(crate) mod statement;
pub(crate) mod statement_tools;
pub(crate) mod time_line;
pub(crate) mod topic_browser;
pub(crate) mod topic_list;
pub(crate) mod transaction_row;
