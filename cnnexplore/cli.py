"""The command line: cnnexplore lab, course, doctor, app, networks, figure, gallery, train."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click


@click.group()
@click.version_option(package_name="cnnexplore")
def cli() -> None:
    """A microscope for convolutional networks that lives in JupyterLab."""


@cli.command()
def networks() -> None:
    """List the networks that can be loaded by name."""
    from . import zoo

    click.echo(repr(zoo.networks()))


@cli.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--folder",
    default="cnnexplore-labs",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for your copies of the notebooks.",
)
@click.option("--copy-only", is_flag=True, help="Copy the notebooks, do not open JupyterLab.")
@click.argument("jupyter_options", nargs=-1, type=click.UNPROCESSED)
def lab(folder: Path, copy_only: bool, jupyter_options: tuple[str, ...]) -> None:
    """Copy the course notebooks into a folder and open JupyterLab there.

    A notebook that you changed is never overwritten. Further options are passed to JupyterLab, for example
    --no-browser --port 8890.
    """
    from . import lab as notebooks

    words = {"new": "copied", "updated": "updated", "kept": "yours, kept"}
    for name, outcome in notebooks.copy_notebooks(folder).items():
        if outcome in words:
            click.echo(f"{words[outcome]:<12} {folder / name}")
    if not copy_only:
        raise SystemExit(notebooks.open_jupyter(folder.resolve(), list(jupyter_options)))


@cli.command()
@click.option(
    "--edition",
    type=click.Choice(["student", "teacher", "nbgrader"]),
    default="student",
    show_default=True,
    help="Without answers; with answers and hints for marking; or for nbgrader, which makes and grades the copies.",
)
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write the notebooks to."
)
@click.option(
    "--lab", "labs", multiple=True, type=click.IntRange(0), help="Number of a lab; may be repeated.  [default: all]"
)
@click.option(
    "--run", is_flag=True, help="Run each notebook, so that it holds its pictures; up to two minutes for a lab."
)
def course(edition: str, out: Path, labs: tuple[int, ...], run: bool) -> None:
    """Write the labs as a course: for students, for the teacher, or for nbgrader.

    A file that is there already is never overwritten.
    """
    from . import lab
    from .course import editions

    for path, outcome in editions.make(edition, out, lab.bundled_notebooks() / "labs", list(labs) or None, run):
        click.echo(f"{'written' if outcome == 'new' else 'there, kept':<12} {path}")


@cli.command()
def doctor() -> None:
    """Say what works here: live drawing, sliders while a cell runs, the GPU, and which command mends what does not.

    A kernel is started and a widget opened in it; the exit status is 1 if panels cannot be drawn.
    """
    from . import doctor as examination

    known, findings = examination.versions(), list(examination.examine())
    click.echo(examination.report(findings, known))
    if any(one.name == "live drawing" and one.works is False for one in findings):
        raise SystemExit(1)


@cli.command(context_settings={"ignore_unknown_options": True})
@click.option("--net", help="Name of a network, or a weights file.  [default: photonet]")
@click.option("--image", "images", multiple=True, type=click.Path(), help="An image, or a folder; may be repeated.")
@click.option("--state", type=click.Path(dir_okay=False), help='A file with the JSON that the button "share" copies.')
@click.argument("voila_options", nargs=-1, type=click.UNPROCESSED)
def app(net: str | None, images: tuple[str, ...], state: str | None, voila_options: tuple[str, ...]) -> None:
    """Open the explorer as an application in the browser: one page without code.

    It needs Voila (pip install "cnnexplore[app]"). Each visitor has a kernel, which ends with the page; all end when
    the command is stopped. Further options are passed to Voila, for example --no-browser --port 8890.
    """
    from . import app as application

    raise SystemExit(application.open_app(net, list(images), state, Path.cwd(), list(voila_options)))


@cli.command()
@click.argument("name", required=False)
@click.option("--net", help="Name of a network, or a weights file.  [default: a network that suits the figure]")
@click.option(
    "--image",
    "images",
    multiple=True,
    type=click.Path(),
    help="An image file; may be repeated. A folder for data sets.",
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write.  [default: NAME.png, or NAME.csv]"
)
@click.option("--steps", type=click.IntRange(1), help="Steps of each run; fewer are faster and less accurate.")
@click.option("--layers", help="Names of layers, separated by commas.  [default: the figure's own choice]")
@click.option(
    "--workers", type=click.IntRange(1, 1000), help="Processes that compute a table; 1 for this one.  [default: 1]"
)
def figure(
    name: str | None, net: str | None, images: tuple[str, ...], out: Path | None, steps: int | None,
    layers: str | None, workers: int | None,
) -> None:  # fmt: skip
    """Make a figure or table of a paper, such as preimage2016.5; without NAME, list them.

    An interrupted table is resumed when the same command is given again.
    """
    from . import figures, zoo
    from .arguments import output
    from .results import FORMATS

    if name is None:
        known = figures.names()
        width = max(map(len, known))
        click.echo("\n".join(f"{one:<{width}}  {description}" for one, description in known.items()))
        return
    table = ".table" in name
    out = out or Path(f"{name}.{'csv' if table else 'png'}")
    figures.find(name)
    out = output(FORMATS | {".csv"} if table else FORMATS)("--out", out)
    options: dict[str, Any] = {}
    if steps is not None:
        options["steps"] = steps
    if layers:
        options["layers"] = layers.split(",")
    if "log" in figures.settings(name):
        options["log"] = out.with_suffix(".jsonl")
    image = list(images) if table or len(images) > 1 else (images[0] if images else None)
    figures.check(name, image or None, options)  # before a network is loaded
    if workers is not None and "executor" not in figures.settings(name):
        raise click.UsageError(f"--workers is for tables; {name} is made by one process.")
    with _workers(workers) as executor:
        if executor is not None:
            options["executor"] = executor
        result = figures.figure(name, zoo.load(net) if net else None, image or None, **options)
    result.save(out)
    click.echo(str(result) if table else f"{out}")


@cli.command()
@click.option("--net", default="photonet", show_default=True, help="Name of a network, or a weights file.")
@click.option("--layers", help="Names of layers, separated by commas.  [default: all]")
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write the pictures to."
)
@click.option("--steps", type=click.IntRange(1), help="Steps of each unit; fewer are faster and less sharp.")
@click.option("--workers", type=click.IntRange(1, 1000), help="Processes that compute.  [default: 1]")
def gallery(net: str, layers: str | None, out: Path, steps: int | None, workers: int | None) -> None:
    """Maximise every unit of every layer: a picture of each layer, LAYER.png, in a folder.

    An interrupted gallery is resumed when the same command is given again.
    """
    from . import zoo
    from .results import writing
    from .units import gallery as make

    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    with _workers(workers) as executor:
        found = make(zoo.load(net), layers.split(",") if layers else None, steps=steps, executor=executor)
    for name in found.layers:
        path = out / f"{name.replace('/', '-')}.png"
        found.of(name).save(path)
        click.echo(f"{path}")


@contextmanager
def _workers(count: int | None) -> Iterator[Any]:
    """A pool of processes; None for one."""
    if count is None or count == 1:
        yield None
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@cli.group()
def train() -> None:
    """Train the networks that ship with the package."""


@train.command("lenet")
@click.option("--smooth", is_flag=True, help="Train lenet-smooth: strong weight decay, smooth filters.")
@click.option("--data", default="data", show_default=True, help="Folder that holds torchvision's MNIST.")
@click.option("--download", is_flag=True, help="Download MNIST into that folder.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write.  [default: NAME.safetensors]"
)
@click.option("--epochs", default=10, show_default=True, type=click.IntRange(1), help="Passes over the data.")
@click.option("--seed", default=0, show_default=True, help="Seed of the weights and of the order of the data.")
def train_lenet(smooth: bool, data: str, download: bool, out: Path | None, epochs: int, seed: int) -> None:
    """Train LeNet on MNIST: at least 99 % test accuracy, a few minutes on two cores."""
    from .zoo.training import lenet

    out = out or Path(f"lenet{'-smooth' if smooth else ''}.safetensors")
    score = lenet.train(data, out, epochs, seed, download, smooth)
    click.echo(f"{score:.2%} on the MNIST test set; {out} has {os.path.getsize(out) / 1e6:.2f} MB")


@train.command("photonet")
@click.option("--robust", is_flag=True, help="Train photonet-robust, against L2 attacks.")
@click.option("--data", default="data", show_default=True, help="Folder that holds torchvision's Imagenette (160px).")
@click.option("--download", is_flag=True, help="Download Imagenette into that folder.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write.  [default: NAME.safetensors]"
)
@click.option("--epochs", default=20, show_default=True, type=click.IntRange(1), help="Passes over the data.")
@click.option("--eps", default=1.5, show_default=True, help="Radius of the attacks on images in 0..1.")
@click.option("--seed", default=0, show_default=True, help="Seed of the weights and of the order of the data.")
def train_photonet(
    robust: bool, data: str, download: bool, out: Path | None, epochs: int, eps: float, seed: int
) -> None:
    """Train a narrow AlexNet on Imagenette: about half an hour on two cores.

    An interrupted training is resumed when the same command is given again.
    """
    from .zoo.training import photonet

    out = out or Path(f"photonet{'-robust' if robust else ''}.safetensors")
    score = photonet.train(data, out, robust, epochs, seed, download, eps)
    click.echo(f"{score:.2%} on Imagenette's validation photographs; {out} has {os.path.getsize(out) / 1e6:.2f} MB")


@train.command("worldnet")
@click.option("--robust", is_flag=True, help="Train worldnet-robust, against L2 attacks.")
@click.option("--styles", is_flag=True, help="Train worldnet-styles: worldnet, trained further to separate styles.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write.  [default: NAME.safetensors]"
)
@click.option("--epochs", type=click.IntRange(1), help="Of 6144 new scenes each.  [default: 15; 39 with --styles]")
@click.option("--eps", default=1.5, show_default=True, help="Radius of the attacks on images in 0..1.")
@click.option("--seed", default=0, show_default=True, help="Seed of the weights and of the order of the data.")
@click.option("--checkpoints", type=click.Path(file_okay=False, path_type=Path), help="Folder for checkpoints.")
def train_worldnet(
    robust: bool,
    styles: bool,
    out: Path | None,
    epochs: int | None,
    eps: float,
    seed: int,
    checkpoints: Path | None,
) -> None:
    """Train a narrow AlexNet on scenes of the procedural world; no data are needed.

    An interrupted training is resumed when the same command is given again.
    """
    from .zoo.training import worldnet, worldnet_styles

    if styles and (robust or checkpoints):
        raise click.UsageError("--styles cannot be combined with --robust or --checkpoints.")
    if styles:
        out = out or Path("worldnet-styles.safetensors")
        score = worldnet_styles.train(out, epochs, seed)
    else:
        out = out or Path(f"worldnet{'-robust' if robust else ''}.safetensors")
        score = worldnet.train(out, robust, epochs or 15, seed, eps, checkpoints)
    click.echo(f"{score:.2%} on held-out scenes; {out} has {os.path.getsize(out) / 1e6:.2f} MB")


@train.command("inverter")
@click.option("--net", "name", required=True, help="Name of a network, or a weights file.")
@click.option("--layer", required=True, help="The layer that is inverted, such as pool5.")
@click.option(
    "--loss",
    default="pixel",
    show_default=True,
    type=click.Choice(["pixel", "feature", "adversarial"]),
    help="Squared error of pixels; also of a deep layer's activations; also against a discriminator.",
)
@click.option("--data", help="Folder with images, also in subfolders.  [default: scenes of the procedural world]")
@click.option("--images", default=8192, show_default=True, type=click.IntRange(512), help="How many images, at most.")
@click.option("--mirror/--no-mirror", default=None, help="Take each image also as in a mirror.  [default: with --data]")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="File to write.  [default: NET-inverter-LAYER]"
)
@click.option("--steps", default=2400, show_default=True, type=click.IntRange(1), help="How many batches.")
@click.option("--batch", default=16, show_default=True, type=click.IntRange(2), help="Images of a batch.")
@click.option("--width", default=32, show_default=True, type=click.IntRange(4, 512), help="Channels before the image.")
@click.option(
    "--smoothed",
    default=0,
    show_default=True,
    type=click.IntRange(0, 512),
    help="Channels before a last 3 x 3 convolution.",
)
@click.option("--against", default=1.0, show_default=True, help="Factor of the published weight of the discriminator.")
@click.option("--seed", default=0, show_default=True, help="Seed of the weights and of the order of the images.")
def train_inverter(
    name: str,
    layer: str,
    loss: str,
    data: str | None,
    images: int,
    mirror: bool | None,
    out: Path | None,
    steps: int,
    batch: int,
    width: int,
    smoothed: int,
    against: float,
    seed: int,
) -> None:
    """Train a decoder from a layer's activations to the image: ten minutes to an hour on two cores.

    An interrupted training is resumed when the same command is given again. cx.invert(..., method="learned",
    inverter=FILE) uses the file; one that was trained with the adversarial loss is also a prior for cx.maximize.
    """
    from . import zoo
    from .zoo.training import inverter

    net = zoo.load(name)
    where = net.layers[layer].name
    out = out or Path(f"{Path(name).stem}-inverter-{where.replace('/', '-')}.safetensors")
    command = f"cnnexplore train inverter --net {net.name} --layer {where} --loss {loss}"
    command += (f" --data {data}" if data else "") + f" --images {images}"
    command += "" if mirror is None else " --mirror" if mirror else " --no-mirror"
    recipe = inverter.Recipe(loss, steps, batch, width=width, smoothed=smoothed, against=against, seed=seed)
    found = inverter.train(net, where, out, recipe, inverter.training_images(net, data, images, seed, mirror), command)
    click.echo(
        f"image error {found.errors['image']:.3f}, activation error {found.errors['activation']:.3f} on images that "
        f"were left out; {out} has {os.path.getsize(out) / 1e6:.2f} MB"
    )


def main() -> None:
    """Run the command line; an ExploreError is printed as one sentence, without a traceback."""
    from .errors import ExploreError

    try:
        cli()
    except ExploreError as error:
        raise SystemExit(f"cnnexplore: {error}") from None
