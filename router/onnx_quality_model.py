"""The quality model of the gateway: one ONNX graph, called once a request, on one thread.

The graph takes `token_ids` int64 (n_tokens,) and `features` float32 (1, n_features), and returns `quality`,
`quality_std` and `completion_tokens` float32 (n_models,), and `difficulty` and `typical_completion_tokens` float32
(1,). The graph of a bundle whose manifest has `demand_names` also returns `demand` float32 (n_demands,).
"""

import onnxruntime

from router.bundle import Bundle
from router.context import RouteContext
from router.errors import BundleError, PredictionError
from router.features import FEATURE_NAMES, extract_features
from router.quality_model import Prediction
from router.tokenizer import WordPieceTokenizer

INPUT_NAMES = ("token_ids", "features")
OUTPUT_NAMES = ("quality", "quality_std", "completion_tokens", "difficulty", "typical_completion_tokens")
DEMAND_OUTPUT = "demand"


class OnnxQualityModel:
    """Predicts with an exported bundle. It is thread-safe.

    Args:
        bundle: Checked bundle.

    Raises:
        BundleError: The graph cannot run here, or is not of the documented form.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._tokenizer = WordPieceTokenizer.from_file(bundle.tokenizer_path)
        path = bundle.graph_path
        try:
            self._session = onnxruntime.InferenceSession(str(path), _one_thread(), providers=["CPUExecutionProvider"])
        except Exception as problem:  # onnxruntime has no public base class of its errors
            raise BundleError(
                f"{path}: cannot be run ({' '.join(str(problem).split())[:200]}): export it again"
            ) from None
        inputs = tuple(entry.name for entry in self._session.get_inputs())
        outputs = tuple(entry.name for entry in self._session.get_outputs())
        n_demands = len(bundle.demand_names)
        wanted = (*OUTPUT_NAMES, DEMAND_OUTPUT) if n_demands else OUTPUT_NAMES
        if inputs != INPUT_NAMES or outputs != wanted:
            raise BundleError(f"{path}: has inputs {inputs} and outputs {outputs}, not {INPUT_NAMES} and {wanted}")
        self._outputs = wanted
        shapes = [list(entry.shape) for entry in (*self._session.get_inputs()[1:], *self._session.get_outputs())]
        n_models = len(bundle.trained_names)
        demand_shape = [[n_demands]] if n_demands else []
        if shapes != [[1, len(FEATURE_NAMES)], [n_models], [n_models], [n_models], [1], [1], *demand_shape]:
            raise BundleError(
                f"{path}: has shapes {shapes}, not those of {len(FEATURE_NAMES)} features, {n_models} models and "
                f"{n_demands} demands"
            )

    @property
    def trained_names(self) -> tuple[str, ...]:
        """Names of the predicted models, in the order of a `Prediction`'s arrays."""
        return self._bundle.trained_names

    @property
    def version(self) -> str:
        """The bundle's version, as logged with every decision."""
        return self._bundle.version

    def predict(self, context: RouteContext) -> Prediction:
        """Return the beliefs about one request. The same request gets the same beliefs.

        Raises:
            PredictionError: The graph failed.
        """
        features = extract_features(context)  # (1, n_features)
        tokens = self._tokenizer.encode(context.text)  # (n_tokens,)
        try:
            quality, quality_std, completion_tokens, difficulty, typical, *demand = self._session.run(
                self._outputs, {"token_ids": tokens, "features": features}
            )
        except Exception as problem:  # onnxruntime has no public base class of its errors
            raise PredictionError(f"{self._bundle.version} failed ({type(problem).__name__})") from None
        return Prediction(
            quality, quality_std, completion_tokens, difficulty.item(), typical.item(), features[0], *demand
        )


def _one_thread() -> "onnxruntime.SessionOptions":
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    return options
