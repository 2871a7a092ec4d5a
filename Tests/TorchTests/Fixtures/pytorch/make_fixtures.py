"""Checkpoints as PyTorch writes them, and what is in them: expected.json names for each file the dictionary of weights,
the prefix left out of its keys, and every tensor's type, shape and bytes in row-major order (hexadecimal).

    python make_fixtures.py        # PyTorch 2.11.0; writes beside this file
"""

import argparse
import collections
import json
import pathlib
import struct

import numpy as np
import torch
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent
expected = {}


def elements(tensor):
    """The bytes in row-major order; NaN payloads and signs of zero as they are."""
    flat = tensor.detach().contiguous().reshape(-1)
    return (flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"").hex()


def save(name, value, weights, path="", prefix="", **options):
    torch.save(value, HERE / name, **options)
    expected[name] = {
        "path": path,
        "prefix": prefix,
        "tensors": [
            {
                "key": key,
                "dtype": str(tensor.dtype).removeprefix("torch."),
                "shape": list(tensor.shape),
                "bytes": elements(tensor),
            }
            for key, tensor in weights.items()
        ],
    }


class Meter:
    """Stands for any object of a class that only the training code knows."""

    def __init__(self):
        self.values = [1.5, 2.5]
        self.parent = self


def every_type():
    types = ["uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
    tensors = {name: torch.arange(-3 if name[0] != "u" else 0, 4).to(getattr(torch, name)) for name in types}
    tensors["bool"] = torch.tensor([[True, False], [False, True]])
    bits = [0x7FC00001, 0xFFA12345, 0x80000000, 0x00000001, 0x7F800000, 0xFF800000]
    tensors["float32.special"] = torch.frombuffer(bytearray(struct.pack("<6I", *bits)), dtype=torch.float32)
    return tensors


def views():
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    return {
        "whole": base,
        "transposed": base.transpose(0, 2),
        "part": base[1, 1:, ::2],
        "tied": base,
        "expanded": torch.tensor([1.0, 2.0]).reshape(2, 1).expand(2, 3),
        "windows": torch.arange(6, dtype=torch.int16).unfold(0, 3, 1),
        "channels_last": torch.arange(16, dtype=torch.float16).reshape(1, 2, 2, 4).to(memory_format=torch.channels_last),
        "bytes": torch.arange(8, dtype=torch.uint8)[3:6],
        "doubles": torch.arange(4, dtype=torch.float64).reshape(2, 2).T,
        "scalar": torch.tensor(7),
        "flag": torch.tensor([[True, False, True]]).T,
    }


def empty():
    return {"none": torch.empty(0), "row": torch.empty(3, 0, 2, dtype=torch.int64), "one": torch.ones(1, 1, 1)}


def training(weights, average):
    optimizer = torch.optim.AdamW([nn.Parameter(torch.ones(2, 2))], lr=1e-3)
    loss = sum(p.sum() for p in optimizer.param_groups[0]["params"])
    loss.backward()
    optimizer.step()
    scores = collections.defaultdict(list)
    scores["top1"].append(np.float64(0.5))
    return {
        "model": weights,
        "model_ema": average,
        "optimizer": optimizer.state_dict(),
        "epoch": 12,
        "best": np.float32(81.5),
        "huge": 1 << 100,
        "negative": -(1 << 63),
        "rng": torch.get_rng_state()[:16],
        "args": argparse.Namespace(lr=0.001, names=("a", "b"), nested={"deep": {1, 2}}, path=pathlib.PurePosixPath("x")),
        "meter": Meter(),
        "scores": scores,
        "blob": b"\x00\xff" * 3,
        "frozen": frozenset(["x"]),
        "complex": 1 + 2j,
        "dtype": torch.float16,
        "device": torch.device("cpu"),
        "size": torch.Size([1, 2]),
        "text": "naïve \U0001f419",
        "ordered": collections.OrderedDict([("b", 1), ("a", 2)]),
        "nothing": None,
    }


def network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2, bias=False))
    return model.state_dict(keep_vars=True)


def main():
    np.random.seed(0)
    torch.manual_seed(0)
    types, state = every_type(), network()
    save("types.pth", types, types)
    save("views.pth", views(), views())
    save("empty.pth", empty(), empty())
    save("module.pth", state, state)
    wrapped = {f"module.{key}": value for key, value in state.items()}
    save("wrapped.pth", {"state_dict": wrapped, "arch": "toy"}, state, "state_dict", "module.")
    mixed = dict(list(wrapped.items())[:2]) | {"loose": torch.ones(1)}
    save("mixed.pth", mixed, mixed)
    average = {key: value.detach().clone() + 1 for key, value in state.items()}
    for protocol in (2, 3, 4, 5):
        save(f"training{protocol}.pth", training(state, average), average, "model_ema", pickle_protocol=protocol)
    attributed = torch.arange(3.0)
    attributed.note = "mine"
    kept = nn.Parameter(torch.arange(4.0))
    kept.owner = "me"
    special = {"attributed": attributed, "parameter": kept, "buffer": nn.Buffer(torch.arange(2.0))}
    save("attributes.pth", special, special)
    with_others = {
        "weight": torch.arange(2.0),
        "complex": torch.tensor([1 + 2j]),
        "short": torch.tensor([1, 2], dtype=torch.uint16),
        "small": torch.tensor([1.0], dtype=torch.float8_e4m3fn),
        "quantized": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
        "sparse": torch.eye(2).to_sparse(),
        "negated": torch._neg_view(torch.arange(2.0)),
        "step": 3,
    }
    save("others.pth", with_others, {"weight": with_others["weight"]})
    torch.serialization.set_crc32_options(False)
    save("unchecked.pth", types, types)
    torch.serialization.set_crc32_options(True)
    old = {"_use_new_zipfile_serialization": False}
    save("old_types.pth", types, types, **old)
    save("old_views.pth", views(), views(), **old)
    save("old_empty.pth", empty(), empty(), **old)
    for protocol in (1, 2, 4):
        save(
            f"old_training{protocol}.pth", training(state, average), average, "model_ema", pickle_protocol=protocol, **old
        )
    torch.save(torch.ones(2), HERE / "bare_tensor.pth")
    torch.save(nn.Linear(2, 2), HERE / "whole_module.pth")
    torch.save({"epoch": 1, "net": {"inner": {"w": torch.ones(2)}}}, HERE / "unusual.pth")
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), HERE / "script.pt")
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


main()
