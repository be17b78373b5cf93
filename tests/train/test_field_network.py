import pytest
import torch

import meshlearn as ml
from meshlearn.train.field_network import LOSSES, FieldNetworkEstimator, RelativeLossEstimator, check_loss

from .tiny import Tiny


class FieldModel(Tiny, FieldNetworkEstimator):
    """The tiny model with the targets and losses of field networks."""


def test_every_loss_is_a_number_per_mesh():
    meshes = [ml.shapes.square(n=n) for n in (3, 4)]
    meshes = [m.with_point_data(f=m.points[:, 0], u=m.points[:, 0] + 2.0) for m in meshes]
    for loss in LOSSES:
        model = FieldModel(["f"], ["u"], loss=loss)
        model.fit(meshes, epochs=1, progress=False)
        batch = model.normalizers_.normalise(model.collate([model.make_sample(m, m) for m in meshes]))
        exact = model.sample_losses(dict(batch.targets), batch)
        wrong = model.sample_losses({"point": batch.targets["point"] + 1.0}, batch)
        assert exact.shape == (2,)
        assert (exact < 1e-5).all()
        assert (wrong > 0.01).all()


def test_what_is_stepped_in_time_is_learned_as_a_change():
    mesh = ml.shapes.square(n=3)
    series = ml.Trajectory(mesh, torch.arange(3.0), point_data={"u": torch.rand(3, mesh.n_points)})
    model = FieldModel(["u"], ["u"]).fit([series], epochs=1, progress=False)
    before, after = series.frame(0), series.frame(1)
    change = model.targets(before, after)
    assert torch.equal(change["point"][:, 0], series.point_data["u"][1] - series.point_data["u"][0])
    assert torch.allclose(model.decode(before, change)["point"][:, 0], series.point_data["u"][1])


@pytest.mark.parametrize(
    "model",
    [
        ml.MeshGraphNet([], ["u"], loss="relativ"),
        ml.SliceTransformer([], ["u"], loss="relativ"),
        ml.GridOperator([], ["u"], core="unet", shape=8, loss="relativ"),
        ml.Enf2Enf([], ["u"], loss="relativ"),
    ],
    ids=lambda model: type(model).__name__,
)
def test_all_models_with_this_loss_tell_its_name_alike(model):
    mesh = ml.shapes.square(n=3)
    assert isinstance(model, RelativeLossEstimator)
    with pytest.raises(ml.ParameterError, match="loss='relativ' is not known: did you mean 'relative'"):
        model.fit(mesh.with_point_data(u=mesh.points[:, 0]), epochs=1, progress=False)
    with pytest.raises(ml.ParameterError, match=r"loss=\['mse'\] is not known"):
        check_loss(["mse"])
