"""The status codes inside QuickBooks' answers, as data (qbxml.md 6.2)."""

from __future__ import annotations

from qbxml.verdicts import Entry, Owner, Retry

WARNING_FROM = 500
"""Codes from here on are warnings: data may come, but perhaps not all of it (qbxml.md 6.1)."""
ERROR_FROM = 1000
"""Codes from here on are errors and return no data, whatever the severity beside them says (qbxml.md 6.1)."""
SPECIFIC_FROM = 3000
"""Codes from here on say what is wrong with one request, not with QuickBooks as a whole."""

_NOTHING = "Nothing to do."
_SEND_TO_US = "Report this to the people who run the export; they correct it. The document waits until then."
_EXPORT_AGAIN = "then export the document again."


def _ok(cause: str, explanation: str, owner: Owner = "us", next_step: str = _NOTHING) -> Entry:
    return Entry(cause, owner, Retry.DONE, explanation, next_step)


def _later(cause: str, owner: Owner, explanation: str, next_step: str) -> Entry:
    return Entry(cause, owner, Retry.RETRY_LATER, explanation, next_step)


def _stop(cause: str, owner: Owner, explanation: str, next_step: str) -> Entry:
    return Entry(cause, owner, Retry.NEVER, explanation, next_step)


def _ours(cause: str, explanation: str) -> Entry:
    return _stop(cause, "us", explanation, _SEND_TO_US)


def _look_first(cause: str, explanation: str) -> Entry:
    return Entry(
        cause,
        "us",
        Retry.UNKNOWN_OUTCOME,
        explanation,
        "Nothing to do now: the export asks QuickBooks whether the document is there before it sends anything again.",
    )


LOCKED = _later(
    "record_in_use",
    "bookkeeper",
    "Somebody has this transaction or a related record open in QuickBooks, so it could not be saved.",
    "Save and close open invoice, bill, customer and vendor windows in QuickBooks. The export tries again by itself.",
)
CLOSED_PERIOD = _stop(
    "closed_period",
    "bookkeeper",
    "The date of the document is on or before the closing date of the company, so QuickBooks did not save it.",
    f"Agree on a later document date, or have the QuickBooks administrator reopen the period; {_EXPORT_AGAIN}",
)
MISSING_ACCOUNT = _stop(
    "posting_account_missing",
    "bookkeeper",
    "An item or a line has no account to post to.",
    f"Give the item an account in QuickBooks or choose another item in the mapping; {_EXPORT_AGAIN}",
)
NAME_IN_USE = _stop(
    "name_in_use",
    "bookkeeper",
    "QuickBooks already has a customer, vendor, employee or other entry with this name.",
    f"Link the TMS record to the existing entry in the mapping, or choose another name; {_EXPORT_AGAIN}",
)
CREDIT_LIMIT = _stop(
    "credit_limit_exceeded",
    "bookkeeper",
    "The document would exceed the credit limit of the customer, so QuickBooks did not save it.",
    f"Raise the limit or settle open invoices in QuickBooks; {_EXPORT_AGAIN}",
)
ACCOUNT_NUMBER_IN_USE = _stop(
    "account_number_in_use",
    "bookkeeper",
    "The account number is already used by another entry in QuickBooks.",
    f"Choose another account number; {_EXPORT_AGAIN}",
)
MERGE_REFUSED = _stop(
    "merge_refused",
    "bookkeeper",
    "QuickBooks took the change for a merge of two list entries and refused it.",
    f"Give the entry a name that no other entry has, or merge the two in QuickBooks by hand; {_EXPORT_AGAIN}",
)
OVERPAID = _stop(
    "more_than_amount_due",
    "bookkeeper",
    "The amount is larger than what is still due on the transaction.",
    f"Check the open amount in QuickBooks and correct the amount in the TMS; {_EXPORT_AGAIN}",
)
ADDRESS_REFUSED = _stop(
    "address_refused",
    "tms_user",
    "QuickBooks did not accept the address.",
    f"Shorten or correct the address in the TMS; {_EXPORT_AGAIN}",
)
SAVE_REFUSED = _stop(
    "save_refused",
    "bookkeeper",
    "QuickBooks did not save the document for the reason in its message.",
    f"Read the message of QuickBooks, correct what it names; {_EXPORT_AGAIN}",
)
VALUE_REFUSED = _stop(
    "value_refused",
    "bookkeeper",
    "QuickBooks did not accept the value of one field; its message names the field and the reason.",
    f"Correct the value in the TMS or the mapping; {_EXPORT_AGAIN}",
)
QUICKBOOKS_ONLINE = _ours(
    "online_only",
    "QuickBooks answered with a code that belongs to QuickBooks Online and never to QuickBooks Desktop.",
)
MACRO = _ours("macro_error", "The request used a name for a new transaction that was not defined or was used twice.")
INCONSISTENT = _stop(
    "transaction_inconsistent",
    "bookkeeper",
    "QuickBooks found the transaction empty, a line closed, or units and amounts that do not fit each other.",
    f"Read the message of QuickBooks and compare the lines in the TMS with the items in QuickBooks; {_EXPORT_AGAIN}",
)


def _unlisted(cause: str) -> Entry:
    return _stop(
        cause,
        "bookkeeper",
        "QuickBooks refused the request for the reason in its message.",
        f"Read the message of QuickBooks and clear the cause; if it is unclear, ask the people who run the export, "
        f"{_EXPORT_AGAIN}",
    )


def _format(cause: str, what: str) -> Entry:
    return _ours(cause, f"The export sent {what} in a form that QuickBooks cannot read.")


#: Codes with one meaning. 3170, 3180 and 3210 are read from their text.
STATUS_CODES: dict[int, Entry] = {
    0: _ok("ok", "QuickBooks did what was asked."),
    1: _ok("nothing_found", "QuickBooks has nothing that fits the question."),
    500: _ok("some_not_found", "Some of the entries that were asked for are not in QuickBooks; the others were found."),
    501: _look_first(
        "version_too_low",
        "QuickBooks cannot describe the object in the version of the language that the export used.",
    ),
    510: _ok("saved_without_answer", "The object is in QuickBooks, but QuickBooks could not send it back."),
    530: _ok(
        "field_ignored",
        "QuickBooks saved the document but ignored a field that this edition does not have.",
        "bookkeeper",
        "Check the field that the message names in the saved document.",
    ),
    531: _ok(
        "choice_ignored",
        "QuickBooks does not have one of the choices that was sent and ignored it.",
        "bookkeeper",
        "Check the field that the message names in the saved document.",
    ),
    540: _ok("row_limit", "QuickBooks returned only part of the rows. Only QuickBooks Online is known to do that."),
    550: _ok(
        "notes_not_saved",
        "QuickBooks saved the object but not its notes.",
        "bookkeeper",
        "Enter the notes in QuickBooks by hand if they are needed.",
    ),
    560: _ok("field_deprecated", "QuickBooks accepted the document; one of its fields is out of use."),
    570: _ok(
        "link_not_made",
        "QuickBooks could not link to a transaction because that one is closed already.",
        "bookkeeper",
        "Check in QuickBooks whether the document should be linked to another transaction.",
    ),
    600: _ok("no_record_to_clear", "QuickBooks had no record of an earlier message set; there was nothing to clear."),
    1000: Entry(
        "internal_error",
        "bookkeeper",
        Retry.UNKNOWN_OUTCOME,
        "QuickBooks had an internal error while it worked on the request.",
        "The export looks whether the document was saved and tries again. If this repeats, use File, Utilities, "
        "Verify Data in QuickBooks.",
    ),
    1010: _later(
        "quickbooks_not_available",
        "bookkeeper",
        "QuickBooks was busy or closing and did not take the request.",
        "Leave QuickBooks running. The export tries again by itself.",
    ),
    1020: _unlisted("refused_1020"),
    1030: _ours("request_not_supported", "This edition of QuickBooks does not have the request that the export sent."),
    1060: _ours("request_id_invalid", "The export gave the request an id that QuickBooks does not accept."),
    3000: _stop(
        "id_invalid",
        "bookkeeper",
        "The mapping holds an id that does not belong to this company file or is damaged.",
        f"Refresh the lists from QuickBooks and choose the entry in the mapping again; {_EXPORT_AGAIN}",
    ),
    3010: _format("boolean_format", "a yes-or-no value"),
    3020: _format("date_format", "a date"),
    3030: _ours("date_range", "The export asked for a period that ends before it begins."),
    3031: _ours("text_range", "The export asked for a range of names or numbers that ends before it begins."),
    3035: _format("time_interval_format", "a duration"),
    3040: _format("amount_format", "an amount"),
    3045: _format("price_format", "a price or rate"),
    3050: _format("percent_format", "a percentage"),
    3060: _format("quantity_format", "a quantity"),
    3065: _format("guid_format", "a unique id"),
    3070: _stop(
        "text_too_long",
        "tms_user",
        "A text is longer than QuickBooks allows; the message names the field.",
        f"Shorten the text in the TMS; {_EXPORT_AGAIN}",
    ),
    3080: _format("text_format", "a text"),
    3085: _format("number_format", "a number"),
    3090: _stop(
        "text_refused",
        "tms_user",
        "QuickBooks could not store a text, usually because a name contains a colon.",
        f"Remove the colon or special character from the text in the TMS; {_EXPORT_AGAIN}",
    ),
    3100: NAME_IN_USE,
    3101: _unlisted("refused_3101"),
    3110: _ours("choice_invalid", "The export sent a choice that QuickBooks does not have."),
    3120: _stop(
        "object_not_found",
        "bookkeeper",
        "A record that the document refers to no longer exists in QuickBooks.",
        f"Refresh the lists from QuickBooks and choose an existing entry in the mapping; {_EXPORT_AGAIN}",
    ),
    3130: _stop(
        "parent_not_found",
        "bookkeeper",
        "The entry belongs under a parent entry that QuickBooks does not have.",
        f"Create the parent in QuickBooks or choose another entry in the mapping; {_EXPORT_AGAIN}",
    ),
    3140: _stop(
        "reference_invalid",
        "bookkeeper",
        "QuickBooks does not know an entry that the document names, or the entry is inactive or of the wrong type.",
        "Make the entry active in QuickBooks, or refresh the lists and choose another one in the mapping; "
        f"{_EXPORT_AGAIN}",
    ),
    3150: _ours("element_missing", "The export left out something that QuickBooks requires."),
    3151: _ours("element_not_allowed", "The export sent a field that QuickBooks does not allow here."),
    3152: _ours("elements_conflict", "The export sent two fields that exclude each other."),
    3153: _ours("elements_conflict", "The export sent two fields that exclude each other."),
    3160: _stop(
        "cannot_delete",
        "bookkeeper",
        "QuickBooks did not delete the object because others are linked to it or use it.",
        "Remove the links in QuickBooks first, or void the transaction by hand.",
    ),
    3161: CLOSED_PERIOD,
    3162: _stop(
        "single_user_needed",
        "bookkeeper",
        "QuickBooks does not allow this while several users have the company file open.",
        f"Switch QuickBooks to single-user mode when nobody works in it; {_EXPORT_AGAIN}",
    ),
    3171: CLOSED_PERIOD,
    3175: LOCKED,
    3176: LOCKED,
    3177: _unlisted("refused_3177"),
    3185: _stop(
        "cannot_void",
        "bookkeeper",
        "QuickBooks did not void the transaction because it is linked to others or reconciled.",
        "Void it in QuickBooks by hand after the links are removed.",
    ),
    3190: _ours("cannot_clear", "The export tried to empty a field that QuickBooks does not let anybody empty."),
    3200: _later(
        "changed_meanwhile",
        "us",
        "Somebody changed the record in QuickBooks after the export had read it.",
        "Nothing to do: the export reads the record again before it tries once more.",
    ),
    3205: ADDRESS_REFUSED,
    3220: _stop(
        "not_authorised_here",
        "bookkeeper",
        "QuickBooks does not allow this request in the present situation or for this user.",
        f"Ask the QuickBooks administrator to check the rights of the integrated application; {_EXPORT_AGAIN}",
    ),
    3230: _later(
        "rolled_back",
        "us",
        "QuickBooks undid the request because another one in the same set failed.",
        "Clear the error of the other document. The export tries again by itself.",
    ),
    3231: _later(
        "not_processed",
        "us",
        "QuickBooks did not start on this request because an earlier one in the same set had failed.",
        "Nothing to do: the export sends it again by itself.",
    ),
    3240: _stop(
        "stale_id",
        "bookkeeper",
        "An id does not fit the object it names; it may come from another or a restored company file.",
        "Check that the right company file is open, refresh the lists and choose the entry in the mapping again; "
        f"{_EXPORT_AGAIN}",
    ),
    3250: _stop(
        "feature_off",
        "bookkeeper",
        "The document uses a feature that is switched off or missing in this QuickBooks, such as class tracking "
        "or several currencies.",
        f"Switch the feature on under Edit, Preferences in QuickBooks, or remove it from the mapping; {_EXPORT_AGAIN}",
    ),
    3260: _stop(
        "no_permission",
        "bookkeeper",
        "The QuickBooks user of the export is not allowed to do this.",
        f"Have the QuickBooks administrator give that user the right; {_EXPORT_AGAIN}",
    ),
    3261: _stop(
        "no_personal_data_access",
        "bookkeeper",
        "The export has no permission to read personal data in this company file.",
        f"Have the QuickBooks administrator allow it under Edit, Preferences, Integrated Applications; {_EXPORT_AGAIN}",
    ),
    3262: _unlisted("refused_3262"),
    3263: _unlisted("refused_3263"),
    3270: MISSING_ACCOUNT,
    3280: _stop(
        "item_type_wrong",
        "bookkeeper",
        "An item of this type, such as a group, payment or tax item, cannot be used on the line.",
        f"Choose a service or other-charge item in the mapping; {_EXPORT_AGAIN}",
    ),
    3290: _stop(
        "inventory_account",
        "bookkeeper",
        "The inventory or asset account of an item does not fit.",
        f"Correct the accounts of the item in QuickBooks or choose another item in the mapping; {_EXPORT_AGAIN}",
    ),
    3300: _ours("transaction_not_built", "QuickBooks could not build the transaction or one of its lines."),
    3390: _later(
        "too_many_open",
        "us",
        "Too many list readings were open in QuickBooks at the same time.",
        "Nothing to do: the export tries again in its next session.",
    ),
    3391: _later(
        "list_reading_lost",
        "us",
        "QuickBooks forgot how far it was in a list that it gave page by page.",
        "Nothing to do: the list is read on in the same session.",
    ),
    3500: _stop(
        "merge_refused",
        "bookkeeper",
        "QuickBooks refused to merge two entries.",
        "Merge them in QuickBooks by hand in single-user mode.",
    ),
    9001: _look_first(
        "message_set_changed",
        "QuickBooks knows this message set, but its content differs or its record is damaged.",
    ),
    9002: _look_first(
        "no_stored_response",
        "QuickBooks has no stored answer for the message set; that does not prove that nothing was saved.",
    ),
    9003: _look_first("message_set_9003", "QuickBooks reported a state of the message set that is not in use."),
    9004: _ours("message_set_id_invalid", "The export gave the message set an id that is too long."),
    9005: _look_first("response_not_stored", "QuickBooks could not store its answer to the message set."),
}

#: Codes that share a meaning over a range, both ends included.
STATUS_RANGES: tuple[tuple[int, int, Entry], ...] = (
    (2000, 2999, QUICKBOOKS_ONLINE),
    (3310, 3360, INCONSISTENT),
    (9100, 9199, MACRO),
)

#: For the codes that locks and refusals share: the first phrase found in the text decides (qbxml.md 6.2).
#: Refusals stand first, because "account number ... is already in use" would also look like a lock.
STATUS_BY_TEXT: dict[int, tuple[tuple[tuple[str, Entry], ...], Entry]] = {
    3170: (
        (
            ("merge", MERGE_REFUSED),
            ("closing date", CLOSED_PERIOD),
            ("modified by another user", LOCKED),
            ("could not be locked", LOCKED),
            ("in use by another user", LOCKED),
            ("acquire the lock", LOCKED),
            ("is in use", LOCKED),
        ),
        SAVE_REFUSED,
    ),
    3180: (
        (
            ("credit limit", CREDIT_LIMIT),
            ("account number", ACCOUNT_NUMBER_IN_USE),
            ("posting account", MISSING_ACCOUNT),
            ("closing date", CLOSED_PERIOD),
            ("modified by another user", LOCKED),
            ("could not be locked", LOCKED),
            ("in use by another user", LOCKED),
            ("acquire the lock", LOCKED),
            ("is in use", LOCKED),
        ),
        SAVE_REFUSED,
    ),
    3210: (
        (
            ("pay more than the amount due", OVERPAID),
            ("closing date", CLOSED_PERIOD),
            ('"address"', ADDRESS_REFUSED),
        ),
        VALUE_REFUSED,
    ),
}
