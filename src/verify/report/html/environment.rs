//! The environment of the run: limits, features, versions, hashes.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::super::types::Report;

pub fn section(report: &Report) -> Markup {
    let limits: BTreeSet<&String> = report.adapters.iter().flat_map(|run| run.capabilities.limits.keys()).collect();
    html! {
        section {
            h2 { "Environment" }
            div class="scroll" { table { tbody {
                tr { th { "gpu-resnet" } td { (report.crate_version) } }
                @for (name, version) in &report.libraries { tr { th { (name) } td { (version) } } }
                tr { th { "Platform" } td { (report.platform) } }
                tr { th { "Suite" } td { (report.suite) @if let Some(filter) = &report.filter { ", cases that match " code { (filter) } } } }
                tr { th { "Started" } td { (report.created) } }
                @for (name, value) in &report.switches { tr { th class="mono" { (name) } td { (value) } } }
            } } }
            @if !report.adapters.is_empty() {
                div class="scroll" { table {
                    thead { tr { th { "Limits" } @for run in &report.adapters { th class="number" { (run.adapter.name.split(" (").next().unwrap_or_default()) } } } }
                    tbody {
                        tr { th { "subgroup size" } @for run in &report.adapters {
                            @let [least, most] = run.adapter.subgroup_size;
                            td class="number" { @if !run.adapter.features.subgroups { "none" } @else if least == most { (least) } @else { (least) " to " (most) } }
                        } }
                        @for name in limits { tr { th class="mono" { (name) } @for run in &report.adapters {
                            td class="number" { @match run.capabilities.limits.get(name) { Some(value) => (amount(name, *value)), None => "–" } }
                        } } }
                    }
                } }
            }
            @for run in &report.adapters {
                details { summary { "Features of " (run.adapter.name) }
                    div class="card small" {
                        p { (run.capabilities.features.join(", ")) }
                        @if let Some(compiler) = &run.capabilities.dx12_compiler { p { "DX12 shader compiler: " (compiler) } }
                        p { "Cooperative matrices: "
                            @if run.capabilities.cooperative_matrices.is_empty() { "none" } @else { (run.capabilities.cooperative_matrices.join("; ")) } }
                    }
                }
            }
            details { summary { (report.shader_hashes.len()) " shaders by hash" }
                div class="scroll" { table { tbody { @for (name, hash) in &report.shader_hashes {
                    tr { th class="mono" { (name) } td class="mono dim" { (hash.chars().take(16).collect::<String>()) } }
                } } } }
            }
            footer { "Compare with another adapter's report: " code { "gpu-resnet verify --compare this.json other.json" } }
        }
    }
}

/// A limit: sizes in bytes as whole multiples of a unit, others in full.
fn amount(name: &str, value: u64) -> String {
    let bytes = ["BufferSize", "BindingSize", "StorageSize"].iter().any(|end| name.ends_with(end));
    match value {
        v if bytes && v >= 1 << 30 => format!("{:.1} GiB", v as f64 / f64::from(1 << 30)),
        v if bytes && v >= 1 << 20 => format!("{:.0} MiB", v as f64 / f64::from(1 << 20)),
        v if bytes && v >= 1 << 10 => format!("{:.0} KiB", v as f64 / f64::from(1 << 10)),
        v => v.to_string(),
    }
}
