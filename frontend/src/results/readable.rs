//! Reading a JSON value field by field: what is missing or of another kind is empty. Written by hand, since the derived
//! readers of two dozen structs would be a tenth of the page.

use serde_json::Value;

/// What can be read from a JSON value, whatever that is.
pub(super) trait Readable: Sized {
    /// Reads it; empty where there is nothing to read.
    fn read(value: &Value) -> Self;
}

impl Readable for f64 {
    fn read(value: &Value) -> Self {
        value.as_f64().unwrap_or(0.0)
    }
}

impl Readable for u64 {
    fn read(value: &Value) -> Self {
        value.as_u64().unwrap_or(0)
    }
}

impl Readable for u32 {
    fn read(value: &Value) -> Self {
        u64::read(value).try_into().unwrap_or(0)
    }
}

impl Readable for bool {
    fn read(value: &Value) -> Self {
        value.as_bool().unwrap_or(false)
    }
}

impl Readable for String {
    fn read(value: &Value) -> Self {
        value.as_str().unwrap_or_default().to_owned()
    }
}

impl<T: Readable> Readable for Option<T> {
    fn read(value: &Value) -> Self {
        (!value.is_null()).then(|| T::read(value))
    }
}

impl<T: Readable> Readable for Vec<T> {
    fn read(value: &Value) -> Self {
        value
            .as_array()
            .into_iter()
            .flatten()
            .map(T::read)
            .collect()
    }
}

impl Readable for (String, String) {
    fn read(value: &Value) -> Self {
        (String::read(&value[0]), String::read(&value[1]))
    }
}

impl Readable for (String, String, String) {
    fn read(value: &Value) -> Self {
        let [one, two, three] = [0, 1, 2].map(|place| String::read(&value[place]));
        (one, two, three)
    }
}

/// Structs that are read by the names of their fields.
macro_rules! readable {
    ($($(#[$of_struct:meta])* pub struct $name:ident {
        $($(#[$of_field:meta])* pub $field:ident: $kind:ty,)*
    })*) => {
        $(
            $(#[$of_struct])*
            #[derive(Clone, Debug, Default, PartialEq)]
            pub struct $name {
                $($(#[$of_field])* pub $field: $kind,)*
            }

            impl Readable for $name {
                fn read(value: &Value) -> Self {
                    Self { $($field: Readable::read(&value[stringify!($field)]),)* }
                }
            }
        )*
    };
}
pub(super) use readable;
