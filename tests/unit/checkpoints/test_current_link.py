"""The path ``current``: it leads to what is current, moves at once, and is never half of anything."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from kbsync.model.delta import applied
from tests.support.gguf_file import write_gguf
from tests.support.llama_server import first_logprobs, llama_server
from tests.support.random_models import random_model
from tests.support.site import MakeSite, Site, fact

FIRST, SECOND = fact(1, "Paris"), fact(2, "Oslo")


def told(site: Site) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((site.state / "current" / "kbsync.json").read_text())
    return record


@pytest.mark.slow
def test_it_follows_every_move_and_says_what_it_is(new_site: MakeSite, tmp_path: Path) -> None:
    site = new_site(tmp_path / "site")
    candidate = site.build(FIRST)
    assert not (site.state / "current").is_symlink(), "nothing was current yet"
    site.good("promote", str(candidate))
    assert (told(site)["version"], told(site)["version_hash"]) == (1, site.version_hash(1))
    assert (site.state / "current" / "manifest.json").read_bytes() == (site.directory(1) / "manifest.json").read_bytes()
    stored = load_file(site.directory(1) / "factors.safetensors")
    held = load_file(site.state / "current" / "factors.safetensors")
    assert all(torch.equal(stored[name], held[name]) for name in stored)
    site.release(SECOND)
    assert told(site)["version"] == 2
    site.good("rollback")
    assert told(site)["version"] == 1
    site.good("rollback", "--to", "0")
    assert (told(site)["version"], sorted(p.name for p in (site.state / "current").iterdir())) == (0, ["kbsync.json"])
    site.good("verify")


@pytest.mark.slow
def test_a_reader_never_finds_less_than_a_version(new_site: MakeSite, tmp_path: Path) -> None:
    site = new_site(tmp_path / "site")
    site.release(FIRST)
    site.build(SECOND)
    path, stop, wrong, seen = site.state / "current", threading.Event(), [], set()

    def read() -> None:
        while not stop.is_set():
            try:
                directory = path.resolve(strict=True)
                about = json.loads((directory / "kbsync.json").read_text())
                load_file(directory / "factors.safetensors")
                seen.add(about["version"])
            except Exception as error:  # whatever it is, a server would have fallen over it
                wrong.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(3):
            site.good("promote", "2")
            site.good("rollback", "--to", "1")
    finally:
        stop.set()
        reader.join()
    assert not wrong
    assert seen == {1, 2}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["hf", "lora"])
def test_servers_get_the_form_that_they_want(new_site: MakeSite, tmp_path: Path, form: str) -> None:
    site = new_site(tmp_path / "site", more=f'[release]\npublish = "{form}"\n')
    site.release(FIRST)
    ids = torch.arange(3, 9)[None]
    with site.app() as app:
        _, delta = app.store.read(site.version_hash(1))
        base = app.loaded.model
        with torch.no_grad(), applied(base, delta):
            expected = base(ids).logits
    if form == "hf":
        model = AutoModelForCausalLM.from_pretrained(site.state / "current")
    else:
        peft = pytest.importorskip("peft")
        model = peft.PeftModel.from_pretrained(base, site.state / "current")
    with torch.no_grad():
        assert torch.allclose(model(ids).logits, expected, atol=1e-5)
    site.good("verify")
    site.good("rollback", "--to", "0")
    names = {p.name for p in (site.state / "current").iterdir()}
    assert ("config.json" in names) == (form == "hf")
    assert "adapter_config.json" not in names


@pytest.mark.slow
@pytest.mark.parametrize(("form", "file"), [("gguf", "model.gguf"), ("gguf-lora", "adapter.gguf")])
def test_servers_get_gguf_files_of_a_base_that_came_as_one(
    new_site: MakeSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, file: str
) -> None:
    base = write_gguf(*random_model("llama"), tmp_path / "base.gguf")
    site = new_site(tmp_path / "site", more=f'[release]\npublish = "{form}"\ntype = "q8_0"\n')
    settings = site.config.read_text().splitlines()
    site.config.write_text("\n".join(f'reference = "{base}"' if "reference" in s else s for s in settings))
    site.release(FIRST)
    directory = (site.state / "current").resolve()
    assert directory.name.endswith(f"-{form}-q8_0")
    assert {p.name for p in directory.iterdir()} >= {file, "kbsync.json"}
    models = {"gguf": (directory / file, []), "gguf-lora": (base, [directory / file])}[form]
    with llama_server(models[0], models[1]) as url:
        served = first_logprobs(url, "The river rises")
    with site.app() as app:
        _, delta = app.store.read(site.version_hash(1))
        ids = app.loaded.tokenizer("The river rises", return_tensors="pt").input_ids
        with torch.no_grad(), applied(app.loaded.model, delta):
            wanted = app.loaded.model(ids).logits[0, -1].log_softmax(-1)
    assert max(abs(float(wanted[token]) - found) for token, found in served.items()) < 0.2
    site.good("verify")
    site.good("rollback", "--to", "0")
    names = {p.name for p in (site.state / "current").iterdir()}
    assert names == {"kbsync.json", *(["model.gguf"] if form == "gguf" else [])}
    assert form == "gguf-lora" or (site.state / "current" / file).read_bytes() == base.read_bytes()

    # The disk is full when the version is to be published again: the path stays, and the next command moves it.
    shutil.rmtree(directory)
    with monkeypatch.context() as full:
        writer = {"gguf": "gguf_model._pad", "gguf-lora": "gguf_adapter.record"}[form]
        full.setattr(f"kbsync.checkpoints.exporters.{writer}", no_room)
        refused = site("promote", "1")
    assert refused.code == 74 and "Make room on the disk" in refused.err
    assert told(site)["version"] == 0 and not directory.exists()
    site.good("promote", "1")
    assert told(site)["version"] == 1 and (site.state / "current" / file).is_file()


def no_room(*_args: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.slow
def test_what_a_killed_process_left_behind_is_caught_up_with(new_site: MakeSite, tmp_path: Path) -> None:
    site = new_site(tmp_path / "site")
    site.release(FIRST)
    site.release(SECOND)
    link = site.state / "current"
    link.unlink()
    link.symlink_to(Path("published") / "1-gone-factors")
    (site.state / ".unfinished-current-12345678").symlink_to("nowhere")
    (site.state / "published" / ".unfinished-2-abc-factors-12345678").mkdir()
    assert site("verify").code == 4
    site.good("promote", "2")
    assert told(site)["version"] == 2
    assert not list(site.state.rglob(".unfinished-*"))
    site.good("verify")


@pytest.mark.slow
def test_verify_names_a_published_file_that_was_changed(new_site: MakeSite, tmp_path: Path) -> None:
    site = new_site(tmp_path / "site")
    site.release(FIRST)
    path = (site.state / "current" / "factors.safetensors").resolve()
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    found = site("verify")
    assert found.code == 4
    assert str(path) in found.out + found.err


@pytest.mark.slow
def test_gc_leaves_a_copy_to_those_who_still_read_it(new_site: MakeSite, tmp_path: Path) -> None:
    allowed = tmp_path / "told"
    command = f"[release]\ncommand = ['sh', '-c', 'test -e {allowed}']\nattempts = 1\n"
    site = new_site(tmp_path / "site", more=f'[retention]\nspare = "1h"\n{command}')
    allowed.touch()
    site.release(FIRST)
    left = (site.state / "current").resolve()
    allowed.unlink()
    site.release(SECOND)
    os.utime(left, (0, 0))
    (kept,) = [t for t in site.good("gc", "--json").json["things"] if t["name"] == left.name]
    assert "was not told of 1 move," in str(kept["reasons"])
    assert left.is_dir(), "whoever was not told of the move may still read it"
    allowed.touch()
    site.good("notify")
    os.utime(left)
    site.good("gc")
    assert left.is_dir(), "it was left a moment ago"
    os.utime(left, (0, 0))
    things = {t["name"]: t for t in site.good("gc", "--json").json["things"] if t["kind"] == "published"}
    assert not left.exists()
    assert [t["keep"] for t in things.values()] == [False, True]
    site.good("verify")


@pytest.mark.slow
def test_a_command_is_told_of_each_move_and_again_when_it_failed(new_site: MakeSite, tmp_path: Path) -> None:
    script = "test -e ../ready && echo $KBSYNC_VERSION $KBSYNC_DELIVERY $(readlink -f $KBSYNC_PATH) >> ../told.txt"
    more = f"[release]\ncommand = ['/bin/sh', '-c', '{script}']\nattempts = 1\n"
    site = new_site(tmp_path / "site", more=more)
    site.release(FIRST)
    assert not (tmp_path / "site" / "told.txt").exists()
    waiting = site("notify", "--json")
    assert (waiting.code, waiting.json) == (75, {"delivered": 0, "given_up": 0, "waiting": 1})
    (tmp_path / "site" / "ready").touch()
    site.release(SECOND)
    assert site.good("notify").out == "told of 0 moves, 0 given up, 0 still waiting\n"
    heard = [line.split() for line in (tmp_path / "site" / "told.txt").read_text().splitlines()]
    assert [version for version, *_ in heard] == ["1", "2"]
    assert len({delivery for _, delivery, _ in heard}) == 2
    assert heard[-1][2] == str((site.state / "current").resolve())
    with site.app() as app, app.ledger.read() as tx:
        told = [e.body for e in tx.audit(kind="notify")]
    outcomes = [(b["version"], b["attempt"], b["outcome"]) for b in told]
    assert outcomes == [(1, 1, "failed"), (1, 2, "failed"), (1, 3, "delivered"), (2, 1, "delivered")]
    site.good("audit", "verify")
