"""Reference files of models that timm has and no other reference exists of.

Fills every tensor of timm's model by the rule of the reference files (Fixtures/README.md), runs it in float64 and in
float32, and writes a file that `ganglion verify` takes: keys, shapes, parameters, multiply-adds, logits and the maps of
the stages at two sizes.

    python Benchmarks/peers/timm_reference.py NAME --output Fixtures/models/NAME.json
    python Benchmarks/peers/timm_reference.py convnext_tiny --compare REFERENCE

NAME is a model that both timm and Ganglion know under that name, whose timm model has `stages`. With --compare nothing is
written: every number is compared with those of an existing file, and the exit code is 1 if one differs by more than its
last digit.
"""

import argparse
import json
import math
import os
import pathlib
import sys

import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from ss2d_scan import fill

SIZES = {"eval_224": (224, 224), "eval_192x256": (192, 256)}
COUNTED = (
    "multiply-adds of convolutions, linear layers and attention products (torch FlopCounterMode / 2); norms and "
    "activations not counted"
)


def bounds(key, shape):
    """Where a tensor's values lie, so that maps stay near 1 and every branch matters."""
    name = key.rsplit(".", 1)[-1]
    if name == "gamma":
        return 0.5, 1.0
    if len(shape) > 1:
        bound = math.sqrt(3 / math.prod(shape[1:]))
        return -bound, bound
    return (-0.1, 0.1) if name == "bias" else (0.8, 1.2)


def digits(values):
    return [float(f"{value:.9g}") for value in values]


def summary(name, x):
    flat = x.flatten()
    places = [i * flat.numel() // 32 for i in range(32)]
    numbers = {
        "mean": flat.mean(),
        "std": flat.std(correction=0),
        "absmax": flat.abs().max(),
    }
    return {
        "name": name,
        "shape": list(x.shape),
        **{key: digits([value.item()])[0] for key, value in numbers.items()},
        "first32": digits(flat[:32].tolist()),
        "strided32": digits(flat[places].tolist()),
    }


def run(model, images):
    maps = []
    hooks = [stage.register_forward_hook(lambda _, __, output: maps.append(output)) for stage in model.stages]
    with torch.no_grad():
        logits = model(images)
    for hook in hooks:
        hook.remove()
    return logits, maps


def error(single, double):
    return float(f"{((single.double() - double).abs().max() / double.abs().max()).item():.3g}")


def reference(name):
    model = timm.create_model(name).eval()
    if any(not value.is_floating_point() for value in model.state_dict().values()):
        sys.exit(f"timm_reference: {name} has integer tensors, which this script does not know")
    parameters = {key for key, _ in model.named_parameters()}
    state = []
    for key, value in model.state_dict().items():
        low, high = bounds(key, value.shape)
        entry = {"key": key, "shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
        state.append({**entry, "kind": "parameter" if key in parameters else "buffer", "lo": low, "hi": high})
    filled = {entry["key"]: fill(entry["key"], entry["shape"], entry["lo"], entry["hi"]) for entry in state}
    model.load_state_dict(filled)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, 224, 224))
    total = counter.get_total_flops() // 2
    cases = []
    for case, (height, width) in SIZES.items():
        shape = [1, 3, height, width]
        key = "input:" + "x".join(map(str, shape))
        images = fill(key, shape, -2, 2)
        single, single_maps = run(model.float(), images)
        logits, maps = run(model.double(), images.double())
        cases.append(
            {
                "id": case,
                "kind": "forward",
                "mode": "eval",
                "fill_prefix": "",
                "input_key": key,
                "input_shape": shape,
                "input_lo": -2.0,
                "input_hi": 2.0,
                "logits": digits(logits.flatten().tolist()),
                "logits_absmax": digits([logits.abs().max().item()])[0],
                "stages": [summary(f"stage{i + 1}", x) for i, x in enumerate(maps)],
                "float32_reference_error": {
                    "logits": error(single, logits),
                    "stages": [error(a, b) for a, b in zip(single_maps, maps)],
                },
            }
        )
    source = model.__class__.__module__.replace(".", "/") + ".py"
    return {
        "name": name,
        "source": {
            "repo": "huggingface/pytorch-image-models (pip timm)",
            "file": source,
            "commit": f"{timm.__version__} (pip)",
        },
        "parameters": sum(value.numel() for value in model.parameters()),
        "flops": {
            "input": [1, 3, 224, 224],
            "macs_conv_linear_attention": total,
            "scan_ops": 0,
            "total": total,
            "how": COUNTED,
        },
        "state": state,
        "cases": cases,
    }


def differences(own, other, place=""):
    """The places where two files' numbers differ, those of float32 runs aside."""
    if place.endswith(".float32_reference_error") or place in (".source.commit", ".flops.how"):
        return
    if isinstance(own, dict):
        for key in own:
            yield from differences(own[key], other.get(key), f"{place}.{key}")
    elif isinstance(own, list):
        if not isinstance(other, list) or len(own) != len(other):
            yield f"{place}: {len(own)} entries"
            return
        for index, pair in enumerate(zip(own, other)):
            yield from differences(*pair, f"{place}[{index}]")
    elif isinstance(own, float):
        if not isinstance(other, (int, float)) or abs(own - other) > 1e-8 * max(abs(own), 1e-3):
            yield f"{place}: {own}, there {other}"
    elif own != other:
        yield f"{place}: {own}, there {other}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("name")
    where = arguments.add_mutually_exclusive_group(required=True)
    where.add_argument("--output", type=pathlib.Path)
    where.add_argument("--compare", type=pathlib.Path)
    options = arguments.parse_args()
    made = reference(options.name)
    if options.compare:
        found = list(differences(made, json.loads(options.compare.read_text())))
        print("\n".join(found[:20]) or f"every number is that of {options.compare}")
        sys.exit(1 if found else 0)
    temporary = options.output.with_suffix(".tmp")
    temporary.write_text(json.dumps(made, separators=(",", ":")) + "\n")
    os.replace(temporary, options.output)
    print(f"{options.output}: {made['parameters']} parameters, {made['flops']['total']} multiply-adds")


if __name__ == "__main__":
    main()
