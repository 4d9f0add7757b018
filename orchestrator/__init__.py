"""The daemon: drives orders on many platforms to where the ERP wants them."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("fulfilld")
except PackageNotFoundError:  # running from a source tree that was not installed
    __version__ = "0.0.0"
