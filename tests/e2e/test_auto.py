"""A site that names no recipe: the first synchronisation finds one, also after a kill in the middle of the search."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from tests.support.installation import Site


def test_a_killed_search_goes_on_and_ends_in_a_promoted_version(site: Site) -> None:
    place, settings = site.config.parent, site.config.read_text()
    site.config.write_text(settings.replace('recipe = "tiny"', 'recipe = "auto"') + '\n[tune]\nbudget = "45s"\n')
    command = [sys.executable, "-m", "kbsync", "--config", str(site.config), "sync"]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list((place / "state" / "artifacts").glob("targets/*/*")):
        assert process.poll() is None, "the cycle ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not list((place / "recipes").glob("auto-*"))

    done = site.json("sync")
    assert done["outcome"] == "promoted"
    (found,) = (place / "recipes").glob("auto-*.toml")
    assert done["recipe"]["file"] == str(found)
    again = site.json("recipe", "tune", "--units", str(done["recipe"]["units"]))
    assert again["score"] == done["recipe"]["score"]
    assert site.json("sync")["outcome"] == "nothing to do", "the same work gives the same recipe"
    told = {check["name"]: check["detail"] for check in site.json("doctor")["checks"]}
    assert "development facts" in told["recipe"]
    site.kbsync("audit", "verify")
