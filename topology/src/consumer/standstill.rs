//! Noticing that a partition is not read although there are records in it.
//!
//! After a restart of its broker, librdkafka 2.12 now and then stops fetching a partition
//! for good: an answer that names no leader is taken for news of one
//! (confluentinc/librdkafka#5430), and neither a new assignment nor time mends it, only a
//! new client does. Nothing is lost, since positions live with their effects; but the
//! partition would stand still until somebody restarts the process. So a process that finds
//! itself there ends loudly, and whoever runs it starts it again.
//!
//! Suspected is a partition whose position has not moved while its log goes further and
//! while the client had nothing else to give out. A second client then reads it from
//! there: only a record that it gets, and the first did not, is proof. Behind a marker of
//! a transaction there is nothing to get, however long one waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use super::{Assignment, ConsumeError, Consumed, Position, lock, to_list};
use crate::topics::{Topic, Topics};

/// Between two looks at all partitions.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// A partition that has been behind for this long is read by the second client.
const SUSPECTED_AFTER: Duration = Duration::from_secs(8);
/// Longest wait for the broker to say where a log ends; a broker that does not answer is
/// away, and then nobody stands still.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// Longest wait of the second client for a record.
const PROOF_WAIT: Duration = Duration::from_secs(5);

type At = (Topic, i32);

/// How far reading has come: written by the reader, looked at by the watch.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<ReadSoFar>);

#[derive(Debug, Default)]
struct ReadSoFar {
    /// Of each partition, under which assignment, and the offset that comes next.
    next: BTreeMap<At, (i64, i64)>,
    /// When the client had nothing more to give out.
    found_empty: Option<Instant>,
}

impl Progress {
    pub(super) fn gave(&self, batch: &[Consumed]) {
        let mut so_far = lock(&self.0);
        for record in batch {
            let at = (record.topic, record.partition);
            so_far.next.insert(at, (record.epoch, record.offset + 1));
        }
    }

    pub(super) fn found_empty(&self) {
        lock(&self.0).found_empty = Some(Instant::now());
    }

    /// Where each partition of the assignment is now.
    fn places(&self, assignment: &Assignment) -> (Vec<Position>, Option<Instant>) {
        let so_far = lock(&self.0);
        let places = assignment.owned.iter().map(|(at, start)| {
            let next_offset = match so_far.next.get(at) {
                Some((epoch, next)) if *epoch == start.epoch => *next,
                _ => start.next_offset,
            };
            Position {
                next_offset,
                ..*start
            }
        });
        (places.collect(), so_far.found_empty)
    }
}

/// What was seen of partitions that do not move.
#[derive(Debug, Default)]
struct Watch(BTreeMap<At, Seen>);

#[derive(Clone, Copy, Debug)]
struct Seen {
    place: Position,
    /// Since when its log goes further.
    behind_since: Option<Instant>,
}

impl Watch {
    /// Looks at every partition, and names one that is suspected. `end_of` is asked only
    /// for those that have not moved; when it does not know, the broker is away, and all
    /// suspicion ends.
    fn look(
        &mut self,
        now: Instant,
        places: &[Position],
        found_empty: Option<Instant>,
        mut end_of: impl FnMut(At) -> Option<i64>,
    ) -> Option<Position> {
        let before = std::mem::take(&mut self.0);
        let mut suspect = None;
        for place in places {
            let at = (place.topic, place.partition);
            let mut behind_since = None;
            if let Some(seen) = before.get(&at).filter(|seen| seen.place == *place) {
                let Some(end) = end_of(at) else {
                    self.0.clear();
                    return None;
                };
                if end > place.next_offset {
                    let since = seen.behind_since.unwrap_or(now);
                    behind_since = Some(since);
                    let long = now.duration_since(since) >= SUSPECTED_AFTER;
                    if long && found_empty.is_some_and(|empty| empty > since) {
                        suspect = Some(*place);
                    }
                }
            }
            let seen = Seen {
                place: *place,
                behind_since,
            };
            self.0.insert(at, seen);
        }
        suspect
    }
}

/// What the watch needs of the reader.
pub(super) struct Watched {
    pub(super) settings: ClientConfig,
    pub(super) topics: Topics,
    pub(super) assignment: Arc<Mutex<Assignment>>,
    pub(super) progress: Arc<Progress>,
    pub(super) failure: Arc<Mutex<Option<ConsumeError>>>,
    pub(super) stop: CancellationToken,
}

/// Looks again and again until told to stop, or until a partition is found that stands
/// still; that is the reader's failure then.
pub(super) async fn watch(watched: Watched) {
    let watched = Arc::new(watched);
    let mut state = (Watch::default(), None);
    loop {
        tokio::select! {
            () = watched.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
        let looking = Arc::clone(&watched);
        let looked = tokio::task::spawn_blocking(move || {
            let (mut watch, mut second) = state;
            let found = looking.look(&mut watch, &mut second);
            (found, (watch, second))
        });
        let Ok((found, after)) = looked.await else {
            // The runtime ends.
            return;
        };
        state = after;
        if let Some(place) = found {
            let Position {
                topic,
                partition,
                next_offset,
                ..
            } = place;
            error!(
                ?topic,
                partition, next_offset, "not read any more: a new client is needed"
            );
            *lock(&watched.failure) = Some(ConsumeError::StandsStill {
                topic: watched.topics.name(topic),
                partition,
                next_offset,
            });
            return;
        }
    }
}

impl Watched {
    fn look(
        &self,
        watch: &mut Watch,
        second: &mut Option<BaseConsumer<Quiet>>,
    ) -> Option<Position> {
        let (places, found_empty) = self.progress.places(&lock(&self.assignment));
        let mut broken = None;
        let suspect = watch.look(
            Instant::now(),
            &places,
            found_empty,
            |(topic, partition)| {
                let end = self.client(second).and_then(|client| {
                    client.fetch_watermarks(&self.topics.name(topic), partition, ANSWER_WAIT)
                });
                match end {
                    Ok((_, end)) => Some(end),
                    Err(error) => {
                        broken = Some(error);
                        None
                    }
                }
            },
        );
        if let Some(error) = broken {
            debug!(%error, "could not look where the log ends");
            // It may be caught in the same way.
            *second = None;
        }
        let suspect = suspect?;
        let proof = self
            .client(second)
            .and_then(|client| can_be_read(client, &self.topics, &suspect));
        let is_still = || {
            let (places, _) = self.progress.places(&lock(&self.assignment));
            places.contains(&suspect)
        };
        match proof {
            Ok(true) if is_still() => Some(suspect),
            Ok(_) => None,
            Err(error) => {
                debug!(%error, "could not read a partition that seems to stand still");
                *second = None;
                None
            }
        }
    }

    fn client<'a>(
        &self,
        second: &'a mut Option<BaseConsumer<Quiet>>,
    ) -> KafkaResult<&'a BaseConsumer<Quiet>> {
        if second.is_none() {
            *second = Some(self.settings.create_with_context(Quiet)?);
        }
        second.as_ref().ok_or(KafkaError::Canceled)
    }
}

/// Whether there is a record to be had at this place or behind it.
fn can_be_read(
    client: &BaseConsumer<Quiet>,
    topics: &Topics,
    place: &Position,
) -> KafkaResult<bool> {
    client.assign(&to_list(topics, std::slice::from_ref(place))?)?;
    let deadline = Instant::now() + PROOF_WAIT;
    let mut found = false;
    while !found && Instant::now() < deadline {
        // An error here is the broker's way to say wait.
        found = matches!(client.poll(ANSWER_WAIT), Some(Ok(_)));
    }
    client.assign(&TopicPartitionList::new())?;
    Ok(found)
}

/// The first client tells how the connection is; the second says nothing.
struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        debug!(%error, reason, "the watch's client");
    }
}

impl ConsumerContext for Quiet {}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: At = (Topic::BalanceChanged, 3);

    fn place(next_offset: i64) -> Position {
        Position {
            topic: AT.0,
            partition: AT.1,
            next_offset,
            epoch: 1,
        }
    }

    /// Looks every five seconds; the client has nothing more to give out just before each
    /// look. What was suspected at each of them.
    fn looks(positions: &[i64], ends: &[Option<i64>], empty: bool) -> Vec<Option<i64>> {
        let start = Instant::now();
        let mut watch = Watch::default();
        let mut now = start;
        positions
            .iter()
            .zip(ends)
            .map(|(position, end)| {
                now += LOOK_INTERVAL;
                let found_empty = empty.then(|| now - Duration::from_millis(1));
                watch
                    .look(now, &[place(*position)], found_empty, |_| *end)
                    .map(|suspect| suspect.next_offset)
            })
            .collect()
    }

    #[test]
    fn given_a_partition_that_is_behind_when_it_does_not_move_then_it_is_suspected() {
        let found = looks(&[7; 5], &[Some(9); 5], true);
        assert_eq!(found, [None, None, None, Some(7), Some(7)]);
    }

    #[test]
    fn given_any_reason_to_stand_when_looked_at_then_nothing_is_suspected() {
        let table = [
            ("all is read", [7; 5], [Some(7); 5], true),
            ("it moves", [1, 2, 3, 4, 5], [Some(9); 5], true),
            ("others are given out first", [7; 5], [Some(9); 5], false),
            ("the broker is away", [7; 5], [None; 5], true),
            (
                "the broker was away in between",
                [7; 5],
                [Some(9), Some(9), Some(9), None, Some(9)],
                true,
            ),
            (
                "records have just come",
                [7; 5],
                [Some(7), Some(7), Some(7), Some(9), Some(9)],
                true,
            ),
        ];
        for (why, positions, ends, empty) in table {
            assert_eq!(looks(&positions, &ends, empty), [None; 5], "{why}");
        }
    }

    #[test]
    fn given_another_assignment_when_looked_at_then_the_time_starts_anew() {
        let mut watch = Watch::default();
        let mut now = Instant::now();
        let mut found = Vec::new();
        for epoch in [1, 1, 1, 2, 2, 2] {
            now += LOOK_INTERVAL;
            let place = Position { epoch, ..place(7) };
            found.push(watch.look(now, &[place], Some(now), |_| Some(9)));
        }
        assert_eq!(found, [None; 6]);
    }

    #[test]
    fn given_what_was_read_when_asked_for_places_then_only_this_assignment_counts() {
        let progress = Progress::default();
        let mut assignment = Assignment::default();
        assignment.take(&[place(5)]);
        assert_eq!(progress.places(&assignment).0, [place(5)]);
        let record = |epoch, offset| Consumed {
            topic: AT.0,
            partition: AT.1,
            offset,
            epoch,
            timestamp_ms: 0,
            key: None,
            value: None,
            trace: None,
        };
        progress.gave(&[record(1, 5), record(1, 6)]);
        assert_eq!(progress.places(&assignment).0, [place(7)]);
        progress.gave(&[record(0, 90)]);
        assert_eq!(progress.places(&assignment).0, [place(5)]);
    }
}
