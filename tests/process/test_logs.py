import io
import json
import logging
from typing import Any

import pytest

from orchestrator import logs
from orchestrator.clock import Clock
from orchestrator.logs import LogFormat, LogLevel
from orchestrator.masking import MASK, Mask

CLOCK = Clock(now_ms=lambda: 1_700_000_000_123)
SECRET = 'p"ä ss/w\nord'


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def configured(log_format: LogFormat, level: LogLevel = "info", stream: io.StringIO | None = None) -> io.StringIO:
    stream = stream or io.StringIO()
    mask = Mask()
    mask.add([SECRET])
    logs.configure(log_format, level, stream, mask=mask, clock=CLOCK)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_has_when_what_and_the_fields_of_its_context() -> None:
    stream = configured("json")
    with logs.about(shop="acme", order="7"):
        logs.get_logger().info("step.done", step="confirm")
    logs.get_logger().warning("disk.full")
    assert lines(stream) == [
        {
            "at": "2023-11-14T22:13:20.123Z",
            "level": "info",
            "event": "step.done",
            "shop": "acme",
            "order": "7",
            "step": "confirm",
        },
        {"at": "2023-11-14T22:13:20.123Z", "level": "warning", "event": "disk.full"},
    ]
    assert list(lines(stream)[0])[:3] == ["at", "level", "event"]


def test_what_libraries_log_joins_in_under_one_constant_name() -> None:
    stream = configured("json")
    logging.getLogger("aiohttp.server").error("refused %s %d", "it", 5)
    assert lines(stream) == [
        {
            "at": "2023-11-14T22:13:20.123Z",
            "level": "error",
            "event": "library.log",
            "message": "refused it 5",
            "logger": "aiohttp.server",
        }
    ]


def test_a_wrong_format_string_in_a_library_is_no_error_of_ours() -> None:
    stream = configured("json")
    [ours] = [handler for handler in logging.getLogger().handlers if isinstance(handler, logs._LibraryHandler)]
    ours.handle(logging.LogRecord("careless", logging.ERROR, "", 0, "%d", ("text",), None))
    assert lines(stream)[0]["event"] == "library.log"


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_a_known_secret_is_masked_wherever_it_turns_up(log_format: LogFormat) -> None:
    stream = configured(log_format)
    log = logs.get_logger()
    log.info("token.sent", token=SECRET, nested={"deep": [SECRET, f"Bearer {SECRET}"]})
    logging.getLogger("http").warning("GET /?token=%s", SECRET)
    logging.getLogger("http").warning("GET /?token=%s", "p%22%C3%A4%20ss%2Fw%0Aord")
    try:
        raise ValueError(SECRET)
    except ValueError:
        log.exception("step.failed")
    text = stream.getvalue()
    assert text.count(MASK) >= 6
    for trace in ("ss/w", "ss%2Fw", "p%22", "\\u00e4", "ä"):
        assert trace not in text


def test_a_line_below_the_level_is_not_written_and_the_level_can_change() -> None:
    log = logs.get_logger()
    stream = configured("json", "warning")
    log.info("step.done")
    logging.getLogger("library").info("hello")
    assert stream.getvalue() == ""
    log_again = configured("json", "debug")
    log.debug("step.done")
    logging.getLogger("library").debug("hello")
    assert [line["event"] for line in lines(log_again)] == ["step.done", "library.log"]
    assert stream.getvalue() == ""


def test_text_is_coloured_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain, coloured = configured("text"), Terminal()
    logs.get_logger().info("step.done", shop="acme")
    configured("text", stream=coloured)
    logs.get_logger().info("step.done", shop="acme")
    assert plain.getvalue() == "2023-11-14T22:13:20.123Z [info     ] step.done shop=acme\n"
    assert "\x1b[" in coloured.getvalue()


def test_who_wants_no_colour_gets_none_on_a_terminal_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = configured("text", stream=Terminal())
    logs.get_logger().info("step.done")
    assert "\x1b" not in terminal.getvalue()


def test_by_itself_the_log_is_text_on_a_terminal_and_json_elsewhere() -> None:
    piped, terminal = configured("auto"), Terminal()
    logs.get_logger().info("step.done", shop="acme")
    configured("auto", stream=terminal)
    logs.get_logger().info("step.done", shop="acme")
    assert lines(piped)[0]["event"] == "step.done"
    assert not terminal.getvalue().startswith("{")
    assert "step.done" in terminal.getvalue()


def test_text_from_a_platform_cannot_forge_a_line() -> None:
    stream = configured("text")
    logs.get_logger().info("step.failed", detail="x\n2023 [info] step.done \x1b[31m")
    logging.getLogger("http").info("GET %s", "/\nforged \x1b[31m")
    assert len(stream.getvalue().splitlines()) == 2
    assert "\x1b" not in stream.getvalue()


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    stream = configured("json")
    stream.close()
    logs.get_logger().error("disk.full")


def test_what_the_stream_cannot_encode_is_escaped() -> None:
    raw = io.BytesIO()
    logs.configure("json", "info", io.TextIOWrapper(raw, encoding="ascii"), clock=CLOCK)
    logs.get_logger().info("order.seen", status="wysyłki")
    assert b"wysy\\u0142ki" in raw.getvalue()
