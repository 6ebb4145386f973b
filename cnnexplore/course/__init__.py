"""The course: checks of answers in the labs, and its editions for students, for teachers and for nbgrader."""

from .checking import Checked, check, summary

__all__ = ["Checked", "check", "summary"]
