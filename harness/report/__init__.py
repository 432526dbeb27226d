"""The report of a run: one HTML page that needs nothing but a browser. `write_report(run_folder)` is the whole interface; `render_page` is for other pages of the same style."""

from . import kinds
from .render import render_page, write_report

__all__ = ["kinds", "render_page", "write_report"]
