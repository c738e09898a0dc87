"""Names in layers, the values that replace them, and spaces that cannot be searched."""

import pytest
from pulmoscan.config import hyperparameters

HEAD = [
    "average_pooling",
    {"dropout": "$rate"},
    {"dense": "$units", "activation": "$activation"},
]
SPACE = {
    "rate": {"min": 0.0, "max": 0.5, "step": 0.1},
    "units": {"values": [0, 32, 128]},
    "activation": {"values": ["relu", "tanh"]},
    "learning_rate": {"values": [0.1, 0.01]},
}
TUNE = {"variant": "lungs", "max_epochs": 15, "factor": 3, "iterations": 1, "seed": 42}


def model(space: dict, **tune: object) -> dict:
    return {"backbone": "VGG16", "head": HEAD, "tune": TUNE | tune | {"space": SPACE | space}}


def test_names_in_nested_structures() -> None:
    assert hyperparameters.names(HEAD) == {"rate", "units", "activation"}
    assert (
        hyperparameters.names({"architecture": ["flatten", {"dense": 8}], "input_size": 9}) == set()
    )
    assert hyperparameters.names("$a") == {"a"}
    assert hyperparameters.names("costs $a") == set()


def test_fill_keeps_all_but_the_names() -> None:
    chosen = {"rate": 0.3, "units": 0, "activation": "tanh", "learning_rate": 0.01}
    network = {"backbone": "VGG16", "input_size": 256, "head": HEAD}
    assert hyperparameters.fill(network, chosen) == {
        "backbone": "VGG16",
        "input_size": 256,
        "head": ["average_pooling", {"dropout": 0.3}, {"dense": 0, "activation": "tanh"}],
    }
    assert HEAD[1] == {"dropout": "$rate"}


def test_fill_names_what_is_missing() -> None:
    with pytest.raises(ValueError, match=r"no value for \$activation, \$units: .* chosen are rate"):
        hyperparameters.fill(HEAD, {"rate": 0.1})


@pytest.mark.parametrize(
    ("entry", "values"),
    [
        ({"values": [0, 32]}, [0, 32]),
        ({"values": [1, 0.1]}, [1.0, 0.1]),
        ({"values": ["relu", "tanh"]}, ["relu", "tanh"]),
        ({"min": 16, "max": 128, "step": 32}, [16, 48, 80, 112]),  # 128 is not reached
        ({"min": 0, "max": 0.5, "step": 0.1}, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        ({"min": 3, "max": 3, "step": 1}, [3]),
    ],
)
def test_values_of_an_entry(entry: dict, values: list) -> None:
    found = hyperparameters.choices(entry)
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


def test_the_studys_spaces_are_right() -> None:
    """LeNet-5 and the head of VGG16, as the protocol gives them."""
    rates = {"values": [0.1, 0.01, 0.001, 0.0001, 0.00001]}
    dropout = {"min": 0, "max": 0.5, "step": 0.1}
    lenet = [
        *({"conv2d": "$filters_1", "kernel": 5}, "max_pooling", {"conv2d": "$filters_2"}),
        *("max_pooling", {"dropout": "$dropout_1"}, "flatten", {"dense": "$units"}),
        {"dropout": "$dropout_2"},
    ]
    filters = {"min": 16, "max": 128, "step": 32}
    space = {"filters_1": filters, "filters_2": filters, "dropout_1": dropout}
    space |= {"units": {"values": [32, 64, 128, 256]}, "dropout_2": dropout, "learning_rate": rates}
    own = {"architecture": lenet, "tune": TUNE | {"space": space}}
    assert hyperparameters.problems(own) == []
    head = [
        "average_pooling",
        {"dropout": "$dropout_1"},
        {"dense": "$units"},
        {"dense": "$units_2"},
    ]
    units = {"values": [0, 32, 64, 128, 256, 512]}
    space = {"dropout_1": dropout, "units": units, "units_2": units, "learning_rate": rates}
    assert hyperparameters.problems({"head": head, "tune": TUNE | {"space": space}}) == []


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (model({"units": 32}), "space.units: 32: expected {values: [...]} or {min: "),
        (model({"units": {"values": []}}), "space.units: values is empty"),
        (model({"units": {"values": 32}}), "space.units: values is 32, not a list"),
        (
            model({"units": {"values": [32, "64"]}}),
            "space.units: values [32, '64'] are neither all",
        ),
        (model({"units": {"values": [32, 64, 32]}}), "space.units: values has 32 more than once"),
        (model({"units": {"min": 1, "max": 9}}), "space.units: it has min, max: expected {values"),
        (
            model({"units": {"values": [1], "step": 2}}),
            "space.units: it has values, step: expected",
        ),
        (
            model({"units": {"min": 9, "max": 1, "step": 1}}),
            "space.units: min 9 is larger than max 1",
        ),
        (
            model({"units": {"min": 1, "max": 9, "step": 0}}),
            "space.units: step is 0: expected more",
        ),
        (
            model({"units": {"min": 1, "max": 9, "step": -2}}),
            "space.units: step is -2: expected more",
        ),
        (
            model({"units": {"min": 1, "max": "9", "step": 2}}),
            "space.units: max is '9', not a number",
        ),
        (
            model({"rate": {"min": 0, "max": 0.5, "step": 1e-9}}),
            "space.rate: step 1e-09 is too small",
        ),
        # What the layer cannot take.
        (
            model({"rate": {"values": [0.5, 1]}}),
            "space.rate: 1.0: layer 2: dropout is 1.0: expected",
        ),
        (
            model({"rate": {"min": 0, "max": 1, "step": 0.5}}),
            "space.rate: 1.0: layer 2: dropout is",
        ),
        (
            model({"units": {"min": 8, "max": 16, "step": 0.5}}),
            "space.units: 8.0: layer 3: dense is",
        ),
        (
            model({"units": {"min": -8, "max": 16, "step": 8}}),
            "space.units: -8: layer 3: dense is -8",
        ),
        (model({"activation": {"values": ["relu", "tan"]}}), "space.activation: 'tan': layer 3: "),
        (
            model({"learning_rate": {"values": [0.1, 0]}}),
            "space.learning_rate: 0.0 is not a learning",
        ),
        # Names on one side only.
        (model({"unit": {"values": [8]}}), "space.unit: no layer of the head has $unit"),
        (
            {
                "head": ["flatten", {"dense": "$a"}],
                "tune": TUNE | {"space": {"learning_rate": {"values": [1]}}},
            },
            "space: $a of the head is missing",
        ),
    ],
)
def test_what_cannot_be_searched(changed: dict, line: str) -> None:
    found = hyperparameters.problems(changed)
    assert any(problem.startswith(line) for problem in found), found
    assert not any("\n" in problem for problem in found)
    assert len(found) <= 2  # both ends of a range at most, not a line for every value


def test_several_problems_are_all_told() -> None:
    wrong = model({"units": {"values": []}, "rate": {"min": 1, "max": 0, "step": 1}})
    assert [problem.split(":")[0] for problem in hyperparameters.problems(wrong)] == [
        "space.rate",
        "space.units",
    ]


@pytest.mark.parametrize(
    ("max_epochs", "factor"), [(1, 2), (2, 2), (4, 2), (9, 3), (15, 3), (30, 3), (81, 3), (100, 4)]
)
def test_brackets_begin_with_as_many_trials_as_those_of_keras_tuner(max_epochs, factor):
    from keras_tuner.src.tuners.hyperband import HyperbandOracle

    oracle = HyperbandOracle(max_epochs=max_epochs, factor=factor)
    numbers = reversed(range(oracle._get_num_brackets()))
    expected = [oracle._get_size(number, round_num=0) for number in numbers]
    assert hyperparameters.brackets(max_epochs, factor) == expected


def test_a_search_that_never_halves_its_trials():
    tune = TUNE | {"max_epochs": 9, "space": {"units": {"values": [1, 2, 3]}}}
    assert hyperparameters.too_few(tune) == (
        "max_epochs 9 and factor 3 begin with 9 short trials, of which the best go on, but the "
        "space has 3 combinations: lower max_epochs to 3, or give the space more values"
    )
    assert hyperparameters.too_few(tune | {"max_epochs": 3}) == ""
    one = tune | {"space": {"units": {"values": [1]}}}
    assert "lower max_epochs to 1, or" in hyperparameters.too_few(one)
    assert hyperparameters.too_few(one | {"max_epochs": 1}) == ""
    assert hyperparameters.combinations(SPACE) == 6 * 3 * 2 * 2
