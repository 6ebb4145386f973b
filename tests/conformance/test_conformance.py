"""Modules of others: every function gives the right value for them, or one true sentence."""

import pytest
from conformance_table import CHECKS, KINDS, RIGHT, VARIES, WIDTH, kept, row
from foreign_modules import cases

# What must be right: a sentence is allowed nowhere else, so that a refusal of too much is seen.
MAY_REFUSE = {"guided_backprop", "deconvnet", "cam", "decode", "fields"}
SCORELESS = {
    "odd: TwoHeads", "odd: UNet", "torchvision: fcn_resnet50", "torchvision: lraspp_mobilenet_v3_large",
    "torchvision: deeplabv3_mobilenet_v3_large", "torchvision: fasterrcnn_mobilenet_v3_large_320_fpn",
    "torchvision: ssdlite320_mobilenet_v3_large", "torchvision: fcos_resnet50_fpn",
    "torchvision: retinanet_resnet50_fpn", "torchvision: ssd300_vgg16", "torchvision: maskrcnn_resnet50_fpn",
    "torchvision: keypointrcnn_resnet50_fpn",
}  # fmt: skip
# Their last layers have a row for each region, and the image decides how many there are.
BY_REGION = {
    name: {"activations", "features"}
    for name in (
        "torchvision: fasterrcnn_mobilenet_v3_large_320_fpn", "torchvision: maskrcnn_resnet50_fpn",
        "torchvision: keypointrcnn_resnet50_fpn",
    )
}  # fmt: skip
# The last map of random weights is zero; scores of random weights are too large for float16.
BY_CHANCE = {"timm: levit_128s": {"invert"}, "timm: visformer_tiny": {"features"}}
# They have no layer with a map, or none that all of their maps lead to.
NO_MAPS = {
    name: {"invert", "maximize", "gradcam", "top_patches"} for name in ("odd: Volume", "odd: Ensemble", "odd: Complex")
}
OF_SCORES = {
    "predict", "gradient", "input_x_gradient", "smoothgrad", "integrated_gradients", "gradcam", "occlusion",
}  # fmt: skip
SCRIPTED = {"odd: torch.jit.trace", "odd: torch.jit.script"}
CASES = cases()


QUICK = {"torchvision: squeezenet1_1", "torchvision: mobilenet_v3_small", "torchvision: swin_t"}


def _marked(case):
    rest = pytest.mark.slow if case.name in QUICK else pytest.mark.long
    return pytest.param(case, id=case.name, marks=() if case.name.startswith("odd") else rest)


@pytest.mark.parametrize("case", [_marked(case) for case in CASES])
def test_right_or_said(case):
    found = row(case)
    assert list(found) == [check.__name__ for check in CHECKS]
    wrong = {name: value for name, value in found.items() if value.startswith("WRONG")}
    assert not wrong
    if case.name in SCRIPTED:
        return
    said = {name for name, value in found.items() if value not in (RIGHT, VARIES)}
    allowed = MAY_REFUSE | (OF_SCORES if case.name in SCORELESS else set()) | BY_CHANCE.get(case.name, set())
    allowed |= BY_REGION.get(case.name, set()) | NO_MAPS.get(case.name, set())
    assert said <= allowed, found


def test_the_table_that_is_kept_has_all_rows_and_nothing_wrong():
    rows = kept()
    missing = {case.name for case in CASES if case.name.startswith("odd")} - set(rows)
    assert not missing
    for row_of_cells in (one.split("\n")[0][WIDTH:].split() for one in rows.values()):
        assert len(row_of_cells) == len(CHECKS)
        assert set(row_of_cells) <= set(KINDS) - {"WRONG"}
