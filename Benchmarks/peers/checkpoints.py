"""PyTorch's own checkpoints of SparX-Mamba, read by ganglion.

For each variant, fills the authors' state dictionary by the rule of the reference files, saves it with torch.save inside
a training checkpoint (averages, weights and optimizer state, every key behind `module.`), and lets `ganglion verify`
load that file and compare the model's outputs with the reference's. The weights that are not the averages are zeros, so
that taking the wrong dictionary shows. `ganglion convert` then turns the file into safetensors and back; PyTorch loads
the result with weights_only=True and must find the same bits.

    python Benchmarks/peers/checkpoints.py REFERENCES [--ganglion .build/release/ganglion] [--variants t s b]

REFERENCES is the folder of reference files, sparx_mamba_t.json and so on. Prints one JSON object a line: variant, format,
case, passed, the largest error with its tolerance, and megabytes. Exits with 1 if anything differs.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch

from ss2d_scan import fill


def state(reference):
    """The reference's state dictionary, filled; integer tensors stay at zero."""
    tensors = {}
    for entry in reference["state"]:
        if entry["lo"] is None:
            tensors[entry["key"]] = torch.zeros(entry["shape"], dtype=getattr(torch, entry["dtype"]))
        else:
            tensors[entry["key"]] = fill(entry["key"], entry["shape"], entry["lo"], entry["hi"])
    return tensors


def training_checkpoint(tensors):
    wrapped = {f"module.{key}": value for key, value in tensors.items()}
    first = next(key for key in wrapped if wrapped[key].is_floating_point())
    parameter = torch.nn.Parameter(wrapped[first].clone())
    optimizer = torch.optim.AdamW([parameter], lr=1e-3)
    parameter.sum().backward()
    optimizer.step()
    return {
        "epoch": 299,
        "model": {key: torch.zeros_like(value) for key, value in wrapped.items()},
        "model_ema": wrapped,
        "optimizer": optimizer.state_dict(),
        "args": argparse.Namespace(model="sparx_mamba", lr=1e-3),
    }


def ganglion(tool, *arguments):
    return subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, check=False)


def check(tool, reference, variant, folder, old):
    tensors = state(json.loads(reference.read_text()))
    saved = folder / f"{variant}.pth"
    torch.save(training_checkpoint(tensors), saved, _use_new_zipfile_serialization=not old)
    passed = True
    verified = ganglion(tool, "verify", reference, "--weights", saved, "--json")
    results = json.loads(verified.stdout)["results"] if verified.stdout else []
    if not results:
        print(verified.stderr, file=sys.stderr)
        passed = False
    form = "pickles" if old else "zip"
    for result in results:
        worst = result.get("worst") or {}
        line = {
            "variant": variant,
            "format": form,
            "case": result["id"],
            "passed": result["passed"],
            "what": worst.get("name"),
            "error": worst.get("error"),
            "tolerance": worst.get("tolerance"),
            "megabytes": round(saved.stat().st_size / 1e6, 1),
        }
        print(json.dumps(line), flush=True)
        passed = passed and result["passed"]
    first, back, second = (folder / name for name in ("first.safetensors", "back.pth", "second.safetensors"))
    for source, target in ((saved, first), (first, back), (back, second)):
        converted = ganglion(tool, "convert", source, target)
        if converted.returncode != 0:
            print(converted.stderr, file=sys.stderr)
            return False
    loaded = torch.load(back, weights_only=True)
    same = list(loaded) == list(tensors) and all(
        loaded[key].dtype == value.dtype and torch.equal(loaded[key], value) for key, value in tensors.items()
    )
    identical = first.read_bytes() == second.read_bytes()
    line = {"variant": variant, "format": form, "case": "convert", "passed": same and identical, "tensors": len(loaded)}
    print(json.dumps(line), flush=True)
    return passed and same and identical


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("references", type=pathlib.Path, help="folder of reference files")
    parser.add_argument("--ganglion", default=".build/release/ganglion", help="the tool")
    parser.add_argument("--variants", nargs="+", default=["t", "s", "b"], help="which SparX-Mamba variants")
    parser.add_argument("--old", action="store_true", help="save in the form before PyTorch 1.6")
    options = parser.parse_args()
    passed = True
    for variant in options.variants:
        reference = options.references / f"sparx_mamba_{variant}.json"
        with tempfile.TemporaryDirectory() as folder:
            passed &= check(options.ganglion, reference, variant, pathlib.Path(folder), options.old)
    sys.exit(0 if passed else 1)


main()
