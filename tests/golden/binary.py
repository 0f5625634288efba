"""Running the built `gpu-resnet` from a script: its options, its errors, and its peak memory."""
import argparse
import json
import pathlib
import subprocess
import sys

# A small process between this one and the binary: Linux counts what a process held before exec towards its peak.
MEASURE = """
import json, resource, subprocess, sys, time
start = time.monotonic()
status = subprocess.call(sys.argv[2:])
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
open(sys.argv[1], "w").write(json.dumps({"status": status, "peak_bytes": usage.ru_maxrss * 1024, "seconds": time.monotonic() - start}))
"""


def parser(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("binary", nargs="?", default=pathlib.Path(__file__).parents[2] / "target/release/gpu-resnet", type=pathlib.Path,
                        help="the built gpu-resnet (default: target/release/gpu-resnet)")
    parser.add_argument("--adapter", help="passed on; so is the environment, with GPU_RESNET_ADAPTER and VK_DRIVER_FILES")
    parser.add_argument("--backend", help="passed on")
    return parser


class Binary:
    def __init__(self, options):
        if not options.binary.is_file():
            sys.exit(f"{options.binary}: not there; build it with `cargo build --release`, or name it")
        self.command = [str(options.binary.resolve())]
        for name in ("adapter", "backend"):
            if getattr(options, name):
                self.command += [f"--{name}", getattr(options, name)]

    def run(self, *arguments):
        """Runs a command; anything but exit status 0 is an error with what it said."""
        done = subprocess.run(self.command + [str(a) for a in arguments], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"exit status {done.returncode} from {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done.stdout

    def measure(self, scratch, *arguments):
        """The same, and {"status", "peak_bytes", "seconds"} of it."""
        report = pathlib.Path(scratch) / "usage.json"
        subprocess.run([sys.executable, "-I", "-S", "-c", MEASURE, report, *self.command, *map(str, arguments)], check=True)
        usage = json.loads(report.read_text())
        if usage["status"]:
            raise RuntimeError(f"exit status {usage['status']} from {' '.join(map(str, arguments))}")
        return usage
