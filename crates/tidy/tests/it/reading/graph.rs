//! Circles in a graph of files.

use std::collections::{BTreeMap, BTreeSet};

/// The strongly connected components of more than one node: all that can reach each other (Tarjan's algorithm).
pub(crate) fn circles<'a>(edges: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<Vec<&'a str>> {
    let mut search = Search::default();
    for (from, to) in edges {
        search.edges.entry(from).or_default().insert(to);
        search.edges.entry(to).or_default();
    }
    let nodes: Vec<&str> = search.edges.keys().copied().collect();
    for node in nodes {
        if !search.reached.contains_key(node) {
            search.visit(node);
        }
    }
    search.found.retain(|circle| circle.len() > 1);
    search.found.sort();
    search.found
}

#[derive(Default)]
struct Search<'a> {
    edges: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// The order in which nodes were reached.
    reached: BTreeMap<&'a str, usize>,
    stack: Vec<&'a str>,
    found: Vec<Vec<&'a str>>,
}

impl<'a> Search<'a> {
    /// The earliest node on the stack that can be reached from this one.
    fn visit(&mut self, node: &'a str) -> usize {
        let own = self.reached.len();
        self.reached.insert(node, own);
        self.stack.push(node);
        let mut earliest = own;
        for next in self.edges.get(node).cloned().unwrap_or_default() {
            match self.reached.get(next) {
                None => earliest = earliest.min(self.visit(next)),
                Some(order) if self.stack.contains(&next) => earliest = earliest.min(*order),
                Some(_) => {}
            }
        }
        if earliest == own {
            let at = self.stack.iter().position(|other| *other == node).unwrap_or_default();
            let mut circle = self.stack.split_off(at);
            circle.sort_unstable();
            self.found.push(circle);
        }
        earliest
    }
}

#[test]
fn files_that_can_reach_each_other_are_one_circle() {
    let edges = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("d", "e"), ("e", "d"), ("f", "a")];
    assert_eq!(circles(edges), [vec!["a", "b", "c"], vec!["d", "e"]]);
}
