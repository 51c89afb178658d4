//! The architecture as a drawing: which parts, where they stand, what flows between them. Folded from the state the
//! gateway sends, so that the drawing shows the bank that runs and no other. Places are in units of the drawing, which
//! is as wide as the page on a large screen.

use crate::{
    api::status::{ServiceState, ServiceStatus, Status, TopicStatus},
    figures,
};

mod edges;
mod places;
mod window;

pub use edges::{Edge, edges};
pub use window::{is_within, window};

/// Width of the drawing.
pub const WIDTH: u32 = 1_124;
/// Height of the drawing.
pub const HEIGHT: u32 = 528;
/// A topic nobody wrote to for so long is idle.
const IDLE_AFTER_SECONDS: i64 = 5;

/// A rectangle of the drawing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Left side.
    pub x: u32,
    /// Upper side.
    pub y: u32,
    /// To the right.
    pub width: u32,
    /// Downward.
    pub height: u32,
}

/// How a part is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A program: square corners.
    Service,
    /// A bar cut by one tick for each partition.
    Topic {
        /// How many.
        partitions: u32,
    },
    /// A box with a double bottom line.
    Store,
    /// People.
    Pages,
}

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing to say against it.
    Up,
    /// Waits for something.
    NotReady,
    /// Does not answer.
    Gone,
    /// Not looked at.
    Unknown,
}

impl Look {
    /// For style sheets.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::NotReady => "not-ready",
            Self::Gone => "gone",
            Self::Unknown => "unknown",
        }
    }
}

/// One part of the drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Name among the parts; of a topic its own.
    pub id: String,
    /// Where it stands.
    pub place: Place,
    /// How it is drawn.
    pub shape: Shape,
    /// How it is.
    pub look: Look,
    /// What it is called.
    pub title: String,
    /// What is known of it, a line each.
    pub lines: Vec<String>,
    /// Where more stands.
    pub href: String,
    /// All of it in a sentence.
    pub said: String,
}

/// What a program is for, in the order of the flow. The drawing, its text form and the table go through it.
const SERVICES: [(&str, Place); 5] = [
    ("heartbeat", places::HEARTBEAT),
    ("command-generator", places::GENERATOR),
    ("graphql-endpoint", places::GATEWAY),
    ("command-handler", places::HANDLER),
    ("auditor", places::AUDITOR),
];

const TOPICS: [(&str, Place); 7] = [
    ("heartbeat", places::HEARTBEATS),
    ("confirm_account_creation", places::ACCOUNT_COMMANDS),
    ("confirm_money_transfer", places::TRANSFER_COMMANDS),
    ("account_creation_feedback", places::ACCOUNT_RESULTS),
    ("money_transfer_feedback", places::TRANSFER_RESULTS),
    ("balance_changed", places::CHANGES),
    ("dead_letters", places::DEAD_LETTERS),
];

const INFRASTRUCTURE: [(&str, Place); 3] = [
    ("kafka", places::KAFKA),
    ("schema-registry", places::REGISTRY),
    ("postgres", places::POSTGRES),
];

/// All parts, in the order of the flow.
#[must_use]
pub fn nodes(status: &Status) -> Vec<Node> {
    let service = |(name, place): (&str, Place)| service_node(status, name, place);
    let topic = |(name, place): (&str, Place)| topic_node(status, name, place);
    let mut nodes = vec![pages_node(status)];
    nodes.extend(SERVICES[..2].iter().copied().map(service));
    nodes.push(topic(TOPICS[0]));
    nodes.push(service(SERVICES[2]));
    nodes.extend(TOPICS[1..3].iter().copied().map(topic));
    nodes.push(service(SERVICES[3]));
    nodes.push(store_node("ledger", "accounts and entries", places::LEDGER));
    nodes.extend(TOPICS[3..].iter().copied().map(topic));
    nodes.push(store_node(
        "read model",
        "what pages ask",
        places::READ_MODEL,
    ));
    nodes.push(service(SERVICES[4]));
    nodes.extend(INFRASTRUCTURE.iter().copied().map(service));
    nodes
}

/// Name of the panel of a program, as the drawing links to it.
#[must_use]
pub fn panel_id(name: &str) -> String {
    format!("part-{}", name.replace(' ', "-"))
}

/// Names of all topics, in the order of the flow.
pub fn topic_names() -> impl Iterator<Item = &'static str> {
    TOPICS.iter().map(|(name, _)| *name)
}

/// Whether nothing was written to a topic for some seconds.
#[must_use]
pub fn is_idle(topic: &TopicStatus, now: &str) -> bool {
    topic
        .last_record_at
        .as_ref()
        .and_then(|last| figures::seconds_between(last, now))
        .is_none_or(|age| age >= IDLE_AFTER_SECONDS)
}

/// A state in words, with its cause: `up`, `not ready, waits for kafka`, `gone since 13:05:01`.
#[must_use]
pub fn state_in_words(service: &ServiceStatus, since: Option<&str>) -> String {
    let since = since
        .map(|since| format!(" since {since}"))
        .unwrap_or_default();
    match service.state {
        ServiceState::Up => "ready".to_owned(),
        ServiceState::NotReady if service.waiting_for.is_empty() => format!("not ready{since}"),
        ServiceState::NotReady => {
            format!("not ready, waits for {}", service.waiting_for.join(", "))
        }
        ServiceState::Gone => format!("gone{since}"),
        ServiceState::Unknown => "not watched".to_owned(),
    }
}

fn look(state: ServiceState) -> Look {
    match state {
        ServiceState::Up => Look::Up,
        ServiceState::NotReady => Look::NotReady,
        ServiceState::Gone => Look::Gone,
        ServiceState::Unknown => Look::Unknown,
    }
}

fn service_node(status: &Status, name: &str, place: Place) -> Node {
    let found = status.services.iter().find(|service| service.name == name);
    let mut title = name.to_owned();
    let mut lines = Vec::new();
    let mut said = vec![name.to_owned()];
    match found {
        None => {
            lines.push("not watched".to_owned());
            said.push("not watched".to_owned());
        }
        Some(service) => {
            if service.instances > 1 {
                title = format!("{name} ×{}", service.instances);
                // What is said begins with what is seen.
                said[0].clone_from(&title);
            }
            let state = state_in_words(service, None);
            said.push(state.clone());
            if service.state == ServiceState::Up {
                let use_of_machine = [
                    service.resident_bytes.map(figures::mebibytes),
                    service
                        .cpu_percent
                        .map(|percent| format!("{} CPU", figures::percent(percent))),
                ];
                let used: Vec<String> = use_of_machine.into_iter().flatten().collect();
                // Of what is not ours only that it answers is known.
                lines.push(if used.is_empty() {
                    state
                } else {
                    used.join(", ")
                });
                said.extend(used);
            } else {
                lines.push(state);
            }
            if let Some(lag) = service.lag {
                lines.push(format!("lag {}", crate::formats::count(lag)));
                said.push(format!("lag {}", crate::formats::count(lag)));
            }
        }
    }
    if name == "auditor" {
        lines.push("reads all topics and databases".to_owned());
    }
    Node {
        id: name.to_owned(),
        place,
        shape: Shape::Service,
        look: found.map_or(Look::Unknown, |service| look(service.state)),
        title,
        lines,
        href: format!("#{}", panel_id(name)),
        said: said.join(", "),
    }
}

fn topic_node(status: &Status, name: &str, place: Place) -> Node {
    let found = status.topics.iter().find(|topic| topic.name == name);
    let (partitions, mut lines, mut said) = (
        found.map_or(1, |topic| topic.partitions),
        Vec::new(),
        vec![format!("topic {name}")],
    );
    match found {
        None => said.push("not found".to_owned()),
        Some(topic) => {
            said.push(figures::counted(
                topic.partitions.into(),
                "partition",
                "partitions",
            ));
            said.push(format!(
                "{} records per second",
                figures::whole_or_short(topic.records_per_second)
            ));
            if let Some(lag) = topic.lag {
                lines.push(format!("lag {}", crate::formats::count(lag)));
                said.push(format!("lag {}", crate::formats::count(lag)));
            }
        }
    }
    Node {
        id: format!("topic:{name}"),
        place,
        shape: Shape::Topic { partitions },
        look: found.map_or(Look::Unknown, |_| Look::Up),
        title: name.to_owned(),
        lines,
        href: format!("/live/topics/{name}"),
        said: said.join(", "),
    }
}

fn pages_node(status: &Status) -> Node {
    let sockets = figures::counted(status.sockets, "open line", "open lines");
    Node {
        id: "pages".to_owned(),
        place: places::PAGES,
        shape: Shape::Pages,
        look: Look::Up,
        title: "pages".to_owned(),
        said: format!("pages in browsers, {sockets}"),
        lines: vec![sockets],
        href: format!("#{}", panel_id("graphql-endpoint")),
    }
}

fn store_node(name: &str, what: &str, place: Place) -> Node {
    Node {
        id: name.to_owned(),
        place,
        shape: Shape::Store,
        look: Look::Up,
        title: name.to_owned(),
        lines: vec![what.to_owned()],
        href: format!("#{}", panel_id("postgres")),
        said: format!("database {name}: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status::tests::sample;

    fn node(status: &Status, id: &str) -> Node {
        nodes(status)
            .into_iter()
            .find(|node| node.id == id)
            .unwrap_or_else(|| panic!("no {id}"))
    }

    #[test]
    fn the_drawing_has_every_part_of_the_running_bank_once() {
        let status = sample();
        let nodes = nodes(&status);
        for name in status.services.iter().map(|service| service.name.clone()) {
            assert_eq!(
                nodes.iter().filter(|node| node.id == name).count(),
                1,
                "{name}"
            );
        }
        for topic in &status.topics {
            let drawn = node(&status, &format!("topic:{}", topic.name));
            assert_eq!(
                drawn.shape,
                Shape::Topic {
                    partitions: topic.partitions
                }
            );
        }
    }

    #[test]
    fn no_two_parts_stand_on_one_place_and_none_outside() {
        let nodes = nodes(&sample());
        for (place, node) in nodes.iter().enumerate() {
            let one = node.place;
            assert!(
                one.x + one.width <= WIDTH && one.y + one.height <= HEIGHT,
                "{} is outside",
                node.id
            );
            for other in &nodes[place + 1..] {
                let two = other.place;
                let apart = one.x + one.width <= two.x
                    || two.x + two.width <= one.x
                    || one.y + one.height <= two.y
                    || two.y + two.height <= one.y;
                assert!(apart, "{} stands on {}", node.id, other.id);
            }
        }
    }

    #[test]
    fn a_part_says_what_it_is_and_how_it_is() {
        let status = sample();
        assert_eq!(
            node(&status, "command-handler").said.replace('\u{a0}', " "),
            "command-handler ×2, ready, 11 MiB, 1,4 % CPU, lag 0"
        );
        assert_eq!(node(&status, "command-handler").title, "command-handler ×2");
        assert_eq!(
            node(&status, "topic:balance_changed")
                .said
                .replace('\u{a0}', " "),
            "topic balance_changed, 9 partitions, 796 records per second, lag 3"
        );
    }

    #[test]
    fn what_is_gone_or_waits_is_seen_and_what_is_not_told_is_not_guessed() {
        let mut status = sample();
        status.services[0].state = ServiceState::Gone;
        status.services[1].state = ServiceState::NotReady;
        status.services[1].waiting_for = vec!["kafka".to_owned()];
        status.services.retain(|service| service.name != "auditor");
        assert_eq!(node(&status, "command-handler").look, Look::Gone);
        let gateway = node(&status, "graphql-endpoint");
        assert_eq!(gateway.look, Look::NotReady);
        assert!(gateway.lines[0].contains("waits for kafka"));
        assert_eq!(node(&status, "auditor").look, Look::Unknown);
    }
}
