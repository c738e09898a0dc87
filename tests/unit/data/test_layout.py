"""Every spelling of the database's files leads to one name."""

import pytest
from pulmoscan.data import layout


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("COVID/images/COVID-12.png", "COVID/images/COVID-12.png"),
        (
            "a/b/Viral_Pneumonia/masks/Viral Pneumonia-3.png",
            "Viral Pneumonia/masks/Viral Pneumonia-3.png",
        ),
        ("Normal/images/NORMAL-7.PNG", "Normal/images/Normal-7.png"),
        ("Data/Sample/Viral_Pneumonia.metadata.xlsx", "Viral Pneumonia.metadata.xlsx"),
        ("README.md.txt", None),
        ("COVID/images/thumbs.db", None),
        ("COVID/notes/COVID-1.png", None),
        ("Flu/images/Flu-1.png", None),
        ("Flu.metadata.xlsx", None),
        ("images/COVID-1.png", None),
    ],
)
def test_canonical_path(path, expected):
    found = layout.canonical_path(path)
    assert (None if found is None else str(found)) == expected


def test_an_unknown_class_is_reported_with_the_known_ones():
    with pytest.raises(ValueError, match="no class 'Flu': the classes are COVID, Lung_Opacity"):
        layout.canonical_image("Flu-1")


def test_a_class_of_other_data_has_a_seed_of_its_own():
    assert [layout.class_seed(name) for name in layout.CLASSES] == [0, 1, 2, 3]
    # printf Tuberculosis | sha256sum
    assert layout.class_seed("Tuberculosis") == 0x4AD1F6B1
