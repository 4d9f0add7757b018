"""Examples of every command and group, for its help. Each is a line that the command takes as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from orchestrator.registry import BUILT_IN

_ONE, _OTHER, *_ = BUILT_IN

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("fulfilld demo", "fulfilld status", "fulfilld submit acme 67890 shipped --tracking-code 3SABC --wait"),
    "run": ("fulfilld --config /etc/fulfilld/config.json run", "fulfilld run --standby"),
    "status": ("fulfilld status --watch", "fulfilld status --json"),
    "orders": ("fulfilld orders --situation blocked", "fulfilld orders --shop acme --state shipped --limit 20"),
    "order": ("fulfilld order acme 67890", "fulfilld order acme 67890 --include content"),
    "submit": (
        "fulfilld submit acme 67890 shipped --dry-run",
        "fulfilld submit acme 67890 shipped --tracking-code 3SABC --carrier DHL --wait",
        "fulfilld submit --file targets.ndjson",
    ),
    "events": (
        "fulfilld events --tail 20 --follow",
        "fulfilld events --since 1h --shop acme --type 'order.*,step.failed'",
    ),
    "causes": ("fulfilld causes", "fulfilld causes --shop acme --json"),
    "retry": (
        "fulfilld retry acme 67890",
        "fulfilld retry --situation blocked --shop acme --dry-run",
        "fulfilld retry --problem rejected --step prepare --yes",
    ),
    "skip": (
        "fulfilld skip acme 67890 --reason 'shipped by hand in the panel'",
        "fulfilld skip --shop acme --step prepare --limit 20 --reason 'done in the panel'",
    ),
    "hold": (
        "fulfilld hold acme 67890 --reason 'the buyer wants to change the address'",
        "fulfilld hold --shop acme --state preparing --reason stocktaking",
    ),
    "release": ("fulfilld release acme 67890", "fulfilld release --situation held --shop acme"),
    "cancel": ("fulfilld cancel acme 67890", "fulfilld cancel --situation blocked --updated-before 30d"),
    "jobs": ("fulfilld jobs", "fulfilld jobs 0199a8f0-7c1e-7d2a-9b1f-0d4c5e6f7a8c --cancel"),
    "announce": ("fulfilld announce acme 67890 --key again-2026-03-01",),
    "refresh": ("fulfilld refresh acme 67890",),
    "pause": ("fulfilld pause acme --reason stocktaking",),
    "resume": ("fulfilld resume acme",),
    "sync": ("fulfilld sync acme --wait",),
    "history": ("fulfilld history", "fulfilld history --step hour --since 7d --shop acme"),
    "delivery": ("fulfilld delivery list",),
    "delivery list": ("fulfilld delivery list",),
    "delivery attempts": (
        "fulfilld delivery attempts orders_url --failed",
        "fulfilld delivery attempts orders_url --event 4711",
    ),
    "delivery send": ("fulfilld delivery send orders_url 4711",),
    "delivery replay": ("fulfilld delivery replay orders_url 4700",),
    "delivery test": ("fulfilld delivery test orders_url",),
    "delivery pause": ("fulfilld delivery pause orders_url",),
    "delivery resume": ("fulfilld delivery resume orders_url",),
    "consumer": ("fulfilld consumer list",),
    "consumer list": ("fulfilld consumer list",),
    "consumer seek": ("fulfilld consumer seek erp 4711", "fulfilld consumer seek erp 0"),
    "consumer forget": ("fulfilld consumer forget erp",),
    "dashboard": ("fulfilld dashboard --open", "fulfilld --socket fulfilld.sock dashboard --port 8441"),
    "dump": ("fulfilld dump --output everything.ndjson", "fulfilld dump --include content > everything.ndjson"),
    "machines": (f"fulfilld machines {_ONE}", f"fulfilld machines {_OTHER} --format svg > {_OTHER}.svg"),
    "config": ("fulfilld config example > config.json", "fulfilld config check"),
    "config check": ("fulfilld --config /etc/fulfilld/config.json config check",),
    "config schema": ("fulfilld config schema > schema.json",),
    "config example": ("fulfilld config example > config.json",),
    "secret": ("fulfilld secret new > erp-secret",),
    "secret new": ("fulfilld secret new > erp-secret",),
    "doctor": ("fulfilld doctor", "fulfilld --config /etc/fulfilld/config.json doctor"),
    "webhooks": ("fulfilld webhooks acme", "fulfilld webhooks acme --register https://hooks.example"),
    "auth-url": (f"fulfilld auth-url {_ONE}",),
    "backup": ("fulfilld backup /var/backups/fulfilld.db",),
    "migrate-store": (
        "fulfilld migrate-store sqlite:////var/lib/fulfilld/fulfilld.db postgresql://fulfilld@db.example/fulfilld",
    ),
    "sandbox": ("fulfilld sandbox --orders 50 > config.json &", "fulfilld sandbox --fault drop_after=0.1 --latency 50"),
    "demo": ("fulfilld demo", "fulfilld demo --orders 100 --keep"),
    "completion": (
        "fulfilld completion bash >> ~/.bashrc",
        "fulfilld completion fish > ~/.config/fish/completions/fulfilld.fish",
    ),
}
"""By the command's name as it is called; "" is the program itself."""


def epilogue(name: str) -> str:
    """What stands below the help of a command or group."""
    lines = EXAMPLES[name]
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])
