//! Where each part stands: people at the left, services, topics between them, the handler at the right; commands flow
//! to the right above, events back below.

use super::Place;

const fn place(x: u32, y: u32, width: u32, height: u32) -> Place {
    Place {
        x,
        y,
        width,
        height,
    }
}

/// Left sides of the columns.
const SERVICES: u32 = 344;
const TOPICS: u32 = 664;
const HANDLERS: u32 = 952;

const SERVICE_WIDTH: u32 = 212;
const TOPIC_WIDTH: u32 = 220;
const HANDLER_WIDTH: u32 = 172;
/// Of the parts in the first column.
const FIRST_WIDTH: u32 = 168;

/// A topic is as high as its name, its bar and a line below.
const TOPIC_HEIGHT: u32 = 52;
/// From the upper side of a topic to the middle of its bar.
pub(super) const BAR_MIDDLE: u32 = 26;

pub(super) const HEARTBEAT: Place = place(0, 8, FIRST_WIDTH, 64);
pub(super) const HEARTBEATS: Place = place(212, 14, 92, TOPIC_HEIGHT);
pub(super) const GENERATOR: Place = place(SERVICES, 8, SERVICE_WIDTH, 64);
pub(super) const GATEWAY: Place = place(SERVICES, 136, SERVICE_WIDTH, 244);
pub(super) const PAGES: Place = place(0, 216, FIRST_WIDTH, 84);
pub(super) const READ_MODEL: Place = place(SERVICES, 448, SERVICE_WIDTH, 64);

pub(super) const ACCOUNT_COMMANDS: Place = place(TOPICS, 14, TOPIC_WIDTH, TOPIC_HEIGHT);
pub(super) const TRANSFER_COMMANDS: Place = place(TOPICS, 82, TOPIC_WIDTH, TOPIC_HEIGHT);
pub(super) const ACCOUNT_RESULTS: Place = place(TOPICS, 170, TOPIC_WIDTH, TOPIC_HEIGHT);
pub(super) const TRANSFER_RESULTS: Place = place(TOPICS, 238, TOPIC_WIDTH, TOPIC_HEIGHT);
pub(super) const CHANGES: Place = place(TOPICS, 306, TOPIC_WIDTH, TOPIC_HEIGHT);
pub(super) const DEAD_LETTERS: Place = place(TOPICS, 374, TOPIC_WIDTH, TOPIC_HEIGHT);
pub(super) const AUDITOR: Place = place(TOPICS - 4, 448, TOPIC_WIDTH + 8, 72);

pub(super) const HANDLER: Place = place(HANDLERS, 8, HANDLER_WIDTH, 412);
pub(super) const LEDGER: Place = place(HANDLERS, 448, HANDLER_WIDTH, 64);

pub(super) const KAFKA: Place = place(0, 348, FIRST_WIDTH, 52);
pub(super) const REGISTRY: Place = place(0, 408, FIRST_WIDTH, 52);
pub(super) const POSTGRES: Place = place(0, 468, FIRST_WIDTH, 52);

/// Where the commands of the gateway and of the generator come together.
pub(super) const JUNCTION_X: u32 = 604;
/// Where commands leave the gateway.
pub(super) const COMMANDS_Y: u32 = 160;
