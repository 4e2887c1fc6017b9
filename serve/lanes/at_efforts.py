"""Lanes of one model at several efforts of reasoning. They are reached in the same way and differ by the effort."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from router.effort import effort_lanes
from serve.lanes.directory import LaneConnection


def at_efforts(connections: Iterable[LaneConnection], trained_names: Collection[str]) -> list[LaneConnection]:
    """Return the connections, and after each those of the same model at the efforts that a bundle knows.

    Args:
        connections: Connections of lanes at the provider's default effort.
        trained_names: Names of the models that a loaded bundle knows.
    """
    return [each for connection in connections for each in (connection, *_further(connection, trained_names))]


def at_default_effort(connections: Iterable[LaneConnection]) -> list[LaneConnection]:
    """Return the connections of the lanes that leave the effort to the provider."""
    return [connection for connection in connections if connection.lane.effort is None]


def _further(connection: LaneConnection, trained_names: Collection[str]) -> Iterator[LaneConnection]:
    terms, quirks = connection.effort_terms, connection.quirks
    for lane in effort_lanes(connection.lane, terms.efforts, trained_names):
        if lane.effort == "none":  # it does not reason, so nothing is refused
            yield replace(connection, lane=lane)
            continue
        yield replace(
            connection,
            lane=replace(lane, refused_parameters=lane.refused_parameters | terms.refuses, lost_by_effort=terms.lacks),
            quirks=replace(quirks, dropped_parameters=quirks.dropped_parameters | terms.refuses)
            if terms.refuses
            else quirks,
        )
