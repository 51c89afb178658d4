//! Records to be sent: encoded once, kept in the books, sent as often as needed with the
//! same bytes.
//!
//! The frames of a batch stand one behind another in one buffer, in the very form they are
//! stored in, so that what goes to the database and to Kafka are slices of it. The token in
//! an account's confirmation is blanked out in what is stored, and put back, derived again,
//! when it is loaded.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use topology::{CommandId, Topic};

use crate::keys::{HandlerKey, TOKEN_CHARACTERS};

/// Form of the bytes below, written in front of them; a reader of another form refuses them.
const FORM: u8 = 1;
const NO_TOKEN: u16 = u16::MAX;
/// Instead of a length: there is nothing, not even nothing long.
const NOTHING: u32 = u32::MAX;
/// A length in front of a part.
const LENGTH_BYTES: usize = 4;

/// Name and bytes of a header.
pub type Header = (String, Vec<u8>);

/// One record to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Where to.
    pub topic: Topic,
    /// Decides partition and order.
    pub key: &'a [u8],
    /// The record in the wire format; `None` only for the dead letter of a record without one.
    pub value: Option<&'a [u8]>,
    /// Of a dead letter: where it came from and why it is one.
    pub headers: &'a [Header],
    /// Where in the value the account's token stands, if it does.
    pub token_at: Option<u16>,
}

/// Stored frames that cannot be read: the database was changed by another hand.
#[derive(Debug, thiserror::Error)]
#[error("stored frames are damaged: {0}")]
pub struct FramesDamaged(&'static str);

const TOPICS: [Topic; 4] = [
    Topic::AccountCreationFeedback,
    Topic::MoneyTransferFeedback,
    Topic::BalanceChanged,
    Topic::DeadLetters,
];

/// Records to be sent, in order.
#[derive(Clone, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    places: Vec<Place>,
    /// Of those frames that have any.
    headers: Vec<Vec<Header>>,
}

/// Where a frame's parts stand in the bytes.
#[derive(Clone, Copy)]
struct Place {
    topic: Topic,
    start: u32,
    value_at: u32,
    value_length: Option<u32>,
    token_at: Option<u16>,
    headers: Option<u32>,
}

impl Frames {
    /// None yet, with room for this many of usual size.
    #[must_use]
    pub fn with_capacity(count: usize) -> Frames {
        const USUAL_BYTES: usize = 128;
        Frames {
            bytes: Vec::with_capacity(count * USUAL_BYTES),
            places: Vec::with_capacity(count),
            headers: Vec::new(),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// All, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Frame<'_>> {
        self.places.iter().map(|place| self.at(place))
    }

    /// Those with these numbers.
    pub fn range(&self, range: Range<usize>) -> impl ExactSizeIterator<Item = Frame<'_>> {
        self.places[range].iter().map(|place| self.at(place))
    }

    fn at(&self, place: &Place) -> Frame<'_> {
        let (start, value) = (index(place.start), index(place.value_at));
        Frame {
            topic: place.topic,
            key: &self.bytes[start + 1 + LENGTH_BYTES..value - LENGTH_BYTES],
            value: place
                .value_length
                .map(|length| &self.bytes[value..value + index(length)]),
            headers: place.headers.map_or(&[], |at| &self.headers[index(at)]),
            token_at: place.token_at,
        }
    }

    /// Adds a frame whose value is written in its place.
    ///
    /// # Errors
    /// That of `value`; the frames are as before then.
    pub fn write<E>(
        &mut self,
        topic: Topic,
        key: &[u8],
        value: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        self.bytes.push(code(topic));
        put(&mut self.bytes, Some(key));
        self.bytes.extend_from_slice(&NOTHING.to_be_bytes());
        let value_at = self.bytes.len();
        if let Err(error) = value(&mut self.bytes) {
            self.bytes.truncate(start);
            return Err(error);
        }
        let length = number(self.bytes.len() - value_at);
        self.bytes[value_at - LENGTH_BYTES..value_at].copy_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(&NO_TOKEN.to_be_bytes());
        self.bytes.push(0);
        self.places.push(Place {
            topic,
            start: number(start),
            value_at: number(value_at),
            value_length: Some(length),
            token_at: None,
            headers: None,
        });
        Ok(())
    }

    /// Says that the value of the last frame holds this token, which is not to be stored.
    pub fn blank_out(&mut self, token: &str) {
        let Some(last) = self.places.last_mut() else {
            return;
        };
        let (at, length) = (
            index(last.value_at),
            index(last.value_length.unwrap_or_default()),
        );
        let value = &self.bytes[at..at + length];
        let found = value
            .windows(token.len())
            .position(|window| window == token.as_bytes());
        last.token_at = found.and_then(|found| u16::try_from(found).ok());
        let token_at = last.token_at.unwrap_or(NO_TOKEN);
        self.bytes[at + length..][..2].copy_from_slice(&token_at.to_be_bytes());
    }

    /// Adds a dead letter: a record as it came, with headers that say why.
    pub fn dead_letter(&mut self, key: &[u8], value: Option<&[u8]>, headers: Vec<Header>) {
        let start = self.bytes.len();
        self.bytes.push(code(Topic::DeadLetters));
        put(&mut self.bytes, Some(key));
        put(&mut self.bytes, value);
        let value_at = start + 1 + LENGTH_BYTES + key.len() + LENGTH_BYTES;
        self.bytes.extend_from_slice(&NO_TOKEN.to_be_bytes());
        self.bytes
            .push(u8::try_from(headers.len()).unwrap_or(u8::MAX));
        for (name, value) in &headers {
            put(&mut self.bytes, Some(name.as_bytes()));
            put(&mut self.bytes, Some(value));
        }
        self.places.push(Place {
            topic: Topic::DeadLetters,
            start: number(start),
            value_at: number(value_at),
            value_length: value.map(|value| number(value.len())),
            token_at: None,
            headers: Some(number(self.headers.len())),
        });
        self.headers.push(headers);
    }

    /// Adds frames that are here already once more.
    pub fn repeat(&mut self, range: Range<usize>) {
        let span = self.span(&range);
        let (from, to) = (span.start, self.bytes.len());
        self.bytes.extend_from_within(span);
        for at in range {
            let moved = self.places[at].moved(from, to, 0);
            self.places.push(moved);
        }
    }

    /// Adds other frames behind these.
    pub fn append(&mut self, other: &Frames) {
        let (to, headers) = (self.bytes.len(), self.headers.len());
        self.bytes.extend_from_slice(&other.bytes);
        self.headers.extend_from_slice(&other.headers);
        let moved = other.places.iter().map(|place| place.moved(0, to, headers));
        self.places.extend(moved);
    }

    /// Adds frames from the database, with the token put back where one belongs.
    ///
    /// # Errors
    /// [`FramesDamaged`] when they are not what [`Frames::stored`] wrote; these are as
    /// before then.
    pub fn restore(
        &mut self,
        stored: &[u8],
        id: CommandId,
        key: &HandlerKey,
    ) -> Result<(), FramesDamaged> {
        let mut rest = Rest(stored);
        if rest.byte()? != FORM {
            return Err(FramesDamaged("unknown form"));
        }
        let mut loaded = Frames {
            bytes: rest.0.to_vec(),
            ..Frames::default()
        };
        while !rest.0.is_empty() {
            let start = loaded.bytes.len() - rest.0.len();
            let topic = *TOPICS
                .get(usize::from(rest.byte()?))
                .ok_or(FramesDamaged("unknown topic"))?;
            let frame_key = rest.part()?.ok_or(FramesDamaged("no key"))?;
            let value_at = start + 1 + LENGTH_BYTES + frame_key.len() + LENGTH_BYTES;
            let value = rest.part()?;
            let token_at = u16::from_be_bytes(rest.array()?);
            let token_at = (token_at != NO_TOKEN).then_some(token_at);
            if let Some(at) = token_at {
                let value = value.unwrap_or_default();
                let room = value.get(usize::from(at)..).map_or(0, <[u8]>::len);
                if room < TOKEN_CHARACTERS {
                    return Err(FramesDamaged("no room for the token"));
                }
                let place = value_at + usize::from(at);
                loaded.bytes[place..place + TOKEN_CHARACTERS]
                    .copy_from_slice(key.token(id).as_bytes());
            }
            let headers = rest.headers()?;
            let has_headers = !headers.is_empty();
            loaded.places.push(Place {
                topic,
                start: number(start),
                value_at: number(value_at),
                value_length: value.map(|value| number(value.len())),
                token_at,
                headers: has_headers.then(|| number(loaded.headers.len())),
            });
            if has_headers {
                loaded.headers.push(headers);
            }
        }
        self.append(&loaded);
        Ok(())
    }

    /// The frames with these numbers for the database.
    #[must_use]
    pub fn stored(&self, range: Range<usize>) -> Stored<'_> {
        let span = self.span(&range);
        let mut bytes = Cow::Borrowed(&self.bytes[span.clone()]);
        for place in &self.places[range] {
            if let Some(token_at) = place.token_at {
                let at = index(place.value_at) - span.start + usize::from(token_at);
                bytes.to_mut()[at..][..TOKEN_CHARACTERS].fill(b'.');
            }
        }
        Stored(bytes)
    }

    fn span(&self, range: &Range<usize>) -> Range<usize> {
        let start = |at: usize| {
            let place = self.places.get(at);
            place.map_or(self.bytes.len(), |place| index(place.start))
        };
        start(range.start)..start(range.end)
    }
}

impl Place {
    /// The same frame, when the bytes from `from` stand at `to` as well.
    fn moved(self, from: usize, to: usize, headers: usize) -> Place {
        let moved = |at: u32| number(index(at) - from + to);
        Place {
            start: moved(self.start),
            value_at: moved(self.value_at),
            headers: self.headers.map(|at| number(index(at) + headers)),
            ..self
        }
    }
}

impl PartialEq for Frames {
    fn eq(&self, other: &Frames) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Frames {}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Frames as they are stored.
#[derive(Clone, Debug)]
pub struct Stored<'a>(Cow<'a, [u8]>);

impl Stored<'_> {
    /// The bytes, in two pieces.
    #[must_use]
    pub fn pieces(&self) -> [&[u8]; 2] {
        [&[FORM], &self.0]
    }
}

fn code(topic: Topic) -> u8 {
    let code = TOPICS.iter().position(|it| *it == topic);
    u8::try_from(code.unwrap_or(usize::MAX)).unwrap_or(u8::MAX)
}

fn number(length: usize) -> u32 {
    u32::try_from(length).expect("a batch is far below 4 GiB")
}

fn index(number: u32) -> usize {
    usize::try_from(number).expect("a machine of the bank has at least 32 bits")
}

/// Length first; all ones for nothing.
fn put(bytes: &mut Vec<u8>, part: Option<&[u8]>) {
    let length = part.map_or(NOTHING, |part| number(part.len()));
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(part.unwrap_or_default());
}

/// What is still to be restored.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], FramesDamaged> {
        let (head, tail) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(FramesDamaged("too short"))?;
        self.0 = tail;
        Ok(*head)
    }

    fn byte(&mut self) -> Result<u8, FramesDamaged> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn part(&mut self) -> Result<Option<&'a [u8]>, FramesDamaged> {
        let length = u32::from_be_bytes(self.array()?);
        if length == NOTHING {
            return Ok(None);
        }
        let (head, tail) = self
            .0
            .split_at_checked(index(length))
            .ok_or(FramesDamaged("too short"))?;
        self.0 = tail;
        Ok(Some(head))
    }

    fn headers(&mut self) -> Result<Vec<Header>, FramesDamaged> {
        (0..self.byte()?)
            .map(|_| {
                let name = self.part()?.ok_or(FramesDamaged("no header name"))?;
                let name = std::str::from_utf8(name).map_err(|_| FramesDamaged("header name"))?;
                let value = self.part()?.unwrap_or_default();
                Ok((name.to_owned(), value.to_vec()))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
