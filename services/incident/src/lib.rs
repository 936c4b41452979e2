//! Notices: harm, degradation and regressions of an agent, each once.
