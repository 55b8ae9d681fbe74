"""What a process leaves when it dies."""

import os
from pathlib import Path

import pytest
from omnix_provider.journal import EventTooLarge, Journal, JournalFull, Orphan, orphans


def test_dead_process_leaves_what_was_sent_or_closed_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path, 8)
    journal.open(b"never sent")
    sent = journal.open(b"sent")
    journal.sent(sent)
    journal.first_content(sent, 1500)
    journal.progress(sent, 42)
    closed = journal.open(b"noted")
    journal.sent(closed)
    journal.close(closed, b"as it ended")
    freed = journal.open(b"safe")
    journal.sent(freed)
    journal.free(freed)
    left = list(orphans(path))  # read beside the open journal, as after a kill
    assert [(each.event, each.closed) for each in left] == [(b"sent", False), (b"as it ended", True)]
    assert (left[0].output_tokens, left[0].first_content_us) == (42, 1500)
    assert left[0].last_sign_us > 0
    journal.shut()


def test_slots_are_bounded_and_used_again(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal", 2) as journal:
        first = journal.open(b"a")
        journal.open(b"b")
        with pytest.raises(JournalFull):
            journal.open(b"c")
        journal.free(first)
        assert journal.open(b"c") == first
        assert journal.taken == 2


def test_slot_that_is_used_again_forgets_the_former_attempt(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path, 1) as journal:
        slot = journal.open(b"former")
        journal.sent(slot)
        journal.progress(slot, 99)
        journal.free(slot)
        journal.sent(journal.open(b"new"))
        [left] = orphans(path)
        assert (left.event, left.output_tokens) == (b"new", 0)


def test_event_that_does_not_fit_is_refused_at_the_beginning(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal", 1) as journal, pytest.raises(EventTooLarge):
        journal.open(b"x" * 50_000)


def test_event_of_which_the_disk_took_only_the_beginning_is_not_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    pwrite = os.pwrite
    with Journal(path, 2) as journal:
        slot = journal.open(b"noted")
        journal.sent(slot)
        monkeypatch.setattr(os, "pwrite", lambda file, data, at: pwrite(file, data[:3], at))
        with pytest.raises(OSError, match="No space"):
            journal.open(b"another")
        journal.close(slot, b"as it ended")
        assert journal.taken == 1
        assert [(each.event, each.closed) for each in orphans(path)] == [(b"noted", False)]


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 4096, b"omnixjn1\xff\xff\x00\x00\x00\x20\x00\x00"])
def test_file_that_is_no_whole_journal_has_no_orphans(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(content)
    left: list[Orphan] = list(orphans(path))
    assert left == []
    assert list(orphans(tmp_path / "absent")) == []
