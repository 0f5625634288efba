//! The built program as a user runs it: what it prints, its exit status, and that bad input leaves nothing behind.

mod cli {
    mod bad_input;
    mod bench;
    mod data_sets;
    mod device;
    mod finetune;
    mod infer;
    mod interrupt;
    mod looking;
    mod networks;
    mod reports;
    mod runs;
    mod shell;
    pub mod support;
    mod train;
    mod tune;
}
