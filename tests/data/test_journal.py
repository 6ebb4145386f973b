"""The journal: what was written whole is read back, what was torn or changed is not, another run's is refused."""

import json

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
    for other in (b"", b"nonsense\n", b'[1, {"network": "lenet"}]\n', b"\x00\xff"):
        path.write_bytes(other)
        refused(cx.SettingError, lambda: Journal(path, RUN), "not a journal")
        assert path.read_bytes() == other
    path.write_bytes(before)
    assert Journal(path, RUN).records == RECORDS
