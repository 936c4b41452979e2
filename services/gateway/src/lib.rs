//! Lets facts in, and lets platforms without Kafka hear decisions.
