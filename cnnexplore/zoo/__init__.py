"""Networks that can be loaded by name or from a weights file."""

from .catalogue import DEFAULT, Catalogue, Entry, embedded, load, networks

__all__ = ["DEFAULT", "Catalogue", "Entry", "embedded", "load", "networks"]
