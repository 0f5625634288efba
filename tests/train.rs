//! Training on every usable adapter of the machine: against PyTorch, and against itself after a stop.

#[path = "common/adapters.rs"]
mod adapters;

mod train {
    mod data_parallel;
    mod golden;
    mod half;
    mod half_digits;
    mod library;
    mod network;
    mod network_runs;
    mod resume;
    mod runs;
    pub mod support;
    mod without_folder;
}
