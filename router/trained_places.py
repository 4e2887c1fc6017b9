"""Finds the places of lanes among the models of a bundle, whatever names both use."""

from collections.abc import Sequence

from router.lane import Lane
from router.model_name import plain_name


def trained_name_at(name: str, effort: str) -> str:
    """Return the name under which a bundle knows a model at this effort: `openai/gpt-5.4@high`."""
    return f"{name}@{effort}"


class TrainedPlaces:
    """Finds the places of lanes among the bundle's models, by whatever names both use.

    A model at an effort of reasoning is another model. Several trained names can be one model, such as two dated
    snapshots: then the last one counts, by the alphabet.

    Args:
        trained_names: Names of the models, in the order of their places.
    """

    def __init__(self, trained_names: Sequence[str]) -> None:
        self._place_of = {name: place for place, name in enumerate(trained_names)}
        self._place_of_model = {plain_name(name): self._place_of[name] for name in sorted(trained_names)}

    def __call__(self, lane: Lane) -> int:
        """Return the lane's place, or -1: the bundle was not trained on its model at its effort."""
        vendors = lane.vendor_model if lane.effort is None else trained_name_at(lane.vendor_model, lane.effort)
        # A model learned from logs has its vendor's name.
        exact = self._place_of.get(lane.trained_name or "", self._place_of.get(vendors, -1))
        return exact if exact >= 0 else self._place_of_model.get(plain_name(vendors), -1)
