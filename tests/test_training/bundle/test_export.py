"""The exported graph against the network, for networks of any weights, and the way back."""

import copy

import numpy as np
import onnxruntime
import pytest
import torch
from checkout import SHIPPED_BUNDLE

from router.context import RouteContext
from router.features import FEATURE_NAMES
from router.quality_model import Prediction
from training.bundle.export_onnx import build_graph
from training.bundle.parity import prove_parity
from training.errors import ParityError
from training.network.calibration import Calibration
from training.network.encoding import encode_prompts
from training.network.ensemble import MODEL_WEIGHTS, TRUNK_WEIGHTS, RoutingNetwork
from training.network.fitted_model import FittedModel
from training.network.fused_weights import difficulty_offset_of, fuse_weights, unfuse_weights
from training.network.input_scaler import InputScaler
from training.network.outputs import run_network
from training.network.peers import PeerMap
from training.network.static_table import quantize_table
from training.settings import FitSettings

SETTINGS = FitSettings(n_dimensions=8, n_members=3, n_hidden=6, n_factors=4)
TOKENIZER = SHIPPED_BUNDLE / "tokenizer.json"
PROMPTS = ["What is 2 + 2?", "Prove it.\n\n(A) yes (B) no", "Größe ist 7 × 8 日本", "x" * 5000]


@pytest.fixture(scope="module")
def fitted() -> FittedModel:
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    network = RoutingNetwork(8 + len(FEATURE_NAMES), 5, 3, SETTINGS).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.5)
    table = quantize_table(random.normal(size=(30_522, 8)).astype(np.float32), TOKENIZER.read_bytes())
    encoded = encode_prompts([RouteContext.from_prompt(prompt) for prompt in PROMPTS], table)
    norm = network.standardise._norm
    assert norm is not None
    assert norm.running_mean is not None
    norm.running_mean.normal_(0, 1)
    assert norm.running_var is not None
    norm.running_var.uniform_(0.5, 2)
    calibration = Calibration(
        PeerMap(random.normal(size=(3, 3)), random.normal(size=3)),
        np.array([0.9, 1.0, 1.2]),
        np.array([0.1, -0.2, 0.0]),
        np.full(3, 0.02),
        np.array([1.1, 0.9, 1.0]),
        np.array([0.2, -0.1, 0.0]),
        0.8,
        -0.3,
        np.zeros(3),
    )
    return FittedModel(("a", "b", "c"), table, InputScaler.fit(encoded), network, calibration, SETTINGS)


def test_the_graph_says_what_the_network_says(fitted: FittedModel) -> None:
    encoded = encode_prompts([RouteContext.from_prompt(prompt) for prompt in PROMPTS], fitted.table)
    beliefs = fitted.predict(encoded)
    session = onnxruntime.InferenceSession(build_graph(fitted).SerializeToString(), providers=["CPUExecutionProvider"])
    for row in range(len(PROMPTS)):
        quality, std, tokens, difficulty, typical = session.run(
            None, {"token_ids": encoded.token_ids[row], "features": encoded.features[row][None]}
        )
        assert quality == pytest.approx(beliefs.quality[row], abs=1e-5)
        assert std == pytest.approx(beliefs.quality_std[row], abs=1e-5)
        assert tokens == pytest.approx(beliefs.completion_tokens[row], rel=1e-4)
        assert difficulty == pytest.approx(beliefs.difficulty[row], abs=1e-4)
        assert typical == pytest.approx(beliefs.completion_tokens[row].mean(), rel=1e-4)


def test_the_same_model_gives_the_same_bytes(fitted: FittedModel) -> None:
    assert build_graph(fitted).SerializeToString(deterministic=True) == build_graph(fitted).SerializeToString(
        deterministic=True
    )


def test_fused_weights_come_back_as_those_of_a_calibrated_network(fitted: FittedModel) -> None:
    fused = fuse_weights(fitted.network, fitted.calibration)
    back = unfuse_weights(fused, SETTINGS, 3)
    assert set(back) == TRUNK_WEIGHTS | MODEL_WEIGHTS
    raw, calibrated = copy.deepcopy(fitted.network), copy.deepcopy(fitted.network)
    with torch.no_grad():
        for network in (raw, calibrated):
            network.quality_task.zero_()  # tasks stay behind
            network.tokens_task.zero_()
        calibrated.standardise.leave_as_they_come()
        calibrated.difficulty_slope.zero_()
        for name, parameter in calibrated.named_parameters():
            if name in back:
                parameter.copy_(torch.from_numpy(back[name]))
    inputs = np.random.default_rng(1).normal(size=(4, 8 + len(FEATURE_NAMES))).astype(np.float32)
    before, after = run_network(raw, inputs), run_network(calibrated, inputs)
    calibration = fitted.calibration
    wanted = calibration.slope * calibration.peers.apply(before.logits) + calibration.intercept
    assert after.logits == pytest.approx(wanted, abs=1e-3)
    lengths = calibration.length_slope * before.log_tokens + calibration.length_offset
    assert after.log_tokens == pytest.approx(lengths, abs=1e-4)
    assert after.difficulty + difficulty_offset_of(fused) == pytest.approx(calibration.difficulty(before), abs=1e-3)


class _Liar:
    trained_names, version = ("a", "b", "c"), "liar"

    def __init__(self, fitted: FittedModel) -> None:
        self._beliefs = fitted.predict(encode_prompts([RouteContext.from_prompt(PROMPTS[0])], fitted.table))

    def predict(self, context: RouteContext) -> Prediction:
        beliefs = self._beliefs
        return Prediction(
            beliefs.quality[0] + 0.01,
            beliefs.quality_std[0],
            beliefs.completion_tokens[0],
            float(beliefs.difficulty[0]),
            1.0,
            np.zeros(1, np.float32),
        )


def test_a_graph_that_differs_is_refused_by_row(fitted: FittedModel) -> None:
    context = RouteContext.from_prompt(PROMPTS[0])
    with pytest.raises(ParityError, match=r"row 0: the exported graph differs by 0\.01 in quality"):
        prove_parity(_Liar(fitted), [context], fitted.predict(encode_prompts([context], fitted.table)))
