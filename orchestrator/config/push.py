"""Settings of what is pushed: webhooks that come in, events that go out to the ERP."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from orchestrator.config.fields import FilePath, Port, PublicUrl, ReceiverUrl, SigningSecret
from orchestrator.config.section import Section
from orchestrator.event_types import KINDS, types_like
from orchestrator.platforms.secrets import Secret

DeliveryFormat = Literal["event", "platform"]


def _known_types(pattern: str) -> str:
    if not types_like((pattern,)):
        several = ", ".join(f'"{kind}"' for kind in KINDS)
        raise ValueError(f'must be a type of event such as "target.reached", or several: {several}')
    return pattern


EventPattern = Annotated[str, AfterValidator(_known_types)]


class TlsSettings(Section):
    """The certificate that the webhook listener shows."""

    certificate: Annotated[FilePath, Field(description="PEM file with the certificate and its chain")]
    key: Annotated[FilePath, Field(description="PEM file with its private key, without a passphrase")]


class WebhookSettings(Section):
    """Where webhooks come in, on a port of their own."""

    host: Annotated[str, Field(min_length=1, description="Address to listen on")] = "127.0.0.1"
    port: Annotated[Port, Field(description="Port to listen on")]
    tls: Annotated[
        TlsSettings | None, Field(description="Left out: a proxy in front of the daemon ends the encryption")
    ] = None
    public_url: Annotated[
        PublicUrl | None,
        Field(
            description="Where platforms reach this listener, such as https://hooks.example.com: the daemon asks for "
            "webhooks that are not sent there; left out: it only says so"
        ),
    ] = None
    check_interval_seconds: Annotated[
        float, Field(ge=0, le=86_400, description="How often the daemon checks which webhooks platforms send; 0: never")
    ] = 3600.0
    max_body_bytes: Annotated[
        int, Field(ge=1024, le=64 * 1024 * 1024, description="A webhook with a larger body is refused")
    ] = 2 * 1024 * 1024
    read_timeout_seconds: Annotated[
        float, Field(gt=0, le=300, description="How long a sender may take for a whole request")
    ] = 10.0


class DeliverySettings(Section):
    """Where events are pushed to."""

    orders_url: Annotated[ReceiverUrl | None, Field(description="Gets the events order.* and fulfillment.*")] = None
    products_url: Annotated[ReceiverUrl | None, Field(description="Gets the events product.*")] = None
    secret: Annotated[SigningSecret, Field(description="Signs every delivery as Standard Webhooks say")]
    orders_types: Annotated[
        tuple[EventPattern, ...], Field(description="Further types of events for orders_url, such as target.*")
    ] = ()
    format: Annotated[
        DeliveryFormat, Field(description="event: our event with the payload in it; platform: the payload alone")
    ] = "event"
    include: Annotated[
        tuple[Literal["payload", "content"], ...],
        Field(
            description="What each event carries of its order, as it is kept then: payload, what the platform sent; "
            "content, the order in one shape for all platforms. With the format platform it is the payload alone"
        ),
    ] = ("payload",)
    timeout_seconds: Annotated[float, Field(gt=0, le=300, description="How long a receiver may take to answer")] = 15.0
    max_wait_seconds: Annotated[float, Field(gt=0, le=86_400, description="The longest wait between two attempts")] = (
        60.0
    )

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if self.orders_url is None and self.products_url is None:
            raise ValueError("must have orders_url, products_url or both")
        if self.format == "platform" and self.include != ("payload",):
            raise ValueError('include is for the format "event": what has the format "platform" is the payload alone')
        return self


WebhookSecrets = Secret | list[Secret]
"""One secret, or several while one replaces another."""


def all_of(secrets: SecretStr | list[SecretStr] | None) -> tuple[SecretStr, ...]:
    """The secrets of a shop as a tuple, however they were written."""
    if secrets is None:
        return ()
    return (secrets,) if isinstance(secrets, SecretStr) else tuple(secrets)
