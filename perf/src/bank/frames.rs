//! WebSocket frames (RFC 6455), as much of them as a client of the gateway needs.
//!
//! The handshake is a library's; these two functions are written here because a thousand
//! sockets that are written from one thread and read from another must cost little.

/// A frame of text.
pub const TEXT: u8 = 0x1;
/// The other side closes.
pub const CLOSE: u8 = 0x8;
/// Are you there?
pub const PING: u8 = 0x9;
/// Yes.
pub const PONG: u8 = 0xA;

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
/// No message of the gateway is longer.
const PAYLOAD_MAX: usize = 1024 * 1024;

/// Writes a whole frame into an empty buffer; a client masks.
pub fn write(frame: &mut Vec<u8>, opcode: u8, mask: [u8; 4], payload: &[u8]) {
    frame.clear();
    frame.push(FINAL | opcode);
    let length = payload.len();
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => frame.push(MASKED | short),
        (_, Ok(medium)) => {
            frame.push(MASKED | 126);
            frame.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            frame.push(MASKED | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    let masked = payload.iter().zip(mask.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
}

/// A frame that was read.
#[derive(Debug, PartialEq)]
pub struct Frame<'a> {
    /// What kind.
    pub opcode: u8,
    /// What is in it.
    pub payload: &'a [u8],
}

/// What does not belong there.
#[derive(Debug, Eq, PartialEq)]
pub struct NoFrame;

/// Takes the first frame off `bytes`, with the number of bytes it took; `None` when it is not
/// complete yet.
///
/// # Errors
/// [`NoFrame`] for what a server does not send: fragments, masks, giants.
pub fn read(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, NoFrame> {
    let [first, second, ..] = *bytes else {
        return Ok(None);
    };
    let (opcode, is_final) = (first & 0x0f, first & FINAL != 0);
    if !is_final || opcode == 0 || second & MASKED != 0 {
        return Err(NoFrame);
    }
    let (length, start) = match second {
        126 => match bytes.get(2..4) {
            Some(&[high, low]) => (usize::from(u16::from_be_bytes([high, low])), 4),
            _ => return Ok(None),
        },
        127 => match bytes.get(2..10).and_then(|it| it.try_into().ok()) {
            Some(length) => {
                let length = u64::from_be_bytes(length);
                (usize::try_from(length).map_err(|_| NoFrame)?, 10)
            }
            None => return Ok(None),
        },
        short => (usize::from(short), 2),
    };
    if length > PAYLOAD_MAX {
        return Err(NoFrame);
    }
    Ok(bytes
        .get(start..start + length)
        .map(|payload| (Frame { opcode, payload }, start + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a server sends it: without a mask.
    fn from_server(payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        write(&mut frame, TEXT, [0; 4], payload);
        frame[1] &= !MASKED;
        let start = frame.len() - payload.len() - 4;
        frame.drain(start..start + 4);
        frame
    }

    #[test]
    fn what_is_written_is_read_again_whatever_its_length() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let mut bytes = from_server(&payload);
            let whole = bytes.len();
            bytes.extend(from_server(b"next"));
            let (frame, taken) = read(&bytes).unwrap().unwrap();
            assert_eq!(
                (frame.opcode, frame.payload.len(), taken),
                (TEXT, length, whole)
            );
            for cut in [0, 1, 2, whole - 1] {
                assert_eq!(
                    read(&bytes[..cut.min(whole - 1)]),
                    Ok(None),
                    "{length}, {cut}"
                );
            }
        }
    }

    #[test]
    fn a_client_masks_what_it_sends() {
        let mut frame = Vec::new();
        write(&mut frame, TEXT, [1, 2, 3, 4], b"abcde");
        assert_eq!(frame[..2], [0x81, 0x85]);
        assert_eq!(
            frame[6..],
            [b'a' ^ 1, b'b' ^ 2, b'c' ^ 3, b'd' ^ 4, b'e' ^ 1]
        );
    }

    #[test]
    fn fragments_masks_and_giants_are_refused() {
        for bytes in [[0x01, 0x00], [0x80, 0x00], [0x81, 0x80]] {
            assert_eq!(read(&bytes), Err(NoFrame));
        }
        let giant = [0x81, 127, 0xff, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(read(&giant), Err(NoFrame));
    }
}
