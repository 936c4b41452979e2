//! Names that records repeat: an agent, its platform and a session stand on every record about them, and a reader that keeps
//! them for a while makes none of them anew.

use std::sync::Arc;

use crate::partitioner::murmur2;

/// Names that one reader keeps: of those that fall upon the same place the last one. What is read is the same without them.
#[derive(Debug)]
pub struct Names(Box<[Option<Arc<str>>]>);

/// Names that are kept at most: of the sessions under way on one partition, most.
const KEPT_MAX: usize = 1 << 10;

// === impl Names ===

impl Names {
    /// For a reader of a single record: nothing is kept.
    pub fn forgotten() -> Self {
        Self(Box::default())
    }

    /// The name, as it was made before if it is kept still.
    pub(crate) fn take<N: From<Arc<str>>>(&mut self, name: &str) -> N {
        let place = murmur2(name.as_bytes()) as usize % KEPT_MAX;
        match self.0.get_mut(place) {
            None => Arc::<str>::from(name).into(),
            Some(Some(kept)) if **kept == *name => Arc::clone(kept).into(),
            Some(place) => Arc::clone(place.insert(name.into())).into(),
        }
    }
}

impl Default for Names {
    fn default() -> Self {
        Self(vec![None; KEPT_MAX].into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AgentId, SessionId};

    #[test]
    fn a_name_that_was_read_before_is_the_same_piece_of_memory() {
        let (mut kept, mut forgotten) = (Names::default(), Names::forgotten());
        let same = |names: &mut Names| -> bool {
            let (first, again): (AgentId, AgentId) = (names.take("billing"), names.take("billing"));
            assert_eq!((first.as_str(), again.as_str()), ("billing", "billing"));
            std::ptr::eq(first.as_str(), again.as_str())
        };
        assert_eq!((same(&mut kept), same(&mut forgotten)), (true, false));
    }

    #[test]
    fn more_names_than_are_kept_are_read_as_they_are() {
        let mut names = Names::default();
        for round in 0..2 {
            for nth in 0..4 * KEPT_MAX {
                let name = format!("session-{nth}");
                assert_eq!(names.take::<SessionId>(&name).as_str(), name, "round {round}");
            }
        }
    }
}
