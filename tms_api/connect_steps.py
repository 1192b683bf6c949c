"""The steps with which a bookkeeper connects QuickBooks, in the words of the dialogs that they will see.

Sources: web-connector.md 2.3, 2.4 (schedule), 3.3 (first grant), 3.4 (the dialog's choices), 4.2 (codes).
"""

from __future__ import annotations

from pydantic import BaseModel, Field

ALWAYS = "Yes, always; allow access even if QuickBooks is not running"


class Step(BaseModel):
    """One thing that the user does, in order."""

    title: str = Field(description="What to do, in a few words.", examples=["Enter the password"])
    text: str = Field(description="How to do it.")
    detail: str | None = Field(default=None, description="Why, or what to do when it goes another way.")


CONFIRM_FILE = Step(
    title="Say that it is your company file",
    text="After the first contact the connection page shows the company file that QuickBooks has open: its name, its "
    'place and the program. Answer "Yes, this is our company file" if it is the right one.',
    detail="Before that, nothing but lists is read and nothing is written. If it is the wrong file, answer no, open "
    "the right one and run the update again.",
)


def connect_steps(
    *, username: str, soap_url: str, run_every_minutes: int, quickbooks_release: str, confirms_file: bool = True
) -> list[Step]:
    """Give every step from the closed QuickBooks to the first contact, and the answer which company file it is."""
    confirm = [CONFIRM_FILE] if confirms_file else []
    return [
        Step(
            title="Go to the computer that QuickBooks runs on",
            text=f"Sign in to Windows on the PC with QuickBooks Desktop {quickbooks_release} and the company file. "
            "Use a computer that stays on and signed in during working hours.",
            detail="The Web Connector works only while it runs in a signed-in Windows session; it is no service of "
            "Windows. Sign-out, sleep and a closed remote session stop it.",
        ),
        Step(
            title="Check that the Web Connector is there",
            text='Look for "Web Connector" in the Start menu. It comes with QuickBooks Desktop; if it is missing, '
            "install it from Intuit's site.",
            detail=f"The PC must reach {soap_url} through its firewall.",
        ),
        Step(
            title="Open the company file as administrator",
            text='Start QuickBooks, sign in to the company file as the user "Admin" and choose File > '
            '"Switch to Single-user Mode". Leave QuickBooks open, without an open dialog.',
            detail="Only the first time: an administrator has to grant the access, and QuickBooks takes that only "
            "in single-user mode. Afterwards multi-user mode is fine.",
        ),
        Step(
            title="Download the .qwc file and open it",
            text="Download the connection file on this PC and double-click it. The Web Connector opens and asks "
            'whether to add the application: click "OK".',
            detail="If it asks whether to replace or clone an entry that exists already, choose to replace it: a "
            "clone would call twice. QBWC1039 means that this PC or file has an older entry: remove it, or ask for "
            "new ids and download the file again.",
        ),
        Step(
            title="Grant the access in QuickBooks",
            text="QuickBooks asks whether this application may read and modify the company file. Choose "
            f'"{ALWAYS}", pick the user that it signs in as, click "Continue", then "Done".',
            detail='The choice "Yes, whenever this QuickBooks company file is open" works, too, but then nothing is '
            "exported while QuickBooks is closed. It can be changed later in Edit > Preferences > Integrated "
            "Applications > Company Preferences > Properties.",
        ),
        Step(
            title="Enter the password",
            text=f"In the Web Connector, find the line of user {username}, enter the password that was shown when the "
            'company was connected, press Enter and answer "Yes" when it asks whether to save it.',
            detail="The password is shown only once. If it was not kept, have a new one made; QBWC1040 or "
            '"authentication failed" means that it was mistyped.',
        ),
        Step(
            title="Let it run by itself",
            text=f'Tick "Auto-Run" on that line and see that "Every_Min" says {run_every_minutes}. Then tick the box '
            'in front of the line and click "Update Selected".',
            detail="The first contact shows here within a minute. Leave the Web Connector running; closing its "
            "window only hides it beside the clock.",
        ),
        *confirm,
    ]


def password_steps(*, username: str, grace_minutes: int) -> list[Step]:
    """Give the steps after a new password."""
    until = f"The old password works for {grace_minutes} more minutes." if grace_minutes else "The old one has ended."
    return [
        Step(
            title="Enter the new password",
            text=f"In the Web Connector, click the password field of user {username}, enter the new password, press "
            'Enter and answer "Yes" when it asks whether to save it.',
            detail=until,
        ),
        Step(title="Try it", text='Tick the box in front of the line and click "Update Selected".'),
    ]


def new_ids_steps(*, username: str, run_every_minutes: int) -> list[Step]:
    """Give the steps after new ids: the old entry of the Web Connector goes, the new file comes."""
    return [
        Step(
            title="Remove the old entry",
            text=f'In the Web Connector, click "Remove" on the line of user {username}, if there is one.',
            detail="Until then the old entry goes on working.",
        ),
        Step(
            title="Open the company file as administrator",
            text='Sign in to the company file as the user "Admin" in single-user mode and leave QuickBooks open.',
        ),
        Step(
            title="Download the .qwc file again and open it",
            text='Download the new connection file on the QuickBooks PC, double-click it and click "OK". In '
            f'QuickBooks choose "{ALWAYS}".',
            detail="Do not use a file that was downloaded before: it holds the old ids.",
        ),
        Step(
            title="Enter the password",
            text=f"Enter the password of user {username} again, save it, tick "
            f'"Auto-Run" (every {run_every_minutes} minutes) and click "Update Selected".',
            detail="The password is the same as before; make a new one if it was not kept.",
        ),
    ]
