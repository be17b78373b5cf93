import itertools
import re

import pytest
import torch

import meshlearn as ml
from meshlearn.grids.cores.deeponet import DeepONetCore
from meshlearn.grids.cores.fno import FourierCore
from meshlearn.grids.cores.multigrid_fno import MultigridFourierCore, patches, stitched
from meshlearn.grids.cores.padding import Convolution, Doubling, pad
from meshlearn.grids.cores.real_weights import RealWeights
from meshlearn.grids.cores.registry import build_core, register_core
from meshlearn.grids.cores.sinenet import SineNetCore
from meshlearn.grids.cores.unet import UNetCore


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


MAKERS = {
    "fno": fno,
    "tfno": lambda *a, **k: fno(*a, rank=0.3, **k),
    "unet": unet,
    "sinenet": sinenet,
    "mgtfno": mgtfno,
}


def test_the_unet_has_as_many_weights_as_the_published_one():
    with torch.device("meta"):
        assert parameters(UNetCore(12, 3, (True, True), hidden=64, multipliers=(1, 2, 2, 4))) == 144_263_683


def test_sinenet_has_as_many_weights_as_the_published_one():
    with torch.device("meta"):
        assert parameters(SineNetCore(12, 3, (True, True), hidden=64, waves=8, growth=1.425, levels=4)) == 35_490_219


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


@pytest.mark.parametrize("core", MAKERS)
def test_periodic_axes_know_no_seam(core):
    """Rolling the input along periodic axes rolls the output."""
    made, x = MAKERS[core](2, 1, (True, True)).double(), torch.randn(1, 2, 8, 16, dtype=torch.float64)
    rolled = made(x.roll((4, 8), (2, 3)))  # whole patches, and cells of the coarsest level
    assert torch.allclose(rolled, made(x).roll((4, 8), (2, 3)), atol=1e-12)


def test_only_the_periodic_axis_wraps():
    made, x = unet(2, 1, (True, False)).double(), torch.randn(1, 2, 8, 9, dtype=torch.float64)
    assert torch.allclose(made(x.roll(2, 2)), made(x).roll(2, 2), atol=1e-12)
    assert not torch.allclose(made(x.roll(2, 3)), made(x).roll(2, 3), atol=1e-3)


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
