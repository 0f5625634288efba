#!/usr/bin/env python3
"""ResNet-50 by this program and by others, on one machine in one run: rounds in turn, medians, ratios.

    compare.py [--batch-size 8] [--rounds 3] [--peers ort-cpu,torch-cpu,ncnn-vulkan,ort-webgpu] [--json]

Weights are random, f32, 224 x 224; each peer's logits are checked against torch's before its times count. Vulkan peers use the driver
that VK_DRIVER_FILES selects. A peer that needs a Python of its own is given it by an environment variable: PYTHON_ORT_WEBGPU,
PYTHON_NCNN_VULKAN. See README.md for the set-up.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

THREADS = os.cpu_count() or 1
HERE = Path(__file__).resolve()
PROGRAM = HERE.parents[2] / "target" / "release" / "gpu-resnet"
INPUT, LOGITS = "input{}.npy", "logits{}.npy"


def prepare(folder: Path, batch: int) -> None:
    """Weights, input and torch's logits, and the network in the peers' formats; what is there stays."""
    import numpy as np
    import torch
    import torchvision
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    if (folder / LOGITS.format(batch)).exists():
        return
    torch.manual_seed(1)
    net = torchvision.models.resnet50(weights=None)
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        norm.momentum = 1.0
    with torch.no_grad():
        net.train()(torch.randn(4, 3, 224, 224))  # running statistics under which activations stay near 1
    net.eval()
    image = torch.randn(batch, 3, 224, 224)
    save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, folder / "resnet50.safetensors")
    save_file({"input": image}, folder / f"input{batch}.safetensors")
    np.save(folder / INPUT.format(batch), image.numpy())
    torch.onnx.export(
        net, image, str(folder / f"resnet50_{batch}.onnx"), input_names=["input"], output_names=["logits"], dynamo=False
    )
    if not (folder / "resnet50.ncnn.bin").exists():
        torch.jit.trace(net, image[:1]).save(str(folder / "resnet50.pt"))
        try:
            import pnnx

            pnnx.convert(str(folder / "resnet50.pt"), inputs=image[:1], fp16=False)
        except ImportError:
            print("pnnx is not installed, so there is no network for ncnn", file=sys.stderr)
    with torch.no_grad():
        np.save(folder / LOGITS.format(batch), net(image).numpy())


def runner(peer: str, folder: Path, batch: int, image):
    """A function that runs the batch once and gives its logits."""
    import numpy as np

    if peer in ("ort-cpu", "ort-webgpu"):
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = THREADS, 3
        wanted = "CPUExecutionProvider" if peer == "ort-cpu" else "WebGpuExecutionProvider"
        providers = [wanted] if peer == "ort-cpu" else [wanted, "CPUExecutionProvider"]
        session = ort.InferenceSession(str(folder / f"resnet50_{batch}.onnx"), options, providers=providers)
        if session.get_providers()[0] != wanted:
            raise SystemExit(f"{peer} fell back to the CPU")
        return lambda: session.run(None, {"input": image})[0]
    if peer == "torch-cpu":
        import torch
        import torchvision
        from safetensors.torch import load_file

        torch.set_num_threads(THREADS)
        net = torchvision.models.resnet50(weights=None).eval()
        net.load_state_dict(load_file(folder / "resnet50.safetensors"))
        net = net.to(memory_format=torch.channels_last)
        tensor = torch.from_numpy(image).to(memory_format=torch.channels_last)

        def run():
            with torch.inference_mode():
                return net(tensor).numpy()

        return run
    if peer == "ncnn-vulkan":
        import ncnn

        net = ncnn.Net()
        net.opt.num_threads, net.opt.use_vulkan_compute = THREADS, True
        for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
            setattr(net.opt, option, False)
        net.set_vulkan_device(0)
        net.load_param(str(folder / "resnet50.ncnn.param"))
        net.load_model(str(folder / "resnet50.ncnn.bin"))

        def one(pixels):  # ncnn has no batch
            extractor = net.create_extractor()
            extractor.input("in0", ncnn.Mat(pixels).clone())
            return np.array(extractor.extract("out0")[1])

        return lambda: np.stack([one(pixels) for pixels in image])
    raise SystemExit(f"there is no peer {peer}")


def work(peer: str, folder: Path, batch: int) -> None:
    """A peer's process: a line in, a line out with the seconds of one run."""
    import numpy as np

    image, expected = np.load(folder / INPUT.format(batch)), np.load(folder / LOGITS.format(batch))
    run = runner(peer, folder, batch, image)
    logits = run().reshape(expected.shape)
    print(json.dumps({"error": float(np.abs(logits - expected).max() / np.abs(expected).max())}), flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        run()
        print(json.dumps({"seconds": time.perf_counter() - started}), flush=True)
    os._exit(0)  # drivers may hang in their destructors


def ours(folder: Path, batch: int) -> float:
    """Seconds of one batch by this program, the median of three, after one that does not count."""
    command = [PROGRAM, "bench", "--weights", folder / "resnet50.safetensors", "--batch-size", str(batch)]
    done = subprocess.run([*command, "--iterations", "3", "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["runs"][0]["ms_per_image"] * batch / 1e3


def our_error(folder: Path, batch: int) -> float:
    import numpy as np
    from safetensors.numpy import load_file

    found = folder / "ours.safetensors"
    command = [PROGRAM, "-q", "infer", "--weights", folder / "resnet50.safetensors", "--save-logits", found, "--json"]
    tensor = ["--tensor", folder / f"input{batch}.safetensors", "--batch-size", str(batch)]
    subprocess.run([*command, *tensor], check=True, stdout=subprocess.DEVNULL)
    expected = np.load(folder / LOGITS.format(batch))
    return float(np.abs(load_file(found)["logits"] - expected).max() / np.abs(expected).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default="ort-cpu,torch-cpu,ncnn-vulkan")
    parser.add_argument("--folder", type=Path, default=HERE.parents[2] / "target" / "peers")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        return work(args.work, args.folder, args.batch_size)
    prepare(args.folder, args.batch_size)
    times, errors, workers = {"gpu-resnet": []}, {}, {}
    errors["gpu-resnet"] = our_error(args.folder, args.batch_size)
    for peer in args.peers.split(","):
        python = os.environ.get("PYTHON_" + peer.upper().replace("-", "_"), sys.executable)
        command = [python, HERE, "--work", peer, "--folder", args.folder, "--batch-size", str(args.batch_size)]
        worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        lines = (line for line in worker.stdout if line.startswith("{"))
        first = next(lines, None)
        if first is None:
            print(f"{peer} does not run here", file=sys.stderr)
            continue
        errors[peer], workers[peer], times[peer] = json.loads(first)["error"], (worker, lines), []
    for _ in range(args.rounds):
        times["gpu-resnet"].append(ours(args.folder, args.batch_size))
        for peer, (worker, lines) in workers.items():
            worker.stdin.write("run\n")
            worker.stdin.flush()
            times[peer].append(json.loads(next(lines))["seconds"])
    medians = {name: statistics.median(values) * 1e3 / args.batch_size for name, values in times.items()}
    rows = [
        {"name": n, "ms_per_image": ms, "times_ours": ms / medians["gpu-resnet"], "error": errors[n]} for n, ms in medians.items()
    ]
    if args.json:
        return print(json.dumps({"batch_size": args.batch_size, "rounds": args.rounds, "load": os.getloadavg()[0], "rows": rows}))
    print(f"batch size {args.batch_size}, medians of {args.rounds} rounds, {THREADS} threads, load {os.getloadavg()[0]:.1f}")
    print(f"{'':14}{'ms an image':>12}{'times ours':>12}{'error':>10}")
    for row in rows:
        print(f"{row['name']:14}{row['ms_per_image']:>12.1f}{row['times_ours']:>12.2f}{row['error']:>10.1e}")


if __name__ == "__main__":
    main()
