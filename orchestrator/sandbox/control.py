"""The sandbox's own API under `/_sandbox`: what was called, faults, and the platforms' back offices.

For people, scripts and tests in other processes; a test in the same process uses the objects themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from orchestrator.sandbox.faults import FAULTS, RATE_NAMES, TIMING, FaultPlan
from orchestrator.sandbox.ledger import Ledger
from orchestrator.sandbox.platform import Json, PanelError, SimulatedPlatform, parse_object


class Control:
    """Handlers of `/_sandbox`. Bad requests are answered 400 with `{"error": …}` that names what is known."""

    def __init__(
        self,
        ledger: Ledger,
        faults: FaultPlan,
        platforms: Mapping[str, SimulatedPlatform],
        config: Callable[[], Json],
    ) -> None:
        self._ledger = ledger
        self._faults = faults
        self._platforms = platforms
        self._config = config

    def mount(self, application: web.Application) -> None:
        """Adds the routes."""
        application.add_routes(
            [
                web.get("/", self.index),
                web.get("/_sandbox", self.index),
                web.get("/_sandbox/config", self.config),
                web.get("/_sandbox/ledger", self.ledger),
                web.get("/_sandbox/summary", self.summary),
                web.get("/_sandbox/faults", self.faults),
                web.post("/_sandbox/faults", self.set_faults),
                web.post("/_sandbox/faults/script", self.script_fault),
                web.get("/_sandbox/timing", self.timing),
                web.post("/_sandbox/timing", self.set_timing),
                web.get("/_sandbox/{platform}/faults", self.faults),
                web.post("/_sandbox/{platform}/faults", self.set_faults),
                web.post("/_sandbox/{platform}/panel", self.panel),
            ]
        )

    async def index(self, request: web.Request) -> web.Response:
        """What there is, for people."""
        del request
        gets = ("config", "ledger?order=&step=&after=", "summary", "faults", "timing", "{platform}/faults")
        posts = ("faults", "faults/script", "timing", "{platform}/faults", "{platform}/panel")
        return _answer(
            {
                "sandbox": [f"/{name}" for name in self._platforms],
                "GET": [f"/_sandbox/{name}" for name in gets],
                "POST": [f"/_sandbox/{name}" for name in posts],
                "faults": list(RATE_NAMES),
            }
        )

    async def config(self, request: web.Request) -> web.Response:
        """A ready config for fulfilld, with the tokens that are valid now."""
        del request
        return _answer(self._config())

    async def ledger(self, request: web.Request) -> web.Response:
        """The calls, by `order`, `step` and `shop`; `after` leaves out those up to that `n`."""
        after = request.query.get("after", "0")
        if not after.isdecimal():
            return _bad("after must be a whole number")
        wanted = {name: request.query.get(name) or None for name in ("order", "step", "shop")}
        calls = [call.to_json() for call in self._ledger.calls(**wanted) if call.n > int(after)]
        effects = self._ledger.effects(wanted["order"]) if wanted["order"] is not None else None
        return _answer({"calls": calls, "effects": effects})

    async def summary(self, request: web.Request) -> web.Response:
        """Counts of calls, effects, faults and orders."""
        del request
        platforms = {name: platform.summary() for name, platform in self._platforms.items()}
        violations = len(self._faults.violations())
        return _answer({**self._ledger.summary(), "throttle_violations": violations, "platforms": platforms})

    async def faults(self, request: web.Request) -> web.Response:
        """The rates in force, of one platform or of all."""
        platform = request.match_info.get("platform")
        if platform not in (None, *self._platforms):
            return self._unknown_platform()
        return _answer(self._faults.rates_of(platform))

    async def set_faults(self, request: web.Request) -> web.Response:
        """Replaces all rates, of one platform or of all, by those of the body, `{name: rate}`."""
        platform = request.match_info.get("platform")
        if platform not in (None, *self._platforms):
            return self._unknown_platform()
        rates = await _object(request)
        if rates is None:
            return _bad("the body must be a JSON object of rates by fault name")
        try:
            self._faults.set_rates(rates, platform)
        except ValueError as error:
            return _bad(str(error))
        return _answer(self._faults.rates_of(platform))

    async def timing(self, request: web.Request) -> web.Response:
        """How long things take."""
        del request
        return _answer({name: getattr(self._faults, name) for name in TIMING})

    async def set_timing(self, request: web.Request) -> web.Response:
        """Changes what the body names, `{name: seconds}`."""
        timing = await _object(request)
        if timing is None:
            return _bad(f"the body must be a JSON object of seconds by {', '.join(TIMING)}")
        try:
            self._faults.set_timing(timing)
        except ValueError as error:
            return _bad(str(error))
        return await self.timing(request)

    async def script_fault(self, request: web.Request) -> web.Response:
        """`{"fault", "step", "order", "times", "status"}`: the next matching calls get that fault."""
        script = await _object(request)
        if script is None or str(script.get("fault")) not in FAULTS:
            return _bad(f"the body must be a JSON object with a fault, one of {', '.join(FAULTS)}")
        times = script.get("times", 1)
        if type(times) is not int or times < 1:
            return _bad("times must be a whole number from 1 on")
        status = script.get("status")
        if status is not None and (type(status) is not int or not 400 <= status <= 599):
            return _bad("status must be an HTTP status from 400 to 599")
        order = None if script.get("order") is None else str(script["order"])
        self._faults.script(script["fault"], step=script.get("step"), order=order, times=times, status=status)
        return _answer({"scripted": script["fault"]})

    async def panel(self, request: web.Request) -> web.Response:
        """`{"action", …}` in the platform's back office."""
        platform = self._platforms.get(request.match_info["platform"])
        if platform is None:
            return self._unknown_platform()
        action = await _object(request)
        if action is None:
            return _bad("the body must be a JSON object with an action")
        try:
            return _answer(platform.operate(action))
        except PanelError as error:
            return _bad(str(error))

    def _unknown_platform(self) -> web.Response:
        return _answer({"error": f"no such platform; known are {', '.join(self._platforms)}"}, status=404)


async def _object(request: web.Request) -> dict[str, Json] | None:
    return parse_object(await request.read())


def _answer(body: Json, *, status: int = 200) -> web.Response:
    return web.json_response(body, status=status)


def _bad(message: str) -> web.Response:
    return _answer({"error": message}, status=400)
