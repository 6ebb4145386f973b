"""Figures and the table of Rafegas and Vanrell, Understanding learned CNN features through filter decoding, 2015."""

from collections.abc import Callable
from typing import Any

from .decoded_filters import figure4, figure5, figure6
from .filter_responses import figure1, figure3, figure7, table1

FIGURES: dict[str, Callable[..., Any]] = {
    "1": figure1, "3": figure3, "4": figure4, "5": figure5, "6": figure6, "7": figure7, "table1": table1,
}  # fmt: skip
