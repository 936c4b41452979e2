//! How often the incident room cries wolf, and how soon it notices: years of healthy life and sudden drops through it,
//! and the same signals through the rules of Argo Rollouts and Flagger. See the README for every distribution.

pub mod counts;
pub mod drops;
pub mod healthy;
pub mod house;
pub mod life;
pub mod nature;
pub mod report;
pub mod rivals;
