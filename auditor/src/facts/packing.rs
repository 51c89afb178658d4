//! Columns packed one behind another, in bytes that sort as they do.

/// Bytes of a packed fact, its key included.
pub(crate) const FACT_BYTES: usize = 128;
/// A packed fact. The order of the bytes is the order facts are sorted in.
pub(crate) type Packed = [u8; FACT_BYTES];

/// Packs columns one behind another.
pub(crate) struct Packer {
    bytes: Packed,
    length: usize,
}

impl Packer {
    pub(crate) fn new() -> Packer {
        Packer {
            bytes: [0; FACT_BYTES],
            length: 0,
        }
    }

    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    pub(crate) fn with(mut self, column: impl Column) -> Packer {
        column.pack(&mut self);
        self
    }

    pub(crate) fn done(self) -> Packed {
        self.bytes
    }
}

/// Unpacks them again.
pub(crate) struct Unpacker<'a>(pub(crate) &'a [u8]);

impl Unpacker<'_> {
    pub(super) fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, tail) = self
            .0
            .split_first_chunk()
            .expect("a fact has the columns it was packed with");
        self.0 = tail;
        *head
    }

    pub(crate) fn column<C: Column>(&mut self) -> C {
        C::unpack(self)
    }
}

/// Something of a fixed size whose bytes sort as it does.
pub(crate) trait Column {
    fn pack(&self, to: &mut Packer);
    fn unpack(from: &mut Unpacker<'_>) -> Self;
}

macro_rules! unsigned {
    ($($number:ty),*) => {$(
        impl Column for $number {
            fn pack(&self, to: &mut Packer) {
                to.put(&self.to_be_bytes());
            }
            fn unpack(from: &mut Unpacker<'_>) -> $number {
                <$number>::from_be_bytes(from.take())
            }
        }
    )*};
}
unsigned!(u8, u64, u128);

impl Column for i64 {
    fn pack(&self, to: &mut Packer) {
        // With the sign's bit turned, negative numbers sort in front.
        to.put(&(self.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    }
    fn unpack(from: &mut Unpacker<'_>) -> i64 {
        (u64::from_be_bytes(from.take()) ^ (1 << 63)).cast_signed()
    }
}

impl Column for bool {
    fn pack(&self, to: &mut Packer) {
        to.put(&[u8::from(*self)]);
    }
    fn unpack(from: &mut Unpacker<'_>) -> bool {
        from.take::<1>() != [0]
    }
}

/// Declares a fact and how it is packed.
macro_rules! fact {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name { $(pub(crate) $field: $type),* }
        impl Column for $name {
            fn pack(&self, to: &mut Packer) { $(self.$field.pack(to);)* }
            fn unpack(from: &mut Unpacker<'_>) -> $name {
                $name { $($field: Column::unpack(from)),* }
            }
        }
    };
}
pub(super) use fact;
