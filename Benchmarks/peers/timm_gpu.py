#!/usr/bin/env python3
"""timm models on a GPU, in bfloat16 by automatic casts and channels last: the other side of Benchmarks/gpu.py.

    timm_gpu.py --models swin_tiny_patch4_window7_224,deit_small_patch16_224 --batch 128 [--compile] [--duration 2]

Prints one JSON object a model: the median, the 10 % and the 90 % seconds of a call by CUDA events, and peak memory in bytes.
"""

import argparse
import json
import time

import timm
import torch


def seconds(call, duration):
    for _ in range(3):
        call()
    torch.cuda.synchronize()
    found, end = [], time.perf_counter() + duration
    while len(found) < 10 or time.perf_counter() < end:
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        stop.record()
        stop.synchronize()
        found.append(start.elapsed_time(stop) / 1000)
    return sorted(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", required=True)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--duration", type=float, default=2)
    options = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    for name in options.models.split(","):
        model = timm.create_model(name).eval().cuda().to(memory_format=torch.channels_last)
        images = torch.randn(options.batch, 3, options.size, options.size, device="cuda")
        images = images.to(memory_format=torch.channels_last)
        run = torch.compile(model) if options.compile else model
        torch.cuda.reset_peak_memory_stats()
        with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16):
            found = seconds(lambda: run(images), options.duration)
        print(json.dumps({
            "model": name, "form": "torch.compile" if options.compile else "eager", "calls": len(found),
            "median": found[len(found) // 2], "low": found[len(found) // 10], "high": found[len(found) * 9 // 10],
            "peak_memory_bytes": torch.cuda.max_memory_allocated(),
            "engine": f"PyTorch {torch.__version__}, timm {timm.__version__}"}), flush=True)
        del model, run
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
