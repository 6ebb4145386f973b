"""One panel per method: its controls and its pictures."""
