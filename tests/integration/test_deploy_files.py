"""The files of ``deploy/``: linted by the tools that can be had, and true to what kbsync exports and understands."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from kbsync.cli.main import VERBS
from kbsync.config import Settings
from kbsync.daemon.schedule import trigger
from kbsync.domain.errors import Busy
from tests.support.paths import ROOT
from tests.support.web_world import make_backend

DEPLOY = ROOT / "deploy"
UNITS = ("kbsync.service", "kbsync-sync.service", "kbsync-sync.timer")
EXPOSURE = 2.0


def tool(name: str) -> str:
    found = shutil.which(name)
    if not found:
        pytest.skip(f"needs {name}")
    return found


@pytest.mark.parametrize("unit", [u for u in UNITS if u.endswith(".service")])
def test_a_service_is_hardened(unit: str) -> None:
    command = [tool("systemd-analyze"), "security", "--offline=true", str(DEPLOY / "systemd" / unit)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
    found = re.search(r"exposure level for .*: ([0-9.]+)", said)
    assert found, said
    assert float(found.group(1)) <= EXPOSURE


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    """With a program that exists in place of ours, which is not installed here."""
    analyze = tool("systemd-analyze")
    for unit in UNITS:
        text = (DEPLOY / "systemd" / unit).read_text(encoding="utf-8")
        (tmp_path / unit).write_text(text.replace("/opt/kbsync/bin/kbsync", sys.executable), encoding="utf-8")
    command = [analyze, "verify", "--man=no", *(str(tmp_path / unit) for unit in UNITS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    ours = [line for line in done.stderr.splitlines() if "kbsync" in line]
    assert (done.returncode, ours) == (0, []), done.stderr


def exported(tmp_path: Path) -> set[str]:
    """Names of all series that ``/metrics`` has once everything has happened."""
    backend, world = make_backend(tmp_path)
    metrics = backend.metrics
    metrics.step_ended("probe", 1)
    metrics.cycle_ended("promoted", 1, ok=True)
    metrics.failed(Busy("x"))
    metrics.version_built(["add"], passed=True)
    metrics.configuration_reloaded(accepted=False)
    families = text_string_to_metric_families(generate_latest(metrics.registry).decode())
    names = {sample.name for family in families for sample in family.samples}
    world.ledger.close()
    return names


def named(expressions: list[str]) -> set[str]:
    return {name for text in expressions for name in re.findall(r"\b(?:kbsync|process)_[a-z_]+", text)}


def test_alerts_and_dashboard_name_metrics_that_exist(tmp_path: Path) -> None:
    alerts = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    dashboard = json.loads((DEPLOY / "grafana" / "kbsync.json").read_text(encoding="utf-8"))
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(rules) >= 8 and len(shown) >= 10
    wanted, there = named([rule["expr"] for rule in rules] + shown), exported(tmp_path)
    assert wanted <= there, wanted - there
    documented = (DEPLOY.parent / "docs" / "reference" / "status-page.md").read_text(encoding="utf-8")
    ours = {re.sub(r"_(bucket|sum|count|created)$", "", n) for n in there if n.startswith("kbsync_")}
    assert {n for n in ours if n not in documented} == set()


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    alerts = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text(encoding="utf-8"))
    for rule in (rule for group in alerts["groups"] for rule in group["rules"]):
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"] and rule["annotations"]["action"]
        for page in re.findall(r"docs/[\w/-]+\.md", rule["annotations"]["action"]):
            assert (DEPLOY.parent / page).is_file(), page


def test_prometheus_reads_the_rules() -> None:
    command = [tool("promtool"), "check", "rules", str(DEPLOY / "prometheus" / "alerts.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def commands() -> list[str]:
    """Every call of kbsync in units, crontab, Dockerfile and compose file, from its first option on."""
    units = [(DEPLOY / "systemd" / unit).read_text(encoding="utf-8") for unit in UNITS]
    found = re.findall(r"/opt/kbsync/bin/kbsync (.*)", "\n".join([*units, (DEPLOY / "crontab").read_text("utf-8")]))
    docker = re.search(r"^CMD (\[.*\])", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    assert docker
    services = compose()["services"].values()
    return [
        *found,
        *(shlex.join(c) for c in [json.loads(docker[1]), *(s["command"] for s in services if "command" in s)]),
    ]


def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def test_every_command_exists() -> None:
    verbs = {verb.name for verb in VERBS}
    found = commands()
    assert len(found) == 6
    for command in found:
        words = [w for w in shlex.split(command.partition("#")[0]) if not w.startswith(("-", "/"))]
        assert " ".join(words) in verbs, command


def test_every_setting_in_the_environment_exists() -> None:
    texts = [p.read_text(encoding="utf-8") for p in DEPLOY.rglob("*") if p.is_file()]
    names = {n for text in texts for n in re.findall(r"\bKBSYNC_[A-Z_]+", text)} - {"KBSYNC_CONFIG"}
    assert names
    for name in names:
        section, _, key = name.removeprefix("KBSYNC_").lower().partition("__")
        field = Settings.model_fields[section]
        assert not key or key in getattr(field.annotation, "model_fields", {}), name


def test_the_crontab_s_times_are_times() -> None:
    lines = [x for x in (DEPLOY / "crontab").read_text("utf-8").splitlines() if x and x[0] in "0123456789*"]
    assert len(lines) == 2
    for line in lines:
        assert trigger(" ".join(line.split()[:5]))


def test_containers_are_not_root_and_hold_no_secret() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    last = dockerfile.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    for name in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE):
        assert all((DEPLOY.parent / part).exists() for part in name.split()), name
    kbsync = compose()["services"]["kbsync"]
    assert kbsync["read_only"] and kbsync["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in kbsync["ports"])
    assert "secrets" in (DEPLOY.parent / ".gitignore").read_text(encoding="utf-8")
