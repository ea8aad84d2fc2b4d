"""Tell once more of the version that is current."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.site import Site


def configured(site: Site, heard: Path) -> None:
    """From now on a command writes down which version it is told of, where it finds it, and by which delivery."""
    script = f"test -e {heard} && echo $KBSYNC_VERSION $KBSYNC_DELIVERY $KBSYNC_DIRECTORY >> {heard}"
    with site.config.open("a") as file:
        file.write(f'[release]\npublish = "lora"\nattempts = 1\ncommand = {json.dumps(["/bin/sh", "-c", script])}\n')


@pytest.mark.slow
def test_one_that_is_new_or_forgot_is_told_and_finds_the_version(built: Site, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    assert built.good("notify", "--again", "--json").json["delivered"] == 0, "nobody is configured"
    built.good("promote", "1")
    configured(built, heard)
    assert built.good("notify", "--json").json == {"delivered": 0, "given_up": 0, "waiting": 0}, "of later moves only"
    assert built.good("notify", "--again", "--dry-run").out.endswith("1 still waiting\n")
    told = built("notify", "--again", "--json")
    assert told.code == 75 and told.json["waiting"] == 1, "it does not take it"
    heard.touch()
    assert built.good("notify", "--json").json["delivered"] == 1, "a later command tries again"
    assert built.good("notify", "--again", "--json").json["delivered"] == 1
    lines = [line.split() for line in heard.read_text().splitlines()]
    assert [version for version, *_ in lines] == ["1", "1"] and len({delivery for _, delivery, _ in lines}) == 1
    assert (Path(lines[0][2]) / "adapter_config.json").is_file(), "it is published in the form that was set since"
    built.good("audit", "verify")


def test_where_nothing_has_moved_there_is_nothing_to_tell(built: Site, tmp_path: Path) -> None:
    configured(built, tmp_path / "heard")
    assert built.good("notify", "--again", "--json").json == {"delivered": 0, "given_up": 0, "waiting": 0}
