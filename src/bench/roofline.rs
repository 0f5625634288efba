//! The roofline picture: each dispatch of a profile by its operations per byte and its rate, under the measured peaks of the device
//! (Williams, Waterman and Patterson, 2009, "Roofline").

use std::ops::Range;

use plotters::coord::combinators::IntoLogRange;
use plotters::prelude::*;

use super::{KernelTime, Peaks, Profile};

const SIZE: (u32, u32) = (1000, 560);
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(51, 56, 66);
const GRID: RGBColor = RGBColor(228, 231, 236);
/// Families of kernels: the prefix of their names, their title, their colour.
const FAMILIES: [(&str, &str, RGBColor); 4] = [
    ("conv2d", "convolution", RGBColor(38, 103, 201)),
    ("linear", "linear", RGBColor(222, 107, 30)),
    ("batch_norm", "batch norm", RGBColor(133, 77, 178)),
    ("", "other", RGBColor(44, 150, 96)),
];

/// The picture as SVG. A dot's area is its share of the time. Dispatches that only move data cannot be drawn and are listed as text.
/// Fails only if the drawing library does.
pub fn draw_roofline(title: &str, peaks: &Peaks, profile: &Profile) -> Result<String, String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(&root, title, peaks, profile).map_err(|error| error.to_string())?;
    }
    Ok(svg)
}

/// Operations per byte.
fn intensity(kernel: &KernelTime) -> f64 {
    kernel.gflops / kernel.gbps
}

/// Operations for a byte and their rate, as far as the picture goes.
fn axes(peaks: &Peaks, dots: &[&KernelTime]) -> [Range<f64>; 2] {
    let ridge = peaks.gflops / peaks.gbps;
    let span = |values: &mut dyn Iterator<Item = f64>, least: f64, most: f64| {
        let (low, high) = values.fold((least, most), |(low, high), value| (low.min(value), high.max(value)));
        (low / 1.5)..(high * 1.5)
    };
    [
        span(&mut dots.iter().map(|kernel| intensity(kernel)), ridge / 8.0, ridge * 8.0),
        span(&mut dots.iter().map(|kernel| kernel.gflops), peaks.gflops / 30.0, peaks.gflops),
    ]
}

fn draw(
    root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    peaks: &Peaks,
    profile: &Profile,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let (dots, movers): (Vec<&KernelTime>, Vec<&KernelTime>) =
        profile.kernels.iter().partition(|kernel| kernel.gflops > 0.0 && intensity(kernel).is_finite());
    let total: f64 = profile.kernels.iter().map(|kernel| kernel.ms).sum();
    let ridge = peaks.gflops / peaks.gbps;
    let [x, y] = axes(peaks, &dots);
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(root)
        .caption(title, (FONT, 18).into_font().style(FontStyle::Bold).color(&INK))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(x.clone().log_scale(), y.clone().log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .x_desc("operations per byte that must be moved")
        .y_desc("GFLOP/s")
        .label_style((FONT, 13).into_font().color(&INK))
        .axis_desc_style((FONT, 14).into_font().color(&INK))
        .draw()?;
    // The roof: bandwidth up to the ridge, arithmetic from there on.
    let low = (y.start / peaks.gbps).max(x.start);
    let roof = [(low, low * peaks.gbps), (ridge, peaks.gflops), (x.end, peaks.gflops)];
    chart.draw_series(LineSeries::new(roof, INK.stroke_width(2)))?;
    let arithmetic = format!("{:.0} GFLOP/s from registers", peaks.gflops);
    let style = (FONT, 13).into_font().color(&INK);
    chart.draw_series([Text::new(arithmetic, (ridge * 1.1, peaks.gflops * 1.25), style.clone())])?;
    let copying = format!("{:.1} GB/s of copying", peaks.gbps);
    chart.draw_series([Text::new(copying, (low * 1.1, (low * peaks.gbps) * 1.05), style)])?;
    for (i, (_, name, colour)) in FAMILIES.into_iter().enumerate() {
        let family: Vec<_> = dots.iter().filter(|kernel| family_of(kernel) == i).collect();
        if family.is_empty() {
            continue;
        }
        let ms: f64 = family.iter().map(|kernel| kernel.ms).sum();
        let circles = family.iter().map(|kernel| {
            let radius = 2.0 + 28.0 * (kernel.ms / total).sqrt();
            Circle::new((intensity(kernel), kernel.gflops), radius as i32, colour.mix(0.45).filled())
        });
        chart
            .draw_series(circles)?
            .label(format!("{name}: {:.0} % of the time", 100.0 * ms / total))
            .legend(move |(x, y)| Circle::new((x + 9, y), 5, colour.mix(0.6).filled()));
    }
    let ms: f64 = movers.iter().map(|kernel| kernel.ms).sum();
    let moved = format!("without arithmetic, not shown: {:.0} % of the time", 100.0 * ms / total);
    chart
        .draw_series(std::iter::empty::<Circle<(f64, f64), i32>>())?
        .label(moved)
        .legend(|(x, y)| Circle::new((x + 9, y), 0, TRANSPARENT.filled()));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.85))
        .border_style(GRID)
        .label_font((FONT, 14).into_font().color(&INK))
        .draw()?;
    root.present()
}

fn family_of(kernel: &KernelTime) -> usize {
    FAMILIES.iter().position(|(prefix, ..)| kernel.kernel.starts_with(prefix)).unwrap_or(FAMILIES.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dispatch_is_a_dot_and_what_only_moves_data_is_told() {
        let kernel = |kernel: &str, gflops| KernelTime {
            label: "layer".into(),
            kernel: kernel.into(),
            ms: 2.0,
            gflops,
            gbps: 5.0,
            fraction_of_roofline: 0.5,
        };
        let kernels = vec![kernel("conv2d_gemm", 40.0), kernel("winograd4_input", 0.0)];
        let profile = Profile { timed_by: "wall", kernels };
        let svg = draw_roofline("a device", &Peaks { gflops: 80.0, gbps: 10.0 }, &profile).unwrap();
        assert!(svg.contains("convolution: 50 % of the time") && svg.contains("not shown: 50 % of the time"));
        assert!(svg.contains("80 GFLOP/s") && svg.contains("10.0 GB/s") && !svg.contains("NaN"));
    }
}
