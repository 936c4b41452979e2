//! Keeps room: what every agent used, minute by minute, and when its budgets will be passed.
