"""Generators: up-convolutional networks from the activations of a layer to the image."""

from .decoder import Decoder, Plan, folded, plan_for
from .inverter import Inverter, weights_digest
from .inverter_file import read_inverter, write_inverter

__all__ = ["Decoder", "Inverter", "Plan", "folded", "plan_for", "read_inverter", "weights_digest", "write_inverter"]
