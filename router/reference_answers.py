"""A bundle's sample of graded answers: prompts with the out-of-fold beliefs about them and their grades, without text.

It tells what no single prompt can: how much quality is lost on average at a given worth of a good answer, and what
models have in common.
"""

import io
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from router.arrays import Float32s, Rows
from router.errors import BundleError

_UNGRADED = 255
_GRADE_STEPS = 254
_PER_MODEL = ("quality", "completion_tokens", "score", "answer_tokens")


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceAnswers:
    """The answers of `m` models to `n` prompts.

    Every belief comes from networks that saw neither the prompt nor a near-duplicate of it.

    Args:
        quality: Predicted P(good answer), 0..1, shape (n, m).
        completion_tokens: Predicted answer length, tokens, shape (n, m).
        score: Grades, 0..1, shape (n, m); NaN where the model was not asked.
        answer_tokens: Tokens of the given answers, shape (n, m); NaN where unknown.
        difficulty: Difficulty of the prompts on the scale of abilities, shape (n,).
        prompt_tokens: Estimated tokens of the prompts, shape (n,).
        source: Number of the corpus source of each prompt, shape (n,).
        task: Place of each prompt's task in `task_names`, shape (n,).
        task_names: Names of the tasks, as `source/task`, shape (n_tasks,).
        demand: Demands of the prompts, shape (n, n_demands); None: the bundle has no catalogue models.
    """

    quality: Float32s
    completion_tokens: Float32s
    score: Float32s
    answer_tokens: Float32s
    difficulty: Float32s
    prompt_tokens: Float32s
    source: npt.NDArray[np.uint16]
    task: npt.NDArray[np.uint16]
    task_names: npt.NDArray[np.str_]
    demand: Float32s | None = None

    def __len__(self) -> int:
        return len(self.quality)

    def of_prompts(self, rows: Rows) -> "ReferenceAnswers":
        """Return the answers to these prompts."""
        of_prompts = {
            field.name: value[rows]
            for field in fields(self)
            if field.name != "task_names" and (value := getattr(self, field.name)) is not None
        }
        return replace(self, **of_prompts)

    def to_bytes(self) -> bytes:
        """Return the content of an `.npz` file: beliefs with 16 bits, grades with 8. Equal samples give equal bytes."""
        grade = np.where(np.isnan(self.score), _UNGRADED, np.rint(np.nan_to_num(self.score) * _GRADE_STEPS))
        file = io.BytesIO()
        demand = {} if self.demand is None else {"demand": self.demand.astype(np.float16)}
        np.savez_compressed(
            file,
            **demand,  # type: ignore[arg-type]  # a dict might hold the flag allow_pickle, this one does not
            quality=self.quality.astype(np.float16),
            completion_tokens=np.log(np.maximum(self.completion_tokens, 1)).astype(np.float16),
            score=grade.astype(np.uint8),
            answer_tokens=np.log(np.maximum(self.answer_tokens, 1)).astype(np.float16),
            difficulty=self.difficulty.astype(np.float32),
            prompt_tokens=self.prompt_tokens.astype(np.float32),
            source=self.source.astype(np.uint16),
            task=self.task.astype(np.uint16),
            task_names=self.task_names,
        )
        return file.getvalue()

    @classmethod
    def read(cls, path: Path, n_models: int, n_demands: int = 0) -> "ReferenceAnswers":
        """Read a bundle's sample.

        Args:
            path: File.
            n_models: Number of the bundle's reference models.
            n_demands: Length of the bundle's demand vectors; 0: it has none.

        Raises:
            BundleError: The file is not of the documented form.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                stored = {field.name: arrays[field.name] for field in fields(cls) if field.name != "demand"}
                demand = arrays["demand"].astype(np.float32) if n_demands and "demand" in arrays else None
        except (OSError, KeyError, ValueError) as problem:
            raise BundleError(
                f"{path}: cannot be read ({problem}): export the bundle again or get a whole copy"
            ) from None
        names = stored.pop("task_names")
        shape = (len(stored["difficulty"]), n_models)
        for name, array in stored.items():
            wanted = shape if name in _PER_MODEL else shape[:1]
            if array.shape != wanted:
                raise BundleError(f"{path}: {name} has the shape {array.shape}, not {wanted}: export the bundle again")
        if demand is not None and demand.shape != (shape[0], n_demands):
            raise BundleError(
                f"{path}: demand has the shape {demand.shape}, not {(shape[0], n_demands)}: export the bundle again"
            )
        score = stored["score"].astype(np.float32)
        return cls(
            stored["quality"].astype(np.float32),
            np.exp(stored["completion_tokens"].astype(np.float32)),
            np.where(score == _UNGRADED, np.nan, score / _GRADE_STEPS).astype(np.float32),
            np.exp(stored["answer_tokens"].astype(np.float32)),
            stored["difficulty"],
            stored["prompt_tokens"],
            stored["source"],
            stored["task"],
            names,
            demand,
        )
