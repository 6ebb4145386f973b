"""What a release checks, in one command: python tests/release.py [--full].

Builds the wheel and the sdist from a clean clone without tags, looks at what is in them, builds the wheel again from
the unpacked sdist, installs the wheel from its folder without an index, and runs a smoke test with it. With --full the
dependencies are downloaded to that folder first and installed offline, too, into an environment that has nothing else
(about 5 minutes, 2 GB without CUDA); without it they are those of the environment that runs this file. Needs the extra
"release". Prints the sizes that the page *Where it runs* states.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEEDED = (
    "cnnexplore/py.typed", "cnnexplore/__init__.pyi", "cnnexplore/zoo/weights/photonet.safetensors",
    "cnnexplore/widgets/views/frame_view.js", "cnnexplore/notebooks/labs/",
)  # fmt: skip
SMOKE = """
import json, sys, time
start = time.perf_counter()
import cnnexplore as cx
net, image = cx.load("photonet"), cx.photograph("cat")
a = cx.attribute(net, image, method="gradcam")
first = time.perf_counter() - start
r = cx.invert(net, image, "conv3", steps=3, refine=0, progress=False)
r.save(sys.argv[1])
panel = cx.AttributionPanel(net, image)
done = panel.wait(120)
panel.close()
outside = [name for name in ("captum", "zennit", "pytorch_grad_cam", "cv2") if name in sys.modules]
print(json.dumps({"version": cx.__version__, "file": cx.__file__, "score": a.score, "first": first, "done": done,
                  "outside": outside, "labels": net.predict(image, k=1)[0][0]}))
"""


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """A command's output; what it printed is shown if it fails."""
    left = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=left | environment, text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def build(source: Path, folder: Path) -> tuple[Path, Path]:
    """The sdist and the wheel of a folder; the wheel is built from the sdist."""
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, source)
    return next(folder.glob("*.tar.gz")), next(folder.glob("*.whl"))


def check_metadata(wheel: Path) -> str:
    """The version of a wheel whose metadata and files are complete."""
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
        text = file.read(next(name for name in names if name.endswith("METADATA"))).decode()
    for needed in NEEDED:
        assert any(name.startswith(needed) for name in names), f"{needed} is not in the wheel"
    assert not any(name.startswith(("tests/", "shared/")) or "__pycache__" in name for name in names)
    data = Parser().parsestr(text)
    for field in ("Name", "Version", "Summary", "Author", "License-Expression", "Requires-Python", "Classifier"):
        assert data[field], f"the metadata has no {field}"
    assert data["Description-Content-Type"] == "text/markdown"
    assert len(data.get_payload()) > 1000, "the README is not in the metadata"
    return str(data["Version"])


def environment(folder: Path, full: bool) -> Path:
    """A new environment's Python; without --full it finds the dependencies of this one, but not this package."""
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not full:
        here = run(sys.executable, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        there = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        (Path(there) / "dependencies.pth").write_text(f"{here}\n")
    return python


def size_of(folder: Path) -> float:
    """The megabytes of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main(full: bool) -> dict[str, object]:
    """All checks; what was measured, by name."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        run("git", "clone", "--quiet", "--depth", "1", "--no-tags", ROOT.as_uri(), work / "clone")
        sdist, wheel = build(work / "clone", work / "dist")
        version = check_metadata(wheel)
        with tarfile.open(sdist) as file:
            file.extractall(work / "unpacked", filter="data")
        again = build(next((work / "unpacked").iterdir()), work / "again")[1]
        assert check_metadata(again) == version, "the sdist alone gives another version"

        start = time.perf_counter()
        python = environment(work / "env", full)
        if full:
            run(python, "-m", "pip", "download", "-q", "-d", work / "dist", wheel)
        offline = ["--no-index", "--find-links", work / "dist", *([] if full else ["--no-deps", "--ignore-installed"])]
        run(python, "-m", "pip", "install", "-q", *offline, wheel, PIP_CONFIG_FILE=os.devnull)
        installed = time.perf_counter() - start
        outside = work / "elsewhere"
        outside.mkdir()
        found = json.loads(run(python, "-c", SMOKE, outside / "a.png", cwd=outside).splitlines()[-1])
        assert found["version"] == version
        assert Path(found["file"]).is_relative_to(work / "env"), f"{found['file']} was imported"
        assert found["done"]
        assert not found["outside"], f"{found['outside']} were imported without need"
        assert (outside / "a.png").stat().st_size > 10_000
        command = python.with_name("cnnexplore")
        assert version in run(command, "--version", cwd=outside)
        package = Path(found["file"]).parent
        return {
            "version": version,
            "sdist, MB": round(sdist.stat().st_size / 1e6, 1),
            "wheel, MB": round(wheel.stat().st_size / 1e6, 1),
            "installed package, MB": round(size_of(package), 1),
            "environment with all dependencies, MB": round(size_of(work / "env")) if full else "not measured",
            "installed in, s": round(installed, 1),
            "import to the first map, s": round(found["first"], 1),
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="also download and install the dependencies")
    for key, value in main(parser.parse_args().full).items():
        print(f"{key:<40} {value}")
