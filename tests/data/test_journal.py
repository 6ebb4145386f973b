"""The journal: what was written whole is read back, what was torn or changed is not, another run's is refused."""

import json
import os

import pytest

import cnnexplore as cx
from cnnexplore.data.journal import Journal

RUN = {"weights": (1, 100), "network": "lenet"}
RECORDS = [["a", 0.1], {"b": [1, None]}, "c\n", 3, None]


def written(path):
    journal = Journal(path, RUN)
    for record in RECORDS:
        journal.append(record)
    return journal


def test_records_come_back(tmp_path):
    assert written(tmp_path / "j").records == RECORDS
    again = Journal(tmp_path / "j", RUN)
    assert again.records == RECORDS
    again.append(7.5)
    assert Journal(tmp_path / "j", RUN).records == [*RECORDS, 7.5]
    assert all(len(json.loads(line)) == 2 for line in (tmp_path / "j").read_text().splitlines())


def test_a_torn_line_is_left_out_at_every_byte(tmp_path):
    path = tmp_path / "j"
    written(path)
    data = path.read_bytes()
    last = data[:-1].rindex(b"\n") + 1
    for end in range(last, len(data) - 1):
        path.write_bytes(data[:end])
        journal = Journal(path, RUN)
        assert journal.records == RECORDS[:-1]
        journal.append("next")
        assert Journal(path, RUN).records == [*RECORDS[:-1], "next"]
    path.write_bytes(data[:-1])  # only the line's end is missing
    Journal(path, RUN).append("next")
    assert Journal(path, RUN).records == [*RECORDS, "next"]


def test_a_changed_line_is_left_out(tmp_path):
    path = tmp_path / "j"
    written(path)
    path.write_bytes(path.read_bytes().replace(b"0.1", b"0.2").replace(b"null", b"\xff\x00"))
    assert Journal(path, RUN).records == ["c\n", 3]


def test_another_run_is_refused(tmp_path, refused):
    path = tmp_path / "j"
    written(path)
    before = path.read_bytes()
    refused(cx.SettingError, lambda: Journal(path, RUN | {"network": "alexnet"}), "other settings")
    for other in (b"nonsense\n", b'[1, {"network": "lenet"}]\n', b"\x00\xff"):
        path.write_bytes(other)
        refused(cx.SettingError, lambda: Journal(path, RUN), "not a journal")
        assert path.read_bytes() == other
    path.write_bytes(before)
    assert Journal(path, RUN).records == RECORDS


def test_a_file_whose_creation_was_killed_is_begun_anew(tmp_path):
    path = tmp_path / "j"
    Journal(path, RUN)
    header = path.read_bytes()
    for end in range(len(header)):  # killed at every byte of the header, and before the first
        path.write_bytes(header[:end])
        assert Journal(path, RUN).records == []
        assert path.read_bytes() == header
        Journal(path, RUN).append([1, 2])
        assert Journal(path, RUN).records == [[1, 2]]


def test_two_processes_that_begin_a_journal_at_once_lose_nothing(tmp_path, monkeypatch):
    path = tmp_path / "j"
    with monkeypatch.context() as patch:
        patch.setattr(type(path), "read_bytes", lambda self: b"")  # both find nothing there
        one, other = Journal(path, RUN), Journal(path, RUN)
    one.append([1])
    other.append([2])
    one.append([3])
    assert Journal(path, RUN).records == [[1], [2], [3]]


def test_what_cannot_be_written_gets_a_sentence_and_loses_one_record(tmp_path, refused, monkeypatch):
    path = tmp_path / "j"
    journal = written(path)

    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, data):
            if len(data) > 5:
                return self.file.write(data[:5])
            raise OSError(28, "No space left on device")

    real = open
    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", lambda *args, **options: Full(real(*args, **options)))
        refused(cx.SettingError, lambda: journal.append({"some": "thing"}), "No space left on device")
    journal.append("later")
    assert Journal(path, RUN).records == journal.records == [*RECORDS, "later"]
    refused(cx.SettingError, lambda: Journal(tmp_path, RUN), "cannot be read")
    refused(cx.SettingError, lambda: Journal(tmp_path / "no" / "j", RUN), "cannot be written")


def test_reading_writes_nothing(tmp_path):
    path = tmp_path / "j"
    written(path)
    path.write_bytes(path.read_bytes()[:-1])
    before = path.read_bytes()
    assert Journal(path, RUN).records == RECORDS
    assert path.read_bytes() == before
    path.write_bytes(before + b"\n[1, " + b"[" * 100_000)  # deeper than json reads
    assert Journal(path, RUN).records == RECORDS


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_not_waited_for(tmp_path, refused):
    os.mkfifo(tmp_path / "j")
    refused(cx.SettingError, lambda: Journal(tmp_path / "j", RUN), "no file")
