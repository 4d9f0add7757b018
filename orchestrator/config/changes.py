"""What differs between two configs: for a reload, which must know what to start, stop and leave alone."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.config.resolved import Config

_NEEDS_RESTART = ("storage", "api", "monitoring", "webhooks")
_APPLIES_AT_ONCE = ("delivery", "retention_days", "drain_seconds", "status_file", "log", "recovery_limit")


@dataclass(frozen=True, slots=True)
class ConfigChanges:
    """`added`, `removed` and `changed` are shop names in order; `credentials_changed` those of `changed` with others.

    `settings_changed` are top-level keys that a reload applies, `needs_restart` those that it cannot.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    credentials_changed: tuple[str, ...] = ()
    settings_changed: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return self == ConfigChanges()


def diff(old: Config, new: Config) -> ConfigChanges:
    """What `new` changes of `old`."""
    both = sorted(old.shops.keys() & new.shops.keys())
    changed = tuple(name for name in both if old.shops[name] != new.shops[name])
    return ConfigChanges(
        added=tuple(sorted(new.shops.keys() - old.shops.keys())),
        removed=tuple(sorted(old.shops.keys() - new.shops.keys())),
        changed=changed,
        credentials_changed=tuple(
            name
            for name in changed
            if old.shops[name].credentials_fingerprint() != new.shops[name].credentials_fingerprint()
        ),
        settings_changed=tuple(name for name in _APPLIES_AT_ONCE if getattr(old, name) != getattr(new, name)),
        needs_restart=tuple(name for name in _NEEDS_RESTART if getattr(old, name) != getattr(new, name)),
    )
