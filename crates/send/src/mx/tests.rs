//! Mail hosts found and called, on a small internet of our own.

mod host;
mod lines;
mod lookups;
mod protection;
mod world;
