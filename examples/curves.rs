//! Curves of several runs in one picture, and a table of how they ended.
//!
//!     cargo run --release --example curves -- OUT.svg NAME=RUN NAME=RUN …
//!
//! Reads each RUN's metrics.jsonl. Draws the training loss and the validation accuracy by epoch and, where the runs were made
//! with `--log-gradients`, the norm of the gradient that enters each block, in the first epoch, from the first block to the
//! last. Prints the table as Markdown.

use std::error::Error;
use std::path::Path;

use gpu_resnet::train::EpochResult;
use plotters::coord::Shift;
use plotters::prelude::*;

const SIZE: (u32, u32) = (1260, 400);
const COLOURS: [RGBColor; 6] = [
    RGBColor(38, 103, 201),
    RGBColor(222, 107, 30),
    RGBColor(43, 138, 62),
    RGBColor(174, 62, 201),
    RGBColor(201, 42, 42),
    RGBColor(80, 80, 90),
];

struct Run {
    name: String,
    epochs: Vec<EpochResult>,
}

/// One quantity of every run.
struct Panel<'a> {
    title: &'a str,
    x: &'a str,
    lines: Vec<(&'a str, Vec<(f64, f64)>)>,
    logarithmic: bool,
}

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: curves OUT.svg NAME=RUN …";
    let output = arguments.next().ok_or(usage)?;
    let runs: Vec<Run> = arguments.map(|argument| read(&argument)).collect::<Result<_>>()?;
    if runs.is_empty() {
        return Err(usage.into());
    }
    draw(Path::new(&output), &runs)?;
    println!("| network | last training loss | last validation accuracy | best | first-block gradient, epoch 1 |");
    println!("|---|---|---|---|---|");
    for Run { name, epochs } in &runs {
        let last = epochs.last().ok_or("a run without epochs")?;
        let best = epochs.iter().filter_map(|e| e.val_accuracy).fold(0.0, f64::max) * 100.0;
        let gradient = epochs[0].block_gradients.first().map_or("-".into(), |g| format!("{:.1e}", g.norm));
        let (loss, accuracy) = (last.train_loss, last.val_accuracy.unwrap_or(f64::NAN) * 100.0);
        println!("| {name} | {loss:.4} | {accuracy:.2} % | {best:.2} % | {gradient} |");
    }
    Ok(())
}

fn read(argument: &str) -> Result<Run> {
    let (name, folder) = argument.split_once('=').ok_or_else(|| format!("{argument} is not NAME=RUN"))?;
    let file = Path::new(folder).join("metrics.jsonl");
    let text = std::fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    let epochs = text.lines().map(serde_json::from_str).collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(Run { name: name.into(), epochs })
}

fn draw(path: &Path, runs: &[Run]) -> Result<()> {
    let by_epoch = |f: &dyn Fn(&EpochResult) -> Option<f64>| -> Vec<(&str, Vec<(f64, f64)>)> {
        let line = |run: &Run| run.epochs.iter().filter_map(|e| Some((e.epoch as f64, f(e)?))).collect();
        runs.iter().map(|run| (run.name.as_str(), line(run))).collect()
    };
    let by_depth = |run: &Run| -> Vec<(f64, f64)> {
        let blocks = run.epochs.first().map_or(&[][..], |e| &e.block_gradients);
        let last = blocks.len().saturating_sub(1).max(1) as f64;
        blocks.iter().enumerate().map(|(i, g)| (i as f64 / last, g.norm.max(1e-12))).collect()
    };
    let mut panels = vec![
        Panel {
            title: "Training loss",
            x: "epoch",
            lines: by_epoch(&|e| Some(e.train_loss.max(1e-4))),
            logarithmic: true,
        },
        Panel {
            title: "Validation accuracy, %",
            x: "epoch",
            lines: by_epoch(&|e| e.val_accuracy.map(|accuracy| accuracy * 100.0)),
            logarithmic: false,
        },
    ];
    let gradients: Vec<_> = runs.iter().map(|run| (run.name.as_str(), by_depth(run))).collect();
    if gradients.iter().any(|(_, line)| !line.is_empty()) {
        let (title, x) = ("Gradient entering a block, epoch 1", "first block … last block");
        panels.push(Panel { title, x, lines: gradients, logarithmic: true });
    }
    let root = SVGBackend::new(path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, panel) in root.split_evenly((1, panels.len())).iter().zip(&panels) {
        panel.draw(area)?;
    }
    root.present()?;
    Ok(())
}

impl Panel<'_> {
    fn draw(&self, area: &DrawingArea<SVGBackend, Shift>) -> Result<()> {
        let points = || self.lines.iter().flat_map(|(_, line)| line);
        let range = |f: fn(&(f64, f64)) -> f64| {
            let (low, high) = points().map(f).fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
            if high > low { (low, high) } else { (low - 1.0, low + 1.0) }
        };
        // A logarithmic axis is a linear one over exponents, with its labels as powers.
        let y_of = |y: f64| if self.logarithmic { y.log10() } else { y };
        let ((left, right), (low, high)) = (range(|p| p.0), range(|p| p.1));
        let (low, high) = (y_of(low), y_of(high));
        let margin = (high - low) * 0.05;
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(38)
            .y_label_area_size(56)
            .build_cartesian_2d(left..right, low - margin..high + margin)?;
        let label = |y: &f64| if self.logarithmic { format!("{:.1e}", 10f64.powf(*y)) } else { format!("{y:.0}") };
        let whole = |x: &f64| if x.fract() == 0.0 && self.x == "epoch" { format!("{x}") } else { String::new() };
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc(self.x)
            .y_label_formatter(&label)
            .x_label_formatter(&whole)
            .y_labels(7)
            .draw()?;
        for ((name, line), colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let line = line.iter().map(|&(x, y)| (x, y_of(y)));
            chart
                .draw_series(LineSeries::new(line, colour.stroke_width(2)))?
                .label(*name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(3)));
        }
        // Where the lines are not.
        let position = match (self.logarithmic, self.x) {
            (true, "epoch") => SeriesLabelPosition::LowerLeft,
            (true, _) => SeriesLabelPosition::UpperRight,
            (false, _) => SeriesLabelPosition::MiddleRight,
        };
        chart
            .configure_series_labels()
            .position(position)
            .background_style(WHITE.mix(0.85))
            .border_style(RGBColor(228, 231, 236))
            .label_font(("sans-serif", 13))
            .draw()?;
        Ok(())
    }
}
