"""The command line: cnnexplore lab | networks | figure | train."""

from __future__ import annotations

import inspect
import os
from pathlib import Path

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
    help="Where your copies of the notebooks are kept.",
)
@click.option("--copy-only", is_flag=True, help="Copy the notebooks and stop.")
@click.argument("jupyter_options", nargs=-1, type=click.UNPROCESSED)
def lab(folder: Path, copy_only: bool, jupyter_options: tuple[str, ...]) -> None:
    """Copy the course notebooks to a folder of yours and open JupyterLab there.

    What you wrote is never overwritten. Further options go to JupyterLab, for example --no-browser --port 8890.
    """
    from . import lab as course

    said = {"new": "copied", "updated": "updated", "kept": "yours, kept"}
    for name, fate in course.copy_notebooks(folder).items():
        if fate in said:
            click.echo(f"{said[fate]:<12} {folder / name}")
    if not copy_only:
        raise SystemExit(course.open_jupyter(folder.resolve(), list(jupyter_options)))


@cli.command()
@click.argument("name", required=False)
@click.option("--net", help="A network by name, or a weights file.  [default: one that suits the figure]")
@click.option(
    "--image", "images", multiple=True, type=click.Path(), help="A file, several times, or a folder for data sets."
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="[default: NAME.png, or .csv for a table]")
@click.option("--steps", type=click.IntRange(1), help="Of each run; fewer is faster and rougher.")
@click.option("--layers", help="Comma-separated; the figure's own choice if not given.")
def figure(name, net, images, out, steps, layers) -> None:
    """Make a figure or table of a paper, such as preimage2016.5; without NAME, list them.

    A table that was interrupted goes on when the command is given again.
    """
    from . import figures, zoo

    if name is None:
        known = figures.names()
        width = max(map(len, known))
        click.echo("\n".join(f"{one:<{width}}  {said}" for one, said in known.items()))
        return
    table = ".table" in name
    out = out or Path(f"{name}.{'csv' if table else 'png'}")
    options = {"steps": steps, "layers": layers.split(",") if layers else None}
    options = {key: value for key, value in options.items() if value is not None}
    if "log" in inspect.signature(figures.find(name)).parameters:
        options["log"] = out.with_suffix(".jsonl")
    image = list(images) if table or len(images) > 1 else (images[0] if images else None)
    made = figures.figure(name, zoo.load(net) if net else None, image or None, **options)
    made.save(out)
    click.echo(str(made) if table else f"{out}")


@cli.group()
def train() -> None:
    """Train the networks that ship with the package."""


@train.command("lenet")
@click.option("--smooth", is_flag=True, help="Strong weight decay: lenet-smooth, whose filters decode best.")
@click.option("--data", default="data", show_default=True, help="Folder with torchvision's MNIST in it.")
@click.option("--download", is_flag=True, help="Let torchvision fetch MNIST into that folder.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="[default: the network's name]")
@click.option("--epochs", default=10, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=0, show_default=True)
def train_lenet(smooth: bool, data: str, download: bool, out: Path | None, epochs: int, seed: int) -> None:
    """LeNet on MNIST: at least 99 % on its test set, minutes on two cores."""
    from .zoo.training import lenet

    out = out or Path(f"lenet{'-smooth' if smooth else ''}.safetensors")
    score = lenet.train(data, out, epochs, seed, download, smooth)
    click.echo(f"{score:.2%} on the MNIST test set; {out} has {os.path.getsize(out) / 1e6:.2f} MB")


@train.command("photonet")
@click.option("--robust", is_flag=True, help="Train against L2 attacks: photonet-robust.")
@click.option("--data", default="data", show_default=True, help="Folder with torchvision's Imagenette (160px) in it.")
@click.option("--download", is_flag=True, help="Let torchvision fetch Imagenette into that folder.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="[default: the network's name]")
@click.option("--epochs", default=20, show_default=True, type=click.IntRange(1))
@click.option("--eps", default=1.5, show_default=True, help="Radius of the attacks, for images in 0..1.")
@click.option("--seed", default=0, show_default=True)
def train_photonet(robust, data, download, out, epochs, eps, seed) -> None:
    """A narrow AlexNet on Imagenette: about half an hour on two cores. Interrupted, the same command goes on."""
    from .zoo.training import photonet

    out = out or Path(f"photonet{'-robust' if robust else ''}.safetensors")
    score = photonet.train(data, out, robust, epochs, seed, download, eps)
    click.echo(f"{score:.2%} on Imagenette's validation photographs; {out} has {os.path.getsize(out) / 1e6:.2f} MB")


@train.command("worldnet")
@click.option("--robust", is_flag=True, help="Train against L2 attacks: worldnet-robust.")
@click.option("--styles", is_flag=True, help="Train the shipped worldnet on to tell styles apart: worldnet-styles.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="[default: the network's name]")
@click.option("--epochs", type=click.IntRange(1), help="6144 new scenes each.  [default: 15; 39 with --styles]")
@click.option("--eps", default=1.5, show_default=True, help="Radius of the attacks, for images in 0..1.")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--checkpoints", type=click.Path(file_okay=False, path_type=Path), help="Keep whole networks along the training."
)
def train_worldnet(robust, styles, out, epochs, eps, seed, checkpoints) -> None:
    """A narrow AlexNet on fresh scenes of the world; no file is needed. Interrupted, the same command goes on."""
    from .zoo.training import worldnet
    from .zoo.training import worldnet_styles as styled

    if styles and (robust or checkpoints):
        raise click.UsageError("--styles goes with neither --robust nor --checkpoints.")
    if styles:
        out = out or Path("worldnet-styles.safetensors")
        score = styled.train(out, epochs, seed)
    else:
        out = out or Path(f"worldnet{'-robust' if robust else ''}.safetensors")
        score = worldnet.train(out, robust, epochs or 15, seed, eps, checkpoints)
    click.echo(f"{score:.2%} on held-out scenes; {out} has {os.path.getsize(out) / 1e6:.2f} MB")


def main() -> None:
    """Entry point: an error that cnnexplore raises on purpose is one sentence, not a traceback."""
    from .errors import ExploreError

    try:
        cli()
    except ExploreError as error:
        raise SystemExit(f"cnnexplore: {error}") from None
