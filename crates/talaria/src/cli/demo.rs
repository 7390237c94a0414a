//! The options of `talaria demo`.

use std::time::Duration;

use clap::Args;
use talaria_protocol::go::duration;

/// Options of `talaria demo`.
#[derive(Debug, Clone, Copy, PartialEq, Args)]
pub struct DemoOptions {
    /// Run for this time, such as 20s; without it, until Ctrl-C
    #[arg(long = "for", value_name = "TIME", value_parser = duration::parse_option)]
    pub run_for: Option<Duration>,
    /// Number of devices to simulate
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub devices: usize,
    /// Events per second, sent by all devices together: 500 or 500/s
    #[arg(long, value_name = "R", default_value = "500", value_parser = parse_rate)]
    pub rate: f64,
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    match number.parse() {
        Ok(rate) if (0.0..=1e6).contains(&rate) => Ok(rate),
        _ => Err("expected events per second, such as 500, up to a million".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn a_demo_can_be_limited_in_time() {
        let cli = Cli::try_parse_from(["talaria", "demo", "--for", "20s", "--devices", "5", "--rate", "2.5"]);
        let Some(Command::Demo(options)) = cli.unwrap().command else { panic!("no demo") };
        let expected = DemoOptions { run_for: Some(Duration::from_secs(20)), devices: 5, rate: 2.5 };
        assert_eq!(options, expected);
        for (text, rate) in
            [("500/s", Some(500.0)), ("0.5", Some(0.5)), ("-1", None), ("inf", None), ("fast", None)]
        {
            assert_eq!(parse_rate(text).ok(), rate, "{text}");
        }
    }
}
