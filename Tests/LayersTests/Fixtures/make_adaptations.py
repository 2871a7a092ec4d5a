#!/usr/bin/env python3
"""Writes adaptations.json beside itself: what timm and torch make of weights of another size.

    python make_adaptations.py        with torch 2.11.0 and timm 1.0.31
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from timm.layers import resample_abs_pos_embed, resize_rel_pos_bias_table_simple
from timm.models._manipulate import adapt_input_conv

torch.manual_seed(0)
cases = []


def add(name, given, output, **attributes):
    def tensor(value):
        return {"shape": list(value.shape), "values": [float(f"{x:.9g}") for x in value.flatten().tolist()]}

    cases.append({"name": name, "attributes": attributes, "inputs": {"given": tensor(given)}, "output": tensor(output)})


for extra, given, height, width in [(0, 4, 6, 6), (1, 4, 7, 7), (1, 7, 4, 4), (2, 3, 4, 5)]:
    table = torch.randn(1, extra + given * given, 3)
    output = resample_abs_pos_embed(table, [height, width], num_prefix_tokens=extra)
    add(f"positions {extra}+{given}x{given} to {height}x{width}", table, output, extra=extra, height=height, width=width)

# One token between the two halves of the positions.
table, token = torch.randn(1, 9, 3), torch.randn(1, 1, 3)
grid = resample_abs_pos_embed(table, [4, 5], num_prefix_tokens=0)
add(
    "positions with a token in the middle",
    torch.cat([table[:, :4], token, table[:, 4:]], 1),
    torch.cat([grid[:, :10], token, grid[:, 10:]], 1),
    extra="middle", height=4, width=5,
)

for given, height, width in [(2, 3, 3), (4, 3, 3), (3, 4, 5)]:
    table = torch.randn((2 * given - 1) ** 2, 2)
    shape = ((2 * height - 1) * (2 * width - 1), 2)
    add(
        f"relative positions {given} to {height}x{width}", table,
        resize_rel_pos_bias_table_simple(table, (height, width), shape), height=height, width=width,
    )

table = torch.randn(1, 2, 9, 4)
add("map", table, F.interpolate(table, size=(16, 6), mode="bicubic", align_corners=False))

for channels in [1, 2, 4, 7]:
    weight = torch.randn(2, 3, 3, 3)
    add(f"image channels 3 to {channels}", weight, adapt_input_conv(channels, weight.clone()))

path = Path(__file__).with_name("adaptations.json")
path.write_text(json.dumps({"op": "adaptations", "source": "timm 1.0.31, torch 2.11.0", "cases": cases}) + "\n")
