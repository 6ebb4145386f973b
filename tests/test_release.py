"""The wheel and the sdist are complete and install without an index: once per release, with the extra "release"."""

import pytest


@pytest.mark.long
def test_the_release_installs_offline_and_works():
    pytest.importorskip("build", reason='the extra "release" is not installed')
    pytest.importorskip("hatch_vcs", reason='the extra "release" is not installed')
    from release import main

    found = main(full=False)
    assert found["version"].startswith("0.") or found["version"][0].isdigit()
    assert found["wheel, MB"] < 60
