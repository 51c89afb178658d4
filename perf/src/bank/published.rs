//! What the article's authors published in 2019, condensed; see the file for its source.

use serde::Deserialize;

const FILE: &str = include_str!("../../published/2019.json");

/// The article's data.
#[derive(Clone, Debug, Deserialize)]
pub struct Published {
    /// What was measured then.
    pub measured: String,
    /// On what.
    pub machine: String,
    /// Of the numbers in each step.
    pub columns: Vec<String>,
    /// Its four handlers.
    pub handlers: Vec<Handler>,
}

/// One of the handlers.
#[derive(Clone, Debug, Deserialize)]
pub struct Handler {
    /// Of the variant.
    pub name: String,
    /// Load from which on the slowest twentieth took more than a second.
    pub p95_above_1_s_from_per_second: f64,
    /// Rows of numbers, by [`Published::columns`].
    pub steps: Vec<Vec<Option<f64>>>,
}

impl Published {
    /// Reads it.
    ///
    /// # Panics
    /// When the file in this repository is broken, which a test would show.
    #[must_use]
    pub fn load() -> Published {
        serde_json::from_str(FILE).expect("the file has the form that a test holds it to")
    }

    /// Load and value of a column, of one handler; the first minute, which paid for the start
    /// of the JVM, is at load 0 and left out where the scale is logarithmic.
    #[must_use]
    pub fn points(&self, handler: &Handler, column: &str) -> Vec<(f64, f64)> {
        let Some(at) = self.columns.iter().position(|it| it == column) else {
            return Vec::new();
        };
        let point = |row: &Vec<Option<f64>>| {
            row.first()
                .copied()
                .flatten()
                .zip(row.get(at).copied().flatten())
        };
        handler.steps.iter().filter_map(point).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_handlers_have_points_in_every_column() {
        let published = Published::load();
        assert_eq!(published.handlers.len(), 4);
        for handler in &published.handlers {
            for column in &published.columns {
                let points = published.points(handler, column);
                assert!(points.len() > 20, "{} {column}", handler.name);
            }
        }
        assert!(
            published
                .points(&published.handlers[0], "no such column")
                .is_empty()
        );
    }
}
