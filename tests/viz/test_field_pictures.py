"""Latent points over their field, and one field in several resolutions."""

import pytest
import torch

import meshlearn as ml


def square(n):
    mesh = ml.shapes.square(n=n)
    return mesh.with_point_data(u=mesh.points[:, 0], w=mesh.points)


def cloud(**more):
    return ml.Mesh(torch.tensor([[0.2, 0.3], [0.8, 0.7]]), point_data={"window": torch.tensor([0.5, 1.0]), **more})


def test_every_latent_is_a_dot_with_a_circle_and_an_arrow(tmp_path):
    plain = ml.viz.latents(square(4), "u", cloud(), windows=False)
    framed = ml.viz.latents(square(4), "w", cloud(frame=torch.eye(2).expand(2, 2, 2)), component=1)
    assert len(framed.collections) == len(plain.collections) + 2
    dots = [c for c in plain.collections if len(c.get_offsets()) == 2]
    assert torch.allclose(torch.from_numpy(dots[-1].get_offsets().data).float(), cloud().points)
    ml.viz.latents(square(4), "u", cloud(), file=tmp_path / "latents.png")
    assert (tmp_path / "latents.png").stat().st_size > 1000
    with pytest.raises(ml.MeshError, match="planar"):
        ml.viz.latents(ml.shapes.box(n=(1, 1, 1)), "u", cloud())


def test_resolutions_share_a_scale(tmp_path):
    coarse, fine = square(2), square(6)
    fine = fine.with_point_data(u=2 * fine.point_data["u"])
    figure = ml.viz.resolutions([coarse, fine], "u", titles=["coarse", "fine"], title="u")
    heads = [ax.get_title() for ax in figure.axes]
    assert heads == ["coarse, 9 points", "fine, 49 points"]
    scales = {tuple(ax.collections[0].get_clim()) for ax in figure.axes}
    assert scales == {(0.0, 2.0)}
    ml.viz.resolutions([coarse], "u", file=tmp_path / "one.png")
    with pytest.raises(ml.ParameterError, match="2 meshes and 1 titles"):
        ml.viz.resolutions([coarse, fine], "u", titles=["coarse"])
    with pytest.raises(ml.ParameterError, match="at least one"):
        ml.viz.resolutions([], "u")
