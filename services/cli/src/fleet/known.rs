//! What the log already knows of an agent, so that a fleet started again goes on where it was.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use serde_json::Value;
use wire::{Kind, SessionId, VersionId};

use crate::client::Client;
use crate::failure::Failure;
use crate::fleet::orders::Order;
use crate::output::text;
use crate::sentence::kind_name;
use crate::target::Filter;

/// What is known of an agent.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Versions that were ever put into service.
    pub(super) versions: BTreeSet<VersionId>,
    /// The declared baseline.
    pub(super) baseline: Option<VersionId>,
    /// The version in service.
    pub(super) serving: Option<VersionId>,
    /// Id of the last order on the stream of orders.
    pub(super) last_order: Option<String>,
    /// Orders that nobody acknowledged.
    pub(super) open_orders: Vec<Order>,
    /// Sessions that never ended, because their platform was killed, and whether their outcome was told.
    pub(super) broken_off: BTreeMap<SessionId, bool>,
    /// The last mode that was ordered.
    pub(super) mode: Option<String>,
}

/// The kinds that tell it.
const READS: [Kind; 8] = [
    Kind::SessionStarted,
    Kind::OutcomeReported,
    Kind::SessionEnded,
    Kind::VersionDeployed,
    Kind::BaselineDeclared,
    Kind::RollbackOrdered,
    Kind::ModeOrdered,
    Kind::CommandAcknowledged,
];

// === impl Known ===

impl Known {
    /// Asks Reeve what it knows of `agent`.
    ///
    /// # Errors
    /// When Reeve does not answer.
    pub(super) async fn survey(client: &Client, agent: &str) -> Result<Self, Failure> {
        let kinds = READS.iter().map(|kind| kind.name().to_owned()).collect();
        let mut events = client.events(&Filter { kinds, agent: Some(agent.to_owned()), ..Filter::default() }).await?;
        let mut known = Self::default();
        let mut orders = BTreeMap::new();
        while let Some(event) = events.next().await {
            known.learn(&event?, &mut orders);
        }
        known.open_orders = orders.into_values().collect();
        Ok(known)
    }

    fn learn(&mut self, event: &Value, orders: &mut BTreeMap<String, Order>) {
        let session = || SessionId::from(text(event, "/subject"));
        match Kind::from_name(kind_name(event)) {
            Some(Kind::SessionStarted) => {
                self.broken_off.insert(session(), false);
            }
            Some(Kind::OutcomeReported) => {
                self.broken_off.entry(session()).and_modify(|told| *told = true);
            }
            Some(Kind::SessionEnded) => {
                self.broken_off.remove(&session());
            }
            Some(Kind::VersionDeployed) => {
                let version = VersionId::from(text(event, "/data/version"));
                self.serving = Some(version.clone());
                self.versions.insert(version);
            }
            Some(Kind::BaselineDeclared) => self.baseline = Some(text(event, "/data/version").into()),
            Some(Kind::RollbackOrdered | Kind::ModeOrdered) => {
                self.last_order = Some(format!("{}:{}", event["partition"], event["offset"]));
                if let Some(order) = Order::read(event) {
                    self.mode = order.mode().map(str::to_owned).or(self.mode.take());
                    orders.insert(order.id.clone(), order);
                }
            }
            Some(Kind::CommandAcknowledged) => {
                orders.remove(text(event, "/data/order_id"));
                if let Some(version) = event.pointer("/data/serving_version").and_then(Value::as_str) {
                    self.serving = Some(version.into());
                }
            }
            _ => {}
        }
    }

    /// A version of `agent` that the log has not seen.
    pub(super) fn new_version(&self, agent: &str) -> VersionId {
        (1..)
            .map(|number| VersionId::from(format!("{agent}-v{number}")))
            .find(|version| !self.versions.contains(version) && self.baseline.as_ref() != Some(version))
            .expect("a log holds fewer versions than there are numbers")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known(events: &[Value]) -> Known {
        let mut known = Known::default();
        let mut orders = BTreeMap::new();
        events.iter().for_each(|event| known.learn(event, &mut orders));
        known.open_orders = orders.into_values().collect();
        known
    }

    fn event(kind: &str, data: Value) -> Value {
        json!({"id": format!("id of {kind}"), "type": format!("io.reeve.{kind}.v1"), "partition": 2, "offset": 7, "data": data})
    }

    #[test]
    fn a_fleet_started_again_deploys_a_version_that_is_new_there() {
        let deployed = event("version.deployed", json!({"version": "billing-v2"}));
        let known = known(&[event("baseline.declared", json!({"version": "billing-v1"})), deployed]);
        assert_eq!(known.new_version("billing"), VersionId::from("billing-v3"));
        assert_eq!(Known::default().new_version("billing"), VersionId::from("billing-v1"));
    }

    #[test]
    fn an_order_that_nobody_acknowledged_is_still_open_and_an_acknowledged_one_is_not() {
        let order = event("rollback.ordered", json!({"to_version": "v1", "ack_timeout_s": 60}));
        let acknowledged = event("command.acknowledged", json!({"order_id": "id of rollback.ordered", "serving_version": "v1"}));
        let open = known(std::slice::from_ref(&order));
        assert_eq!((open.open_orders.len(), open.last_order.as_deref()), (1, Some("2:7")));
        let done = known(&[order, acknowledged]);
        assert_eq!((done.open_orders.len(), done.serving), (0, Some(VersionId::from("v1"))));
    }
}
