//! The tests of the whole house; this crate owns no code.
//!
//! `house` reads the source tree: the arrows between crates, licences, documentation.
//! `stories` runs the program beside the pretend internet and tells what follows, from outside.
