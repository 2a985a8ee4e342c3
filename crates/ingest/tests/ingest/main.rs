//! Mail that comes in, told from outside: real sockets, real files, a real database.

mod files;
mod pages;
mod reports;
mod smtp;
mod smuggling;
mod world;
