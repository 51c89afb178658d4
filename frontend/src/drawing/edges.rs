//! What flows from part to part.

use super::{
    Place, is_idle,
    places::{
        ACCOUNT_COMMANDS, ACCOUNT_RESULTS, AUDITOR, BAR_MIDDLE, CHANGES, COMMANDS_Y, DEAD_LETTERS,
        GATEWAY, GENERATOR, HANDLER, HEARTBEAT, HEARTBEATS, JUNCTION_X, LEDGER, PAGES, READ_MODEL,
        TRANSFER_COMMANDS, TRANSFER_RESULTS,
    },
};
use crate::{api::status::Status, figures};

/// A line of the drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// Name among the lines.
    pub id: &'static str,
    /// Where it comes from, in words.
    pub from: &'static str,
    /// Where it goes, in words.
    pub to: &'static str,
    /// Corners, from begin to end.
    pub points: Vec<(u32, u32)>,
    /// Records per second, where that is what flows and is known.
    pub per_second: Option<f64>,
    /// Beside it; where nothing is counted, nothing.
    pub figure: Option<String>,
    /// Where the middle of the figure stands.
    pub figure_at: (u32, u32),
    /// 1 to 5, by the logarithm of the rate; 0 for a line that carries no records.
    pub weight: u8,
    /// Nothing flowed for some seconds.
    pub is_idle: bool,
}

/// By the logarithm of a rate, 1 to 5.
#[must_use]
pub(super) fn weight(per_second: f64) -> u8 {
    match per_second {
        ..1.0 => 1,
        ..10.0 => 2,
        ..100.0 => 3,
        ..1_000.0 => 4,
        _ => 5,
    }
}

/// From one part to another, over a topic's place.
struct Line {
    id: &'static str,
    from: &'static str,
    to: &'static str,
    points: Vec<(u32, u32)>,
    figure_at: (u32, u32),
}

/// Above the line, by so much.
const FIGURE_ABOVE: u32 = 8;

fn right(place: Place) -> u32 {
    place.x + place.width
}

fn bottom(place: Place) -> u32 {
    place.y + place.height
}

fn bar(place: Place) -> u32 {
    place.y + BAR_MIDDLE
}

/// Straight along a bar's height, its figure in the middle above it.
fn level(id: &'static str, from: &'static str, to: &'static str, x: (u32, u32), y: u32) -> Line {
    Line {
        id,
        from,
        to,
        points: vec![(x.0, y), (x.1, y)],
        figure_at: (x.0.midpoint(x.1), y - FIGURE_ABOVE),
    }
}

/// All lines, in the order of the flow.
#[must_use]
pub fn edges(status: &Status) -> Vec<Edge> {
    let mut edges = Vec::new();
    people(status, &mut edges);
    of_topics(status, &mut edges);
    stores(&mut edges);
    edges
}

fn people(status: &Status, edges: &mut Vec<Edge>) {
    let (left, gateway) = (right(PAGES), GATEWAY.x);
    let pushed = status.pushed_per_second;
    let to_gateway = level("asked", "pages", "graphql-endpoint", (left, gateway), 240);
    let to_pages = level("pushed", "graphql-endpoint", "pages", (gateway, left), 280);
    edges.push(Edge {
        figure: Some("GraphQL".to_owned()),
        ..without_records(to_gateway)
    });
    edges.push(Edge {
        per_second: Some(pushed),
        figure: Some(format!("pushed {}", figures::rate(pushed))),
        weight: weight(pushed),
        is_idle: pushed <= 0.0,
        ..without_records(to_pages)
    });
}

fn of_topics(status: &Status, edges: &mut Vec<Edge>) {
    let mut carry = |topic: &'static str, line: Line| {
        edges.push(with_records(status, topic, line));
    };
    let heartbeats = bar(HEARTBEATS);
    let (commands, results, changes) = (
        "confirm_money_transfer",
        "money_transfer_feedback",
        "balance_changed",
    );
    carry(
        "heartbeat",
        level(
            "beats",
            "heartbeat",
            "topic heartbeat",
            (right(HEARTBEAT), HEARTBEATS.x),
            heartbeats,
        ),
    );
    carry(
        "heartbeat",
        level(
            "beats-read",
            "topic heartbeat",
            "command-generator",
            (right(HEARTBEATS), GENERATOR.x),
            heartbeats,
        ),
    );
    for (topic, place, id, read_id) in [
        (
            "confirm_account_creation",
            ACCOUNT_COMMANDS,
            "accounts-asked",
            "accounts-read",
        ),
        (
            commands,
            TRANSFER_COMMANDS,
            "transfers-asked",
            "transfers-read",
        ),
    ] {
        carry(
            topic,
            level(
                id,
                "command-generator and graphql-endpoint",
                topic,
                (JUNCTION_X, place.x),
                bar(place),
            ),
        );
        carry(
            topic,
            level(
                read_id,
                topic,
                "command-handler",
                (right(place), HANDLER.x),
                bar(place),
            ),
        );
    }
    for (topic, place, id, read_id) in [
        (
            "account_creation_feedback",
            ACCOUNT_RESULTS,
            "accounts-answered",
            "accounts-heard",
        ),
        (
            results,
            TRANSFER_RESULTS,
            "transfers-answered",
            "transfers-heard",
        ),
        (changes, CHANGES, "changes-told", "changes-heard"),
    ] {
        carry(
            topic,
            level(
                id,
                "command-handler",
                topic,
                (HANDLER.x, right(place)),
                bar(place),
            ),
        );
        carry(
            topic,
            level(
                read_id,
                topic,
                "graphql-endpoint",
                (place.x, right(GATEWAY)),
                bar(place),
            ),
        );
    }
    carry(
        "dead_letters",
        level(
            "letters",
            "command-handler",
            "dead_letters",
            (HANDLER.x, right(DEAD_LETTERS)),
            bar(DEAD_LETTERS),
        ),
    );
    // Both producers of commands up to where their ways meet; how much is whose nobody counts.
    let top = bar(ACCOUNT_COMMANDS);
    let generator = level(
        "generated",
        "command-generator",
        "commands",
        (right(GENERATOR), JUNCTION_X),
        top,
    );
    let junction = Line {
        points: vec![
            (right(GATEWAY), COMMANDS_Y),
            (JUNCTION_X, COMMANDS_Y),
            (JUNCTION_X, top),
        ],
        ..level("given", "graphql-endpoint", "commands", (0, 0), COMMANDS_Y)
    };
    edges.push(Edge {
        weight: 1,
        ..without_records(generator)
    });
    edges.push(Edge {
        weight: 1,
        ..without_records(junction)
    });
}

fn stores(edges: &mut Vec<Edge>) {
    let down = |id, from, to, upper: Place, lower: Place| {
        let x = upper.x + upper.width / 2;
        without_records(Line {
            id,
            from,
            to,
            points: vec![(x, bottom(upper)), (x, lower.y)],
            figure_at: (x, lower.y),
        })
    };
    edges.push(down(
        "projected",
        "graphql-endpoint",
        "read model",
        GATEWAY,
        READ_MODEL,
    ));
    edges.push(down("booked", "command-handler", "ledger", HANDLER, LEDGER));
    edges.push(down(
        "audited-topics",
        "all topics",
        "auditor",
        DEAD_LETTERS,
        AUDITOR,
    ));
    let y = READ_MODEL.y + READ_MODEL.height / 2;
    edges.push(without_records(level(
        "audited-read-model",
        "read model",
        "auditor",
        (right(READ_MODEL), AUDITOR.x),
        y,
    )));
    edges.push(without_records(level(
        "audited-ledger",
        "ledger",
        "auditor",
        (LEDGER.x, right(AUDITOR)),
        y,
    )));
}

fn without_records(line: Line) -> Edge {
    let Line {
        id,
        from,
        to,
        points,
        figure_at,
    } = line;
    Edge {
        id,
        from,
        to,
        points,
        per_second: None,
        figure: None,
        figure_at,
        weight: 0,
        is_idle: false,
    }
}

/// With the rate of a topic. Its readers read as fast as it is written, or its lag grows; that stands at the topic.
fn with_records(status: &Status, topic: &str, line: Line) -> Edge {
    let found = status.topics.iter().find(|found| found.name == topic);
    let per_second = found.map(|topic| topic.records_per_second);
    let is_idle =
        found.is_none_or(|topic| topic.records_per_second <= 0.0 && is_idle(topic, &status.at));
    let figure = if is_idle {
        found.map(|_| "idle".to_owned())
    } else {
        per_second.map(figures::rate)
    };
    Edge {
        per_second,
        figure,
        weight: per_second.map_or(1, weight),
        is_idle,
        ..without_records(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status::tests::sample;

    fn edge(status: &Status, id: &str) -> Edge {
        edges(status)
            .into_iter()
            .find(|edge| edge.id == id)
            .unwrap_or_else(|| panic!("no {id}"))
    }

    #[test]
    fn every_line_of_a_topic_carries_its_rate() {
        let status = sample();
        for (id, figure, weight) in [
            ("beats", "400/s", 4),
            ("transfers-asked", "398/s", 4),
            ("transfers-read", "398/s", 4),
            ("changes-told", "796/s", 4),
            ("pushed", "pushed 3/s", 2),
        ] {
            let found = edge(&status, id);
            let written = found.figure.unwrap_or_default();
            assert_eq!((written.as_str(), found.weight), (figure, weight), "{id}");
            assert!(!found.is_idle);
        }
    }

    #[test]
    fn a_topic_nobody_wrote_to_for_five_seconds_is_idle() {
        let mut status = sample();
        assert!(!edge(&status, "letters").is_idle);
        for topic in &mut status.topics {
            topic.last_record_at = Some("2026-11-21T12:00:01Z".to_owned());
        }
        let letters = edge(&status, "letters");
        assert!(letters.is_idle);
        assert_eq!(letters.figure.as_deref(), Some("idle"));
        // What still flows is not idle, whatever was seen last.
        assert!(!edge(&status, "changes-told").is_idle);
    }

    #[test]
    fn a_line_grows_with_the_logarithm_of_its_rate() {
        for (rate, expected) in [
            (0.0, 1),
            (0.9, 1),
            (5.0, 2),
            (50.0, 3),
            (796.0, 4),
            (5_000.0, 5),
        ] {
            assert_eq!(weight(rate), expected, "{rate}");
        }
    }
}
