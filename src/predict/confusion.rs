//! A confusion matrix as an SVG picture.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::{Error, Result};

/// Side of a cell.
const CELL: i32 = 44;
/// Letters of a class name that are shown.
const LETTERS: usize = 18;
/// With more classes than this, cells are drawn without numbers.
const NUMBERED: usize = 40;

/// Draws `counts[true][predicted]`; each row is shaded by its shares.
pub fn draw_confusion(counts: &[Vec<usize>], labels: &[String]) -> Result<String> {
    let mut svg = String::new();
    paint(&mut svg, counts, labels).map_err(|e| Error::Usage(format!("the picture could not be drawn: {e}")))?;
    Ok(svg)
}

fn paint(svg: &mut String, counts: &[Vec<usize>], labels: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let cell = if labels.len() <= NUMBERED { CELL } else { (CELL * NUMBERED as i32 / labels.len() as i32).max(2) };
    let names: Vec<String> = labels.iter().map(|label| label.chars().take(LETTERS).collect()).collect();
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    // Room for the names (8 pixels a letter) and the title.
    let margin = 52 + if labels.len() <= NUMBERED { 8 * longest as i32 } else { 0 };
    let side = (margin + cell * labels.len() as i32 + 30) as u32;
    let root = SVGBackend::with_string(svg, (side, side)).into_drawing_area();
    root.fill(&WHITE)?;
    let font = |size: i32| ("sans-serif", size).into_font();
    let centred = |size: i32, colour: &RGBColor| font(size).color(colour).pos(Pos::new(HPos::Center, VPos::Center));
    root.draw(&Text::new("predicted", (margin, 18), font(15).color(&BLACK)))?;
    root.draw(&Text::new("true", (12, margin - 24), font(15).color(&BLACK)))?;
    for (row, values) in counts.iter().enumerate() {
        let seen = values.iter().sum::<usize>().max(1);
        let y = margin + cell * row as i32;
        for (column, &count) in values.iter().enumerate() {
            let x = margin + cell * column as i32;
            let share = count as f64 / seen as f64;
            // From white to deep blue for correct predictions, to red for wrong ones.
            let full = if row == column { (23, 87, 160) } else { (190, 40, 40) };
            let mix = |to: i32| (255.0 + (f64::from(to) - 255.0) * share.sqrt()) as u8;
            let colour = RGBColor(mix(full.0), mix(full.1), mix(full.2));
            root.draw(&Rectangle::new([(x, y), (x + cell - 1, y + cell - 1)], colour.filled()))?;
            if labels.len() <= NUMBERED && count > 0 {
                let ink = if share > 0.35 { &WHITE } else { &BLACK };
                root.draw(&Text::new(count.to_string(), (x + cell / 2, y + cell / 2), centred(14, ink)))?;
            }
        }
    }
    if labels.len() <= NUMBERED {
        for (index, name) in names.into_iter().enumerate() {
            let at = margin + cell * index as i32 + cell / 2;
            let right = font(13).color(&BLACK).pos(Pos::new(HPos::Right, VPos::Center));
            root.draw(&Text::new(name.clone(), (margin - 8, at), right))?;
            let upwards = font(13).transform(FontTransform::Rotate270).color(&BLACK);
            root.draw(&Text::new(name, (at, margin - 8), upwards.pos(Pos::new(HPos::Left, VPos::Center))))?;
        }
    }
    root.present()?;
    Ok(())
}
