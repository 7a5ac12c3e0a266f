"""A synthetic detection set: coloured shapes on textures, seeded, in memory or as a COCO folder."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from trainables.detection.dataset import Category, DetectionSet, from_lists
from trainables.detection.images import StoredImages

SHAPES: tuple[str, ...] = ("circle", "square", "triangle", "star", "cross", "bar")
"""Names of the shapes, in label order."""

MAX_OVERLAP = 0.2
"""Largest IoU between the boxes of two shapes of one picture."""

Polygon = NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """One picture: pixels uint8 (S, S, 3), and the shapes drawn on it as polygons (v, 2)."""

    pixels: NDArray[np.uint8]
    polygons: tuple[Polygon, ...]
    labels: tuple[int, ...]


def _unit_polygon(shape: str) -> Polygon:
    """The outline of a shape within the unit circle, (v, 2)."""
    if shape == "cross":
        arm = 0.32
        quarter = [(arm, 1.0), (arm, arm), (1.0, arm)]
        corners = [
            (x * c - y * s, x * s + y * c)
            for c, s in ((1, 0), (0, -1), (-1, 0), (0, 1))
            for x, y in quarter
        ]
        return np.array(corners) / math.hypot(1.0, arm)
    if shape == "bar":
        return np.array([(0.97, 0.24), (-0.97, 0.24), (-0.97, -0.24), (0.97, -0.24)])
    points = {"circle": 40, "square": 4, "triangle": 3, "star": 10}[shape]
    angle = 2 * np.pi * np.arange(points) / points
    radius = np.where(np.arange(points) % 2, 0.42, 1.0) if shape == "star" else np.ones(points)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _texture(generator: np.random.Generator, size_px: int) -> NDArray[np.float64]:
    """Smooth coloured noise of three octaves around a random colour, (S, S, 3) in [0, 255]."""
    field = np.zeros((size_px, size_px, 3))
    for cells, strength in ((2, 45.0), (6, 25.0), (size_px // 4, 18.0)):
        noise = generator.uniform(-1, 1, (max(cells, 1), max(cells, 1), 3)).astype(np.float32)
        channels = [
            np.asarray(
                Image.fromarray(noise[..., c]).resize((size_px, size_px), Image.Resampling.BICUBIC)
            )
            for c in range(3)
        ]
        field += strength * np.stack(channels, axis=-1)
    return field + generator.uniform(70, 185, 3)


def _place(
    generator: np.random.Generator, shape: str, size_px: int, radii: tuple[float, float]
) -> Polygon:
    """A turned and scaled outline that lies wholly inside the picture, (v, 2) in pixels."""
    outline = _unit_polygon(shape)
    turn = generator.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    # Log-uniform, so that small shapes are as common as large ones at every octave.
    radius = size_px * math.exp(generator.uniform(math.log(radii[0]), math.log(radii[1])))
    outline = outline @ rotation.T * radius
    low, high = -outline.min(axis=0) + 1, size_px - 2 - outline.max(axis=0)
    placed: Polygon = outline + generator.uniform(low, np.maximum(high, low + 1e-6))
    return placed


def _box(polygon: Polygon) -> NDArray[np.float64]:
    return np.concatenate([polygon.min(axis=0), polygon.max(axis=0)])


def _overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.clip(sides, 0, None)))
    total = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - shared
    return shared / total


def draw_scene(
    generator: np.random.Generator,
    *,
    size_px: int = 128,
    shapes: tuple[str, ...] = SHAPES[:3],
    objects: tuple[int, int] = (1, 4),
    radii: tuple[float, float] = (0.09, 0.28),
) -> Scene:
    """Draw one picture.

    Args:
        generator: The only source of randomness.
        size_px: Side S of the picture.
        shapes: Classes to draw from, of ``SHAPES``.
        objects: Fewest and most shapes to try to place; (0, 0) gives an empty picture. A shape that
            finds no room is left out.
        radii: Smallest and largest radius as a share of the side.
    """
    texture = _texture(generator, size_px)
    picture = Image.fromarray(np.clip(texture, 0, 255).astype(np.uint8))
    canvas = ImageDraw.Draw(picture)
    polygons: list[Polygon] = []
    labels: list[int] = []
    for _ in range(int(generator.integers(objects[0], objects[1] + 1))):
        label = int(generator.integers(len(shapes)))
        for _attempt in range(20):
            polygon = _place(generator, shapes[label], size_px, radii)
            box = _box(polygon)
            if all(_overlap(box, _box(other)) <= MAX_OVERLAP for other in polygons):
                break
        else:
            continue
        # At least 55 levels from the mean background in every channel: seen, of any hue.
        step = generator.uniform(55, 130, 3) * generator.choice((-1, 1), 3)
        colour = np.clip(texture.mean(axis=(0, 1)) + step, 0, 255)
        canvas.polygon([tuple(p) for p in polygon], fill=tuple(int(c) for c in colour))
        polygons.append(polygon)
        labels.append(label + 1)
    noise = generator.normal(0, 6, (size_px, size_px, 3))
    pixels = np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)
    return Scene(pixels, tuple(polygons), tuple(labels))


def _scenes(
    count: int, seed: int, size_px: int, shapes: tuple[str, ...], objects: tuple[int, int]
) -> list[Scene]:
    unknown = [shape for shape in shapes if shape not in SHAPES]
    if unknown or not shapes or len(set(shapes)) != len(shapes):
        raise ValueError(f"shapes must be distinct names out of {SHAPES}, got {shapes}")
    if count < 1 or size_px < 16:
        raise ValueError(
            f"need at least 1 picture of at least 16 pixels, got {count} of {size_px} pixels"
        )
    # One stream per picture: picture i is the same whatever the number of pictures.
    return [
        draw_scene(
            np.random.default_rng((seed, index)), size_px=size_px, shapes=shapes, objects=objects
        )
        for index in range(count)
    ]


def _areas(scene: Scene) -> NDArray[np.float32]:
    """Polygon areas by the shoelace formula, square pixels, (m,)."""
    turned = [(p, np.roll(p, -1, axis=0)) for p in scene.polygons]
    return np.array(
        [0.5 * abs(float(np.sum(p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]))) for p, q in turned],
        dtype=np.float32,
    )


def shapes(
    count: int,
    *,
    seed: int = 0,
    size_px: int = 128,
    shapes: tuple[str, ...] = SHAPES[:3],
    objects: tuple[int, int] = (1, 4),
) -> DetectionSet:
    """``count`` pictures in memory; picture i depends on the seed and i alone.

    Args:
        count: Number of pictures.
        seed: The seed of everything random in them.
        size_px: Height and width of a picture, pixels.
        shapes: Names of the shapes, which are the categories.
        objects: Least and largest number of shapes in a picture.

    Raises:
        ValueError: ``count`` or ``size_px`` too small, or an unknown shape.
    """
    scenes = _scenes(count, seed, size_px, shapes, objects)
    pixels = np.stack([scene.pixels.transpose(2, 0, 1) for scene in scenes])
    return from_lists(
        f"shapes-{len(shapes)}-{size_px}px-seed{seed}",
        StoredImages(pixels, np.arange(count)),
        np.full((count, 2), size_px, dtype=np.int32),
        [np.array([_box(p) for p in s.polygons], np.float32).reshape(-1, 4) for s in scenes],
        [np.array(s.labels, np.int64) for s in scenes],
        tuple(Category(i + 1, shape) for i, shape in enumerate(shapes)),
        areas=[_areas(s) for s in scenes],
    )


def write_coco_folder(
    folder: str | Path,
    counts: dict[str, int],
    *,
    seed: int = 0,
    size_px: int = 128,
    shapes: tuple[str, ...] = SHAPES[:3],
    objects: tuple[int, int] = (1, 4),
) -> Path:
    """Write the same pictures as a COCO folder: JPEG files and ``annotations/instances_*.json``.

    Args:
        folder: Made when missing.
        counts: Pictures per split, for instance ``{"train2017": 400, "val2017": 100}``; each
            split has its own pictures (split s uses the seed ``seed + s``).
        seed: The seed of the first split.
        size_px: Side of the pictures.
        shapes: Classes to draw from, of ``SHAPES``.
        objects: Fewest and most shapes of a picture.

    Returns:
        ``folder``.
    """
    root = Path(folder)
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    for number, (split, count) in enumerate(counts.items()):
        (root / split).mkdir(exist_ok=True)
        scenes = _scenes(count, seed + number, size_px, shapes, objects)
        for index, scene in enumerate(scenes):
            file = root / split / f"{index + 1:012d}.jpg"
            Image.fromarray(scene.pixels).save(file, quality=95)
        content = _coco_json(scenes, size_px, shapes)
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return root


def _coco_json(scenes: list[Scene], size_px: int, shapes: tuple[str, ...]) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, scene in enumerate(scenes, start=1):
        name = f"{image_id:012d}.jpg"
        images.append({"id": image_id, "file_name": name, "width": size_px, "height": size_px})
        for polygon, label, area in zip(scene.polygons, scene.labels, _areas(scene), strict=True):
            x1, y1, x2, y2 = (float(v) for v in _box(polygon))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": label,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": float(area),
                    "iscrowd": 0,
                    "segmentation": [[float(v) for v in polygon.reshape(-1)]],
                }
            )
    categories = [
        {"id": i, "name": shape, "supercategory": "shape"} for i, shape in enumerate(shapes, 1)
    ]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}
