"""The report of a run: one HTML page that needs nothing but a browser. `write_report(run_folder)` is the whole interface."""

from .render import write_report

__all__ = ["write_report"]
