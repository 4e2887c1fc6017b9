"""The models that price tables list for each provider, without their prices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from router.model_name import model_name
from serve.catalogue.published_table import PublishedTable, packaged_table


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """A model of a provider.

    Args:
        model_id: Its id in the table.
        context_tokens: Its context length; None: unknown.
        is_deprecated: Whether the table marks it as deprecated.
        is_new: Whether the table of the installed package does not have it.
    """

    model_id: str
    context_tokens: int | None
    is_deprecated: bool
    is_new: bool


class PackagedModels:
    """The models of tables in the format of genai-prices. What several tables list counts as the first one has it.

    Args:
        tables: The tables.
    """

    def __init__(self, tables: Sequence[PublishedTable]) -> None:
        packaged = {provider.id: {model.id for model in provider.models} for provider in packaged_table().providers}
        self._of_provider: dict[str, dict[str, PackagedModel]] = {}
        for table in tables:
            for provider in table.providers:
                present = packaged.get(provider.id, ())
                models = self._of_provider.setdefault(provider.id, {})
                for model in provider.models:
                    is_new = model.id not in present
                    listed = PackagedModel(model.id, model.context_window, bool(model.deprecated), is_new)
                    models.setdefault(model.id, listed)
        ids: dict[str, list[tuple[str, str]]] = {}
        for provider_id, of_provider in self._of_provider.items():
            for model_id in of_provider:
                ids.setdefault(model_name(model_id, provider_id), []).append((provider_id, model_id))
        self.ids_of: Mapping[str, Sequence[tuple[str, str]]] = ids
        """Name of a model -> (provider in the table, id there) of all that offer it."""

    def of_provider(self, provider_id: str | None) -> Mapping[str, PackagedModel]:
        """Return id in the table -> model of a provider; empty: the tables do not have the provider."""
        return self._of_provider.get(provider_id or "", {})
