"""The four kinds of failure of a platform call. The platform client alone decides which one it is. (`Inconsistent` is
no failed call: a sync ends with it whose answers do not fit together.)

Details are the platform's own words, cut to a sensible length by the client; they never hold a secret.
"""

from __future__ import annotations

from orchestrator.platforms.json_text import storable
from statemachines.machine import PlatformWait


class PlatformFailure(Exception):
    """The platform did not do what was asked."""

    kind = "failure"

    def __init__(self, detail: str) -> None:
        self.detail = storable(detail)
        super().__init__(self.detail)

    def after_effect(self) -> Transient:
        """What this failure of a later call means for a step whose first one took effect: the order has to be read."""
        return Transient(self.detail, is_ambiguous=True)


class Transient(PlatformFailure):
    """Trying again can help: network, 5xx, 429.

    `is_ambiguous`: the call may have taken effect, so the order is read before it is repeated.
    `retry_after_seconds`: the platform asked the whole shop to wait that long.
    `wait`: the platform holds this one order up (a reject countdown).
    `is_refused_read`: the platform is there and refused to show what was asked for. Nothing was refused of a step, so
    it is tried again; it is this order's own trouble and not the shop's.
    """

    kind = "transient"

    def __init__(
        self,
        detail: str,
        *,
        is_ambiguous: bool = False,
        retry_after_seconds: float | None = None,
        wait: PlatformWait | None = None,
        is_refused_read: bool = False,
    ) -> None:
        super().__init__(detail)
        self.is_ambiguous = is_ambiguous
        self.retry_after_seconds = retry_after_seconds
        self.wait = wait
        self.is_refused_read = is_refused_read

    def after_effect(self) -> Transient:
        """As `PlatformFailure.after_effect`; the platform's wish to be left alone holds."""
        return Transient(self.detail, is_ambiguous=True, retry_after_seconds=self.retry_after_seconds)


class NotSent(Transient):
    """The call did not leave, for another node may work for the shop by now. It says nothing of the platform or of the
    order: it counts neither against the circuit nor as an attempt. `is_ambiguous`: a call before it, of the same step,
    took effect."""

    kind = "not_sent"

    def after_effect(self) -> Transient:
        """As `PlatformFailure.after_effect`."""
        return NotSent(self.detail, is_ambiguous=True)


class Garbled(Transient):
    """The answer is not one of the platform's API: a page for people, half an answer, nothing. `payload` holds
    its bytes, without secrets."""

    def __init__(self, detail: str, payload: bytes, *, is_ambiguous: bool = False) -> None:
        super().__init__(detail, is_ambiguous=is_ambiguous)
        self.payload = payload


class OutOfSequence(PlatformFailure):
    """The order is elsewhere than we think: read it, adopt its state, plan again."""

    kind = "out_of_sequence"


class Rejected(PlatformFailure):
    """This order cannot go on without a person. Said of steps: a read that is refused is tried again."""

    kind = "rejected"


class NotFound(Rejected):
    """The platform has no such order."""

    kind = "not_found"


class AccessDenied(PlatformFailure):
    """The shop's credentials are not accepted: the whole shop stops until they are changed.

    `is_page`: a page for people says so, or text, or nothing, which may be a proxy's own (`bystanders`).
    """

    kind = "access_denied"

    def __init__(self, detail: str, *, is_page: bool = False) -> None:
        super().__init__(detail)
        self.is_page = is_page


class Crashed(PlatformFailure):
    """Something that nobody foresaw ended what was asked for: a bug of ours, which the daemon's log has in full."""

    kind = "internal"


class Unreadable(PlatformFailure):
    """The platform answered a read with JSON that cannot be understood; `payload` holds its bytes."""

    kind = "unreadable"

    def __init__(self, detail: str, payload: bytes) -> None:
        super().__init__(detail)
        self.payload = payload


class Inconsistent(PlatformFailure):
    """A list contradicts itself or does not end. What it showed was taken in; the position of the sync stays."""

    kind = "inconsistent"
