//! The built program as a user runs it: what it prints, its exit status, and that bad input leaves nothing behind.

#[path = "common/server.rs"]
#[allow(dead_code)] // Each test binary uses a part of it.
mod server;

mod cli {
    mod bad_input;
    mod bench;
    mod campaigns {
        mod disk;
        mod faults;
        mod fetches;
        mod kills;
        mod moment;
        mod table;
        mod task;
        mod tries;
        mod writers;
    }
    mod data_sets;
    mod device;
    mod environment;
    mod finetune;
    mod first_use;
    mod going_on;
    mod half;
    mod head_from_features;
    mod infer;
    mod interrupt;
    mod kernels;
    mod library;
    mod looking;
    mod names;
    mod nan_weights;
    mod networks;
    mod not_finite;
    mod one_output;
    mod pages;
    mod reports;
    mod results;
    mod runs;
    mod several_adapters;
    mod shell;
    mod streams;
    pub mod support;
    pub mod tiny;
    mod train;
    mod tune;
    mod web;
}
