"""Follow the sessions of each kind of a stream: what is repeated, what goes on, what begins anew, what is missing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tapeline.errors import Bug
from tapeline.model.frames import Gap, TickFrame

Step = Literal["next", "repeated", "lost", "anew"]
"""How a frame follows: at once; not at all, as it is known; after frames that are missing; as a session's first."""

EVERY_SYMBOL = "*"
_BOUNDED_GAPS = 64
"""How many gaps that are over a stream keeps in mind."""


@dataclass(slots=True)
class StreamTrack:
    """Where one stream stands: its epoch, the session and frame of each kind, and its gaps by id.

    `number` tells it from the other streams of its partition.
    """

    source: str
    stream: str
    dataset: str
    number: int = 0
    epoch: int = 0
    sessions: dict[str, tuple[str, int]] = field(default_factory=dict)
    gaps: dict[str, Gap] = field(default_factory=dict)

    def admits(self, frame: TickFrame) -> bool:
        """Say whether a frame counts, and remember its epoch: one of a lower epoch is of a producer long replaced."""
        if frame.epoch < self.epoch:
            return False
        self.epoch = frame.epoch
        return True

    def follow(self, frame: TickFrame) -> Step:
        """Take the place of a tick frame, and say how it follows what came before."""
        if frame.frame is None:
            raise Bug(f"a frame of {frame.kind} without a number")
        session, last = self.sessions.get(frame.kind, (None, -1))
        step: Step = "next"
        if frame.session == session:
            if frame.frame <= last:
                return "repeated"
            step = "next" if frame.frame == last + 1 else "lost"
        elif session is not None:
            resumes = frame.resumes
            if resumes is None:
                step = "anew"
            elif (resumes.session, resumes.frame) != (session, last):
                step = "lost"
        self.sessions[frame.kind] = frame.session, frame.frame
        return step

    def note(self, gap: Gap) -> bool:
        """Take note of a gap; return whether it is new: neither known nor told again."""
        known = self.gaps.get(gap.id)
        if known is None or gap.state == "bounded":
            self.gaps.pop(gap.id, None)
            self.gaps[gap.id] = gap
            bounded = [each.id for each in self.gaps.values() if each.state == "bounded"]
            for gap_id in bounded[:-_BOUNDED_GAPS]:
                del self.gaps[gap_id]
        return known is None

    def document(self) -> dict[str, Any]:
        """Return the track as it is packed."""
        return asdict(self)

    @staticmethod
    def of(document: dict[str, Any]) -> StreamTrack:
        """Return the track that was packed."""
        return StreamTrack(
            source=document["source"],
            stream=document["stream"],
            dataset=document["dataset"],
            number=document["number"],
            epoch=document["epoch"],
            sessions={kind: (session, frame) for kind, (session, frame) in document["sessions"].items()},
            gaps={
                gap_id: Gap(**{**gap, "kinds": tuple(gap["kinds"]), "symbols": tuple(gap["symbols"])})
                for gap_id, gap in document["gaps"].items()
            },
        )
