"""The learned inverter in the inversion panel, and the generator in the maximisation panel."""

import numpy as np
import pytest

import cnnexplore as cx
from cnnexplore.errors import ExploreError
from cnnexplore.preimage import GeneratorMaximization


@pytest.fixture
def inversion():
    panel = cx.InversionPanel("worldnet", cx.world.dataset(1, 5)[0][0], "relu6", steps=3)
    assert panel.wait(120)
    yield panel
    panel.close()


def test_the_learned_picture_stands_beside_the_optimisation(inversion):
    image = inversion.selection.value.image
    learned = cx.invert(inversion.net, image, "relu6", method="learned")
    pictures = inversion.run_pictures
    assert pictures.learned in pictures.widget.children
    assert pictures.learned.caption == f"learned inverter, one pass; error {learned.error:.3f}"
    assert np.abs(pictures._learned.astype(int) - learned.picture).max() <= 1
    assert not inversion.start_from.disabled
    inversion.selection.set(layer="conv1")  # a layer without one
    assert inversion.wait(120)
    assert pictures.learned not in pictures.widget.children
    assert inversion.start_from.disabled


def test_the_start_can_be_chosen(inversion):
    noise = inversion.run.history["error"][0]
    inversion.start_from.value = "learned"
    assert inversion.wait(120)
    assert inversion.run.history["error"][0] < noise
    assert "init='learned'" in inversion.to_python()
    again = eval(inversion.to_python(), {"cx": cx, "image": inversion.selection.value.image})
    assert np.array_equal(again.picture, inversion.picture)
    inversion.selection.set(layer="conv1")  # the choice stays, and has no effect where there is no inverter
    assert inversion.wait(120)
    assert "init=" not in inversion.to_python()


@pytest.fixture
def maximization():
    panel = cx.MaximizePanel("worldnet", "fc8", "boat", steps=3, prior="generator", thumbnails=False)
    assert panel.wait(120)
    yield panel
    panel.close()


def test_the_generator_is_a_prior_with_settings_of_its_own(maximization):
    run = maximization.run
    assert isinstance(run, GeneratorMaximization)
    assert maximization.estimate.caption == "unit 4 of fc8 (boat); generator of worldnet"
    line = maximization.to_python()
    assert "prior='generator'" in line
    assert np.array_equal(eval(line, {"cx": cx}).picture, maximization.picture)
    controls = maximization.generator
    assert {name: round(slider.value, 6) for name, slider in controls.sliders.items()} == {
        p.name: round(p.default, 6) for p in GeneratorMaximization.parameters
    }
    decay = controls.sliders["decay"]
    assert format(decay.value, decay.readout_format) == "0.990"
    assert decay.step <= 0.01  # the browser rounds to steps
    assert controls.sliders["decay"].layout.display == ""
    assert maximization.controls.sliders["C"].disabled
    controls.sliders["decay"].value = 0.9  # a run that has ended begins again
    assert maximization.wait(120)
    assert maximization.run is not run
    assert maximization.run.first.decay == 0.9
    controls.switch.value = False
    assert maximization.wait(120)
    assert isinstance(maximization.run, cx.Maximization)
    assert not maximization.controls.sliders["C"].disabled
    assert controls.sliders["decay"].layout.display == "none"


def test_a_network_without_a_generator_takes_that_of_another(maximization):
    maximization.generator.switch.value = False
    maximization.selection.set(net=cx.load("worldnet-robust"), layer="fc8", unit=1)
    assert maximization.wait(120)
    maximization.generator.switch.value = True
    assert maximization.wait(120)
    assert maximization.run.net.name == "worldnet-robust"
    assert "generator=" in maximization.to_python()


def test_a_generator_that_is_not_there_is_refused_at_once():
    with pytest.raises(ExploreError, match="'lenat' has no generator"):
        cx.MaximizePanel("worldnet", "fc8", prior="generator", generator="lenat", start=False)
