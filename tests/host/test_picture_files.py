"""Files of pictures as they are encoded: upright, on white, never stretched, all of one size."""

import numpy
import pytest
from PIL import Image


@pytest.fixture
def read(host):
    from fewstep.nodes.host.picture_files import read_picture

    return lambda path, *size: (255 * read_picture(path, *size)[0]).round().numpy().astype(int)


@pytest.fixture
def size_of(host):
    from fewstep.nodes.host.picture_files import size_of

    return size_of


# red, green / blue, black
CORNERS = numpy.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [0, 0, 0]]], numpy.uint8)


def quarters(width, height):
    """A picture of four plain quarters."""
    return Image.fromarray(CORNERS.repeat(height // 2, 0).repeat(width // 2, 1))


def corners(pixels):
    """The colours of the four corners, row by row."""
    return [tuple(pixels[y, x].tolist()) for y in (0, -1) for x in (0, -1)]


RED, GREEN, BLUE, BLACK = (tuple(colour.tolist()) for colour in CORNERS.reshape(4, 3))


@pytest.mark.parametrize("ending", ["png", "jpg", "jpeg", "webp", "bmp"])
def test_a_picture_of_the_size_is_taken_as_it_is(tmp_path, read, size_of, ending):
    path = tmp_path / f"a.{ending}"
    quarters(64, 48).save(path)
    pixels = read(path, 64, 48)
    assert size_of(path) == (64, 48) and pixels.shape == (48, 64, 3)
    assert abs(pixels - numpy.array(quarters(64, 48)).astype(int)).mean() < 6


@pytest.mark.parametrize(("width", "height"), [(96, 32), (32, 96), (200, 34)])
def test_a_picture_is_scaled_until_it_covers_the_size_and_its_middle_is_taken(
    tmp_path, read, width, height
):
    # a disk in the middle of a white picture: stretched, it would be none
    size = numpy.arange(width) - (width - 1) / 2, numpy.arange(height) - (height - 1) / 2
    disk = size[0] ** 2 + size[1][:, None] ** 2 < 12**2
    path = tmp_path / "a.png"
    Image.fromarray(numpy.where(disk, 0, 255).astype(numpy.uint8)).save(path)
    dark = read(path, 64, 64)[..., 0] < 128
    across, down = dark.any(0).nonzero()[0], dark.any(1).nonzero()[0]
    # twice as large where the shorter side is 32
    wide = 24 * 64 / min(width, height)
    for places in (across, down):
        assert abs(len(places) - wide) <= 1.5 and abs(places.mean() - 31.5) <= 0.5


def test_what_is_cut_off_is_the_same_at_both_ends(tmp_path, read):
    columns = numpy.arange(0, 192, dtype=numpy.uint8)[None, :, None].repeat(64, 0).repeat(3, 2)
    path = tmp_path / "a.png"
    Image.fromarray(columns).save(path)
    assert read(path, 64, 64)[0, :, 0].tolist() == list(range(64, 128))


@pytest.mark.parametrize(
    ("orientation", "seen"),
    [
        (1, (RED, GREEN, BLUE, BLACK)),
        (3, (BLACK, BLUE, GREEN, RED)),
        # the camera's top is at the right, and at the left
        (6, (BLUE, RED, BLACK, GREEN)),
        (8, (GREEN, BLACK, RED, BLUE)),
    ],
)
def test_a_photo_is_turned_as_its_camera_was_held(tmp_path, read, size_of, orientation, seen):
    path = tmp_path / "a.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    quarters(64, 32).save(path, exif=exif)
    upright = (32, 64) if orientation in (6, 8) else (64, 32)
    assert size_of(path) == upright
    assert tuple(corners(read(path, *upright))) == seen


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(tmp_path, read, mode):
    path = tmp_path / "a.png"
    if mode == "P":
        picture = Image.new("P", (32, 32), 1)
        picture.putpalette([0, 0, 0, 200, 0, 0])
        picture.paste(0, (0, 0, 16, 32))
        picture.save(path, transparency=0)
        solid = (200, 0, 0)
    else:
        alpha = numpy.repeat([[0] * 16 + [255] * 16], 32, 0).astype(numpy.uint8)
        picture = Image.new("RGB", (32, 32), (80, 80, 80))
        picture.putalpha(Image.fromarray(alpha))
        picture.convert(mode).save(path)
        solid = (80, 80, 80)
    assert corners(read(path, 32, 32)) == [(255, 255, 255), solid] * 2


def test_half_transparent_is_half_white(tmp_path, read):
    path = tmp_path / "a.png"
    Image.new("RGBA", (32, 32), (100, 0, 0, 51)).save(path)
    assert corners(read(path, 32, 32))[0] == (224, 204, 204)


@pytest.mark.parametrize(
    ("mode", "colour", "wanted"),
    [("L", 90, (90,) * 3), ("CMYK", (0, 255, 255, 0), (255, 0, 0)), ("1", 1, (255,) * 3)],
)
def test_other_kinds_of_colour_are_understood(tmp_path, read, mode, colour, wanted):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    Image.new(mode, (32, 32), colour).save(path)
    assert abs(numpy.array(corners(read(path, 32, 32))) - wanted).max() <= 2


def test_a_grey_of_16_bits_is_not_cut_off(tmp_path, read):
    path = tmp_path / "a.png"
    Image.fromarray(numpy.full((32, 32), 257 * 200, numpy.uint16)).save(path)
    assert corners(read(path, 32, 32))[0] == (200, 200, 200)


def test_of_a_moving_picture_the_first_is_taken(tmp_path, read):
    path = tmp_path / "a.webp"
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("white", "black")]
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    assert corners(read(path, 32, 32))[0] == (255, 255, 255)


def test_what_is_no_picture_or_is_cut_off_is_refused_by_its_name(tmp_path, read, size_of):
    path = tmp_path / "a.jpg"
    noise = numpy.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(numpy.uint8)
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert size_of(path) == (64, 64)
    with pytest.raises(ValueError, match=r"a\.jpg cannot be read as a picture: .*Save it anew"):
        read(path, 32, 32)
    for data in (b"", b"no picture", whole[:20]):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"a\.jpg cannot be read as a picture"):
            size_of(path)
        with pytest.raises(ValueError, match=r"a\.jpg cannot be read as a picture"):
            read(path, 32, 32)
