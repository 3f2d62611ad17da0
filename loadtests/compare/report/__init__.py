"""The results of a comparison to be read: as HTML, as Markdown, on the terminal, as JSON.

:mod:`.headline`, :mod:`.parity`, :mod:`.speed`, :mod:`.cost` and :mod:`.locust` make tables of the
results, which :mod:`.html`, :mod:`.markdown` and :mod:`.terminal` show; :mod:`.plots` draws.
"""

from loadtests.compare.report.document import read_json, write_json
from loadtests.compare.report.html import write_html
from loadtests.compare.report.markdown import markdown, write_markdown
from loadtests.compare.report.terminal import print_terminal

__all__ = ["markdown", "print_terminal", "read_json", "write_html", "write_json", "write_markdown"]
