//! The calculator's command line, and docs/scaling.md, whose numbers are the calculator's.
//! `UPDATE=1 cargo test -p talaria-sim scaling` writes them.

use std::fs;
use std::process::Command;

use clap::Parser;
use talaria_sim::size::{Options, Plan, PlanError, costs_table, fleets_table};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scaling.md");
const END: &str = "<!-- end -->";

#[derive(Parser)]
struct Size {
    #[command(flatten)]
    options: Options,
}

fn plan(arguments: &[&str]) -> Result<Plan, PlanError> {
    let line = ["size"].iter().chain(arguments);
    Plan::of(Size::try_parse_from(line).unwrap().options.inputs(None).unwrap())
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the developer sets it for the test; it is no configuration")]
fn the_page_on_scaling_says_what_the_calculator_says() {
    let fleets: Vec<(Plan, Plan)> = ["100e3", "1e6", "10e6", "30e6"]
        .iter()
        .map(|devices| {
            (plan(&["--devices", devices, "--tls"]).unwrap(), plan(&["--devices", devices]).unwrap())
        })
        .collect();
    let example = plan(&["--devices", "30e6", "--events-per-day", "100", "--tls"]).unwrap();
    let found = fs::read_to_string(PAGE).unwrap();
    let mut wanted = found.clone();
    for (name, text) in [
        ("example", format!("```text\n{example}\n```\n")),
        ("fleets", fleets_table(&fleets)),
        ("costs", costs_table()),
    ] {
        wanted = with_part(&wanted, name, &text);
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(PAGE, &wanted).unwrap();
        return;
    }
    assert!(found == wanted, "docs/scaling.md is old: UPDATE=1 cargo test -p talaria-sim scaling");
}

/// The page with another text behind the comment that begins with this name.
fn with_part(page: &str, name: &str, text: &str) -> String {
    let begin = page.find(&format!("<!-- {name}:")).unwrap();
    let begin = begin + page[begin..].find("-->\n").unwrap() + 4;
    let end = begin + page[begin..].find(END).unwrap();
    format!("{}\n{text}\n{}", &page[..begin], &page[end..])
}

#[test]
fn a_fleet_without_devices_and_numbers_without_units_are_refused() {
    for (arguments, problem) in [
        (&["--devices", "0"][..], "expected a whole number from 1 to 1e12"),
        (&["--devices", "NaN"], "expected a whole number from 1 to 1e12"),
        (&["--devices=-1"], "expected a whole number from 1 to 1e12"),
        (&["--devices", "1e6", "--events-per-day", "inf"], "expected a number from 0 to 1e9"),
        (&["--devices", "1e6", "--event-cost", "53"], "expected a duration with a unit"),
        (&["--devices", "1e6", "--memory-per-gateway", "16"], "expected a size with a unit"),
        (&["--devices", "1e6", "--cpu-share", "0.6"], "expected a share from 0% to 100%"),
        (&["--devices", "1e6", "--peak", "0.5"], "expected a number from 1 to 1000"),
        (&["--devices", "1e6", "--sites", "0"], "expected a whole number"),
        (&[], "required"),
    ] {
        let output = size(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {error}");
        assert!(error.contains(problem), "{arguments:?}: {error}");
    }
}

#[test]
fn a_file_of_costs_that_is_none_is_refused_by_name() {
    for (file, problem) in [
        ("/no/such.json", "cannot read /no/such.json"),
        (PAGE, "docs/scaling.md is not a result of `talaria-sim bench` by rows"),
    ] {
        let output = size(&["--devices", "1e6", "--measured", file]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{file}: {error}");
        assert!(error.contains(problem), "{file}: {error}");
    }
}

#[test]
fn gateways_without_room_for_a_device_make_no_plan() {
    for (arguments, problem) in [
        (["--memory-per-gateway", "2GiB"], "2.5 GiB are reserved"),
        (["--open-files", "1000"], "1000 are reserved"),
        (["--cpu-share", "0%"], "0 %"),
    ] {
        let output = size(&[&["--devices", "1e6"][..], &arguments[..]].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.contains(problem), "{arguments:?}: {error}");
    }
}

fn size(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_talaria-sim")).arg("size").args(arguments).output().unwrap()
}
