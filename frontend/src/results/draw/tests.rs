//! Given documents, what is drawn of them.

use super::{OURS, draw};
use crate::{
    api::status::MeasuredResult,
    chart::Chart,
    results::{Drawn, Kind, Percentile, Picture, Run, published},
};

fn run(document: &str) -> Run {
    Run::read(MeasuredResult {
        name: "sample".to_owned(),
        measured_at: "2026-11-21T21:50:00Z".to_owned(),
        commit: String::new(),
        machine: String::new(),
        noisy: false,
        verdict: String::new(),
        document: document.to_owned(),
    })
}

fn bank() -> Run {
    run(r#"{"version":2,"subject":"bank","machine":{"cores":2},
        "capacity":{"per_second":4757,"failed_per_second":5657,"limited_by":["p99 to the balance is 240 ms"]},
        "painted":{"latency":{"p50_ms":21}},
        "recovery":{"per_second":1000,"flows_again_ms":1771,"caught_up_ms":2400,"lost":0},
        "stages":[{"step":"idle","per_second":5,"samples":96,"total_mean_ms":4.1,"stages":[
            {"name":"reaches the gateway","mean_ms":0.15,"p99_ms":0.3},{"name":"committed","mean_ms":0.75,"p99_ms":1.5}]}],
        "steps":[
          {"name":"nothing","offered_per_second":0,"is_valid":true,"is_kept_up":true,"visible":{"samples":0,"p50_ms":0}},
          {"name":"idle","offered_per_second":5,"is_valid":true,"is_kept_up":true,"visible":{"p50_ms":4.1,"p95_ms":8.2,"p99_ms":9},
           "services":[{"name":"command-handler","cpu_us_per_command":80,"rss_anon_mib":8.1}]},
          {"name":"ladder","offered_per_second":1000,"is_valid":true,"is_kept_up":true,"visible":{"p50_ms":9.1}},
          {"name":"bisection","offered_per_second":4757,"is_valid":true,"is_kept_up":true,"visible":{"p50_ms":31}},
          {"name":"100 %","offered_per_second":4757,"is_valid":true,"is_kept_up":true,"visible":{"p50_ms":30}},
          {"name":"ladder","offered_per_second":8000,"is_valid":true,"is_kept_up":false,"visible":{"p50_ms":900}}]}"#)
}

fn lines_of(drawn: &Drawn) -> &Chart {
    match &drawn.pictures[0] {
        Picture::Lines(chart) => chart,
        Picture::Bars(_) => panic!("bars"),
    }
}

#[test]
fn ours_is_the_first_line_and_has_each_load_it_kept_up_with_once() {
    let drawn = draw(
        Kind::Latency,
        Some(&bank()),
        Some(&published()),
        Percentile::P50,
    );
    let chart = lines_of(&drawn);
    assert_eq!(chart.series.len(), 5);
    let ours = &chart.series[0];
    assert_eq!(
        (ours.name.as_str(), ours.stroke, ours.is_cut),
        (OURS, 1, true)
    );
    let points: Vec<(f64, Option<f64>)> =
        ours.points.iter().map(|point| (point.x, point.y)).collect();
    assert_eq!(
        points,
        [
            (5.0, Some(4.1)),
            (1_000.0, Some(9.1)),
            (4_757.0, Some(30.0))
        ]
    );
    assert!(drawn.finding.contains("in 2019"), "{}", drawn.finding);
    assert_eq!(drawn.differs.len(), 2);
}

#[test]
fn without_a_run_the_published_lines_stand_alone_and_nothing_of_ours_is_made_up() {
    for kind in [
        Kind::Latency,
        Kind::Throughput,
        Kind::Cpu,
        Kind::Memory,
        Kind::Idle,
    ] {
        let drawn = draw(kind, None, Some(&published()), Percentile::P50);
        let is_ours = drawn.pictures.iter().any(|picture| match picture {
            Picture::Lines(chart) => chart.series.iter().any(|series| series.stroke == 1),
            Picture::Bars(bars) => bars.rows.iter().any(|row| row.is_ours),
        });
        assert!(!is_ours, "{kind:?}");
        assert!(
            drawn.finding.contains("2019"),
            "{kind:?}: {}",
            drawn.finding
        );
    }
    for kind in [Kind::Stages, Kind::Recovery, Kind::Handler] {
        let drawn = draw(kind, None, None, Percentile::P50);
        assert!(drawn.pictures.is_empty(), "{kind:?}");
        assert!(drawn.finding.starts_with("This run did not"), "{kind:?}");
    }
}

#[test]
fn every_chart_of_a_run_says_what_it_found() {
    let bank = bank();
    for (kind, finding) in [
        (
            Kind::Throughput,
            "Kept up with 4.757/s through the gateway, 9,1 times where the best of 2019 went above a second.",
        ),
        (
            Kind::Idle,
            "With next to no load half of all changes are painted within 21,0 ms; the quickest of 2019 needed 315 ms to the page.",
        ),
        (
            Kind::Stages,
            "Of 4,1 ms from the client's socket to the pushed change, most goes into this: committed, 0,8 ms.",
        ),
        (
            Kind::Recovery,
            "Killed at 1.000/s, the handler answers again after 1,8 s; commands lost: 0.",
        ),
    ] {
        let drawn = draw(kind, Some(&bank), Some(&published()), Percentile::P50);
        assert_eq!(drawn.finding.replace('\u{a0}', " "), finding, "{kind:?}");
    }
}

#[test]
fn a_run_of_the_handler_alone_is_drawn_from_its_own_document() {
    let handler = run(include_str!(
        "../../../../perf/results/2026-11-21-handler-full.json"
    ));
    let drawn = draw(Kind::Handler, Some(&handler), None, Percentile::P99);
    assert_eq!(drawn.pictures.len(), 2);
    assert!(drawn.finding.contains("/s"), "{}", drawn.finding);
    let cpu = draw(
        Kind::Cpu,
        Some(&handler),
        Some(&published()),
        Percentile::P50,
    );
    assert_eq!(lines_of(&cpu).series.len(), 5);
}

/// As of a bank in containers that nobody could be asked about.
const SPARSE: &str = r#"{"version":2,"subject":"bank","kind":"target","capacity":null,"painted":null,"drain":null,
    "recovery":null,"steps":[
      {"name":"idle","offered_per_second":5,"is_valid":true,"is_kept_up":true,"visible":{"samples":9,"p50_ms":4.1},
       "services":[{"name":"command-handler","cpu_percent":null,"cpu_us_per_command":null,"rss_anon_mib":null,"pss_mib":null}]},
      {"name":"ladder","offered_per_second":100,"is_valid":true,"is_kept_up":true,"visible":{"samples":9,"p50_ms":5.5},
       "services":[]},
      {"name":"ladder","offered_per_second":200,"is_valid":true,"is_kept_up":true,"visible":{"samples":0,"p50_ms":0},
       "services":[{"name":"command-handler","cpu_us_per_command":0,"rss_anon_mib":0}]}]}"#;

#[test]
fn what_a_run_could_not_measure_is_said_and_not_drawn() {
    let sparse = run(SPARSE);
    for (kind, beside_2019) in [
        (Kind::Cpu, "CPU of the handler for each command in 2019: "),
        (Kind::Memory, "Memory of the handler in 2019: "),
        (Kind::Throughput, "In 2019 p95 went above a second at "),
    ] {
        let drawn = draw(kind, Some(&sparse), Some(&published()), Percentile::P50);
        assert!(drawn.finding.starts_with(beside_2019), "{}", drawn.finding);
        assert!(
            drawn.finding.ends_with("This run did not measure it."),
            "{}",
            drawn.finding
        );
        let alone = draw(kind, Some(&sparse), None, Percentile::P50);
        assert_eq!(alone.finding, "This run did not measure it.");
        assert!(alone.pictures.is_empty(), "{kind:?}");
    }
    let idle = draw(
        Kind::Idle,
        Some(&sparse),
        Some(&published()),
        Percentile::P50,
    );
    assert!(
        idle.finding
            .contains("are at the client's socket within 4,1"),
        "{}",
        idle.finding
    );
    // What it did measure is drawn; a load at which nothing was seen is none.
    let drawn = draw(Kind::Latency, Some(&sparse), None, Percentile::P50);
    let ours = &lines_of(&drawn).series[0];
    let loads: Vec<f64> = ours.points.iter().map(|point| point.x).collect();
    assert_eq!((loads, ours.is_cut), (vec![5.0, 100.0], false));
}

#[test]
fn no_chart_of_a_sparse_run_has_a_figure_that_is_none() {
    for text in [
        SPARSE,
        r#"{"version":2,"subject":"bank"}"#,
        r#"{"format":1,"subject":"command-handler","steps":[{"rate":100,"cpu":{"handler_us":null},"rss_anon_kib":null}]}"#,
    ] {
        for kind in Kind::ALL {
            for published in [None, Some(published())] {
                let drawn = draw(kind, Some(&run(text)), published.as_ref(), Percentile::P99);
                let said = format!("{drawn:?}");
                for none in ["NaN", "Some(inf", "Some(0.0)", ": inf"] {
                    assert!(!said.contains(none), "{kind:?}: {said}");
                }
            }
        }
    }
}
