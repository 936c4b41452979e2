//! Style as a test: walks the tree and prints `file:line: found X, use Y, because Z`.

mod rules;
mod tree;

pub use rules::{Finding, findings};
pub use tree::{SourceFile, root, sources};
