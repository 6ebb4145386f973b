"""The handmade network: a decoded filter as input activates its own unit most, at every layer."""

import pytest
import torch
import torch.nn.functional as F

import cnnexplore as cx
from cnnexplore.zoo.architectures.characters import BARS, CHARACTERS, PARTS, SQUARES

METHODS = ["nearest", "bilinear", "bicubic"]


@pytest.fixture(scope="module")
def net():
    return cx.load("characters", device="cpu")


def test_its_sizes_are_the_papers(net):
    shapes = {name: tuple(p.shape) for name, p in net.module.named_parameters()}
    assert shapes == {"conv1.weight": (4, 1, 5, 5), "conv2.weight": (14, 4, 5, 5), "conv3.weight": (8, 14, 3, 3)}
    sizes = [cx.decode(net, name).filters.shape for name in ("conv1", "conv2", "conv3")]
    assert sizes == [(4, 1, 5, 5), (14, 1, 9, 9), (8, 1, 14, 14)]
    assert net.labels == list(CHARACTERS)
    used = {part for made_of in CHARACTERS.values() for part in made_of} - {None}
    assert used == set(PARTS)
    assert set(CHARACTERS["C"]) & set(CHARACTERS["D"]) == {"corner top left", "corner bottom left"}


@pytest.mark.parametrize("shown", ["as it is", "as a picture"])
@pytest.mark.parametrize("method", METHODS)
def test_a_decoded_character_excites_what_it_is_made_of(net, method, shown):
    """At each layer, the unit of each part and bar responds most at its position in the character."""
    images = torch.from_numpy(cx.decode(net, "conv3", unpool=method).filters)
    if shown == "as a picture":
        top = images.amax((1, 2, 3), keepdim=True)
        images = net.feed(net.pixels_of([(255 * i).byte().numpy()[0] for i in (images / top).clamp(min=0)]))
    activations = net.probe("conv1", "pool2", "conv3")(images)
    for k, (character, made_of) in enumerate(CHARACTERS.items()):
        scores = activations["conv3"][k].flatten()
        assert net.labels[scores.argmax()] == character
        assert scores.sort().values[-1] > 1.05 * scores.sort().values[-2]
        for part, (row, column) in zip(made_of, SQUARES, strict=True):
            if part is None:
                continue
            assert list(PARTS)[activations["pool2"][k, :, row, column].argmax()] == part
            for bar, down, right in PARTS[part]:
                for y, x in [(y, x) for y in (0, 1) for x in (0, 1)]:  # a pooled cell is two by two
                    found = activations["conv1"][k, :, 2 * row + down + y, 2 * column + right + x]
                    assert BARS[found.argmax()] == bar


def test_a_decoded_part_or_bar_excites_its_own_unit(net):
    conv1, conv2 = net.module.conv1, net.module.conv2
    assert F.conv2d(torch.from_numpy(cx.decode(net, "conv1").filters), conv1.weight).flatten(1).argmax(
        1
    ).tolist() == list(range(4))
    parts = conv2(conv1(torch.from_numpy(cx.decode(net, "conv2").filters))).flatten(1)
    assert parts.argmax(1).tolist() == list(range(14))


def test_it_reads_a_drawn_character(net):
    drawn = torch.zeros(14, 14)
    drawn[2:12, 2:4] = drawn[10:12, 2:12] = 255  # two strokes
    assert net.predict(drawn.byte().numpy(), 1)[0][0] == "L"
    drawn[2:12, 10:12] = 255
    assert net.predict(drawn.byte().numpy(), 1)[0][0] == "U"
    drawn[2:4, 2:12] = 255
    assert net.predict(drawn.byte().numpy(), 1)[0][0] == "O"
