//! Facts about a dead letter.

use super::Place;
use super::packing::{Column, Packed, Packer, Unpacker, fact};

fact! {
    /// A dead letter, or the record it was made of: sorted by where that stood.
    Letter {
        source: Place,
        is_letter: bool,
        at: Place,
        key: u64,
        value: u64,
        reason: u64,
        must_be_dead: bool,
    }
}

impl Letter {
    pub(crate) fn packed(&self) -> Packed {
        Packer::new().with(*self).done()
    }

    pub(crate) fn unpacked(bytes: &Packed) -> Letter {
        Unpacker(bytes).column()
    }
}
