import pytest

from mion_plugin.prediction.parts import Part, find_part

TORCHRUN = {"RANK": "1", "WORLD_SIZE": "4"}


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        (None, {}, Part(0, 1)),
        ("0/1", {}, Part(0, 1)),
        ("3/8", {}, Part(3, 8)),
        (None, TORCHRUN, Part(1, 4)),
        ("2/3", TORCHRUN, Part(9, 12)),
    ],
)
def test_which_part(text, environment, expected):
    assert find_part(text, environment) == expected


def test_jobs_and_their_ranks_make_up_the_whole():
    parts = [find_part(f"{job}/3", {"RANK": str(rank), "WORLD_SIZE": "4"}) for job in range(3) for rank in range(4)]
    assert sorted(part.index for part in parts) == list(range(12))
    assert {part.count for part in parts} == {12}


@pytest.mark.parametrize("text", ["8/8", "1/0", "-1/8", "1", "1/2/3", "a/b", "1/2 ", ""])
def test_no_part(text):
    with pytest.raises(ValueError, match=r"expected i/n"):
        find_part(text, {})


@pytest.mark.parametrize("environment", [{"RANK": "0"}, {"WORLD_SIZE": "2"}, {"RANK": "x", "WORLD_SIZE": "2"}])
def test_a_launcher_that_says_nonsense(environment):
    with pytest.raises(ValueError, match=r"RANK is .* and WORLD_SIZE .* in the environment"):
        find_part(None, environment)
