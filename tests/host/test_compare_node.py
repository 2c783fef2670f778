"""Compare gives the page its pairs in order, and a sheet that holds every pixel of them."""

import numpy
import pytest
import torch
from host.test_recipe_api import node


@pytest.fixture
def side_by_side(host):
    from fewstep.nodes.host import side_by_side

    return side_by_side


def batch(count, height=4, width=6, first=1, channels=3):
    """Plain pictures of the values first, first + 1, ... of 255."""
    values = torch.arange(first, first + count).view(-1, 1, 1, 1) / 255.0
    return values.expand(count, height, width, channels)


def pixels(sheet):
    assert sheet.shape[0] == 1 and sheet.dtype == torch.float32
    return (255 * sheet[0]).round().numpy().astype(int)


def test_of_every_pair_a_stands_at_the_left_of_b(side_by_side):
    found = pixels(side_by_side.pairs_sheet(batch(3), batch(3, first=101)))
    # two pairs in the first row, the third below, nothing beside it
    expected = numpy.zeros((8, 24))
    expected[:4] = [1] * 6 + [101] * 6 + [2] * 6 + [102] * 6
    expected[4:, :12] = [3] * 6 + [103] * 6
    assert found.shape == (8, 24, 3) and (found == expected[..., None]).all()


def test_a_single_picture_stands_beside_all_of_the_other_batch(side_by_side):
    left = pixels(side_by_side.pairs_sheet(batch(1, first=50), batch(2)))[0, :, 0]
    right = pixels(side_by_side.pairs_sheet(batch(2), batch(1, first=50)))[0, :, 0]
    assert left[::6].tolist() == [50, 1, 50, 2]
    assert right[::6].tolist() == [1, 50, 2, 50]


def test_pictures_of_other_sizes_and_with_a_fourth_channel_keep_their_pixels(side_by_side):
    small, large = batch(1, height=2, width=3, channels=4), batch(1, first=101)
    found = pixels(side_by_side.pairs_sheet(small, large))[..., 0]
    expected = numpy.zeros((4, 12))
    expected[:2, :3], expected[:, 6:] = 1, 101
    assert (found == expected).all()


@pytest.mark.parametrize("empty", ["images_a", "images_b"])
def test_a_batch_without_pictures_is_refused_by_name(side_by_side, empty):
    given = {"images_a": batch(2), "images_b": batch(2)} | {empty: batch(0)}
    with pytest.raises(ValueError, match=rf"{empty} holds 0 pictures; at least 1 is needed"):
        side_by_side.check_batches(**given)


def test_batches_that_make_no_pairs_are_refused_and_a_single_picture_is_not(side_by_side):
    with pytest.raises(ValueError, match=r"images_a holds 3 pictures and images_b 2; allowed is"):
        side_by_side.check_batches(batch(3), batch(2))
    for counts in [(1, 1), (1, 3), (3, 1), (3, 3)]:
        side_by_side.check_batches(*map(batch, counts))


def plain(size, *colours):
    """Nodes that make a batch of one plain picture of each colour; the last one's name."""
    prefix = f"{size}-{colours[0]}"
    nodes = {
        f"{prefix}-{k}": node("EmptyImage", width=size, height=size, batch_size=1, color=colour)
        for k, colour in enumerate(colours)
    }
    last, *others = nodes
    for other in others:
        joined = f"{other}-joined"
        nodes[joined] = node("ImageBatch", image1=[last, 0], image2=[other, 0])
        last = joined
    return nodes, last


def compared(server, a, b):
    """What the page gets, and the files of the sheet, of two batches that plain() made."""
    graph = a[0] | b[0]
    links = {"images_a": [a[1], 0], "images_b": [b[1], 0]}
    graph["compare"] = node("FewStepCompare", **links, label_a="<b>", label_b="x.glb")
    graph["sheet"] = node("PreviewImage", images=["compare", 0])
    return server.client.run(graph)


def colours(server, files):
    images = server.client.images({"images": files})
    assert all(
        image.getextrema() == tuple((v, v) for v in image.getpixel((0, 0))) for image in images
    )
    return [(image.size[0], *image.getpixel((0, 0))) for image in images]


def test_the_page_gets_every_pair_in_order_and_its_labels(server):
    red, green, blue = 0xFF0000, 0x00FF00, 0x0000FF
    found = compared(server, plain(64, red, green, blue), plain(32, blue, red, green))
    pairs = found["compare"]["fewstep_compare"]
    assert colours(server, [pair["a"] for pair in pairs]) == [
        (64, 255, 0, 0),
        (64, 0, 255, 0),
        (64, 0, 0, 255),
    ]
    assert colours(server, [pair["b"] for pair in pairs]) == [
        (32, 0, 0, 255),
        (32, 255, 0, 0),
        (32, 0, 255, 0),
    ]
    assert {pair[side]["type"] for pair in pairs for side in "ab"} == {"temp"}
    assert found["compare"]["fewstep_labels"] == [{"a": "<b>", "b": "x.glb"}]
    # ComfyUI draws "images" itself
    assert "images" not in found["compare"]
    (sheet,) = server.client.images(found["sheet"])
    # two pairs of 64 + 64 pixels in a row, two rows
    assert sheet.size == (256, 128)
    assert [sheet.getpixel((x, 1)) for x in (1, 65, 129, 193)] == [
        (255, 0, 0),
        (0, 0, 255),
        (0, 255, 0),
        (255, 0, 0),
    ]


def test_a_picture_beside_many_is_written_once(server):
    pairs = compared(server, plain(16, 1), plain(16, 2, 3, 4))["compare"]["fewstep_compare"]
    assert len({pair["a"]["filename"] for pair in pairs}) == 1
    assert len({pair["b"]["filename"] for pair in pairs}) == 3


def test_batches_that_make_no_pairs_stop_the_run_with_the_reason(server):
    with pytest.raises(AssertionError, match="images_a holds 2 pictures and images_b 3"):
        compared(server, plain(16, 1, 2), plain(16, 3, 4, 5))
