import pytest

from toolkit.catalogue import KINDS, ROLES, STAGES, Catalogue, normalise
from toolkit.errors import DataError

FIELD = {
    "social post": "awareness",
    "social ad": "awareness",
    "print ad and billboard": "awareness",
    "blog and content": "awareness",
    "search engine": "consideration",
    "online review": "consideration",
    "video": "consideration",
    "webinar": "consideration",
    "trade show or event": "consideration",
    "product page": "purchase",
    "checkout / point of sale": "purchase",
    "cart recovery": "purchase",
    "onboarding": "onboarding",
    "customer service": "service",
    "self-service portal": "service",
    "follow-up message": "retention",
    "customer success check-in": "retention",
    "upsell and cross-sell": "retention",
    "loyalty programme": "loyalty",
    "referral and word of mouth": "advocacy",
}


@pytest.fixture(scope="module")
def ours():
    return Catalogue.load()


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "catalogue.toml"
        path.write_text(text, encoding="utf-8")
        return Catalogue.load(path)

    return load


@pytest.mark.parametrize(("name", "stage"), FIELD.items())
def test_every_touchpoint_of_the_field_has_its_stage_and_a_figure_it_lives_by(ours, name, stage):
    place = ours.place(name)
    assert place.stage == stage
    assert place.lives_by and place.kind in KINDS


def test_the_website_is_in_the_field_too_and_its_pages_come_before_the_purchase(ours):
    assert ours.place("website").lives_by == ("load time", "bounce rate", "mobile v desktop conversion")
    assert ours.place("category page").family == "website"
    assert ours.place("category page").phase == "before"


@pytest.mark.parametrize(
    ("role", "names"),
    {
        "view": ["view_item", "Product Viewed", "ViewContent", "Viewed Product", "Produktsida", "PRODUKTSEITE"],
        "cart": ["add_to_cart", "AddToCart", "Product Added", "Læg i kurv", "Lägg i varukorg", "In den Warenkorb"],
        "checkout": ["begin_checkout", "Checkout Started", "InitiateCheckout", "gå til kassen", "Zur Kasse"],
        "purchase": ["purchase", "Order Completed", "checkout_completed", "Placed Order", "køb", "Kauf", "orders/paid"],
        "": ["blog post", "view_cart", "page_view", "payment failed", "no such thing", ""],
    }.items(),
)
def test_roles_are_found_in_four_languages_and_in_the_words_of_the_tools(ours, role, names):
    assert {name: ours.role_of(name) for name in names} == dict.fromkeys(names, role)


def test_a_name_is_matched_whole_and_never_by_a_part(ours):
    assert ours.place("cart abandoned by accident") is None
    assert ours.place("purchases") is None


def test_case_separators_spaces_and_composition_do_not_matter(ours):
    for name in ["läg", "LÄGG-I__varukorg ", "lägg.i/varukorg", "la\u0308gg i varukorg", "ＡＤＤ＿ＴＯ＿ＣＡＲＴ"]:
        expected = None if name == "läg" else "cart"
        assert getattr(ours.place(name), "name", None) == expected
    assert normalise(" A_-b / c.") == "a b c"


def test_phase_and_funnel_follow_from_the_stage(ours):
    seen = {place.stage: (place.phase, place.funnel) for place in ours.places}
    assert seen["awareness"] == ("before", "TOFU")
    assert seen["consideration"] == ("before", "MOFU")
    assert seen["purchase"] == ("during", "BOFU")
    assert {seen[stage] for stage in STAGES[3:]} == {("after", "")}


def test_each_role_belongs_to_exactly_one_of_our_own_touchpoints(ours):
    assert [[place.name for place in ours.places if place.role == role] for role in ROLES] == [
        ["product page"],
        ["cart"],
        ["checkout"],
        ["purchase"],
    ]


def test_steps_prefer_the_own_name_then_the_first_and_the_others_are_reported(ours):
    vocabulary = ["order", "basket", "add_to_cart", "Cart", "view_item", "product viewed", "blog"]
    assert ours.steps(vocabulary) == ("view_item", "Cart", "order")
    assert ours.other_steps(iter(vocabulary)) == ("product viewed", "basket", "add_to_cart")
    assert ours.names_with_role("cart", vocabulary) == ["Cart", "basket", "add_to_cart"]
    assert ours.steps(["blog", "moonwalk"]) == ()


def test_stage_codes_number_the_stages_and_mark_the_unplaced(ours):
    names = ["moonwalk", "social post", "webinar", "cart", "delivery", "chat", "sms", "kundeklub", "referral"]
    assert ours.stage_codes(names) == (-1, 0, 1, 2, 3, 4, 5, 6, 7)


def test_coverage_names_what_is_placed_what_is_not_and_what_is_never_met(ours):
    coverage = ours.coverage(["cart", "chat", "moonwalk"])
    assert coverage.placed == ("cart", "chat")
    assert coverage.unplaced == ("moonwalk",)
    assert "webinar" in coverage.families_missing and "customer service" not in coverage.families_missing
    assert coverage.share == pytest.approx(2 / 3)
    assert ours.coverage([]).share != ours.coverage([]).share


def test_a_users_file_adds_touchpoints_families_and_aliases(load):
    catalogue = load("""
        [families]
        "run club" = { stage = "loyalty", kind = "physical", lives_by = ["attendance"] }
        [touchpoints]
        "løbeklub" = { family = "run club", aliases = ["Tuesday run"] }
        "cart" = { aliases = ["posen"] }
        "kiosk" = { stage = "service" }
    """)
    assert catalogue.place("tuesday_run").lives_by == ("attendance",)
    assert catalogue.place("posen") == catalogue.place("add_to_cart") == Catalogue.load().place("cart")
    assert (catalogue.place("kiosk").family, catalogue.place("kiosk").kind) == ("kiosk", "digital")


def test_a_users_file_overrides_ours_and_renames_stages(load):
    catalogue = load("""
        [stages]
        service = "Hjælp"
        [touchpoints]
        "chat" = { stage = "consideration" }
        "add_to_cart" = { role = "" }
        "moonwalk" = { stage = "advocacy", aliases = ["webinar"] }
    """)
    assert catalogue.place("live chat").stage == "consideration"
    assert catalogue.role_of("add to cart") == "" and catalogue.role_of("basket") == "cart"
    assert catalogue.place("add_to_cart").family == "checkout"
    assert catalogue.place("webinar").name == "moonwalk"
    assert catalogue.stage_of("help page") == "Hjælp" and catalogue.place("help page").stage == "service"
    assert catalogue.stage_of("nobody knows") == ""


def test_all_problems_of_a_users_file_come_at_once(load):
    with pytest.raises(DataError) as caught:
        load("""
            [stages]
            shopping = "Indkøb"
            [colours]
            [touchpoints]
            a = { stage = "buying" }
            b = { stage = "service", kind = "virtual", role = "hero", colour = "red" }
            c = { stage = "service", aliases = "see" }
            d = "service"
        """)
    text = " ".join(caught.value.problems)
    for piece in ["shopping", "colours", "'buying'", "'virtual'", "'hero'", "'colour'", "'see', not a list", "'d' is"]:
        assert piece in text
    assert len(caught.value.problems) == 8


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a = { family = 'nowhere' }", "family 'nowhere', which no"),
        ("a = {}", "neither a stage nor a family"),
        ("a = { stage = 'service', aliases = ['X'] }\nx = { stage = 'service' }", "'x' is claimed by both 'a' and 'x'"),
        ("a = ", "cannot be read as a catalogue"),
    ],
)
def test_an_impossible_touchpoint_is_refused_with_its_reason(load, text, sentence):
    with pytest.raises(DataError, match=sentence):
        load("[touchpoints]\n" + text)


def test_a_file_that_is_not_there_is_one_clear_error(tmp_path):
    with pytest.raises(DataError, match="cannot be read as a catalogue"):
        Catalogue.load(tmp_path / "none.toml")


@pytest.mark.parametrize("name", ["Køb gennemført", "Afsluttet køb", "Ordre afgivet", "Köp genomfört"])
def test_purchases_are_known_in_the_order_of_words_in_which_shops_write_them(ours, name):
    assert ours.role_of(name) == "purchase"
