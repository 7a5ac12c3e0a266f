"""One decoder: what files hold is shown, turned, composed and scaled; what is broken is named."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from trainables.data.reading.pictures import (
    Decoding,
    PictureFacts,
    UnreadablePictureError,
    common_range,
    examine,
    examine_all,
    refuse_broken,
)

RAMP = np.tile(np.linspace(0, 1, 64), (48, 1))  # dark on the left, bright on the right
BYTES = (255 * RAMP).astype(np.uint8)


def write(path: Path, pixels: NDArray[Any], mode: str | None = None, **options: Any) -> Path:
    picture = Image.fromarray(pixels)
    (picture if mode is None else picture.convert(mode)).save(path, **options)
    return path


def grey(path: Path, decoding: Decoding | None = None) -> NDArray[np.float64]:
    picture = (decoding or Decoding()).open(path)
    assert picture.mode == "RGB"
    return np.asarray(picture).astype(float).mean(2)


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("grey16.png", (RAMP * 65535).astype(np.uint16)),
        ("grey16.tif", (RAMP * 65535).astype(np.uint16)),
        ("sixteen_in_int32.tif", (RAMP * 65535).astype(np.int32)),
        ("int32.tif", (RAMP * 2e9 - 1e9).astype(np.int32)),
        ("unit_float.tif", RAMP.astype(np.float32)),
        ("byte_float.tif", (RAMP * 255).astype(np.float32)),
        ("hounsfield.tif", (RAMP * 4000 - 1000).astype(np.float32)),
        ("grey8.png", BYTES),
    ],
)
def test_the_content_of_every_depth_is_kept(
    tmp_path: Path, name: str, pixels: NDArray[Any]
) -> None:
    np.testing.assert_allclose(grey(write(tmp_path / name, pixels)), 255 * RAMP, atol=1.1)


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "YCbCr", "LA", "RGBA", "RGB"])
def test_every_mode_of_eight_bits_shows_its_shapes(tmp_path: Path, mode: str) -> None:
    ending = {"YCbCr": "tif", "CMYK": "jpg"}.get(mode, "png")
    path = write(tmp_path / f"a.{ending}", BYTES, mode)
    try:
        with Image.open(path) as plain:
            plain.load()
    except OSError:  # Pillow 11.0 to 12.1 on a TIFF of YCbCr that they wrote themselves
        assert mode == "YCbCr"
        with pytest.raises(UnreadablePictureError, match=r"a\.tif cannot be read"):
            grey(path)
        return
    shown = grey(path)
    assert shown[:, :16].mean() < 40
    assert shown[:, -16:].mean() > 215


def test_twelve_bits_can_be_stretched(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", (RAMP * 4095).astype(np.uint16))
    assert grey(path).max() == 16
    stretched = grey(path, Decoding(value_range=(0, 4095)))
    np.testing.assert_allclose(stretched, 255 * RAMP, atol=1.1)


def test_pictures_of_32_bits_share_one_range(tmp_path: Path) -> None:
    dim = write(tmp_path / "dim.tif", (100 * RAMP).astype(np.float32))
    bright = write(tmp_path / "bright.tif", (1000 * RAMP).astype(np.float32))
    facts = [examine(path, pixels=True) for path in (dim, bright)]
    assert common_range(facts) == (0, 65535)
    assert common_range(facts[:1]) == (0, 255)
    assert common_range([PictureFacts(9, 9, 1, "I;16", (0, 9))]) is None
    together = Decoding(deep_range=common_range(facts))
    assert grey(dim, together).max() < grey(bright, together).max() < 5


@pytest.mark.parametrize(("ink", "beneath"), [(0, 0), (255, 255)])
def test_drawings_on_nothing_stand_out_from_the_background(
    tmp_path: Path, ink: int, beneath: int
) -> None:
    pixels = np.full((20, 40, 4), beneath, np.uint8)
    pixels[:, :20] = (ink, ink, ink, 255)
    pixels[:, 20:, 3] = 0
    path = write(tmp_path / "a.png", pixels)
    shown = grey(path)
    assert abs(shown[:, :20].mean() - shown[:, 20:].mean()) > 120
    assert grey(path, Decoding(background=(255, 255, 255)))[:, 20:].mean() == 255


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_transparent_color_is_transparent(tmp_path: Path, mode: str) -> None:
    pixels = np.full((20, 40), 200, np.uint8)
    pixels[:, 20:] = 0
    picture = Image.fromarray(pixels).convert(mode)
    transparent = (0, 0, 0) if mode == "RGB" else picture.getpixel((30, 10))
    picture.save(tmp_path / "a.png", transparency=transparent)
    shown = grey(tmp_path / "a.png")
    assert (shown[:, :20].mean(), shown[:, 20:].mean()) == pytest.approx((200, 128), abs=1)


TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("ending", [".jpg", ".png", ".tif", "-16.tif", "-16.png"])
def test_exif_turns_pictures_of_every_kind(tmp_path: Path, ending: str) -> None:
    stored = np.zeros((48, 64), np.uint8)
    stored[:16, :16], stored[:8, 32:48] = 255, 128
    pixels = stored.astype(np.uint16) * 257 if "16" in ending else stored
    for orientation, turn in TURNS.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = write(tmp_path / f"{orientation}{ending}", pixels, exif=exif)
        assert np.abs(grey(path) - turn(stored)).mean() < 6
        for whole in (True, False):
            facts = examine(path, pixels=whole)
            assert (facts.height, facts.width) == turn(stored).shape
            assert facts.stored_size == (64, 48)
            assert facts.orientation == orientation


@pytest.mark.parametrize("name", ["a.gif", "a.tif", "a.webp"])
def test_the_first_of_several_pictures_counts(tmp_path: Path, name: str) -> None:
    second = Image.fromarray(255 - BYTES)
    write(tmp_path / name, BYTES, save_all=True, append_images=[second])
    assert grey(tmp_path / name)[:, :16].mean() < 40


def spoil(folder: Path) -> dict[str, Path]:
    """Files that are no pictures, or no whole ones."""
    whole = {"jpg": write(folder / "w.jpg", BYTES), "png": write(folder / "w.png", BYTES)}
    broken = {}
    for ending, path in whole.items():
        content = path.read_bytes()
        for share in (0.3, 0.6):
            broken[f"cut at {share}.{ending}"] = content[: int(share * len(content))]
    broken |= {"empty.png": b"", "page.jpg": b"<html>404</html>", "zeros.png": bytes(500)}
    for name, content in broken.items():
        (folder / name).write_bytes(content)
    os.mkfifo(folder / "pipe.png")
    (folder / "folder.png").mkdir()
    (folder / "nowhere.png").symlink_to(folder / "missing")
    write(folder / "nan.tif", np.full((4, 4), np.nan, np.float32))
    Image.new("1", (11_000, 9_000)).save(folder / "bomb.png")
    names = [*broken, "pipe.png", "folder.png", "nowhere.png", "nan.tif", "bomb.png"]
    return {name: folder / name for name in names}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_no_whole_picture_is_named(tmp_path: Path) -> None:
    for name, path in spoil(tmp_path).items():
        for look in (lambda p: examine(p, pixels=True), Decoding().open):
            with pytest.raises(UnreadablePictureError, match=re.escape(name)):
                look(path)


def test_many_are_examined_in_order_and_refused_together(tmp_path: Path) -> None:
    good = write(tmp_path / "good.jpg", BYTES)
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(good.read_bytes()[:-60])
    found = examine_all([good, bad, good], "all")
    assert [type(entry) for entry in found] == [PictureFacts, UnreadablePictureError, PictureFacts]
    assert isinstance(examine_all([bad], "headers")[0], PictureFacts)  # cut off behind its header
    with pytest.raises(ValueError, match=r"1 of 3 pictures.*bad\.jpg.*data.broken: skip"):
        refuse_broken([str(found[1])], 3, "error")
    refuse_broken([str(found[1])], 3, "skip")


def test_inverted_grey_of_sixteen_bits_is_turned_round(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 65535, 64), (48, 1)).astype(np.uint16)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[262] = 0  # WhiteIsZero
    Image.fromarray(ramp).save(tmp_path / "white.tif", tiffinfo=tags)
    Image.fromarray(ramp).save(tmp_path / "black.tif")
    upright, turned = grey(tmp_path / "black.tif"), grey(tmp_path / "white.tif")
    np.testing.assert_allclose(turned, 255 - upright, atol=1)


def test_what_is_seen_through_in_sixteen_bits_lies_on_the_background(tmp_path: Path) -> None:
    values = np.full((48, 64), 30000, np.uint16)
    values[:, 32:] = 0
    Image.fromarray(values).save(tmp_path / "clear.png", transparency=0)
    shown = grey(tmp_path / "clear.png", Decoding(background=(200, 200, 200)))
    assert (shown[:, :32] == round(30000 / 65535 * 255)).all()
    assert (shown[:, 32:] == 200).all()
