"""Settings of the log, format and level: read by ``service.log_format`` before all others, whose faults are log lines too.

A part of ``service.settings.Settings``.
"""

import logging
import sys
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class LogSettings(BaseSettings):
    """How much a process of the service logs, and in which format."""

    model_config = SettingsConfigDict(env_prefix="ESPALIER_", env_ignore_empty=True, extra="ignore", frozen=True)

    log_format: Literal["json", "console"] | None = Field(
        None,
        description="Log lines on standard error: json, an object each, or console, text for people; default console on a terminal "
        "and under `espalier serve`, else json",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level of the service's own log lines; those of libraries are logged from warning on"
    )

    @property
    def console(self) -> bool:
        """``log_format`` once it is decided."""
        return sys.stderr.isatty() if self.log_format is None else self.log_format == "console"

    @property
    def level(self) -> int:
        """``log_level`` as ``logging`` has it."""
        return logging.getLevelNamesMapping()[self.log_level.upper()]


def log_settings() -> LogSettings:
    """The environment's; the defaults where they cannot be used, which ``service.environment.settings_or_exit`` then says."""
    try:
        return LogSettings()
    except ValidationError:
        return LogSettings.model_construct()
