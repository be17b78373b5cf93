"""Every back end of every kernel equals its baseline, forward and gradient; the registry chooses rightly."""

import pytest
import torch

import meshlearn as ml
from meshlearn.ops import registry

TOLERANCE = {
    torch.float64: {"rtol": 1e-11, "atol": 1e-11},
    torch.float32: {"rtol": 2e-5, "atol": 2e-5},
    torch.float16: {"rtol": 3e-2, "atol": 3e-2},
    torch.bfloat16: {"rtol": 2e-1, "atol": 2e-1},
}
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def value_and_gradients(kernel, arguments, backend):
    """The result, and the gradient of a fixed weighted sum of it in every floating-point argument."""
    arguments = [a.detach().clone() if isinstance(a, torch.Tensor) else a for a in arguments]
    if kernel.differentiable:
        for a in arguments:
            if isinstance(a, torch.Tensor) and a.is_floating_point():
                a.requires_grad_()
    result = kernel(*arguments, backend=backend)
    if not kernel.differentiable:
        return result, []
    leaves = [a for a in arguments if isinstance(a, torch.Tensor) and a.requires_grad]
    weights = torch.linspace(-1, 1, result.numel(), dtype=result.dtype, device=result.device).reshape(result.shape)
    return result, torch.autograd.grad((result * weights).sum(), leaves)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", list(TOLERANCE), ids=str)
@pytest.mark.parametrize(("kernel", "backend"), registry.pairs(), ids=lambda v: v if isinstance(v, str) else v.name)
def test_back_end_equals_baseline(kernel, backend, dtype, device):
    implementation = kernel.backends[backend]
    if not implementation.installed:
        with pytest.raises(ml.MissingDependencyError, match="Install it with"):
            kernel(*kernel.inputs(dtype, device)[0], backend=backend)
        pytest.skip(f"{backend} needs the package {implementation.requires}")
    if not implementation.accepts(device, dtype):
        pytest.skip(f"{backend} is not made for {dtype} on {device}")
    if not kernel.differentiable and dtype in (torch.float16, torch.bfloat16):
        pytest.skip("searches take float32 and float64 coordinates")
    for number, arguments in enumerate(kernel.inputs(dtype, device)):
        expected, expected_gradients = value_and_gradients(kernel, arguments, "baseline")
        result, gradients = value_and_gradients(kernel, arguments, backend)
        torch.testing.assert_close(result, expected, **TOLERANCE[dtype], msg=lambda m, i=number: f"case {i}: {m}")
        for gradient, wanted in zip(gradients, expected_gradients, strict=True):
            torch.testing.assert_close(gradient, wanted, **TOLERANCE[dtype], msg=lambda m, i=number: f"case {i}: {m}")


def test_every_kernel_has_a_baseline_for_any_tensor():
    for kernel in registry.kernels():
        baseline = kernel.backends["baseline"]
        assert baseline.requires is None
        assert not baseline.devices
        assert not baseline.dtypes


def test_the_fast_back_end_is_chosen_and_integers_fall_to_the_baseline():
    kernel = registry.kernel("segment_sum")
    assert kernel.choose("cpu", torch.float32) == "bag"
    assert kernel.choose("cpu", torch.int64) == "baseline"
    assert kernel.choose("cpu", torch.complex64) == "baseline"


def test_optional_back_ends_are_never_chosen_unasked():
    for kernel in registry.kernels():
        for name, backend in kernel.backends.items():
            assert backend.requires is None or backend.rank < 0, f"{kernel.name}: {name} would be chosen unasked"


def test_prefer_holds_within_its_block_only():
    kernel = registry.kernel("segment_sum")
    with registry.prefer("baseline"):
        assert kernel.choose("cpu", torch.float32) == "baseline"
        ml.ops.segment_sum(torch.ones(2), torch.tensor([0, 2]))
    assert kernel.choose("cpu", torch.float32) == "bag"
    with pytest.raises(ml.ParameterError, match="cupy"), registry.prefer("cupy"):
        pass


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ml.ParameterError, match="segment_sum"):
        registry.kernel("segment_total")
    with pytest.raises(ml.ParameterError, match="baseline"):
        ml.ops.segment_sum(torch.ones(2), torch.tensor([0, 2]), backend="fortran")
    with pytest.raises(ml.ParameterError, match="int64"):
        ml.ops.segment_sum(torch.ones(2, dtype=torch.int64), torch.tensor([0, 2]), backend="bag")
    with pytest.raises(ml.ParameterError, match="already"):
        registry.Kernel("segment_sum", inputs=lambda dtype, device: [])
