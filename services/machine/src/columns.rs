//! State in a snapshot as rows without the names of their fields: a room holds many agents, and most hold little.

/// Stores a type as the sequence of its fields, in this order. What is stored changes with the order, and so does
/// [`Machine::VERSION`](crate::Machine::VERSION).
#[macro_export]
macro_rules! columns {
    ($type:ident { $($field:ident),+ $(,)? }) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                ($(&self.$field,)+).serialize(serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let ($($field,)+) = serde::Deserialize::deserialize(deserializer)?;
                Ok(Self { $($field),+ })
            }
        }
    };
}
