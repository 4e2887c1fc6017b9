"""How a model takes efforts of reasoning at one provider."""

from dataclasses import dataclass

from router.lane import Capability, Effort


@dataclass(frozen=True, slots=True)
class EffortTerms:
    """The efforts of one model at one provider.

    Args:
        efforts: Efforts that a request may ask for by name; empty: none, or they are not known.
        refuses: Parameters that the model answers with an error while it reasons at a named effort.
        lacks: Capabilities that it lacks while it reasons at a named effort.
    """

    efforts: tuple[Effort, ...] = ()
    refuses: frozenset[str] = frozenset()
    lacks: Capability = Capability.NONE


NO_EFFORTS = EffortTerms()
