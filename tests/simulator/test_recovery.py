import pytest

from simulator.errors import QuickBooksCrash, QuickBooksError
from simulator.sample_company import freight_company


def recovery(new="", old=""):
    return (f' newMessageSetID="{new}"' if new else "") + (f' oldMessageSetID="{old}"' if old else "")


def status(answer):
    return answer.get("messageSetStatusCode")


def test_without_recovery_attributes_the_answer_has_none(desk, invoice):
    assert not desk.send(invoice()).attrib


def test_the_same_set_sent_twice_runs_once(desk, invoice):
    text = desk.document(invoice(), attributes=recovery("SET1"))
    first, second = desk.send_text(text), desk.send_text(text)
    assert (first.get("newMessageSetID"), status(first)) == ("SET1", "0")
    assert desk.answers[0] == desk.answers[1]
    assert second[0].findtext("InvoiceRet/TxnID") == desk.company.ledger[0].txn_id
    assert len(desk.company.ledger) == 1


def test_another_text_under_a_used_id_fails_the_checksum(desk, invoice):
    desk.send(invoice(), attributes=recovery("SET1"))
    changed = desk.send(invoice("L2"), attributes=recovery("SET1"))
    assert (status(changed), len(changed)) == ("9001", 0)
    assert len(desk.company.ledger) == 1


def test_an_empty_set_asks_for_the_outcome(desk, invoice):
    assert status(desk.send("", attributes=recovery("SET1", "SET1"))) == "9002"
    desk.send(invoice(), attributes=recovery("SET1"))
    check = desk.send("", attributes=recovery("SET1", "SET1"))
    assert (status(check), check[0].get("requestID")) == ("0", "r1")


def test_an_id_of_24_characters_is_refused(desk, invoice):
    assert status(desk.send(invoice(), attributes=recovery("x" * 23))) == "0"
    refused = desk.send(invoice(), attributes=recovery("x" * 24))
    assert (status(refused), len(refused)) == ("9004", 0)
    assert len(desk.company.ledger) == 1


def test_clearing_records(desk, invoice):
    desk.send(invoice(), attributes=recovery("SET1"))
    desk.send(invoice(), attributes=recovery("SET2", "SET1"))
    assert status(desk.send("", attributes=recovery("SET1", "SET1"))) == "9002"
    assert status(desk.send("", attributes=recovery("", "SET2"))) == "0"
    assert status(desk.send("", attributes=recovery("", "SET2"))) == "600"
    desk.send(invoice(), attributes=recovery("SET3"))
    assert status(desk.send("", attributes=recovery("", "ClearAllMessageSets"))) == "0"
    assert status(desk.send("", attributes=recovery("SET3", "SET3"))) == "9002"


def test_records_belong_to_one_application(desk, invoice):
    desk.send(invoice(), attributes=recovery("SET1"))
    desk.session = desk.company.open_session("Another Application")
    assert status(desk.send("", attributes=recovery("SET1", "SET1"))) == "9002"


def test_only_the_latest_record_when_switched_so(desk, invoice):
    desk.company.switches.keep_only_latest_record = True
    desk.send(invoice(), attributes=recovery("SET1"))
    desk.send(invoice(), attributes=recovery("SET2"))
    assert status(desk.send("", attributes=recovery("SET1", "SET1"))) == "9002"


def test_an_empty_set_leaves_a_record_when_switched_so(desk, invoice):
    desk.company.switches.empty_ask_leaves_record = True
    assert status(desk.send("", attributes=recovery("SET1", "SET1"))) == "9002"
    again = desk.send("", attributes=recovery("SET1", "SET1"))
    assert (status(again), len(again)) == ("0", 0)
    assert status(desk.send(invoice(), attributes=recovery("SET1"))) == "9001"
    assert not desk.company.ledger


@pytest.mark.parametrize("leaves_record", [False, True])
def test_a_query_under_an_id_keeps_a_later_write_under_it_from_running(desk, invoice, leaves_record):
    desk.company.switches.empty_ask_leaves_record = leaves_record
    desk.send("", attributes=recovery("SET1", "SET1"))
    desk.send('<HostQueryRq requestID="r1"/>', attributes=recovery("SET1"))
    assert status(desk.send(invoice(), attributes=recovery("SET1"))) == "9001"
    assert not desk.company.ledger


def crash(desk, body, attributes=""):
    with pytest.raises(QuickBooksCrash) as caught:
        desk.send(body, attributes=attributes)
    with pytest.raises(QuickBooksError):
        desk.send(body)
    desk.reopen()
    return caught.value.hresult


def test_a_crash_before_the_commit_leaves_nothing(desk, invoice):
    desk.company.faults.crash_before_commit()
    assert crash(desk, invoice(), recovery("SET1")) == "0x80010108"
    assert not desk.company.ledger
    assert status(desk.send(invoice(), attributes=recovery("SET1"))) == "0"
    assert len(desk.company.ledger) == 1


def test_a_crash_can_leave_a_part(desk, invoice):
    desk.company.faults.crash_after(1, hresult=None)
    assert crash(desk, invoice("1") + invoice("2"), recovery("SET1")) is None
    assert [entry.ref_number for entry in desk.company.ledger] == ["1"]
    assert status(desk.send("", attributes=recovery("SET1", "SET1"))) == "9002"


def test_a_commit_without_a_record_looks_like_nothing_ran(desk, invoice):
    desk.company.faults.crash_after_commit_before_record()
    crash(desk, invoice(), recovery("SET1"))
    assert len(desk.company.ledger) == 1
    assert status(desk.send("", attributes=recovery("SET1", "SET1"))) == "9002"


def test_a_recorded_commit_survives_the_lost_answer(desk, invoice):
    desk.company.faults.crash_after_record()
    crash(desk, invoice(), recovery("SET1"))
    again = desk.send(invoice(), attributes=recovery("SET1"))
    assert (status(again), len(desk.company.ledger)) == ("0", 1)


def test_a_record_that_cannot_be_stored(desk, invoice):
    desk.company.faults.lose_record()
    answer = desk.send(invoice(), attributes=recovery("SET1"))
    assert (status(answer), answer[0].get("statusCode")) == ("9005", "0")
    assert status(desk.send("", attributes=recovery("SET1", "SET1"))) == "9002"


def test_queries_do_not_use_up_a_crash(desk, invoice):
    desk.company.faults.crash_before_commit()
    assert desk.one("<TermsQueryRq/>").get("statusCode") == "0"
    crash(desk, invoice())


def test_a_lock_lasts_as_often_as_told(desk, invoice):
    desk.company.faults.lock("L100001", times=2)
    codes = [desk.one(invoice()).get("statusCode") for _ in range(3)]
    assert codes == ["3175", "3175", "0"]


@pytest.mark.parametrize(
    ("fault", "hresult"),
    [
        ("modal_dialog", "0x80040414"),
        ("wrong_file_open", "0x8004040A"),
        ("single_user_conflict", "0x80040410"),
        ("not_running", "0x80040416"),
    ],
)
def test_a_session_that_cannot_be_opened(company, fault, hresult):
    getattr(company.faults, fault)()
    with pytest.raises(QuickBooksError) as caught:
        company.open_session("TMS Export")
    assert caught.value.hresult == hresult
    company.open_session("TMS Export")


def test_another_path_is_another_file(company):
    company.open_session("TMS Export", company.path.upper())
    with pytest.raises(QuickBooksError) as caught:
        company.open_session("TMS Export", "C:\\Other.qbw")
    assert caught.value.hresult == "0x8004040A"


def test_a_restored_backup_forgets_and_says_so(desk, invoice):
    backup = desk.company.snapshot()
    desk.send(invoice(), attributes=recovery("SET1"))
    desk.company.restore(backup)
    desk.reopen()
    assert not desk.company.ledger
    assert status(desk.send("", attributes=recovery("SET1", "SET1"))) == "9002"
    activity = desk.one("<CompanyActivityQueryRq/>")
    assert activity.findtext("CompanyActivityRet/LastRestoreTime") == "2026-07-01T09:30:00-08:00"


def test_a_kept_file_is_the_same_file(desk, invoice, bill, clock, tmp_path):
    desk.send(invoice() + bill(), attributes=recovery("SET1"))
    path = tmp_path / "ridgeline.json"
    desk.company.save(path)
    loaded = type(desk.company).load(path, clock=clock)
    assert loaded.state == desk.company.state
    assert [type(entry) for entry in loaded.ledger] == [type(entry) for entry in desk.company.ledger]


def test_what_users_do_by_hand(desk, invoice, clock):
    desk.send(invoice())
    posted = desk.company.ledger[0]
    before = posted.edit_sequence
    desk.company.edit_transaction(posted.txn_id, ref_number="EDITED", memo="changed")
    assert desk.one("<InvoiceQueryRq><RefNumber>EDITED</RefNumber></InvoiceQueryRq>").get("statusCode") == "0"
    assert desk.company.ledger[0].edit_sequence != before
    with pytest.raises(AttributeError):
        desk.company.edit_transaction(posted.txn_id, colour="red")
    desk.company.delete_transaction(posted.txn_id)
    assert not desk.company.ledger
    customer = desk.company.state.customers[0]
    desk.company.set_active(customer.list_id, False)
    assert desk.one(invoice()).get("statusCode") == "3140"
    desk.company.remove_entry(customer.list_id)
    assert (
        desk.one(f"<CustomerQueryRq><ListID>{customer.list_id}</ListID></CustomerQueryRq>").get("statusCode") == "500"
    )


def test_renaming_a_customer_moves_its_jobs(company):
    parent = next(entry for entry in company.state.customers if entry.name == "Ironwood Building Supply")
    company.rename(parent.list_id, "Ironwood")
    assert "Ironwood:Load 100777" in [entry.full_name for entry in company.state.customers]


def test_names_are_one_space_and_without_colons(company):
    with pytest.raises(ValueError, match="in use"):
        company.add_vendor("cafe rio FOODS")
    with pytest.raises(ValueError, match="cannot be"):
        company.add_class("A:B")


def test_summer_offset_can_be_right(clock):
    company = freight_company(clock=clock)
    company.switches.standard_time_offset_all_year = False
    assert company.local_time() == "2026-07-01T09:30:00-07:00"
