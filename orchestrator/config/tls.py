"""The certificate that the webhook listener shows, checked before it listens: by `config check` and `doctor` too."""

from __future__ import annotations

import ssl
from pathlib import Path

from orchestrator.config.problems import ConfigError, ConfigProblem
from orchestrator.config.push import TlsSettings

_AT = "webhooks.tls"
_LABELS = {"certificate": "CERTIFICATE-----", "key": "PRIVATE KEY-----"}


def tls_context(settings: TlsSettings) -> ssl.SSLContext:
    """What a listener with this certificate shows. Raises ConfigError with what is wrong with its files."""
    problems = [
        problem for name, path in _files(settings) if (problem := _problem(f"{_AT}.{name}", path, name)) is not None
    ]
    if problems:
        raise ConfigError(problems)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.key, password="")
    except ssl.SSLError as error:
        raise ConfigError([_mismatch(settings, error)]) from None
    except OSError as error:
        message = f"{settings.certificate} or {settings.key} cannot be read: {_reason(error)}"
        raise ConfigError([ConfigProblem(_AT, message)]) from None
    return context


def missing_files(settings: TlsSettings) -> list[ConfigProblem]:
    """Which of the two files is not there yet, of those problems that `tls_context` raises."""
    files = [(f"{_AT}.{name}", path, name) for name, path in _files(settings)]
    return [problem for each in files if (problem := _problem(*each)) == _missing(*each)]


def _files(settings: TlsSettings) -> tuple[tuple[str, Path], tuple[str, Path]]:
    return ("certificate", settings.certificate), ("key", settings.key)


def _missing(at: str, path: Path, name: str) -> ConfigProblem:
    return ConfigProblem(at, f"there is no file {path} - put the {name} there, or name another file")


def _problem(at: str, path: Path, name: str) -> ConfigProblem | None:
    """What is wrong with one of the files by itself."""
    try:
        text = path.read_bytes().decode("ascii", "replace")
    except FileNotFoundError:
        return _missing(at, path, name)
    except OSError as error:
        return ConfigProblem(at, f"{path} cannot be read: {_reason(error)} - let the daemon's user read it")
    if _LABELS[name] not in text:
        return ConfigProblem(at, f"{path} holds no {name} in PEM form (-----BEGIN …) - name a file that does")
    if name == "key" and "ENCRYPTED" in text:
        return ConfigProblem(at, f"{path} needs a passphrase - store the key without one")
    return None


def _mismatch(settings: TlsSettings, error: ssl.SSLError) -> ConfigProblem:
    if error.reason == "KEY_VALUES_MISMATCH":
        message = f"{settings.key} is not the key of {settings.certificate} - name the one that it was made with"
        return ConfigProblem(f"{_AT}.key", message)
    reason = (error.reason or "no certificate and its key").lower().replace("_", " ")
    return ConfigProblem(_AT, f"{settings.certificate} and {settings.key} cannot be used: {reason} - make them anew")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
