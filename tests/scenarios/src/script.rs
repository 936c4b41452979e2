//! Reading a story.

/// One line of a story, its time made absolute.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Number in the file, for complaints.
    pub number: usize,
    /// Seconds since the story's begin.
    pub at_s: i64,
    /// The agent; `-` for the house itself.
    pub agent: String,
    /// What is said or done.
    pub said: Said,
}

/// What a line says: `N` times, versions `V`, segments `G`, people `P`.
#[expect(missing_docs, reason = "the grammar of each line names its fields")]
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// `deployed V`
    Deployed(String),
    /// `baseline V by P`
    Baseline(String, String),
    /// `starts S on V [in G]`
    Starts {
        session: String,
        version: String,
        segment: Option<String>,
    },
    /// `succeeds S`, `fails S`
    Outcome {
        session: String,
        success: bool,
    },
    /// `ends S`
    Ends(String),
    /// `runs N sessions on V [in G] [taking T] every T and succeeds|fails|ends`: with a model call each, if it took a time
    Runs {
        count: i64,
        version: String,
        segment: Option<String>,
        every_s: i64,
        latency_ms: Option<f64>,
        success: Option<bool>,
    },
    /// `tool fails|works on V [N times every T]`
    Tool {
        failed: bool,
        version: String,
        count: i64,
        every_s: i64,
    },
    /// `model fails|works on V [N times every T]`
    Model {
        failed: bool,
        version: String,
        count: i64,
        every_s: i64,
    },
    /// `user S says TEXT...`: the platform scores nothing
    Says {
        session: String,
        text: String,
    },
    /// `user S feels X [in LANGUAGE] [N times every T]`: the platform's own score
    Feels {
        session: String,
        sentiment: f64,
        language: Option<String>,
        count: i64,
        every_s: i64,
    },
    /// `decides S with CONFIDENCE`
    Decides {
        session: String,
        confidence: f64,
    },
    /// `calls TOOL ARGUMENTS in S [N times every T]`: the arguments are one word
    Calls {
        tool: String,
        arguments: String,
        session: String,
        count: i64,
        every_s: i64,
    },
    /// `uses IN OUT in S [taking Xms] [N times every T]`: tokens of a model call that went well
    Uses {
        tokens_in: i64,
        tokens_out: i64,
        session: String,
        latency_ms: Option<f64>,
        count: i64,
        every_s: i64,
    },
    /// `finds CATEGORY in S`: a security finding
    Finds {
        category: String,
        session: String,
    },
    /// `claims by P`, `returns by P`: the last escalation
    Claims(String),
    Returns(String),
    /// `harm confirmed|suspected [N times every T]`
    Harm {
        confirmed: bool,
        count: i64,
        every_s: i64,
    },
    /// `beats every T [serving V] [N times]`
    Beats {
        every_s: i64,
        serving: Option<String>,
        count: i64,
    },
    /// `garbles [N times every T]`
    Garbles {
        count: i64,
        every_s: i64,
    },
    /// `acknowledges [serving V]`, `refuses`
    Answers {
        accepted: bool,
        serving: Option<String>,
    },
    /// `mode M by P`
    Mode(String, String),
    /// `automation A by P`
    Automation(String, String),
    /// `accepts by P`
    Accepts(String),
    /// `lifts V by P`
    Lifts(String, String),
    /// `notes ack|comment|resolve|review by P`
    Notes(String, String),
    /// `policy ROOM JSON by P`
    Policy {
        room: String,
        document: String,
        author: String,
    },
    /// `measures`: what agents used is written down, too
    Measures,
    /// `reopens`: shut since the line before
    Reopens,
    /// `hold`
    Hold,
    /// `release`
    Release,
    /// `pass`
    Pass,
}

/// Reads a story.
///
/// # Errors
/// The first line that makes no sense, with its number.
pub fn parse(story: &str) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    let mut last_s = 0;
    for (index, text) in story.lines().enumerate() {
        let text = text.split_once('#').map_or(text, |(before, _)| before).trim();
        if text.is_empty() {
            continue;
        }
        let number = index + 1;
        let line = line(text, last_s).ok_or_else(|| format!("line {number} makes no sense: {text}"))?;
        last_s = line.0 + line.2.lasts_s();
        lines.push(Line { number, at_s: line.0, agent: line.1, said: line.2 });
    }
    Ok(lines)
}

// === impl Said ===

impl Said {
    /// Seconds from the first to the last thing that the line tells of.
    fn lasts_s(&self) -> i64 {
        match self {
            Self::Runs { count, every_s, .. }
            | Self::Tool { count, every_s, .. }
            | Self::Model { count, every_s, .. }
            | Self::Feels { count, every_s, .. }
            | Self::Calls { count, every_s, .. }
            | Self::Uses { count, every_s, .. }
            | Self::Harm { count, every_s, .. }
            | Self::Garbles { count, every_s }
            | Self::Beats { count, every_s, .. } => (count - 1) * every_s,
            _ => 0,
        }
    }
}

fn line(text: &str, last_s: i64) -> Option<(i64, String, Said)> {
    let mut words = text.split_whitespace();
    let time = words.next()?;
    let agent = words.next()?.to_owned();
    let words: Vec<&str> = words.collect();
    let at_s = match time.strip_prefix('+') {
        Some(after) => last_s + seconds(after)?,
        None => seconds(time)?,
    };
    Some((at_s, agent, said(&words)?))
}

fn said(words: &[&str]) -> Option<Said> {
    let text = |index: usize| words.get(index).map(|word| (*word).to_owned());
    let author = || after(words, "by").map(str::to_owned);
    let serving = || after(words, "serving").map(str::to_owned);
    if let ["user", session, "says", spoken @ ..] = words {
        return Some(Said::Says { session: (*session).to_owned(), text: spoken.join(" ") });
    }
    let (count, every_s) = repeated(words)?;
    let session = || after(words, "in").map(str::to_owned);
    Some(match *words.first()? {
        "deployed" => Said::Deployed(text(1)?),
        "baseline" => Said::Baseline(text(1)?, author()?),
        "starts" => {
            Said::Starts { session: text(1)?, version: after(words, "on")?.to_owned(), segment: after(words, "in").map(str::to_owned) }
        }
        "succeeds" => Said::Outcome { session: text(1)?, success: true },
        "fails" => Said::Outcome { session: text(1)?, success: false },
        "ends" => Said::Ends(text(1)?),
        "runs" => runs(words, every_s)?,
        "tool" => Said::Tool { failed: failed(words.get(1)?)?, version: after(words, "on")?.to_owned(), count, every_s },
        "model" => Said::Model { failed: failed(words.get(1)?)?, version: after(words, "on")?.to_owned(), count, every_s },
        "user" if *words.get(2)? == "feels" => {
            Said::Feels { session: text(1)?, sentiment: words.get(3)?.parse().ok()?, language: session(), count, every_s }
        }
        "decides" => Said::Decides { session: text(1)?, confidence: after(words, "with")?.parse().ok()? },
        "calls" => Said::Calls { tool: text(1)?, arguments: text(2)?, session: session()?, count, every_s },
        "uses" => uses(words, count, every_s)?,
        "finds" => Said::Finds { category: text(1)?, session: session()? },
        "claims" => Said::Claims(author()?),
        "returns" => Said::Returns(author()?),
        "harm" => Said::Harm { confirmed: *words.get(1)? == "confirmed", count, every_s },
        "beats" => Said::Beats { every_s, serving: serving(), count },
        "garbles" => Said::Garbles { count, every_s },
        "acknowledges" => Said::Answers { accepted: true, serving: serving() },
        "refuses" => Said::Answers { accepted: false, serving: serving() },
        "mode" => Said::Mode(text(1)?, author()?),
        "automation" => Said::Automation(text(1)?, author()?),
        "accepts" => Said::Accepts(author()?),
        "lifts" => Said::Lifts(text(1)?, author()?),
        "notes" => Said::Notes(text(1)?, author()?),
        "policy" => Said::Policy { room: text(1)?, document: words[2..words.len() - 2].join(" "), author: author()? },
        "measures" => Said::Measures,
        "reopens" => Said::Reopens,
        "hold" => Said::Hold,
        "release" => Said::Release,
        "pass" => Said::Pass,
        _ => return None,
    })
}

fn runs(words: &[&str], every_s: i64) -> Option<Said> {
    Some(Said::Runs {
        count: words.get(1)?.parse().ok()?,
        version: after(words, "on")?.to_owned(),
        segment: after(words, "in").map(str::to_owned),
        every_s,
        latency_ms: after(words, "taking").and_then(|time| time.strip_suffix("ms")?.parse().ok()),
        success: match after(words, "and")? {
            "succeeds" | "succeed" => Some(true),
            "fails" | "fail" => Some(false),
            "ends" | "end" => None,
            _ => return None,
        },
    })
}

fn uses(words: &[&str], count: i64, every_s: i64) -> Option<Said> {
    Some(Said::Uses {
        tokens_in: words.get(1)?.parse().ok()?,
        tokens_out: words.get(2)?.parse().ok()?,
        session: after(words, "in")?.to_owned(),
        latency_ms: after(words, "taking").map(|taken| taken.trim_end_matches("ms").parse()).transpose().ok()?,
        count,
        every_s,
    })
}

fn failed(word: &str) -> Option<bool> {
    match word {
        "fails" => Some(true),
        "works" => Some(false),
        _ => None,
    }
}

fn after<'a>(words: &[&'a str], word: &str) -> Option<&'a str> {
    let position = words.iter().rposition(|known| *known == word)?;
    words.get(position + 1).copied()
}

/// `N times every T`: once, if nothing is said.
fn repeated(words: &[&str]) -> Option<(i64, i64)> {
    let count = match words.iter().position(|word| *word == "times") {
        Some(position) => words.get(position.checked_sub(1)?)?.parse().ok()?,
        None => 1,
    };
    let every_s = match after(words, "every") {
        Some(time) => seconds(time)?,
        None => 1,
    };
    Some((count, every_s))
}

/// `90s`, `5m`, `1h30m`, `2d`.
fn seconds(text: &str) -> Option<i64> {
    let mut sum = 0;
    let mut digits = String::new();
    for letter in text.chars() {
        let unit = match letter {
            '0'..='9' => {
                digits.push(letter);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        sum += std::mem::take(&mut digits).parse::<i64>().ok()? * unit;
    }
    digits.is_empty().then_some(sum)
}
