//! `gpu-resnet verify`: checks an adapter's driver kernel by kernel, and writes a report to send.

mod offline;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::console::{interrupt, print, print_json};
use super::{Context, environment, output_name};
use crate::error::{Error, Result};
use crate::files;
use crate::gpu::{AdapterReport, DeviceOptions, FeatureName, Gpu, block_on, list_adapters};
use crate::ops::conv2d_kernels::NAMES;
use crate::ops::{Conv2dSwitch, Conv2dVariant, ConvTarget};
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

/// How often a run without a terminal prints its progress.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Check every kernel against its f64 twin on this machine's adapters.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  gpu-resnet verify --report report.json\n  \
    gpu-resnet verify --all-adapters --filter '^conv2d ' --variant gemm\n\n\
    Exit status: 0 all as expected, 3 a mismatch or a negative control that was not caught, 4 no adapter.")]
pub struct VerifyArgs {
    /// Check every usable adapter
    #[arg(long, conflicts_with = "child")]
    all_adapters: bool,
    /// Suite of cases to run
    #[arg(long, value_enum, default_value_t = Suite::Quick)]
    suite: Suite,
    /// Run only cases whose line matches this regular expression; a whole line selects that case alone, listed or not
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
    /// Run nothing: show a report that was sent (--html or --markdown write it in that form)
    #[arg(long, value_name = "FILE.json", conflicts_with_all = ["report", "filter", "compare", "offline_shaders"])]
    read: Option<PathBuf>,
    /// Run nothing: compare two reports (with --html also as a page)
    #[arg(long, num_args = 2, value_names = ["A.json", "B.json"], conflicts_with_all = ["report", "markdown", "filter"])]
    compare: Option<Vec<PathBuf>>,
    /// Without a GPU: translate every shader for Vulkan, Metal, DX12 and GL, and compile it with the installed tools and for the GPUs of
    /// scripts/vendor-gpus.sh
    #[arg(long, conflicts_with_all = ["report", "html", "markdown", "compare"])]
    offline_shaders: bool,
    /// With --offline-shaders: GPUs to compile for, by the names of scripts/vendor-gpus.sh; `none` for none [default: all nine]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', requires = "offline_shaders", value_parser = offline::gpu)]
    gpus: Vec<String>,
    /// File of known driver bugs (TOML), in addition to the built-in list
    #[arg(long, value_name = "FILE")]
    expectations: Option<PathBuf>,
    /// Pass even if cases that are expected to fail pass
    #[arg(long)]
    allow_unexpected_pass: bool,
    /// Print the lines of the cases and stop
    #[arg(long)]
    list: bool,
    /// Optional features not to use, to bisect a driver bug
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FEATURE,…")]
    disable: Vec<FeatureName>,
    #[arg(long, value_name = "NAME", value_parser = variant, help = variants())]
    variant: Option<String>,
    /// Check buffer accesses in every kernel, or in none [default: in all except the convolutions]
    #[arg(long, value_enum, value_name = "on|off")]
    bounds_checks: Option<Switch>,
    /// Seconds that a case, or a shader compiler on one kernel, may take
    #[arg(long, value_name = "S", default_value_t = 60.0, value_parser = seconds)]
    timeout: f64,
    /// Start no case after this many seconds, and count those that are left
    #[arg(long, value_name = "S", value_parser = seconds)]
    limit: Option<f64>,
    /// Processes that run cases in parallel [default: one per core, at most 8, on a software driver; 1 on hardware, where two would
    /// disturb each other's times]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Skip the negative controls
    #[arg(long, hide = true)]
    no_controls: bool,
    /// Break a kernel in all cases (not in the negative controls), to see which check notices: SHADER: FROM => TO
    #[arg(long, hide = true, value_name = "FAULT")]
    fault: Vec<String>,
    /// More cases, at the end
    #[arg(long, hide = true, value_name = "LINE")]
    also: Vec<String>,
    /// Compute every convolution that it fits by this kernel or algorithm
    #[arg(long, hide = true, value_name = "NAME", value_parser = conv2d_switch)]
    conv2d: Option<Conv2dSwitch>,
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
    match Conv2dVariant::named(text) {
        Some(_) => Ok(text.into()),
        None => Err(format!("it is one of {}", NAMES.join(", "))),
    }
}

fn variants() -> String {
    format!("Only this kernel where there are several: {}", NAMES.join(", "))
}

fn conv2d_switch(text: &str) -> Result<Conv2dSwitch, String> {
    let names = || Conv2dSwitch::all().map(Conv2dSwitch::name).collect::<Vec<_>>().join(", ");
    Conv2dSwitch::named(text).ok_or_else(|| format!("it is one of {}", names()))
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
    let switches = environment::reported(&environment::of_process);
    let mut report = Report { switches, ..Report::new(args.suite.name(), args.filter.as_deref()) };
    let mut observer = Teller::new(context);
    for adapter in adapters(context, args)? {
        let target = ConvTarget { adapter: &adapter, switch: context.switches.conv2d };
        let mut chosen = selection.cases_on(target, &cases[..also]);
        let controls = if args.no_controls { Vec::new() } else { selection.controls_on(target, &chosen) };
        let left_out = match also - chosen.len() {
            0 => String::new(),
            n => format!("; --suite kernels has {n} more, of kernels that it does not use by default"),
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
    let options = DeviceOptions { disabled: args.disable.clone(), ..Default::default() };
    let options = context.switches.device_options(options);
    let bounds_checks = args.bounds_checks.map(|switch| switch == Switch::On).or(options.bounds_checks);
    let conv2d = args.conv2d.or(context.switches.conv2d).map(Conv2dSwitch::name);
    let options = DeviceOptions { conv2d, bounds_checks, ..options };
    let gpu = block_on(Gpu::open_with(&context.global.adapter()?, &options))?;
    args.fault.iter().try_for_each(|fault| controls::break_kernel(&gpu, fault))?;
    serve(&gpu)
}

/// Refuses a report whose name promises another format than it gets.
fn check_names(args: &VerifyArgs) -> Result<()> {
    let forms =
        [(&args.report, output_name::JSON), (&args.html, output_name::HTML), (&args.markdown, output_name::MARKDOWN)];
    forms.into_iter().try_for_each(|(path, form)| path.iter().try_for_each(|path| output_name::check(path, form)))
}

/// Writes the requested forms of the report, and prints one.
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
    // A report may come from a stranger, and a terminal interprets control characters.
    print(summary(report).replace(|c: char| c.is_control() && c != '\n', " "))
}

fn compare(args: &VerifyArgs, a: &Report, b: &Report) -> Result<()> {
    let comparison = compare::compare(a, b);
    if let Some(path) = &args.html {
        files::write(path, comparison.page().as_bytes())?;
    }
    if args.json { print_json(&comparison) } else { print(comparison.text()) }
}

/// The adapters to check.
fn adapters(context: &Context, args: &VerifyArgs) -> Result<Vec<AdapterReport>> {
    if !args.all_adapters {
        return Ok(vec![context.gpu_untuned()?.report().clone()]);
    }
    let (usable, others): (Vec<_>, Vec<_>) =
        block_on(list_adapters(context.global.backend)).into_iter().partition(|adapter| adapter.unusable.is_none());
    for other in others {
        let why = other.unusable.unwrap_or_default();
        context.console.note(format!("adapter {}: {} is left out: {why}", other.index, other.name));
    }
    usable.iter().try_for_each(|adapter| context.switches.check(adapter))?;
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
    // Children are told what the environment asks for, whatever theirs is.
    let bounds_checks = args.bounds_checks.or(context.switches.bounds_checks.then_some(Switch::On));
    if let Some(switch) = bounds_checks {
        arguments.extend(["--bounds-checks".to_owned(), name(&|| switch.to_possible_value())]);
    }
    arguments.extend(args.fault.iter().flat_map(|fault| ["--fault".to_owned(), fault.clone()]));
    let forced = args.variant.as_deref().or(context.switches.conv2d.map(Conv2dSwitch::name));
    arguments.extend(forced.iter().flat_map(|name| ["--conv2d".to_owned(), (*name).to_owned()]));
    Ok(Setup { program, loading: Vec::new(), arguments, environment: Vec::new() })
}

/// Reports what ends badly as it happens, the progress, and the estimated time left: on a terminal in a changing line, elsewhere
/// every ten seconds.
struct Teller<'a> {
    context: &'a Context<'a>,
    stop: Interrupt,
    adapter: String,
    line: ProgressBar,
    /// When something was last printed; `None` at the end.
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
