"""Elements of cards and keywords that are not known are never dropped silently."""

import pytest

import meshlearn as ml

GRIDS = "BEGIN BULK\n" + "".join(f"GRID,{k},,{k % 3}.,{k // 3}.,0.\n" for k in range(9))


def test_nine_node_quads_of_nastran(tmp_path):
    path = tmp_path / "quad9.bdf"
    path.write_text(GRIDS + "CQUAD9,1,1,0,2,8,6,1,5\n,7,3,4\nENDDATA\n")
    mesh = ml.read(path)
    assert mesh.cells["quad9"].tolist() == [[0, 2, 8, 6, 1, 5, 7, 3, 4]]


def test_an_unknown_connectivity_card_is_a_warning(tmp_path):
    path = tmp_path / "odd.bdf"
    path.write_text(GRIDS + "CQUAD4,1,1,0,1,4,3\nCFOO,2,1,1,2,5,4\nCORD2R,3\nCONM2,4,1,0,2.\nENDDATA\n")
    with pytest.warns(ml.MeshReadWarning, match="1 element of card CFOO") as caught:
        mesh = ml.read(path)
    assert len(caught) == 1
    assert mesh.n_cells == 1
    assert any("CORD2R" in line for line in mesh.report)


DYNA = "$ a comment\n{}*NODE\n1, 0., 0., 0.\n2, 1., 0., 0.\n3, 0., 1., 0.\n*ELEMENT_SHELL\n1, 1, 1, 2, 3, 3\n*END\n"


@pytest.mark.parametrize("first", ["*KEYWORD\n", ""])
@pytest.mark.parametrize("name", ["car.key", "car.k", "car.inp"])
def test_ls_dyna_is_refused(tmp_path, first, name):
    path = tmp_path / name
    path.write_text(DYNA.format(first))
    with pytest.raises(ml.MeshReadError, match="LS-DYNA is not supported"):
        ml.read(path)


def test_unknown_element_keyword_of_abaqus_is_a_warning(tmp_path):
    path = tmp_path / "odd.inp"
    path.write_text("*NODE\n1, 0., 0.\n2, 1., 0.\n*ELEMENT_SHELL\n1, 1, 2\n*ELEMENT OUTPUT\nS\n")
    with pytest.warns(ml.MeshReadWarning, match=r"\*ELEMENT_SHELL") as caught:
        ml.read(path, format="abaqus")
    assert len(caught) == 1
