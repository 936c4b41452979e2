fn main() {
    let n: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let from: u64 = std::env::args().nth(2).unwrap().parse().unwrap();
    let t = std::time::Instant::now();
    let mut all = seasons::healthy::Tally::default();
    for number in from..from + n {
        all.add(seasons::healthy::year(1, number, seasons::nature::Traffic::Mixed));
    }
    println!(
        "{:?} {} sessions {} records {} deployments {:?} {:?} rollbacks {} modes {}",
        t.elapsed(),
        all.sessions,
        all.records,
        all.deployments,
        all.incidents,
        all.told,
        all.rollbacks,
        all.modes
    );
    all.words.iter().for_each(|w| println!("{w}"));
}
