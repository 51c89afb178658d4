//! What is said about traces: the variables that programs with OpenTelemetry know.

use crate::config::parse_http_url;

/// How a program that lacks them says so.
#[cfg(not(feature = "traces"))]
const NOT_BUILT_IN: &str = "this program is built without traces; see the feature `traces`";
/// Digits of a ratio behind its point.
const DIGITS_MAX: usize = 9;
/// A ratio of one.
const WHOLE: u64 = 1_000_000_000;

/// Where spans go, and of how many traces.
#[derive(Clone, Debug, clap::Args)]
pub struct TracesConfig {
    /// Base of a collector that takes OTLP by HTTP, as in `http://127.0.0.1:4318`; without one
    /// there are no traces.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        default_value = "",
        hide_default_value = true,
        value_parser = parse_endpoint
    )]
    pub otlp_endpoint: String,

    /// The part of all traces that is told, from 0 to 1; decided by the number of the trace, so
    /// that all services tell the same ones.
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", default_value = "1", value_parser = Ratio::parse)]
    pub traces_ratio: Ratio,

    /// Under which name; the program's own by default.
    #[arg(
        long,
        env = "OTEL_SERVICE_NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub service_name: String,
}

fn parse_endpoint(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    parse_http_url(text)
}

impl TracesConfig {
    /// Makes spans from now on, if a collector is named; see the module.
    ///
    /// # Errors
    /// Words for the person who named the collector.
    pub fn start(&self, service: &'static str) -> Result<(), String> {
        if self.otlp_endpoint.is_empty() {
            return Ok(());
        }
        #[cfg(feature = "traces")]
        return super::exporter::start(self, service);
        #[cfg(not(feature = "traces"))]
        {
            // The variable is one that others read as well: no reason not to start.
            tracing::warn!(service, "OTEL_EXPORTER_OTLP_ENDPOINT: {NOT_BUILT_IN}");
            Ok(())
        }
    }
}

/// Which traces are told: those whose numbers, spread over 64 bits, are not below this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    reject_below: u128,
}

impl Ratio {
    /// Reads a part of one, as in `0.05`.
    ///
    /// # Errors
    /// Words for the person who wrote it.
    pub fn parse(text: &str) -> Result<Ratio, String> {
        let billionths = billionths(text)
            .filter(|it| *it <= WHOLE)
            .ok_or("a number from 0 to 1 with at most nine digits behind its point, as in 0.05")?;
        let rejected = u128::from(WHOLE - billionths) << u64::BITS;
        Ok(Ratio {
            reject_below: rejected / u128::from(WHOLE),
        })
    }

    /// Whether a trace is told: all services decide alike.
    #[must_use]
    pub fn takes(self, trace_id: u128) -> bool {
        u128::from(spread(trace_id)) >= self.reject_below
    }
}

/// Splitmix64. A trace's number is mostly a UUID, whose bits are partly fixed, and in version 7
/// partly a clock and a counter: taken as they are, one part in twenty would be one in nine.
fn spread(trace_id: u128) -> u64 {
    let (high, low) = uuid::Uuid::from_u128(trace_id).as_u64_pair();
    let mixed = high ^ low;
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn billionths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
    if whole.len() + part.len() == 0
        || whole.len() > 1
        || part.len() > DIGITS_MAX
        || !is_number(whole)
        || !is_number(part)
    {
        return None;
    }
    format!("{whole}{part:0<DIGITS_MAX$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use uuid::Uuid;

    use super::*;

    #[derive(Debug, Parser)]
    struct Sample {
        #[command(flatten)]
        traces: TracesConfig,
    }

    fn parse(arguments: &[&str]) -> Result<TracesConfig, String> {
        let sample = Sample::try_parse_from(["sample"].iter().chain(arguments));
        sample.map(|it| it.traces).map_err(|it| it.to_string())
    }

    #[test]
    fn given_no_collector_then_there_are_no_traces() {
        for arguments in [&[][..], &["--otlp-endpoint", ""]] {
            let traces = parse(arguments).unwrap();
            assert_eq!(traces.otlp_endpoint, "");
            traces.start("test").unwrap();
            assert_eq!(traces.traces_ratio, Ratio { reject_below: 0 });
        }
    }

    #[test]
    fn given_settings_that_cannot_work_then_they_are_refused() {
        for arguments in [
            ["--otlp-endpoint", "jaeger:4318"],
            ["--otlp-endpoint", "http://"],
            ["--traces-ratio", "1.1"],
            ["--traces-ratio", "-1"],
            ["--traces-ratio", "all"],
            ["--traces-ratio", ""],
            ["--traces-ratio", "."],
            ["--traces-ratio", "0.0000000001"],
            ["--traces-ratio", "1e-3"],
        ] {
            assert!(parse(&arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn given_a_ratio_then_that_part_of_commands_ids_is_taken_and_always_the_same() {
        let ids: Vec<u128> = (0..20_000)
            .map(|number| match number % 2 {
                0 => Uuid::new_v4().as_u128(),
                _ => Uuid::now_v7().as_u128(),
            })
            .collect();
        for (text, least, most) in [
            ("0", 0, 0),
            ("0.05", 800, 1_200),
            (".5", 9_500, 10_500),
            ("1.000000000", 20_000, 20_000),
        ] {
            let ratio = Ratio::parse(text).unwrap();
            let taken = ids.iter().filter(|id| ratio.takes(**id)).count();
            assert!((least..=most).contains(&taken), "{text}: {taken}");
        }
        // Whoever takes fewer takes none that others do not.
        let (few, many) = (Ratio::parse("0.1").unwrap(), Ratio::parse("0.3").unwrap());
        assert!(ids.iter().all(|id| !few.takes(*id) || many.takes(*id)));
    }
}
