"""Generators: up-convolutional networks from the activations of a layer to the image."""

from .decoder import Decoder, Plan, folded, plan_for
from .inverter import Inverter, for_network, weights_digest
from .inverter_file import read_inverter, write_inverter
from .library import (
    InverterEntry,
    Inverters,
    find_generator,
    find_inverter,
    given_inverter,
    has_inverter,
    inverters,
    layers_with_inverter,
)

__all__ = [
    "Decoder",
    "Inverter",
    "InverterEntry",
    "Inverters",
    "Plan",
    "find_generator",
    "find_inverter",
    "folded",
    "for_network",
    "given_inverter",
    "has_inverter",
    "inverters",
    "layers_with_inverter",
    "plan_for",
    "read_inverter",
    "weights_digest",
    "write_inverter",
]
