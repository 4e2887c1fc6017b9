"""The array types of the decision. Shapes are in the docstrings of what uses them."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.intp]
"""Places in another array."""
Mask = npt.NDArray[np.bool_]
