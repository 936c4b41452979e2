//! Several gateways on one topic: what one has appended, another that is opened after it knows.

use runtime::log::contract::fixtures::{fact, ids, to};
use runtime::log::kafka::KafkaLog;
use runtime::log::{AppendError, Log};

use super::{OnKafka, is_there};

#[test]
fn an_id_that_one_gateway_took_is_known_to_the_next_with_its_body() {
    if !is_there() {
        return;
    }
    let one = OnKafka::new();
    let first = one.log.append(vec![to(0, fact("a", "said"))]).expect("it is new");
    let other = KafkaLog::open(one.options.clone()).expect("the topic is there");
    let again = other.append(vec![to(0, fact("a", "said")), to(1, fact("b", "said"))]).expect("the same, and a new one");
    assert_eq!((again[0].offset, again[0].repeated, again[1].repeated), (first[0].offset, true, false));
    let refused = other.append(vec![to(0, fact("a", "denied"))]);
    assert!(matches!(&refused, Err(AppendError::IdTaken(places)) if *places == [0]), "{refused:?}");
    assert_eq!((ids(&*other, 0), ids(&*other, 1)), (vec!["a".to_owned()], vec!["b".to_owned()]));
}
