//! The people of a simulated fleet: they hear of escalations, take two of three, and give the session back when it is
//! dealt with. The third waits in vain.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use wire::{Body, EscalationClaimed, EscalationReturned, Event, SessionId};

use crate::client::Client;
use crate::fact;
use crate::failure::Failure;
use crate::output::text;
use crate::target::Filter;

/// How long after an escalation somebody takes it, and how long they need.
const TAKEN_AFTER: Duration = Duration::from_secs(4);
const NEEDED: Duration = Duration::from_secs(6);
/// One of so many is taken by nobody.
const MISSED_EVERY: usize = 3;
/// How long a lost connection waits before it is made anew.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Sessions that wait to be taken back.
const WAITING_MAX: usize = 64;
/// Who they are.
const NAMES: [&str; 3] = ["ines", "tom", "rana"];

/// What they know and where they say it.
struct Desk {
    client: Client,
    agent: String,
    outbox: mpsc::Sender<Event>,
    done: mpsc::Sender<SessionId>,
    /// Escalations that they heard of: one that becomes more urgent is told again.
    heard: BTreeSet<String>,
    /// What they are dealing with. It ends with them: nothing may hold the way to the gateway open.
    dealing: JoinSet<()>,
}

/// Hears the escalations of `agent` until stopped. The sessions that somebody dealt with.
pub(super) fn attend(
    client: Client,
    agent: String,
    outbox: mpsc::Sender<Event>,
    mut stopped: watch::Receiver<bool>,
) -> mpsc::Receiver<SessionId> {
    let (done, sessions) = mpsc::channel(WAITING_MAX);
    let mut desk = Desk { client, agent, outbox, done, heard: BTreeSet::new(), dealing: JoinSet::new() };
    tokio::spawn(async move {
        let attending = async {
            while !desk.done.is_closed() {
                if let Err(failure) = desk.hear().await {
                    tracing::debug!("the people of {} listen again: {failure}", desk.agent);
                }
                sleep(AGAIN_AFTER).await;
            }
        };
        tokio::select! {
            () = attending => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    });
    sessions
}

// === impl Desk ===

impl Desk {
    async fn hear(&mut self) -> Result<(), Failure> {
        let filter = Filter {
            kinds: vec!["escalation.raised".to_owned()],
            agent: Some(self.agent.clone()),
            from: Some("now".to_owned()),
            follow: true,
            ..Filter::default()
        };
        let mut raised = self.client.events(&filter).await?;
        while let Some(event) = raised.next().await.transpose()? {
            let escalation = text(&event, "/data/escalation_id").to_owned();
            if !self.heard.insert(escalation.clone()) || self.heard.len().is_multiple_of(MISSED_EVERY) {
                continue;
            }
            let author = NAMES[self.heard.len() % NAMES.len()];
            let session = SessionId::from(text(&event, "/data/session_id"));
            while self.dealing.try_join_next().is_some() {}
            self.dealing.spawn(deal_with(self.agent.clone(), session, escalation, author, self.outbox.clone(), self.done.clone()));
        }
        Ok(())
    }
}

/// Takes an escalation, and gives it back.
async fn deal_with(
    agent: String,
    session: SessionId,
    escalation_id: String,
    author: &'static str,
    outbox: mpsc::Sender<Event>,
    done: mpsc::Sender<SessionId>,
) {
    let author_owned = author.to_owned();
    let word = |body: Body| {
        let mut event = fact::event(&format!("/people/{author}"), &agent, body);
        event.subject = Some(session.clone());
        event
    };
    sleep(TAKEN_AFTER).await;
    let claimed = EscalationClaimed { escalation_id: escalation_id.clone(), author: author_owned.clone(), note: None };
    if outbox.send(word(claimed.into())).await.is_err() {
        return;
    }
    sleep(NEEDED).await;
    let resolution = Some("the customer was called back".to_owned());
    let returned = EscalationReturned { escalation_id, author: author_owned, resolution };
    if outbox.send(word(returned.into())).await.is_ok() {
        let _ = done.send(session).await;
    }
}
