import itertools
import re

import pytest
import torch

import meshlearn as ml
from meshlearn.grids.cores.deeponet import DeepONetCore
from meshlearn.grids.cores.fno import FourierCore
from meshlearn.grids.cores.lsm import LatentSpectralCore, patched, unpatched
from meshlearn.grids.cores.mgno import MultigridCore, MultigridCycle
from meshlearn.grids.cores.multigrid_fno import MultigridFourierCore, patches, stitched
from meshlearn.grids.cores.padding import Convolution, Doubling, pad
from meshlearn.grids.cores.real_weights import RealWeights
from meshlearn.grids.cores.registry import build_core, register_core
from meshlearn.grids.cores.scot import OperatorTransformerCore
from meshlearn.grids.cores.sinenet import SineNetCore
from meshlearn.grids.cores.unet import UNetCore
from meshlearn.grids.cores.windows import WindowAttention, unwindowed, windowed


def need_neuralop():
    pytest.importorskip("neuralop", reason='the package neuraloperator: pip install "meshlearn[grids]"')


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def fno(n_in=2, n_out=1, periodic=(False, False), **options):
    need_neuralop()
    return FourierCore(n_in, n_out, periodic, **{"hidden": 8, "modes": 4, "layers": 2, **options})


def unet(n_in=2, n_out=1, periodic=(False, False), **options):
    return UNetCore(n_in, n_out, periodic, **{"hidden": 8, "multipliers": (1, 2), **options})


def sinenet(n_in=2, n_out=1, periodic=(False, False), **options):
    return SineNetCore(n_in, n_out, periodic, **{"hidden": 6, "waves": 2, "levels": 2, **options})


def mgtfno(n_in=2, n_out=1, periodic=(False, False), **options):
    need_neuralop()
    small = {"hidden": 8, "modes": 4, "layers": 2, "rank": 0.5, "margin": 2}
    return MultigridFourierCore(n_in, n_out, periodic, **{**small, **options})


def mgno(n_in=2, n_out=1, periodic=(False, False), **options):
    return MultigridCore(n_in, n_out, periodic, **{"hidden": 6, "layers": 2, "iterations": (1, (1, 1), 2), **options})


def lsm(n_in=2, n_out=1, periodic=(False, False), **options):
    return LatentSpectralCore(n_in, n_out, periodic, **{"hidden": 8, "levels": 2, "heads": 4, "modes": 5, **options})


def scot(n_in=2, n_out=1, periodic=(False, False), **options):
    small = {"hidden": 8, "depths": (2, 2), "heads": 2, "patch": 2, "window": 2, "skips": 1}
    return OperatorTransformerCore(n_in, n_out, periodic, **{**small, **options})


MAKERS = {
    "fno": fno,
    "tfno": lambda *a, **k: fno(*a, rank=0.3, **k),
    "unet": unet,
    "sinenet": sinenet,
    "mgtfno": mgtfno,
    "mgno": mgno,
    "lsm": lsm,
    "scot": scot,
}


def test_the_unet_has_as_many_weights_as_the_published_one():
    with torch.device("meta"):
        assert parameters(UNetCore(12, 3, (True, True), hidden=64, multipliers=(1, 2, 2, 4))) == 144_263_683


def test_sinenet_has_as_many_weights_as_the_published_one():
    with torch.device("meta"):
        assert parameters(SineNetCore(12, 3, (True, True), hidden=64, waves=8, growth=1.425, levels=4)) == 35_490_219


def test_mgno_has_the_weights_that_its_source_says():
    """24 channels, six levels: 0.57 million, as its paper has it, with four layers."""
    with torch.device("meta"):
        four, five = (MultigridCore(1, 1, (False,) * 2, 24, n, (1, 1, 1, 1, 1, 2)) for n in (4, 5))
    assert (parameters(four), parameters(five)) == (572_661, 738_573)
    c, levels = 24, 6
    smoothings = 2 * (levels + 1) - 1  # S and A, but for the first
    transfers = (levels - 1) * (9 + 16)  # of u: down, and up
    cycle = 9 * c * c * smoothings + (levels - 1) * 9 * c * c + transfers * c * c
    thin = 9 * c * smoothings + (levels - 1) * 9 + transfers * c * c
    assert parameters(four) == thin + 3 * cycle + (c + c) + 3 * (c * c + c) + c


@pytest.mark.parametrize(
    ("hidden", "depth", "published"), [(48, 4, 21e6), (96, 8, 158e6), (192, 8, 629e6)], ids=["T", "B", "L"]
)
def test_scot_has_about_as_many_weights_as_the_published_ones(hidden, depth, published):
    with torch.device("meta"):
        core = OperatorTransformerCore(4, 4, (False, False), hidden, [depth] * 4, 3, 4, 16)
    assert abs(parameters(core) / published - 1) < 0.02


@pytest.mark.parametrize(("modes", "hidden", "count"), [(16, 32, 1_192_801), (12, 64, 2_803_393), (8, 24, 191_881)])
def test_the_fourier_core_has_the_weights_of_its_package_counted_as_reals(modes, hidden, count):
    need_neuralop()
    assert parameters(FourierCore(3, 1, (True, True), hidden=hidden, modes=modes)) == count


def test_tucker_weights_are_counted_as_reals():
    need_neuralop()
    assert parameters(FourierCore(3, 1, (True, True), hidden=64, modes=16, rank=0.1)) == 529_233


@pytest.mark.parametrize("core", MAKERS)
@pytest.mark.parametrize("shape", [(9,), (12, 9), (6, 7, 5)])
def test_any_shape_goes_through_where_no_axis_is_periodic(core, shape):
    made = MAKERS[core](3, 2, (False,) * len(shape))
    out = made(torch.randn(2, 3, *shape))
    assert out.shape == (2, 2, *shape)
    out.sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in made.parameters())


@pytest.mark.parametrize("core", ["mgno", "lsm", "scot", "unet", "sinenet"])
@pytest.mark.parametrize("shape", [(8, 8), (8, 9), (7, 8), (13, 4)])
def test_axes_that_need_no_padding_are_not_cut_to_nothing(core, shape):
    """Padding 0 along one axis and not along the other; sizes that halve exactly and that do not."""
    made = MAKERS[core]()
    x = torch.randn(1, 2, *shape)
    assert made(x).shape == (1, 1, *shape)
    assert made(x).abs().sum() > 0


@pytest.mark.parametrize("core", ["mgno", "lsm", "scot"])
def test_meshes_of_a_batch_do_not_see_each_other(core):
    made, x = MAKERS[core]().double().train(), torch.randn(3, 2, 8, 9, dtype=torch.float64)
    assert torch.allclose(made(x)[1:2], made(x[1:2]), atol=1e-12)


@pytest.mark.parametrize("core", MAKERS)
def test_periodic_axes_know_no_seam(core):
    """Rolling the input along periodic axes rolls the output."""
    made, x = MAKERS[core](2, 1, (True, True)).double(), torch.randn(1, 2, 8, 16, dtype=torch.float64)
    rolled = made(x.roll((4, 8), (2, 3)))  # whole patches, and cells of the coarsest level
    assert torch.allclose(rolled, made(x).roll((4, 8), (2, 3)), atol=1e-12)


@pytest.mark.parametrize("core", ["unet", "mgno", "lsm", "scot"])
def test_only_the_periodic_axis_wraps(core):
    made, x = MAKERS[core](2, 1, (True, False)).double(), torch.randn(1, 2, 8, 9, dtype=torch.float64)
    assert torch.allclose(made(x.roll(4, 2)), made(x).roll(4, 2), atol=1e-12)
    assert not torch.allclose(made(x.roll(4, 3)), made(x).roll(4, 3), atol=1e-3)


def test_a_learned_cycle_can_be_multigrid():
    """With the three-point operator, damped Jacobi, full weighting and interpolation: one cycle of 1-D Poisson."""
    n, weight = 64, 2 / 3
    numbers = [(2, 2), (2, 2), (2, 2), (2, 2), (60, 0)]
    cycle = MultigridCycle(1, 1, (True,), numbers, residual=True).double()
    operator = torch.tensor([-1.0, 2.0, -1.0], dtype=torch.float64)
    with torch.no_grad():
        levels = [*zip(cycle.before, cycle.after, strict=True)]
        for level, parts in enumerate(levels):
            scale = 4.0**-level  # of the operator on spacing 2^level
            for smoothing in itertools.chain(*parts):
                smoothing.smoother.kernel.weight.copy_(torch.tensor([[[0, weight / 2 / scale, 0]]]))
                if smoothing.operator is not None:
                    smoothing.operator.kernel.weight.copy_(scale * operator)
        for level in range(len(levels) - 1):
            cycle.restrict_f[level].kernel.weight.copy_(torch.tensor([[[0.25, 0.5, 0.25]]]))
            cycle.restrict_u[level].kernel.weight.zero_()
            cycle.operators[level].kernel.weight.copy_(4.0**-level * operator)
            cycle.prolong[level].kernel.weight.copy_(torch.tensor([[[0.5, 1.0, 0.5, 0.0]]]))
    apply = levels[0][0][1].operator
    truth = torch.randn(1, 1, n, dtype=torch.float64)
    truth -= truth.mean()
    u, errors = torch.zeros_like(truth), []
    for _ in range(8):
        u = u + cycle(apply(truth - u)).detach()
        errors.append(float((u - truth - (u - truth).mean()).norm() / truth.norm()))
    assert errors[-1] < 1e-6, errors
    assert errors[7] < 0.2 * errors[6], errors


@pytest.mark.parametrize("shape", [(16,), (16, 8), (8, 4, 8)])
@pytest.mark.parametrize("parts", [1, 2, 4])
def test_patches_of_latent_spectra_are_put_back(shape, parts):
    x = torch.randn(2, 3, *shape)
    assert torch.equal(unpatched(patched(x, parts), 2, shape, parts), x)
    y = torch.zeros(1, 1, *shape)
    y[(0, 0, *[slice(0, n // parts) for n in shape])] = 1.0  # the first patch, and nothing of another
    assert (patched(y, parts).amax(2) == patched(y, parts).amin(2)).all()


@pytest.mark.parametrize("shape", [(12,), (6, 8), (4, 6, 2)])
def test_windows_are_put_back(shape):
    x, sizes = torch.randn(2, *shape, 3), [2] * len(shape)
    assert torch.equal(unwindowed(windowed(x, sizes), 2, shape, sizes), x)


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("n", [6, 7, 8, 3])
def test_tokens_see_their_window_and_nothing_else(n, shifted):
    """Windows of 4 tokens, shifted by 2 or not; what fills the last one, and the other end, is not seen."""
    attention = WindowAttention(4, 2, 4, (False,), shifted).double()
    x = torch.randn(1, n, 4, dtype=torch.float64, requires_grad=True)
    start = 2 if shifted and n > 4 else 0
    for i in range(n):
        (gradient,) = torch.autograd.grad(attention(x)[0, i].sum(), x)
        seen = gradient[0].abs().sum(1) > 1e-14
        window = [(j - start) // 4 == (i - start) // 4 for j in range(n)]
        assert seen.tolist() == window, (i, seen)


def test_windows_that_were_first_seen_in_inference_can_be_trained():
    attention, x = WindowAttention(4, 2, 4, (False,), shifted=True), torch.randn(1, 11, 4)
    with torch.inference_mode():
        made = attention(x)
    again = attention(x)
    again.sum().backward()
    assert torch.allclose(made, again)


def test_filling_of_windows_changes_nothing():
    """7 tokens in windows of 4: the first four as if they were alone."""
    attention = WindowAttention(4, 2, 4, (False,), shifted=False).double()
    x = torch.randn(1, 7, 4, dtype=torch.float64)
    assert torch.allclose(attention(x)[:, :4], attention(x[:, :4]), atol=1e-14)


def test_a_period_of_odd_length_in_one_window_has_no_seam():
    attention = WindowAttention(4, 2, 8, (True, False), shifted=True).double()
    x = torch.randn(1, 5, 3, 4, dtype=torch.float64)
    assert torch.allclose(attention(x.roll(2, 1)), attention(x).roll(2, 1), atol=1e-14)
    assert not torch.allclose(attention(x.roll(1, 2)), attention(x).roll(1, 2), atol=1e-6)


def test_scot_is_conditioned_on_the_time():
    core, x = scot(), torch.randn(3, 2, 8, 8)
    assert core.takes_time
    assert torch.equal(core(x), core(x, torch.zeros(3)))
    with torch.no_grad():
        for name, weights in core.named_parameters():
            if name.endswith(("scale.weight", "shift.weight")):
                weights.normal_()
    times = torch.tensor([0.0, 1.0, 2.0])
    made = core(x, times)
    assert torch.allclose(made[0], core(x)[0], atol=1e-5)
    assert (made[1:] - core(x)[1:]).flatten(1).norm(dim=1).min() > 0.1
    assert torch.allclose(made[1], core(x[1:2], times[1:2])[0], atol=1e-5)  # each mesh has its own
    gradients = torch.autograd.grad(core(x, times).square().sum(), [core.norm.scale.weight, core.norm.shift.weight])
    assert all(gradient.abs().sum() > 0 for gradient in gradients)


@pytest.mark.parametrize("core", ["mgno", "lsm", "scot"])
def test_gradients_of_the_learned_cores_are_exact(core):
    tiny = {"mgno": {"hidden": 2, "layers": 1, "iterations": (1, 1)}, "lsm": {"hidden": 2, "levels": 1, "heads": 1}}
    options = tiny.get(core, {"hidden": 2, "depths": (2,), "heads": 1})
    made, x = MAKERS[core](1, 1, (True, False), **options).double(), torch.randn(1, 1, 4, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(made, x.requires_grad_(), atol=1e-6)


@pytest.mark.parametrize("core", ["mgno", "lsm", "scot"])
def test_learned_cores_take_grids_they_were_not_trained_on(core):
    """On a grid twice as fine the output stays of one size: nothing grows with the number of nodes."""
    made = MAKERS[core](1, 1).eval()
    sizes = []
    for n in (16, 32):
        x, y = torch.meshgrid(*[torch.linspace(0, 1, n)] * 2, indexing="ij")
        sizes.append(float(made((x * y)[None, None]).detach().std()))
    assert 0.3 < sizes[1] / sizes[0] < 3.0


def test_a_fourier_core_is_one_operator_on_all_resolutions():
    """On nested grids of one box, its outputs at the common nodes converge."""
    core = fno(1, 1).double()
    outs = []
    for n in (17, 33, 65, 129):
        axis = torch.linspace(0, 1, n, dtype=torch.float64)
        x, y = torch.meshgrid(axis, axis, indexing="ij")
        out = core(torch.sin(3 * x + 2 * y)[None, None]).detach()
        outs.append(out[0, 0, :: (n - 1) // 16, :: (n - 1) // 16])
    gaps = [float((a - b).norm() / b.norm()) for a, b in itertools.pairwise(outs)]
    assert gaps[1] < 0.6 * gaps[0], gaps
    assert gaps[2] < 0.6 * gaps[1], gaps


@pytest.mark.parametrize("periodic", [(False,), (True, False), (True, True, False)])
@pytest.mark.parametrize("levels", [0, 1, 2])
def test_patches_are_stitched_back_exactly(periodic, levels):
    shape = (16, 32, 16)[: len(periodic)]
    x = torch.randn(2, 3, *shape)
    cut = patches(x, levels, 3, periodic)
    assert cut.shape == (2 * 2 ** (levels * len(shape)), 3 * (levels + 1), *[n // 2**levels + 6 for n in shape])
    assert torch.equal(stitched(cut[:, :3], 2, levels, 3, len(shape)), x)


def test_coarse_looks_are_wider_around_the_same_centre():
    x = torch.arange(32.0).reshape(1, 1, 32)
    cut = patches(x, 1, 0, (False,))
    assert cut[0, 0].tolist() == list(range(16))
    assert cut[0, 1, 8] == 8  # the centre of the first patch
    assert cut[0, 1].tolist() == [0] * 4 + list(range(0, 24, 2))
    assert cut[1, 1].tolist() == [8.0 + 2 * k for k in range(12)] + [30] * 4


def test_no_levels_are_the_network_on_the_whole_grid():
    core, x = mgtfno(2, 1, (True, False), levels=0), torch.randn(1, 2, 8, 9)
    assert torch.equal(core(x), core.network(x))
    assert core.network.periodic == (True, False)


def test_complex_weights_are_kept_as_pairs_of_reals():
    class Spectral(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.randn(5, dtype=torch.complex64))

        def forward(self, x):
            return torch.fft.irfft(torch.fft.rfft(x) * self.weight, n=8)

    inner = Spectral()
    outer = RealWeights(inner)
    x = torch.randn(3, 8)
    assert torch.equal(outer(x), inner(x))
    assert [p.shape for p in outer.parameters()] == [(5, 2)]
    assert all(not value.is_complex() for value in outer.state_dict().values())
    assert outer.double()(x.double()).dtype == torch.float64
    outer.zero_grad()
    outer(x.double()).square().sum().backward()
    assert next(outer.parameters()).grad.abs().sum() > 0


def test_padding_wraps_and_repeats():
    x = torch.arange(4.0).reshape(1, 1, 4)
    assert pad(x, 0, 2, 1, True).flatten().tolist() == [2, 3, 0, 1, 2, 3, 0]
    assert pad(x, 0, 2, 1, False).flatten().tolist() == [0, 0, 0, 1, 2, 3, 3]


def test_convolutions_keep_constants_up_to_the_boundary():
    for periodic in ((True, False), (False, False)):
        for layer in (Convolution(1, 1, periodic), Convolution(1, 1, periodic, stride=2)):
            made = layer(torch.ones(1, 1, 6, 8))
            assert (made - made.mean()).abs().max() < 1e-5
        made = Doubling(1, 1, periodic)(torch.ones(1, 1, 6, 8))[..., ::2, ::2]
        assert (made - made.mean()).abs().max() < 1e-5
    assert Doubling(1, 1, (True, False))(torch.ones(1, 1, 6, 8)).shape == (1, 1, 12, 16)
    assert Convolution(1, 1, (True, False), stride=2)(torch.ones(1, 1, 6, 8)).shape == (1, 1, 3, 4)


def test_the_trunk_of_a_deeponet_is_read_at_any_place():
    core = DeepONetCore(2, {"point": 2, "global": 1}, 2, (False, False), hidden=8, terms=4)
    codes = core.encode(torch.randn(3, 2, 9, 7))
    places, mesh = torch.randn(10, 2), torch.tensor([0] * 3 + [1] * 5 + [2] * 2)
    made = core.decode(codes, "point", places, mesh)
    assert made.shape == (10, 2)
    assert torch.allclose(made[3:8], core.decode(codes[1:2], "point", places[3:8], torch.zeros(5).long()), atol=1e-6)
    assert core.decode(codes, "global", None, torch.arange(3)).shape == (3, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: build_core("fnoo", 1, {"point": 1}, 2, (False,), {}), "did you mean 'fno'"),
        (lambda: build_core(3, 1, {"point": 1}, 2, (False,), {}), "core=3 is not known"),
        (lambda: build_core(["fno"], 1, {"point": 1}, 2, (False,), {}), "core=['fno'] is not known"),
        (lambda: register_core(["fno"], print), "a name and a function are expected"),
        (lambda: build_core("unet", 1, {"point": 1}, 2, (False,), {"hiden": 3}), "did you mean 'hidden'"),
        (lambda: build_core(torch.nn.Identity(), 1, {"point": 1}, 2, (False,), {"a": 3}), "is a module already"),
        (lambda: register_core("unet", lambda: None), "choose another name"),
        (lambda: unet(2, 1, (True, True))(torch.zeros(1, 2, 9, 8)), "it needs a multiple of 2 nodes, not 9"),
        (lambda: fno(padding=-1), "padding=-1"),
        (lambda: fno(modes=(3,)), "one for each of the 2 axes"),
        (lambda: fno(rank=2.0), "rank=2.0 is not allowed: a number between 1e-06 and 1"),
        (lambda: sinenet(growth=0.5), "growth=0.5"),
        (lambda: sinenet(2, 1, (True, False))(torch.zeros(1, 2, 10, 8)), "multiple of 4 nodes, not 10"),
        (lambda: UNetCore(1, 1, (False,), multipliers=()), "multipliers=()"),
        (lambda: DeepONetCore(1, {"point": 1}, 2, (False,), terms=0), "terms=0"),
        (lambda: mgno(iterations=3), "a number of smoothings for every level"),
        (lambda: mgno(iterations=(0, 1)), "level 0 has no smoothing on the way down"),
        (lambda: mgno(iterations=(1, (0, 0))), "level 1 has no smoothing;"),
        (lambda: mgno(iterations=(1, 2.5)), "each entry of iterations=2.5"),
        (lambda: mgno(2, 1, (True, False))(torch.zeros(1, 2, 10, 8)), "multiple of 4 nodes, not 10"),
        (lambda: lsm(hidden=6, heads=4), "hidden=6 must be a multiple of heads=4"),
        (lambda: lsm(2, 1, (False, True))(torch.zeros(1, 2, 8, 6)), "multiple of 4 nodes, not 6"),
        (lambda: scot(hidden=9, heads=3), "hidden=9 must be even"),
        (lambda: scot(depths=4), "depths=4"),
        (lambda: scot(2, 1, (True, False))(torch.zeros(1, 2, 12, 8)), "has 3 tokens, which windows of 2 do not"),
    ],
)
def test_wrong_core_arguments_are_told(make, message):
    with pytest.raises(ml.ParameterError, match=re.escape(message)):
        make()


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "neuralop.models", None)
    monkeypatch.setitem(sys.modules, "neuralop", None)
    with pytest.raises(ml.MissingDependencyError, match=r"pip install \"meshlearn\[grids\]\""):
        FourierCore(1, 1, (False,))
