"""Theorems of learned laws, whatever their weights: frame, rest, symmetry, energy, flow, gradients."""

import itertools

import pytest
import torch
from learned_laws import KINDS, deformations, parts, rotations, stress_of

import meshlearn as ml
from meshlearn.models.constitutive.moduli import first_piola, largest_modulus, moduli, wave_modulus
from meshlearn.models.constitutive.smooth_net import SmoothNet
from meshlearn.sim import mpm
from meshlearn.sim.mpm.tensors import determinant, product, product_transposed, rotation

CASES = list(itertools.product(KINDS, (2, 3)))


@pytest.mark.parametrize(("kind", "dim"), CASES)
def test_turning_the_frame_turns_the_first_piola_kirchhoff_stress(kind, dim):
    law, f = parts(kind, dim).material(), deformations(dim)
    turn = rotations(dim, f.shape[2])
    stress = first_piola(stress_of(law, f), f)
    turned = first_piola(stress_of(law, product(turn, f)), product(turn, f))
    assert (turned - product(turn, stress)).abs().max() < 1e-12 * stress.abs().max()


@pytest.mark.parametrize(("kind", "dim"), CASES)
def test_rest_is_free_of_stress_and_energy_also_when_turned(kind, dim):
    law, turn = parts(kind, dim).material(), rotations(dim, 5)
    for f in (torch.eye(dim, dtype=torch.float64)[:, :, None], turn):
        assert stress_of(law, f).abs().max() < 1e-12 * law.stiffness()
        assert law.energy(f.flatten(0, 1)).abs().max() < 1e-12 * law.stiffness()


@pytest.mark.parametrize(("kind", "dim"), CASES)
def test_kirchhoff_stress_is_symmetric_where_that_of_a_turned_symmetric_matrix_is_not(kind, dim):
    law, f = parts(kind, dim).material(), deformations(dim)
    stress = stress_of(law, f)
    assert torch.equal(stress, stress.transpose(0, 1))
    # P = R Y with the symmetric Y = F^-1 tau R^-T … of any network: as in NCLaw, where nothing makes R Y F^T symmetric
    y = stress_of(parts(kind, dim, spread=0.7).material(), f.flip(2))
    theirs = product_transposed(product(rotation(f), y), f)
    assert (theirs - theirs.transpose(0, 1)).abs().max() > 1e-2 * theirs.abs().max()


@pytest.mark.parametrize(("kind", "dim"), [case for case in CASES if case[0] != "stress"])
def test_stress_is_the_slope_of_the_energy(kind, dim):
    law, f = parts(kind, dim).material(), deformations(dim).requires_grad_()
    (slope,) = torch.autograd.grad(law.energy(f.flatten(0, 1)).sum(), f)
    stress = first_piola(stress_of(law, f), f)
    torch.testing.assert_close(stress, slope, rtol=1e-10, atol=1e-10)
    way, epsilon = torch.randn_like(f), 1e-5
    sides = [law.energy((f + sign * epsilon * way).flatten(0, 1)) for sign in (1, -1)]
    torch.testing.assert_close((stress * way).sum((0, 1)), (sides[0] - sides[1]) / (2 * epsilon), rtol=1e-6, atol=1e-6)


def test_the_work_of_stresses_without_energy_is_that_of_the_straight_path():
    law, f = parts("stress", 2).material(), deformations(2, 5)
    c = (f[:, :, None] * f[:, None]).sum(0)
    strain, work, steps = 0.5 * (c - torch.eye(2)[:, :, None]), 0.0, 300
    for step in range(steps):
        share = (step + 0.5) / steps
        root = torch.linalg.cholesky((torch.eye(2)[:, :, None] + 2 * share * strain).permute(2, 0, 1))
        along = root.transpose(1, 2).permute(1, 2, 0)  # any F with this C
        first = first_piola(stress_of(law, along), along)
        inverse = torch.linalg.inv(along.permute(2, 0, 1)).permute(1, 2, 0)
        work = work + (product(inverse, first) * strain).sum((0, 1)) / steps
    torch.testing.assert_close(law.energy(f.flatten(0, 1)), work, rtol=1e-4, atol=1e-5)


def test_isotropic_laws_do_not_feel_how_the_body_lay_and_others_may():
    f = deformations(2)
    turn = rotations(2, f.shape[2])
    isotropic, other = parts("isotropic").material(), parts("energy").material()
    torch.testing.assert_close(stress_of(isotropic, product(f, turn)), stress_of(isotropic, f), rtol=1e-10, atol=1e-10)
    assert (stress_of(other, product(f, turn)) - stress_of(other, f)).abs().max() > 0.01


def test_plane_strain_is_the_law_in_space_with_the_third_stretch_one():
    f, made = deformations(2), parts("isotropic")
    in_space = torch.zeros(3, 3, f.shape[2], dtype=torch.float64)
    in_space[:2, :2], in_space[2, 2] = f, 1.0
    law = made.material()
    torch.testing.assert_close(stress_of(law, f), stress_of(law, in_space)[:2, :2])
    torch.testing.assert_close(law.energy(f.flatten(0, 1)), law.energy(in_space.flatten(0, 1)))


@pytest.mark.parametrize("dim", [2, 3])
def test_convex_isotropic_laws_have_real_wave_speeds_everywhere(dim):
    law, f = parts("isotropic", dim, spread=1.0, convex=True).material(), deformations(dim, 200, 0.6)
    ways = torch.nn.functional.normalize(torch.randn(64, dim, dtype=torch.float64), dim=1)
    acoustic = torch.einsum("nijkl,wj,wl->nwik", moduli(lambda g: stress_of(law, g), f), ways, ways)
    assert torch.linalg.eigvalsh(acoustic).min() > 0


def test_networks_are_convex_and_rise_as_promised():
    net = SmoothNet(3, 1, 8, 2, True, 2, torch.Generator().manual_seed(0)).ready(torch.float64, torch.device("cpu"))
    a, b = 3 * torch.randn(2, 3, 500, dtype=torch.float64)
    middle = net.values(0.5 * (a + b))
    assert (0.5 * (net.values(a) + net.values(b)) - middle).min() > -1e-12
    assert net.slope(a)[:2].min() > 0 > net.slope(a)[2].min()
    x = a.requires_grad_()
    torch.testing.assert_close(torch.autograd.grad(net.values(x).sum(), x)[0], net.slope(x))


@pytest.mark.parametrize(("kind", "dim"), CASES)
def test_gradients_are_right_at_equal_stretches(kind, dim):
    made = parts(kind, dim)
    weights = list(made.parameters())
    rest = torch.eye(dim, dtype=torch.float64)[:, :, None]
    f = torch.cat([rest, 1.1 * rest, deformations(dim, 2, 0.1)], 2).requires_grad_()
    torch.autograd.gradcheck(lambda g, *w: stress_of(made.material(), g), (f, *weights))


def test_moduli_are_those_of_the_core_where_the_networks_are_silent():
    made = parts("isotropic", spread=0.0)
    with torch.no_grad():
        made.elastic.unit.zero_()
    law, known = made.material(), mpm.NeoHookean(10.0, 0.3)
    assert law.stiffness() == pytest.approx(known.stiffness(), rel=1e-6)
    assert law.modulus_bound(2) == pytest.approx(known.modulus_bound(2), rel=1e-6)
    assert law.modulus_bound(3) == pytest.approx(known.modulus_bound(3), rel=1e-6)
    rest = torch.eye(3, dtype=torch.float64)[:, :, None]
    ours, theirs = (lambda f, law=law: stress_of(law, f) for law in (law, known))
    assert wave_modulus(ours, rest) <= largest_modulus(ours, rest)
    torch.testing.assert_close(moduli(ours, rest), moduli(theirs, rest), rtol=1e-6, atol=1e-6)


def deviator_size(memory, dim):
    """Of the stretch at constant volume, in space, by singular values."""
    f = torch.eye(3, dtype=memory.dtype).repeat(memory.shape[1], 1, 1)
    f[:, :dim, :dim] = memory[: dim * dim].view(dim, dim, -1).permute(2, 0, 1)
    if dim == 2:
        f[:, 2, 2] = memory[4]
    stretches = torch.linalg.svdvals(f)
    stretches = stretches / stretches.prod(1, keepdim=True) ** (1 / 3)
    return (stretches - stretches.mean(1, keepdim=True)).norm(dim=1)


@pytest.mark.parametrize("dim", [2, 3])
def test_flow_keeps_the_volume_loses_energy_and_ends_on_its_limit(dim):
    made = parts("isotropic", dim, plasticity=True, convex=True, yield_strain=0.05, spread=0.2)
    law, rest = made.requires_grad_(False).material(), torch.zeros(30, dtype=torch.float64)
    memory = law.rest(dim, rest)
    before, flow = memory, made.flow.ready(torch.float64, torch.device("cpu"))
    growth = 0.2 * torch.randn(dim, dim, 30, dtype=torch.float64)
    trial = (torch.eye(dim)[:, :, None] + growth).double()
    memory = law.moved(memory, growth)
    torch.testing.assert_close(law.volume_ratio(memory), determinant(trial))
    assert (memory[-1] > 0).sum() > 20  # most of them flowed
    across = torch.ones(30, dtype=torch.float64) if dim == 2 else None
    ready = made.elastic.ready(torch.float64, torch.device("cpu"))
    assert (law.energy(memory) <= ready.energy(trial, across) + 1e-12).all()
    limit = flow.limit(determinant(trial).log(), torch.zeros(30, dtype=torch.float64))
    flowed = memory[-1] > 0
    size = deviator_size(memory, dim)
    # scaling back to the volume moves the size by products of strains
    torch.testing.assert_close(size[flowed], limit[flowed], rtol=0.1, atol=0.0)
    assert (size[~flowed] <= limit[~flowed]).all()
    assert torch.equal(law.moved(before, 1e-4 * growth)[-1], before[-1])  # small strains are elastic


@pytest.mark.parametrize("dim", [2, 3])
def test_flow_is_frame_indifferent_and_differentiable(dim):
    made = parts("isotropic", dim, plasticity=True, yield_strain=0.05, spread=0.2)
    law = made.material()
    growth = 0.2 * torch.randn(dim, dim, 10, dtype=torch.float64)
    memory = law.moved(law.rest(dim, growth[0, 0]), growth)
    turn = rotations(dim, 10)
    turned = law.moved(memory, turn - torch.eye(dim, dtype=torch.float64)[:, :, None])
    torch.testing.assert_close(turned[-1], memory[-1], rtol=1e-12, atol=1e-12)
    expected = product_transposed(product(turn, law.stress(memory, growth)), turn)
    torch.testing.assert_close(law.stress(turned, growth), expected, rtol=1e-9, atol=1e-9)
    small = torch.cat([0.1 * torch.randn(dim, dim, 2, dtype=torch.float64), torch.zeros(dim, dim, 1)], 2)
    rest = law.rest(dim, small[0, 0])
    torch.autograd.gradcheck(
        lambda g, *w: made.material().stress(made.material().moved(rest, g), g),
        (small.requires_grad_(), *made.parameters()),
        fast_mode=True,
    )


def test_shear_of_a_law_that_flows_ends_at_its_limit():
    made = parts("isotropic", 2, plasticity=True, yield_strain=0.03, spread=0.0).requires_grad_(False)
    law, shear = made.material(), torch.zeros(2, 2, 1, dtype=torch.float64)
    shear[0, 1] = 1e-3
    memory = law.rest(2, torch.zeros(1, dtype=torch.float64))
    flow = made.flow.ready(torch.float64, torch.device("cpu"))
    for _ in range(300):
        memory = law.moved(memory, shear)
    limit = flow.limit(torch.zeros(1, dtype=torch.float64), memory[5])
    assert deviator_size(memory, 2).item() == pytest.approx(limit.item(), rel=1e-2)
    assert law.volume_ratio(memory).item() == pytest.approx(1.0, abs=1e-9)


def test_laws_compute_in_float32_and_float64_and_refuse_others():
    law, f = parts().material(), deformations(2)
    torch.testing.assert_close(stress_of(law, f.float()).double(), stress_of(law, f), rtol=1e-4, atol=1e-4)
    with pytest.raises(ml.ParameterError, match="float32 or float64"):
        stress_of(law, f.half())
