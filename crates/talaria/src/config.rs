//! The configuration: a file, the environment over it, the defaults under it; checked once, with all faults at once.

pub mod duration;
