"""What the small JSON documents have in common that services steer each other with: requests, events, incidents."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, WithJsonSchema

from tapeline.errors import BadData
from tapeline.model.columns import INT64_MAX, INT64_MIN

_DIGITS: Final = re.compile(r"-?[0-9]{1,19}")


def _nanoseconds(value: Any) -> Any:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("must be ns since the epoch as decimal text")


Nanoseconds = Annotated[
    int,
    BeforeValidator(_nanoseconds),
    Field(ge=INT64_MIN, le=INT64_MAX),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^-?[0-9]{1,19}$"}),
]
"""ns since the epoch; in JSON decimal text, as they pass 2^53."""

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0, le=INT64_MAX)]


class ControlDocument(BaseModel):
    """A document of one schema. Fields that a newer writer added are passed over."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, strict=True, extra="ignore")

    def encode(self) -> bytes:
        """Return the document as JSON bytes."""
        return self.model_dump_json(by_alias=True).encode()

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Return the document in `value`. Raises BadData that names the field and the rule it breaks."""
        try:
            return cls.model_validate_json(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "value"
            raise BadData(field, first["msg"]) from None


class Interval(BaseModel):
    """Venue times [`ts_event_from`, `ts_event_until`), ns since the epoch."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, strict=True, extra="ignore")

    ts_event_from: Nanoseconds
    ts_event_until: Nanoseconds
