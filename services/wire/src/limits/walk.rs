//! Walks a value field by field and asks the table about each, without an allocation unless something is refused.

use std::fmt;
use std::sync::LazyLock;

use serde::ser::{Impossible, Serialize, SerializeSeq, SerializeStruct, Serializer};

use super::{Limit, of};
use crate::kinds::{Body, BodyVisitor, Kind};
use crate::refusal::Refusal;
use crate::shape::{self, Shape};

/// Lists what is wrong with the fields of a value.
pub(super) fn body(body: &Body, faults: &mut Vec<Refusal>) {
    body.visit(Check { fields: fields_of(body.kind()), next: 0, faults });
}

/// A field and its limit. A field without one is not checked: a test over every schema sees to it that there is none.
type Limited = (&'static str, Option<&'static Limit>);

struct Check<'a> {
    fields: &'static [Limited],
    /// Where the next field is looked for first: a walk comes by them in the order of the schema, nearly always.
    next: usize,
    faults: &'a mut Vec<Refusal>,
}

/// Where the walk stands, as a chain on the stack: it becomes text only in a refusal.
#[derive(Clone, Copy)]
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step,
}

#[derive(Clone, Copy)]
enum Step {
    Field(&'static str),
    Item(usize),
}

/// One value of the walk, and the limit that its field has.
struct Walk<'a, 'f> {
    check: &'a mut Check<'f>,
    path: Path<'a>,
    limit: Option<&'static Limit>,
}

struct Items<'a, 'f> {
    walk: Walk<'a, 'f>,
    item: Option<&'static Limit>,
    next: usize,
}

/// The fields of a kind, those of records inside it among them, in the order of its schema.
fn fields_of(kind: Kind) -> &'static [Limited] {
    static FIELDS: LazyLock<Vec<Vec<Limited>>> = LazyLock::new(|| {
        let fields = |kind: &Kind| {
            let mut fields = Vec::new();
            list_fields(*kind, shape::of(*kind), &mut fields);
            fields
        };
        Kind::ALL.iter().map(fields).collect()
    });
    &FIELDS[kind as usize]
}

fn list_fields(kind: Kind, shape: &'static Shape, into: &mut Vec<Limited>) {
    match shape {
        Shape::List(item) => list_fields(kind, item, into),
        Shape::Record(fields) => fields.iter().for_each(|field| {
            if into.iter().all(|(known, _)| *known != field.name) {
                into.push((&field.name, of(kind, &field.name)));
            }
            list_fields(kind, &field.shape, into);
        }),
        _ => {}
    }
}

// === impl Check ===

impl Check<'_> {
    fn limit_of(&mut self, field: &str) -> Option<&'static Limit> {
        let (before, from_here) = self.fields.split_at(self.next);
        let is_it = |(known, _): &Limited| *known == field;
        let place = from_here.iter().position(is_it).map(|place| self.next + place).or_else(|| before.iter().position(is_it))?;
        self.next = place + 1;
        self.fields[place].1
    }
}

impl BodyVisitor for Check<'_> {
    type Output = ();

    fn visit<T: Serialize>(mut self, value: &T) {
        let root = Path { parent: None, step: Step::Field("data") };
        let walk = Walk { check: &mut self, path: root, limit: None };
        value.serialize(walk).expect("the walk goes on after every fault");
    }
}

// === impl Path ===

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        match self.step {
            Step::Field(name) if self.parent.is_none() => f.write_str(name),
            Step::Field(name) => write!(f, ".{name}"),
            Step::Item(index) => write!(f, "[{index}]"),
        }
    }
}

// === impl Walk ===

impl Walk<'_, '_> {
    fn ask(self, question: impl FnOnce(&Limit, &dyn Fn() -> String) -> Option<Refusal>) -> Result<(), fmt::Error> {
        if let Some(limit) = self.limit {
            self.check.faults.extend(question(limit, &|| self.path.to_string()));
        }
        Ok(())
    }
}

impl<'a, 'f> Serializer for Walk<'a, 'f> {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = Items<'a, 'f>;
    type SerializeStruct = Self;
    // No kind holds a tuple, a map or an enum with values.
    type SerializeTuple = Impossible<(), fmt::Error>;
    type SerializeTupleStruct = Impossible<(), fmt::Error>;
    type SerializeTupleVariant = Impossible<(), fmt::Error>;
    type SerializeMap = Impossible<(), fmt::Error>;
    type SerializeStructVariant = Impossible<(), fmt::Error>;

    fn is_human_readable(&self) -> bool {
        // Times shall come as the number of microseconds.
        false
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, fmt::Error> {
        Ok(self)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Items<'a, 'f>, fmt::Error> {
        if let Some(limit) = self.limit {
            self.check.faults.extend(limit.refuse_items(len.unwrap_or(0), || self.path.to_string()));
        }
        let item = self.limit.and_then(Limit::item);
        Ok(Items { walk: self, item, next: 0 })
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), fmt::Error> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), fmt::Error> {
        value.serialize(self)
    }

    fn serialize_i64(self, value: i64) -> Result<(), fmt::Error> {
        self.ask(|limit, field| limit.refuse_whole(value, field))
    }

    fn serialize_u64(self, value: u64) -> Result<(), fmt::Error> {
        self.serialize_i64(i64::try_from(value).unwrap_or(i64::MAX))
    }

    fn serialize_i8(self, value: i8) -> Result<(), fmt::Error> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), fmt::Error> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), fmt::Error> {
        self.serialize_i64(value.into())
    }

    fn serialize_u8(self, value: u8) -> Result<(), fmt::Error> {
        self.serialize_i64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), fmt::Error> {
        self.serialize_i64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), fmt::Error> {
        self.serialize_i64(value.into())
    }

    fn serialize_f32(self, value: f32) -> Result<(), fmt::Error> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), fmt::Error> {
        self.ask(|limit, field| limit.refuse_real(value, field))
    }

    fn serialize_str(self, value: &str) -> Result<(), fmt::Error> {
        self.ask(|limit, field| limit.refuse_text(value, field))
    }

    fn serialize_char(self, value: char) -> Result<(), fmt::Error> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    // What has no range of its own.

    fn serialize_bool(self, _: bool) -> Result<(), fmt::Error> {
        Ok(())
    }

    fn serialize_none(self) -> Result<(), fmt::Error> {
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), fmt::Error> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), fmt::Error> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), fmt::Error> {
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(self, _: &'static str, _: u32, _: &'static str, _: &T) -> Result<(), fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, fmt::Error> {
        Err(fmt::Error)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, fmt::Error> {
        Err(fmt::Error)
    }
}

impl SerializeStruct for Walk<'_, '_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), fmt::Error> {
        let path = Path { parent: Some(&self.path), step: Step::Field(name) };
        let limit = self.check.limit_of(name);
        value.serialize(Walk { check: self.check, path, limit })
    }

    fn end(self) -> Result<(), fmt::Error> {
        Ok(())
    }
}

// === impl Items ===

impl SerializeSeq for Items<'_, '_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), fmt::Error> {
        let path = Path { parent: Some(&self.walk.path), step: Step::Item(self.next) };
        self.next += 1;
        value.serialize(Walk { check: self.walk.check, path, limit: self.item })
    }

    fn end(self) -> Result<(), fmt::Error> {
        Ok(())
    }
}
