"""What the Python of a picture may consist of: names of functions, of attributes and of arguments."""

from __future__ import annotations

MAKERS = frozenset(
    {
        "Pathway", "PatchDatabase", "activation_maps", "annotated", "ask", "attribute", "caricature",
        "compare_dissections", "complete", "concept_images", "cone", "decode", "decode_activation", "digit", "digits",
        "discrepancy_maps", "dissect", "embed", "evolution", "facets", "features", "figure", "filters", "gallery",
        "intervene", "invert", "load", "maximize", "minimal_image", "neighbours", "photograph", "receptive_field",
        "retrieve", "salient_part", "sanity_check", "scene", "score", "top_patches", "topic_curve", "topics",
        "unit_changes", "unit_segments", "visualize_topic",
    }
)  # fmt: skip
"""Public functions and classes that may be called: they compute, and change nothing but the package's own caches."""

INSIDE = frozenset(
    {
        "Pathway.location", "Pathway.of", "masks.central", "masks.channels", "masks.groups", "masks.window",
        "world.dataset", "world.scene",
    }
)  # fmt: skip
"""Functions inside public names that may be called."""

METHODS = frozenset({"of", "only", "threshold", "with_matching", "with_threshold"})
"""Methods of results that may be called: each returns another result."""

FIELDS = frozenset({"curve", "embedding", "image", "images", "null"})
"""Attributes of results that may be read."""

REFUSED_ARGUMENTS = frozenset({"cache", "executor", "folder", "log", "progress"})
"""Arguments that say where something is computed, written or shown; a picture has no say in that.

`folder` is refused as a keyword only: `cx.annotated('photos')` reads a folder, and names it by position.
"""

MOST_CHARACTERS, MOST_PARTS, MOST_LEVELS = 1_000_000, 200_000, 50
