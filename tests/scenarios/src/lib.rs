//! Stories that a product owner can read. `script` reads one, `told` lives it through and writes down what was decided.
//!
//! A story is lines of `TIME AGENT WORDS...`; `#` starts a comment. TIME is since the story's begin (`90s`, `5m`,
//! `1h30m`, `2d`), or since the end of the line before with a `+`. What an agent's platform and people can say:
//!
//! ```text
//! 0s   billing  deployed v1
//! 0s   billing  baseline v1 by ann
//! 1m   billing  starts s1 on v2 in refunds        (later: `succeeds s1`, `fails s1`, `ends s1`)
//! 1m   billing  runs 12 sessions on v2 in refunds every 5s and fails      (`taking 900ms`: with a model call each)
//! 1m   billing  tool fails on v2 20 times every 1s   (or `works`; `model` likewise)
//! 1m   billing  user s1 says where is my order
//! 1m   billing  user s1 feels -0.8 in en 3 times every 20s
//! 1m   billing  decides s1 with 0.4               (its confidence)
//! 1m   billing  calls lookup {"order":7} in s1 6 times every 2s
//! 1m   billing  uses 900 120 in s1 taking 800ms 3 times every 20s   (tokens in and out)
//! 1m   billing  finds prompt_injection in s1
//! 1m   billing  claims by bea                     (the last escalation; or `returns by bea`)
//! 1m   billing  harm confirmed 3 times every 10s  (or `suspected`)
//! 1m   billing  beats every 30s serving v2
//! 1m   billing  garbles 3 times every 1s          (what nobody can read)
//! 1m   billing  acknowledges serving v1           (the last order; or `refuses`)
//! 1m   billing  mode normal by ann                (`automation`, `accepts`, `lifts v2`, `notes resolve` likewise)
//! 1m   -        policy incident {"version": "2"} by ann
//! 0s   -        measures                          (what agents used is written down, too)
//! 9h   -        reopens                           (nobody could be heard since the line before)
//! 1m   -        hold                              (decisions stay on their way until `release`)
//! 1d   -        pass                              (nothing happens; deadlines do)
//! ```

mod script;
mod told;

pub use script::{Line, Said, parse};
pub use told::decisions_of;
