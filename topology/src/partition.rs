//! Which partition a key belongs to: as Java clients have it, so that records with the
//! same key meet in the same partition whoever wrote them.
//!
//! Decided here and not by the client library, since the [`producer`](crate::producer)
//! must know it before the record is handed over.

use crate::topics::Topic;

/// Of Kafka's hash; the other constants are those of Murmur2.
const SEED: u32 = 0x9747_b28c;
const MULTIPLIER: u32 = 0x5bd1_e995;
const SHIFT: u32 = 24;

/// The partition of a record with this key.
#[must_use]
pub fn of_key(topic: Topic, key: &[u8]) -> i32 {
    let positive = i32::from_be_bytes((murmur2(key) & 0x7fff_ffff).to_be_bytes());
    positive % topic.definition().partitions
}

fn murmur2(key: &[u8]) -> u32 {
    // Kafka's lengths are 32 bits wide, and a key's far from their end.
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let (words, tail) = key.as_chunks::<4>();
    let mut hash = words.iter().fold(SEED ^ length, |hash, word| {
        let mixed = u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        let mixed = (mixed ^ (mixed >> SHIFT)).wrapping_mul(MULTIPLIER);
        hash.wrapping_mul(MULTIPLIER) ^ mixed
    });
    if !tail.is_empty() {
        let mut word = [0; 4];
        word[..tail.len()].copy_from_slice(tail);
        hash = (hash ^ u32::from_le_bytes(word)).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Apache Kafka's own test (`UtilsTest.testMurmur2`).
    #[test]
    fn hashes_are_those_of_java_clients() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()), i32::cast_unsigned(hash), "{key}");
        }
    }

    #[test]
    fn every_partition_is_used_and_none_beyond() {
        let mut counts = [0; 9];
        for number in 0..9_000 {
            let key = format!("NL{number:016}");
            let partition = of_key(Topic::BalanceChanged, key.as_bytes());
            counts[usize::try_from(partition).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| *count > 800), "{counts:?}");
        assert_eq!(of_key(Topic::DeadLetters, b""), 0);
    }
}
