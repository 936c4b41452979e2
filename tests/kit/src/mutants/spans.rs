//! What each stretch of an encoded value is, by its schema: whoever breaks a value on purpose has to know where.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;

/// What a stretch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// How long the text after it is.
    Length,
    /// A text.
    Text,
    /// Which branch of a union follows.
    Branch,
    /// A symbol of an enum.
    Symbol,
    /// How many items of a list follow; 0 ends it.
    Items,
    /// A whole number.
    Whole,
    /// A real number.
    Real,
    /// Yes or no.
    Truth,
}

/// A stretch of an encoded value.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) what: What,
    pub(super) range: Range<usize>,
}

/// The stretches of `value`, whose first `framing` bytes are not of the schema.
pub(super) fn of(schema_text: &str, value: &[u8], framing: usize) -> Vec<Span> {
    let schema: Value = serde_json::from_str(schema_text).expect("a schema is JSON");
    let mut walk = Walk { value, at: framing, named: BTreeMap::new(), spans: Vec::new() };
    walk.value(&schema);
    assert_eq!(walk.at, value.len(), "the walk knows every byte of a value that is well");
    walk.spans
}

struct Walk<'a> {
    value: &'a [u8],
    at: usize,
    named: BTreeMap<String, Value>,
    spans: Vec<Span>,
}

// === impl Walk ===

impl Walk<'_> {
    fn value(&mut self, schema: &Value) {
        match schema {
            Value::String(name) => self.primitive(name),
            Value::Array(branches) => {
                let branch = self.varint(What::Branch);
                self.value(&branches[usize::try_from(branch).expect("a branch is not negative")]);
            }
            schema => self.complex(schema),
        }
    }

    fn complex(&mut self, schema: &Value) {
        if let (Some(name), Some(space)) = (schema["name"].as_str(), schema["namespace"].as_str()) {
            self.named.insert(format!("{space}.{name}"), schema.clone());
        }
        match schema["type"].as_str().expect("a complex type names itself") {
            "record" => schema["fields"].as_array().expect("a record has fields").iter().for_each(|field| self.value(&field["type"])),
            "enum" => drop(self.varint(What::Symbol)),
            "array" => self.list(&schema["items"]),
            primitive => self.primitive(primitive),
        }
    }

    fn primitive(&mut self, name: &str) {
        match name {
            "null" => {}
            "long" => drop(self.varint(What::Whole)),
            "double" => self.span(What::Real, 8),
            "boolean" => self.span(What::Truth, 1),
            "string" => {
                let length = self.varint(What::Length);
                self.span(What::Text, usize::try_from(length).expect("a length is not negative"));
            }
            name => self.value(&self.named.get(name).unwrap_or_else(|| panic!("no type is called {name}")).clone()),
        }
    }

    /// Blocks of items, as Reeve writes them: without their size in bytes.
    fn list(&mut self, item: &Value) {
        loop {
            match self.varint(What::Items) {
                0 => return,
                count => (0..count).for_each(|_| self.value(item)),
            }
        }
    }

    fn span(&mut self, what: What, bytes: usize) {
        self.spans.push(Span { what, range: self.at..self.at + bytes });
        self.at += bytes;
    }

    /// Avro's long: zigzag, seven bits a byte.
    fn varint(&mut self, what: What) -> i64 {
        let bytes = self.value[self.at..].iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
        let read = &self.value[self.at..self.at + bytes];
        let number = read.iter().rev().fold(0_u64, |number, byte| number << 7 | u64::from(byte & 0x7f));
        self.span(what, bytes);
        (number >> 1) as i64 ^ -((number & 1) as i64)
    }
}
