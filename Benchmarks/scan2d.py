#!/usr/bin/env python3
"""The scan of a map in four directions: Ganglion's kernel, its definition and the PyTorch peers, in one run.

    Benchmarks/scan2d.py [--python PYTHON_WITH_TORCH] [--threads 2] [--quick]

Builds and runs `Benchmarks/Sources/scan2d` and, with the Python given, `Benchmarks/peers/ss2d_scan.py`, one after the
other on the same machine, and prints the tables of RESULTS.md.
"""

import argparse
import datetime
import json
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

# Operations on the multiply-add units for one vector of one direction, counted in Sources/CKernels/kernel: softplus 17, decay
# 8, recurrence and output 4, and the expansion of the time step over its rank; the backward pass does most of
# that again and its own part.
OPERATIONS = {"forward": lambda rank: 29 + rank, "backward": lambda rank: 61 + 3 * rank}


def lines(command):
    """The command's records, shown on standard error as they come."""
    records = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            print(line, end="", file=sys.stderr)
            records.append(json.loads(line))
            records[-1]["shape"] = records[-1].get("shape", [])[:4]
    if process.returncode != 0:
        sys.exit(f"{command[0]} failed with status {process.returncode}")
    return records


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def roof(record, machine, direction):
    """Milliseconds that the larger of arithmetic and traffic takes at the measured rates."""
    batch, channels, height, width = record["shape"]
    elements = batch * channels * height * width
    arithmetic = elements * 4 * OPERATIONS[direction](record["rank"]) / machine["fma_per_s"]
    maps = {"forward": 2, "backward": 3}[direction]
    rows = 4 * (record["rank"] + 2) * batch * height * width * {"forward": 1, "backward": 2}[direction]
    traffic = 4 * (maps * elements + rows) / machine["bytes_per_s"]
    return 1e3 * max(arithmetic, traffic)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", help="a Python with torch 2.11.0; without it the peers are left out")
    parser.add_argument("--threads", default="2")
    parser.add_argument("--capability", help="the kernels' instruction set: portable, avx2 or avx512")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions and chunk sizes")
    options = parser.parse_args()

    subprocess.run(["swift", "build", "-c", "release"], cwd=HERE, check=True, stdout=sys.stderr)
    command = [HERE / ".build/release/scan2d", "--threads", options.threads]
    if options.capability:
        command += ["--capability", options.capability]
    if options.quick:
        command += ["--repetitions", "7", "--naive-repetitions", "1"]
    ours = lines(command)
    peers = []
    if options.python:
        command = [options.python, HERE / "peers/ss2d_scan.py", "--threads", options.threads]
        if options.quick:
            command += ["--chunks", "14", "28", "56", "--compile-chunks", "14", "56", "--repetitions", "3"]
        peers = lines(command)

    machine = next(record for record in ours if record["name"] == "machine")
    print(f"{datetime.date.today()}, {processor()}, {options.threads} threads, float32, N = 1, kernel {machine['kernel']}, ")
    print(
        f"LibTorch {machine['libtorch']}; measured in the same run: {machine['fma_per_s'] / 1e9:.0f} G multiply-adds/s "
        f"(in registers), {machine['bytes_per_s'] / 1e9:.1f} GB/s (copy, read and write).\n")

    def find(name, shape, direction):
        return next(
            (r for r in ours + peers if r["name"] == name and r["shape"] == shape and r["direction"] == direction), None)

    print("| map | pass | variant | ms, median (spread) | ns per pixel, channel, direction | one-pass is faster by | share of the roof |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    shapes = []
    for record in ours:
        if record["name"] != "machine" and record["shape"] not in shapes:
            shapes.append(record["shape"])
    names = []
    for record in ours + peers:
        if record["name"] not in names and record["name"] != "machine":
            if record["name"].startswith(("ganglion", "best ")):
                names.append(record["name"])
    for shape in shapes:
        for direction in ("forward", "forward+backward"):
            base = find("ganglion one-pass", shape, direction)
            forward = find("ganglion one-pass", shape, "forward")
            for name in names:
                record = find(name, shape, direction)
                if not record:
                    continue
                batch, channels, height, width = shape
                per = 1e6 * record["median_ms"] / (4 * batch * channels * height * width)
                share = ""
                if name == "ganglion one-pass":
                    limit = roof(forward, machine, "forward")
                    if direction != "forward":
                        limit += roof(forward, machine, "backward")
                    share = f"{100 * limit / record['median_ms']:.0f} %"
                chunk = f", chunk {record['chunk']}" if record.get("chunk") else ""
                factor = "" if record is base else f"{record['median_ms'] / base['median_ms']:.1f}x"
                print(
                    f"| {'x'.join(map(str, shape))} | {direction} | {name}{chunk} | {record['median_ms']:.1f} "
                    f"({record['spread_ms']:.1f}) | {per:.2f} | {factor} | {share} |")


if __name__ == "__main__":
    main()
