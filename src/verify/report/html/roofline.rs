//! The roofline (Williams, Waterman & Patterson, 2009): the speed of each timed case over its operations per byte, under the two peaks that
//! were measured on the same adapter.

use maud::{Markup, html};

use super::super::types::AdapterRun;

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 340.0;
/// Left, top, right, bottom.
const MARGIN: [f64; 4] = [58.0, 14.0, 24.0, 48.0];
/// Colours of `style.css`; ops beyond them share the last.
const SERIES: usize = 8;

/// One timed case: operations per byte, and 10^9 operations per second.
struct Dot<'a> {
    op: &'a str,
    id: &'a str,
    intensity: f64,
    rate: f64,
    /// Too little work: its time is that of a launch.
    tiny: bool,
}

/// Less work than this, operations and bytes, is tiny.
const TINY: [f64; 2] = [1e6, 1e5];

/// Logarithmic axes over whole decades.
struct Axes {
    x: [f64; 2],
    y: [f64; 2],
}

impl Axes {
    /// Round the dots and the ridge of the roof.
    fn around(points: impl Iterator<Item = (f64, f64)> + Clone) -> Self {
        let decades = |values: &mut dyn Iterator<Item = f64>, least: f64, most: f64| {
            let (low, high) = values.fold((most, least), |(low, high), v| (low.min(v.log10()), high.max(v.log10())));
            [low.floor().clamp(least, most - 1.0), high.ceil().clamp(low.floor().max(least) + 1.0, most)]
        };
        Self {
            x: decades(&mut points.clone().map(|p| p.0), -4.0, 5.0),
            y: {
                let [low, high] = decades(&mut points.map(|p| p.1), -4.0, 7.0);
                // Slower cases are drawn at the edge.
                [low.max(high - 5.0), high]
            },
        }
    }

    fn x(&self, value: f64) -> f64 {
        let share = (value.log10() - self.x[0]) / (self.x[1] - self.x[0]);
        MARGIN[0] + share.clamp(0.0, 1.0) * (WIDTH - MARGIN[0] - MARGIN[2])
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value.log10() - self.y[0]) / (self.y[1] - self.y[0]);
        HEIGHT - MARGIN[3] - share.clamp(0.0, 1.0) * (HEIGHT - MARGIN[1] - MARGIN[3])
    }
}

pub fn chart(run: &AdapterRun) -> Markup {
    let positive = |value: f64| value.is_finite() && value > 0.0;
    let dots: Vec<Dot> = run
        .cases
        .iter()
        .filter(|case| positive(case.flops) && positive(case.bytes) && case.seconds.is_some_and(positive))
        .map(|case| Dot {
            op: &case.op,
            id: &case.id,
            intensity: case.flops / case.bytes,
            rate: case.flops / case.seconds.unwrap_or(1.0) / 1e9,
            tiny: case.flops < TINY[0] && case.bytes < TINY[1],
        })
        .collect();
    let peaks = run.peaks.filter(|peaks| positive(peaks.gflops) && positive(peaks.gbps));
    let ridge = peaks.map(|peaks| (peaks.gflops / peaks.gbps, peaks.gflops));
    if dots.is_empty() && ridge.is_none() {
        return html! { p class="soft" { "No case was timed." } };
    }
    // Room on both sides of the ridge, so that both lines show.
    let around = ridge.into_iter().flat_map(|(x, y)| [(x / 8.0, y / 8.0), (x * 8.0, y * 1.5)]);
    let axes = Axes::around(dots.iter().map(|dot| (dot.intensity, dot.rate)).chain(around));
    let mut ops: Vec<&str> = Vec::new();
    for dot in &dots {
        if !ops.contains(&dot.op) {
            ops.push(dot.op);
        }
    }
    let series = |op: &str| ops.iter().position(|other| *other == op).unwrap_or(0).min(SERIES - 1);
    let at = |value: f64| format!("{value:.1}");
    let [left, top, right, bottom] = [MARGIN[0], MARGIN[1], WIDTH - MARGIN[2], HEIGHT - MARGIN[3]];
    html! {
        div class="card chart" {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label="Roofline: operations a second over operations a byte" {
                @for exponent in axes.x[0] as i32..=axes.x[1] as i32 {
                    @let x = at(axes.x(10f64.powi(exponent)));
                    line class="grid" x1=(x) x2=(x) y1=(top) y2=(bottom) {}
                    text x=(x) y=(bottom + 18.0) text-anchor="middle" { (power(exponent)) }
                }
                @for exponent in axes.y[0] as i32..=axes.y[1] as i32 {
                    @let y = at(axes.y(10f64.powi(exponent)));
                    line class="grid" x1=(left) x2=(right) y1=(y) y2=(y) {}
                    text x=(left - 6.0) y=(y) dy="4" text-anchor="end" { (power(exponent)) }
                }
                text x=((left + right) / 2.0) y=(HEIGHT - 6.0) text-anchor="middle" { "operations a byte" }
                text transform={ "translate(15 " ((top + bottom) / 2.0) ") rotate(-90)" } text-anchor="middle" { "GFLOP/s" }
                @if let Some(peaks) = peaks { (roof(&axes, peaks.gflops, peaks.gbps)) }
                @for dot in &dots {
                    circle class={ "series-" (series(dot.op)) @if dot.tiny { " tiny" } } cx=(at(axes.x(dot.intensity))) cy=(at(axes.y(dot.rate))) r="3.6" {
                        title { (dot.id) ": " (format!("{:.3} GFLOP/s, {:.3} operations a byte", dot.rate, dot.intensity)) }
                    }
                }
            }
            @if dots.iter().any(|dot| dot.tiny) { p class="soft small" { "Pale: so little work that the time is that of the launch." } }
            ul class="legend" {
                @for (index, op) in ops.iter().enumerate().take(SERIES) {
                    li { i class={ "series-" (index) } {} @if index + 1 == SERIES && ops.len() > SERIES { (ops.len() - index) " other operations" } @else { (op) } }
                }
            }
        }
    }
}

/// The two peaks: bandwidth, a slope, and arithmetic, a ceiling.
fn roof(axes: &Axes, gflops: f64, gbps: f64) -> Markup {
    let at = |(x, y): (f64, f64)| format!("{:.1},{:.1}", axes.x(x), axes.y(y));
    let ridge = gflops / gbps;
    // The slope enters through the left edge or through the bottom.
    let start = 10f64.powf(axes.x[0]).max(10f64.powf(axes.y[0]) / gbps);
    let end = 10f64.powf(axes.x[1]);
    let middle = (start * ridge).sqrt();
    let angle = -((axes.y(start * gbps) - axes.y(gflops)) / (axes.x(ridge) - axes.x(start))).atan().to_degrees();
    html! {
        polyline class="roof" points={ (at((start, start * gbps))) " " (at((ridge, gflops))) " " (at((end, gflops))) } {}
        text class="roof-name" x=(format!("{:.1}", axes.x(end) - 4.0)) y=(format!("{:.1}", axes.y(gflops) - 6.0)) text-anchor="end" {
            (format!("{gflops:.0} GFLOP/s"))
        }
        @if angle.is_finite() {
            text class="roof-name" text-anchor="middle" transform=(format!(
                "translate({:.1} {:.1}) rotate({angle:.1})", axes.x(middle) - 4.0, axes.y(middle * gbps) - 6.0
            )) { (format!("{gbps:.1} GB/s")) }
        }
    }
}

/// 10 to `exponent`, in the few characters that an axis has room for.
fn power(exponent: i32) -> String {
    match exponent {
        -3..=-1 => format!("{:.*}", exponent.unsigned_abs() as usize, 10f64.powi(exponent)),
        0..=3 => format!("{}", 10f64.powi(exponent)),
        _ => format!("1e{exponent}"),
    }
}
