from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from kbsync.config.executor import ExecutorSettings


def test_work_is_done_here_unless_something_else_is_said() -> None:
    settings = ExecutorSettings()
    assert settings.kind == "in-process"
    assert settings.address.startswith("127.0.0.1:")
    assert settings.task_timeout == timedelta(hours=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "spark"},
        {"address": "here"},
        {"address": "ray://a:1"},
        {"address": "auto"},
        {"worker_cpus": 0},
        {"workers": -1},
        {"worker_gpus": -0.5},
        {"nodes": 2},
    ],
)
def test_mistakes_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ExecutorSettings.model_validate(wrong)
