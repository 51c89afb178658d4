//! The piece of the drawing that stands beside a text.

use super::{HEIGHT, Node, Place, WIDTH};

impl Place {
    /// All of the drawing.
    pub const WHOLE: Self = Self {
        x: 0,
        y: 0,
        width: WIDTH,
        height: HEIGHT,
    };

    fn holds(self, other: Self) -> bool {
        self.x <= other.x
            && self.y <= other.y
            && other.x + other.width <= self.x + self.width
            && other.y + other.height <= self.y + self.height
    }

    /// As an SVG names it, with room for the lines of a part that stands at its edge.
    #[must_use]
    pub fn view_box(self) -> String {
        let [x, y] = [self.x, self.y].map(|place| i64::from(place) - 1);
        format!("{x} {y} {} {}", self.width + 2, self.height + 2)
    }
}

/// The piece of the drawing that shows the named parts and what is around them, large enough to be read beside a text.
#[must_use]
pub fn window(nodes: &[Node], names: &[&str]) -> Place {
    const LEAST: (u32, u32) = (640, 320);
    let places = nodes
        .iter()
        .filter(|node| names.contains(&node.id.as_str()))
        .map(|node| node.place);
    let corners = places.fold(None, |corners: Option<[u32; 4]>, place| {
        let [left, top, right, bottom] = corners.unwrap_or([WIDTH, HEIGHT, 0, 0]);
        Some([
            left.min(place.x),
            top.min(place.y),
            right.max(place.x + place.width),
            bottom.max(place.y + place.height),
        ])
    });
    let Some([left, top, right, bottom]) = corners else {
        return Place::WHOLE;
    };
    let (x, width) = widened(left, right, LEAST.0, WIDTH);
    let (y, height) = widened(top, bottom, LEAST.1, HEIGHT);
    Place {
        x,
        y,
        width,
        height,
    }
}

/// From where and how far to show, with a margin, at least so much, and not beyond the end.
fn widened(from: u32, to: u32, least: u32, end: u32) -> (u32, u32) {
    const MARGIN: u32 = 16;
    let from = from.saturating_sub(MARGIN);
    let seen = (to + MARGIN).min(end) - from;
    let long = seen.max(least);
    let from = from.saturating_sub((long - seen) / 2).min(end - long);
    (from, long)
}

/// Whether a part is all within a piece of the drawing.
#[must_use]
pub fn is_within(node: &Node, window: Place) -> bool {
    window.holds(node.place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::status::tests::sample, drawing::nodes};

    #[test]
    fn given_parts_when_a_piece_is_shown_then_they_are_in_it_and_it_is_no_larger_than_the_drawing()
    {
        let nodes = nodes(&sample());
        for names in [
            &["pages", "graphql-endpoint"][..],
            &["topic:confirm_money_transfer", "command-handler"],
            &["command-handler", "ledger"],
            &["auditor", "ledger", "read model"],
        ] {
            let window = window(&nodes, names);
            assert!(Place::WHOLE.holds(window), "{names:?}: {window:?}");
            for node in nodes.iter().filter(|node| names.contains(&&*node.id)) {
                assert!(is_within(node, window), "{}: {window:?}", node.id);
            }
            assert!(window.width < WIDTH, "{names:?}: {window:?}");
        }
        assert_eq!(window(&nodes, &[]), Place::WHOLE);
    }
}
