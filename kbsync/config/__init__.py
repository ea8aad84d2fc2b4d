"""Typed settings, relations and recipe (TOML and environment); every mistake is reported at once."""

from kbsync.config.edit import EditSettings
from kbsync.config.gate import GateSettings, ThresholdSettings
from kbsync.config.loading import Configuration, load, load_all
from kbsync.config.recipe_file import load_recipe
from kbsync.config.relation_file import load_relations
from kbsync.config.schedule import JobSettings, ScheduleSettings, interval_of
from kbsync.config.settings import (
    LeaseSettings,
    LogSettings,
    ModelSettings,
    Settings,
    SourceSettings,
    TextSettings,
    WebSettings,
)
from kbsync.config.shipped import default_config_text, shipped_config, shipped_relations

__all__ = [
    "Configuration",
    "EditSettings",
    "GateSettings",
    "JobSettings",
    "LeaseSettings",
    "LogSettings",
    "ModelSettings",
    "ScheduleSettings",
    "Settings",
    "SourceSettings",
    "TextSettings",
    "ThresholdSettings",
    "WebSettings",
    "default_config_text",
    "interval_of",
    "load",
    "load_all",
    "load_recipe",
    "load_relations",
    "shipped_config",
    "shipped_relations",
]
