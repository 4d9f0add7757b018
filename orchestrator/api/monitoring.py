"""Metrics, health and readiness on a listener of their own, which other machines may reach.

A kubelet or a Prometheus server in another container is no process of this machine, and is not to get the API's token
for it. Nothing else is served here, nothing can be changed, and the answers hold no order: names of shops and
receivers, and numbers. A token, where the config has one, is asked of metrics alone: health and readiness name nothing,
and whoever probes them often cannot keep a secret. Pages from elsewhere are refused as everywhere.
"""

from __future__ import annotations

import hmac
from typing import Final

from aiohttp import web

from orchestrator.api.access import offered, refusal
from orchestrator.api.app import endpoint_of, mark_answer
from orchestrator.api.middleware import supervised
from orchestrator.api.origin import DOORS, Doors
from orchestrator.api.routes import ROUTES
from orchestrator.api.services import SERVICES, TOKEN
from orchestrator.config import Config, MonitoringSettings
from orchestrator.config.fields import is_loopback
from orchestrator.intake.listener import Place

METRICS: Final = "/metrics"
PATHS: Final = frozenset({METRICS, "/v1/health", "/v1/ready"})
"""All that is served."""
_READ_SECONDS: Final = 10.0


def build_monitoring(api: web.Application, settings: MonitoringSettings, config: Config) -> web.Application:
    """The listener's application, which answers as `api` does."""
    app = web.Application(middlewares=[supervised(_check_token)])
    app[SERVICES] = api[SERVICES]
    app[DOORS] = Doors(frozenset(config.api.hosts), is_remote=not is_loopback(settings.host))
    if settings.token is not None:
        app[TOKEN] = settings.token.get_secret_value()
    for route in ROUTES:
        if route.path in PATHS:
            app.router.add_route(route.method, route.path, endpoint_of(route))
    app.on_response_prepare.append(mark_answer)
    return app


def place_of(settings: MonitoringSettings) -> Place:
    """Where it listens."""
    return Place("monitoring", "monitoring.not_http", settings.host, settings.port, _READ_SECONDS)


async def _check_token(request: web.Request) -> None:
    token = request.app.get(TOKEN)
    if token is None or request.path != METRICS:
        return
    if (given := offered(request)) is None:
        raise refusal("metrics need the header `Authorization: Bearer` with the token of monitoring")
    if not hmac.compare_digest(given, token.encode("utf-8")):
        raise refusal("the token is wrong; it has to be the one of monitoring")
