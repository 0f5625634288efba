//! curves.svg: loss and accuracy over the epochs, for training and validation.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::metrics::EpochResult;

const SIZE: (u32, u32) = (1000, 420);
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(51, 56, 66);
const GRID: RGBColor = RGBColor(228, 231, 236);
const TRAIN: RGBColor = RGBColor(38, 103, 201);
const VAL: RGBColor = RGBColor(222, 107, 30);

/// One measured quantity over the epochs.
struct Panel {
    title: &'static str,
    unit: &'static str,
    train: Vec<(f64, f64)>,
    val: Vec<(f64, f64)>,
    /// Lowest and highest value of the axis.
    range: (f64, f64),
}

/// The picture as SVG; `best_epoch` is marked. An error only if the drawing library fails.
pub fn draw_curves(epochs: &[EpochResult], best_epoch: Option<u64>) -> Result<String, String> {
    let points = |f: &dyn Fn(&EpochResult) -> Option<f64>| -> Vec<(f64, f64)> {
        let finite = epochs.iter().filter_map(|e| f(e).map(|y| (e.epoch as f64, y)));
        finite.filter(|(_, y)| y.is_finite()).collect()
    };
    let percent = |fraction: Option<f64>| fraction.map(|f| f * 100.0);
    let loss =
        Panel::new("Loss", "cross-entropy", points(&|e| Some(e.train_loss)), points(&|e| e.val_loss), (0.0, f64::MAX));
    let accuracy = Panel::new(
        "Accuracy",
        "% of images",
        points(&|e| percent(Some(e.train_accuracy))),
        points(&|e| percent(e.val_accuracy)),
        (0.0, 100.0),
    );
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(|e| e.to_string())?;
        let areas = root.split_evenly((1, 2));
        for (area, panel) in areas.iter().zip([loss, accuracy]) {
            panel.draw(area, best_epoch).map_err(|e| e.to_string())?;
        }
        root.present().map_err(|e| e.to_string())?;
    }
    Ok(svg)
}

impl Panel {
    fn new(
        title: &'static str,
        unit: &'static str,
        train: Vec<(f64, f64)>,
        val: Vec<(f64, f64)>,
        (least, most): (f64, f64),
    ) -> Self {
        let values = || train.iter().chain(&val).map(|&(_, y)| y);
        let low = values().fold(f64::INFINITY, f64::min).min(most);
        let high = values().fold(f64::NEG_INFINITY, f64::max).max(least);
        let range = if low.is_finite() && high.is_finite() {
            let margin = ((high - low) * 0.06).max(high.abs() * 1e-3).max(1e-6);
            ((low - margin).max(least), (high + margin).min(most))
        } else {
            (0.0, 1.0)
        };
        Self { title, unit, train, val, range }
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, plotters::coord::Shift>,
        best_epoch: Option<u64>,
    ) -> Result<(), DrawingAreaErrorKind<DB::ErrorType>> {
        let last = self.train.last().map_or(1.0, |&(x, _)| x).max(2.0);
        let (low, high) = self.range;
        let mut chart = ChartBuilder::on(area)
            .caption(self.title, (FONT, 20).into_font().style(FontStyle::Bold).color(&INK))
            .margin(14)
            .x_label_area_size(40)
            .y_label_area_size(60)
            .build_cartesian_2d(1.0..last, low..high)?;
        let digits = decimals(high - low);
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .x_desc("epoch")
            .y_desc(self.unit)
            .x_labels(10.min(last as usize))
            .y_labels(7)
            .x_label_formatter(&|x| if x.fract() == 0.0 { format!("{x}") } else { String::new() })
            .y_label_formatter(&|y| format!("{y:.digits$}"))
            .label_style((FONT, 13).into_font().color(&INK))
            .axis_desc_style((FONT, 14).into_font().color(&INK))
            .draw()?;
        if let Some(best) = best_epoch {
            let x = best as f64;
            chart.draw_series(DashedLineSeries::new([(x, low), (x, high)], 4, 4, INK.mix(0.45).stroke_width(1)))?;
            let side = if x > (1.0 + last) / 2.0 { HPos::Right } else { HPos::Left };
            let style = (FONT, 12).into_font().color(&INK.mix(0.8)).pos(Pos::new(side, VPos::Top));
            let offset = if x > (1.0 + last) / 2.0 { -5 } else { 5 };
            let label = EmptyElement::at((x, high)) + Text::new(format!("best: epoch {best}"), (offset, 3), style);
            chart.draw_series([label])?;
        }
        for (label, colour, points) in [("training", TRAIN, &self.train), ("validation", VAL, &self.val)] {
            if points.is_empty() {
                continue;
            }
            chart
                .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
                .label(label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
            // Single epochs are seen where there are few of them.
            if points.len() <= 40 {
                chart.draw_series(points.iter().map(|&at| Circle::new(at, 3, colour.filled())))?;
            }
        }
        let position =
            if self.title == "Loss" { SeriesLabelPosition::MiddleRight } else { SeriesLabelPosition::LowerRight };
        chart
            .configure_series_labels()
            .position(position)
            .background_style(WHITE.mix(0.85))
            .border_style(GRID)
            .label_font((FONT, 14).into_font().color(&INK))
            .draw()
    }
}

/// Decimals that tell the labels of an axis of this length apart.
fn decimals(length: f64) -> usize {
    (1.0 - length.log10()).ceil().clamp(0.0, 6.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(count: u64, val: bool) -> Vec<EpochResult> {
        let curve = |epoch: u64, floor: f64| floor + (1.0 - floor) * (-(epoch as f64) / 8.0).exp();
        (1..=count)
            .map(|epoch| EpochResult {
                epoch,
                step: epoch * 41,
                train_loss: 2.0 * curve(epoch, 0.02),
                train_accuracy: 1.0 - curve(epoch, 0.001),
                val_loss: val.then(|| 2.0 * curve(epoch, 0.1) + 0.001 * epoch as f64),
                val_accuracy: val.then(|| 1.0 - curve(epoch, 0.03)),
                lr: 1e-3,
                images_per_second: 1e4,
                grad_norm: None,
                block_gradients: Vec::new(),
                loss_scale: None,
                skipped_steps: None,
                adapters: Vec::new(),
            })
            .collect()
    }

    #[test]
    fn every_length_of_run_can_be_drawn() {
        for (count, val) in [(0, false), (1, true), (2, false), (35, true), (100, true)] {
            let svg = draw_curves(&epochs(count, val), val.then_some(count / 2)).unwrap();
            assert!(svg.contains("<svg") && svg.trim_end().ends_with("</svg>"), "{count}");
            assert_eq!(svg.contains(">\nvalidation\n"), val, "{count}");
        }
        let mut broken = epochs(3, true);
        broken[1].train_loss = f64::NAN;
        broken[2].val_loss = Some(f64::INFINITY);
        assert!(!draw_curves(&broken, None).unwrap().contains("NaN"));
    }
}
