"""Every odd picture is made ready or set aside with its reason; none is fatal."""

import io
import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from support import bomb, colour_profile, ink_profile

from simulacra.data.decoding import DecodeOptions, crop_box, decode, is_grey
from simulacra.data.items import FilePart, Item, natural, printable
from simulacra.data.rejects import UnusablePicture
from simulacra.messages import Message

SOAK = int(os.environ.get("SIMULACRA_SOAK", "0"))
RGB = DecodeOptions(size=(16, 16), channels="rgb")
RED, BLUE = (255, 0, 0), (0, 0, 255)


def packed(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def plain(mode: str = "RGB", colour: Any = RED, size: tuple[int, int] = (32, 32)) -> Image.Image:
    return Image.new(mode, size, colour)


def noise(side: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))


def reason(data: bytes, options: DecodeOptions = RGB) -> Message:
    with pytest.raises(UnusablePicture) as caught:
        decode(data, options)
    return caught.value.reason


@contextmanager
def unusable(code: str) -> Iterator[None]:
    with pytest.raises(UnusablePicture) as caught:
        yield
    assert caught.value.reason == Message(code)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", Message("data.empty_file")),
        (b"Dear diary, this is no picture.", Message("data.not_a_picture")),
        (packed(noise())[:3000], Message("data.truncated_picture")),
        (packed(noise(), "JPEG")[:2000], Message("data.truncated_picture")),
        (packed(noise())[:20], Message("data.truncated_picture")),
        (packed(noise()).replace(b"IDAT", b"IDAT" + b"junk" * 9), Message("data.truncated_picture")),
        (b"GIF89a" + b"\xff" * 3, Message("data.damaged_picture")),
        (packed(plain(size=(1, 1))), Message("data.too_small", side=8)),
        (packed(plain(size=(7, 500))), Message("data.too_small", side=8)),
        (bomb(12_000, 12_000), Message("data.too_many_pixels", millions="100")),
        (bomb(60_000, 60_000), Message("data.decompression_bomb")),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", Message("data.not_a_picture")),
    ],
)
def test_unusable_is_set_aside_with_its_reason(data: bytes, why: Message) -> None:
    assert reason(data) == why


@pytest.mark.parametrize(
    ("image", "form", "expected"),
    [
        (plain("CMYK", (0, 255, 255, 0)), "JPEG", RED),
        (plain("L", 100), "PNG", (100,) * 3),
        (plain("1", 1), "PNG", (255,) * 3),
        (plain("LA", (10, 0)), "PNG", (255,) * 3),  # wholly transparent: the white background
        (plain("RGBA", (*BLUE, 255)), "PNG", BLUE),
        (plain("RGBA", (*BLUE, 0)), "PNG", (255,) * 3),
        (plain("P", 0), "GIF", (0, 0, 0)),
        (plain("I;16", 0x8080), "PNG", (128,) * 3),  # scaled: clipping would give 255
        (plain("I", 65535), "TIFF", (255,) * 3),
        (plain("F", 0.5), "TIFF", (128,) * 3),
        (plain("YCbCr", (76, 85, 255)), "JPEG", RED),
    ],
)
def test_every_mode_becomes_rgb(image: Image.Image, form: str, expected: tuple[int, int, int]) -> None:
    pixels, _ = decode(packed(image, form), RGB)
    assert pixels.shape == (16, 16, 3)
    assert np.abs(pixels.reshape(-1, 3).astype(int) - expected).max() <= 3


def test_sixteen_bits_keep_their_order() -> None:
    ramp = Image.fromarray(np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1)))
    pixels, info = decode(packed(ramp), DecodeOptions(size=(64, 64), channels="grey"))
    assert info.mode.startswith("I;16")
    assert np.abs(pixels[0, :, 0].astype(float) - np.linspace(0, 255, 64)).max() <= 1


def test_numbers_that_are_no_brightness_are_set_aside() -> None:
    broken = plain("F", 0.5)
    broken.putpixel((3, 3), float("nan"))
    assert reason(packed(broken, "TIFF")) == Message("data.not_brightnesses")


def test_palette_with_a_transparent_colour_shows_the_background() -> None:
    image = plain("P", 1)
    image.putpalette([*RED, *BLUE])
    opaque, _ = decode(packed(image), RGB)
    clear, info = decode(
        packed(image, transparency=1), DecodeOptions(size=(16, 16), channels="rgb", background=(0, 255, 0))
    )
    assert tuple(opaque[0, 0]) == BLUE
    assert tuple(clear[0, 0]) == (0, 255, 0) and info.transparent


def test_a_colour_key_is_transparent_too() -> None:
    clear, _ = decode(packed(plain("RGB", RED), transparency=RED), RGB)
    assert tuple(clear[0, 0]) == (255, 255, 255)


def test_alpha_is_kept_on_request_and_invisible_colours_do_not_bleed() -> None:
    image = plain("RGBA", (*RED, 0))
    image.paste((*BLUE, 255), (0, 0, 16, 32))
    pixels, _ = decode(packed(image), DecodeOptions(size=(8, 8), channels="rgba"))
    assert pixels.shape == (8, 8, 4) and pixels[0, 0, 3] == 255 and pixels[0, 7, 3] == 0
    flat, _ = decode(packed(image), DecodeOptions(size=(8, 8), channels="rgb"))
    assert flat[:, 3:5, 2].min() >= 250, "red from the invisible half has darkened the edge"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation: int) -> None:
    upright = plain(size=(40, 20))
    upright.paste(BLUE, (0, 0, 20, 10))
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that undoes each
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(back[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = packed(stored, "JPEG", exif=exif.tobytes(), quality=100, subsampling=0)
    pixels, info = decode(data, DecodeOptions(size=(10, 20), channels="rgb"))
    assert (info.width, info.height, info.rotated) == (40, 20, orientation > 1)
    assert pixels[2, 4, 2] > 200 and pixels[2, 15, 0] > 200 and pixels[7, 4, 0] > 200


ADOBE = colour_profile()
CAMERA = (200, 60, 60)  # in Adobe RGB; (231, 57, 57) in sRGB


def colour(data: bytes, options: DecodeOptions = RGB) -> tuple[list[int], bool]:
    """A plain picture's colour once it is decoded, and whether its profile was converted."""
    pixels, info = decode(data, options)
    assert (pixels == pixels[0, 0]).all()
    return pixels[0, 0].tolist(), info.converted


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_colours_of_a_profile_become_srgb(form: str) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    assert colour(packed(plain("RGB", CAMERA), form, icc_profile=ADOBE, **options)) == ([231, 57, 57], True)


def test_profiles_of_every_mode() -> None:
    palette = plain("RGB", CAMERA).convert("P", palette=Image.Palette.ADAPTIVE)
    assert colour(packed(palette, icc_profile=ADOBE)) == ([231, 57, 57], True)
    rgba = DecodeOptions(size=(16, 16), channels="rgba")
    clear, converted = colour(packed(plain("RGBA", (*CAMERA, 100)), icc_profile=ADOBE), rgba)
    assert clear == pytest.approx([231, 57, 57, 100], abs=1) and converted  # as resizing multiplies by alpha
    jpeg = packed(plain("RGB", CAMERA), "JPEG", icc_profile=ADOBE, quality=100, subsampling=0)
    grey = DecodeOptions(size=(16, 16), channels="grey")
    assert colour(jpeg, grey)[0][0] == pytest.approx(np.dot([0.299, 0.587, 0.114], [231, 57, 57]), abs=1)
    image = plain("RGB", CAMERA)
    image.info["icc_profile"] = ADOBE
    assert decode(image, RGB)[0][0, 0].tolist() == [231, 57, 57]


def test_inks_have_the_colours_of_their_profile() -> None:
    def lab(c: int, m: int, y: int, k: int) -> tuple[float, float, float]:
        return (54.3, 80.8, 69.9) if (c, m, y, k) == (0, 1, 0, 0) else (100.0 * (not (c or m or y or k)), 0, 0)

    inks = ink_profile(lab)  # magenta prints as sRGB's red, all others as black
    for form, options in (("TIFF", {}), ("JPEG", {"quality": 100})):
        for ink, expected in (((0, 255, 0, 0), [255, 0, 0]), ((0, 0, 0, 0), [255] * 3), ((255, 0, 0, 0), [0] * 3)):
            image = plain("CMYK", ink)
            pixels, converted = colour(packed(image, form, icc_profile=inks, **options))
            assert converted and pixels == pytest.approx(expected, abs=5)
    assert colour(packed(plain("CMYK", (0, 255, 0, 0)), "TIFF"))[0] == [255, 0, 255]  # without a profile


def test_only_a_profile_that_changes_a_colour_changes_a_picture() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    others = {"none": None, "sRGB": srgb, "damaged": ADOBE[:200], "junk": b"junk", "bare": ADOBE[:128]}
    for name, profile in others.items():
        image = noise()
        data = packed(image, icc_profile=profile) if profile else packed(image)
        pixels, info = decode(data, DecodeOptions(size=(64, 64), channels="rgb"))
        assert (pixels == np.asarray(image)).all() and not info.converted, name
    assert colour(packed(plain("L", 100), icc_profile=ADOBE)) == ([100] * 3, False)  # of another colour space


def test_a_full_alpha_is_not_transparent() -> None:
    clear = plain("RGBA", (*BLUE, 255))
    clear.putpixel((3, 3), (*BLUE, 254))
    images = [(plain("RGBA", (*BLUE, 255)), False), (clear, True), (plain("LA", (10, 255)), False)]
    assert [decode(packed(image), RGB)[1].transparent for image, _ in images] == [expected for _, expected in images]
    palette = plain("P", 0)
    palette.putpalette([*RED, *BLUE])
    assert not decode(packed(palette, transparency=1), RGB)[1].transparent, "no pixel has the transparent colour"


def test_animation_gives_its_first_frame() -> None:
    for form in ("GIF", "WEBP", "PNG"):
        data = packed(plain(), form, save_all=True, append_images=[plain("RGB", BLUE)], lossless=True)
        pixels, info = decode(data, RGB)
        assert info.animated and tuple(pixels[0, 0]) == RED, form


def test_heic_is_read_or_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    heif.from_pillow(plain(size=(64, 64))).save(file, quality=95)
    pixels, info = decode(file.getvalue(), RGB)
    assert info.format == "HEIF" and pixels[8, 8, 0] > 230
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert "simulacra[heif]" in str(reason(file.getvalue()))


def test_smaller_than_the_target_is_enlarged() -> None:
    pixels, info = decode(packed(plain(size=(9, 12))), RGB)
    assert pixels.shape == (16, 16, 3) and (info.width, info.height) == (9, 12)


def test_a_jpeg_decoded_in_part_is_as_good_as_the_whole() -> None:
    smooth = noise(16).resize((800, 800), Image.Resampling.BICUBIC)
    pixels, _ = decode(packed(smooth, "JPEG", quality=95), DecodeOptions(size=(40, 40), channels="rgb"))
    whole = np.asarray(smooth.resize((40, 40), Image.Resampling.LANCZOS)).astype(float)
    assert np.abs(pixels - whole).mean() < 2


def test_whether_a_header_is_grey() -> None:
    assert is_grey(packed(plain("L", 5))) and is_grey(packed(plain("I;16", 5))) and is_grey(b"no say")
    assert not is_grey(packed(plain())) and not is_grey(packed(plain("P", 0)))


@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0"]))
def test_no_bytes_are_fatal(data: bytes, start: bytes) -> None:
    try:
        pixels, _ = decode(start + data, RGB)
    except UnusablePicture as fault:
        assert str(fault)
    else:
        assert pixels.shape == (16, 16, 3)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_no_damage_is_fatal(form: str) -> None:
    """A picture that is cut, or has other bytes at random places; `make soak` damages many more."""
    whole, chance = packed(noise(24), form, icc_profile=ADOBE), random.Random(form)
    for _ in range(max(10, 10 * SOAK)):
        data = bytearray(whole[: chance.choice([None, chance.randrange(len(whole))])])
        for at in chance.choices(range(len(data)), k=chance.randrange(8)) if data else []:
            data[at] = chance.randrange(256)
        try:
            pixels, _ = decode(bytes(data), RGB)
        except UnusablePicture as fault:
            assert str(fault)
        else:
            assert pixels.shape == (16, 16, 3)


@given(
    st.integers(1, 4000),
    st.integers(1, 4000),
    st.tuples(st.integers(4, 256), st.integers(4, 256)),
    st.one_of(st.sampled_from(["centre", "none"]), st.floats(0.01, 1)),
)
def test_the_crop_lies_inside_in_the_middle_with_the_right_shape(
    width: int, height: int, size: tuple[int, int], crop: Any
) -> None:
    left, top, right, bottom = crop_box(width, height, size, crop)
    assert 0 <= left < right <= width and 0 <= top < bottom <= height
    assert left + right == pytest.approx(width) and top + bottom == pytest.approx(height)
    if crop != "none":
        assert (right - left) / (bottom - top) == pytest.approx(size[1] / size[0])
        share = 1.0 if crop == "centre" else crop
        assert (right - left) / width == pytest.approx(share) or (bottom - top) / height == pytest.approx(share)


def test_half_of_it_is_the_central_half() -> None:
    image = plain(size=(100, 100))
    image.paste(BLUE, (25, 25, 75, 75))
    pixels, _ = decode(packed(image), DecodeOptions(size=(10, 10), channels="rgb", crop=0.5))
    # The filter sees a little of what lies beside the crop, as it should: no seam at the edges.
    assert np.abs(pixels[2:-2, 2:-2].astype(int) - BLUE).max() <= 3


def test_files_that_change_vanish_or_are_forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(packed(plain()))
    item = Item("a.png", FilePart(str(path), stamp=(path.stat().st_size, path.stat().st_mtime_ns)))
    assert item.read() == path.read_bytes()
    with path.open("ab") as file:
        file.write(b"more")
    with unusable("data.changed_while_reading"):
        item.read()
    path.unlink()
    with unusable("data.gone_while_reading"):
        item.read()
    os.mkfifo(path)
    with unusable("data.not_a_regular_file"):
        Item("a.png", FilePart(str(path))).read()

    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr("simulacra.data.items.os.open", refuse)
    with unusable("data.no_permission"):
        item.read()


@given(st.lists(st.text("ab019²٣", max_size=5)))
def test_natural_order_is_an_order(names: list[str]) -> None:
    assert sorted(sorted(names, reverse=True), key=natural) == sorted(names, key=natural)


def test_natural_order_counts() -> None:
    assert sorted(["face10", "face9", "Face1"], key=natural) == ["Face1", "face9", "face10"]
    assert printable(os.fsdecode(b"caf\xe9.png")) == "caf\\xe9.png"
