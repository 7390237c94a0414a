//! `talaria top`: the figures of running gateways in a terminal, from their metrics pages.
//!
//! For an operator who has a terminal and no dashboard: what `deploy/grafana` shows, as far as it fits on one screen, of one gateway
//! or of many. It keeps nothing, raises no alarm and changes nothing. Anything with a page like contract §10 can be watched, the Go
//! Talaria too.
//!
//! From a page to the screen: `fetch` gets it, `exposition` reads its lines, `family` knows the names, `reading` keeps what is shown,
//! `figures` makes rates of two readings, `fleet` has the state of all gateways, `view` and `plain` show it. All but `fetch`, `clock`,
//! `terminal` and `run` are pure. Start reading at `run`.

mod clock;
mod exposition;
mod family;
mod fetch;
mod figures;
mod fleet;
mod number;
mod plain;
mod quantile;
mod reading;
mod run;
mod target;
mod terminal;
mod view;

pub use run::{LONGEST_INTERVAL, MOST_GATEWAYS, Options, Outcome, Output, SHORTEST_INTERVAL, TopError, run};
pub use target::{DEFAULT_URL, Target, TargetError};
pub use view::Colours;
