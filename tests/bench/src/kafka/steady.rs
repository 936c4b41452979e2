//! What the room leaves in this process's memory on Kafka: how often it asks for some per event, and how much it keeps per agent.
//! What librdkafka allocates is not counted, for it asks the C library. B15 of the proofs.

use runtime::log::kafka::KafkaLog;

use super::turned::Turned;
use super::{AGENTS, Kafka, PART, dated, new_topic, publish};
use crate::Failure;
use crate::counting::{Counted, counted};
use crate::table::{Goal, Lines, Sample};
use crate::watch::Watch;

// === impl Kafka ===

impl Kafka {
    /// A room that is ready is given the whole fleet; allocations are those of the second half.
    pub(crate) fn steady(&self, lines: &mut Lines) -> Result<(), Failure> {
        let options = self.options(&new_topic()?);
        let (mut room, begun) = (Turned::ready_on(KafkaLog::open(options.clone())?)?, Watch::begin());
        publish(&*KafkaLog::open(options)?, &self.fleet, dated)?;
        let told = self.fleet.len();
        let (first, before) = counted(|| room.until_passed(told / 2));
        first?;
        let passed = room.passed;
        let (second, settled) = counted(|| room.until_settled(told));
        second?;
        let (events, cpu_s) = (room.passed - passed, begun.cpu_s());
        let sample = |value| Sample { cpu_s, value };
        let bytes = [before, settled].iter().map(|counted: &Counted| counted.bytes).sum::<i64>();
        let allocations = settled.allocations as f64 / events as f64;
        lines.note(PART, "incident: allocations from Kafka to fold", "per event", Some(Goal::AtMost(0.0)), sample(allocations));
        lines.note(PART, "incident: heap on Kafka", "bytes per agent", Some(Goal::AtMost(1024.0)), sample(bytes as f64 / AGENTS as f64));
        Ok(())
    }
}
