//! What is looked at on the route, as it stands in the address: which run, beside what, at which percentile.

use super::{Against, Kind, Percentile};
use crate::address;

const ROUTE: &str = "/results";
/// In the address; a run has a name of its own.
const NOTHING: &str = "nothing";
const PUBLISHED: &str = "2019";

/// What is chosen beside the chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Name of a run; the newest of the whole bank without one.
    pub run: Option<String>,
    /// Beside what.
    pub against: Against,
    /// What is drawn of a latency.
    pub percentile: Percentile,
}

impl Choice {
    /// From the values after the question mark.
    #[must_use]
    pub fn read(query: impl Fn(&str) -> Option<String>) -> Self {
        let named = query("percentile");
        let percentile = Percentile::ALL
            .into_iter()
            .find(|percentile| named.as_deref() == Some(percentile.name()));
        Self {
            run: query("run").filter(|name| !name.is_empty()),
            against: Against::from_name(query("against").as_deref()),
            percentile: percentile.unwrap_or_default(),
        }
    }

    /// The address of a chart with this choice.
    #[must_use]
    pub fn address(&self, kind: Kind) -> String {
        let against = match &self.against {
            Against::Published => "",
            other => other.name(),
        };
        let percentile = match self.percentile {
            Percentile::P50 => "",
            other => other.name(),
        };
        let run = self.run.as_deref().unwrap_or_default();
        address::with_query(
            &format!("{ROUTE}/{}", kind.id()),
            &[
                ("run", run),
                ("against", against),
                ("percentile", percentile),
            ],
        )
    }
}

impl Against {
    /// As the address and the list of choices have it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Published => PUBLISHED,
            Self::Run(name) => name,
            Self::Nothing => NOTHING,
        }
    }

    /// From [`Against::name`]; what was published where there is none.
    #[must_use]
    pub fn from_name(name: Option<&str>) -> Self {
        match name {
            None | Some("" | PUBLISHED) => Self::Published,
            Some(NOTHING) => Self::Nothing,
            Some(name) => Self::Run(name.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_any_choice_when_its_address_is_opened_then_the_same_is_chosen() {
        let run = |name: &str| Some(name.to_owned());
        for (choice, address) in [
            (
                Choice {
                    run: None,
                    against: Against::Published,
                    percentile: Percentile::P50,
                },
                "/results/latency",
            ),
            (
                Choice {
                    run: run("2026-11-22-bank-quick"),
                    against: Against::Nothing,
                    percentile: Percentile::P99,
                },
                "/results/latency?run=2026-11-22-bank-quick&against=nothing&percentile=p99",
            ),
            (
                Choice {
                    run: None,
                    against: Against::Run("one".to_owned()),
                    percentile: Percentile::P95,
                },
                "/results/latency?against=one&percentile=p95",
            ),
        ] {
            assert_eq!(choice.address(Kind::Latency), address);
            let query = address.split_once('?').map_or("", |(_, query)| query);
            let read = Choice::read(|name| {
                let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                pairs
                    .into_iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| value.to_owned())
            });
            assert_eq!(read, choice);
        }
    }
}
