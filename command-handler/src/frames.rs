//! Records to be sent, as they are kept: encoded once, sent as often as needed with the
//! same bytes.
//!
//! The token in an account's confirmation is blanked out before the frames are stored,
//! and put back, derived again, when they are sent.

use topology::{CommandId, Topic};

use crate::keys::{HandlerKey, TOKEN_CHARACTERS};

/// Form of the bytes below; a reader of another form refuses them.
const FORM: u8 = 1;
const NO_TOKEN: u16 = u16::MAX;

/// One record to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Where to.
    pub topic: Topic,
    /// Decides partition and order.
    pub key: Vec<u8>,
    /// The record in the wire format; `None` only for the dead letter of a record without one.
    pub value: Option<Vec<u8>>,
    /// Of a dead letter: where it came from and why it is one.
    pub headers: Vec<(String, Vec<u8>)>,
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

/// Writes frames for the database.
#[must_use]
pub fn store(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = vec![FORM];
    for frame in frames {
        let topic = TOPICS.iter().position(|topic| *topic == frame.topic);
        bytes.push(u8::try_from(topic.unwrap_or(usize::MAX)).unwrap_or(u8::MAX));
        put(&mut bytes, Some(&frame.key));
        let mut value = frame.value.clone();
        if let (Some(at), Some(value)) = (frame.token_at, &mut value) {
            value[usize::from(at)..][..TOKEN_CHARACTERS].fill(b'.');
        }
        put(&mut bytes, value.as_deref());
        bytes.extend_from_slice(&frame.token_at.unwrap_or(NO_TOKEN).to_be_bytes());
        bytes.push(u8::try_from(frame.headers.len()).unwrap_or(u8::MAX));
        for (name, value) in &frame.headers {
            put(&mut bytes, Some(name.as_bytes()));
            put(&mut bytes, Some(value));
        }
    }
    bytes
}

/// Reads frames from the database and puts the token back where one belongs.
///
/// # Errors
/// [`FramesDamaged`] when they are not what [`store`] wrote.
pub fn load(bytes: &[u8], id: CommandId, key: &HandlerKey) -> Result<Vec<Frame>, FramesDamaged> {
    let mut rest = Rest(bytes);
    if rest.byte()? != FORM {
        return Err(FramesDamaged("unknown form"));
    }
    let mut frames = Vec::new();
    while !rest.0.is_empty() {
        let topic = *TOPICS
            .get(usize::from(rest.byte()?))
            .ok_or(FramesDamaged("unknown topic"))?;
        let frame_key = rest.bytes()?.ok_or(FramesDamaged("no key"))?;
        let mut value = rest.bytes()?;
        let token_at = u16::from_be_bytes(rest.array()?);
        let token_at = (token_at != NO_TOKEN).then_some(token_at);
        if let (Some(at), Some(value)) = (token_at, &mut value) {
            value
                .get_mut(usize::from(at)..)
                .and_then(|value| value.get_mut(..TOKEN_CHARACTERS))
                .ok_or(FramesDamaged("no room for the token"))?
                .copy_from_slice(key.token(id).as_bytes());
        }
        let headers = (0..rest.byte()?)
            .map(|_| {
                let name = rest.bytes()?.ok_or(FramesDamaged("no header name"))?;
                let name = String::from_utf8(name).map_err(|_| FramesDamaged("header name"))?;
                Ok((name, rest.bytes()?.unwrap_or_default()))
            })
            .collect::<Result<_, FramesDamaged>>()?;
        frames.push(Frame {
            topic,
            key: frame_key,
            value,
            headers,
            token_at,
        });
    }
    Ok(frames)
}

/// Length first, in four bytes; all ones for nothing.
fn put(bytes: &mut Vec<u8>, part: Option<&[u8]>) {
    let length = part.map_or(u32::MAX, |part| {
        u32::try_from(part.len()).expect("a record is far below 4 GiB")
    });
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(part.unwrap_or_default());
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
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

    fn bytes(&mut self) -> Result<Option<Vec<u8>>, FramesDamaged> {
        let length = u32::from_be_bytes(self.array()?);
        if length == u32::MAX {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| FramesDamaged("too long"))?;
        let (head, tail) = self
            .0
            .split_at_checked(length)
            .ok_or(FramesDamaged("too short"))?;
        self.0 = tail;
        Ok(Some(head.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> HandlerKey {
        HandlerKey::new("a key")
    }

    fn id() -> CommandId {
        CommandId::from_bytes([9; 16])
    }

    #[test]
    fn frames_come_back_as_they_were_and_hold_no_token_at_rest() {
        let token = key().token(id());
        let frames = vec![
            Frame {
                topic: Topic::AccountCreationFeedback,
                key: b"id".to_vec(),
                value: Some(format!("iban {token} MANUAL").into_bytes()),
                headers: vec![],
                token_at: Some(5),
            },
            Frame {
                topic: Topic::DeadLetters,
                key: vec![],
                value: None,
                headers: vec![("reason".to_owned(), b"FRAMING".to_vec())],
                token_at: None,
            },
        ];
        let stored = store(&frames);
        let at_rest = String::from_utf8_lossy(&stored);
        assert!(!at_rest.contains(&token));
        assert_eq!(load(&stored, id(), &key()).unwrap(), frames);
    }

    #[test]
    fn damaged_frames_are_told_at_every_length() {
        let stored = store(&[Frame {
            topic: Topic::BalanceChanged,
            key: b"NL66OPEN0000000000".to_vec(),
            value: Some(vec![0; 40]),
            headers: vec![],
            token_at: None,
        }]);
        for length in (0..stored.len()).filter(|length| *length != 1) {
            assert!(load(&stored[..length], id(), &key()).is_err(), "{length}");
        }
        assert!(load(&[2], id(), &key()).is_err(), "another form");
    }
}
