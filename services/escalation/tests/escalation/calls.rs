//! What calls a human, and what does not.

use kit::facts;
use wire::{MessagePosted, Role, SessionStarted, ToolReturned};

use crate::desk::{Desk, session};

#[test]
fn an_angry_customer_gets_one_human() {
    let mut desk = Desk::new();
    [0.2, -0.3, -0.8, -0.9, -0.9, -0.2, -0.9].into_iter().for_each(|mood| {
        desk.feels(mood);
    });
    let raised = desk.last();
    assert_eq!((desk.raised().len(), raised.session_id.clone(), raised.trigger.as_str()), (1, session("s1"), "sentiment"));
    assert_eq!((raised.threshold, raised.priority, raised.from_priority), (Some(-0.4), 3, None));
    assert!(raised.sentiment.is_some_and(|trend| trend <= -0.4), "{raised:?}");
}

#[test]
fn a_mood_that_hovers_between_the_thresholds_calls_nobody_twice_even_after_a_return() {
    let mut desk = Desk::new();
    desk.feels(-0.6);
    desk.returns_last();
    desk.feels(-0.3).feels(-0.35).feels(-0.3);
    assert_eq!(desk.raised().len(), 1);
    desk.feels(-0.9);
    assert_eq!(desk.raised().len(), 2, "after a return the session begins anew, and may call again");
}

#[test]
fn an_unknown_language_is_not_neutral() {
    let furious = "This is a horrible, disgusting disaster! I hate it.";
    let mut desk = Desk::new();
    desk.feels(-0.3).tell(facts::said(furious, Some("de"))).tell(facts::said(furious, None));
    assert!(desk.raised().is_empty(), "what cannot be scored calls nobody");
    desk.feels(-0.55);
    assert_eq!(desk.triggers(), ["sentiment"], "and calms nobody: a neutral score in between would have");
    let line = desk.standing("sentiment");
    assert_eq!((line.n, line.state.as_str()), (Some(2), "watching"));
    assert!(line.missing.is_some_and(|missing| missing.starts_with("2 turns could not be scored")));
}

#[test]
fn a_policy_may_call_when_the_mood_stays_unknown() {
    let mut desk = Desk::under(r#"{"sentiment": {"unknown_turns": 3}}"#);
    (0..5).for_each(|_| {
        desk.tell(facts::felt(None, None));
    });
    assert_eq!(desk.triggers(), ["sentiment_unknown"]);
}

#[test]
fn a_text_in_english_is_scored_and_what_the_platform_scored_goes_before() {
    let furious = "This is a horrible, disgusting disaster! I hate it.";
    let mut desk = Desk::new();
    desk.tell(MessagePosted { sentiment: Some(0.4), ..facts::said(furious, Some("en")) });
    assert!(desk.raised().is_empty());
    desk.says(furious).says(furious);
    assert_eq!(desk.triggers(), ["sentiment"]);
    let mut told = Desk::under(r#"{"language": "en"}"#);
    told.tell(facts::said(furious, None));
    assert_eq!(told.triggers(), ["sentiment"], "the policy says which language untagged texts are in");
}

#[test]
fn only_what_users_say_has_a_mood_or_a_topic() {
    let mut desk = Desk::new();
    for role in [Role::Agent, Role::Tool, Role::System, Role::Human, Role::Other] {
        desk.tell(MessagePosted { role, sentiment: Some(-1.0), ..facts::said("My lawyer says I hate you", Some("en")) });
    }
    assert!(desk.raised().is_empty(), "{:?}", desk.raised());
}

#[test]
fn a_legal_topic_overrules_a_happy_score() {
    let mut desk = Desk::new();
    desk.feels(1.0).tell(MessagePosted { sentiment: Some(1.0), ..facts::said("Great! My LAWYER, loves it", None) });
    let raised = desk.last();
    assert_eq!((raised.trigger.as_str(), raised.topic.as_deref(), raised.route.as_str()), ("policy", Some("legal"), "legal"));
    assert_eq!((raised.target_kind.as_deref(), raised.target.as_deref()), (Some("team"), Some("legal")));
    assert_eq!(raised.basis.accountable, "legal");
}

#[test]
fn of_several_reasons_at_one_record_the_most_urgent_speaks() {
    let mut desk = Desk::new();
    desk.says("I was hacked, this is horrible, get me a human agent or my lawyer");
    let raised = desk.raised();
    assert_eq!(raised.len(), 1);
    assert_eq!((raised[0].topic.as_deref(), raised[0].priority), (Some("security"), 1));
}

#[test]
fn a_security_finding_calls_for_its_session_and_is_counted_without_one() {
    let mut desk = Desk::new();
    desk.tell_of_none(facts::finding("prompt_injection"));
    assert!(desk.raised().is_empty());
    desk.tell(facts::finding("prompt_injection"));
    assert!(desk.raised().is_empty(), "nothing was ever heard of this session");
    assert_eq!(desk.standing("findings without a session").n, Some(2));
    desk.tell(facts::started("v1", None)).tell(facts::finding("prompt_injection"));
    assert_eq!((desk.last().topic.as_deref(), desk.last().route.as_str()), (Some("security"), "security"));
}

#[test]
fn an_unsure_agent_calls_and_one_that_states_nothing_is_not_taken_for_unsure() {
    let mut desk = Desk::new();
    (0..20).for_each(|_| {
        desk.tell(facts::decided(None));
    });
    assert!(desk.raised().is_empty());
    assert_eq!(desk.standing("confidence").state, "no_data");
    desk.tell(facts::decided(Some(0.3))).tell(facts::decided(Some(0.29)));
    assert_eq!((desk.triggers(), desk.last().confidence, desk.last().threshold), (vec!["confidence".to_owned()], Some(0.29), Some(0.3)));
}

#[test]
fn calls_that_fail_in_a_row_are_the_agents_failure_and_a_success_begins_the_count_anew() {
    let mut desk = Desk::new();
    for failed in [Some(true), Some(true), Some(false), Some(true), None, Some(true)] {
        desk.tell(facts::tool_returned(failed));
    }
    assert!(desk.raised().is_empty());
    desk.tell(facts::model_called(Some(true)));
    assert_eq!((desk.triggers(), desk.last().failures), (vec!["agent_failure".to_owned()], Some(3)));
}

#[test]
fn what_a_customers_own_tools_do_fails_no_agent() {
    let mut desk = Desk::new();
    (0..9).for_each(|_| {
        desk.tell(ToolReturned { by: Role::User, ..facts::tool_returned(Some(true)) });
    });
    assert!(desk.raised().is_empty());
}

#[test]
fn an_agent_that_says_it_cannot_or_hands_over_is_believed() {
    let mut desk = Desk::new();
    desk.tell(MessagePosted { role: Role::Agent, ..facts::said("I\u{2019}m sorry, I can\u{2019}t help with that.", None) });
    desk.tell_of("s2", facts::tool_called("transfer_to_human_agents", None));
    assert_eq!(desk.triggers(), ["agent_failure", "agent_failure"]);
}

#[test]
fn an_involved_session_calls_once_by_systems_steps_or_retries() {
    let mut desk = Desk::under(r#"{"complexity": {"systems_max": 3, "steps_max": 100, "retries_max": 2}}"#);
    ["crm", "crm", "ledger", "mail", "shop"].iter().for_each(|tool| {
        desk.tell(facts::tool_called(tool, None));
    });
    assert_eq!((desk.triggers(), desk.last().systems, desk.last().steps), (vec!["complexity".to_owned()], Some(3), Some(4)));
    for (failed, raised) in [(true, 1), (true, 1), (false, 2)] {
        desk.tell_of("s2", facts::tool_called("lookup", None)).tell_of("s2", facts::tool_returned(Some(failed)));
        assert_eq!(desk.raised().len(), raised);
    }
    assert_eq!(desk.last().retries, Some(2), "a call and its return are one retry");
}

#[test]
fn calls_at_once_that_fail_together_repeat_nothing() {
    let mut desk = Desk::under(r#"{"failures_max": 9, "complexity": {"retries_max": 1}}"#);
    let failed = || facts::tool_returned(Some(true));
    desk.tell(facts::tool_called("lookup", None)).tell(facts::tool_called("lookup", None)).tell(failed()).tell(failed());
    assert!(desk.raised().is_empty());
    desk.tell(facts::tool_called("lookup", None));
    assert_eq!((desk.triggers(), desk.last().retries), (vec!["complexity".to_owned()], Some(1)));
    desk.tell_of("s2", failed()).tell_of("s2", failed());
    assert_eq!(desk.raised().len(), 2, "where no call is told of, a return after a failure is the retry");
}

#[test]
fn a_limit_lowered_below_what_was_seen_calls_at_the_next_failure_and_once() {
    let mut desk = Desk::under(r#"{"failures_max": 9}"#);
    let failed = || facts::tool_returned(Some(true));
    (0..4).for_each(|_| {
        desk.tell(failed());
    });
    desk.adopt(r#"{"failures_max": 3, "complexity": {"retries_max": 99}}"#);
    desk.tell(failed()).tell(failed());
    assert_eq!((desk.triggers(), desk.last().failures), (vec!["agent_failure".to_owned()], Some(5)));
    let line = desk.standing("escalations");
    assert!(line.detail.is_some_and(|detail| detail.contains("0 further reasons")), "{:?}", line.n);
}

#[test]
fn steps_that_are_told_by_their_returns_alone_are_seen_as_steps() {
    let mut desk = Desk::new();
    desk.tell(facts::tool_returned(Some(false))).tell(facts::tool_called("lookup", None)).tell(facts::decided(None));
    assert_eq!((desk.standing("complexity").n, desk.standing("complexity").state.as_str()), (Some(2), "watching"));
}

#[test]
fn an_untagged_text_is_scored_in_the_policys_language_unless_its_letters_are_of_another_script() {
    let mut desk = Desk::under(r#"{"language": "en"}"#);
    desk.tell(facts::said("Это ужасно! :(", None)).tell(facts::said("4711 ?!", None));
    assert_eq!(desk.standing("sentiment").n, Some(0));
    desk.tell(facts::said("so what", None));
    assert_eq!(desk.standing("sentiment").n, Some(1));
}

#[test]
fn why_somebody_is_called_is_said_in_plain_words() {
    let mut desk = Desk::under(r#"{"failures_max": 1, "complexity": {"systems_max": 1}}"#);
    desk.feels(-0.4).tell_of("s2", facts::model_called(Some(true))).tell_of("s3", facts::tool_called("crm", None));
    let summaries: Vec<String> = desk.raised().into_iter().map(|raised| raised.summary).collect();
    for words in ["has come to -0.40 (at -0.4 somebody is called)", "1 call of the agent failed", "1 step, 1 system and 0 retries"] {
        assert!(summaries.iter().any(|summary| summary.contains(words)), "{words} in {summaries:?}");
    }
}

#[test]
fn the_segment_and_the_channel_choose_the_route() {
    let mut desk = Desk::under(
        r#"{"routes": [
            {"name": "gold", "when": "segment == \"gold\" && channel != \"mail\"", "priority": 1, "sla_s": 60, "target": {"person": "ann"}},
            {"name": "rest", "when": "true", "priority": 5, "sla_s": 600, "target": {"agent": "triage"}}]}"#,
    );
    let channel = |channel: &str| SessionStarted { channel: Some(channel.to_owned()), ..facts::started("v1", Some("gold")) };
    desk.tell_of("a", channel("chat")).tell_of("a", facts::felt(Some(-1.0), None));
    desk.tell_of("b", channel("mail")).tell_of("b", facts::felt(Some(-1.0), None));
    let taken: Vec<_> = desk.raised().into_iter().map(|raised| (raised.route, raised.target_kind, raised.basis.policy)).collect();
    let expected = [("gold", "person"), ("rest", "agent")].map(|(route, kind)| (route.to_owned(), Some(kind.to_owned()), "2".to_owned()));
    assert_eq!(taken, expected);
}

#[test]
fn what_a_user_writes_is_in_no_decision_and_in_no_state() {
    let secret = "xyzzy-4711";
    let mut desk = Desk::new();
    desk.says(&format!("My lawyer knows {secret}; adopt policy true; {{\"routes\": []}}")).says(&format!("horrible {secret}"));
    assert_eq!(desk.raised().len(), 1);
    assert!(!format!("{:?}", desk.raised()).contains(secret));
    assert!(!format!("{:?}", desk.fold()).contains(secret));
}

#[test]
fn a_refused_policy_leaves_the_last_good_one_and_says_why() {
    let mut desk = Desk::under(r#"{"sentiment": {"enter": -0.9, "leave": -0.5}}"#);
    desk.adopt(
        r#"{"routes": [{"name": "all", "when": "true", "priority": 1, "sla_s": 60, "target": {"team": "x"}},
        {"name": "late", "when": "true", "priority": 1, "sla_s": 60, "target": {"team": "x"}}]}"#,
    );
    desk.feels(-0.8);
    assert!(desk.raised().is_empty(), "the policy before it holds");
    let missing = desk.standing("policy of the escalation room").missing.expect("it says what is wrong");
    assert!(missing.contains("`late`") && missing.contains("`all`"), "{missing}");
}

#[test]
fn a_condition_that_cannot_be_evaluated_matches_nothing_and_is_counted() {
    let mut desk = Desk::under(
        r#"{"routes": [{"name": "sad", "when": "sentiment < 0", "priority": 1, "sla_s": 60, "target": {"team": "x"}},
        {"name": "rest", "when": "true", "priority": 2, "sla_s": 60, "target": {"team": "x"}}]}"#,
    );
    desk.tell(facts::decided(Some(0.1)));
    assert_eq!(desk.last().route, "rest");
    let line = desk.standing("conditions not evaluated");
    assert_eq!((line.n, line.detail.as_deref()), (Some(1), Some("the last one was route sad's")));
}

#[test]
fn a_record_past_the_hop_cap_calls_nobody() {
    let mut desk = Desk::new();
    let mut platform = kit::Teller::new("billing");
    let time = desk.now().plus_s(1);
    let event = platform.tell(time, Some("s9"), facts::felt(Some(-1.0), None));
    desk.house.tell(time, wire::Event { hops: wire::limits::HOPS_MAX, ..event });
    assert!(desk.raised().is_empty());
}

#[test]
fn a_score_that_is_no_number_or_out_of_range_is_unknown_and_neither_good_nor_bad() {
    let mut desk = Desk::new();
    desk.feels(-0.3).feels(f64::NAN).feels(-7.0).feels(f64::INFINITY).feels(7.0);
    assert!(desk.raised().is_empty());
    desk.feels(-0.55);
    assert_eq!((desk.triggers(), desk.standing("sentiment").n), (vec!["sentiment".to_owned()], Some(2)));
    let mut unsure = Desk::new();
    unsure.tell(facts::decided(Some(f64::NAN))).tell(facts::decided(Some(-1.0)));
    assert!(unsure.raised().is_empty());
}

#[test]
fn fifty_further_reasons_join_one_escalation_and_are_counted() {
    let mut desk = Desk::new();
    desk.says("my lawyer");
    for _ in 0..50 {
        desk.says("my lawyer");
    }
    assert_eq!(desk.raised().len(), 1);
    let line = desk.standing("escalations");
    assert!(line.detail.is_some_and(|detail| detail.contains("50 further reasons")), "{:?}", line.n);
    desk.tell_of("s2", facts::said("my lawyer", None));
    assert_eq!(desk.raised().len(), 2, "another session is another matter");
}
