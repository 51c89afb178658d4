//! Avro, read by the auditor itself: a schema as the registry gives it, and data written
//! with it, field by field and without copying.
//!
//! Written here and not taken from a library: `apache-avro` is what the services use, and
//! of others one reads columns of many records at once, which loses the one that is wrong,
//! and one has a licence we do not take. Tests compare this with `apache-avro`.

use serde_json::Value as Json;

/// Deepest nesting of a schema; ours have two levels.
const DEPTH_MAX: usize = 16;
/// Bytes a number may take: ten groups of seven bits.
const NUMBER_BYTES_MAX: u32 = 10;

/// How data is laid out.
#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Null,
    Boolean,
    Number,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    Symbols(Vec<String>),
    Array(Box<Shape>),
    Map(Box<Shape>),
    Union(Vec<Shape>),
    Record(Vec<Field>),
}

#[derive(Clone, Debug, PartialEq)]
struct Field {
    name: String,
    shape: Shape,
}

/// The schema of a record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Schema {
    /// With its namespace.
    pub(crate) name: String,
    fields: Vec<Field>,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Number(i64),
    Text(&'a str),
    Fixed(&'a [u8]),
    Symbol(&'a str),
    /// Of a type no record of ours has; read over.
    Other,
}

/// Why a schema or data cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreadable(pub(crate) &'static str);

type Known = Vec<(String, Shape)>;

impl Schema {
    /// Reads a schema.
    pub(crate) fn parse(text: &str) -> Result<Schema, Unreadable> {
        let json: Json = serde_json::from_str(text).map_err(|_| Unreadable("schema is no JSON"))?;
        let mut known = Vec::new();
        let shape = shape(&json, "", &mut known, 0)?;
        let (name, _) = full_name(&json, "")?;
        match shape {
            Shape::Record(fields) => Ok(Schema { name, fields }),
            _ => Err(Unreadable("schema is no record")),
        }
    }

    /// Reads a record that must end where the bytes end; `each` gets name and value.
    pub(crate) fn read<'a>(
        &'a self,
        datum: &'a [u8],
        mut each: impl FnMut(&'a str, Value<'a>),
    ) -> Result<(), Unreadable> {
        let mut rest = Rest(datum);
        for field in &self.fields {
            let value = rest.value(&field.shape)?;
            each(&field.name, value);
        }
        if rest.0.is_empty() {
            Ok(())
        } else {
            Err(Unreadable("bytes behind the record"))
        }
    }
}

fn full_name(json: &Json, space: &str) -> Result<(String, String), Unreadable> {
    let name = json["name"]
        .as_str()
        .ok_or(Unreadable("a type has no name"))?;
    if let Some((space, _)) = name.rsplit_once('.') {
        return Ok((name.to_owned(), space.to_owned()));
    }
    let space = json["namespace"].as_str().unwrap_or(space).to_owned();
    let full = if space.is_empty() {
        name.to_owned()
    } else {
        format!("{space}.{name}")
    };
    Ok((full, space))
}

fn shape(json: &Json, space: &str, known: &mut Known, depth: usize) -> Result<Shape, Unreadable> {
    if depth > DEPTH_MAX {
        return Err(Unreadable("schema is nested too deep"));
    }
    match json {
        Json::String(name) => named(name, space, known),
        Json::Array(branches) => {
            let branches = branches.iter().map(|it| shape(it, space, known, depth + 1));
            Ok(Shape::Union(branches.collect::<Result<_, _>>()?))
        }
        Json::Object(_) => complex(json, space, known, depth),
        _ => Err(Unreadable("schema has a type that is none")),
    }
}

fn named(name: &str, space: &str, known: &Known) -> Result<Shape, Unreadable> {
    Ok(match name {
        "null" => Shape::Null,
        "boolean" => Shape::Boolean,
        "int" | "long" => Shape::Number,
        "float" => Shape::Float,
        "double" => Shape::Double,
        "bytes" => Shape::Bytes,
        "string" => Shape::Text,
        other => {
            let full = format!("{space}.{other}");
            let found = known.iter().find(|(it, _)| it == other || *it == full);
            let (_, shape) = found.ok_or(Unreadable("schema names an unknown type"))?;
            shape.clone()
        }
    })
}

fn complex(json: &Json, space: &str, known: &mut Known, depth: usize) -> Result<Shape, Unreadable> {
    let kind = &json["type"];
    let Some(kind) = kind.as_str() else {
        return shape(kind, space, known, depth + 1);
    };
    let inner =
        |of: &str, known: &mut Known| shape(&json[of], space, known, depth + 1).map(Box::new);
    let made = match kind {
        "array" => return Ok(Shape::Array(inner("items", known)?)),
        "map" => return Ok(Shape::Map(inner("values", known)?)),
        "fixed" => {
            let size = json["size"]
                .as_u64()
                .and_then(|it| usize::try_from(it).ok());
            Shape::Fixed(size.ok_or(Unreadable("a fixed has no size"))?)
        }
        "enum" => {
            let symbols = json["symbols"]
                .as_array()
                .ok_or(Unreadable("an enum has no symbols"))?;
            let symbols = symbols.iter().filter_map(Json::as_str).map(str::to_owned);
            Shape::Symbols(symbols.collect())
        }
        "record" => {
            let (_, space) = full_name(json, space)?;
            let fields = json["fields"]
                .as_array()
                .ok_or(Unreadable("a record has no fields"))?;
            let fields = fields.iter().map(|field| {
                let name = field["name"]
                    .as_str()
                    .ok_or(Unreadable("a field has no name"))?;
                Ok(Field {
                    name: name.to_owned(),
                    shape: shape(&field["type"], &space, known, depth + 1)?,
                })
            });
            Shape::Record(fields.collect::<Result<_, _>>()?)
        }
        plain => return named(plain, space, known),
    };
    let (name, _) = full_name(json, space)?;
    known.push((name, made.clone()));
    Ok(made)
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Unreadable> {
        let (head, tail) = self
            .0
            .split_at_checked(length)
            .ok_or(Unreadable("the record ends too soon"))?;
        self.0 = tail;
        Ok(head)
    }

    fn number(&mut self) -> Result<i64, Unreadable> {
        let mut number = 0_u64;
        for group in 0..NUMBER_BYTES_MAX {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7f);
            // The tenth group has room for one bit.
            if group == NUMBER_BYTES_MAX - 1 && bits > 1 {
                break;
            }
            number |= bits << (7 * group);
            if byte & 0x80 == 0 {
                return Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
        }
        Err(Unreadable("a number is too long"))
    }

    fn sized(&mut self) -> Result<&'a [u8], Unreadable> {
        let length = usize::try_from(self.number()?);
        self.take(length.map_err(|_| Unreadable("a length is negative"))?)
    }

    fn value<'s>(&mut self, shape: &'s Shape) -> Result<Value<'s>, Unreadable>
    where
        'a: 's,
    {
        Ok(match shape {
            Shape::Null => Value::Null,
            Shape::Number => Value::Number(self.number()?),
            Shape::Text => {
                let text = std::str::from_utf8(self.sized()?);
                Value::Text(text.map_err(|_| Unreadable("a text is not UTF-8"))?)
            }
            Shape::Fixed(size) => Value::Fixed(self.take(*size)?),
            Shape::Symbols(symbols) => {
                let at = usize::try_from(self.number()?).ok();
                let symbol = at.and_then(|at| symbols.get(at));
                Value::Symbol(symbol.ok_or(Unreadable("an enum has no such symbol"))?)
            }
            Shape::Union(branches) => {
                let at = usize::try_from(self.number()?).ok();
                let branch = at.and_then(|at| branches.get(at));
                self.value(branch.ok_or(Unreadable("a union has no such branch"))?)?
            }
            Shape::Boolean => {
                if self.take(1)?[0] > 1 {
                    return Err(Unreadable("a boolean is neither true nor false"));
                }
                Value::Other
            }
            Shape::Float => self.take(4).map(|_| Value::Other)?,
            Shape::Double => self.take(8).map(|_| Value::Other)?,
            Shape::Bytes => self.sized().map(|_| Value::Other)?,
            Shape::Record(fields) => {
                for field in fields {
                    self.value(&field.shape)?;
                }
                Value::Other
            }
            Shape::Array(items) => self.blocks(|rest| rest.value(items).map(|_| ()))?,
            Shape::Map(values) => self.blocks(|rest| {
                rest.sized()?;
                rest.value(values).map(|_| ())
            })?,
        })
    }

    fn blocks<'s>(
        &mut self,
        mut item: impl FnMut(&mut Rest<'a>) -> Result<(), Unreadable>,
    ) -> Result<Value<'s>, Unreadable> {
        loop {
            let mut count = self.number()?;
            if count == 0 {
                return Ok(Value::Other);
            }
            if count < 0 {
                self.number()?;
                count = count
                    .checked_neg()
                    .ok_or(Unreadable("a block is too long"))?;
            }
            // An item of no bytes could be repeated for ever.
            if usize::try_from(count).is_ok_and(|count| count > self.0.len()) {
                return Err(Unreadable("a block is longer than the record"));
            }
            for _ in 0..count {
                item(self)?;
            }
        }
    }
}

#[cfg(test)]
mod tests;
