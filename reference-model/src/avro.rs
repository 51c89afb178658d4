//! As much of Avro's binary form as the bank's own records need.

/// A record under construction.
#[derive(Default)]
pub(crate) struct Body(Vec<u8>);

impl Body {
    /// A number: zigzag, then seven bits a byte, lowest first.
    pub(crate) fn long(mut self, number: i64) -> Self {
        let mut rest = (number << 1 ^ number >> 63).cast_unsigned();
        loop {
            let [low, ..] = (rest & 0x7f).to_le_bytes();
            rest >>= 7;
            if rest == 0 {
                self.0.push(low);
                return self;
            }
            self.0.push(low | 0x80);
        }
    }

    /// Text: its length in bytes, then UTF-8.
    pub(crate) fn text(self, text: &str) -> Self {
        let length = i64::try_from(text.len()).expect("no text is as long as memory");
        let mut body = self.long(length);
        body.0.extend_from_slice(text.as_bytes());
        body
    }

    /// Bytes of a length the schema names.
    pub(crate) fn fixed(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_the_examples_of_the_specification_when_written_then_the_bytes_are_its_bytes() {
        for (number, bytes) in [
            (0, &[0x00][..]),
            (-1, &[0x01]),
            (1, &[0x02]),
            (-2, &[0x03]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (
                i64::MAX,
                &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            ),
            (
                i64::MIN,
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            ),
        ] {
            assert_eq!(Body::default().long(number).bytes(), bytes, "{number}");
        }
        assert_eq!(
            Body::default().text("foo").bytes(),
            [0x06, 0x66, 0x6f, 0x6f]
        );
        assert_eq!(Body::default().text("").bytes(), [0x00]);
        assert_eq!(Body::default().fixed(&[7, 8]).bytes(), [7, 8]);
    }
}
