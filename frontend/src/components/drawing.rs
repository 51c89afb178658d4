//! The architecture, drawn: parts where they stand, lines with what flows on them. On a narrow screen the same as a
//! list, and everywhere as a table.

use std::sync::Arc;

use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};

use crate::{
    api::status::Status,
    drawing::{self, Edge, Look, Node, Place, Shape},
    figures, formats,
};

/// Up to so many records a second one tick travels for each.
const TICKS_MAX_PER_SECOND: f64 = 5.0;
const LINE_HEIGHT: u32 = 18;
/// From the corner of a box to where its title begins.
const BOX_MARGIN: (u32, u32) = (12, 22);
/// From the upper side of a topic to its bar.
const BAR_BELOW: u32 = 20;
const BAR_HEIGHT: u32 = 12;

/// The drawing of a state. `part` names what is in ink, with a piece of the drawing around it; the rest steps back.
/// None shows all of it alike.
#[component]
pub(crate) fn Drawing(
    status: Signal<Option<Arc<Status>>>,
    #[prop(optional, into)] part: Signal<Option<Vec<&'static str>>>,
) -> impl IntoView {
    let nodes = Memo::new(move |_| {
        status
            .get()
            .map(|status| drawing::nodes(&status))
            .unwrap_or_default()
    });
    let edges = Memo::new(move |_| {
        status
            .get()
            .map(|status| drawing::edges(&status))
            .unwrap_or_default()
    });
    let ids = Memo::new(move |_| {
        nodes.with(|nodes| {
            let ids = nodes.iter().map(|node| node.id.clone());
            ids.collect::<Vec<_>>()
        })
    });
    let way = Memo::new(move |_| nodes.with(|nodes| edges.with(|edges| flow(nodes, edges))));
    let way_ids = Memo::new(move |_| {
        way.with(|way| way.iter().map(|step| step.id.clone()).collect::<Vec<_>>())
    });
    // Compared, so that it is not set anew each second.
    let window = Memo::new(move |_| {
        part.with(|part| match part {
            Some(part) => nodes.with(|nodes| drawing::window(nodes, part)),
            None => Place::WHOLE,
        })
    });
    view! {
        <figure class="drawing" aria-labelledby="drawing-caption">
            <figcaption id="drawing-caption" class="unseen">
                "The parts of the bank, and the records that flow between them each second"
            </figcaption>
            <svg class="drawing-wide" viewBox=move || window.get().view_box() role="group" aria-labelledby="drawing-caption">
                <Heads/>
                <g class="edges" aria-hidden="true">
                    <For each=move || edges.get() key=edge_key let(edge)>
                        <EdgeLine part=part edge=edge/>
                    </For>
                </g>
                // Each link stays in the page when its figures change, and with it the focus.
                <For each=move || ids.get() key=String::clone let(id)>
                    <NodeBox id=id nodes=nodes part=part window=window/>
                </For>
            </svg>
            <ol class="drawing-narrow">
                <For each=move || way_ids.get() key=String::clone let(id)>
                    <FlowStep id=id way=way part=part/>
                </For>
            </ol>
            <details>
                <summary>"Show as table"</summary>
                <div class="scrolls" tabindex="0" role="region" aria-label="Parts and lines of the drawing">
                    <Tables nodes=nodes edges=edges/>
                </div>
            </details>
        </figure>
    }
}

/// Whether something steps back because another part is looked at.
fn is_back(part: Signal<Option<Vec<&'static str>>>, id: &str) -> bool {
    part.with(|part| part.as_ref().is_some_and(|part| !part.contains(&id)))
}

fn edge_key(edge: &Edge) -> String {
    format!(
        "{}|{:?}|{}|{}",
        edge.id, edge.figure, edge.weight, edge.is_idle
    )
}

/// Arrow heads, in the colours of the lines.
#[component]
fn Heads() -> impl IntoView {
    view! {
        <defs>
            <marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">
                <path class="head" d="M0 0.5L8 4L0 7.5Z"/>
            </marker>
        </defs>
    }
}

#[component]
fn EdgeLine(edge: Edge, part: Signal<Option<Vec<&'static str>>>) -> impl IntoView {
    let points: Vec<String> = edge
        .points
        .iter()
        .map(|(x, y)| format!("{x},{y}"))
        .collect();
    let looks = format!(
        "edge weight-{}{}",
        edge.weight,
        if edge.is_idle { " idle" } else { "" }
    );
    // A line whose figure stays the same stays in the page when another part is looked at.
    let class = move || {
        let back = if is_back(part, edge.id) { " back" } else { "" };
        format!("{looks}{back}")
    };
    // Where two producers meet, the head is at the end of the way, not at the meeting point.
    let has_head = !matches!(edge.id, "generated" | "given");
    let figure = edge.figure.clone().map(|figure| {
        let (x, y) = edge.figure_at;
        view! { <text x=x y=y text-anchor="middle">{figure}</text> }
    });
    let ticks = edge
        .per_second
        .filter(|rate| *rate > 0.0 && *rate <= TICKS_MAX_PER_SECOND)
        .and_then(|_| Some((edge.points.first()?, edge.points.last()?)))
        .map(|((x, y), (to_x, _))| {
            let distance = format!("{}px", i64::from(*to_x) - i64::from(*x));
            view! { <rect class="traveller" x=x - 2 y=y - 5 width="4" height="10" style=("--distance", distance)/> }
        });
    view! {
        <g class=class data-edge=edge.id>
            <polyline points=points.join(" ") marker-end=has_head.then_some("url(#head)")/>
            {ticks}
            {figure}
        </g>
    }
}

#[component]
fn NodeBox(
    id: String,
    nodes: Memo<Vec<Node>>,
    part: Signal<Option<Vec<&'static str>>>,
    window: Memo<Place>,
) -> impl IntoView {
    let known = id.clone();
    let node =
        Memo::new(move |_| nodes.with(|nodes| nodes.iter().find(|node| node.id == known).cloned()));
    let class = move || {
        node.with(|node| {
            node.as_ref().map(|node| {
                let back = if is_back(part, &node.id) { " back" } else { "" };
                // What is cut by the edge of the window is not shown, and takes no focus.
                let is_outside = !drawing::is_within(node, window.get());
                let outside = if is_outside { " outside" } else { "" };
                let (shape, look) = (shape_name(node.shape), node.look.name());
                format!("node {shape} {look}{back}{outside}")
            })
        })
    };
    let body = move || {
        node.get().map(|node| match node.shape {
            Shape::Topic { partitions } => topic(node.place, partitions, &node.title).into_any(),
            _ => boxed(node.place, node.shape, node.look, &node.title).into_any(),
        })
    };
    let figures = move || node.get().map(|node| written(&node));
    let of_node =
        move |read: fn(&Node) -> String| move || node.with(|node| node.as_ref().map(read));
    let navigate = use_navigate();
    // The router sees links of HTML alone; this one is SVG.
    let follow = move |event: web_sys::MouseEvent| {
        let href = node.with_untracked(|node| node.as_ref().map(|node| node.href.clone()));
        let is_plain = !event.ctrl_key() && !event.meta_key() && !event.shift_key();
        if let Some(href) = href.filter(|href| href.starts_with('/') && is_plain) {
            event.prevent_default();
            navigate(&href, NavigateOptions::default());
        }
    };
    // As the only child of a `g` an `a` is one of SVG. What is seen in it begins what is said of it; the figures, which
    // change each second, are said with it and stand beside it.
    view! {
        <g class=class>
            <g>
                <a
                    href=of_node(|node| node.href.clone())
                    data-node=id
                    aria-label=of_node(|node| node.said.clone())
                    on:click=follow
                >
                    {body}
                </a>
            </g>
            <g class="figures" aria-hidden="true">{figures}</g>
        </g>
    }
}

fn shape_name(shape: Shape) -> &'static str {
    match shape {
        Shape::Service => "service",
        Shape::Topic { .. } => "topic",
        Shape::Store => "store",
        Shape::Pages => "pages",
    }
}

/// A part as a box.
fn boxed(place: Place, shape: Shape, look: Look, title: &str) -> impl IntoView + use<> {
    let Place {
        x,
        y,
        width,
        height,
    } = place;
    let second_bottom = (shape == Shape::Store).then(|| {
        let y = y + height - 4;
        view! { <line class="frame" x1=x x2=x + width y1=y y2=y/> }
    });
    let cross = (look == Look::Gone).then(|| {
        let (from, to) = (x + width - 22, x + width - 10);
        view! { <path class="cross" d=format!("M{from} {}L{to} {}M{to} {}L{from} {}", y + 10, y + 22, y + 10, y + 22)/> }
    });
    view! {
        <rect class="frame" x=x y=y width=width height=height/>
        {second_bottom}
        <text class="title" x=x + BOX_MARGIN.0 y=y + BOX_MARGIN.1>{title.to_owned()}</text>
        {cross}
    }
}

/// A topic as a bar, cut into its partitions.
fn topic(place: Place, partitions: u32, title: &str) -> impl IntoView + use<> {
    let Place { x, y, width, .. } = place;
    let bar = y + BAR_BELOW;
    let cuts = (1..partitions).map(|cut| {
        let x = x + width * cut / partitions;
        view! { <line class="frame" x1=x x2=x y1=bar y2=bar + BAR_HEIGHT/> }
    });
    view! {
        <rect class="hit" x=x y=y width=width height=place.height/>
        <text class="title" x=x y=y + 14>{title.to_owned()}</text>
        <rect class="frame" x=x y=bar width=width height=BAR_HEIGHT/>
        {cuts.collect_view()}
    }
}

/// What is known of a part: below its title, or below its bar.
fn written(node: &Node) -> impl IntoView + use<> {
    let Place { x, y, .. } = node.place;
    let (left, first) = match node.shape {
        Shape::Topic { .. } => (x, y + BAR_BELOW + BAR_HEIGHT + 16),
        _ => (x + BOX_MARGIN.0, y + BOX_MARGIN.1 + LINE_HEIGHT),
    };
    let line = |(line, place): (&String, u32)| {
        view! { <text class="line" x=left y=first + place * LINE_HEIGHT>{line.clone()}</text> }
    };
    node.lines.iter().zip(0_u32..).map(line).collect_view()
}

/// One line of the list that stands for the drawing on a narrow screen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Step {
    id: String,
    title: String,
    href: String,
    figures: String,
    look: &'static str,
    is_topic: bool,
}

/// The way of a transfer, part after part.
const WAY: [&str; 9] = [
    "heartbeat",
    "command-generator",
    "topic:confirm_money_transfer",
    "command-handler",
    "topic:money_transfer_feedback",
    "topic:balance_changed",
    "graphql-endpoint",
    "pages",
    "auditor",
];

fn flow(nodes: &[Node], edges: &[Edge]) -> Vec<Step> {
    let step = |id: &&str| {
        let node = nodes.iter().find(|node| node.id == **id)?;
        let topic = id.strip_prefix("topic:");
        let rate = topic.and_then(|topic| {
            let edge = edges.iter().find(|edge| edge.to == topic)?;
            edge.figure.clone()
        });
        let figures: Vec<String> = rate.into_iter().chain(node.lines.iter().cloned()).collect();
        Some(Step {
            id: node.id.clone(),
            title: node.title.clone(),
            href: node.href.clone(),
            figures: figures.join(", "),
            look: node.look.name(),
            is_topic: topic.is_some(),
        })
    };
    WAY.iter().filter_map(step).collect()
}

#[component]
fn FlowStep(
    id: String,
    way: Memo<Vec<Step>>,
    part: Signal<Option<Vec<&'static str>>>,
) -> impl IntoView {
    let known = id.clone();
    let step =
        Memo::new(move |_| way.with(|way| way.iter().find(|step| step.id == known).cloned()));
    let of_step =
        move |read: fn(&Step) -> String| move || step.with(|step| step.as_ref().map(read));
    let class = move || {
        step.with(|step| {
            step.as_ref().map(|step| {
                let topic = if step.is_topic { " topic" } else { "" };
                let is_part = part.with(Option::is_some) && !is_back(part, &step.id);
                let part = if is_part { " part" } else { "" };
                format!("flow-step {}{topic}{part}", step.look)
            })
        })
    };
    view! {
        <li class=class>
            <a href=of_step(|step| step.href.clone()) data-node=id>{of_step(|step| step.title.clone())}</a>
            <span>{of_step(|step| step.figures.clone())}</span>
        </li>
    }
}

#[component]
fn Tables(nodes: Memo<Vec<Node>>, edges: Memo<Vec<Edge>>) -> impl IntoView {
    let parts = move || {
        let row = |node: Node| {
            let kind = shape_name(node.shape);
            let id = node
                .id
                .strip_prefix("topic:")
                .unwrap_or(&node.id)
                .to_owned();
            view! { <tr><th scope="row">{id}</th><td>{kind}</td><td>{node.look.name()}</td><td>{node.said}</td></tr> }
        };
        nodes.get().into_iter().map(row).collect_view()
    };
    let lines = move || {
        let row = |edge: Edge| {
            let rate = edge
                .per_second
                .map_or_else(|| "not counted".to_owned(), figures::whole_or_short);
            view! { <tr><th scope="row">{edge.from}</th><td>{edge.to}</td><td class="figure">{rate}</td></tr> }
        };
        edges.get().into_iter().map(row).collect_view()
    };
    view! {
        <table class="plain">
            <caption>{move || format!("{} parts", formats::count(nodes.with(Vec::len) as u64))}</caption>
            <thead><tr><th scope="col">"Part"</th><th scope="col">"Kind"</th><th scope="col">"State"</th><th scope="col">"In words"</th></tr></thead>
            <tbody>{parts}</tbody>
        </table>
        <table class="plain">
            <caption>"Lines"</caption>
            <thead><tr><th scope="col">"From"</th><th scope="col">"To"</th><th scope="col" class="figure">"Records per second"</th></tr></thead>
            <tbody>{lines}</tbody>
        </table>
    }
}
