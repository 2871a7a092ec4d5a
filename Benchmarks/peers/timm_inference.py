#!/usr/bin/env python3
"""A timm model on random images, eagerly in float32: the yardstick of Benchmarks/inference.py.

    timm_inference.py --model mambaout_tiny --size 224 --batch 1 --threads 2 --warm-up 1 --duration 5

Prints one JSON object: the seconds of each call, the peak memory of this process in bytes. With --image FILE it does what
`ganglion predict --random-weights` does, once, and prints the five most probable classes.
"""

import argparse
import json
import time
from pathlib import Path


def peak_memory():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    return 0


def predict(model, file):
    import torch
    from PIL import Image
    from timm.data import create_transform, resolve_data_config

    transform = create_transform(**resolve_data_config({}, model=model))
    with torch.inference_mode():
        pixels = transform(Image.open(file).convert("RGB")).unsqueeze(0)
        top = model(pixels).softmax(-1)[0].topk(5)
    print(", ".join(f"class {i} {100 * p:.2f} %" for p, i in zip(top.values.tolist(), top.indices.tolist())))


def measure(model, options):
    import torch

    images = torch.randn(options.batch, 3, options.size, options.size, generator=torch.Generator().manual_seed(0))
    latencies = []
    with torch.inference_mode():
        warm = time.perf_counter() + options.warm_up
        model(images)
        while time.perf_counter() < warm:
            model(images)
        end = time.perf_counter() + options.duration
        while len(latencies) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            model(images)
            latencies.append(time.perf_counter() - start)
    return latencies


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mambaout_tiny")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--warm-up", type=float, default=1)
    parser.add_argument("--duration", type=float, default=5)
    parser.add_argument("--image")
    options = parser.parse_args()
    # Inside, since what importing takes is part of what --image is for.
    import timm
    import torch

    if options.threads:
        torch.set_num_threads(options.threads)
    model = timm.create_model(options.model).eval()
    if options.image:
        predict(model, options.image)
        return
    latencies = measure(model, options)
    parameters = sum(p.numel() for p in model.parameters())
    print(json.dumps({
        "latencies": latencies, "peak_memory_bytes": peak_memory(), "parameters": parameters,
        "engine": f"PyTorch {torch.__version__}, timm {timm.__version__}"}))


if __name__ == "__main__":
    main()
