//! `gpu-resnet data`: fetching, inspecting and showing data sets.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Context;
use super::console::{print, print_json};
use crate::data::{self, Augment, Dataset, FetchOptions, Preprocess, Rgb8, Splits};
use crate::error::{Error, Result};
use crate::files;
use crate::runs::open_kept;

#[derive(Debug, clap::Subcommand)]
pub enum DataCommand {
    /// Draw a grid of a data set's images, one row per class
    #[command(after_help = "Examples:\n  gpu-resnet data grid photos/ -o grid.png\n  \
                            gpu-resnet data grid photos/ --augment imagenet,jitter -o seen.png")]
    Grid {
        /// A folder of class folders, CIFAR or MNIST files, a CSV, safetensors, or a name of `data fetch`
        data: PathBuf,
        /// The PNG to write
        #[arg(short, long, default_value = "grid.png")]
        output: PathBuf,
        /// Show only these classes, in this order: a file with one name per line
        #[arg(long, value_name = "FILE")]
        classes: Option<PathBuf>,
        /// Images per class
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
        columns: u32,
        /// Side of a cell in pixels
        #[arg(long, default_value_t = 96, value_parser = clap::value_parser!(u32).range(8..=1024))]
        cell: u32,
        /// Show images as training sees them: a comma-separated list of crop[=PADDING], flip[=P], resized-crop[=MIN_SCALE],
        /// jitter[=STRENGTH], cifar, imagenet; none for images as evaluation sees them
        #[arg(long, value_name = "LIST")]
        augment: Option<Augment>,
        /// Side of the images that training sees [default: an image's shorter side, at most 224]
        #[arg(long, value_name = "N", requires = "augment", value_parser = clap::value_parser!(u32).range(1..=1024))]
        image_size: Option<u32>,
    },
    /// Fetch a data set by name, or check the copy in the cache; DATA may be its name from then on
    #[command(
        after_help = "Examples:\n  gpu-resnet data fetch cifar10\n  gpu-resnet train cifar10 --arch resnet20\n\nThe set goes \
                            into the cache (GPU_RESNET_CACHE names its folder), or below DIR in the folders that the \
                            archives unpack into. An interrupted transfer continues where it ended. GPU_RESNET_MIRROR \
                            names a server to use instead of the publishers' own, HTTPS_PROXY a proxy."
    )]
    Fetch {
        /// Name of the data set
        #[arg(value_parser = ["cifar10", "cifar100", "mnist", "fashion-mnist"])]
        name: String,
        /// Store it below this folder instead of in the cache
        #[arg(short, long, value_name = "DIR")]
        output: Option<PathBuf>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Count a data set's images and classes, and warn of what can spoil training: unreadable images, copies, uneven
    /// classes
    #[command(after_help = "Example:\n  gpu-resnet data inspect photos/ --json")]
    Inspect {
        /// A folder of class folders, CIFAR or MNIST files, a CSV, safetensors, or a name of `data fetch`
        data: PathBuf,
        /// Inspect only these classes: a file with one name per line
        #[arg(long, value_name = "FILE")]
        classes: Option<PathBuf>,
        /// Read no image: only count images and check classes
        #[arg(long)]
        quick: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// The most classes that a grid shows; a picture with more rows is of no use.
const MOST_ROWS: usize = 32;

pub fn run(context: &Context, command: &DataCommand) -> Result<()> {
    match command {
        DataCommand::Grid { data, output, classes, columns, cell, augment, image_size } => {
            if !output.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
                return Err(Error::Usage(format!("{}: the grid is a PNG; end its name in .png", output.display())));
            }
            let set = open_kept(data, classes.as_deref())?.join()?;
            files::check_writable(output)?;
            set.remarks().iter().for_each(|remark| context.console.note(remark));
            let images = sample(&*set, *columns as usize, context, |i, image| match augment {
                None => Ok(image),
                Some(augment) => seen(&image, i, augment, *image_size, context.global.seed),
            })?;
            data::write_png(&data::grid(&images, *columns as usize, *cell, 2), output)?;
            context.console.note(format!("wrote {} images to {}", images.len(), output.display()));
            Ok(())
        }
        DataCommand::Fetch { name, output, json } => fetch(context, name, output.as_deref(), *json),
        DataCommand::Inspect { data, classes, quick, json } => {
            inspect(context, open_kept(data, classes.as_deref())?, *quick, *json)
        }
    }
}

fn fetch(context: &Context, name: &str, output: Option<&Path>, json: bool) -> Result<()> {
    let set = data::named_data()?.iter().find(|set| set.name == name);
    let set = set.ok_or_else(|| Error::Usage(format!("there is no data set of the name {name}")))?;
    let fetched = context.fetching(name, |options| {
        let folder = output.map(Path::to_owned);
        data::fetch(set, &FetchOptions { folder, ..options.clone() })
    })?;
    if json {
        return print_json(&fetched);
    }
    let done = if fetched.cached { "was already in the cache, and is intact" } else { "fetched" };
    let data = if output.is_none() { name.to_owned() } else { fetched.path.display().to_string() };
    print(format!("{name} {done}: {}\nTry: gpu-resnet data grid {data}\n", fetched.path.display()))
}

/// `columns` images of each class as `show` shows them, drawn by the seed. A class with fewer images leaves the rest of its row black.
fn sample(
    set: &dyn Dataset,
    columns: usize,
    context: &Context,
    show: impl Fn(usize, Rgb8) -> Result<Rgb8>,
) -> Result<Vec<Rgb8>> {
    let classes = set.classes().len();
    if classes > MOST_ROWS {
        context.console.note(format!("only the first {MOST_ROWS} of {classes} classes are shown"));
    }
    let mut rows = vec![Vec::new(); classes.min(MOST_ROWS)];
    for i in data::shuffled_indices(set.len(), context.global.seed, 0) {
        if let Some(row) = rows.get_mut(set.label(i))
            && row.len() < columns
        {
            match set.image(i).and_then(|image| show(i, image)) {
                Ok(image) => row.push(image),
                Err(error) => context.console.complain(error),
            }
        }
    }
    if rows.iter().all(Vec::is_empty) {
        return Err(Error::Usage("the data set has no image that can be read; nothing was drawn".into()));
    }
    let blank = Rgb8::black(1, 1);
    Ok(rows
        .into_iter()
        .flat_map(|mut row| {
            row.resize(columns, blank.clone());
            row
        })
        .collect())
}

/// Image `i` as the first epoch sees it.
fn seen(image: &Rgb8, i: usize, augment: &Augment, side: Option<u32>, seed: u64) -> Result<Rgb8> {
    let side = side.unwrap_or_else(|| image.width.min(image.height).min(Preprocess::default().crop));
    let preprocess = Preprocess { resize: side, crop: side, ..Preprocess::default() };
    augment.apply(image, &preprocess, &mut Augment::rng(seed, 1, i))
}

#[derive(Serialize)]
struct Summary {
    images: usize,
    classes: usize,
    /// Images of each class, by name, in the order in which training numbers the classes.
    #[serde(serialize_with = "super::console::as_map")]
    per_class: Vec<(String, usize)>,
    /// The name of each class by its number.
    class_names: Vec<String>,
    /// How many of the images are in the data's own validation or test part; none if it has none.
    held_out: Option<usize>,
    remarks: Vec<String>,
    warnings: Vec<String>,
}

fn inspect(context: &Context, splits: Splits, quick: bool, json: bool) -> Result<()> {
    let Splits { train, val } = splits;
    let val = val.as_deref();
    let mut counts = vec![0usize; train.classes().len()];
    let mut remarks = Vec::new();
    for part in [Some(&*train), val].into_iter().flatten() {
        (0..part.len()).for_each(|i| counts[part.label(i)] += 1);
        remarks.extend(part.remarks());
    }
    let images = counts.iter().sum();
    let bar = context.console.progress(images as u64, "reading images");
    let depth = if quick { data::Depth::Labels } else { data::Depth::Pixels };
    let warnings = data::check(&*train, val, depth, || bar.inc(1));
    bar.finish_and_clear();
    let classes = train.classes();
    let class_names = classes.to_vec();
    let per_class = classes.iter().cloned().zip(counts).collect();
    remarks.extend(data::order_note(classes));
    let held_out = val.map(|val| val.len());
    let summary = Summary { images, classes: classes.len(), per_class, class_names, held_out, remarks, warnings };
    if json {
        return print_json(&summary);
    }
    let mut text = format!("{} images of {} classes", summary.images, summary.classes);
    held_out.iter().for_each(|n| text += &format!(", {n} of them held out"));
    text += "\n  number    images  class\n";
    for (number, (class, count)) in summary.per_class.iter().enumerate() {
        text += &format!("{number:8}  {count:8}  {class}\n");
    }
    summary.remarks.iter().for_each(|remark| text += &format!("{remark}\n"));
    summary.warnings.iter().for_each(|warning| text += &format!("warning: {warning}\n"));
    print(text)
}
