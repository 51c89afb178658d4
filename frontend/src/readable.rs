//! Reading a JSON value field by field: what is missing or of another kind is empty, and the first such place is
//! noted. Answers of the gateway must be free of faults; documents of runs are shown as far as they go.
//!
//! Written by hand, since the derived readers of five dozen structs were a tenth of what a browser has to load.

use std::borrow::Cow;

use serde_json::Value;

/// How the fields of an object are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// `newBalance`, as in GraphQL.
    Camel,
    /// `new_balance`, as in documents.
    Snake,
}

/// Reads one value, and remembers the first thing in it that was not as it should be.
#[derive(Debug)]
pub struct Reader {
    names: Names,
    fault: Option<&'static str>,
    place: &'static str,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new(Names::Camel)
    }
}

impl Reader {
    /// A reader of objects whose fields are named so.
    #[must_use]
    pub fn new(names: Names) -> Self {
        Self {
            names,
            fault: None,
            place: "",
        }
    }

    /// The field where the first fault was; empty where it was the value itself.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        self.fault
    }

    /// Notes that what stands here is missing, or of another kind.
    pub fn missed(&mut self) {
        self.fault.get_or_insert(self.place);
    }

    /// Takes what was found, or something empty in its place.
    pub fn take<T: Default>(&mut self, found: Option<T>) -> T {
        if found.is_none() {
            self.missed();
        }
        found.unwrap_or_default()
    }

    /// A field by its name in Rust.
    pub fn field<T: Readable>(&mut self, object: &Value, name: &'static str) -> T {
        let found = self.find(object, name);
        T::read(found, self)
    }

    /// Which member of a union an object is.
    pub fn kind<'a>(&mut self, object: &'a Value) -> &'a str {
        self.take(object["__typename"].as_str())
    }

    /// The meaning of a word. Without a meaning for other words, those are faults.
    pub fn word<T: Copy>(&mut self, value: &Value, known: &[(&str, T)], other: Option<T>) -> T {
        let text = value.as_str().unwrap_or_default();
        let meaning = known.iter().find(|(word, _)| *word == text);
        match (meaning, other) {
            (Some((_, meaning)), _) => *meaning,
            (None, Some(other)) => other,
            (None, None) => {
                self.missed();
                known[0].1
            }
        }
    }

    fn find<'a>(&mut self, object: &'a Value, name: &'static str) -> &'a Value {
        self.place = name;
        match self.names {
            Names::Camel => &object[&*in_camel(name)],
            Names::Snake => &object[name],
        }
    }
}

/// `new_balance` as `newBalance`.
fn in_camel(name: &str) -> Cow<'_, str> {
    if !name.contains('_') {
        return Cow::Borrowed(name);
    }
    let mut camel = String::with_capacity(name.len());
    let mut is_begin = false;
    for letter in name.chars() {
        match letter {
            '_' => is_begin = true,
            letter if is_begin => {
                camel.push(letter.to_ascii_uppercase());
                is_begin = false;
            }
            letter => camel.push(letter),
        }
    }
    Cow::Owned(camel)
}

/// What can be read from a JSON value, whatever that is.
pub trait Readable: Sized {
    /// Reads it; empty where there is nothing to read.
    fn read(value: &Value, reader: &mut Reader) -> Self;
}

/// Reads an answer of the gateway.
///
/// # Errors
/// The first field that is missing, or not of its kind.
pub fn answer<T: Readable>(value: &Value) -> Result<T, &'static str> {
    let mut reader = Reader::default();
    let read = T::read(value, &mut reader);
    match reader.fault {
        None => Ok(read),
        Some(fault) => Err(fault),
    }
}

/// Reads a document as far as it goes.
#[must_use]
pub fn document<T: Readable>(value: &Value) -> T {
    T::read(value, &mut Reader::new(Names::Snake))
}

impl Readable for f64 {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        reader.take(value.as_f64())
    }
}

impl Readable for u64 {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        reader.take(value.as_u64())
    }
}

impl Readable for u32 {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        reader.take(value.as_u64().and_then(|number| number.try_into().ok()))
    }
}

impl Readable for bool {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        reader.take(value.as_bool())
    }
}

impl Readable for String {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        reader.take(value.as_str()).to_owned()
    }
}

impl<T: Readable> Readable for Option<T> {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        (!value.is_null()).then(|| T::read(value, reader))
    }
}

impl<T: Readable> Readable for Vec<T> {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        let values = reader.take(value.as_array().map(Vec::as_slice));
        values.iter().map(|value| T::read(value, reader)).collect()
    }
}

impl Readable for (String, String) {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        (
            String::read(&value[0], reader),
            String::read(&value[1], reader),
        )
    }
}

impl Readable for (String, String, String) {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        let [one, two, three] = [0, 1, 2].map(|place| String::read(&value[place], reader));
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
            pub struct $name {
                $($(#[$of_field])* pub $field: $kind,)*
            }

            impl $crate::readable::Readable for $name {
                fn read(value: &serde_json::Value, reader: &mut $crate::readable::Reader) -> Self {
                    Self { $($field: reader.field(value, stringify!($field)),)* }
                }
            }
        )*
    };
}
pub(crate) use readable;

#[cfg(test)]
#[expect(
    unreachable_pub,
    reason = "the macro makes what the whole crate may use"
)]
mod tests {
    use serde_json::json;

    use super::*;

    readable! {
        #[derive(Debug, PartialEq)]
        pub struct Outer {
            pub a_name: String,
            pub inner: Vec<Inner>,
            pub maybe: Option<u32>,
        }

        #[derive(Debug, PartialEq)]
        pub struct Inner {
            pub is_so: bool,
        }
    }

    fn outer(is_so: &[bool], maybe: Option<u32>) -> Outer {
        Outer {
            a_name: "x".to_owned(),
            inner: is_so.iter().map(|is_so| Inner { is_so: *is_so }).collect(),
            maybe,
        }
    }

    #[test]
    fn given_all_that_is_named_when_read_then_it_is_there_in_either_spelling() {
        let camel = json!({ "aName": "x", "inner": [{ "isSo": true }], "maybe": 3, "newer": {} });
        assert_eq!(answer(&camel), Ok(outer(&[true], Some(3))));
        let snake = json!({ "a_name": "x", "inner": [{ "is_so": true }], "maybe": null });
        assert_eq!(document::<Outer>(&snake), outer(&[true], None));
    }

    #[test]
    fn given_something_missing_when_read_then_an_answer_names_it_and_a_document_goes_on() {
        for (value, fault) in [
            (json!({ "inner": [] }), "a_name"),
            (json!({ "aName": "x" }), "inner"),
            (json!({ "aName": "x", "inner": [{}] }), "is_so"),
            (json!({ "aName": "x", "inner": [], "maybe": -1 }), "maybe"),
            (json!({ "aName": 1, "inner": 2 }), "a_name"),
            (Value::Null, "a_name"),
        ] {
            assert_eq!(answer::<Outer>(&value), Err(fault), "{value}");
        }
        let snake = json!({ "a_name": "x", "inner": [{}] });
        assert_eq!(document::<Outer>(&snake), outer(&[false], None));
    }

    #[test]
    fn given_a_word_when_it_is_unknown_then_it_is_a_fault_unless_it_has_a_meaning() {
        let known = [("ONE", 1), ("TWO", 2)];
        let mut reader = Reader::new(Names::Camel);
        assert_eq!(reader.word(&json!("TWO"), &known, None), 2);
        assert_eq!(reader.word(&json!("THREE"), &known, Some(0)), 0);
        assert_eq!(reader.fault(), None);
        assert_eq!(reader.word(&json!("THREE"), &known, None), 1);
        assert_eq!(reader.fault(), Some(""));
    }
}
