//! What the article published in 2019, from the one file that has it with its source.

#![expect(clippy::float_arithmetic, reason = "measured, not money")]

use serde_json::Value;

use crate::readable::{self, readable};

const TEXT: &str = include_str!("../../../perf/published/2019.json");

readable! {
    /// The published figures.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Published {
        /// Of the article.
        pub title: String,
        /// Where it is.
        pub source: Source,
        /// On what.
        pub machine: String,
        /// How.
        pub measured: String,
        /// Names of what a step holds.
        pub columns: Vec<String>,
        /// Four ways to write the handler.
        pub handlers: Vec<Handler>,
    }

    /// Where the figures come from.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Source {
        /// Address of the article.
        pub article: String,
        /// Where its rows are.
        pub data: String,
    }

    /// One handler of 2019.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Handler {
        /// Stable.
        pub id: String,
        /// For people.
        pub name: String,
        /// The load from which 5 % took longer than a second.
        pub p95_above_1_s_from_per_second: f64,
        /// Rows, in the order of the columns.
        pub steps: Vec<Vec<Option<f64>>>,
        /// As in [`Published::columns`].
        pub columns: Vec<String>,
    }
}

/// Reads the file; it is part of the page.
#[must_use]
pub fn published() -> Published {
    let value: Value = serde_json::from_str(TEXT).unwrap_or_default();
    let mut published: Published = readable::document(&value);
    for handler in &mut published.handlers {
        handler.columns.clone_from(&published.columns);
    }
    published
}

impl Handler {
    /// A column by load, where it was measured.
    #[must_use]
    pub fn by_load(&self, column: &str) -> Vec<(f64, f64)> {
        let place = |name: &str| self.columns.iter().position(|known| known == name);
        let (Some(load), Some(column)) = (place("per_second"), place(column)) else {
            return Vec::new();
        };
        let value = |step: &Vec<Option<f64>>, at: usize| step.get(at).copied().flatten();
        self.steps
            .iter()
            .filter_map(|step| Some((value(step, load)?, value(step, column)?)))
            .collect()
    }

    /// A column at one load.
    #[must_use]
    pub fn at(&self, column: &str, load: f64) -> Option<f64> {
        self.by_load(column)
            .into_iter()
            .find(|(at, _)| (at - load).abs() < f64::EPSILON)
            .map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_figures_are_read_by_the_names_of_their_columns() {
        let published = published();
        assert_eq!(published.handlers.len(), 4);
        assert!(published.source.article.starts_with("https://"));
        let clojure = &published.handlers[0];
        assert_eq!(clojure.at("p50_ms", 300.0), Some(281.0));
        assert!(clojure.at("p50_ms", 301.0).is_none());
        assert!(clojure.by_load("no such column").is_empty());
        assert!(
            published
                .handlers
                .iter()
                .all(|handler| handler.p95_above_1_s_from_per_second >= 390.0)
        );
    }
}
