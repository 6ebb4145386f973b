"""Reports: all that is known of a unit on one page."""

from .parts import PARTS, Bar, Part, Question, part_stream
from .unit_report import UnitReport, ask, ask_stream

__all__ = ["PARTS", "Bar", "Part", "Question", "UnitReport", "ask", "ask_stream", "part_stream"]
