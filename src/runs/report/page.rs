//! The report as a page, without scripts or external resources. Class names and paths are untrusted; `maud` escapes them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{Markup, PreEscaped, html};

use super::super::summary::{AdapterUse, skipped_steps};
use super::answers::{Answers, Mistake};
use super::finished_run::FinishedRun;
use crate::data::Dataset;
use crate::verify::report::html::document;

/// What is shown of the validation images.
pub struct Seen {
    pub answers: Answers,
    /// SVG.
    pub confusion: String,
    /// A PNG of each mistake.
    pub pictures: Vec<Option<Vec<u8>>>,
}

/// Rows of the table of epochs that are shown without unfolding.
const OPEN: usize = 12;

/// The whole page.
pub fn page(ended: &FinishedRun, labels: &[String], curves: &str, seen: Option<&Seen>, config: &str) -> String {
    let body = html! {
        (summary(ended, labels))
        section { h2 { "Curves" } div class="card picture" { (PreEscaped(curves)) } (epochs(ended)) }
        @if let Some(seen) = seen {
            section { h2 { "Each class" } (classes(seen, labels)) }
            section { h2 { "What was taken for what" } div class="card picture" { (PreEscaped(&seen.confusion)) } }
            (mistakes(seen, ended, labels))
        } @else {
            section { h2 { "Mistakes" } p class="soft" { "There were no validation images to make any on." } }
        }
        @if !ended.adapters.is_empty() { section { h2 { "Adapters" } (adapters(ended)) } }
        section {
            h2 { "Settings" }
            p class="soft small" { "As " code { "config.toml" } " has them." }
            pre class="repro mono" { (config) }
        }
        footer { "gpu-resnet " (env!("CARGO_PKG_VERSION")) ". Go on with this run: " code { "gpu-resnet " (ended.command) " --resume " (ended.run.path().display()) } @if !ended.adapters.is_empty() { ", on as many adapters" } }
    };
    document(&format!("gpu-resnet {}", ended.command), &body)
}

fn percent(fraction: f64) -> String {
    format!("{:.2} %", fraction * 100.0)
}

fn summary(ended: &FinishedRun, labels: &[String]) -> Markup {
    let kept = ended.epochs.iter().find(|e| e.epoch == ended.epoch);
    let accuracy = kept.and_then(|e| e.val_accuracy);
    let val = ended.sets.val.as_ref().map_or(0, |val| val.len());
    html! {
        h1 { "gpu-resnet " (ended.command) }
        div class="card banner tone-pass" {
            strong {
                @match (accuracy, kept) {
                    (Some(accuracy), _) => { "Validation accuracy " (percent(accuracy)) }
                    (None, Some(kept)) => { "Training accuracy " (percent(kept.train_accuracy)) }
                    (None, None) => { "Nothing was trained" }
                }
            }
            "The network of epoch " (ended.epoch) " of " (ended.epochs.len()) " was kept"
            @if ended.stopped_early { "; training stopped early" }
            ". " (ended.network)
        }
        div class="facts" {
            div class="fact" { b { (ended.sets.train.len()) } span { "images to train on" } }
            div class="fact" { b { (val) } span { "to validate on" } }
            div class="fact" { b { (labels.len()) } span { "classes" } }
            @if let Some(loss) = kept.and_then(|e| e.val_loss) { div class="fact" { b { (format!("{loss:.4}")) } span { "validation loss" } } }
            @if let Some(kept) = kept { div class="fact" { b { (format!("{:.4}", kept.train_loss)) } span { "training loss" } } }
            @if let Some(scale) = ended.epochs.last().and_then(|e| e.loss_scale) { div class="fact" { b { (scale) } span { "scale of the loss, in f16" } } }
            @if let Some(skipped) = skipped_steps(ended.epochs) { div class="fact" { b { (skipped) } span { "steps skipped for it" } } }
        }
    }
}

fn epochs(ended: &FinishedRun) -> Markup {
    let optional = |value: Option<f64>, show: &dyn Fn(f64) -> String| value.map_or("–".to_owned(), show);
    let table = html! {
        div class="scroll" { table {
            thead { tr {
                th class="number" { "Epoch" } th class="number" { "Loss" } th class="number" { "Accuracy" }
                th class="number" { "Validation loss" } th class="number" { "Validation accuracy" }
                th class="number" { "Learning rate" } th class="number" { "Images/s" }
            } }
            tbody { @for e in ended.epochs {
                tr class=[(e.epoch == ended.epoch).then_some("differs")] {
                    td class="number" { (e.epoch) } td class="number" { (format!("{:.4}", e.train_loss)) } td class="number" { (percent(e.train_accuracy)) }
                    td class="number" { (optional(e.val_loss, &|loss| format!("{loss:.4}"))) }
                    td class="number" { (optional(e.val_accuracy, &percent)) }
                    td class="number" { (format!("{:.2e}", e.lr)) } td class="number" { (format!("{:.0}", e.images_per_second)) }
                }
            } }
        } }
    };
    html! {
        @if ended.epochs.len() <= OPEN { (table) } @else { details { summary { "All " (ended.epochs.len()) " epochs" } (table) } }
    }
}

/// What each adapter did.
fn adapters(ended: &FinishedRun) -> Markup {
    html! {
        div class="scroll" { table {
            thead { tr {
                th { "Adapter" } th class="number" { "Images" } th class="number" { "Busy" }
                th class="number" { "Waiting for slower ones" }
            } }
            tbody { @for AdapterUse { name, time } in ended.adapters {
                tr {
                    td class="wrap" { (name) } td class="number" { (time.images) }
                    td class="number" { (format!("{:.1} s", time.busy)) } td class="number" { (format!("{:.1} s", time.waiting)) }
                }
            } }
        } }
    }
}

/// Classes by their accuracy, the worst first.
fn classes(seen: &Seen, labels: &[String]) -> Markup {
    let tally = &seen.answers.tally;
    let mut rows: Vec<(usize, usize, usize)> = (0..labels.len())
        .map(|k| (k, tally.confusion[k][k], tally.confusion[k].iter().sum()))
        .filter(|&(_, _, all)| all > 0)
        .collect();
    rows.sort_by(|a, b| (a.1 * b.2).cmp(&(b.1 * a.2)));
    html! {
        div class="scroll" { table {
            thead { tr { th { "Class" } th class="number" { "Images" } th class="number" { "Accuracy" } } }
            tbody { @for (k, right, all) in rows {
                @let share = right as f64 / all as f64;
                tr {
                    td class="wrap" { (labels[k]) } td class="number" { (all) }
                    td class="number" {
                        span class={ "meter " (if share >= 0.9 { "tone-pass" } else if share >= 0.6 { "tone-warn" } else { "tone-fail" }) } {
                            i style={ "width:" (format!("{:.0}", share * 100.0)) "%" } {}
                        }
                        (percent(share))
                    }
                }
            } }
        } }
    }
}

fn mistakes(seen: &Seen, ended: &FinishedRun, labels: &[String]) -> Markup {
    let tally = &seen.answers.tally;
    let wrong = tally.count - (0..labels.len()).map(|k| tally.confusion[k][k]).sum::<usize>();
    let shown = seen.answers.worst.len();
    html! {
        section {
            h2 { "Mistakes" }
            p class="soft" {
                (wrong) " of " (tally.count) " validation images are taken for another class"
                @if shown < wrong { ", the surest " (shown) " of them" }
                @if wrong > 0 { ":" } @else { "." }
            }
            div class="pictures" {
                @for (mistake, picture) in seen.answers.worst.iter().zip(&seen.pictures) { (figure(mistake, picture.as_deref(), ended, labels)) }
            }
        }
    }
}

fn figure(mistake: &Mistake, picture: Option<&[u8]>, ended: &FinishedRun, labels: &[String]) -> Markup {
    let name =
        ended.sets.val.as_ref().map_or(String::new(), |val: &std::sync::Arc<dyn Dataset>| val.name(mistake.image));
    let [predicted, truth] = mistake.probabilities;
    html! {
        figure title=(name) {
            @match picture {
                Some(png) => { img src={ "data:image/png;base64," (BASE64_STANDARD.encode(png)) } alt={ "An image of class " (labels[mistake.truth]) }; }
                None => { div class="dim small" { "no longer readable" } }
            }
            figcaption {
                span class="bad" { (labels[mistake.predicted]) } " " span class="dim" { (percent(predicted)) } br;
                "is " b { (labels[mistake.truth]) } " " span class="dim" { (percent(truth)) }
            }
        }
    }
}
