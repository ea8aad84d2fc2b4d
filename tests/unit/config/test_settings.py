"""Main file, environment and overrides: what is read, and how every mistake is reported."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbsync.config import default_config_text, interval_of, load, load_all, shipped_config
from kbsync.config.values import duration, hide_password
from kbsync.domain.errors import ConfigError
from kbsync.domain.gate import Action, Metric, Threshold, decide
from kbsync.domain.verdict import VerdictKind
from tests.support.config_samples import MAIN, Writer


def problems(path: Path | None, overrides: dict[str, object] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, overrides)
    return list(caught.value.problems)


def test_defaults_and_paths_count_from_the_files_directory(write: Writer) -> None:
    path = write()
    settings = load(path)
    assert settings.state_dir == path.parent / "var/kbsync"
    assert settings.relations_dir == path.parent / "relations"
    assert settings.database == f"sqlite:///{path.parent}/var/kbsync/ledger.sqlite3"
    assert settings.source.endpoint == "https://query.wikidata.org/sparql"
    assert (settings.source.batch, settings.source.timeout) == (200, timedelta(seconds=70))
    assert settings.edit.verdicts == (VerdictKind.STALE, VerdictKind.UNKNOWN)
    assert interval_of(settings.schedule.sync) == timedelta(hours=6)
    assert settings.text.corpus == ()
    assert settings.lease.ttl == timedelta(minutes=10)


def test_default_gate_is_the_domains_policy(write: Writer) -> None:
    policy = load(write()).gate.policy
    assert policy[0] == Threshold(metric="efficacy", at_least=0.9, min_samples=1)
    refusing = [t for t in policy if t.action is Action.REFUSE]
    assert {t.metric: (t.at_least, t.max_growth) for t in refusing} == {
        "efficacy": (0.9, None),
        "generalization": (0.5, None),
        "specificity": (0.9, None),
        "perplexity": (None, 0.05),
        "retention": (0.9, None),
        "norm_growth": (None, None),
    }
    assert not decide([Metric(name="efficacy", value=1.0, base=0.0, samples=10)], policy).passed


def test_the_shipped_policy_file_says_what_holds_without_it(write: Writer) -> None:
    path = write()
    without = load(path).gate.policy
    (path.parent / "gate.toml").write_text(shipped_config()["gate.toml"])
    assert load(path).gate.policy == without


def test_the_policy_file_is_a_layer_beneath_the_main_file_and_its_mistakes_name_it(write: Writer) -> None:
    path = write(MAIN + "[gate]\nneighbours = 7\n")
    policy = path.parent / "gate.toml"
    policy.write_text("neighbours = 3\ntexts = 4\n[[thresholds]]\nmetric = 'efficacy'\nat_least = 0.8\n")
    gate = load(path).gate
    assert (gate.neighbours, gate.texts) == (7, 4)
    assert gate.policy == (Threshold(metric="efficacy", at_least=0.8),)
    policy.write_text("[[thresholds]]\nmetric = 'efficacy'\nat_least = 0.8\nat_mots = 1\n")
    assert problems(path)[0].startswith(
        f"{policy}: gate.thresholds[0].at_mots: is not a key here; did you mean 'at_most'?"
    )


def test_environment_wins_over_the_file_and_overrides_over_both(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(MAIN.replace("[model]", 'batch = 10\nlanguage = "de"\nattempts = 2\n[model]'))
    monkeypatch.setenv("KBSYNC_SOURCE__BATCH", "20")
    monkeypatch.setenv("KBSYNC_SOURCE__LANGUAGE", "fr")
    monkeypatch.setenv("KBSYNC_SOURCE__TIMEOUT", "5s")
    monkeypatch.setenv("KBSYNC_TEXT__CORPUS", f'["{path}"]')
    monkeypatch.setenv("KBSYNC_LOG__LEVEL", "")
    settings = load(path, {"source": {"batch": 30}})
    assert (settings.source.batch, settings.source.language, settings.source.attempts) == (30, "fr", 2)
    assert settings.source.timeout == timedelta(seconds=5)
    assert settings.text.corpus == (path,)
    assert settings.log.level == "info"


def test_the_file_is_found_by_variable_and_by_place(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write()
    monkeypatch.setenv("KBSYNC_CONFIG", str(path))
    assert load().model.reference == "tiny"
    monkeypatch.delenv("KBSYNC_CONFIG")
    assert problems(None) == [
        "no configuration file: source: is missing",
        "no configuration file: model: is missing",
    ]
    monkeypatch.chdir(path.parent)
    assert load().state_dir == path.parent / "var/kbsync"


def test_every_mistake_is_reported_at_once_with_its_place(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("""
state_dri = "x"
[source]
user_agent = "kbsync"
bach = 7
timeout = 30
[model]
[edit]
verdicts = ["stale", "ambiguous"]
max_facts = 0
[text]
held_out = ["missing.txt"]
[[gate.thresholds]]
metric = "efficacy"
[[gate.thresholds]]
metric = "perplexity"
max_growt = 0.1
at_most = 9
[schedule]
sync = "99 * * * *"
""")
    monkeypatch.setenv("KBSYNC_SOURCE__BATCH", "many")
    monkeypatch.setenv("KBSYNC_SOURCE__ATEMPTS", "1")
    monkeypatch.setenv("KBSYNC_MODLE__DEVICE", "cpu")
    monkeypatch.setenv("KBSYNC_TEXT__CORPUS", "not json")
    found = problems(path, {"log": {"level": "loud"}})
    expected = [
        "environment: KBSYNC_MODLE__DEVICE: is not a setting; did you mean 'KBSYNC_MODEL'?",
        f"{path}: source.user_agent: must hold a contact",
        "environment: KBSYNC_SOURCE__BATCH: input should be a valid integer",
        f'{path}: source.timeout: is not a duration such as "90s", "10m", "72h", "3d" or "1h30m" (got 30)',
        f"{path}: source.bach: is not a key here; did you mean 'batch'?",
        "environment: KBSYNC_SOURCE__ATEMPTS: is not a key here; did you mean 'attempts'?",
        f"{path}: model.reference: is missing",
        f"{path}: edit.verdicts[1]: ambiguous facts are not edited; choose of 'stale' and 'unknown'",
        f"{path}: edit.max_facts: input should be greater than or equal to 1 (got 0)",
        "environment: KBSYNC_TEXT__CORPUS: input should be a valid tuple (got 'not json')",
        f"{path}: text.held_out[0]: {path.parent}/missing.txt does not exist",
        f"{path}: gate.thresholds[0]: efficacy has no bound",
        f"{path}: gate.thresholds[1].max_growt: is not a key here; did you mean 'max_growth'?",
        f"{path}: schedule.sync: is not a cron line",
        "command line: log.level: input should be 'debug', 'info', 'warning' or 'error' (got 'loud')",
        f"{path}: state_dri: is not a key here; did you mean 'state_dir'?",
    ]
    assert len(found) == len(expected), found
    missing = [e for e in expected if not any(f.startswith(e) for f in found)]
    assert not missing, found


@pytest.mark.parametrize(
    ("text", "says"),
    [("[source", "is not TOML"), ("x = 1\nx = 2", "is not TOML"), (None, "can't be read: No such file")],
)
def test_an_unreadable_file_is_one_mistake(tmp_path: Path, text: str | None, says: str) -> None:
    path = tmp_path / "kbsync.toml"
    if text is not None:
        path.write_text(text)
    (problem,) = problems(path)
    assert problem.startswith(f"{path}: {says}")


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kbsync.toml"
    path.write_bytes(b'state_dir = "\xff"')
    assert problems(path) == [f"{path}: is not UTF-8 at byte 13"]


def test_a_password_is_never_printed(write: Writer) -> None:
    path = write()
    url = "postgresql+psycopg://me:geheim:@x@db/kbsync"
    settings = load(path, {"database_url": url})
    assert settings.database_url.get_secret_value() == url
    assert settings.database == "postgresql+psycopg://me:***@db/kbsync"
    assert "geheim" not in repr(settings) + str(settings) + settings.model_dump_json()
    (problem,) = problems(path, {"database_url": "mysql://me:geheim@db/kbsync"})
    assert "geheim" not in problem
    assert "sqlite:///" in problem


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me@db/kbsync", "postgresql://me@db/kbsync"),
        ("postgresql:///kbsync?user=me&password=geheim&x=1", "postgresql:///kbsync?user=me&password=***&x=1"),
        ("sqlite:////var/a:b@c.sqlite3", "sqlite:////var/a:b@c.sqlite3"),
    ],
)
def test_hiding_passwords(url: str, shown: str) -> None:
    assert hide_password(url) == shown


def test_a_relative_sqlite_file_counts_from_the_files_directory(write: Writer) -> None:
    path = write('database_url = "sqlite:///my.sqlite3"\n' + MAIN)
    assert load(path).database == f"sqlite:///{path.parent}/my.sqlite3"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        ("72h", timedelta(hours=72)),
        ("3d", timedelta(days=3)),
        ("1h30m", timedelta(minutes=90)),
        ("0s", timedelta(0)),
    ],
)
def test_durations(text: str, expected: timedelta) -> None:
    assert duration(text) == expected


@pytest.mark.parametrize("text", ["", "10", "m", "-5m", "1.5h", "5 minutes", "30m1h", 10, None, "9" * 40 + "d"])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration(text)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_durations_add_up(days: int, hours: int, minutes: int, seconds: int) -> None:
    assert duration(f"{days}d{hours}h{minutes}m{seconds}s") == timedelta(
        days=days, hours=hours, minutes=minutes, seconds=seconds
    )


def test_a_schedule_is_an_interval_or_a_cron_line(write: Writer) -> None:
    path = write()
    schedule = load(path, {"schedule": {"sync": "15 3 * * *", "jitter": "0s"}}).schedule
    assert (schedule.sync, interval_of(schedule.sync)) == ("15 3 * * *", None)
    schedule = load(path, {"schedule": {"sync": "90m"}}).schedule
    assert interval_of(schedule.sync) == timedelta(minutes=90)
    for days in ("0", "7", "1-5", "5-7", "fri-mon", "*/2", "1-5/2,sun", "MON"):
        assert interval_of(load(path, {"schedule": {"sync": f"0 4 * * {days}"}}).schedule.sync) is None
    for wrong in ("0s", "daily", "* * * *", "60 * * * *", "* * * * 8", "* * * * 1,", "* * * * someday", "* * * * 1-x"):
        assert problems(path, {"schedule": {"sync": wrong}})[0].startswith("command line: schedule.sync: ")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('webhook = "https://example.org/hook"', "a webhook is signed: set secret_file"),
        ('webhook = "https://example.org/hook"\nsecret = "short"', "at least 16 characters"),
        ('webhook = "ftp://example.org/hook"', "release.webhook"),
        ('secret = "whsec_no base64 at all"', "no base64"),
        ("rank = 8", 'rank goes with publish = "lora"'),
        ('publish = "gguf"', "release.publish"),
    ],
)
def test_releases_are_told_of_only_with_a_signature(write: Writer, lines: str, says: str) -> None:
    (problem,) = problems(write(MAIN + f"\n[release]\n{lines}\n"))
    assert says in problem


def test_the_secret_of_a_webhook_comes_from_a_file_too_and_is_not_printed(write: Writer, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("sixteen characters\n")
    hook = f'[release]\nwebhook = "https://example.org/hook"\nsecret_file = "{tmp_path / "secret"}"\n'
    assert load(write(MAIN + "\n" + hook)).release.signing == "sixteen characters"
    inline = load(write(MAIN + '\n[release]\nsecret = "sixteen characters"\n'))
    assert "sixteen" not in repr(inline)


def test_settings_are_frozen(write: Writer) -> None:
    settings = load(write())
    with pytest.raises(ValueError, match="frozen"):
        settings.state_dir = Path("/")  # type: ignore[misc]


def test_the_default_file_needs_a_contact_only(tmp_path: Path) -> None:
    path = tmp_path / "kbsync.toml"
    path.write_text(default_config_text())
    (problem,) = problems(path)
    assert "source.user_agent: must hold a contact" in problem
    assert load(path, {"source": {"user_agent": "x (x@y.invalid)"}}).source.batch == 200


def test_the_default_file_comments_out_the_real_defaults(tmp_path: Path, write: Writer) -> None:
    """With every commented assignment switched on, the settings equal those of an empty file."""
    bare = load(write('[source]\nuser_agent = "x@y"\n[model]\nreference = "google/gemma-3-270m"\n'))
    lines = default_config_text().replace('user_agent = ""', 'user_agent = "x@y"').splitlines()
    on = [
        x.removeprefix("# ") if x.startswith("# ") and x[2] != " " and (" = " in x or "[[" in x) else x for x in lines
    ]
    on = [x for x in on if not x.startswith("database_url")]
    path = tmp_path / "etc" / "all.toml"
    path.write_text("\n".join(on))
    assert load(path) == bare
    names = {name for name in type(bare).model_fields if f"{name} = " in "\n".join(lines) or f"[{name}]" in lines}
    assert names == set(type(bare).model_fields)


def test_load_all_reads_everything(write: Writer) -> None:
    path = write()
    configuration = load_all(path)
    assert configuration.file == path
    assert [r.name for r in configuration.relations] == ["head-of-state"]
    assert configuration.recipe.layers == (1, 2)


def test_an_endpoint_is_an_address_or_a_local_store(write: Writer) -> None:
    path = write()
    for address in ("http://127.0.0.1:7878/query", "https://query.wikidata.org/sparql"):
        assert load(path, {"source": {"endpoint": address}}).source.endpoint == address
    local = load(path, {"source": {"endpoint": "oxigraph:world"}}).source.endpoint
    assert local == f"oxigraph:{path.parent}/world"
    for wrong in ("query.wikidata.org", "https://", "oxigraph:", "http://a b"):
        assert problems(path, {"source": {"endpoint": wrong}}) == [
            f"command line: source.endpoint: is neither a URL that begins with http:// or https://, "
            f'nor "oxigraph:DIRECTORY" (got {wrong!r})'
        ]


def test_a_model_reference_that_is_a_path_counts_from_the_files_directory(write: Writer) -> None:
    path = write()
    here = path.parent
    expected = {
        "./tiny": f"{here}/tiny",
        "models/tiny.gguf": f"{here}/models/tiny.gguf",
        "/srv/tiny": "/srv/tiny",
        "~/tiny": str(Path("~/tiny").expanduser()),
        "owner/name@main": "owner/name@main",
        "package:tiny": "package:tiny",
    }
    assert {r: load(path, {"model": {"reference": r}}).model.reference for r in expected} == expected


@pytest.mark.parametrize("line", ["0 4 * * 7", "0 4 * * 0", "0 4 * * 5-7", "0 4 * * sun"])
def test_a_cron_line_s_sunday_has_all_its_names(write: Writer, line: str) -> None:
    assert load(write(), {"schedule": {"sync": line}}).schedule.sync == line


def test_a_page_that_others_can_reach_needs_a_token(write: Writer, tmp_path: Path) -> None:
    path = write()
    (problem,) = problems(path, {"web": {"host": "0.0.0.0"}})
    assert "web: 0.0.0.0 can be reached from outside: set token or token_file" in problem
    (problem,) = problems(path, {"web": {"token": "short"}})
    assert "shorter than 16" in problem and "short'" not in problem
    file = tmp_path / "token"
    file.write_text("a token of some length\n")
    web = load(path, {"web": {"host": "0.0.0.0", "token_file": str(file)}}).web
    assert (web.secret, web.loopback) == ("a token of some length", False)
    assert load(path, {"web": {"host": "::1"}}).web.secret is None


def test_jobs_name_stages_and_relations_that_exist(write: Writer) -> None:
    jobs = {"offices": {"stage": "pull", "when": "15m", "relations": ["capital"], "jitter": "0s"}}
    assert load(write(), {"schedule": {"jobs": jobs}}).schedule.jobs["offices"].relations == ("capital",)
    wrong = {
        "sync": {"stage": "pull", "when": "1h"},
        "Upper": {"stage": "pull", "when": "1h"},
        "edits": {"stage": "edit", "when": "1h"},
        "often": {"stage": "pull", "when": "sometimes"},
        "part": {"stage": "gc", "when": "1d", "relations": ["capital"]},
    }
    for name, job in wrong.items():
        with pytest.raises(ConfigError):
            load(write(), {"schedule": {"jobs": {name: job}}})
