"""Copies of a company file, restored ones, and one file by many paths."""

from simulator.copies import archive_path, copy_of, spellings


def test_a_copy_bears_name_and_mark_and_lives_by_itself(desk, invoice):
    desk.company.state.data_ext["{OWNER}"] = {"FileID": "{FILE}"}
    before = desk.company.snapshot()
    desk.send(invoice())
    now, older = (copy_of(desk.company, archive_path(desk.company), backup=backup) for backup in (None, before))
    assert now.path == "C:\\QuickBooks\\Archive 2025\\Ridgeline Freight LLC.qbw"
    assert [copy.name for copy in (now, older)] == [desk.company.name] * 2
    assert older.state.data_ext == desk.company.state.data_ext
    assert (len(now.ledger), len(older.ledger)) == (1, 0)
    desk.send(invoice("L2"))
    assert (len(desk.company.ledger), len(now.ledger), len(older.ledger)) == (2, 1, 0)
    assert now.state.last_restore_time is None


def test_one_place_has_many_spellings(company):
    ways = spellings(company.path)
    assert ways[0] == company.path
    assert "C:/QuickBooks/Ridgeline Freight LLC.qbw" in ways
    assert "\\\\FILESERVER\\Books\\QuickBooks\\Ridgeline Freight LLC.qbw" in ways
    assert len(set(ways)) == len(ways)
    for way in ways:
        company.open_session("TMS Export", way, opened_as=way)
