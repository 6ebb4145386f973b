"""Panels without a browser."""

from __future__ import annotations

import pytest

from cnnexplore.widgets.views.run_view import RunView


@pytest.fixture
def keep():
    """Takes a panel and closes it at the end of the test."""
    panels = []

    def one(panel):
        panels.append(panel)
        return panel

    yield one
    for panel in panels:
        panel.close()


@pytest.fixture
def said(monkeypatch):
    """The messages that the run view sent."""
    messages = []
    monkeypatch.setattr(RunView, "send", lambda self, content, buffers=None: messages.append((content, buffers)))
    return messages
