//! The options of `talaria top`.

use std::time::Duration;

use clap::Args;
use talaria_protocol::go::duration;
use talaria_top::{LONGEST_INTERVAL, MOST_GATEWAYS, SHORTEST_INTERVAL};

/// Options of `talaria top`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct TopOptions {
    /// Gateways: hosts, host:port, or URLs of metrics pages such as http://user:password@host:port/metrics
    #[arg(value_name = "URL", num_args = 0..=MOST_GATEWAYS, default_value = talaria_top::DEFAULT_URL)]
    pub urls: Vec<String>,
    /// How often the pages are fetched, such as 1s
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_interval)]
    pub interval: Duration,
    /// Print a line each time instead of drawing on the terminal; the default if the output is no terminal
    #[arg(long)]
    pub plain: bool,
    /// Run for this time, such as 20s; without it, until q or Ctrl-C
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse_option)]
    pub run_for: Option<Duration>,
    /// PEM file of the authorities for https; without it, those of the system
    #[arg(long, value_name = "FILE")]
    pub ca: Option<String>,
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = duration::parse_option(text)?;
    if (SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(&interval) {
        return Ok(interval);
    }
    let [shortest, longest] = [SHORTEST_INTERVAL, LONGEST_INTERVAL].map(duration::format);
    Err(format!("expected a time from {shortest} to {longest}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn options(arguments: &[&str]) -> Option<TopOptions> {
        let command = Cli::try_parse_from([&["talaria", "top"], arguments].concat()).ok()?.command;
        let Some(Command::Top(options)) = command else { panic!("another command") };
        Some(options)
    }

    #[test]
    fn the_gateway_of_this_host_is_watched_each_second_by_default() {
        let expected = TopOptions {
            urls: vec!["http://127.0.0.1:8082/metrics".to_owned()],
            interval: Duration::from_secs(1),
            plain: false,
            run_for: None,
            ca: None,
        };
        assert_eq!(options(&[]), Some(expected));
        let options =
            options(&["gw1:8082", "gw2:8082", "--interval", "1m30s", "--plain", "--for", "5s"]).unwrap();
        assert_eq!(options.urls, ["gw1:8082", "gw2:8082"]);
        assert_eq!((options.interval, options.plain), (Duration::from_secs(90), true));
        assert_eq!(options.run_for, Some(Duration::from_secs(5)));
    }

    #[test]
    fn an_interval_has_bounds_and_so_have_the_gateways() {
        for (interval, is_accepted) in
            [("100ms", true), ("99ms", false), ("1h", true), ("61m", false), ("1", false)]
        {
            assert_eq!(options(&["--interval", interval]).is_some(), is_accepted, "{interval}");
        }
        assert!(options(&["gw"; MOST_GATEWAYS]).is_some());
        assert!(options(&["gw"; MOST_GATEWAYS + 1]).is_none());
    }
}
