#!/usr/bin/env python3
"""Inference and start-up on a CPU: Ganglion's models beside timm's, in one run.

    Benchmarks/inference.py --python PYTHON_WITH_TIMM [--model sparx_mamba_t] [--peer mambaout_tiny] [--size 224]
                            [--batch 1,8] [--threads 2] [--rounds 3] [--instructions avx2]

Needs the tool built by `make build`. Every case is measured in a process of its own; rounds alternate between the sides, so that
what slows the machine for a while slows both. Prints the tables of RESULTS.md.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOOL = HERE.parent / ".build/release/ganglion"


def environment(instructions):
    """What restricts both sides to an older instruction set."""
    if instructions == "avx2":
        return {
            **os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
            "GANGLION_CPU_KERNELS": "avx2"}
    return dict(os.environ)


def output(command, env):
    result = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, env=env)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed with status {result.returncode}")
    return result.stdout


def ganglion(model, batch, options, extra, env):
    command = [
        TOOL, "benchmark", model, "--size", options.size, "--batch", batch, "--threads", options.threads,
        "--warm-up", options.warm_up, "--duration", options.duration, "--json", "--samples", *extra]
    case = json.loads(output(command, env))["cases"][0]
    return case["latencies"], case["peak_memory_bytes"]


def peer(model, batch, options, env):
    command = [
        options.python, HERE / "peers/timm_inference.py", "--model", model, "--size", options.size, "--batch", batch,
        "--threads", options.threads, "--warm-up", options.warm_up, "--duration", options.duration]
    case = json.loads(output(command, env))
    return case["latencies"], case["peak_memory_bytes"]


class Side:
    def __init__(self, name, measure):
        self.name, self.measure, self.latencies, self.memory = name, measure, [], 0

    def add(self):
        latencies, memory = self.measure()
        self.latencies += latencies
        self.memory = max(self.memory, memory)


def throughput(options, env):
    print("| model | batch | images/s (quartiles) | p50 ms | p99 ms | peak memory, MiB | against the peer |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for batch in options.batch.split(","):
        sides = [Side(f"{options.peer}, timm eager", lambda b=batch: peer(options.peer, b, options, env))]
        for name, extra in [("prepared", []), ("plain", ["--plain"])]:
            sides.append(Side(
                f"{options.model}, {name}", lambda b=batch, e=extra: ganglion(options.model, b, options, e, env)))
        for _ in range(options.rounds):
            for side in sides:
                side.add()
        rate = int(batch) / statistics.median(sides[0].latencies)
        for side in sides:
            low, middle, high = statistics.quantiles(side.latencies, n=4)
            ordered = sorted(side.latencies)
            own, n = int(batch) / middle, int(batch)
            print(
                f"| {side.name} | {batch} | {own:.1f} ({n / high:.1f}–{n / low:.1f}) | {1e3 * middle:.1f} | "
                f"{1e3 * ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]:.1f} | {side.memory / 2**20:.0f} | "
                f"{own / rate:.2f}x |", flush=True)
    print()


def start_up(options, env):
    """From the start of a process to its end, one picture predicted with random weights in between."""
    with tempfile.TemporaryDirectory() as folder:
        picture = options.image or Path(folder) / "picture.png"
        if not options.image:
            script = (
                "import sys; from PIL import Image; "
                "Image.effect_noise((640, 480), 80).convert('RGB').save(sys.argv[1])")
            output([options.python, "-c", script, picture], env)
        sides = {
            f"Python, timm {options.peer}": [
                options.python, HERE / "peers/timm_inference.py", "--model", options.peer, "--threads", options.threads,
                "--image", picture],
            f"ganglion predict {options.model}": [
                TOOL, "predict", "--model", options.model, "--random-weights", "--threads", options.threads, picture],
        }
        seconds = {name: [] for name in sides}
        for _ in range(options.starts):
            for name, command in sides.items():
                start = time.perf_counter()
                subprocess.run(
                    [str(part) for part in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    env=env)
                seconds[name].append(time.perf_counter() - start)
    print("| process start to its end, one picture | seconds, median (smallest–largest) | against Python |")
    print("| --- | --- | --- |")
    reference = statistics.median(next(iter(seconds.values())))
    for name, values in seconds.items():
        middle = statistics.median(values)
        print(f"| {name} | {middle:.2f} ({min(values):.2f}–{max(values):.2f}) | {middle / reference:.2f}x |")


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", required=True, help="a Python with torch, torchvision and timm")
    parser.add_argument("--model", default="sparx_mamba_t")
    parser.add_argument("--peer", default="mambaout_tiny")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", default="1,8")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--warm-up", type=float, default=1)
    parser.add_argument("--duration", type=float, default=5)
    parser.add_argument("--starts", type=int, default=5, help="starts of each side; 0 leaves the start-up out")
    parser.add_argument("--image", help="the picture of the start-up; noise of 640 by 480 pixels by default")
    parser.add_argument("--instructions", choices=["all", "avx2"], default="all")
    options = parser.parse_args()
    if not TOOL.exists():
        sys.exit("build the tool first: make build")
    env = environment(options.instructions)
    print(f"{processor()}, {options.threads} threads, {options.instructions} instructions, float32, "
          f"{options.size}x{options.size}, {options.rounds} rounds\n")
    if options.rounds:
        throughput(options, env)
    if options.starts:
        start_up(options, env)


if __name__ == "__main__":
    main()
