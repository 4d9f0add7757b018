"""The daemon's settings: one JSON file, read and checked as a whole (docs/configure.md)."""

from orchestrator.config.changes import ConfigChanges, diff
from orchestrator.config.load import load, reread, reread_delivery, socket_of
from orchestrator.config.model import (
    ApiSettings,
    CircuitSettings,
    LogSettings,
    MonitoringSettings,
    PollSettings,
    RetrySettings,
    StorageSettings,
    TcpSettings,
    default_socket,
    lost_directory,
)
from orchestrator.config.problems import ConfigError, ConfigProblem
from orchestrator.config.push import DeliverySettings, TlsSettings, WebhookSettings
from orchestrator.config.resolved import ANOTHER_SHOP_REMEDY, Config, Limits, ShopConfig, is_other_account
from orchestrator.config.schema import json_schema

__all__ = [
    "ANOTHER_SHOP_REMEDY",
    "ApiSettings",
    "CircuitSettings",
    "Config",
    "ConfigChanges",
    "ConfigError",
    "ConfigProblem",
    "DeliverySettings",
    "Limits",
    "LogSettings",
    "MonitoringSettings",
    "PollSettings",
    "RetrySettings",
    "ShopConfig",
    "StorageSettings",
    "TcpSettings",
    "TlsSettings",
    "WebhookSettings",
    "default_socket",
    "diff",
    "is_other_account",
    "json_schema",
    "load",
    "lost_directory",
    "reread",
    "reread_delivery",
    "socket_of",
]
