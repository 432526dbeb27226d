"""The report of a run: one HTML page that needs nothing but a browser. `write_report(run_folder)` is the whole interface; `render_page` is for other pages of the same style."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .render import render_page, write_report

__all__ = ["render_page", "write_report"]


def __getattr__(name: str) -> object:
    """Import on first use: a command that needs only a word of the report does not wait for its templates."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(".render", __name__), name)
