"""Prompts as the numbers that a fit reads: the static embedding and the structural features.

The same code makes them when the gateway serves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from router.context import RouteContext
from router.features import extract_features
from router.tokenizer import WordPieceTokenizer
from training.network.static_table import StaticTable

Float32s = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPrompts:
    """`n` prompts, ready for the network.

    Args:
        token_ids: One array per prompt, never empty.
        embeddings: Shape (n, n_dimensions); each row has unit length.
        features: Shape (n, n_features); features of `router.features`.
    """

    token_ids: tuple[npt.NDArray[np.int64], ...]
    embeddings: Float32s
    features: Float32s

    def joined_with(self, other: "EncodedPrompts") -> "EncodedPrompts":
        """Return these prompts and then the others."""
        return EncodedPrompts(
            (*self.token_ids, *other.token_ids),
            np.concatenate([self.embeddings, other.embeddings]),
            np.concatenate([self.features, other.features]),
        )

    def rows(self, chosen: npt.NDArray[np.intp]) -> "EncodedPrompts":
        """Return the encoded prompts of these rows."""
        return EncodedPrompts(
            tuple(self.token_ids[row] for row in chosen), self.embeddings[chosen], self.features[chosen]
        )


def encode_prompts(
    contexts: Sequence[RouteContext], table: StaticTable, advance: Callable[[], None] = lambda: None
) -> EncodedPrompts:
    """Encode prompts exactly as the serving code does; call `advance` once per prompt."""
    tokenizer = WordPieceTokenizer.from_bytes(table.tokenizer_json, Path("tokenizer.json"))
    token_ids, embeddings, features = [], [], []
    for context in contexts:
        ids = tokenizer.encode(context.text)
        token_ids.append(ids)
        embeddings.append(table.embed(ids))
        features.append(extract_features(context)[0])
        advance()
    return EncodedPrompts(tuple(token_ids), np.stack(embeddings), np.stack(features))
