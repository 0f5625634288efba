//! `gpu-resnet web`: the page that verifies and uses a visitor's GPU, served to this machine alone.

mod server;

use std::path::{Path, PathBuf};

use super::Context;
use super::console::print;
use crate::error::{Error, Result};
use server::Server;

/// Serve the page that verifies this GPU, classifies photographs and trains classifiers in a browser.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  make web && gpu-resnet web --port 8000")]
pub struct WebArgs {
    /// Folder of the built page
    #[arg(default_value = "target/web", value_name = "FOLDER")]
    folder: PathBuf,
    /// Port on the loopback interface; 0 for any that is free
    #[arg(long, value_name = "N", default_value_t = 8000)]
    port: u16,
}

pub fn run(context: &Context, args: &WebArgs) -> Result<()> {
    check_built(&args.folder)?;
    let server = Server::open(&args.folder, args.port)?;
    print(format!("http://127.0.0.1:{}/\n", server.port()?))?;
    context.console.note("only this machine can reach the page; Ctrl-C ends it");
    server.serve()
}

/// Refuses a folder without the page.
fn check_built(folder: &Path) -> Result<()> {
    let missing = ["index.html", "gpu_resnet_web_bg.wasm"].into_iter().find(|name| !folder.join(name).is_file());
    match missing {
        None => Ok(()),
        Some(name) => Err(Error::file(
            folder,
            format!("has no {name}; build the page by `make web` in the source tree, or name the folder that it is in"),
        )),
    }
}
