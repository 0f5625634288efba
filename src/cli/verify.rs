//! `gpu-resnet verify`: is this adapter's driver right, kernel by kernel, and a report to send.

mod offline;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::console::{interrupt, print, print_json};
use super::{Context, environment, output_name};
use crate::error::{Error, Result};
use crate::files;
use crate::gpu::{AdapterReport, DeviceOptions, FeatureName, Gpu, list_adapters};
use crate::ops::Conv2dVariant;
use crate::train::Interrupt;
use crate::verify::case::Case;
use crate::verify::cases::Suite;
use crate::verify::child::{Setup, serve};
use crate::verify::expectations::Expectations;
use crate::verify::report::{CaseResult, ControlResult, Report, Status, compare, html, markdown};
use crate::verify::run::{Observer, Progress, Runner};
use crate::verify::select::Selection;
use crate::verify::{controls, summary};
use clap::ValueEnum;
use indicatif::ProgressBar;

/// How often a run without a terminal says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Check every kernel against its f64 twin on this machine's adapters.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpu-resnet verify --report report.json\n  \
    gpu-resnet verify --all-adapters --filter '^conv2d ' --variant gemm\n\n\
    Exit status: 0 all as expected, 3 a mismatch or a negative control that was not caught, 4 no adapter.")]
pub struct VerifyArgs {
    /// Go through every usable adapter
    #[arg(long, conflicts_with = "child")]
    all_adapters: bool,
    /// How many cases
    #[arg(long, value_enum, default_value_t = Suite::Quick)]
    suite: Suite,
    /// Only cases whose line this regular expression matches; a whole line chooses that case alone, listed or not
    #[arg(long, value_name = "REGEX")]
    filter: Option<String>,
    /// Write the report as JSON
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
    /// Write the report as a page
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
    /// Write the report for an issue tracker
    #[arg(long, value_name = "FILE.md")]
    markdown: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Run nothing: show a report that was sent (with --html or --markdown written anew)
    #[arg(long, value_name = "FILE.json", conflicts_with_all = ["report", "filter", "compare", "offline_shaders"])]
    read: Option<PathBuf>,
    /// Run nothing: set two reports side by side (with --html as a page too)
    #[arg(long, num_args = 2, value_names = ["A.json", "B.json"], conflicts_with_all = ["report", "markdown", "filter"])]
    compare: Option<Vec<PathBuf>>,
    /// Without a GPU: translate every shader for Vulkan, Metal, DX12 and GL, and compile with the tools that are installed, and as the
    /// GPUs of scripts/vendor-gpus.sh
    #[arg(long, conflicts_with_all = ["report", "html", "markdown", "compare"])]
    offline_shaders: bool,
    /// With --offline-shaders: the GPUs whose compilers are asked, of scripts/vendor-gpus.sh's names; `none` asks none [default: nine]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', requires = "offline_shaders", value_parser = offline::gpu)]
    gpus: Vec<String>,
    /// Known driver bugs, besides those that come with the program (TOML)
    #[arg(long, value_name = "FILE")]
    expectations: Option<PathBuf>,
    /// Pass although cases that are expected to fail did not
    #[arg(long)]
    allow_unexpected_pass: bool,
    /// Print the lines of the cases and stop
    #[arg(long)]
    list: bool,
    /// Optional features to do without, to bisect a driver bug
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FEATURE,…")]
    disable: Vec<FeatureName>,
    /// Only this kernel where there are several: gemm, gemm-32x32 and other tiles, register, subgroup, subgroup-wide, subgroup-quad, subgroup-oct or subgroup4
    #[arg(long, value_name = "NAME", value_parser = variant)]
    variant: Option<String>,
    /// Check buffer accesses in every kernel, or in none [default: in all but the proved ones]
    #[arg(long, value_enum, value_name = "on|off")]
    bounds_checks: Option<Switch>,
    /// The most seconds that a case, or a shader compiler on one kernel, may take
    #[arg(long, value_name = "S", default_value_t = 60.0, value_parser = seconds)]
    timeout: f64,
    /// Begin no case after so many seconds, and count those that are left
    #[arg(long, value_name = "S", value_parser = seconds)]
    limit: Option<f64>,
    /// How many cases run at once, each in a process of its own [default: one for each core, 8 at most, on a software driver; 1 on hardware,
    /// where two at once would disturb each other's times]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Leave the negative controls out
    #[arg(long, hide = true)]
    no_controls: bool,
    /// Break a kernel in all cases (not in the negative controls), to see what notices: SHADER: FROM => TO
    #[arg(long, hide = true, value_name = "FAULT")]
    fault: Vec<String>,
    /// More cases, at the end
    #[arg(long, hide = true, value_name = "LINE")]
    also: Vec<String>,
    /// Answer tasks on stdin
    #[arg(long, hide = true)]
    child: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

fn variant(text: &str) -> Result<String, String> {
    let names = Conv2dVariant::FORWARD.map(|variant| variant.name());
    if names.contains(&text) { Ok(text.into()) } else { Err(format!("it is one of {}", names.join(", "))) }
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds: &f64| *seconds > 0.0 && *seconds <= 86_400.0);
    seconds.ok_or_else(|| "it is a number of seconds above 0, up to 86400".into())
}

pub fn run(context: &Context, args: &VerifyArgs) -> Result<()> {
    if args.child {
        return run_child(context, args);
    }
    check_names(args)?;
    if let Some(files) = &args.compare {
        return compare(args, &Report::read(&files[0])?, &Report::read(&files[1])?);
    }
    if args.offline_shaders {
        return offline::run(context, args);
    }
    if let Some(path) = &args.read {
        let report = Report::read(path)?;
        show(args, &report)?;
        return verdict(&report, args.allow_unexpected_pass);
    }
    for path in [&args.report, &args.html, &args.markdown].into_iter().flatten() {
        files::check_writable(path)?;
    }
    let selection = Selection { suite: args.suite, filter: args.filter.clone(), variant: args.variant.clone() };
    let mut cases = selection.cases()?;
    let also = cases.len();
    cases.extend(args.also.iter().map(|line| Case::parse(line)).collect::<Result<Vec<_>>>()?);
    if args.list {
        return print(cases.iter().map(|case| format!("{case}\n")).collect::<String>());
    }
    let expectations = Expectations::load(args.expectations.as_deref())?;
    let mut report = Report::new(args.suite.name(), args.filter.as_deref());
    let mut observer = Teller::new(context);
    for adapter in adapters(context, args)? {
        let mut chosen = selection.cases_on(&adapter, &cases[..also]);
        let controls = if args.no_controls { Vec::new() } else { selection.controls_on(&adapter, &chosen) };
        let left_out = match also - chosen.len() {
            0 => String::new(),
            n => format!("; {n} more of kernels that it does not use by itself are in --suite kernels"),
        };
        chosen.extend_from_slice(&cases[also..]);
        context.console.note(format!(
            "adapter {}: {} ({} {}): {} negative controls, {} cases{left_out}",
            adapter.index,
            adapter.name,
            adapter.driver,
            adapter.driver_info,
            controls.len(),
            chosen.len()
        ));
        observer.begin(&adapter);
        let runner = Runner {
            setup: setup(context, args, &adapter)?,
            timeout: Duration::from_secs_f64(args.timeout),
            peaks: args.filter.is_none(),
            jobs: args.jobs.map(usize::from),
            limit: args.limit.map(Duration::from_secs_f64),
            every_kernel: selection.is_every_kernel() && args.disable.is_empty(),
        };
        report.adapters.push(runner.run(&chosen, &controls, &expectations, &mut observer)?);
    }
    report.valid = report.adapters.iter().flat_map(|run| &run.controls).all(ControlResult::is_good);
    if let Some(path) = &args.report {
        report.write(path)?;
    }
    show(args, &report)?;
    verdict(&report, args.allow_unexpected_pass)
}

/// The process that cases run in.
fn run_child(context: &Context, args: &VerifyArgs) -> Result<()> {
    let bounds_checks = args.bounds_checks.map(|switch| switch == Switch::On);
    let options = DeviceOptions { disabled: args.disable.clone(), bounds_checks, ..Default::default() };
    let gpu = Gpu::open_with(&context.global.adapter()?, &options)?;
    args.fault.iter().try_for_each(|fault| controls::break_kernel(&gpu, fault))?;
    serve(&gpu)
}

/// No report's name promises another format than it gets.
fn check_names(args: &VerifyArgs) -> Result<()> {
    let forms =
        [(&args.report, output_name::JSON), (&args.html, output_name::HTML), (&args.markdown, output_name::MARKDOWN)];
    forms.into_iter().try_for_each(|(path, form)| path.iter().try_for_each(|path| output_name::check(path, form)))
}

/// Writes the forms of the report that were asked for, and prints one.
fn show(args: &VerifyArgs, report: &Report) -> Result<()> {
    if let Some(path) = &args.html {
        files::write(path, html::page(report).as_bytes())?;
    }
    if let Some(path) = &args.markdown {
        files::write(path, markdown::markdown(report).as_bytes())?;
    }
    if args.json {
        return print(report.clone().redacted().to_json()? + "\n");
    }
    // A report may come from a stranger, and a terminal obeys control characters.
    print(summary(report).replace(|c: char| c.is_control() && c != '\n', " "))
}

fn compare(args: &VerifyArgs, a: &Report, b: &Report) -> Result<()> {
    let comparison = compare::compare(a, b);
    if let Some(path) = &args.html {
        files::write(path, comparison.page().as_bytes())?;
    }
    if args.json { print_json(&comparison) } else { print(comparison.text()) }
}

/// The adapters to go through.
fn adapters(context: &Context, args: &VerifyArgs) -> Result<Vec<AdapterReport>> {
    if !args.all_adapters {
        return Ok(vec![context.gpu_untuned()?.report().clone()]);
    }
    let (usable, others): (Vec<_>, Vec<_>) =
        list_adapters(context.global.backend).into_iter().partition(|adapter| adapter.unusable.is_none());
    for other in others {
        let why = other.unusable.unwrap_or_default();
        context.console.note(format!("adapter {}: {} is left out: {why}", other.index, other.name));
    }
    usable.iter().try_for_each(environment::check_kernel)?;
    if usable.is_empty() {
        return Err(Error::NoAdapter("no usable GPU adapter was found; `gpu-resnet devices` says why".into()));
    }
    Ok(usable)
}

/// How children for `adapter` start.
fn setup(context: &Context, args: &VerifyArgs, adapter: &AdapterReport) -> Result<Setup> {
    let program = std::env::current_exe().map_err(|e| Error::file("gpu-resnet", e))?;
    let mut arguments = vec!["--adapter".to_owned(), adapter.index.to_string()];
    let name = |value: &dyn Fn() -> Option<clap::builder::PossibleValue>| {
        value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    };
    if let Some(backend) = context.global.backend {
        arguments.extend(["--backend".to_owned(), name(&|| backend.to_possible_value())]);
    }
    if !args.disable.is_empty() {
        let features: Vec<String> = args.disable.iter().map(|f| name(&|| f.to_possible_value())).collect();
        arguments.extend(["--disable".to_owned(), features.join(",")]);
    }
    if let Some(switch) = args.bounds_checks {
        arguments.extend(["--bounds-checks".to_owned(), name(&|| switch.to_possible_value())]);
    }
    arguments.extend(args.fault.iter().flat_map(|fault| ["--fault".to_owned(), fault.clone()]));
    let forced = args.variant.iter().map(|variant| ("GPU_RESNET_CONV2D".to_owned(), variant.into()));
    Ok(Setup { program, loading: Vec::new(), arguments, environment: forced.collect() })
}

/// Tells what ends badly as it happens, how far the run is, and how long it will still take: on a terminal by a line that
/// changes, elsewhere every ten seconds.
struct Teller<'a> {
    context: &'a Context<'a>,
    stop: Interrupt,
    adapter: String,
    line: ProgressBar,
    /// When something was told last; none once all is over.
    told: Option<Instant>,
}

impl<'a> Teller<'a> {
    fn new(context: &'a Context<'a>) -> Self {
        let line = ProgressBar::hidden();
        Self { context, stop: interrupt(), adapter: String::new(), line, told: None }
    }

    /// What follows is about `adapter`.
    fn begin(&mut self, adapter: &AdapterReport) {
        self.adapter = format!("adapter {}", adapter.index);
        self.line = self.context.console.line();
        self.told = Some(Instant::now());
    }
}

impl Observer for Teller<'_> {
    fn case(&mut self, result: &CaseResult) {
        if result.is_unexpected() {
            let status = result.status.name();
            let text = format!("{}: {status}: {}: {}", self.adapter, result.id, result.message);
            self.line.suspend(|| self.context.console.note(text));
        }
    }

    fn progress(&mut self, progress: Progress) {
        let Some(told) = self.told else { return };
        let over = progress.done == progress.total;
        let text = format!("{}: {}", self.adapter, how_far(progress));
        if over {
            self.line.finish_and_clear();
        }
        if over || (self.line.is_hidden() && told.elapsed() >= TELL_EVERY) {
            self.context.console.note(&text);
            self.told = (!over).then(Instant::now);
        }
        self.line.set_message(text);
    }

    fn stop(&self) -> bool {
        self.stop.is_raised()
    }
}

/// `1234 of 5000, about 2 min 10 s left`.
fn how_far(progress: Progress) -> String {
    let left = match progress.seconds_left.map(|seconds| seconds.ceil() as u64) {
        _ if progress.done == progress.total => String::new(),
        None => ", estimating".into(),
        Some(seconds @ ..60) => format!(", about {seconds} s left"),
        Some(seconds) => format!(", about {} min {} s left", seconds / 60, seconds % 60),
    };
    format!("{} of {}{left}", progress.done, progress.total)
}

/// The run's end as an exit status.
fn verdict(report: &Report, allow_unexpected_pass: bool) -> Result<()> {
    if !report.valid {
        return Err(Error::Mismatch(
            "the run is invalid: a kernel that is broken on purpose passed, so a pass proves nothing".into(),
        ));
    }
    for run in &report.adapters {
        if let Some(names) = run.shaders_not_run.as_ref().filter(|names| !names.is_empty()) {
            let (adapter, names) = (&run.adapter.name, names.join(", "));
            return Err(Error::Mismatch(format!("no case ran on {adapter}: {names}; add one in src/verify/cases")));
        }
    }
    if report.adapters.iter().any(|run| run.cases.is_empty() && run.left_out > 0) {
        return Err(Error::Mismatch("no case ran within --limit; raise it".into()));
    }
    let cases = || report.adapters.iter().flat_map(|run| &run.cases);
    let passed = |case: &&CaseResult| case.status == Status::Pass;
    let bad = cases().filter(|case| case.is_unexpected() && !passed(case)).count();
    let better = cases().filter(|case| case.is_unexpected() && passed(case)).count();
    if bad > 0 {
        return Err(Error::Mismatch(format!("{bad} of {} cases did not end as they should", cases().count())));
    }
    if better > 0 && !allow_unexpected_pass {
        return Err(Error::Mismatch(format!(
            "{better} cases passed that are expected to fail; update the expectations, or --allow-unexpected-pass"
        )));
    }
    Ok(())
}
