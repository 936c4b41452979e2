//! All rooms on the seeded memory log under faults, judged by the oracle.
