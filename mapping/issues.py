"""What keeps a document from being exported, and what was changed on the way: data, never exceptions.

Importable by workflows: no lxml, no SQLAlchemy.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Owner(StrEnum):
    """Who can end a problem. The words appear in the API and on screens."""

    TMS_USER = "tms_user"
    BOOKKEEPER = "bookkeeper"
    IT = "it"
    US = "us"


class Severity(StrEnum):
    """Whether a finding stands in the way."""

    ERROR = "error"
    WARNING = "warning"


class Issue(BaseModel):
    """One reason why a document cannot be exported as it stands, or (a warning) what somebody should look at."""

    model_config = ConfigDict(frozen=True)

    code: str = Field(description="Machine-readable, snake_case, stable, such as `charge_not_mapped`.")
    path: str = Field(description="Where in the document or mapping: `lines[2].charge`, `customer.id`.")
    message: str = Field(description="One plain sentence.")
    next_step: str = Field(description="One plain sentence: what the owner does now.")
    owner: Owner = Field(default=Owner.TMS_USER, description="Who can mend it.")
    severity: Severity = Field(default=Severity.ERROR, description="`warning`: it never keeps a document back.")

    @property
    def is_error(self) -> bool:
        """Say whether it stands in the way."""
        return self.severity is Severity.ERROR


class Change(BaseModel):
    """A text or number that QuickBooks gets in another form than the TMS has it."""

    model_config = ConfigDict(frozen=True)

    path: str = Field(description="Where in the document.")
    field: str = Field(description="The qbXML field, such as `RefNumber`.")
    before: str
    after: str
    reason: str = Field(description="One plain sentence.")
