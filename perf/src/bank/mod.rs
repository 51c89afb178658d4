//! The whole bank, as its customers see it: they pay through the gateway and follow their
//! accounts, at times that were fixed before, and wait for nobody.
//!
//! Reading order: [`run`] (from the first account to the verdict), [`sizes`] and
//! [`measures`] (what is measured), [`step`] (one load held for a while), [`schedule`] and
//! [`search`] (which loads), [`fleet`] with [`sending`], [`hearing`] and [`frames`],
//! [`customers`] and [`wall`] (who sends and what is seen), [`browser`], [`witness`] and
//! [`stages`] (where the time goes), [`resources`], [`containers`] with [`engine`], and
//! [`loopback`] (what is taken, and what the machine itself takes), [`judgement`] (whether all
//! of it was right); [`experiment`] (the article's), [`soak`] (for long) and [`kafka_clients`]
//! (what those say of themselves); [`results`], [`figures`], [`targets`], [`compare`], [`report`] with
//! [`report_tables`], [`report_apart`], [`report_charts`] and [`svg`], and [`published`] (what is said in the
//! end).

pub mod browser;
pub mod compare;
pub mod containers;
pub mod customers;
pub mod engine;
pub mod experiment;
pub mod figures;
pub mod fleet;
pub mod frames;
pub mod hearing;
pub mod judgement;
pub mod kafka_clients;
pub mod loopback;
pub mod measures;
pub mod published;
pub mod report;
pub mod report_apart;
pub mod report_charts;
pub mod report_tables;
pub mod resources;
pub mod results;
pub mod run;
pub mod schedule;
pub mod search;
pub mod sending;
pub mod sizes;
pub mod soak;
pub mod stages;
pub mod step;
pub mod svg;
pub mod targets;
pub mod wall;
pub mod witness;
