//! What may happen to the bytes of a value.

use bytes::Bytes;
use rand::RngExt;
use wire::{Kind, codec, limits};

use super::spans::What;
use super::{Expected, Making, Mutation};

use Expected::{Either, NotRead, ReadOr, Refused};

/// More than any record has a right to.
const HUGE_BYTES: usize = 10 << 20;

pub(super) const MUTATIONS: &[Mutation] = &[
    ("truncation", |making| {
        making.change(|value, rng| value.truncate(rng.random_range(0..value.len())));
        Some(NotRead)
    }),
    ("bit flips", |making| Some(flip_bits(making))),
    ("overlong varint", |making| {
        let varints = [What::Length, What::Branch, What::Symbol, What::Items, What::Whole];
        let overlong = making.one_of(&[&[0xff; 11][..], &[0x80; 11], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]]);
        making.replace(&varints, overlong)?;
        making.refused("undecodable")
    }),
    ("negative length", |making| {
        let number = making.rng.random_range(1..i64::MAX);
        making.replace(&[What::Length], &varint(-number))?;
        making.refused("undecodable")
    }),
    ("least length", |making| {
        making.replace(&[What::Length], &varint(i64::MIN))?;
        making.refused("undecodable")
    }),
    ("huge length", |making| {
        let number = making.rng.random_range(15..63_u32);
        making.replace(&[What::Length], &varint(1 << number))?;
        making.refused("undecodable")
    }),
    ("length at the limit", |making| {
        let number = limits::VALUE_BYTES_MAX as i64 + making.rng.random_range(-1..2_i64);
        making.replace(&[What::Length], &varint(number))?;
        making.refused("undecodable")
    }),
    ("length that is a little off", |making| {
        let number = making.rng.random_range(0..40);
        making.replace(&[What::Length], &varint(number))?;
        Some(Either)
    }),
    ("huge list", |making| {
        let number = making.rng.random_range(20..63_u32);
        making.replace(&[What::Items], &varint(1 << number))?;
        making.refused("undecodable")
    }),
    ("list of negative length", |making| {
        let number = making.one_of(&[-1, -2, -64, i64::MIN, i64::MIN + 1]);
        making.replace(&[What::Items], &varint(number))?;
        Some(Either)
    }),
    ("no such branch", |making| {
        let branch = making.one_of(&[-1, 2, 3, 64, i64::MAX, i64::MIN]);
        making.replace(&[What::Branch], &varint(branch))?;
        making.refused("undecodable")
    }),
    ("other branch", |making| {
        let branch = making.one_of(&[0, 1]);
        making.replace(&[What::Branch], &varint(branch))?;
        Some(Either)
    }),
    ("no such symbol", |making| {
        let symbol = making.one_of(&[-1, 99, i64::MAX, i64::MIN]);
        making.replace(&[What::Symbol], &varint(symbol))?;
        making.refused("undecodable")
    }),
    ("neither yes nor no", |making| {
        let byte = making.rng.random_range(2..=255_u8);
        making.replace(&[What::Truth], &[byte])?;
        making.refused("undecodable")
    }),
    ("bad UTF-8", |making| {
        let bad: &[u8] = making.one_of(&[&[0xff_u8][..], &[0xc0, 0x80], &[0xed, 0xa0, 0x80], &[0xf4, 0x90, 0x80, 0x80]]);
        making.rewrite(&bad.repeat(3))?;
        making.refused("undecodable")
    }),
    ("control characters", |making| {
        let text = making.one_of(&["\0", "a\u{7f}b", "\r\nset-cookie: x", "\u{85}"]);
        making.rewrite(text.as_bytes())?;
        Some(ReadOr("malformed"))
    }),
    ("empty text", |making| {
        making.rewrite(b"")?;
        Some(ReadOr("malformed"))
    }),
    ("text over every limit", |making| {
        making.rewrite(&vec![b'x'; limits::TEXT_BYTES_MAX + 1])?;
        making.refused("too_large")
    }),
    ("no number", |making| {
        let number = making.one_of(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
        making.replace(&[What::Real], &number.to_le_bytes())?;
        making.refused("out_of_range")
    }),
    ("absurd number", |making| {
        let number = making.one_of(&[-0.0, f64::MAX, f64::MIN, f64::MIN_POSITIVE, -1.0, 1e300, 0.1 + 0.2]);
        making.replace(&[What::Real], &number.to_le_bytes())?;
        Some(ReadOr("out_of_range"))
    }),
    ("least whole number", |making| {
        making.replace(&[What::Whole], &varint(i64::MIN))?;
        making.refused("out_of_range")
    }),
    ("absurd whole number", |making| {
        let number = making.one_of(&[i64::MAX, -2, -1, 0, 1 << 53, (1 << 53) + 1, u32::MAX as i64 + 1, 7_258_118_400_000_001]);
        making.replace(&[What::Whole], &varint(number))?;
        Some(ReadOr("out_of_range"))
    }),
    ("trailing bytes", |making| {
        making.change(|value, rng| value.extend((0..rng.random_range(1..20)).map(|_| rng.random::<u8>())));
        Some(Refused("trailing_bytes"))
    }),
    ("padding up to the limit", |making| {
        making.change(|value, _| value.resize(limits::VALUE_BYTES_MAX, 0));
        Some(Refused("trailing_bytes"))
    }),
    ("one byte too many", |making| {
        making.change(|value, _| value.resize(limits::VALUE_BYTES_MAX + 1, 0));
        Some(Refused("too_large"))
    }),
    ("ten mebibytes", |making| {
        static HUGE: std::sync::LazyLock<Bytes> = std::sync::LazyLock::new(|| vec![b'x'; HUGE_BYTES].into());
        making.raw.value = HUGE.clone();
        Some(Refused("too_large"))
    }),
    ("no value", |making| {
        making.raw.value = Bytes::new();
        Some(Refused("unknown_framing"))
    }),
    ("framing alone", |making| {
        making.change(|value, _| value.truncate(codec::FRAMING_BYTES));
        Some(Refused("undecodable"))
    }),
    ("framing of a registry", |making| {
        let id: u32 = making.rng.random();
        making.splice(0..codec::FRAMING_BYTES, &[&[0][..], &id.to_be_bytes()].concat());
        Some(Refused("unregistered_schema"))
    }),
    ("unknown fingerprint", |making| {
        let fingerprint: [u8; 8] = making.rng.random();
        making.splice(2..codec::FRAMING_BYTES, &fingerprint);
        Some(Refused("unknown_schema"))
    }),
    ("framing of another kind", |making| {
        let kind = making.one_of(Kind::ALL);
        making.splice(0..codec::FRAMING_BYTES, &codec::framing_of(kind));
        Some(Either)
    }),
    ("lost bytes", |making| {
        making.change(|value, rng| {
            let from = rng.random_range(codec::FRAMING_BYTES..value.len());
            value.drain(from..rng.random_range(from..value.len()));
        });
        Some(Either)
    }),
    ("repeated bytes", |making| {
        making.change(|value, rng| {
            let from = rng.random_range(codec::FRAMING_BYTES..value.len());
            let repeated = value[from..rng.random_range(from..value.len())].to_vec();
            let at = rng.random_range(codec::FRAMING_BYTES..=value.len());
            value.splice(at..at, repeated);
        });
        Some(Either)
    }),
    ("noise", |making| {
        making.change(|value, rng| value.iter_mut().skip(codec::FRAMING_BYTES).for_each(|byte| *byte = rng.random()));
        Some(Either)
    }),
    ("spliced with another", |making| {
        let other = making.other.stored.raw.value.clone();
        making.change(|value, rng| {
            value.truncate(rng.random_range(codec::FRAMING_BYTES..=value.len()));
            value.extend_from_slice(&other[rng.random_range(codec::FRAMING_BYTES..=other.len())..]);
        });
        Some(Either)
    }),
    ("everything at once", |making| {
        for _ in 0..making.rng.random_range(2..6) {
            flip_bits(making);
            making.replace(&[What::Whole, What::Length, What::Items, What::Branch], &varint(1 << 40));
        }
        Some(Either)
    }),
];

/// Turns over one to eight bits.
pub(super) fn flip_bits(making: &mut Making<'_>) -> Expected {
    making.change(|value, rng| {
        for _ in 0..rng.random_range(1..=8_u32) {
            let at = rng.random_range(0..value.len());
            value[at] ^= 1 << rng.random_range(0..8_u32);
        }
    });
    Either
}

// === impl Making ===

impl Making<'_> {
    /// Writes `new` over a stretch that says one of `what`, by chance.
    fn replace(&mut self, what: &[What], new: &[u8]) -> Option<()> {
        let spans: Vec<_> = self.well.spans.iter().filter(|span| what.contains(&span.what)).collect();
        if spans.is_empty() {
            return None;
        }
        let range = spans[self.rng.random_range(0..spans.len())].range.clone();
        // Of a value that was changed before, less may be left.
        let end = self.raw.value.len();
        self.splice(range.start.min(end)..range.end.min(end), new);
        Some(())
    }

    /// Writes another text over one of the texts, its length with it.
    fn rewrite(&mut self, text: &[u8]) -> Option<()> {
        let texts: Vec<usize> = (0..self.well.spans.len()).filter(|at| self.well.spans[*at].what == What::Text).collect();
        if texts.is_empty() {
            return None;
        }
        let at = texts[self.rng.random_range(0..texts.len())];
        let (length, old) = (self.well.spans[at - 1].range.clone(), self.well.spans[at].range.clone());
        self.splice(length.start..old.end, &[&varint(text.len() as i64)[..], text].concat());
        Some(())
    }
}

/// A number as Avro writes it: zigzag, seven bits a byte, the lowest first (Avro 1.12, *Binary Encoding*).
pub fn varint(number: i64) -> Vec<u8> {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    let mut bytes = Vec::new();
    while rest > 0x7f {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}
