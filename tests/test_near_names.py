"""What a misspelt name was meant to be."""

from mion_plugin.near_names import did_you_mean, nearest

COLOURS = ["red", "green", "blue", "white", "black", "grey", "brown"]


def test_the_nearest_is_proposed_if_one_is_near():
    assert did_you_mean("gren", COLOURS) == "; did you mean green?"
    assert did_you_mean("xyz", COLOURS) == ""
    assert did_you_mean("xyz", COLOURS, "; see the list") == "; see the list"
    assert did_you_mean("gree", COLOURS, cutoff=0.95) == ""
    assert did_you_mean(3, COLOURS) == ""


def test_a_long_list_is_cut_and_begins_with_the_nearest():
    assert nearest("blak", COLOURS, 3) == "black, red, green and 4 more"
    assert nearest("xyz", COLOURS[:2]) == "red, green"
    assert nearest("xyz", []) == "nothing"
    told = nearest("gren", COLOURS)
    assert told.startswith("green, grey, ")
    assert told.endswith(" and 2 more")
