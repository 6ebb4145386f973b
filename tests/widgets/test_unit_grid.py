"""The grid of thumbnails without a browser."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cnnexplore as cx
from cnnexplore.widgets.views.unit_grid import fit_to_square


@pytest.fixture
def grid(monkeypatch):
    """A grid and what it sent."""
    one = cx.UnitGrid(300, 8, captions=["first", "second"])
    one.sent = []
    monkeypatch.setattr(one, "send", lambda content, buffers=None: one.sent.append((content, buffers)))
    return one


def tile(value: int, side: int = 8) -> np.ndarray:
    return np.full((side, side, 3), value, np.uint8)


def sprites(grid) -> dict[int, bytes]:
    """The pictures that were sent, by number."""
    found = {}
    for content, buffers in grid.sent:
        if content["kind"] == "sprites":
            size = content["side"] ** 2 * 3
            flat = bytes(buffers[0])
            assert len(flat) == size * len(content["units"])
            found.update({unit: flat[k * size : (k + 1) * size] for k, unit in enumerate(content["units"])})
    return found


def test_nothing_is_sent_while_nobody_looks_and_all_of_it_to_who_comes(grid):
    for k in range(150):
        grid.put(k, tile(k))
    assert grid.sent == []
    grid.receive({"kind": "ready", "view": "a"})
    assert sprites(grid) == {k: tile(k).tobytes() for k in range(150)}
    last, _ = grid.sent.pop()
    assert last == {"kind": "here", "view": "a", "done": 150, "resets": 0, "side": grid.side, "shown": grid.shown}
    assert max(len(content["units"]) for content, _ in grid.sent) <= 64, "no message is huge"
    grid.sent.clear()
    grid.put([200, 7], np.stack([tile(1), tile(2)]))
    assert sprites(grid) == {200: tile(1).tobytes(), 7: tile(2).tobytes()}
    assert grid.done == 151
    grid.receive({"kind": "gone", "view": "a"})
    grid.sent.clear()
    grid.put(8, tile(3))
    assert grid.sent == []


def test_selection_is_told_from_wherever_it_comes(grid):
    chosen = []
    grid.on_select(chosen.append)
    grid.selected = 4
    grid.set_state({"selected": 9})  # as the browser does
    assert chosen == [4, 9]


def test_another_beginning_empties_it(grid):
    chosen = []
    grid.on_select(chosen.append)
    grid.put(0, tile(5))
    grid.selected = 3
    grid.reset(5, 12, order=[4, 3, 2, 1, 0])
    assert (grid.count, grid.side, grid.done, grid.selected) == (5, 12, 0, -1)
    assert grid.sent[-1][0] == {"kind": "clear", "resets": 1, "side": 12, "shown": 12}
    assert chosen == [3]
    with pytest.raises(IndexError, match="0 to 4"):
        grid.put(5, tile(0, 12))


def test_a_word_takes_the_place_of_a_thumbnail_and_a_thumbnail_that_of_a_word(grid):
    grid.receive({"kind": "ready", "view": "a"})
    grid.put([3, 4], np.stack([tile(1), tile(2)]))
    grid.sent.clear()
    grid.say([4, 9], "silent", "it responds to no image.")
    assert grid.words == {"4": ["silent", "it responds to no image."], "9": ["silent", "it responds to no image."]}
    assert [content["units"] for content, _ in grid.sent if content["kind"] == "gone"] == [[4]]
    assert (grid.done, grid.picture(4)) == (3, None)
    grid.put(9, tile(5))
    assert list(grid.words) == ["4"]
    assert grid.done == 3
    with pytest.raises(IndexError, match="0 to 299"):
        grid.say(300, "silent")
    grid.reset(5, 8)
    assert (grid.done, grid.words) == (0, {})


def test_views_and_the_action_are_told(grid):
    seen = []
    grid.on_views, grid.on_action = seen.append, lambda: seen.append("action")
    for kind, view in (("ready", "a"), ("ready", "b"), ("action", "a"), ("gone", "a"), ("gone", "b")):
        grid.receive({"kind": kind, "view": view})
    assert seen == [1, 2, "action", 1, 0]


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 64))
def test_any_picture_fits_whole_and_undistorted(h, w, side):
    square = fit_to_square(np.full((h, w, 3), 255, np.uint8), side)
    assert square.shape == (side, side, 3)
    white = square[..., 0] > 250
    rows, columns = white.any(1).sum(), white.any(0).sum()
    assert white.sum() == rows * columns > 0
    if max(h, w) <= side:
        times = side // max(h, w)
        assert (rows, columns) == (h * times, w * times), "small ones by a whole factor"
    else:
        assert max(rows, columns) == side
        assert abs(rows / side - h / max(h, w)) <= 1 / side
