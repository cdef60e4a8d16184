"""What the pictures show that a model gets for a segment."""

from custom_nodes.videogen.core.prompts.pictures import name_pictures
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.story.parser import parse_story

STORY = parse_story(
    {
        "title": "Film",
        "characters": {
            "anna": {"reference": ["anna1.png", "both.png"]},
            "ben": {"segments": "2", "reference": "ben.png"},
        },
        "objects": {"oven": {}},
        "locations": {"bakery": {"reference": ["bakery.png", "both.png"]}},
        "segments": [{"prompt": "x"}, {"prompt": "y"}],
    }
)


def test_pictures_are_named_in_the_order_in_which_they_are_given() -> None:
    files = ["videogen/film/oven.png", "anna1.png", "bakery.png", "anna1.png", "both.png"]
    assert name_pictures(plan_segment(STORY, 1), files) == ("oven", "anna", "bakery", "anna", "anna")


def test_one_that_belongs_to_nobody_here_keeps_its_place() -> None:
    assert name_pictures(plan_segment(STORY, 1), ["ben.png", "anna1.png"]) == ("ben.png", "anna")
    assert name_pictures(plan_segment(STORY, 2), ["ben.png"]) == ("ben",)
