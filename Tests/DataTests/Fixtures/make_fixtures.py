"""Makes the fixtures of DataTests with Pillow: pip install pillow numpy; python make_fixtures.py

Pictures lie in decoding/, each with the pixels that Pillow reads from it (`<name>.rgb`, rows of R, G, B).
Resized and recoloured pixels lie in resizing/, described by cases.json.
"""

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

here = Path(__file__).parent


def picture(height, width):
    """Smooth waves, edges and a little noise, different in each channel."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    noise = np.random.default_rng(7).normal(0, 6, (height, width, 3))
    waves = np.stack([np.sin(x / 5 + y / 9), np.cos(y / 4), np.sin((x + 2 * y) / 7)], axis=-1)
    edges = ((x // 8 + y // 6) % 2)[..., None] * np.array([30, -40, 50])
    return np.clip(128 + 70 * waves + edges + noise, 0, 255).astype(np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, color, rows, before=b""):
    """A PNG of unfiltered rows, for kinds that Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def interlaced(pixels):
    """An Adam7 PNG of RGB pixels."""
    height, width, _ = pixels.shape
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    rows = b""
    for top, left, down, right in passes:
        part = pixels[top::down, left::right]
        if part.size:
            rows += b"".join(b"\0" + row.tobytes() for row in part)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoding():
    folder = here / "decoding"
    folder.mkdir(exist_ok=True)
    rgb = picture(29, 43)
    image = Image.fromarray(rgb)
    gray = image.convert("L")
    alpha = np.dstack([rgb, np.mgrid[0:29, 0:43][1].astype(np.uint8) * 5])
    deep = np.dstack([rgb, rgb[::-1]])[:, :, [0, 3, 1, 4, 2, 5]].tobytes()
    ramp = (np.arange(29 * 43) * 40).astype(">u2").reshape(29, 43)
    palette = b"".join(bytes([i * 16, 255 - i * 16, i * 7]) for i in range(16))
    files = {
        "rgb-420.jpg": encoded(image, "JPEG", quality=80),
        "rgb-422.jpg": encoded(image, "JPEG", quality=80, subsampling="4:2:2"),
        "rgb-444.jpg": encoded(image, "JPEG", quality=95, subsampling="4:4:4"),
        "rgb-progressive.jpg": encoded(image, "JPEG", quality=80, progressive=True),
        "rgb-kept.jpg": encoded(image, "JPEG", quality=90, keep_rgb=True),
        "rgb-restarts.jpg": encoded(image, "JPEG", quality=80, restart_marker_blocks=2),
        "gray.jpg": encoded(gray, "JPEG", quality=80),
        "cmyk.jpg": encoded(image.convert("CMYK"), "JPEG", quality=80),
        "rgb.png": encoded(image, "PNG"),
        "rgba.png": encoded(Image.fromarray(alpha), "PNG"),
        "gray.png": encoded(gray, "PNG"),
        "gray-alpha.png": encoded(Image.fromarray(alpha).convert("LA"), "PNG"),
        "gray-16.png": png(43, 29, 16, 0, [row.tobytes() for row in ramp]),
        "gray-1.png": encoded(gray.convert("1"), "PNG"),
        "gray-2.png": png(8, 3, 2, 0, [bytes([0x1B, 0xE4]), bytes([0x00, 0xFF]), bytes([0xA5, 0x5A])]),
        "gray-4.png": png(4, 2, 4, 0, [bytes([0x01, 0x8F]), bytes([0xF0, 0x7C])]),
        "gray-transparent.png": png(
            4, 1, 8, 0, [bytes([0, 9, 10, 11])], before=chunk(b"tRNS", struct.pack(">H", 10))
        ),
        "rgb-16.png": png(43, 29, 16, 2, [deep[i * 258 : i * 258 + 258] for i in range(29)]),
        "palette-8.png": encoded(image.quantize(200), "PNG"),
        "palette-4.png": png(
            4, 2, 4, 3, [bytes([0x01, 0x2F]), bytes([0xE3, 0x45])],
            before=chunk(b"PLTE", palette) + chunk(b"tRNS", bytes([0, 128, 255])),
        ),
        "palette-1.png": png(
            8, 2, 1, 3, [bytes([0x5A]), bytes([0x0F])], before=chunk(b"PLTE", bytes([9, 8, 7, 200, 100, 50]))
        ),
        "interlaced.png": interlaced(rgb),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
        pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        (folder / (name + ".rgb")).write_bytes(pixels.tobytes())


def resizing():
    folder = here / "resizing"
    folder.mkdir(exist_ok=True)
    source = picture(37, 53)
    image = Image.fromarray(source)
    (folder / "source.rgb").write_bytes(source.tobytes())
    filters = {name: getattr(Image.Resampling, name.upper()) for name in ["box", "bilinear", "bicubic", "lanczos"]}
    boxes = [None, (5, 3, 40, 31), (0, 0, 53, 20), (7, 0, 20, 37)]
    sizes = [(13, 17), (37, 20), (45, 53), (41, 61), (1, 1), (3, 120)]
    resized = [
        (name, box, size) for name in filters for box in boxes for size in (sizes if box is None else sizes[:3])
    ]
    cases = []
    with open(folder / "results.rgb", "wb") as file:
        for name, box, (height, width) in resized:
            pixels = np.asarray(image.resize((width, height), filters[name], box=box)).tobytes()
            cases.append({"filter": name, "box": box, "height": height, "width": width, "offset": file.tell()})
            file.write(pixels)
        for name, enhance in [
            ("brightness", ImageEnhance.Brightness),
            ("contrast", ImageEnhance.Contrast),
            ("saturation", ImageEnhance.Color),
        ]:
            for factor in [0, 0.4, 0.75, 1, 1.3, 1.9]:
                cases.append({"property": name, "factor": factor, "height": 37, "width": 53, "offset": file.tell()})
                file.write(np.asarray(enhance(image).enhance(factor)).tobytes())
    (folder / "cases.json").write_text(json.dumps(cases, separators=(",", ":")))


decoding()
resizing()
