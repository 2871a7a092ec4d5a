"""The SS2D scan of VMamba and SparX in PyTorch, timed on a CPU.

Every variant computes the same thing from x [B, D, H, W] and proj [B, 4 (R + 2 N), H W]: low-rank dt expansion,
softplus, the scan in four directions, and the sum of the four outputs, each put back in place:

  sequential   one step of the recurrence at a time (the definition)
  blocked      positions in chunks: all chunks advance together, one position at a time; then states are carried
               from chunk to chunk and added with their decay. As much arithmetic as the definition, but few and
               long operators.
  associative  positions in chunks: prefix doubling of (decay, input) pairs inside all chunks at once; then the
               same carry.

Decays are only ever multiplied, never divided by, so every form is sound in float32.
One JSON object a line: name, shape [B, D, H, W, R, N], chunk, direction, median_ms, spread_ms (largest minus
smallest), difference (largest relative difference from the definition, output and gradients), threads.
"""

import argparse
import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F

# SparX-Mamba-T at 224 x 224: channels, height, width, rank of dt.
SHAPES = [(192, 56, 56, 6), (384, 28, 28, 12), (640, 14, 14, 20), (1024, 7, 7, 32)]


def fill(key, shape, lo, hi):
    """Uniform numbers in [lo, hi) from SplitMix64 seeded by FNV-1a of the key: the same in every language."""
    mask = (1 << 64) - 1
    seed = 0xCBF29CE484222325
    for byte in key.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & mask
    count = 1
    for size in shape:
        count *= size

    def signed(value):
        value &= mask
        return value - (1 << 64) if value >> 63 else value

    def shift(z, bits):
        return (z >> bits) & ((1 << (64 - bits)) - 1)

    z = signed(seed) + torch.arange(1, count + 1, dtype=torch.int64) * signed(0x9E3779B97F4A7C15)
    z = (z ^ shift(z, 30)) * signed(0xBF58476D1CE4E5B9)
    z = (z ^ shift(z, 27)) * signed(0x94D049BB133111EB)
    z = z ^ shift(z, 31)
    unit = shift(z, 40).double() * 2.0**-24
    return (lo + (hi - lo) * unit).float().reshape(shape)


def inputs(batch, channels, height, width, rank, states):
    length = height * width
    made = {
        "x": fill("x", (batch, channels, height, width), -1, 1),
        "proj": fill("proj", (batch, 4 * (rank + 2 * states), length), -1, 1),
        "dt_weight": fill("dt_weight", (4, channels, rank), -(rank**-0.5), rank**-0.5),
        "dt_bias": fill("dt_bias", (4, channels), -7, -3),
        "a": fill("a", (4 * channels, states), -4, -0.1),
        "d": fill("d", (4 * channels,), -1, 1),
    }
    return {name: value.requires_grad_() for name, value in made.items()}


def cross_scan(planes, height, width):
    """[B, 4, C, H W] over pixels to the order in which each direction visits them."""
    rows, columns, back_rows, back_columns = planes.unbind(1)

    def transposed(p):
        return p.unflatten(-1, (height, width)).transpose(-1, -2).flatten(-2)

    return torch.stack([rows, transposed(columns), back_rows.flip(-1), transposed(back_columns).flip(-1)], 1)


def cross_merge(ys, height, width):
    """[B, 4, C, H W] in each direction's order to the sum over directions [B, C, H, W]."""
    rows, columns, back_rows, back_columns = ys.unbind(1)
    by_rows = rows + back_rows.flip(-1)
    by_columns = columns + back_columns.flip(-1)
    return by_rows.unflatten(-1, (height, width)) + by_columns.unflatten(-1, (width, height)).transpose(
        -1, -2
    )


def scan_sequential(decay, value, chunk):
    """States of h_t = decay_t h_{t-1} + value_t over the first dimension."""
    state, states = torch.zeros_like(value[0]), []
    for a, b in zip(decay.unbind(0), value.unbind(0)):
        state = torch.addcmul(b, a, state)
        states.append(state)
    return torch.stack(states)


def split(decay, value, chunk):
    """[L, ...] to [positions in a chunk, chunks, ...], filled up by steps that change nothing."""
    missing = -decay.shape[0] % chunk
    if missing:
        decay = torch.cat([decay, decay.new_ones(missing, *decay.shape[1:])])
        value = torch.cat([value, value.new_zeros(missing, *value.shape[1:])])
    return [t.unflatten(0, (-1, chunk)).transpose(0, 1).contiguous() for t in (decay, value)]


def carry(decay, local, length):
    """Adds to every chunk's own states the state that enters it, decayed since the chunk's start."""
    state, entering = torch.zeros_like(local[0, 0]), []
    for a, b in zip(decay[-1].unbind(0), local[-1].unbind(0)):
        entering.append(state)
        state = torch.addcmul(b, a, state)
    states = torch.addcmul(local, decay, torch.stack(entering))
    return states.transpose(0, 1).flatten(0, 1)[:length]


def scan_blocked(decay, value, chunk):
    length = decay.shape[0]
    decay, value = split(decay, value, chunk)
    products, states = [decay[0]], [value[0]]
    for a, b in zip(decay.unbind(0)[1:], value.unbind(0)[1:]):
        products.append(products[-1] * a)
        states.append(torch.addcmul(b, a, states[-1]))
    return carry(torch.stack(products), torch.stack(states), length)


def scan_associative(decay, value, chunk):
    length = decay.shape[0]
    decay, value = split(decay, value, chunk)
    step = 1
    while step < chunk:
        value = torch.cat([value[:step], torch.addcmul(value[step:], decay[step:], value[:-step])])
        decay = torch.cat([decay[:step], decay[step:] * decay[:-step]])
        step *= 2
    return carry(decay, value, length)


def ss2d(scan, chunk, x, proj, dt_weight, dt_bias, a, d):
    batch, channels, height, width = x.shape
    rank, states = dt_weight.shape[-1], a.shape[-1]
    proj = cross_scan(proj.unflatten(1, (4, -1)), height, width)
    dt, b, c = proj.split([rank, states, states], dim=2)
    u = cross_scan(x.flatten(2).unsqueeze(1).expand(-1, 4, -1, -1), height, width)
    delta = F.softplus(torch.einsum("bkrl,kdr->lbkd", dt, dt_weight) + dt_bias)
    decay = torch.exp(delta.unsqueeze(-1) * a.view(4, channels, states))  # [L, B, 4, D, N]
    value = (delta * u.permute(3, 0, 1, 2)).unsqueeze(-1) * b.permute(3, 0, 1, 2).unsqueeze(-2)
    h = scan(decay, value, chunk)
    y = (h * c.permute(3, 0, 1, 2).unsqueeze(-2)).sum(-1).permute(1, 2, 3, 0)
    return cross_merge(y + u * d.view(4, channels, 1), height, width)


def timed(run, repetitions):
    run()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times), max(times) - min(times)


def relative(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--states", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument(
        "--stages", type=int, nargs="+", default=[1, 2, 3, 4], help="which of the four shapes"
    )
    parser.add_argument("--chunks", type=int, nargs="+", default=[7, 14, 28, 56, 112])
    parser.add_argument(
        "--compile-chunks", type=int, nargs="*", default=[14, 28], help="chunks to compile; none skips it"
    )
    parser.add_argument(
        "--tolerance", type=float, default=2e-5, help="largest relative difference between variants"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    for stage in options.stages:
        channels, height, width, rank = SHAPES[stage - 1]
        arguments = inputs(options.batch, channels, height, width, rank, options.states)
        probe = fill("probe", (options.batch, channels, height, width), -1, 1)
        shape = [options.batch, channels, height, width, rank, options.states]
        expected = None
        tried = [("sequential", scan_sequential, 1, False)]
        for name, scan in (("blocked", scan_blocked), ("associative", scan_associative)):
            chunks = [chunk for chunk in options.chunks if chunk <= height * width]
            tried += [(name, scan, chunk, False) for chunk in chunks]
            tried += [
                (name, scan, chunk, True) for chunk in options.compile_chunks if chunk <= height * width
            ]
        best = {}
        for name, scan, chunk, compiled in tried:
            function = ss2d
            if compiled:
                torch._dynamo.reset()
                function, name = torch.compile(ss2d, dynamic=False), name + "-compiled"

            def forward():
                with torch.no_grad():
                    return function(scan, chunk, **arguments)

            def both():
                for value in arguments.values():
                    value.grad = None
                output = function(scan, chunk, **arguments)
                output.backward(probe)
                return output.detach()

            found = {"y": both(), **{key: value.grad for key, value in arguments.items()}}
            expected = expected or found
            worst = max(relative(found[key], expected[key]) for key in expected)
            if not worst <= options.tolerance:
                sys.exit(f"{name} with chunk {chunk} differs from the definition by {worst:.2e} at {shape}")
            for direction, run in (("forward", forward), ("forward+backward", both)):
                median, spread = timed(run, options.repetitions)
                line = {
                    "name": name,
                    "shape": shape,
                    "chunk": chunk,
                    "direction": direction,
                    "median_ms": round(median, 3),
                    "spread_ms": round(spread, 3),
                    "difference": worst,
                    "threads": options.threads,
                }
                print(json.dumps(line), flush=True)
                key = (name, direction)
                if key not in best or median < best[key]["median_ms"]:
                    best[key] = line
        for line in best.values():
            print(json.dumps({**line, "name": "best " + line["name"]}), flush=True)


if __name__ == "__main__":
    main()
