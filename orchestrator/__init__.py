"""The daemon: drives orders on many platforms to where the ERP wants them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str


def __getattr__(name: str) -> str:
    """The version, looked up when it is asked for: that takes longer than the help of a command."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("fulfilld")
    except PackageNotFoundError:  # running from a source tree that was not installed
        return "0.0.0"
