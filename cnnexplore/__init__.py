"""A microscope for convolutional networks that lives in JupyterLab."""

from importlib import import_module as _import_module

# Public names and the room each lives in; a room is imported when one of its names is first used.
_ROOMS = {
    "cnnexplore.errors": (
        "ExploreError", "ExploreWarning", "LayerNotFound", "LayerError", "ImageError", "SettingError", "NetworkError",
        "WeightsError", "DivergedError", "WorkerError",
    ),
    "cnnexplore.network": ("Network", "Layer", "Pixels"),
    "cnnexplore.zoo": ("Finetuning", "finetune", "load", "networks"),
    "cnnexplore.preimage": (
        "Inversion", "Maximization", "Caricature", "PreImage", "invert", "maximize", "caricature", "masks", "solvers",
    ),
    "cnnexplore.generators": ("inverters",),
    "cnnexplore.decoding": ("Decoding", "decode", "decode_activation"),
    "cnnexplore.attribution": ("Attribution", "attribute", "attribution_methods", "register_attribution"),
    "cnnexplore.units": (
        "Dissection", "DissectionComparison", "Evolution", "FacetCurve", "Facets", "Gallery", "Intervention",
        "UnitChanges", "activation_maps", "compare_dissections", "discrepancy_maps", "dissect", "evolution", "facets",
        "filters", "gallery", "intervene", "minimal_image", "receptive_field", "top_patches", "unit_changes",
        "unit_segments",
    ),
    "cnnexplore.styles": (
        "Completed", "Completion", "Cone", "PatchDatabase", "PatchIndex", "Pathway", "Retrieved", "Topic", "TopicCurve",
        "Topics", "complete", "cone", "retrieve", "salient_part", "topic_curve", "topics", "visualize_topic",
    ),
    "cnnexplore.representations": ("Embedding", "Features", "embed", "features", "neighbours"),
    "cnnexplore.data": ("ConceptImages", "annotated", "concept_images", "photograph", "photographs", "digit", "digits"),
    "cnnexplore.world": ("scene",),
    "cnnexplore.evaluation": ("SanityCheck", "sanity_check", "score"),
    "cnnexplore.reports": ("UnitReport", "ask"),
    "cnnexplore.figures": ("figure",),
    "cnnexplore.saved": ("SavedPicture", "from_picture"),
    "cnnexplore.widgets": (
        "InversionPanel", "MaximizePanel", "CaricaturePanel", "DecodingPanel", "AttributionPanel", "StylePanel",
        "PathwayPanel", "CompletionPanel", "UnitPanel", "UnitGrid", "Exercise", "explore",
    ),
}  # fmt: skip
_HOME = {name: room for room, names in _ROOMS.items() for name in names} | {"world": "cnnexplore"}
__all__ = sorted(_HOME)


def _version() -> str:
    """The version that is installed: of a tag, or of later commits; "0" where the package lies on a path only."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("cnnexplore")
    except PackageNotFoundError:
        return "0"


def __getattr__(name: str) -> object:
    if name == "__version__":
        globals()[name] = _version()
        return globals()[name]
    if name not in _HOME:
        raise AttributeError(f"module 'cnnexplore' has no attribute {name!r}")
    home = _HOME[name]
    value = _import_module(f"{home}.{name}") if home == __name__ else getattr(_import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
