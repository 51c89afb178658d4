//! Records that are no commands.

use crate::{
    seed::Seed,
    wire::{Schemas, Transfer, topics},
};

/// A schema that nobody has registered.
const UNKNOWN_SCHEMA: [u8; 5] = [0, 0x7f, 0xff, 0xff, 0xfe];
/// Large, but not too large for the topic.
const LARGE_BYTES: u64 = 60_000;

/// A record of no use: its topic, key and value.
pub type Poison = (&'static str, Option<Vec<u8>>, Option<Vec<u8>>);

/// One of the many ways to be no command.
#[must_use]
pub fn record(schemas: &Schemas, seed: &mut Seed) -> Poison {
    let topic = if seed.percent(80) {
        topics::TRANSFERS
    } else {
        topics::CREATIONS
    };
    let key = (!seed.percent(10)).then(|| format!("poison {}", seed.draw()).into_bytes());
    let value = match seed.below(100) {
        0..10 => None,
        10..20 => Some(Vec::new()),
        20..30 => Some(vec![0]),
        // Another framing.
        30..40 => Some(b"{\"amount\": 100}".to_vec()),
        40..42 => {
            let mut bytes = UNKNOWN_SCHEMA.to_vec();
            bytes.extend(seed.draw().to_be_bytes());
            Some(bytes)
        }
        // Cut short.
        42..60 => {
            let mut bytes = transfer(schemas, seed);
            bytes.truncate(6 + seed.index(bytes.len() - 7));
            Some(bytes)
        }
        // Too long.
        60..75 => {
            let mut bytes = transfer(schemas, seed);
            bytes.push(0);
            Some(bytes)
        }
        // A text whose length is beyond the end of everything.
        75..85 => {
            let mut bytes = transfer(schemas, seed)[..21].to_vec();
            bytes.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1]);
            Some(bytes)
        }
        // Text that is none.
        85..95 => {
            let mut bytes = transfer(schemas, seed)[..21].to_vec();
            bytes.extend([4, 0xc3, 0x28, 0, 0, 0, 0]);
            Some(bytes)
        }
        95..97 => Some(vec![
            0xa5;
            usize::try_from(seed.below(LARGE_BYTES)).unwrap_or(1)
        ]),
        // A good record in the topic of others.
        _ => {
            let bytes = schemas.creation(seed.command_id());
            return (topics::TRANSFERS, key, Some(bytes));
        }
    };
    (topic, key, value)
}

fn transfer(schemas: &Schemas, seed: &mut Seed) -> Vec<u8> {
    schemas.transfer(&Transfer {
        id: seed.command_id(),
        token: "token",
        amount: 1,
        from: "cash",
        to: "NL00OPEN0000000000",
        description: "poison",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::schemas;

    #[test]
    fn given_any_poison_when_read_then_it_is_no_command_of_its_topic() {
        let mut seed = Seed::new(5);
        for _ in 0..5_000 {
            let (topic, _, value) = record(&schemas(), &mut seed);
            let Some(value) = value else { continue };
            let read = schemas().read(topic, &value);
            assert_eq!(read, None, "{topic} {value:?}");
        }
    }
}
