//! Walks a value field by field and asks the table about each, without an allocation unless something is refused.

use std::fmt;

use serde::ser::{Impossible, Serialize, SerializeSeq, SerializeStruct, Serializer};

use super::{Limit, of};
use crate::kinds::{Body, BodyVisitor, Kind};
use crate::refusal::Refusal;

/// Lists what is wrong with the fields of a value.
pub(super) fn body(body: &Body, faults: &mut Vec<Refusal>) {
    body.visit(Check { kind: body.kind(), faults });
}

struct Check<'a> {
    kind: Kind,
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

/// One value of the walk, and the limit that its field has. A field without one is not checked: a test over every
/// schema sees to it that there is none.
struct Walk<'a> {
    kind: Kind,
    path: Path<'a>,
    limit: Option<&'static Limit>,
    faults: &'a mut Vec<Refusal>,
}

struct Items<'a> {
    walk: Walk<'a>,
    item: Option<&'static Limit>,
    next: usize,
}

// === impl Check ===

impl BodyVisitor for Check<'_> {
    type Output = ();

    fn visit<T: Serialize>(self, value: &T) {
        let root = Path { parent: None, step: Step::Field("data") };
        let walk = Walk { kind: self.kind, path: root, limit: None, faults: self.faults };
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

impl Walk<'_> {
    fn ask(self, question: impl FnOnce(&Limit, &dyn Fn() -> String) -> Option<Refusal>) -> Result<(), fmt::Error> {
        if let Some(limit) = self.limit {
            self.faults.extend(question(limit, &|| self.path.to_string()));
        }
        Ok(())
    }
}

impl<'a> Serializer for Walk<'a> {
    type Ok = ();
    type Error = fmt::Error;
    type SerializeSeq = Items<'a>;
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

    fn serialize_seq(self, len: Option<usize>) -> Result<Items<'a>, fmt::Error> {
        if let Some(limit) = self.limit {
            self.faults.extend(limit.refuse_items(len.unwrap_or(0), || self.path.to_string()));
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

impl SerializeStruct for Walk<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), fmt::Error> {
        let path = Path { parent: Some(&self.path), step: Step::Field(name) };
        value.serialize(Walk { kind: self.kind, path, limit: of(self.kind, name), faults: self.faults })
    }

    fn end(self) -> Result<(), fmt::Error> {
        Ok(())
    }
}

// === impl Items ===

impl SerializeSeq for Items<'_> {
    type Ok = ();
    type Error = fmt::Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), fmt::Error> {
        let path = Path { parent: Some(&self.walk.path), step: Step::Item(self.next) };
        self.next += 1;
        value.serialize(Walk { kind: self.walk.kind, path, limit: self.item, faults: self.walk.faults })
    }

    fn end(self) -> Result<(), fmt::Error> {
        Ok(())
    }
}
