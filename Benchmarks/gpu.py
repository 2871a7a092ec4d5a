#!/usr/bin/env python3
"""Inference on a GPU: Ganglion's models beside timm's, in one run, in bfloat16 at batch 128.

    Benchmarks/gpu.py --python PYTHON_WITH_TIMM [--tool .build/release/ganglion] [--batch 128] [--compile]
                      [--models swin_tiny,convnext_tiny,mambaout_tiny,deit_small] [--others sparx_mamba_t,…]

Models of --models are measured on both sides, those of --others on ours alone. Prints the table of RESULTS.md.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = {
    "swin_tiny": "swin_tiny_patch4_window7_224", "convnext_tiny": "convnext_tiny", "mambaout_tiny": "mambaout_tiny",
    "deit_small": "deit_small_patch16_224"}


def output(command):
    result = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed with status {result.returncode}")
    return result.stdout


def row(name, form, median, low, high, memory, batch):
    return f"| {name} | {form} | {batch / median:.0f} | {1000 * median:.2f} ({1000 * low:.2f}–{1000 * high:.2f}) | {memory / 2**20:.0f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--tool", default=HERE.parent / ".build/release/ganglion")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--duration", type=float, default=2)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--models", default=",".join(PEERS))
    parser.add_argument("--others", default="sparx_mamba_t,sparx_mamba_s,sparx_mamba_b,vmamba_tiny_s1l8")
    options = parser.parse_args()
    shared = [name for name in options.models.split(",") if name]
    own = [name for name in options.others.split(",") if name] + shared
    document = json.loads(output([
        options.tool, "benchmark", *own, "--device", "cuda", "--dtype", "bfloat16", "--batch", options.batch, "--duration",
        options.duration, "--json", "--samples"]))
    print("| model | side | images/s | ms: median (10–90 %) | MiB |\n| --- | --- | --- | --- | --- |")
    for case in document["cases"]:
        calls = sorted(case["latencies"])
        memory = case["device_memory"]["peak_allocated"]
        print(row(
            case["settings"]["model"], "Ganglion", calls[len(calls) // 2], calls[len(calls) // 10],
            calls[len(calls) * 9 // 10], memory, options.batch))
    for compiled in [False] + [True] * options.compile:
        command = [
            options.python, HERE / "peers/timm_gpu.py", "--models", ",".join(PEERS[name] for name in shared), "--batch",
            options.batch, "--duration", options.duration] + ["--compile"] * compiled
        for line in output(command).splitlines() if shared else []:
            peer = json.loads(line)
            name = next(name for name in shared if PEERS[name] == peer["model"])
            print(row(
                name, f"timm, {peer['form']}", peer["median"], peer["low"], peer["high"], peer["peak_memory_bytes"],
                options.batch))


if __name__ == "__main__":
    main()
