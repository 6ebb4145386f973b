"""Networks that can be loaded by name or from a weights file."""

from .catalogue import DEFAULT, Catalogue, Entry, embedded, load, networks
from .training.finetune import Finetuning, finetune

__all__ = ["DEFAULT", "Catalogue", "Entry", "Finetuning", "embedded", "finetune", "load", "networks"]
