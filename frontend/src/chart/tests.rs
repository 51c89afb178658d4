//! Where lines, names and figures stand.

use super::*;

fn chart() -> Chart {
    let point = |x: f64, y: Option<f64>| Point { x, y, also: vec![] };
    let line = |name: &str, points: Vec<Point>| Series {
        name: name.to_owned(),
        stroke: 1,
        points,
        is_cut: false,
    };
    Chart {
        y_title: "ms".to_owned(),
        x_title: "transfers, per second".to_owned(),
        x_unit: "/s".to_owned(),
        unit: "ms".to_owned(),
        y: Range::linear(0.0, 100.0),
        x: Range::linear(0.0, 100.0),
        also: vec![],
        series: vec![
            line(
                "ours",
                vec![
                    point(0.0, Some(0.0)),
                    point(50.0, None),
                    point(60.0, Some(50.0)),
                    point(100.0, Some(50.0)),
                ],
            ),
            line(
                "theirs",
                vec![point(20.0, Some(50.0)), point(100.0, Some(52.0))],
            ),
        ],
    }
}

#[test]
fn a_line_is_broken_where_nothing_was_measured() {
    let chart = chart();
    let path = chart.path(&chart.series[0], &Plot::WIDE);
    assert_eq!(path, "M56.0 348.0M392.0 180.0L616.0 180.0");
    assert_eq!(chart.places(&chart.series[0], &Plot::WIDE).len(), 3);
}

#[test]
fn names_at_the_ends_do_not_stand_on_each_other() {
    let chart = chart();
    let names = chart.end_names(&Plot::WIDE);
    assert_eq!(names.len(), 2);
    assert!((names[0].y - names[1].y).abs() >= 20.0 - 1e-9);
    assert_eq!(
        spread(&[5.0, 5.0, 99.0, 100.0], 10.0, 0.0, 100.0),
        [5.0, 15.0, 90.0, 100.0]
    );
}

#[test]
fn what_is_read_was_measured_near_the_place() {
    let chart = chart();
    assert_eq!(chart.readable_at(), [0.0, 20.0, 60.0, 100.0]);
    let read: Vec<Option<f64>> = chart
        .read(21.0)
        .into_iter()
        .map(|(_, point)| point.and_then(|point| point.y))
        .collect();
    assert_eq!(read, [None, Some(50.0)]);
    let (_, point) = chart.read(25.0)[1];
    assert_eq!(chart.value_in_words(point, Some(25.0)), "50,0 ms at 20/s");
    assert_eq!(chart.value_in_words(point, Some(20.0)), "50,0 ms");
    assert_eq!(chart.value_in_words(None, Some(20.0)), "not measured here");
}

#[test]
fn the_table_can_be_taken_away() {
    let csv = chart().csv();
    assert!(csv.starts_with("series,\"transfers, per second\",ms\r\nours,0,0\r\nours,50,\r\n"));
}

#[test]
fn figures_of_an_axis_are_few_on_a_narrow_picture() {
    let range = Range::log([3.0, 3_000.0]);
    assert_eq!(tick_figure(&range, 300.0, false).as_deref(), Some("300"));
    assert_eq!(tick_figure(&range, 300.0, true), None);
    assert_eq!(tick_figure(&range, 1_000.0, true).as_deref(), Some("1.000"));
    assert_eq!(tick_figure(&range, 400.0, false), None);
    assert_eq!(
        tick_figure(&Range::from_zero([4.0]), 0.0, false).as_deref(),
        Some("0")
    );
    let small = Range::log([0.03, 1.0]);
    assert_eq!(tick_figure(&small, 0.1, false).as_deref(), Some("0,1"));
}
