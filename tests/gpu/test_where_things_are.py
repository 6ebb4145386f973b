"""Networks, images and results on two devices: what may be where."""

import numpy as np
import pytest
import torch

import cnnexplore as cx

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def net(gpu):
    return cx.load("worldnet", device=gpu)


@pytest.fixture(scope="module")
def image():
    return torch.from_numpy(cx.scene(7).image).permute(2, 0, 1).float() / 255


def test_the_network_is_where_load_was_told(net, gpu):
    assert net.device.type == torch.device(gpu).type
    assert all(p.device == net.device for p in net.module.parameters())


def test_auto_takes_the_gpu(gpu):
    if gpu == "cpu":
        pytest.skip("there is no GPU to choose.")
    assert cx.load("worldnet").device.type == torch.device(gpu).type


def test_images_on_either_device(net, image, gpu):
    """A tensor is read from where it is, and the result does not depend on that."""
    assert torch.equal(net.activations(image, "fc8"), net.activations(image.to(gpu), "fc8"))
    assert net.predict(image) == net.predict(image.to(gpu))
    here, there = (cx.attribute(net, one, method="gradcam") for one in (image, image.to(gpu)))
    assert np.array_equal(here.map, there.map)
    made = [cx.invert(net, one, "conv3", steps=2, refine=0, progress=False) for one in (image, image.to(gpu))]
    assert np.array_equal(made[0].picture, made[1].picture)


def test_a_network_on_the_cpu_takes_images_of_the_gpu(image, gpu):
    net = cx.load("worldnet", device="cpu")
    assert net.activations(image.to(gpu), "fc8").device.type == "cpu"
    assert net.predict(image.to(gpu)) == net.predict(image)


def test_a_pre_image_goes_on_from_a_pre_image(net):
    """Results are on the CPU, and are taken wherever images are."""
    first = cx.invert(net, cx.scene(7).image, "conv3", steps=2, refine=0, progress=False)
    assert first.x.device.type == "cpu"
    assert np.asarray(first.x).shape == (1, 3, 96, 96)
    again = cx.invert(net, cx.scene(7).image, "conv3", init=first.picture, steps=2, refine=0, progress=False)
    assert np.isfinite(again.error)


def test_a_network_that_moves_after_its_first_use(gpu, image):
    """The module's device is asked each time, never remembered."""
    net = cx.load("worldnet", device="cpu")
    before = net.predict(image)
    net.module.to(gpu)
    after = net.predict(image)
    assert net.device.type == torch.device(gpu).type
    assert [name for name, _ in after] == [name for name, _ in before]
    assert [p for _, p in after] == pytest.approx([p for _, p in before], rel=1e-4)


def test_a_direction_and_a_mask_on_either_device(net, gpu):
    weights = torch.zeros(128, device=gpu)
    weights[3] = 1
    options = {"steps": 2, "M": 1.0, "progress": False}
    found = [cx.maximize(net, "conv4", direction=one, **options) for one in (weights, weights.cpu().numpy())]
    assert np.array_equal(found[0].picture, found[1].picture)


def test_a_saved_run_goes_on_on_another_device(gpu):
    """The state of a run on the CPU restored on the GPU, and back."""

    def begin(device):
        return cx.Inversion(cx.load("worldnet", device=device), cx.scene(7).image, "conv3", steps=6, refine=0)

    whole = begin("cpu")
    for _ in range(6):
        whole.advance()
    for first, second in (("cpu", gpu), (gpu, "cpu")):
        run, rest = begin(first), begin(second)
        for _ in range(3):
            run.advance()
        rest.restore(run.state())
        for _ in range(3):
            rest.advance()
        assert rest.result().error == pytest.approx(whole.result().error, rel=5e-2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(gpu, dtype, image):
    """A network in half precision gives finite answers near those in full precision."""
    if gpu == "cpu":
        pytest.skip("half precision on the CPU is tested elsewhere.")
    net = cx.load("worldnet", device=gpu)
    expected = net.predict(image)[0][0]
    net.module.to(dtype)
    assert net.predict(image)[0][0] == expected
    assert np.isfinite(cx.attribute(net, image, method="gradcam").map).all()
    assert np.isfinite(cx.invert(net, image, "conv3", steps=3, refine=0, progress=False).error)


def test_a_frame_is_drawn_on_the_cpu(net):
    """What the live loop sends to the browser."""
    pytest.importorskip("anywidget")
    from cnnexplore.widgets.views.frame_view import decoded_pictures

    frame = cx.Inversion(net, cx.scene(7).image, "conv3", steps=2, refine=0).advance()
    assert np.array_equal(np.concatenate(decoded_pictures(frame.x, net)).reshape(96, 96, 3), frame.picture)
