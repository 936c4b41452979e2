//! What the log already knows of an agent, so that a fleet started again goes on where it was.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use serde_json::Value;
use wire::{Kind, VersionId};

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
    /// The last mode that was ordered.
    pub(super) mode: Option<String>,
}

/// The kinds that tell it.
const READS: [Kind; 5] =
    [Kind::VersionDeployed, Kind::BaselineDeclared, Kind::RollbackOrdered, Kind::ModeOrdered, Kind::CommandAcknowledged];

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
        match Kind::from_name(kind_name(event)) {
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
