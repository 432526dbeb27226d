"""Faults of single machines: their processes, power, disks and clocks."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field, model_validator

from ...user_files.quantities import PositiveDuration, PositiveShift, SignedDuration, format_ns
from ..catalog.timing import Aimed
from ..faults.disk_effects import CRASHES

_RESTART = AliasChoices("restart_after", "for", "for_ns")
_DISK_DELAY_NS = 50_000_000
_STROBE_PERIOD_NS = 200_000_000
_STROBE_PERIODS_NS = (2_000_000, 5_000_000_000)
MAX_DRIFT_PPM = 200_000

_CALIBRATION = "an alarm is then expected: it breaks what every quorum system relies on"


class KillSpec(Aimed):
    """SIGKILL, and started again after `restart_after` (or `for`, the same)."""

    kind: ClassVar[str] = "kill"
    later: ClassVar[frozenset[str]] = frozenset({"slow_start"})

    for_ns: PositiveDuration | None = Field(
        default=None,
        validation_alias=_RESTART,
        serialization_alias="restart_after",
        description="how long it stays down",
    )
    slow_start: PositiveDuration | None = Field(
        default=None, description="it runs that much later than it was started: held from its first moment"
    )

    def parameters(self) -> dict[str, Any]:
        slow = {} if self.slow_start is None else {"slow_start_ns": self.slow_start}
        return {"target": self.target, **slow}


class PauseSpec(Aimed):
    """SIGSTOP, and SIGCONT when it ends: to the process, or to everything that runs on its host."""

    kind: ClassVar[str] = "pause"
    later: ClassVar[frozenset[str]] = frozenset({"whole"})

    whole: Literal["host"] | None = Field(
        default=None, description="`host`: every process of the host, not the node's alone"
    )

    def needs(self) -> frozenset[str]:
        return frozenset({"freeze" if self.whole else "pause"})

    def variant(self) -> str:
        return f"host-{super().variant()}" if self.whole else super().variant()


class PowerModel(str, Enum):
    JOURNALED = "journaled"
    STRICT = "strict"


_MODEL = (
    "what of the rest is lost: as a journaling file system may lose it, or whatever POSIX allows; default by system"
)


class PowerSpec(Aimed):
    """Power loss: the host goes dark without notice and loses what its disk had not synced; it boots when the fault ends."""

    kind: ClassVar[str] = "power"
    later: ClassVar[frozenset[str]] = frozenset({"model"})

    model: PowerModel | None = Field(default=None, description=_MODEL)

    for_ns: PositiveDuration | None = Field(
        default=None, validation_alias=_RESTART, serialization_alias="for", description="how long it stays dark"
    )


class _Calibrating(Aimed):
    calibration: bool = Field(default=False, description=_CALIBRATION)


class WipeSpec(_Calibrating):
    """The host comes back with an empty disk. The reference node cannot know then what it promised, so this is calibration only."""

    kind: ClassVar[str] = "wipe"

    @model_validator(mode="after")
    def _is_meant(self) -> WipeSpec:
        if not self.calibration:
            raise ValueError(f"`wipe` needs `calibration: true`: {_CALIBRATION}")
        if self.target in ("all", "majority"):
            raise ValueError(f"`wipe` of {self.target}: no quorum would remember anything; aim at fewer nodes")
        return self


class DiskEffect(str, Enum):
    SLOW = "slow"
    STALL = "stall"
    FULL = "full"
    READ_ONLY = "read-only"
    IO_ERROR = "io-error"
    FSYNC_ERROR = "fsync-error"
    LOST_WRITES = "lost-writes"
    TORN_WRITE = "torn-write"
    BIT_ROT = "bit-rot"
    MISDIRECTED_WRITE = "misdirected-write"
    TRUNCATE = "truncate"
    OLD_FILES = "old-files"
    LYING = "lying"


_CALIBRATIONS = (DiskEffect.LYING, DiskEffect.OLD_FILES)


class DiskSpec(_Calibrating):
    """The targets' disks are slow, full, broken, or lie; `effect` says which."""

    kind: ClassVar[str] = "disk"
    later: ClassVar[frozenset[str]] = frozenset({"model"})

    effect: DiskEffect = Field(description="what is wrong with the disk")
    delay: PositiveDuration | None = Field(default=None, description="slow: mean delay of a write or sync")
    model: PowerModel | None = Field(default=None, description=f"lost-writes, torn-write: {_MODEL}")

    @model_validator(mode="after")
    def _parameters_fit_the_effect(self) -> DiskSpec:
        calibrates = self.effect in _CALIBRATIONS
        if calibrates and not self.calibration:
            raise ValueError(f"`effect: {self.effect.value}` needs `calibration: true`: {_CALIBRATION}")
        if self.calibration and not calibrates:
            known = " and ".join(f"`effect: {effect.value}`" for effect in _CALIBRATIONS)
            raise ValueError(f"`calibration` belongs to {known}; {self.effect.value} is for every run")
        if self.effect is DiskEffect.OLD_FILES and self.for_ns is None:
            raise ValueError("`effect: old-files` needs `for`: at its end files are put back that are so old")
        if self.delay is not None and self.effect is not DiskEffect.SLOW:
            raise ValueError("`delay` needs `effect: slow`")
        if self.model is not None and self.effect.value not in CRASHES:
            raise ValueError(f"`model` needs an effect that loses writes: {' or '.join(CRASHES)}")
        return self

    def parameters(self) -> dict[str, Any]:
        parameters: dict[str, Any] = {"target": self.target, "effect": self.effect.value}
        if self.effect is DiskEffect.SLOW:
            parameters["delay_ns"] = self.delay or _DISK_DELAY_NS
        model = {} if self.model is None else {"model": self.model.value}
        return {**parameters, **({"calibration": True} if self.calibration else {}), **model}

    def variant(self) -> str:
        return f"{self.effect.value}-{super().variant()}"


class ClockSpec(Aimed):
    """The targets' clocks are wrong while it lasts. Exactly one of `offset`, `bump`, `spread`, `drift_ppm` and `strobe` must be given."""

    kind: ClassVar[str] = "clock"
    later: ClassVar[frozenset[str]] = frozenset({"monotonic"})
    streams: ClassVar[Mapping[str, str]] = {"bump": "jump"}

    offset: SignedDuration | None = Field(default=None, description="every target by this much")
    bump: PositiveShift | None = Field(default=None, description="each target by this much, forward or back as drawn")
    spread: PositiveShift | None = Field(default=None, description="each target by a draw between minus this and this")
    drift_ppm: int | None = Field(
        default=None, ge=-MAX_DRIFT_PPM, le=MAX_DRIFT_PPM, description="clocks run this much too fast or too slow"
    )
    monotonic: bool | None = Field(
        default=None,
        description="drift_ppm: `false` spares monotonic time; else the oscillator is wrong, and both clocks drift",
    )
    strobe: SignedDuration | None = Field(default=None, description="by this much and back again, in turn")
    period: PositiveDuration | None = Field(default=None, description="strobe: how long one turn takes")

    @model_validator(mode="after")
    def _one_amount(self) -> ClockSpec:
        amounts = (self.offset, self.bump, self.spread, self.drift_ppm, self.strobe)
        if sum(value is not None for value in amounts) != 1:
            raise ValueError("a clock fault needs exactly one of `offset`, `bump`, `spread`, `drift_ppm` and `strobe`")
        for word in ("offset", "drift_ppm", "strobe"):
            if getattr(self, word) == 0:
                raise ValueError(f"`{word}: {'0' if word == 'drift_ppm' else '0s'}` changes nothing")
        if self.period is not None and self.strobe is None:
            raise ValueError("`period` needs `strobe`")
        if self.period is not None and not _STROBE_PERIODS_NS[0] <= self.period <= _STROBE_PERIODS_NS[1]:
            raise ValueError(
                f"`period: {format_ns(self.period)}` is not from 2ms to 5s; a longer turn is an `offset` with `every`"
            )
        if self.monotonic is not None and self.drift_ppm is None:
            raise ValueError("`monotonic` needs `drift_ppm`: no other clock fault touches monotonic time")
        return self

    def needs(self) -> frozenset[str]:
        if self.drift_ppm is not None:
            return frozenset({"clock-drift" if self.monotonic is False else "clock-oscillator"})
        return frozenset({"clock-strobe" if self.strobe is not None else "clock"})

    def parameters(self) -> dict[str, Any]:
        amounts = {
            "offset_ns": self.offset,
            "jump_ns": self.bump,
            "spread_ns": self.spread,
            "drift_ppm": self.drift_ppm,
            "strobe_ns": self.strobe,
            "period_ns": (self.period or _STROBE_PERIOD_NS) if self.strobe is not None else None,
        }
        wall_alone = {"monotonic": False} if self.monotonic is False else {}
        return {
            "target": self.target,
            **{name: value for name, value in amounts.items() if value is not None},
            **wall_alone,
        }
